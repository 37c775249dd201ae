"""The report as the compact JSON that the page's script reads.

A page of 300 variants holds some 3,000 findings and as many claims and facts, and says the same
words over and over: each text is written once, and named by its number everywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from harness.causes import CAUSES
from harness.report import words
from harness.report.page.changes import Changes, key
from harness.report.page.facts import Block, blocks
from harness.report.page.plots import plots
from harness.report.rows import STATUSES, Row, rows, standing
from harness.types import Finding, Report, VariantReport
from zoo._util.text import for_terminal, truncate
from zoo.index.types import Claim

_LONGEST = 2000


class Texts:
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
    texts = Texts()
    table = rows(report)
    names = unique_names(table)
    variants = [
        _variant(texts, name, row, variant)
        for name, row, variant in zip(names, table, report.variants, strict=True)
    ]
    collections = {v.name: v.collection for v in report.variants}
    findings = [
        _finding(texts, finding, collections, "new" if key(finding) in changes.new else "")
        for finding in sorted(report.findings, key=_rank)
    ]
    for state, gone in (("fixed", changes.fixed), ("unseen", changes.unseen)):
        findings += [_finding(texts, finding, collections, state) for finding in gone]
    shown = (*report.findings, *changes.fixed, *changes.unseen)
    causes = {finding.cause for finding in shown if finding.cause in CAUSES}
    return escaped(
        {
            "variants": variants,
            "findings": findings,
            "causes": {
                texts(cause.id): [texts(_prose(cause.meaning)), texts(_prose(cause.remedy))]
                for cause in map(CAUSES.__getitem__, sorted(filter(None, causes)))
            },
            "compared": changes.compared,
            "plots": plots(table),
            "texts": texts.all,
        }
    )


def escaped(data: Any) -> str:
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


def _rank(finding: Finding) -> int:
    return STATUSES.index(standing(finding))


def _finding(
    texts: Texts, finding: Finding, collections: Mapping[str, str | None], change: str
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
        texts(None if finding.measured is None else words.value(finding.measured)),
        texts(finding.message),
        texts(None if finding.location is None else words.place(finding)),
        texts(finding.fix),
        change,
        texts(finding.accepted),
    ]


def _variant(texts: Texts, name: str, row: Row, variant: VariantReport) -> dict[str, Any]:
    values = {k: v for k, v in asdict(row).items() if v is not None}
    return {
        **values,
        "key": name,
        "name": texts(row.name),
        "collection": texts(row.collection),
        "builder": texts(row.builder),
        "dataset": texts(row.dataset),
        "flops_convention_claimed": texts(row.flops_convention_claimed),
        "images_per_second_device": texts(row.images_per_second_device),
        "place": texts(None if variant.location is None else str(variant.location)),
        "claims": [_claim(texts, claim, variant) for claim in variant.claims],
        "facts": [_block(texts, block) for block in blocks(variant.facts)],
    }


def _claim(texts: Texts, claim: Claim, variant: VariantReport) -> list[int]:
    about = ", ".join(filter(None, (claim.task, claim.dataset)))
    return [texts(claim.field), texts(claim.raw), texts(str(claim.location)), texts(about or None)]


def _block(texts: Texts, block: Block) -> list[Any]:
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
