"""Reports made by hand: every kind of finding."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from factories import finding

from harness.causes import CAUSES
from harness.report import Options, get_format
from harness.types import Finding, Report, VariantReport

ENVIRONMENT = {
    "zoo": "0.1",
    "torch": "2.4.0",
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64",
    "device": "cpu",
    "started": "2025-01-02T03:04:05Z",
    "seconds": 4.25,
}


def report(*findings: Finding, **changes: object) -> Report:
    """A report of one variant with these findings."""
    variants = (VariantReport("net50", "Net", "zoo", {"parameters": 27483240}),)
    values = {"environment": ENVIRONMENT, "variants": variants, "findings": findings}
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def every_kind() -> list[Finding]:
    """Each status, each severity, each cause, and null wherever the document allows it."""
    match = {"status": "match", "severity": None, "cause": None}
    kinds = [finding(**match)]
    for cause in CAUSES.values():
        status = "mismatch" if cause.severity else "unverified"
        kinds.append(finding(status=status, severity=cause.severity, cause=cause.id))
    nothing = dict.fromkeys(("variant", "documented", "measured", "location"))
    return [
        *kinds,
        finding(status="unverified", severity="error", cause="build.failed"),
        finding(severity="error", cause="flops.convention"),
        finding(**nothing),
        finding(**match, **nothing),
        finding(status="unverified", severity=None, cause="accuracy.no-data", **nothing),
        finding(measured="bicubic"),
        finding(measured=0.875, fix="--- a\n+++ b\n"),
    ]


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    return finding


@pytest.fixture
def make_report() -> Callable[..., Report]:
    return report


@pytest.fixture
def all_findings() -> list[Finding]:
    return every_kind()


@pytest.fixture
def shown() -> Callable[..., str]:
    """What a format writes for a report, with these options."""

    def show(name: str, what: Report, **options: object) -> str:
        out = io.StringIO()
        get_format(name)(what, out=out, options=Options(**options))  # type: ignore[arg-type]
        return out.getvalue()

    return show
