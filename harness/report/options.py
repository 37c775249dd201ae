"""How a report is to be shown, and what shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    # Reading an index is not needed to parse a command line, nor to say how to print.
    from harness.types import Report


@dataclass(frozen=True, slots=True)
class Options:
    """What a reader asks of a format; each format heeds what concerns it.

    Attributes:
        width: columns of the reader's terminal; None where there is none (a pipe, a file), and a
            line may be as long as it needs to be.
        color: colour may be used.
        verbose: every finding in full, those that match as well.
        quiet: errors, warnings and the summary alone.
        folder: where the working folder is in its repository, for readers that start at the
            repository's top; empty where it is the top itself, or not known.
        top: the repository's top, or the working folder where that is not known, as an absolute
            path; empty where nobody asks for it.
        repeat: the options that a command takes to see what this run saw.
    """

    width: int | None = None
    color: bool = False
    verbose: bool = False
    quiet: bool = False
    folder: str = ""
    top: str = ""
    repeat: str = ""


class Format(Protocol):
    """Writes a report for one kind of reader; it judges nothing and changes nothing."""

    def __call__(self, report: Report, *, out: TextIO, options: Options) -> None:
        """Write the whole report to ``out``."""
