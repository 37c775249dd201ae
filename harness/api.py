"""The Python API: a run as `zoo verify` and `zoo audit` make it, returned and not printed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.config import RunConfig, UsageError, configure
from harness.measure.count import CountError, Counts, count_flops
from harness.run.progress import Progress
from harness.run.session import prepare
from harness.types import Report

__all__ = ["CountError", "Counts", "Report", "UsageError", "audit", "count_flops", "verify"]

Index = str | Path | Sequence[str | Path]
# What steers the command's output, and means nothing to a caller who is handed the report.
_OF_THE_COMMAND = ("format", "fail_on", "strict", "quiet", "verbose")


def verify(
    index: Index,
    variants: str | Sequence[str] = (),
    *,
    builder: str | None = None,
    data: Index | None = None,
    baseline: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Measure variants, and hold what is documented against it.

    Neither ``[tool.zoo]`` of a pyproject.toml nor environment variables are read. Measurements are
    kept in the same store as the command's, unless ``no_store`` is set.

    Args:
        index: a YAML file, a Markdown page, a folder of these, or ``package:NAME``; or several.
        variants: names, globs or collections; every variant by default.
        builder: who builds the models; by default whom the index names, else this package.
        data: images to measure accuracies on, or ``sample``; or several, one for each dataset.
        baseline: a file of known findings, which are marked as accepted.
        progress: what follows the run; by default warnings alone are passed on, as `warnings`.
        **options: any other option of `zoo verify` that says what is measured or how, with
            underscores: ``checks=["flops"]``, ``device="cuda"``, ``offline=True``,
            ``cross_check="fvcore"`` ...

    Returns:
        The report. ``cut_short`` says what ended the run early, None where nothing did.

    Raises:
        UsageError: an argument is wrong, or the index yields no variant; one line for each mistake.
        KeyboardInterrupt: it was interrupted; what was measured by then is in the store.
    """
    wrong = [f"{name}: steers what the command prints" for name in _OF_THE_COMMAND]
    wrong = [line for line in wrong if line.partition(":")[0] in options]
    if wrong:
        raise UsageError(*(f"{line}; leave it out" for line in wrong))
    given = {**options, "index": index, "builder": builder, "baseline": baseline}
    chosen = (variants,) if isinstance(variants, str) else tuple(variants)
    with _argument_names():
        config = configure(chosen, data=data, **given)
        session = prepare(config)
    follower = _Warnings() if progress is None else progress
    try:
        report = session.verify(follower)
    finally:
        follower.close()
    if report.cut_short == "interrupted":
        raise KeyboardInterrupt
    return _accepted(report, config)


def audit(index: Index, *, baseline: str | Path | None = None) -> Report:
    """Check an index by itself, without building or measuring anything.

    Args:
        index: as `verify` takes it.
        baseline: a file of known findings, which are marked as accepted.

    Raises:
        UsageError: the index yields no variant, or an argument is wrong; one line for each mistake.
    """
    with _argument_names():
        config = configure(index=index, checks=["metadata"], baseline=baseline)
        session = prepare(config, builds=False)
    return _accepted(session.audit(), config)


@contextmanager
def _argument_names() -> Iterator[None]:
    """Name arguments as Python does, where an error names the command's options."""
    try:
        yield
    except UsageError as error:
        raise UsageError(*(line.removeprefix("--") for line in error.lines)) from None


def _accepted(report: Report, config: RunConfig) -> Report:
    if config.baseline is None:
        return report
    from harness.edit.baseline import read_baseline
    from harness.edit.baseline_apply import apply_baseline

    today = datetime.now(timezone.utc).date()
    baseline = read_baseline(config.baseline)
    return apply_baseline(report, baseline, config.checks, today)


class _Warnings(Progress):
    """Passes on what a run has to do without."""

    def warn(self, sentence: str) -> None:
        warnings.warn(sentence, RuntimeWarning, stacklevel=4)
