"""The images of a run as its variants see them: labelled by ImageNet's classes, or their own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from harness.config import RunConfig, UsageError
from harness.run.eval_dataset import EvalDataset
from harness.run.plan import own_classes
from harness.types import Fact
from zoo.index.types import Variant
from zoo.variants import IMAGENET_CLASSES


class EvalDatasets:
    """One gallery for each way in which the variants of a run name their classes.

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

        for wrong in filter(None, (gallery.misstated() for gallery in self.opened)):
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
        return max((gallery.images.limit for gallery in self.opened), default=0)

    def of(self, variant: Variant) -> EvalDataset | str:
        """The images of a variant, or why these are none for it."""
        return self._found[own_classes(variant)]

    def survey(self) -> list[str]:
        """What is in them, and what is wrong with it, in a line each, before a model runs."""
        return [line for gallery in self.opened for line in gallery.survey()]

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
