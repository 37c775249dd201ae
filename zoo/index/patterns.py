"""Globs: a pattern to the files that match it, sorted, within bounds.

Python's own ``glob`` follows links to folders, and so needs as long as their loops have it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

MAX_VISITED = 200_000  # files and folders that a search may look at
_MAGIC = re.compile(r"[*?\[]")
_SET = re.compile(r"\[(!?)(\]?[^\]/]*)\]")


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
    pattern = os.path.normpath(pattern) if pattern.startswith("./") else pattern
    parts = [part for part in pattern.split("/") if part]
    fixed = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts))
    base = "/" * pattern.startswith("/") + "/".join(parts[:fixed])
    wanted = parts[fixed:]
    shape = re.compile("".join(_regex(wanted)))
    deepest = None if "**" in wanted else len(wanted) - 1
    shows_hidden = any(part.startswith(".") for part in wanted)
    return sorted(
        os.path.join(base, name)
        for name in _walk(base or ".", deepest, shows_hidden)
        if shape.fullmatch(name)
    )


def _walk(base: str, deepest: int | None, hidden: bool) -> Iterator[str]:
    """The files below ``base``, named from there, down to a depth."""
    visited = 0
    for here, folders, files in os.walk(base):
        visited += len(folders) + len(files)
        if visited > MAX_VISITED:
            raise TooMany
        inside = os.path.relpath(here, base)
        depth = 0 if inside == os.curdir else inside.count(os.sep) + 1
        if not hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
        if deepest is not None and depth >= deepest:
            folders.clear()
        for name in files:
            yield (name if depth == 0 else os.path.join(inside, name)).replace(os.sep, "/")


def _regex(parts: list[str]) -> Iterator[str]:
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            yield r"(?:[^/.][^/]*/)*" + (r"[^/.][^/]*" if last else "")
        else:
            yield ("" if part.startswith(".") else r"(?!\.)") + _segment(part) + "/" * (not last)


def _segment(part: str) -> str:
    """One name of a pattern as a regular expression."""
    regex, position = "", 0
    while position < len(part):
        letter, found = part[position], _SET.match(part, position)
        if letter == "[" and found and found[2]:
            inside = re.sub(r"([\\\[^&~|])", r"\\\1", found[2])
            if inside.startswith("]"):
                inside = "\\" + inside
            regex += f"[{'^' if found[1] else ''}{inside}]"
            position = found.end()
            continue
        regex += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
        position += 1
    return regex
