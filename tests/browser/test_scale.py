"""A zoo of 300 variants: the page stays small, and answers at once."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from harness.report.html import render
from harness.report.html.changes import Changes

MOST_BYTES = 1_500_000
MOST_MS = 1000  # A tenth of it on a machine that does nothing else.


@pytest.fixture(scope="module")
def large(made, tmp_path_factory):
    report = made(300, collections=12)
    assert len(report.findings) == 3000
    path = tmp_path_factory.mktemp("large") / "index.html"
    path.write_text(render(report, Changes()), encoding="utf-8")
    return path


def test_the_page_of_300_variants_is_small(large):
    assert large.stat().st_size < MOST_BYTES


def test_answers_on_1000_classes_take_little_more_than_a_letter_for_each(made, make_answers):
    report = made(300)

    def size(*, classes):
        variants = (
            replace(each, answers=(make_answers(n, classes),))
            for n, each in enumerate(report.variants)
        )
        return len(render(replace(report, variants=tuple(variants)), Changes()))

    some = size(classes=12)
    assert size(classes=1000) - some < 300 * 1150 + 40_000
    # Of a data set with more classes the worst are shown.
    assert size(classes=5000) - some < 300 * 1150 + 40_000


def test_a_page_of_more_variants_grows_no_faster_than_they_do(made):
    """Beside the script, which is the same in all."""
    sizes, times = [], []
    for count in (0, 300, 900):
        report = made(count)
        begin = time.process_time()
        sizes.append(len(render(report, Changes())))
        times.append(time.process_time() - begin)
    none, some, many = sizes
    assert many - none < 3.3 * (some - none)
    assert times[2] < 4 * times[1] + 0.5


def reaction(here, change, done, start="#findings"):
    """Milliseconds from a change to the layout that shows it.

    The best of several, because other work on the machine is not the page's.
    """
    return min(
        here.page.evaluate(
            f"""async () => {{
              const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
              location.hash = {back!r};
              while (!({done[0]})) await frame();
              await frame();
              const begin = performance.now();
              {change}
              while (!({done[1]})) await new Promise((resolve) => setTimeout(resolve));
              document.body.offsetHeight;
              return performance.now() - begin;
            }}"""
        )
        for back in [start] * 5
    )


def test_filters_and_sorting_answer_at_once(show, large):
    here = show(large, fragment="#findings")
    shown = "document.querySelector('#count-findings').textContent"
    whole = f"{shown}.startsWith('3,000')"
    select = """
      const menu = document.querySelector('#filters-findings [name=collection]');
      menu.value = 'Family 3';
      menu.dispatchEvent(new Event('change'));
    """
    assert reaction(here, select, (whole, f"{shown}.startsWith('250 ')")) < MOST_MS
    # What is typed is awaited for a moment, to see whether more comes.
    text = """
      const field = document.querySelector('#filters-findings [name=q]');
      field.value = 'net299 parameters';
      field.dispatchEvent(new Event('input'));
    """
    assert reaction(here, text, (whole, f"{shown}.startsWith('1 ')")) < MOST_MS
    head = "document.querySelector('#table-comparison [aria-sort=ascending]')"
    sort = "[...document.querySelectorAll('#table-comparison .sort')][1].click();"
    table = "document.querySelector('#table-comparison .sort')"
    assert reaction(here, sort, (f"{table} && !{head}", head), "#comparison") < MOST_MS


def test_only_what_is_shown_is_made(show, large):
    here = show(large, fragment="#findings")
    assert 50 <= here.page.locator("#list-findings .finding").count() <= 150
    here.go("#findings?state=match")
    here.page.locator("#list-findings .finding").nth(49).wait_for()
    assert here.page.locator("#list-findings .finding").count() == 50
    here.page.get_by_role("button", name="Show 50 of 1450 more").click()
    assert here.page.locator("#list-findings .finding").count() == 100
    here.go("#comparison")
    here.page.locator("#view-comparison").wait_for()
    assert here.page.locator("#table-comparison tbody tr").count() == 50
    assert here.page.evaluate("document.querySelectorAll('*').length") < 6000


def test_300_points_are_plotted(show, large):
    here = show(large, fragment="#plots")
    here.page.locator("#plot .point").first.wait_for()
    assert here.page.locator("#plot .point").count() == 300
    # Seven collections have a look of their own.
    assert len(here.texts("#legend li")) == 8
    assert here.texts("#legend li")[-1] == "5 smaller collections"
