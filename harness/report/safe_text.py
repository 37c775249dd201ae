"""Makes text from an index harmless where it is shown.

A name or a URL of an index is written by somebody else. Shown as it is, it could clear a screen,
hide a line, turn right to left what a reader sees, or put a link and a picture into a comment.
"""

from __future__ import annotations

import re
import unicodedata

# Controls (C0, C1, DEL), formatting (bidirectional overrides, zero width, tags), lone surrogates,
# line and paragraph separators. Private use characters have no agreed look, and are shown as well.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;", '"': "&quot;"}
_BACKSLASHED = frozenset("`*_[]~$!")
_ZERO_WIDTH_SPACE = "&#8203;"
# What GitHub and its kin turn into links: mentions, issue numbers, and addresses. A reference
# alone does not stop the first two, as they are searched for after references are resolved.
_REFERENCE = re.compile(r"[@#](?=\w)|GH-(?=\d)", re.IGNORECASE)
_ADDRESS = re.compile(r":(?=/)|(?<=www)\.", re.IGNORECASE)


def for_terminal(text: str) -> str:
    r"""The text with everything that a terminal could obey written out, as in ``\x1b``.

    The result is one line of printable characters. It is no markup of any kind: print it as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _UNSAFE:
        return char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def for_markdown(text: str) -> str:
    """The text as Markdown that shows the same text, inside a paragraph or a table's cell.

    Nothing in it starts a tag, a link, an emphasis, a code span, a mention or another cell. It is
    meant for the middle of a line: a lone ``-`` or ``1.`` at the start of one would be a list.
    """
    marked = _REFERENCE.sub(lambda m: m[0] + "\0", for_terminal(text))
    marked = _ADDRESS.sub(lambda m: "\1" if m[0] == ":" else "\2", marked)
    return "".join(map(_escaped, marked))


def _escaped(char: str) -> str:
    if char in _BACKSLASHED:
        return "\\" + char
    return _ENTITIES.get(char) or _MARKS.get(char, char)


# Stand-ins that cannot come from the text, because its control characters are written out before.
_MARKS = {"\0": _ZERO_WIDTH_SPACE, "\1": "&#58;", "\2": "&#46;"}


def shorten(text: str, limit: int = 300) -> str:
    """The text, or its beginning and an ellipsis where it has more than ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
