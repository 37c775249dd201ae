"""What has been measured, as far as a page can link to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from harness.docs.markdown import Markdown, link
from zoo.index.types import Collection, Variant

_MOST_BYTES = 256 << 20
_DOCUMENT = "report.json"
_PLOT = "pareto-macs.svg"
_TABLES = (("comparison.md", "the comparison"), ("index.html", "the whole report"))


class Reports:
    """The folder that `zoo report` writes.

    Args:
        folder: it; it may be missing.
        pages: the folder of the pages, where links start.
    """

    def __init__(self, folder: Path, pages: Path) -> None:
        self._folder = folder
        self._pages = pages

    def links(self, collection: Collection, variants: Sequence[Variant]) -> dict[str, object]:
        """Relative links to the measurements of a collection, and to a picture of them.

        A report that doesn't speak of all of these variants is another zoo's, or an old one, and is
        not linked.

        Returns:
            ``tables``: links, and ``plot``: a picture, or None.
        """
        names = {(variant.name, collection.name) for variant in variants}
        if not names <= self._reported:
            return {"tables": [], "plot": None}
        plot = self._target(_PLOT)
        alternative = "Accuracy against multiply-accumulates, measured where it could be"
        return {
            "tables": list(self._tables()),
            "plot": None if plot is None else Markdown(f"![{alternative}](<{plot}>)"),
        }

    def _tables(self) -> Iterator[Markdown]:
        for name, label in _TABLES:
            target = self._target(name)
            if target is not None:
                yield link(label, target)

    def _target(self, name: str) -> str | None:
        if not (self._folder / name).is_file():
            return None
        return quote(Path(os.path.relpath(self._folder / name, self._pages)).as_posix())

    @cached_property
    def _reported(self) -> set[tuple[object, object]]:
        """Name and collection of each variant of the report; nothing where it can't be read."""
        path = self._folder / _DOCUMENT
        try:
            if path.stat().st_size > _MOST_BYTES:
                return set()
            document = json.loads(path.read_bytes())
            return {(each["name"], each["collection"]) for each in document["variants"]}
        except (OSError, ValueError, RecursionError, TypeError, KeyError):
            return set()
