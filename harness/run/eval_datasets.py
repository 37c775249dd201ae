"""The evaluation datasets of a run: which images each variant is evaluated on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.check.evaluated import dataset_tag, wanted
from harness.check.shards import Span, precision_of, span_of, tagged
from harness.config import RunConfig, UsageError
from harness.run.eval_dataset import EvalDataset
from harness.run.jobs import AccuracyJob
from harness.run.plan import own_classes
from harness.types import EvalImages, Fact, Recipe, Slot
from zoo._util.text import plural
from zoo.index.types import Variant
from zoo.known_datasets import ACCURACIES
from zoo.variants import IMAGENET_CLASSES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.datasets import ImageSet

_Classes = tuple[str, ...] | None


class VariantImages:
    """The datasets that one variant is evaluated on; at least one."""

    def __init__(self, datasets: Sequence[EvalDataset]) -> None:
        self._datasets = datasets
        self.classes = datasets[0].classes

    def available(self, facts: Mapping[Slot, Fact]) -> tuple[EvalImages, ...]:
        """The images of all of them that may be looked at, see `EvalDataset.available`."""
        return tuple(d.available(facts, view) for d in self._datasets for view in d.views)

    def counting(self, part: str) -> AccuracyJob:
        """What a worker shall count, see `EvalDataset.counting`."""
        span = span_of(part)
        job = self._of(part).counting((part,), dataset_tag(span.tag))
        return replace(job, amp=precision_of(span) or job.amp)

    def alternatives(self, recipe: Recipe) -> dict[str, str]:
        """Other ways to prepare an image, by name, each with its words."""
        return self._datasets[0].alternatives(recipe)

    def identity(self, recipe: Recipe, part: str) -> list[str | int]:
        """What a count depends on beside the model and its weights."""
        span = span_of(part)
        return self._of(part).identity(recipe, dataset_tag(span.tag), precision_of(span))

    def counted(self, part: str) -> EvalImages:
        return self._of(part).tagged(dataset_tag(span_of(part).tag))

    def images(self, part: str) -> ImageSet:
        """The whole set that a part's images are of."""
        return self._of(part).image_set

    def places(self, span: Span) -> NDArray[np.int64]:
        """The places of a span's images among those that the model is run on, ascending."""
        import numpy as np

        from harness.datasets.members import places_of

        part = tagged("0-0", span.tag)
        images = self.counted(part)
        if images.made_of is None:
            return np.arange(span.begin, span.end)
        places = places_of(self.images(part), images.subset, images.truth)
        return places[span.begin : span.end]

    def _of(self, part: str) -> EvalDataset:
        tag = dataset_tag(span_of(part).tag)
        return next(d for d in self._datasets if any(view.tag == tag for view in d.views))


class EvalDatasets:
    """The datasets for each way in which the variants of a run name their classes.

    Where images lie in folders named by the classes of one variant, they are not ImageNet's, even
    if the names could be read so: as numbers, say. A thousand classes that no folder is named by
    are taken for ImageNet's, in a spelling of the index's own.

    Raises:
        UsageError: there are no images, or none that ImageNet's variants could be run on, and
            others neither; two are of the same dataset; or they are not of the one that they are
            said to be of. One line says why.
    """

    def __init__(self, request: RunConfig, variants: Sequence[Variant]) -> None:
        if len(request.dataset) not in (0, len(request.data)):
            raise UsageError(
                f"--dataset: it was given {plural(len(request.dataset), 'time')}, and "
                f"--data {plural(len(request.data), 'time')}; give one for each in the same "
                "order, auto where the names tell, or none"
            )
        ways = dict.fromkeys(map(own_classes, variants))
        self._found: dict[_Classes, list[EvalDataset]] = {way: [] for way in ways}
        self._why: dict[_Classes, str] = {}
        known = (wanted(c) for variant in variants for c in variant.claims_of(*ACCURACIES))
        self._claimed = frozenset(each.name for each in known if each is not None)
        for which in range(len(request.data)):
            self._open(request, which)
        for wrong in filter(None, (eval_dataset.misstated() for eval_dataset in self.opened)):
            raise UsageError(f"--dataset: {wrong}")
        for datasets in self._found.values():
            _require_different(datasets)

    def _open(self, request: RunConfig, which: int) -> None:
        """Open one set for every way that it can be read in."""
        place, named = request.data[which], [way for way in self._found if way is not None]
        for classes in named:
            self._try(request, which, classes, classes)
        taken = [way for way in named if any(d.place == place for d in self._found[way])]
        unnamed = [
            way
            for way in self._found
            if way is None or (len(way) == IMAGENET_CLASSES and way not in taken)
        ]
        for way in unnamed:
            if taken:
                why = "the images given are of another variant's own classes"
                self._why.setdefault(way, why)
            else:
                self._try(request, which, way, None)
        opened = any(d.place == place for d in self.opened)
        there = place == "sample" or os.path.exists(os.path.expanduser(place))
        if not opened and (None in self._found or not there or len(request.data) > 1):
            why = self._why.get(None) or next(iter(self._why.values()))
            raise UsageError(f"--data: {why}")

    def _try(self, request: RunConfig, which: int, way: _Classes, classes: _Classes) -> None:
        place = request.data[which]
        known = (d for d in self.opened if d.place == place and d.classes == classes)
        try:
            found = next(known, None) or EvalDataset(request, classes, which, self._claimed)
        except UsageError as error:
            self._why[way] = error.lines[0].removeprefix("--data: ")
        else:
            self._found[way].append(found)

    @property
    def opened(self) -> list[EvalDataset]:
        """Those whose images could be read."""
        return list(dict.fromkeys(d for found in self._found.values() for d in found))

    @property
    def limit(self) -> int:
        """How many images one variant may be run on at the most."""
        return max(
            (sum(d.images.limit for d in found) for found in self._found.values()), default=0
        )

    def of(self, variant: Variant) -> VariantImages | str:
        """The images of a variant, or why these are none for it."""
        way = own_classes(variant)
        return VariantImages(self._found[way]) if self._found[way] else self._why[way]

    def survey(self) -> list[str]:
        """What is in them, and what is wrong with it, in a line each, before a model runs."""
        return [line for eval_dataset in self.opened for line in eval_dataset.survey()]

    def remarks(self, facts: Iterable[Fact]) -> list[str]:
        """What a person should know of how these were counted, in a line each, and once."""
        return self.opened[0].remarks(facts) if self.opened else []


def _require_different(datasets: Sequence[EvalDataset]) -> None:
    """Of two sets that may be the same, no claim could tell which is its own."""
    places: dict[str, str] = {}
    for each in datasets:
        images = each.images
        key = images.dataset or images.family
        if key in places:
            what = f"are both of {key}" if key else "may be of one dataset"
            which = ", or say which is which with --dataset, once for each in the same order"
            raise UsageError(
                f"--data: the images of {places[key]} and {each.place} {what}; give one of them"
                f"{'' if images.dataset else which}"
            )
        places[key] = each.place
