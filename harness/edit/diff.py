"""Unified diffs from the places that change, as ``git apply`` and ``patch -p1`` take them.

Only what changes and three lines around it are looked at, so that a diff of a large file costs no
more than one of a small file. No line with a secret of a URL is repeated: the context ends before
it, and where that line itself changes it is shown without, which a line above the diff says.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from harness.edit.yaml_edit import Replacement, YamlFile, apply_replacements
from zoo._util.text import without_secrets

_CONTEXT = 3
_SHORT = "# lines with secrets stand beside: git apply --unidiff-zero, or zoo fix --write\n"
_MASKED = "# a line that changes holds a secret, shown as ***: write it with zoo fix --write\n"
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

    def is_secret(self, number: int) -> bool:
        """Whether a line holds a password, a token or a signature of a URL."""
        line = self.between(number, number + 1)
        return without_secrets(line) != line

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
    hunks = [*_hunks(lines, changes)]
    said = _SHORT * any(bare for _, bare in hunks)
    text = "".join(text for text, _ in hunks)
    masked = without_secrets(text)
    return (said if masked == text else _MASKED) + head + masked


def _hunks(lines: Lines, changes: list[Replacement]) -> Iterator[tuple[str, bool]]:
    """The hunks, each with whether it has no context because of secrets."""
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
        if hunk and (
            block[0] - hunk[-1][1] > 2 * _CONTEXT
            or any(map(lines.is_secret, range(hunk[-1][1], block[0])))
        ):
            text, grown, bare = _hunk(lines, hunk, moved)
            yield text, bare
            moved, hunk = moved + grown, []
        hunk.append(block)
    text, _, bare = _hunk(lines, hunk, moved)
    yield text, bare


def _context(lines: Lines, first: int, last: int) -> tuple[int, int, bool]:
    """Where the context of changed lines begins and ends, and whether secrets leave none behind.

    Patches with less behind a change than before it are for the end of a file.
    """
    before = [*range(max(0, first - _CONTEXT), first)]
    behind = [*range(last, min(len(lines), last + _CONTEXT))]
    above = len([*takewhile(lambda n: not lines.is_secret(n), reversed(before))])
    below = len([*takewhile(lambda n: not lines.is_secret(n), behind)])
    if below < len(behind):
        above = min(above, below)
    return first - above, last + below, bool(behind) and not below


def _hunk(
    lines: Lines, blocks: list[tuple[int, int, list[Replacement]]], moved: int
) -> tuple[str, int, bool]:
    """One hunk, by how many lines it makes the text longer, and whether secrets left it bare."""
    first, last, bare = _context(lines, blocks[0][0], blocks[-1][1])
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
    return where + "".join(body), new - old, bare


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
