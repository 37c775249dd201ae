"""Text of an index made safe to print: short, and without what a terminal would obey."""

from __future__ import annotations

_SHOWN = 80


def shortened(text: str) -> str:
    """``text`` with its middle left out where it is long."""
    if len(text) <= _SHOWN:
        return text
    half = (_SHOWN - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def shown(text: str) -> str:
    """``text`` as one short printable line: control characters escaped, the middle left out."""
    return printable(shortened(text))


def printable(text: str) -> str:
    """``text`` with everything that is not a printable character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
