"""Sizes in pixels as people write them: ``224``, ``256px``, ``3x256x256``, ``(256, 256)``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

UNITS = {unit: Decimal(1) for unit in ("px", "pixel", "pixels")}

_CHANNELS = ("1", "2", "3", "4")
_BRACKETS = {"(": ")", "[": "]"}
_SEPARATOR = re.compile(r"\s*[xX×*;]\s*|\s*,\s+")
# ``256,256`` is a pair; ``1,024`` is a number with its thousands set apart.
_TIGHT = re.compile(r"(?:[1-4],)?[0-9]{3},[0-9]{3}")
_UNIT = re.compile(r"(?<=[0-9)\]])\s*(?:px|pixels?)", re.IGNORECASE)


def sides(text: str) -> list[str] | None:
    """The text's one side or its height and width, without units; None where it has others.

    A number of channels may stand before the sides, and before it a batch of one, as tensors are
    printed: ``1x3x224x224``.
    """
    text = text.strip()
    if text.casefold().endswith(tuple(UNITS)):
        # A unit behind the last side is that of all.
        text = _UNIT.sub("", text)
    if text and _BRACKETS.get(text[0]) == text[-1:]:
        text = text[1:-1].strip().removesuffix(",").rstrip()
    if _TIGHT.fullmatch(text):
        return spatial(text.split(","))
    return spatial([part.strip() for part in _SEPARATOR.split(text)])


def spatial(parts: Sequence[str]) -> list[str] | None:
    """The sides among the dimensions of an input; None where these are none of an image."""
    parts = list(parts)
    if len(parts) == 4 and parts[0] == "1":
        parts = parts[1:]
    if len(parts) == 3 and parts[0] in _CHANNELS:
        parts = parts[1:]
    return parts if len(parts) in (1, 2) and all(parts) else None
