"""The page about causes, made from the one table of them.

``python -m harness.report.causes_page > docs/causes.md`` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from harness.causes import CAUSES, Cause

_INTRODUCTION = """\
# Causes

Every finding that is not a match has a cause. Its id is stable: it can be compared in a script,
and it is the `cause` of a finding in the JSON document. The severity is the one that the cause has
as a rule; a message says so where a finding is graver. This page is made by
`python -m harness.report.causes_page`.
"""

_SECTIONS = (
    ("error", "Errors: what is documented is wrong"),
    ("warning", "Warnings: what is documented needs a second look"),
    ("note", "Notes: good to know"),
    (None, "Not checked: something was missing"),
)


def page() -> str:
    """The whole page in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    for number, (severity, heading) in enumerate(_SECTIONS):
        yield from [""] if number else []
        yield f"## {heading}"
        yield ""
        yield "| cause | severity | meaning | example | remedy |"
        yield "|---|---|---|---|---|"
        yield from (_row(cause) for cause in CAUSES.values() if cause.severity == severity)


def _row(cause: Cause) -> str:
    cells = (f"`{cause.id}`", cause.severity or "none", cause.meaning, cause.example, cause.remedy)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
