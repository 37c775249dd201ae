"""`zoo table` and `zoo cards`: what was measured, for the pages where people choose a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import command, look_up
from harness.cli.output import WARNING, Failure, emit, say
from harness.cli.show import known_report
from harness.config import RunConfig, UsageError
from zoo._util.text import for_terminal, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.docs.table_blocks import TableBlock
    from harness.run.session import Session
    from harness.types import Report
    from zoo.index.types import Index, Variant

# What chooses measurements of the store, and what an accuracy depends on.
_TAKEN = (
    *("index", "builder", "checks", "baseline", "device"),
    *("data", "dataset", "samples", "amp", "decode"),
)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Variants, what was measured of them, and where that is from."""

    session: Session
    report: Report
    place: Path | None


def _measured(config: RunConfig, place: Path | None) -> _Measured:
    """What a report, or else the store, has of the variants that are chosen."""
    if place is None:
        session, report = known_report(config, stands_in=False)
        if not any(any(_plain(each.measurements)) for each in report.variants):
            again = config.command("verify", *(config.select or ("--all",)))
            say(f"nothing is measured of these yet; {again} measures them", WARNING)
        return _Measured(session, report, None)
    from harness.docs.measured import has_report

    if not has_report(place):
        raise UsageError(
            f"--report: {place}: there is no report; zoo report --output {place} writes one"
        )
    session = look_up(config, stands_in=False)
    return _Measured(session, _read(place, session.variants, config), place)


def _read(place: Path, variants: Sequence[Variant], config: RunConfig) -> Report:
    """The report there; what it lacks is said."""
    from harness.docs.measured import read_report
    from harness.report.folder import FolderError

    try:
        report = read_report(place, variants, config.builder or config.usual_builder)
    except FolderError as error:
        raise Failure(str(error)) from error
    lacking = [each.name for each in report.variants if not any(_plain(each.measurements))]
    if lacking:
        more = f" and {len(lacking) - 3:,} more" if len(lacking) > 3 else ""
        names = for_terminal(", ".join(lacking[:3]))
        say(f"{place}: has no measurement of {names}{more}; zoo report writes it anew", WARNING)
    return report


def _plain(measurements: object) -> list[object]:
    return [*measurements.values()] if isinstance(measurements, dict) else []


@command(*_TAKEN, selects="What to compare. Default: all.")
def table(config: RunConfig, *, report: Path | None, format: str, columns: tuple[str, ...]) -> None:
    """A heading says of each number whether it is documented or measured. Nothing is built, and no
    server is asked: what was measured is in the store, or in the report that is named. Between
    <!-- zoo:table columns=variant,top1 variants=ResNeSt --> and <!-- /zoo:table --> of a page,
    zoo docs writes the same table.
    """
    from harness.docs.measured import report_rows
    from harness.report.columns import comparison_table, usual

    found = _measured(config, report)
    rows = report_rows(found.report, found.place)
    emit(comparison_table(rows, columns or usual(rows), format))


def block_table(index: Index, config: RunConfig, block: TableBlock, usual_report: Path) -> str:
    """The table of a block of a page, from the index and a written report.

    Raises:
        UsageError: it names variants or a report that there are not.
    """
    from harness.docs.measured import has_report, nothing_measured, read_report, report_rows
    from harness.report.columns import comparison_table, usual
    from harness.report.folder import FolderError
    from harness.run.plan import select

    variants = select(index, block.variants)
    place = Path(block.report) if block.report else usual_report
    builder = config.usual_builder
    try:
        report = (
            read_report(place, variants, builder)
            if block.report or has_report(place)
            else nothing_measured(variants, builder)
        )
    except FolderError as error:
        raise UsageError(str(error)) from error
    rows = report_rows(report, place)
    return comparison_table(rows, block.columns or usual(rows), block.format)


@command(*_TAKEN, selects="Whose card to write. Default: all.")
def cards(config: RunConfig, *, report: Path | None, output: Path, report_url: str | None) -> None:
    """DIR/VARIANT/ is as a repository of the Hub: README.md, and .eval_results/ where ImageNet's
    validation set was counted. The model-index states what was measured, and nothing else; what
    is documented stands below, under that name. --index DIR reads the cards back. Nothing is built,
    and no server is asked. Files that were not written by this command are never replaced.
    """
    from harness.docs.cards import CardMaker, MissingHub, write_cards
    from harness.report.folder import FolderError, NotOurs
    from harness.report.source import linker

    if output.exists() and not output.is_dir():
        raise UsageError(f"--output: {output}: is no folder; name one for the cards")
    found = _measured(config, report)
    if report_url is None and report is not None:
        address = linker(None)((report / "comparison.md").as_posix())
        report_url = address and address.partition("#")[0]
    try:
        made = CardMaker(found.report, report_url).cards(found.session.variants)
        for line in made.remarks:
            say(line, WARNING)
        written = write_cards(made, output)
    except MissingHub as error:
        raise UsageError(str(error)) from error
    except NotOurs as error:
        raise UsageError(str(error)) from error
    except FolderError as error:
        raise Failure(str(error)) from error
    if not written:
        say(f"{plural(len(made.cards), 'card')}, up to date")
    emit("".join(f"{for_terminal(str(path))}\n" for path in written))
