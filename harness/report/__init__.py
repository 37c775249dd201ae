"""Reports for a reader: one module per output format; nothing is judged here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from zoo._util.text import nearest

if TYPE_CHECKING:
    # Reading an index is not needed to parse a command line, nor to say how to print.
    from harness.types import Report

ENTRY_POINTS = "zoo.formats"

# Named and not imported: a run loads the one format that it prints, and these need `Options`.
_VIEW = "harness.report.view"
_OWN = {
    "table": "harness.report.table",
    "json": "harness.report.document",
    "markdown": "harness.report.markdown",
    "csv": "harness.report.document:csv",
    "concise": "harness.report.document:concise",
    "junit": "harness.report.junit",
    "sarif": "harness.report.sarif",
    "github": "harness.report.github",
}


def _again(without: Collection[str], more: Sequence[str]) -> str:
    return " ".join(("zoo verify --all", *more))


@dataclass(frozen=True, slots=True)
class Options:
    """How a report is shown; each format heeds what concerns it.

    Attributes:
        width: columns of the reader's terminal; None where there is none (a pipe, a file), and a
            line may be as long as it needs to be.
        color: colour may be used.
        verbose: every finding in full, matches included.
        quiet: errors, warnings and the summary alone.
        folder: the working folder relative to its repository's top; empty where it is the top, or
            not known.
        top: the repository's top as an absolute path, or the working folder where that is not
            known; empty where no format needs it.
        repeat: the options that a command takes to see what this run saw.
        again: the command that verifies the same once more, without some options and with others.
    """

    width: int | None = None
    color: bool = False
    verbose: bool = False
    quiet: bool = False
    folder: str = ""
    top: str = ""
    repeat: str = ""
    again: Callable[[Collection[str], Sequence[str]], str] = _again


class Format(Protocol):
    """Writes a report for one kind of reader; it judges nothing and changes nothing."""

    def __call__(self, report: Report, *, out: TextIO, options: Options) -> None:
        """Write the whole report to ``out``."""


class UnknownFormatError(LookupError):
    """No format has that name; the message lists those there are."""


def formats() -> tuple[str, ...]:
    """The names of the formats that come with the package."""
    return tuple(_OWN)


def get_format(name: str) -> Format:
    """The format of that name: the package's own, else a third party's.

    Third parties offer a `Format` as an entry point of the group ``zoo.formats``, looked up only
    for a name that the package does not have: it reads the metadata of everything installed.

    Raises:
        UnknownFormatError: there is no such format.
    """
    if name in _OWN:
        # A document for programs keeps names as they are.
        module, _, function = _OWN[name].partition(":")
        render = getattr(import_module(module), function or "render")
        return _presenting(render, names=name not in ("json", "csv"))
    from importlib.metadata import entry_points

    offered = entry_points(group=ENTRY_POINTS)
    for point in offered:
        if point.name == name:
            return cast(Format, point.load())
    names = [*_OWN, *sorted(point.name for point in offered)]
    near = nearest(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UnknownFormatError(f"there is no format {name!r}; {hint}there are {', '.join(names)}")


def _presenting(render: Format, *, names: bool) -> Format:
    """The same format for a report in which what is foreign is cut, and visible in messages."""

    def present(report: Report, *, out: TextIO, options: Options) -> None:
        presentable = import_module(_VIEW).presentable
        render(presentable(report, names=names), out=out, options=options)

    return present
