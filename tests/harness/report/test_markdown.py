"""The Markdown report, read back by a Markdown parser."""

from __future__ import annotations

import itertools

from hostile import TEXTS, report_of
from markdown_it import MarkdownIt

from zoo._util.text import FOREIGN, truncate

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def rows(markdown):
    """The table's rows as lists of the texts that a reader sees."""
    found = []
    tokens = PARSER.parse(markdown)
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            found.append([])
        if before.type in ("td_open", "th_open"):
            found[-1].append("".join(child.content for child in token.children or []))
    return found


def test_the_table_holds_every_finding(all_findings, make_report, shown):
    found = rows(shown("markdown", make_report(*all_findings), verbose=True))
    assert len(found) == len(all_findings) + 1
    assert {len(row) for row in found} == {8}


def test_a_row(make_finding, make_report, shown):
    row = rows(shown("markdown", make_report(make_finding())))[1]
    assert row == [
        "error",
        "net50",
        "FLOPs",
        "6973972864",
        "5399965376",
        "The model has 5399965376 FLOPs; write that.",
        "flops.differs",
        "model-index/net.yml:12:7",
    ]


def test_hostile_text_stays_in_its_cell(shown):
    """The summary is strong and the causes are code; nothing else may be."""
    for text in TEXTS:
        page = shown("markdown", report_of(text), verbose=True)
        found = rows(page)
        assert len(found) == 6
        assert {len(row) for row in found} == {8}
        kinds = {child.type for token in PARSER.parse(page) for child in token.children or []}
        assert kinds <= {"text", "text_special", "strong_open", "strong_close", "code_inline"}, text
        if text.isprintable() and text:
            cells = [cell.replace("\u200b", "") for cell in found[1][1:6]]
            name, cut = (truncate(text.strip(), most) for most in (FOREIGN - 8, FOREIGN))
            assert cells == [name if len(text) > FOREIGN else cut] * 3 + [cut] * 2


def test_alike_findings_are_one_row(make_finding, make_report, shown):
    note = {"severity": "note", "cause": "schema.quoted-number"}
    text = shown("markdown", make_report(*[make_finding(field=f, **note) for f in "ABA"]))
    assert [row[2] for row in rows(text)[1:]] == ["3 findings on A, B of net50"]


def test_alike_findings_keep_their_own_messages(make_finding, make_report, shown):
    note = {"severity": "note", "cause": "schema.quoted-number"}
    found = [make_finding(message=text, **note) for text in ("One.", "Two.", "Two.")]
    assert rows(shown("markdown", make_report(*found)))[1][5] == "2 findings: Two.; 1 finding: One."
