"""Where things stand in a text: offsets to lines and columns."""

from __future__ import annotations

import re
from bisect import bisect_right

from zoo._util.text import printable
from zoo.index.types import Location

_BREAK = re.compile(r"\r\n|\n|\r")


class Source:
    """A text and the name its reader gave it.

    Args:
        file: the name to report, as the user wrote it.
        text: the decoded text, its line breaks untouched, without a byte order mark.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = printable(file)
        self.text = text
        # YAML 1.1 also breaks lines at NEL, LS and PS; editors don't, so the parser's own line
        # numbers would mislead.
        self._starts = [0, *(m.end() for m in _BREAK.finditer(text))]

    def locate(self, index: int) -> Location:
        """The line and column of an offset, both counted from 1, in characters."""
        line = bisect_right(self._starts, index)
        return Location(self.file, line, index - self._starts[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """The offset of a line, counted from 1, and a column in bytes of UTF-8, counted from 0."""
        start = self._starts[line - 1]
        # No character is longer in text than in bytes, so that this much text is enough.
        return start + len(self.text[start : start + column].encode()[:column].decode())
