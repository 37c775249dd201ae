"""Globs: a pattern to the files that match it, sorted, within bounds.

Python's own ``glob`` follows links to folders, and so needs as long as their loops have it. An
index may import by patterns, so that none may take longer than its files are many.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import translate

MAX_VISITED = 200_000  # files and folders that a search may look at
MAX_PARTS = 64
_MAGIC = re.compile(r"[*?\[]")
_ANY = "**"


class TooMany(Exception):
    """The search would look at more than `MAX_VISITED` files and folders."""


def is_pattern(path: str) -> bool:
    """Whether a path holds a wildcard: ``*``, ``?``, ``[abc]`` or ``**`` for any folders."""
    return bool(_MAGIC.search(path))


def matches(pattern: str) -> list[str]:
    """The files that match, sorted, written as the pattern begins.

    Hidden files and folders match only where the pattern writes their dot, and links to folders
    are not followed.

    Raises:
        TooMany: the pattern begins too high up in too large a tree.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if len(parts) > MAX_PARTS:
        raise TooMany
    fixed = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)
    base = "/" * pattern.startswith("/") + "/".join(parts[:fixed])
    found = _Search(parts[fixed:]).files(base or ".")
    return sorted(os.path.join(base, name) for name in found)


class _Search:
    """A walk that keeps, for each folder, which parts of the pattern may match inside it."""

    def __init__(self, parts: list[str]) -> None:
        self.parts = [None if part == _ANY else re.compile(translate(part)) for part in parts]
        self.hidden = [part.startswith(".") for part in parts]
        self.end = len(parts)
        self.visited = 0

    def files(self, base: str) -> Iterator[str]:
        """The matching files below ``base``, named from there."""
        waiting = [("", self.beyond({0}))]
        while waiting:
            inside, places = waiting.pop()
            for entry in self.entries(os.path.join(base, inside)):
                after = self.after(entry.name, places)
                name = inside + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if after - {self.end}:
                        waiting.append((f"{name}/", after))
                elif self.end in after and entry.is_file():
                    yield name

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What is in a folder; nothing where it can't be listed."""
        try:
            with os.scandir(folder) as listing:
                found = list(listing)
        except OSError:
            return []
        self.visited += len(found)
        if self.visited > MAX_VISITED:
            raise TooMany
        return found

    def beyond(self, places: set[int]) -> set[int]:
        """The places and those behind a ``**``, which may match nothing."""
        for place in sorted(places):
            while place < self.end and self.parts[place] is None:
                place += 1  # noqa: PLW2901 - how far it can go from there
                places.add(place)
        return places

    def after(self, name: str, places: set[int]) -> set[int]:
        """The places that a name leads to, from those before it; ``end`` where all is matched."""
        reached: set[int] = set()
        for place in places - {self.end}:
            part = self.parts[place]
            if name.startswith(".") and not self.hidden[place]:
                continue
            if part is None:
                reached.add(place)
            elif part.match(name):
                reached.add(place + 1)
        return self.beyond(reached)
