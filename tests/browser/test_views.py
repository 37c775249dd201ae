"""What a reader does with the page: filters, sorts, points, clicks, follows links, goes back."""

from __future__ import annotations

import re

REPORT_OF_TWELVE = 12


def count_of(here) -> int:
    return int(re.match(r"[\d,]+", here.page.locator("#count-findings").inner_text())[0])


def choose(here, name, value):
    here.page.locator(f"#filters-findings [name={name}]").select_option(value)


def column(here, label):
    """The texts of a column of the comparison, without what stands in its second line."""
    heads = here.page.locator("#table-comparison thead th").all_inner_texts()
    index = [re.sub(r"\s*[↑↓]", "", head) for head in heads].index(label)
    cells = here.page.locator(f"#table-comparison tbody tr > :nth-child({index + 1})")
    return [text.split("\n")[0].strip() for text in cells.all_inner_texts()]


def test_a_filter_leaves_what_it_names(show, usual, made):
    report = made(REPORT_OF_TWELVE)
    collections = {v.name: v.collection for v in report.variants}
    here = show(usual, fragment="#findings")
    for name, value, matches in (
        ("collection", "Family 1", lambda f: collections[f.variant] == "Family 1"),
        ("field", "FLOPs", lambda f: f.field == "FLOPs"),
        ("severity", "warning", lambda f: f.severity == "warning"),
        ("status", "unverified", lambda f: f.status == "unverified"),
        ("cause", "size.half-precision", lambda f: f.cause == "size.half-precision"),
    ):
        assert count_of(here) == len(report.findings)
        choose(here, name, value)
        here.page.wait_for_url(f"**{name}=*")
        assert count_of(here) == sum(map(matches, report.findings)), name
        choose(here, name, "")
        here.page.wait_for_url("**#findings")


def test_filters_work_together_with_a_search_for_all_of_its_words(show, usual):
    here = show(usual, fragment="#findings")
    choose(here, "status", "mismatch")
    here.page.locator("#filters-findings [name=q]").fill("NET7 parameters")
    here.page.wait_for_url("**q=NET7*")
    (row,) = here.texts("#table-findings tbody tr")
    assert "the built net7 says 0 of its Parameters" in row
    here.page.get_by_role("button", name="Reset").locator("visible=true").click()
    assert count_of(here) == 120
    assert here.page.locator("#filters-findings [name=q]").input_value() == ""


def test_what_nothing_matches_says_so(show, usual):
    here = show(usual, fragment="#findings?field=Nonsense&q=zzz")
    assert count_of(here) == 0
    assert here.texts("#table-findings") == ["Nothing matches."]
    assert here.page.locator("#filters-findings [name=field]").input_value() == "Nonsense"


def test_the_gravest_come_first_and_pages_hold_the_rest(show, usual):
    here = show(usual, fragment="#findings")
    labels = here.texts("#table-findings tbody .status")
    assert labels[:13] == ["error"] * 12 + ["warning"]
    assert len(labels) == 50
    here.page.get_by_role("button", name="Next").click()
    here.page.wait_for_url("**page=2*")
    assert len(here.texts("#table-findings tbody tr")) == 50
    here.page.get_by_role("button", name="Next").click()
    here.page.wait_for_url("**page=3*")
    assert len(here.texts("#table-findings tbody tr")) == 20
    assert here.page.get_by_role("button", name="Next").is_disabled()


def test_a_column_sorts_both_ways_and_back(show, usual):
    here = show(usual, fragment="#comparison")
    button = here.page.get_by_role("button", name="Parameters")
    head = here.page.locator("#table-comparison th", has=button)
    written = column(here, "Variant")
    assert written == [f"net{i}" for i in range(12)]
    button.click()
    here.page.wait_for_url("**sort=parameters")
    assert head.get_attribute("aria-sort") == "ascending"
    button.click()
    here.page.wait_for_url("**sort=-parameters")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(here, "Variant") == written[::-1]
    button.click()
    here.page.wait_for_url("**#comparison")
    assert head.get_attribute("aria-sort") == "none"
    assert column(here, "Variant") == written


def test_a_claim_that_an_error_speaks_against_is_marked(show, made):
    """In each comparison, on the page and in the tables, and in no plot."""
    here = show(made(2, findings=1), fragment="#comparison")
    assert here.texts("#table-comparison .wrong") == ["wrong", "wrong"]
    assert "wrong" in here.texts("#table-comparison tbody tr:first-child td:nth-child(5)")[0]


def test_numbers_sort_as_numbers_and_names_as_people_count(show, usual):
    here = show(usual, fragment="#comparison?sort=-top1")
    accuracies = [f"{50 + i}.00%" for i in reversed(range(12))]
    claimed = here.page.locator("#table-comparison tbody tr td:nth-child(9) .claimed")
    assert [re.sub("claimed ", "", text) for text in claimed.all_text_contents()] == accuracies
    here.go("#comparison?sort=variant")
    here.page.wait_for_url("**sort=variant")
    assert column(here, "Variant") == [f"net{i}" for i in range(12)]


