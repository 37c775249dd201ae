"""A report as others may read it: without the name of the home folder that it was made in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace

from harness.types import Fact, Report, Unmeasured


def without_home(report: Report) -> Report:
    """The report with ``~`` for the user's home folder in what this program says.

    That is messages, methods, and why something was not measured or came to its end early, such as
    the place of a cached checkpoint. What an index says is quoted as it stands.
    """
    shorten = _shortener(os.path.expanduser("~"))
    findings = (replace(f, message=shorten(f.message)) for f in report.findings)
    variants = (
        replace(variant, facts=tuple(_fact(fact, shorten) for fact in variant.facts))
        for variant in report.variants
    )
    return replace(
        report,
        variants=tuple(variants),
        findings=tuple(findings),
        cut_short=None if report.cut_short is None else shorten(report.cut_short),
    )


def _fact(fact: Fact, shorten: Callable[[str], str]) -> Fact:
    if isinstance(fact, Unmeasured):
        return replace(fact, why=shorten(fact.why))
    return replace(fact, method=shorten(fact.method))


def _shortener(home: str) -> Callable[[str], str]:
    folder = home.rstrip("/\\")
    if not os.path.isabs(folder):  # Nobody's: there is none, or it is the root.
        return lambda text: text
    # The whole path, not the middle of another, nor the beginning of a longer name.
    pattern = re.compile(rf"(?<![\w./\\-]){re.escape(folder)}(?!\.?[\w-])")
    return lambda text: pattern.sub("~", text)
