"""What a reader does with the page: filters, sorts, points, clicks, follows links, goes back."""

from __future__ import annotations

import re
from dataclasses import replace

from harness.report import Options
from harness.report.groups import arrange
from harness.report.sentences import STATES
from harness.report.sentences import label as label_of
from harness.types import Finding, Report

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
        ("state", "warning", lambda f: f.severity == "warning"),
        ("state", "differs", lambda f: f.severity in ("error", "warning")),
        ("state", "unverified", lambda f: f.status == "unverified"),
        ("state", "match", lambda f: f.status == "match"),
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
    choose(here, "state", "differs")
    here.page.locator("#filters-findings [name=q]").fill("NET7 parameters")
    here.page.wait_for_url("**q=NET7*")
    (row,) = here.texts("#list-findings .finding")
    assert "the built net7 says 0 of its Parameters" in row
    here.page.get_by_role("button", name="Reset").locator("visible=true").click()
    assert count_of(here) == 120
    assert here.page.locator("#filters-findings [name=q]").input_value() == ""


def test_what_nothing_matches_says_so(show, usual):
    here = show(usual, fragment="#findings?field=Nonsense&q=zzz")
    assert count_of(here) == 0
    assert here.texts("#list-findings") == ["Nothing matches."]
    assert here.page.locator("#filters-findings [name=field]").input_value() == "Nonsense"


def test_findings_are_grouped_as_on_a_terminal(show, usual, made):
    """What a collection has in common once, then what has one cause in a line, then what holds."""
    layout = arrange(made(REPORT_OF_TWELVE), Options(), join=True)
    here = show(usual, fragment="#findings")
    summaries = here.texts("#list-findings details.group > summary")
    expected = [
        (STATES[block.values[0].first.severity], len(block.findings)) for block in layout.blocks
    ]
    expected += [(STATES[label_of(found[0])], len(found)) for found in layout.alike] + [
        ("held", 60)
    ]
    begun = zip(summaries, expected, strict=True)
    assert all(s.startswith(f"{state} {n} ") for s, (state, n) in begun)
    assert len(expected) == 8
    assert "Family 0" in summaries[0]
    assert here.texts("details.group:first-of-type .finding .status")[:5] == ["error"] * 5
    here.page.get_by_role("button", name="Show 1 of 1 more").first.click()
    assert here.page.locator("#list-findings details.group").first.locator(".finding").count() == 6
    note = here.page.locator("#list-findings details.group", has_text="size.half-precision")
    assert note.locator(".finding").count() == 0
    note.locator("> summary").click()
    note.locator(".finding").nth(11).wait_for()  # A browser tells of an opening when it has time.
    assert note.locator(".finding").count() == 12


def test_what_is_wrong_with_one_variant_stands_under_its_name(show, made):
    here = show(made(1), fragment="#findings")
    assert here.texts("#list-findings .group h2") == ["Family 0 / net0"]
    assert here.texts("#list-findings .group:first-child .finding .status") == ["error", "warning"]


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


def cell(here, variant, label):
    heads = [re.sub(r"\s*[↑↓]", "", t) for t in here.texts("#table-comparison thead th")]
    link = here.page.get_by_role("link", name=variant, exact=True)
    row = here.page.locator("#table-comparison tbody tr", has=link)
    return row.locator(f"> :nth-child({heads.index(label) + 1})")


