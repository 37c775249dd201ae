"""The report as the compact JSON that the page's script reads.

A page of 300 variants holds some 3,000 findings and as many claims and facts, and repeats many
texts: each is written once, and named by its number everywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from harness.causes import CAUSES
from harness.report.html.changes import Changes, key
from harness.report.html.facts import Block, blocks
from harness.report.pareto import plain_data
from harness.report.sentences import place, value
from harness.report.view import STATUSES, Row, rows, standing
from harness.types import Finding, Report, VariantReport
from zoo._util.text import for_terminal, truncate
from zoo.index.types import Claim

_LONGEST = 2000
# The columns of a row that are texts.
_TEXTS = (
    *("name", "collection", "builder", "dataset"),
    *("flops_convention_claimed", "images_per_second_device"),
)


class PageTexts:
    """Every text of the page, once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str | None) -> int:
        """The number of a text that is shown; -1 for none.

        Characters that would not be seen, or that turn others around, are written out.
        """
        if text is None:
            return -1
        # A patch keeps its lines.
        shown = "\n".join(for_terminal(line) for line in truncate(text, _LONGEST).split("\n"))
        if shown not in self._numbers:
            self._numbers[shown] = len(self.all)
            self.all.append(shown)
        return self._numbers[shown]


def page_data(report: Report, changes: Changes) -> str:
    """The JSON text, safe inside a script element of HTML."""
    texts = PageTexts()
    table = rows(report)
    names = unique_names(table)
    variants = [
        _variant(texts, name, row, variant)
        for name, row, variant in zip(names, table, report.variants, strict=True)
    ]
    collections = {v.name: v.collection for v in report.variants}
    gravest = sorted(report.findings, key=lambda finding: STATUSES.index(standing(finding)))
    states = [(f, "new" if key(f) in changes.new else "") for f in gravest]
    states += [(f, "fixed") for f in changes.fixed]
    states += [(f, "unseen") for f in changes.unseen]
    findings = [_finding(texts, f, collections, state) for f, state in states]
    causes = {finding.cause for finding, _ in states if finding.cause in CAUSES}
    return for_script(
        {
            "variants": variants,
            "findings": findings,
            "causes": {
                texts(cause.id): [texts(_prose(cause.meaning)), texts(_prose(cause.remedy))]
                for cause in map(CAUSES.__getitem__, sorted(filter(None, causes)))
            },
            "compared": changes.compared,
            "plots": plain_data(table),
            "texts": texts.all,
        }
    )


def for_script(data: Any) -> str:
    r"""JSON in which nothing ends, or comments out, the script element that holds it.

    It holds ASCII alone, so that line separators (U+2028) and lone surrogates are escaped as well.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def unique_names(table: Iterable[Row]) -> list[str]:
    """What a link calls each variant: its name, with a number where several have the same."""
    seen: dict[str, int] = {}
    names = []
    for row in table:
        seen[row.name] = seen.get(row.name, 0) + 1
        name = for_terminal(row.name)
        names.append(name if seen[row.name] == 1 else f"{name} #{seen[row.name]}")
    return names


def _finding(
    texts: PageTexts, finding: Finding, collections: Mapping[str, str | None], change: str
) -> list[int | str]:
    """The order is the one in which ``data.js`` takes it apart."""
    return [
        texts(finding.variant),
        texts(collections.get(finding.variant or "")),
        texts(finding.field),
        texts(finding.check),
        finding.status,
        finding.severity or "",
        texts(finding.cause),
        texts(finding.documented),
        texts(None if finding.measured is None else value(finding.measured)),
        texts(finding.message),
        texts(None if finding.location is None else place(finding)),
        texts(finding.fix),
        change,
        texts(finding.accepted),
    ]


def _variant(texts: PageTexts, name: str, row: Row, variant: VariantReport) -> dict[str, Any]:
    values = {k: v for k, v in asdict(row).items() if v is not None}
    return {
        **values,
        "key": name,
        **{name: texts(getattr(row, name)) for name in _TEXTS},
        "place": texts(None if variant.location is None else str(variant.location)),
        "claims": [_claim(texts, claim, variant) for claim in variant.claims],
        "facts": [_block(texts, block) for block in blocks(variant.facts)],
    }


def _claim(texts: PageTexts, claim: Claim, variant: VariantReport) -> list[int]:
    about = ", ".join(filter(None, (claim.task, claim.dataset)))
    return [texts(claim.field), texts(claim.raw), texts(str(claim.location)), texts(about or None)]


def _block(texts: PageTexts, block: Block) -> list[Any]:
    return [
        texts(block.title),
        [[texts(name), texts(value)] for name, value in block.lines],
        [texts(name) for name in block.head],
        [[texts(cell) for cell in cells] for cells in block.rows],
        -1 if block.share is None else block.share,
        texts(block.provenance or None),
    ]


def _prose(markdown: str) -> str:
    """A sentence of the table of causes without the backquotes that it has for Markdown."""
    return markdown.replace("`", "")
