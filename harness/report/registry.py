"""Finds an output format by its name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from harness.report.options import Format
from zoo._util.text import nearest

ENTRY_POINTS = "zoo.formats"

# Named and not imported: a run loads the one format that it prints.
_OWN = {
    "table": "harness.report.table",
    "json": "harness.report.document",
    "markdown": "harness.report.markdown",
    "junit": "harness.report.junit",
    "sarif": "harness.report.sarif",
    "github": "harness.report.github",
}


class UnknownFormatError(LookupError):
    """No format has that name; the message says which there are."""


def formats() -> tuple[str, ...]:
    """The names of the formats that come with the package."""
    return tuple(_OWN)


def get_format(name: str) -> Format:
    """The format of that name: one of the package's, else one of an installed third party.

    Third parties offer a `Format` as an entry point of the group ``zoo.formats``. They are looked
    up for a name that the package does not know, and only then, because the look-up reads the
    metadata of everything that is installed.

    Raises:
        UnknownFormatError: nobody offers that name.
    """
    if name in _OWN:
        return cast(Format, import_module(_OWN[name]).render)
    from importlib.metadata import entry_points

    offered = entry_points(group=ENTRY_POINTS)
    for point in offered:
        if point.name == name:
            return cast(Format, point.load())
    names = [*_OWN, *sorted(point.name for point in offered)]
    near = nearest(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UnknownFormatError(f"there is no format {name!r}; {hint}there are {', '.join(names)}")
