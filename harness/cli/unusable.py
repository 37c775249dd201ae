"""The report of a run that can't be: no variant, and what is wrong where the index is the cause."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.check.schema import finding_of
from harness.types import Report
from zoo import __version__
from zoo.index import load_index, local_index


def report_of(paths: Sequence[Path]) -> Report:
    """What is wrong in the files of an index; nothing where they are not what is wrong."""
    started = datetime.now(timezone.utc)
    here = local_index()
    index = load_index(paths or ([] if here is None else [here]))
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return Report(
        environment={
            "zoo": __version__,
            "torch": torch,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": "none",
            "started": started.isoformat(timespec="seconds"),
            "seconds": (datetime.now(timezone.utc) - started).total_seconds(),
        },
        variants=(),
        findings=tuple(map(finding_of, index.problems if index.unusable else ())),
    )
