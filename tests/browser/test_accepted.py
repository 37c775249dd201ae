"""What a baseline accepts: a kind of its own wherever the page tells how a finding stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

REASON = "its <b>own</b> size is documented nowhere"


@pytest.fixture(scope="module")
def partly(made):
    """Three variants; the error of the first two and the note of the first are accepted."""
    report = made(3)
    kinds = {("net0", "error"), ("net1", "error"), ("net0", "note")}
    found = (
        replace(f, accepted=REASON) if (f.variant, f.severity) in kinds else f
        for f in report.findings
    )
    return replace(report, findings=tuple(found))


def counts_of(here, label):
    """The number on a card, and how many findings its link shows."""
    here.go("#overview")
    card = here.page.locator(f".card.{label} a")
    number = int(card.locator("strong").inner_text())
    card.click()
    here.page.locator("#view-findings").wait_for()
    rows = here.page.locator("#list-findings .finding")
    words = {"match": "held", "unverified": "not checked"}
    assert set(here.texts("#list-findings .finding .status")) == {words.get(label, label)}
    return number, rows.count()


def test_each_card_counts_what_its_link_shows(show, partly):
    here = show(partly)
    numbers = {"error": 1, "warning": 3, "note": 2, "accepted": 3, "unverified": 6, "match": 15}
    for label, number in numbers.items():
        assert counts_of(here, label) == (number, number), label


def test_where_nothing_is_accepted_nothing_speaks_of_it(show, usual):
    here = show(usual)
    assert here.page.locator(".card").count() == 5
    assert here.page.locator(".coverage rect").count() == 5
    assert "accepted" not in here.page.locator("#view-overview").inner_text()
    here.go("#findings")
    assert "accepted" not in here.page.locator("#filters-findings").inner_text()


def test_the_tables_of_counts_have_a_column_for_it(show, partly):
    here = show(partly)
    # Family 0 holds net0 and net2, whose own error nobody accepts.
    expected = {"Findings by cause": "parameters.differs", "Findings by collection": "Family 0"}
    for view, (caption, first) in zip(("causes", "overview"), expected.items(), strict=True):
        here.go(f"#{view}")
        table = here.page.get_by_role("table", name=caption)
        heads = table.locator("thead th").all_inner_texts()
        cells = table.locator("tbody tr", has_text=first).locator("th, td").all_inner_texts()
        row = dict(zip(heads, cells, strict=True))
        assert (row["error"], row["accepted"]) == ("1", "2")


def test_the_filter_the_reason_and_the_order(show, partly):
    here = show(partly, fragment="#findings")
    here.page.locator("#filters-findings [name=state]").select_option("accepted")
    here.page.wait_for_url("**state=accepted")
    rows = here.texts("#list-findings .finding")
    assert len(rows) == 3
    assert all(f"Accepted: {REASON}" in row for row in rows)
    here.page.locator("#filters-findings [name=q]").fill("documented nowhere")
    here.page.wait_for_url("**q=documented*")
    assert here.page.locator("#list-findings .finding").count() == 3


def test_the_variant_and_its_claim_are_marked_and_the_panel_tells_why(show, partly):
    here = show(partly, fragment="#comparison?sort=status")
    statuses = here.texts("#table-comparison tbody td:nth-child(2) .status")
    # A warning of each is not accepted.
    assert statuses == ["error", "warning", "warning"]
    here.page.get_by_role("link", name="net0", exact=True).click()
    panel = here.page.locator("#panel[open]")
    panel.wait_for()
    told = panel.locator(".finding.accepted").all_inner_texts()
    assert len(told) == 2
    assert all(f"Accepted: {REASON}" in text for text in told)
    claim = panel.get_by_role("table", name="Claims").locator("tbody tr", has_text="Parameters")
    assert "accepted" in claim.inner_text()


def test_a_variant_with_nothing_worse_is_accepted(show, partly):
    found = tuple(f for f in partly.findings if f.accepted or f.status == "match")
    here = show(replace(partly, findings=found), fragment="#comparison?status=accepted")
    assert here.texts("#table-comparison tbody td:nth-child(2) .status") == ["accepted", "accepted"]


def test_it_has_a_colour_and_a_shape_of_its_own(show, partly):
    here = show(partly)
    looks = here.page.evaluate(
        """() => ["error", "warning", "note", "accepted", "unverified", "match"].map((label) => {
          const chip = document.querySelector(`.tally .status.${label}`);
          return [getComputedStyle(chip).color, getComputedStyle(chip, "::before").content];
        })"""
    )
    colours, marks = zip(*looks, strict=True)
    assert len(set(colours)) == len(set(marks)) == 6


def test_without_script_it_is_told_too(show, partly):
    # However much there is to say of the finding, the reason is not cut off.
    found = [replace(f, message="word " * 100) if f.accepted else f for f in partly.findings]
    here = show(replace(partly, findings=tuple(found)), java_script_enabled=False)
    assert "accepted" in here.texts(".tally .card span")
    rows = here.page.locator("noscript tbody tr").all_inner_texts()
    accepted = [row for row in rows if row.startswith("accepted")]
    assert len(accepted) == 3
    assert all(f"(accepted: {REASON})" in row for row in accepted)
    order = [row.split()[0] for row in rows]
    assert order.index("note") < order.index("accepted") < order.index("not")


def test_what_was_accepted_before_is_not_new_and_keeps_its_reason_when_it_goes(
    show, partly, as_document
):
    here = show(partly, as_document(partly))
    assert "What changed last" not in here.page.locator("#view-overview").inner_text()
    found = tuple(f for f in partly.findings if (f.variant, f.severity) != ("net1", "error"))
    here = show(replace(partly, findings=found), as_document(partly), "#findings?change=fixed")
    (row,) = here.texts("#list-findings .finding")
    assert "accepted" in row
    assert f"Accepted: {REASON}" in row
