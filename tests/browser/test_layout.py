"""What a reader of the page sees at once, on a screen, a phone and paper: nothing cut or struck."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from harness.types import Report

# Of a table in a frame that scrolls, how far it is wider than its frame.
BEYOND = "e => e.scrollWidth - e.clientWidth"


def test_the_first_screen_says_what_is_accepted_and_cuts_no_state(show, made):
    report = made(11)
    accepted = tuple(
        replace(f, accepted="known") if f.status == "mismatch" and i % 7 == 0 else f
        for i, f in enumerate(report.findings)
    )
    for width in (1400, 1000):
        here = show(replace(report, findings=accepted), width=width)
        table = here.page.get_by_role("region", name="Findings by collection")
        assert table.evaluate(BEYOND) <= 0, width
        assert len(table.locator("thead .status").all()) == 6
    assert here.texts("#view-overview p.scripted")[0] == "All 18 that differ"
    held = tuple(f for f in accepted if f.accepted or f.status == "match")
    here = show(replace(report, findings=held))
    assert here.texts("h1")[0] == "Nothing is wrong in 11 variants, but for what is accepted"
    unchecked = tuple(f for f in accepted if f.status == "unverified")
    here = show(replace(report, findings=unchecked))
    assert here.texts("h1")[0] == "Nothing was checked in 11 variants"
    assert "Nothing was checked" in here.texts("#view-overview .first p")[0]
    here.go("#comparison")
    assert here.texts("#view-comparison .key li") == ["not checked"]


def test_a_long_name_of_a_collection_widens_no_phone(show, make_variant, make_findings):
    name = "é" * 90
    report = Report({}, (make_variant(1, name),), tuple(make_findings("net1", 1, 5)))
    here = show(report, fragment="#findings", width=390)
    here.page.locator("#list-findings .finding").first.wait_for()
    assert here.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_of_a_plot_keep_off_the_frontier_where_points_were_moved(show, made, make_variant):
    """Two nearly alike on the frontier are drawn apart; the line runs where they truly are."""
    places = {
        **{"efficientnet_lite0": (385, "74.83"), "efficientnet_lite2": (860, "77.48")},
        **{"resnest14d": (2749, "75.51"), "resnest26d": (3623, "78.48")},
        **{"resnest50d_1s4x24d": (4400, "81.0"), "resnest50d_4s2x40d": (4384, "81.11")},
        **{"resnest50d": (5371, "80.96"), "resnest269e": (77350, "84.53")},
    }
    variants = []
    for i, (name, (macs, top1)) in enumerate(places.items()):
        each = make_variant(i, "F", name)
        flops = {"macs": macs * 10**6}
        claims = tuple(
            replace(c, value=Decimal(top1)) if c.field == "Top 1 Accuracy" else c
            for c in each.claims
        )
        measured = {**each.measurements, "flops": flops}
        variants.append(replace(each, measurements=measured, claims=claims))
    here = show(replace(made(0), variants=tuple(variants)), width=1400)
    struck = here.page.locator("#plot-overview .name").evaluate_all(
        """names => {
          const line = document.querySelector("#plot-overview .stairs");
          const points = [...Array(2000).keys()].map((i) =>
            line.getPointAtLength((i / 1999) * line.getTotalLength()));
          return names.filter((name) => {
            const box = name.getBBox();
            return points.some((p) => p.x > box.x && p.x < box.x + box.width
              && p.y > box.y + 1 && p.y < box.y + box.height - 1);
          }).map((name) => name.textContent);
        }"""
    )
    assert struck == []
    assert here.page.locator("#plot-overview .name").count() == len(places)


def test_paper_is_white_and_cuts_nothing(show, made):
    here = show(made(30), fragment="#comparison", width=760, color_scheme="dark")
    here.page.emulate_media(media="print")
    here.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert here.page.evaluate(ground) == "rgb(255, 255, 255)"
    table = here.page.locator("#table-comparison .scroll")
    assert table.evaluate("e => getComputedStyle(e).overflowY") == "visible"
    assert here.page.evaluate("document.documentElement.scrollWidth") <= 760
    here.go("#comparison?variant=net3")
    panel = here.page.locator("#panel[open]")
    panel.wait_for()
    assert panel.evaluate("e => e.scrollHeight - e.clientHeight") <= 0
    assert not here.page.locator("#main").is_visible()
    here.page.evaluate("dispatchEvent(new Event('afterprint'))")
    here.page.emulate_media(media="screen")
    assert here.page.evaluate(ground) != "rgb(255, 255, 255)"
