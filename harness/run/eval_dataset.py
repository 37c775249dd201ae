"""The evaluation datasets of a run: which images each variant is evaluated on, and how."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from harness.check.decide import FIRST_LOOK
from harness.check.shards import span_of
from harness.config import RunConfig, UsageError
from harness.run.engine import EngineError
from harness.run.jobs import AccuracyJob
from harness.run.plan import own_classes
from harness.types import EvalImages, Fact, Measurement, Recipe, Slot
from zoo.index.types import Variant
from zoo.variants import IMAGENET_CLASSES

# So many names are shown of each kind of trouble with a set's files.
_SHOWN = 10


class EvalDataset:
    """An opened image set with the request's way to run models on it.

    Args:
        request: the run's.
        classes: what the variants that see it tell apart, where that is not ImageNet's classes.

    Raises:
        UsageError: the set can't be read; one line that says what is wrong with it.
    """

    def __init__(self, request: RunConfig, classes: tuple[str, ...] | None = None) -> None:
        from harness.datasets import ImageSetError, identify, open_image_set

        assert request.data is not None
        try:
            images = open_image_set(request.data, classes)
        except ImageSetError as error:
            raise UsageError(f"--data: {error}") from error
        self._images = images
        self._identity = None if classes is not None else identify(images)
        stated = request.dataset or ""
        limit = len(images) if request.samples is None else min(request.samples, len(images))
        self._request = request
        self.classes = classes
        self._remarked: list[str] = []
        # By the clock that worker processes, and other machines, have too.
        self._until = None if request.budget is None else time.time() + request.budget
        self.images = EvalImages(
            spec=request.data,
            fingerprint=images.fingerprint,
            count=len(images),
            limit=limit,
            sample=request.data == "sample",
            classes=len(set(images.labels)),
            own=classes is not None,
            shard_size=request.part,
            dataset=stated or (self._identity and self._identity.dataset) or "",
            identity=self._identity.evidence if self._identity is not None else "",
            other=bool(self._identity and self._identity.other),
            chance=_chance(images.labels),
        )

    def survey(self) -> list[str]:
        """What is in the set, and what is wrong with it, in a line each, before a model runs."""
        from harness.datasets import check

        found = check(self._images)
        lines = [f"{found.images:,} images of {found.classes:,} classes ({self._images.form})"]
        if self._identity is not None and not self.images.dataset:
            lines.append(
                f"the images {self.images.identity}, so they contradict no accuracy"
                + ("" if self._identity.other else "; if they are, say --dataset imagenet-1k")
            )
        for names, what in (
            ([f"{item.name} ({item.why})" for item in found.unreadable], "can't be read"),
            (list(found.missing), "are labelled and not there"),
            (list(found.ignored), "are no images by their names and are left out"),
        ):
            if names:
                shown = ", ".join(names[:_SHOWN])
                more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
                lines.append(f"{len(names):,} {what}: {shown}{more}")
        return lines

    def misstated(self) -> str:
        """Why the images can't be of the set that they are stated to be of, empty otherwise."""
        if self._identity is None or self._request.dataset is None:
            return ""
        return self._identity.contradicts(len(self._images))

    def available(self, facts: Mapping[Slot, Fact]) -> EvalImages:
        """The images that may be looked at: once the time is over, those counted already.

        The first look is always made: else a long download would leave nothing to say.
        """
        if self._until is None or time.time() < self._until:
            return self.images
        spans = (
            span_of(which)
            for (kind, which), fact in facts.items()
            if kind == "accuracy" and isinstance(which, str) and isinstance(fact, Measurement)
        )
        counted = 0
        for span in sorted(spans, key=lambda s: s.begin):
            if not span.alternative and span.begin == counted:
                counted = span.end
        limit = counted or min(FIRST_LOOK, self.images.limit)
        return replace(self.images, limit=limit, over=True)

    def remarks(self, facts: Iterable[Fact]) -> list[str]:
        """What a person should know of how these were counted, in a line each, and once."""
        why = {f.value["not_kept"] for f in facts if isinstance(f, Measurement)} - {None}
        fresh = [line for line in sorted(why) if line not in self._remarked]
        self._remarked += fresh
        return [f"decoded images are not kept, the next run decodes anew: {x}" for x in fresh]

    def counting(self, parts: tuple[str, ...]) -> AccuracyJob:
        """What a worker shall count.

        Raises:
            EngineError: this machine is to count on a device that it has not.
        """
        request = self._request
        if request.engine == "local" and request.device not in ("auto", "cpu"):
            _require(request.device)
        return AccuracyJob(
            images=self.images.spec,
            parts=parts,
            classes=self.classes,
            device=request.device,
            amp=request.amp,
            compile=request.compile,
            decode=request.decode,
            workers=request.decode_workers,
            until=self._until,
        )

    def alternatives(self, recipe: Recipe) -> dict[str, str]:
        """Other ways to prepare an image, by name, each with its words."""
        found = _alternatives(recipe)
        if self.classes is None:
            return found
        # Their labels are looked up by name: they can't be in another order.
        return {name: words for name, words in found.items() if not name.startswith("labels=")}

    def identity(self, recipe: Recipe) -> list[str | int]:
        """What a count depends on beside the model and its weights."""
        from harness.measure.accuracy.validator import preprocessing_of

        request = self._request
        return [
            self.images.fingerprint,
            preprocessing_of(recipe).key(),
            request.device,
            request.amp,
            int(request.compile),
            request.decode,
        ]


