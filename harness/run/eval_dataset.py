"""One evaluation dataset of a run: what its images are, and how models are run on them."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from harness.check.decide import FIRST_LOOK
from harness.check.shards import span_of
from harness.config import RunConfig, UsageError
from harness.config.rules import AUTO
from harness.measure import machine
from harness.run.jobs import AccuracyJob
from harness.types import EvalImages, Fact, Measurement, Recipe, Slot
from zoo._util.text import few, plural
from zoo.known_datasets import IMAGENET_1K, KNOWN, class_subset

# So many names are shown of each kind of trouble with a set's files.
_SHOWN = 10


class EvalDataset:
    """An opened image set with the request's way to run models on it.

    Args:
        request: the run's.
        classes: what the variants that see it tell apart, where that is not ImageNet's classes.
        which: of the request's image sets.
        claimed: the known sets that accuracies of the run are about.

    Attributes:
        image_set: its images, as they lie there.
        images: the same, as checks see them.
        views: these, and those of its images that another claimed set is made of.

    Raises:
        UsageError: the set can't be read; one line that says what is wrong with it.
    """

    def __init__(
        self,
        request: RunConfig,
        classes: tuple[str, ...] | None = None,
        which: int = 0,
        claimed: Collection[str] = (),
    ) -> None:
        from harness.datasets import ImageSetError, identify, open_image_set

        self.place = request.data[which]
        try:
            images = open_image_set(self.place, classes)
        except ImageSetError as error:
            raise UsageError(f"--data: {error}") from error
        self.image_set = images
        self._identity = None if classes is not None else identify(images)
        stated = request.dataset[which] if which < len(request.dataset) else AUTO
        self._stated = None if stated == AUTO or classes is not None else KNOWN[stated]
        self._request = request
        self.classes = classes
        self._claimed, self._truth = claimed, ""
        self._remarked: list[str] = []
        # By the clock that worker processes, and other machines, have too.
        self._until = None if request.budget is None else time.time() + request.budget
        found = self._identity
        dataset = "" if found is None else found.dataset or ""
        if self._stated is not None:
            dataset = self._stated.images_of or self._stated.name
        known, evidence = KNOWN.get(dataset), "" if found is None else found.evidence
        if self._stated is not None and found is not None and found.dataset != dataset:
            evidence = f"are {KNOWN[dataset].title}, as --dataset says"
        everything = EvalImages(
            spec=self.place,
            fingerprint=images.fingerprint,
            count=len(images),
            limit=len(images),
            sample=images.form == "sample",
            own=classes is not None,
            shard_size=request.part,
            dataset=dataset,
            identity=evidence,
            other=dataset not in ("", IMAGENET_1K)
            or bool(not dataset and found and (found.other or found.family)),
            family=found.family if found is not None and not dataset else "",
            digest=images.digest,
            tag="" if len(request.data) == 1 else images.digest[:8],
            stating=_stating(request, which),
        )
        self.images = self._view(everything, "" if known is None else known.subset)
        self.views = (self.images, *self._further(everything))

    def _view(self, images: EvalImages, subset: str) -> EvalImages:
        """The images of a subset of the classes, all for none."""
        labels = self.image_set.labels
        samples = self._request.samples
        if subset:
            inside = set(class_subset(subset))
            labels = tuple(label for label in labels if label in inside)
        return replace(
            images,
            subset=subset,
            count=len(labels),
            limit=len(labels) if samples is None else min(samples, len(labels)),
            classes=len(set(labels)),
            chance=_chance(labels),
        )

    def _further(self, images: EvalImages) -> Iterator[EvalImages]:
        """Sets that are made of some of these images, scored otherwise."""
        if images.dataset != IMAGENET_1K or images.sample:
            return
        if "imagenet-real" in self._claimed:
            yield from self._relabelled(images)
        for known in KNOWN.values():
            if known.images_of == images.dataset and known.subset and known.name in self._claimed:
                tag = f"{images.tag} {known.name}".lstrip()
                found = self._view(replace(images, dataset=known.name, tag=tag), known.subset)
                if found.count:
                    yield self._limited(replace(found, made_of=self.images), self.images.limit)

    def _relabelled(self, images: EvalImages) -> Iterator[EvalImages]:
        """The same images with all their classes, those that have any."""
        from harness.datasets import ImageSetError
        from harness.datasets.members import count_labelled, digest_of, find_real_labels

        path, known = find_real_labels(images.spec), KNOWN["imagenet-real"]
        if path is None:
            return
        try:
            count = count_labelled(path, self.image_set.names)
            self._truth = digest_of(path)
        except ImageSetError:
            return  # Not numbered, or other labels: claims then say that there are none.
        tag = f"{images.tag} {known.name}".lstrip()
        if count:
            view = self._view(replace(images, dataset=known.name, tag=tag), "")
            view = replace(view, count=count, truth=str(path), made_of=self.images)
            yield self._limited(view, self.images.limit)

    def _limited(self, view: EvalImages, first: int) -> EvalImages:
        """A view of which only what is among the first images of the set may be looked at."""
        from harness.datasets.members import places_of

        if first >= self.images.count:
            return replace(view, limit=view.count)
        places = places_of(self.image_set, view.subset, view.truth)
        return replace(view, limit=int((places < first).sum()))

    def survey(self) -> list[str]:
        """What is in the set, and what is wrong with it, in a line each, before a model runs."""
        from harness.datasets import find_unreadable

        images = self.image_set
        classes = plural(len(set(images.labels)), "class", ",")
        lines = [f"{plural(len(images), 'image', ',')} of {classes} ({images.form})"]
        if self._identity is not None:
            lines[0] += self._called()
        for names, what in (
            ([f"{item.name} ({item.why})" for item in find_unreadable(images)], "can't be read"),
            (list(images.missing), "are labelled and not there"),
            (list(images.ignored), "are no images of a class and are left out"),
        ):
            if names:
                lines.append(f"{len(names):,} {what}: {few(names, _SHOWN)}")
        return lines

    def _called(self) -> str:
        """What they are taken for."""
        if self.images.dataset:
            how = "as said" if self._stated else f"they {self.images.identity}"
            return f", {KNOWN[self.images.dataset].title}: {how}"
        assert self._identity is not None
        family = self._identity.family
        say = self.images.stating.format("NAME")
        remedy = "" if self._identity.other else f"; if you know which they are, say {say}"
        if family:
            names = [each.name for each in KNOWN.values() if each.family == family]
            remedy = f"; say {say}, which of them they are: {', '.join(names)}"
        return f"; the images {self.images.identity}, so they contradict no accuracy{remedy}"

    def misstated(self) -> str:
        """Why the images can't be of the set that they are stated to be of, empty otherwise."""
        if self._identity is None or self._stated is None:
            return ""
        wrong = self._identity.contradicts(self.image_set, self._stated)
        return wrong and (
            f"{self._stated.name} was said of {self.place}, and {wrong}; leave --dataset out, or "
            "give the set that was meant"
        )

    def available(self, facts: Mapping[Slot, Fact], images: EvalImages | None = None) -> EvalImages:
        """The images that may be looked at: once the time is over, those counted already.

        The first look is always made: else a long download would leave nothing to say.

        Args:
            facts: what was counted.
            images: one of ``views``; by default the first.
        """
        images = images or self.images
        if self._until is None or time.time() < self._until:
            return images
        counting = images.made_of or images
        spans = (
            span_of(which)
            for (kind, which), fact in facts.items()
            if kind == "accuracy" and isinstance(which, str) and isinstance(fact, Measurement)
        )
        counted = 0
        for span in sorted(spans, key=lambda s: s.begin):
            if not span.alternative and span.begin == counted and span.tag == counting.tag:
                counted = span.end
        counted = counted or min(FIRST_LOOK, counting.limit)
        return replace(
            self._limited(images, counted) if images.made_of else replace(images, limit=counted),
            over=True,
        )

    def remarks(self, facts: Iterable[Fact]) -> list[str]:
        """What a person should know of how these were counted, in a line each, and once."""
        why = {f.value["not_kept"] for f in facts if isinstance(f, Measurement)} - {None}
        fresh = [line for line in sorted(why) if line not in self._remarked]
        self._remarked += fresh
        return [f"decoded images are not kept, the next run decodes anew: {x}" for x in fresh]

    def counting(self, parts: tuple[str, ...], tag: str) -> AccuracyJob:
        """What a worker shall count of the view with that tag."""
        request = self._request
        return AccuracyJob(
            images=self.images.spec,
            subset=self.tagged(tag).subset,
            truth=self.tagged(tag).truth,
            also=next(filter(None, (view.truth for view in self.views)), ""),
            parts=parts,
            classes=self.classes,
            device=request.device,
            amp=request.amp,
            compile=request.compile,
            decode=request.decode,
            workers=request.decode_workers,
            until=self._until,
            limit=self.tagged(tag).limit,
        )

    def tagged(self, tag: str) -> EvalImages:
        """The view that is counted under that tag."""
        return next(images for images in self.views if images.tag == tag)

    def alternatives(self, recipe: Recipe) -> dict[str, str]:
        """Other ways to prepare an image, by name, each with its words."""
        found = _alternatives(recipe)
        if self.classes is None:
            return found
        # Their labels are looked up by name: they can't be in another order.
        return {name: words for name, words in found.items() if not name.startswith("labels=")}

    def identity(
        self, recipe: Recipe, tag: str | None = None, precision: str = ""
    ) -> list[str | int]:
        """What a count depends on beside the model and its weights."""
        from harness.measure.accuracy.validator import preprocessing_of

        request = self._request
        images = self.images if tag is None else self.tagged(tag)
        return [
            images.fingerprint,
            preprocessing_of(recipe).key(),
            _arithmetic(request),
            precision or request.amp,
            int(request.compile),
            request.decode,
            *filter(None, [images.subset, images.truth and self._truth]),
            *(["in the order of all"] if images.made_of else []),
        ]


def _stating(request: RunConfig, which: int) -> str:
    """The options that state the dataset of one of the places, see `EvalImages.stating`."""
    said = [*request.dataset, *(AUTO for _ in request.data)][: len(request.data)]
    said[which] = "{}"
    return " ".join(f"--dataset {name}" for name in said)


def _arithmetic(request: RunConfig) -> str:
    """What counts, by what it is and not by the word of an option.

    Of the nodes of a cluster only it itself knows what they are.
    """
    address = request.address or os.environ.get("RAY_ADDRESS")
    if request.engine == "ray" and address:
        kinds = {"auto": "any device", "cpu": "processors"}
        return f"{kinds.get(request.device, 'GPUs')} of the cluster at {address}"
    return json.dumps(machine.arithmetic(request.device), sort_keys=True)


def _chance(labels: Sequence[int]) -> float:
    """How many are right by chance where each image has the label of another one."""
    return sum((count / len(labels)) ** 2 for count in Counter(labels).values())


@lru_cache(maxsize=256)
def _alternatives(recipe: Recipe) -> dict[str, str]:
    from harness.measure.accuracy.validator import preprocessing_of
    from harness.measure.accuracy.variations import alternatives

    return {each.name: each.words for each in alternatives(preprocessing_of(recipe))}
