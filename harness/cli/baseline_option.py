"""Known findings on the command line: `--baseline` and `--write-baseline`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand

from harness.cli.output import say

if TYPE_CHECKING:
    from harness.edit.baseline import Baseline
    from harness.types import Report

_WRITE = "--write-baseline"


class WritesBaseline(TyperCommand):
    """A command whose ``--write-baseline`` may be followed by the path of a YAML file."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Read the path as that of ``--baseline``; no variant's name ends as it does."""
        rest: list[str] = []
        for number, word in enumerate(args):
            if word.startswith(f"{_WRITE}="):
                rest += [_WRITE, "--baseline", word.partition("=")[2]]
            elif number and args[number - 1] == _WRITE and word.endswith((".yml", ".yaml")):
                rest += ["--baseline", word]
            else:
                rest.append(word)
        return super().parse_args(ctx, rest)


@dataclass(frozen=True, slots=True)
class BaselineOption:
    """The baseline of a run.

    Attributes:
        baseline: the entries, None where there is no baseline.
        writes: it is to be brought up to date by this run.
        groups: the groups of checks that the run makes.
    """

    baseline: Baseline | None
    writes: bool
    groups: Collection[str]

    def applied(self, report: Report) -> Report:
        """The report with accepted findings marked, after the baseline was written if it is to be.

        Where it can't be written, the run has failed, and the report says so.
        """
        if self.baseline is None:
            return report
        from harness.edit.baseline_apply import BaselineFileError, apply_baseline

        today = datetime.now(timezone.utc).date()
        baseline = self.baseline
        if self.writes and report.cut_short is not None:
            say(f"{baseline.path}: not written, because the run did not come to its end")
        elif self.writes:
            try:
                baseline = self._written(report, today)
            except BaselineFileError as error:
                report = replace(report, cut_short=str(error))
        return apply_baseline(report, baseline, self.groups, today)

    def _written(self, report: Report, today: date) -> Baseline:
        from harness.edit.baseline_apply import write_baseline

        assert self.baseline is not None
        made = write_baseline(report, self.baseline, self.groups, today)
        path, number = made.baseline.path, len(made.baseline.entries)
        entries = "1 entry" if number == 1 else f"{number} entries"
        say(f"{path}: {entries}, {made.added} new, {made.removed} removed")
        if made.expired:
            say(f"{path}: {made.expired} of them expired; a new day is yours to give")
        return made.baseline


def baseline_option(
    path: Path | None, groups: Collection[str], *, writes: bool = False
) -> BaselineOption:
    """Read the baseline at that path, before anything is measured.

    Raises:
        UsageError: something in it is wrong, or it is not there and is not to be written.
    """
    if path is None and not writes:
        return BaselineOption(None, False, groups)
    from harness.edit import baseline

    entries = baseline.read_baseline(path or Path(baseline.DEFAULT), missing=writes)
    return BaselineOption(entries, writes, groups)
