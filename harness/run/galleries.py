"""The pictures of a run as its variants see them: labelled by ImageNet's classes, or their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.run.gallery import Gallery
from harness.run.plan import own_classes
from harness.run.request import Request, UsageError
from harness.types import Fact
from zoo.index.types import Variant


class Galleries:
    """One gallery for each way in which the variants of a run name their classes.

    Where pictures lie in folders named by the classes of one variant, they are not ImageNet's, even
    if the names could be read so: as numbers, say.

    Raises:
        UsageError: the pictures can't be read in any of these ways; one line says why.
    """

    def __init__(self, request: Request, variants: Sequence[Variant]) -> None:
        self._found: dict[tuple[str, ...] | None, Gallery | str] = {}
        ways = dict.fromkeys(map(own_classes, variants))
        named = [classes for classes in ways if classes is not None]
        for classes in named:
            self._found[classes] = self._opened(request, classes)
        if None in ways:
            owned = any(isinstance(found, Gallery) for found in self._found.values())
            self._found[None] = (
                "the pictures given are of another variant's own classes"
                if owned
                else self._opened(request, None)
            )
        if not self.opened:
            raise UsageError(f"--data: {next(iter(self._found.values()))}")

    @property
    def opened(self) -> list[Gallery]:
        """Those whose pictures could be read."""
        return [found for found in self._found.values() if isinstance(found, Gallery)]

    @property
    def limit(self) -> int:
        """How many pictures one variant may be run on at the most."""
        return max(gallery.pictures.limit for gallery in self.opened)

    def of(self, variant: Variant) -> Gallery | str:
        """The pictures of a variant, or why these are none for it."""
        return self._found[own_classes(variant)]

    def survey(self) -> list[str]:
        """What is in them, and what is wrong with it, in a line each, before a model runs."""
        return [line for gallery in self.opened for line in gallery.survey()]

    def remarks(self, facts: Iterable[Fact]) -> list[str]:
        """What a person should know of how these were counted, in a line each, and once."""
        return self.opened[0].remarks(facts)

    @staticmethod
    def _opened(request: Request, classes: tuple[str, ...] | None) -> Gallery | str:
        try:
            return Gallery(request, classes)
        except UsageError as error:
            return error.lines[0].removeprefix("--data: ")