def test_each_cell_says_whether_its_claim_holds(show, make_variant):
    """By a mark and a colour, with one number where it does and both where it doesn't."""
    kinds = {
        "holds": ("match", None, 1_000_000),
        "wrong": ("mismatch", "error", 2_000_000),
        "doubtful": ("mismatch", "warning", 3_000_000),
        "rounded": ("mismatch", "note", 1_000_400),
        "close": ("mismatch", "error", 1_000_001),
        "unchecked": ("unverified", None, None),
        "accepted": ("mismatch", "error", 2_000_000),
    }
    variants, found = [], []
    for name, (status, severity, measured) in kinds.items():
        made = replace(make_variant(0, None, name), facts=())
        made.measurements.update(parameters=measured)
        (claim,) = (c for c in made.claims if c.field == "Parameters")
        found.append(
            Finding(
                name,
                "Parameters",
                "parameters",
                status,
                severity,
                None,
                claim.raw,
                measured,
                "said",
                claim.location,
                accepted="known" if name == "accepted" else None,
            )
        )
        variants.append(made)
    here = show(Report({}, tuple(variants), tuple(found)), fragment="#comparison")
    shown = {name: cell(here, name, "Parameters") for name in kinds}
    numbers = {
        name: re.findall(r"\d[\d.,]*\d(?: M)?", each.inner_text().replace("\xa0", " "))
        for name, each in shown.items()
    }
    assert numbers == {
        "holds": ["1.000 M"],
        "wrong": ["2.000 M", "1.000 M"],
        "doubtful": ["3.000 M", "1.000 M"],
        # Where four digits would look the same, all are shown.
        "rounded": ["1,000,400", "1,000,000"],
        "close": ["1,000,001", "1,000,000"],
        "unchecked": ["1.000 M"],
        "accepted": ["2.000 M", "1.000 M"],
    }
    looks = {
        name: each.locator(".icon.status").evaluate(
            "e => [getComputedStyle(e, '::before').content, getComputedStyle(e).color]"
        )
        for name, each in shown.items()
    }
    assert looks.pop("close") == looks["wrong"]
    for trait in zip(*looks.values(), strict=True):
        assert len(set(trait)) == len(looks)


def test_the_accuracy_of_a_sample_is_a_count_and_never_a_percentage(show, make_variant):
    made = replace(make_variant(20, None, "net"), facts=(), answers=())
    made.measurements.update(top1=90.0, images=20)
    made = replace(made, intervals={"top1": (48.28, 99.92)})
    (claim,) = (c for c in made.claims if "Top 1" in c.field)
    found = Finding(
        "net",
        claim.field,
        "accuracy",
        "unverified",
        None,
        "accuracy.undecided",
        claim.raw,
        90.0,
        "few",
        claim.location,
    )
    here = show(Report({}, (made,), (found,)), fragment="#comparison")
    assert cell(here, "net", "Top-1").inner_text().split() == [
        "70.00",
        "%",
        ",",
        "not",
        "checked",
        "18/20",
    ]
    gray = cell(here, "net", "Top-1").locator(".sample").evaluate("e => getComputedStyle(e).color")
    assert gray == here.page.locator("#view-comparison .count").evaluate(
        "e => getComputedStyle(e).color"
    )
    for fragment in (
        "#findings?state=unverified",
        "#comparison?variant=net",
        "#overview",
        "#plots",
    ):
        here.go(fragment)
        here.page.wait_for_timeout(100)
        assert "90" not in re.sub(r"90 M|900", "", here.page.locator("body").inner_text())
    # So many images that they decide are an accuracy.
    made.measurements.update(images=20_000)
    here = show(
        Report(
            {},
            (replace(made, intervals={"top1": (89.5, 90.5)}),),
            (replace(found, status="mismatch", severity="error"),),
        ),
        fragment="#comparison",
    )
    assert "90.00" in cell(here, "net", "Top-1").inner_text()


def test_the_numbers_of_a_column_align_at_their_points(show, made):
    here = show(made(12), fragment="#comparison")
    ends = here.page.evaluate(
        """() => [...document.querySelectorAll("#table-comparison td:nth-child(4) .line")]
          .map((e) => e.firstChild.firstChild).filter((e) => e.data.includes(".")).map((text) => {
          const range = document.createRange();
          const at = text.data.indexOf(".");
          range.setStart(text, at);
          range.setEnd(text, at + 1);
          return Math.round(range.getBoundingClientRect().left * 2);
        })"""
    )
    assert len(ends) >= 12
    assert max(ends) - min(ends) <= 1


def test_numbers_sort_as_numbers_and_names_as_people_count(show, usual):
    here = show(usual, fragment="#comparison?sort=-top1")
    assert column(here, "Top-1") == [f"{50 + i}.00\xa0%" for i in reversed(range(12))]
    here.go("#comparison?sort=variant")
    here.page.wait_for_url("**sort=variant")
    assert column(here, "Variant") == [f"net{i}" for i in range(12)]


def test_a_point_tells_its_figures_and_opens_its_variant(show, usual):
    here = show(usual, fragment="#plots")
    box = here.page.locator("#plot .point[data-variant=net2] .reach").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    here.page.mouse.move(*middle)
    told = here.page.locator("#plot .hover:not([hidden])").inner_text()
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
    assert here.page.locator("#plot .point").count() == 12


