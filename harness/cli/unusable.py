"""The report of an index that yields no variant: only what is wrong in it."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

from harness.check.schema import finding_of
from harness.run.request import Request
from harness.types import Report
from zoo import __version__
from zoo.index import default_index, load_index


def report_of(request: Request) -> Report | None:
    """What is wrong in the files of the request; None where they are not what is wrong."""
    started = datetime.now(timezone.utc)
    index = load_index(request.index or (default_index(),))
    if not index.unusable:
        return None
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
        findings=tuple(map(finding_of, index.problems)),
    )
