"""Unified diffs from the places that change, as ``git apply`` and ``patch -p1`` take them.

Only what changes and three lines around it are looked at, so that a diff of a large file costs no
more than one of a small file.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.edit.yaml_edit import Replacement, YamlFile, apply_replacements

_CONTEXT = 3
_NEEDS_QUOTES = re.compile(r'["\\\x00-\x1f\x7f]')
_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r", '"': r"\"", "\\": r"\\"}


@dataclass(frozen=True)
class Lines:
    """A file's text cut into lines at line feeds, as patches count them; its mark included."""

    file: YamlFile

    @cached_property
    def text(self) -> str:
        return self.file.mark + self.file.text

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins, and where the text ends."""
        inner = [m.end() for m in re.finditer("\n", self.text) if m.end() < len(self.text)]
        return [0, *inner, len(self.text)] if self.text else [0]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def between(self, first: int, last: int) -> str:
        """The lines from the first up to, not including, the last, counted from 0."""
        return self.text[self.starts[first] : self.starts[last]]

    def holding(self, change: Replacement) -> tuple[int, int]:
        """The lines that a replacement changes; none for whole lines put between two."""
        starts = self.starts
        if change.start == len(self.text) and self.text.endswith("\n"):
            return len(self), len(self)
        first = bisect_right(starts, change.start, 0, len(self)) - 1
        if change.start == change.end:
            whole = change.text.endswith("\n") and starts[first] == change.start
            return first, first if whole else first + 1
        return first, bisect_right(starts, change.end - 1, 0, len(self))


def unified_diff(lines: Lines, replacements: Iterable[Replacement]) -> str:
    """What the replacements do to a file, with paths relative to the working folder."""
    shift = len(lines.file.mark)
    changes = [Replacement(r.start + shift, r.end + shift, r.text) for r in replacements]
    if not changes:
        return ""
    name = _name(lines.file.path)
    head = f"--- {_shown('a/' + name)}\n+++ {_shown('b/' + name)}\n"
    return head + "".join(_hunks(lines, changes))


def _hunks(lines: Lines, changes: list[Replacement]) -> Iterator[str]:
    blocks: list[tuple[int, int, list[Replacement]]] = []
    for change in sorted(changes, key=lambda r: (r.start, r.end)):
        first, last = lines.holding(change)
        if blocks and first <= blocks[-1][1]:
            begin, end, together = blocks[-1]
            together.append(change)
            blocks[-1] = (begin, max(last, end), together)
        else:
            blocks.append((first, last, [change]))
    moved = 0
    hunk: list[tuple[int, int, list[Replacement]]] = []
    for block in blocks:
        if hunk and block[0] - hunk[-1][1] > 2 * _CONTEXT:
            text, grown = _hunk(lines, hunk, moved)
            yield text
            moved, hunk = moved + grown, []
        hunk.append(block)
    yield _hunk(lines, hunk, moved)[0]


def _hunk(
    lines: Lines, blocks: list[tuple[int, int, list[Replacement]]], moved: int
) -> tuple[str, int]:
    """One hunk, and by how many lines it makes the text longer."""
    first = max(0, blocks[0][0] - _CONTEXT)
    last = min(len(lines), blocks[-1][1] + _CONTEXT)
    body: list[str] = []
    position, old, new = first, 0, 0
    for begin, end, changes in blocks:
        body += _marked(" ", lines.between(position, begin))
        offset = lines.starts[begin]
        inner = [Replacement(c.start - offset, c.end - offset, c.text) for c in changes]
        before = lines.between(begin, end)
        removed = list(_marked("-", before))
        added = list(_marked("+", apply_replacements(before, inner)))
        body += removed + added
        old, new = old + len(removed), new + len(added)
        position = end
    body += _marked(" ", lines.between(position, last))
    same = len(body) - old - new
    old, new = old + same, new + same
    where = f"@@ -{_range(first, old)} +{_range(first + moved, new)} @@\n"
    return where + "".join(body), new - old


def _marked(sign: str, text: str) -> Iterator[str]:
    for line in re.findall("[^\n]*\n|[^\n]+", text):
        yield (
            f"{sign}{line}" if line[-1] == "\n" else f"{sign}{line}\n\\ No newline at end of file\n"
        )


def _range(first: int, count: int) -> str:
    if count == 1:
        return str(first + 1)
    return f"{first + 1 if count else first},{count}"


def _name(path: str) -> str:
    """The path from the working folder, or, of a file elsewhere, from the root of the disk."""
    try:
        full, here = os.path.abspath(path), os.getcwd()
        inside = os.path.commonpath([full, here]) == here
    except ValueError:  # another drive
        inside = False
    except OSError:  # The working folder is gone.
        full, inside = path, False
    name = os.path.relpath(full) if inside else os.path.splitdrive(full)[1]
    return name.replace(os.sep, "/").lstrip("/")


def _shown(name: str) -> str:
    """A name as ``git diff`` shows it: in quotes where it holds what would end it."""
    if _NEEDS_QUOTES.search(name):
        inner = _NEEDS_QUOTES.sub(lambda m: _ESCAPES.get(m[0], f"\\{ord(m[0]):03o}"), name)
        return f'"{inner}"'
    return f"{name}\t" if " " in name else name