def test_the_panel_holds_claims_measurements_provenance_and_profile(show, usual):
    here = show(usual, fragment="#comparison")
    here.page.get_by_role("link", name="net3", exact=True).click()
    panel = here.page.locator("#panel")
    panel.wait_for()
    panel.get_by_text("What to do, with a fix").click()
    text = panel.inner_text()
    for part in (
        "the built net3 says 0 of its Parameters",
        "+new net3",
        "4000003",
        "net.yml:30:17",
        "built and run on the meta device · torch 2.4.0 · meta",
        "without the classifier",
        "75.0%",
        "100",
        "80/100",
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
    assert "not checked" in claims[2]
    assert "Convolution, ReLU" not in text
    panel.get_by_text("1 that nothing was found about").click()
    assert "Convolution, ReLU" in panel.inner_text()


def test_a_link_shows_the_view_the_filters_and_the_variant(show, usual):
    here = show(usual, fragment="#findings?state=error&q=net1&variant=net4")
    assert here.texts("#panel-title") == ["net4"]
    here.page.keyboard.press("Escape")
    here.page.wait_for_url("**q=net1")
    names = here.texts("#list-findings .finding-head strong a")
    assert sorted(names) == ["net1", "net10", "net11"]
    assert here.page.locator("[name=state]").input_value() == "error"
    assert here.page.locator("#filters-findings [name=q]").input_value() == "net1"


def test_a_link_to_a_variant_that_is_gone_says_so(show, usual):
    here = show(usual, fragment="#plots?variant=net99")
    assert here.texts("#panel-title") == ["No such variant"]


def test_back_and_forward_undo_and_redo(show, usual):
    here = show(usual)
    here.page.locator(".card.error a").click()
    here.page.wait_for_url("**#findings?state=error")
    assert count_of(here) == 12
    choose(here, "field", "FLOPs")
    here.page.wait_for_url("**field=FLOPs")
    assert count_of(here) == 0
    here.page.go_back()
    assert count_of(here) == 12
    here.page.get_by_role("link", name="net5", exact=True).locator("visible=true").click()
    here.page.locator("#panel[open]").wait_for()
    here.page.go_back()
    here.page.locator("#panel:not([open])").wait_for(state="attached")
    here.page.go_back()
    assert here.page.locator("#view-overview").is_visible()
    here.page.go_forward()
    assert here.page.locator("#view-findings").is_visible()
    assert here.page.locator("[name=state]").input_value() == "error"


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
    here = show(usual, fragment="#findings?state=error")
    here.page.get_by_role("link", name="Plots").click()
    here.page.get_by_role("link", name="Findings", exact=True).click()
    here.page.wait_for_url("**#findings?state=error")
    assert count_of(here) == 12


def test_answers_are_shown_by_class_and_of_few_images_without_a_percentage(
    show, made, make_answers
):
    report = made(2)
    many, few = make_answers(0, 1000), make_answers(0, 20, 1, dataset="", confused=())
    several = make_answers(0, dataset="imagenet-real", by_class=None, confused=())
    first = replace(report.variants[0], answers=(many, few, several))
    here = show(
        replace(report, variants=(first, report.variants[1])), fragment="#comparison?variant=net0"
    )
    first, second, third = here.page.locator("#panel .answers").all()
    assert f"{many.top1:,} ({100 * many.top1 / many.images:.2f}%) are answered right" in (
        first.inner_text()
    )
    assert first.locator(".columns > div").count() == 10
    worst = [
        f"{c} {many.names[c]}\t{right} of {images}" for c, (images, right) in many.by_class.items()
    ]
    rows = [
        " ".join(row.split("\n")).strip() for row in first.locator("tbody tr").all_inner_texts()
    ]
    assert [re.sub(r"\s*\t\s*", "\t", row) for row in rows[:10]] == worst[:10]
    assert "\t9 of 50" in rows[10]
    first.locator("summary").click()
    table = first.locator("details tbody tr")
    table.nth(999).wait_for()
    assert table.count() == 1000
    assert table.nth(999).inner_text().split("\t")[0].strip() == worst[-1].split("\t")[0]
    assert first.locator("img").count() == 0
    assert "val/image.jpeg" not in first.inner_text()
    text = second.inner_text()
    assert text.startswith("Answers on images of no known dataset\n")
    assert "%" not in text
    assert "0 of 1" in text
    assert second.locator(".columns, .share").count() == 0
    assert "no class has an accuracy of its own" in third.inner_text()