def _chance(labels: Sequence[int]) -> float:
    """How many are right by chance where each image has the label of another one."""
    return sum((count / len(labels)) ** 2 for count in Counter(labels).values())


@lru_cache(maxsize=1)
def _require(device: str) -> None:
    """Asked once and here: else each part of each variant would fail for the same reason."""
    from harness.measure.devices import DeviceError, choose_device

    try:
        choose_device(device)
    except DeviceError as error:
        raise EngineError(f"--device: {error}") from error


@lru_cache(maxsize=256)
def _alternatives(recipe: Recipe) -> dict[str, str]:
    from harness.measure.accuracy.validator import preprocessing_of
    from harness.measure.accuracy.variations import alternatives

    return {each.name: each.words for each in alternatives(preprocessing_of(recipe))}


class EvalDatasets:
    """One evaluation dataset for each way in which the variants of a run name their classes.

    Where images lie in folders named by the classes of one variant, they are not ImageNet's, even
    if the names could be read so: as numbers, say. A thousand classes that no folder is named by
    are taken for ImageNet's, in a spelling of the index's own.

    Raises:
        UsageError: there are no images, or none that ImageNet's variants could be run on, and
            others neither; one line says why.
    """

    def __init__(self, request: RunConfig, variants: Sequence[Variant]) -> None:
        self._found: dict[tuple[str, ...] | None, EvalDataset | str] = {}
        ways = dict.fromkeys(map(own_classes, variants))
        for classes in ways:
            if classes is not None:
                self._found[classes] = self._opened(request, classes)
        unnamed = [way for way in ways if way is None or self._may_be_imagenet(way)]
        if unnamed:
            usual = (
                "the images given are of another variant's own classes"
                if self.opened
                else self._opened(request, None)
            )
            self._found.update(dict.fromkeys(unnamed, usual))
        if not self.opened and (None in ways or not _is_there(request)):
            raise UsageError(f"--data: {self._found.get(None) or next(iter(self._found.values()))}")

        for wrong in filter(None, (eval_dataset.misstated() for eval_dataset in self.opened)):
            raise UsageError(
                f"--dataset: {request.dataset} was said of {request.data}, and {wrong}; leave "
                "--dataset out, or give the set that was meant"
            )

    @property
    def opened(self) -> list[EvalDataset]:
        """Those whose images could be read."""
        found = dict.fromkeys(
            each for each in self._found.values() if isinstance(each, EvalDataset)
        )
        return list(found)

    @property
    def limit(self) -> int:
        """How many images one variant may be run on at the most."""
        return max((eval_dataset.images.limit for eval_dataset in self.opened), default=0)

    def of(self, variant: Variant) -> EvalDataset | str:
        """The images of a variant, or why these are none for it."""
        return self._found[own_classes(variant)]

    def survey(self) -> list[str]:
        """What is in them, and what is wrong with it, in a line each, before a model runs."""
        return [line for eval_dataset in self.opened for line in eval_dataset.survey()]

    def remarks(self, facts: Iterable[Fact]) -> list[str]:
        """What a person should know of how these were counted, in a line each, and once."""
        return self.opened[0].remarks(facts) if self.opened else []

    def _may_be_imagenet(self, classes: tuple[str, ...]) -> bool:
        return len(classes) == IMAGENET_CLASSES and isinstance(self._found[classes], str)

    @staticmethod
    def _opened(request: RunConfig, classes: tuple[str, ...] | None) -> EvalDataset | str:
        try:
            return EvalDataset(request, classes)
        except UsageError as error:
            return error.lines[0].removeprefix("--data: ")


def _is_there(request: RunConfig) -> bool:
    data = request.data or ""
    return data == "sample" or os.path.exists(os.path.expanduser(data))
