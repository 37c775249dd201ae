"""Figures over time on the page: what moved, where, and with which versions."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from harness.report.history import HistoryRow
from harness.report.history_file import history_of
from harness.report.html import render
from harness.report.html.changes import Changes

BAD = "</script><img src=x onerror=alert(1)>"
ROWS = {
    ("net0", "flops.macs"): [50, 50, 50, 60, 60, 60],
    ("net0", "flops.fvcore"): [51, 51, 51, 61, 61, 61],
    ("net0", "sha256"): ["a" * 64] * 5 + ["b" * 64],
    ("net1", "parameters"): [7, 7, 7, 7, 8, 8],
    ("net1", "images_per_second.batch 8"): [100.0, 104.0, 97.0, 60.0, 61.0, 62.0],
    ("net1", f"flops.{BAD}"): [1, 1, 1, 1, 1, 2],
    ("gone", "layers"): [1, 2, 3, 4, 5, 6],
}


@pytest.fixture(scope="module")
def page(made, tmp_path_factory) -> Path:
    """Of two variants, with six nights of history: one name, one version, one page is hostile."""
    rows = []
    for (name, figure), values in ROWS.items():
        for night, value in enumerate(values):
            torch = "2.4.0" if night < 3 else f"2.5.0{BAD if night == 5 else ''}"
            row = HistoryRow(night + 1, f"2026-01-{night + 1:02}T03:00:00+00:00", f"{night}" * 40,
                             name, figure, value, None, None, f"torch {torch}")  # fmt: skip
            rows.append(replace(row, of="other" if name == "net1" and night == 5 else None))
    path = tmp_path_factory.mktemp("history") / "index.html"
    past = history_of(()).joined(rows)
    path.write_text(render(made(2), Changes(), past=past), encoding="utf-8")
    return path


def test_where_figures_moved_is_listed_with_what_changed(show, page):
    here = show(page, fragment="#history")
    assert here.texts("#count-history") == [
        "7 of 7 changes in 6 runs from 2026-01-01 to 2026-01-06"
    ]
    found = [row.split("\t") for row in here.texts("#table-history tbody tr")]
    flops = next(row for row in found if row[2].startswith("flops.macs"))
    assert [cell.strip() for cell in flops[:6]] == [
        *("net0", "2026-01-04", "flops.macs\nand 1 more of flops", "moved", "50", "60"),
    ]
    changed = flops[6].split()
    assert " ".join(changed[:8]) == "torch 2.4.0 -> 2.5.0 commit 2222222222 -> 3333333333"
    speed = next(row for row in found if row[2].startswith("images") and row[3] == "moved")
    assert [cell.strip() for cell in speed[1:4]] == [
        "2026-01-04",
        "images_per_second.batch 8",
        "moved",
    ]
    assert {row[3] for row in found if "net1" in row[0] and row[1] == "2026-01-06"} == {
        "of another"
    }
    # Of a variant that the report hasn't, nothing is shown.
    assert not any("gone" in row[0] for row in found)
    here.page.locator("#filters-history [name=how]").select_option("moved")
    here.page.wait_for_url("**how=moved*")
    assert here.texts("#count-history")[0].startswith("4 of 7 changes")


def test_a_variant_s_figures_are_drawn_with_numbered_marks(show, page):
    here = show(page, fragment="#history?variant=net0")
    told = here.page.locator("#history-plot svg").get_attribute("aria-label")
    days = "from 2026-01-01 to 2026-01-06"
    assert told == f"flops.macs of net0, {days}: 1 change, numbered as in the table below."
    assert here.page.locator("#history-plot .mark text").all_text_contents() == ["1"]
    rows = [row.split("\t") for row in here.texts("#history-table tbody tr")]
    assert [row[0].split("\n")[0] for row in rows] == ["–", "1"]
    assert "torch 2.4.0 -> 2.5.0" in rows[1][3]
    # A text has no axis; the keyboard alone reaches it.
    here.page.locator("#history-figure").focus()
    here.page.locator("#history-figure").select_option("sha256")
    assert not here.page.locator("#history-plot").is_visible()
    rows = [row.split("\t") for row in here.texts("#history-table tbody tr")]
    assert [row[2].strip() for row in rows] == ["a" * 16 + "…", "b" * 16 + "…"]
    # Values of another machine are no piece of the same line.
    here.go("#history?variant=net1&line=images_per_second.batch 8")
    here.page.wait_for_selector(".mark.other")
    assert here.page.locator("#history-plot .past").count() == 2
    assert here.page.locator("#history-plot .mark.moved").count() == 1


def test_without_a_history_nothing_speaks_of_one(show, usual):
    here = show(usual)
    assert "History" not in here.texts("nav [data-view]")
    here.go("#history")
    assert "zoo report --history begins one" in here.page.locator("#view-history").inner_text()
    here.go("#overview?variant=net1")
    assert here.page.locator("#history-plot").count() == 0


@pytest.mark.slow
def test_it_fits_and_axe_finds_no_serious_fault(show, page):
    module = pytest.importorskip("axe_playwright_python.sync_playwright")
    for width, scheme in product((1400, 390), ("light", "dark")):
        here = show(page, width=width, color_scheme=scheme, bypass_csp=True)
        for view in ("history", "history?variant=net0", "history?variant=net1"):
            here.go(f"#{view}")
            here.page.wait_for_timeout(150)
            assert here.page.evaluate("document.documentElement.scrollWidth") <= width
            assert here.page.evaluate("panel.scrollWidth <= panel.clientWidth")
            found = module.Axe().run(here.page).response["violations"]
            serious = [(f["id"], [node["html"][:200] for node in f["nodes"][:3]]) for f in found
                       if f["impact"] in ("serious", "critical")]  # fmt: skip
            assert serious == [], (width, scheme, view)