def test_a_point_tells_its_figures_and_opens_its_variant(show, usual):
    here = show(usual, fragment="#plots")
    here.page.locator("#plot .points path").first.wait_for()
    # Traces are drawn by collection: the second point of Family 0 is net2.
    point = here.page.locator("#plot .scatterlayer .trace", has=here.page.locator(".point"))
    box = point.nth(1).locator(".point").nth(1).bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    here.page.mouse.move(*middle)
    here.page.locator("#hover:not([hidden])").wait_for()
    told = here.page.locator("#hover").inner_text()
    assert "net2" in told
    assert "top-1 52.00% (claimed)" in told
    assert "90 M MACs (measured)" in told
    here.page.mouse.click(*middle)
    here.page.locator("#panel[open]").wait_for()
    assert here.texts("#panel-title") == ["net2"]


def test_each_axis_is_plotted_and_names_its_frontier(show, usual):
    here = show(usual, fragment="#plots")
    for label, key in (("parameters", "parameters"), ("images/s", "images-per-second")):
        here.page.get_by_role("button", name=label).click()
        here.page.wait_for_url(f"**x={key}*")
        assert here.page.locator("#plot").get_attribute("data-drawn") == key
        # Each larger variant is more accurate, and slower: none beats another.
        assert len(here.texts("#frontier li")) == 12
    assert here.page.locator("#plot .points path:visible").count() >= 12


def test_the_panel_holds_claims_measurements_provenance_and_profile(show, usual):
    here = show(usual, fragment="#comparison")
    here.page.get_by_role("link", name="net3", exact=True).click()
    panel = here.page.locator("#panel")
    panel.wait_for()
    text = panel.inner_text()
    for part in (
        "the built net3 says 0 of its Parameters",
        "+new net3",
        "4000003",
        "net.yml:30:17",
        "built and run on the meta device · torch 2.4.0 · meta · 2025-01-02",
        "without the classifier",
        "75.0%",
        "100",
        "80 right, 80.000%",
        "float32",
        "no server answered",
    ):
        assert part in text
    claims = panel.get_by_role("table", name="Claims").locator("tbody tr").all_inner_texts()
    assert [claim.split("\t")[0].split("\n")[0] for claim in claims] == [
        "Parameters",
        "FLOPs",
        "Top 1 Accuracy",
    ]
    assert "error" in claims[0]
    assert "warning" in claims[1]
    assert "unverified" in claims[2]
    assert "Convolution, ReLU" not in text
    panel.get_by_text("1 that nothing was found about").click()
    assert "Convolution, ReLU" in panel.inner_text()


def test_a_link_shows_the_view_the_filters_and_the_variant(show, usual):
    here = show(usual, fragment="#findings?severity=error&q=net1&sort=-variant&variant=net4")
    assert here.texts("#panel-title") == ["net4"]
    here.page.keyboard.press("Escape")
    here.page.wait_for_url("**sort=-variant")
    assert [t.split("\n")[0] for t in here.texts("#table-findings tbody th")] == [
        "net11",
        "net10",
        "net1",
    ]
    assert here.page.locator("[name=severity]").input_value() == "error"
    assert here.page.locator("#filters-findings [name=q]").input_value() == "net1"


def test_a_link_to_a_variant_that_is_gone_says_so(show, usual):
    here = show(usual, fragment="#plots?variant=net99")
    assert here.texts("#panel-title") == ["No such variant"]


def test_back_and_forward_undo_and_redo(show, usual):
    here = show(usual)
    here.page.locator(".card.error a").click()
    here.page.wait_for_url("**#findings?severity=error")
    assert count_of(here) == 12
    choose(here, "field", "FLOPs")
    here.page.wait_for_url("**field=FLOPs")
    assert count_of(here) == 0
    here.page.go_back()
    assert count_of(here) == 12
    here.page.get_by_role("link", name="net5", exact=True).click()
    here.page.locator("#panel[open]").wait_for()
    here.page.go_back()
    here.page.locator("#panel:not([open])").wait_for(state="attached")
    here.page.go_back()
    assert here.page.locator("#view-overview").is_visible()
    here.page.go_forward()
    assert here.page.locator("#view-findings").is_visible()
    assert here.page.locator("[name=severity]").input_value() == "error"


def test_a_search_is_one_step_back(show, usual):
    here = show(usual, fragment="#findings")
    field = here.page.locator("#filters-findings [name=q]")
    for letter in "net11":
        field.press(letter)
        here.page.wait_for_timeout(80)
    here.page.wait_for_url("**q=net11")
    assert count_of(here) == 10
    here.page.go_back()
    assert count_of(here) == 120


def test_the_menu_remembers_what_was_chosen_in_a_view(show, usual):
    here = show(usual, fragment="#findings?severity=error")
    here.page.get_by_role("link", name="Plots").click()
    here.page.get_by_role("link", name="Findings", exact=True).click()
    here.page.wait_for_url("**#findings?severity=error")
    assert count_of(here) == 12
