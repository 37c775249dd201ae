"""The values of a plain index as a text editor sees them, found without a YAML reader."""

from __future__ import annotations

import re
from dataclasses import dataclass

LINE = re.compile(r"(?P<indent> *)(?P<dash>- )?(?:(?P<key>[A-Z][\w ]*):)?(?P<gap> ?)(?P<value>.*)")


@dataclass(frozen=True)
class Site:
    """One value in the file: where it is, whose it is, and what it says."""

    line: int
    start: int
    variant: str | None
    field: str
    text: str
    item: bool

    @property
    def label(self) -> str:
        return f"line {self.line}, {self.variant} {self.field}"


def sites_of(text: str) -> list[Site]:
    """Every scalar of the file, list items included, found without a YAML reader."""
    found: list[Site] = []
    variant, models, parent = None, False, ""
    for number, line in enumerate(text.splitlines(), 1):
        match = LINE.fullmatch(line)
        assert match is not None, line
        key, value = match["key"], match["value"]
        if key == "Models":
            models = True
        if models and match["indent"] == "" and match["dash"] and key == "Name":
            variant = value
        if not value:
            parent = key
            continue
        field = key or parent
        start = match.start("value")
        found.append(Site(number, start, variant, field, value, item=key is None))
    return found


def edited(text: str, site: Site, value: str) -> str:
    """The text with one value replaced."""
    lines = text.splitlines(keepends=True)
    line = lines[site.line - 1]
    assert line[site.start :].rstrip("\n") == site.text
    lines[site.line - 1] = line[: site.start] + value + "\n"
    return "".join(lines)
