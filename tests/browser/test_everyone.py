"""Everyone can read the page: in the dark, on a phone, by keyboard alone, without script."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

from zoo.index.types import Location

VIEWS = ("overview", "findings", "comparison", "plots", "causes")


def brightness(here, selector="body"):
    """Of an element's ground, 0 to 255."""
    colour = here.page.locator(selector).evaluate("e => getComputedStyle(e).backgroundColor")
    parts = colour.removeprefix("rgb(").removesuffix(")").split(",")
    return sum(map(int, parts)) / 3


def test_the_system_says_whether_it_is_dark_and_the_reader_may_differ(show, usual):
    here = show(usual, fragment="#plots", color_scheme="light")
    here.page.locator("#plot .point").first.wait_for()
    button = here.page.locator("#theme")
    for scheme, is_dark in (("light", False), ("dark", True)):
        here.page.emulate_media(color_scheme=scheme)
        assert (brightness(here) < 60) is is_dark
        for theme, dark in (("light", False), ("dark", True), ("system", is_dark)):
            button.click()
            assert button.inner_text() == f"Theme: {theme}"
            assert (brightness(here) < 60) is dark
            edge = here.page.locator("#plot .point [fill=none]").first.get_attribute("stroke")
            assert (sum(int(edge[i : i + 2], 16) for i in (1, 3, 5)) > 350) is dark


def contrasts(here):
    """The contrast of each visible text with what is behind it, by the formula of WCAG 2."""
    return here.page.evaluate(
        """() => {
          const light = (c) => {
            const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
              .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = (e) => {
            for (; e; e = e.parentElement) {
              const c = getComputedStyle(e).backgroundColor;
              if (!/, 0\\)$/.test(c) && c !== "transparent") return c;
            }
            return "rgb(255, 255, 255)";
          };
          return [...document.querySelectorAll("main *")]
            .filter((e) => e.offsetParent && [...e.childNodes].some((n) => n.nodeType === 3
              && n.textContent.trim()) && !e.disabled && !e.closest("svg"))
            .map((e) => {
              const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
              return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim()];
            });
        }"""
    )


def test_every_text_can_be_read(show, usual):
    here = show(usual)
    for scheme, view in product(("light", "dark"), VIEWS):
        here.page.emulate_media(color_scheme=scheme)
        here.go(f"#{view}")
        here.page.locator(f"#view-{view}").wait_for()
        found = contrasts(here)
        assert len(found) > 10
        assert [entry for entry in found if entry[0] < 4.5] == [], scheme


def test_on_a_phone_the_page_is_as_wide_as_the_phone(show, usual):
    here = show(usual, width=375, has_touch=True, is_mobile=True)
    for view in (*VIEWS, "comparison?variant=net3", "findings?variant=net3"):
        here.go(f"#{view}")
        here.page.wait_for_timeout(150)
        assert here.page.evaluate("document.documentElement.scrollWidth") == 375
        inner = here.page.locator("#panel").evaluate("e => e.open ? e.scrollWidth : 0")
        assert inner <= 375
    assert here.page.get_by_role("button", name="Close").bounding_box()["x"] < 375


def test_no_finding_is_cut_off(show, made):
    """Whatever its length, and whatever the window's width from a small notebook's on."""
    report = made(3)
    first, second, third, *others = report.findings
    long = {
        "variant": "coat_lite_medium_384.in1k_distilled_with_a_name_that_goes_on",
        "documented": "23,712,345 at 224 x 224 pixels as the paper says in its table",
        "location": Location(
            "docs/models/families/of/many/pages/" + "coat" * 12 + ".yml", 12345, 17
        ),
        "cause": "flops.another-variant-of-a-long-name",
    }
    found = (replace(first, **long), replace(second, measured="9" * 60), third, *others)
    named = replace(report.variants[0], name=long["variant"])
    odd = replace(report, findings=found, variants=(*report.variants, named))
    here = show(odd, fragment="#findings?state=differs")
    here.page.locator("#list-findings .finding details").first.click()
    for width in (1024, 1280, 1920):
        here.page.set_viewport_size({"width": width, "height": 800})
        assert here.page.evaluate("document.documentElement.scrollWidth") == width
        is_whole(here)
    row = here.page.locator("#list-findings .group", has_text=long["variant"]).inner_text()
    for value in (*map(str, long.values()), first.field, str(first.measured), first.message):
        assert value in row


def is_whole(here):
    """Nothing of the table is cut off."""
    cut = here.page.evaluate(
        """() => [...document.querySelectorAll("#list-findings *")]
          .filter((e) => e.offsetParent && !e.closest("pre") && !e.classList.contains("hidden"))
          .filter((e) => getComputedStyle(e).display !== "inline")
          .filter((e) => e.scrollWidth > e.clientWidth + 1
            || e.getBoundingClientRect().right > innerWidth)
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert cut == []


def test_on_a_phone_a_tap_on_a_point_opens_its_variant(show, usual):
    here = show(usual, fragment="#plots", width=375, has_touch=True, is_mobile=True)
    point = here.page.locator("#plot .point[data-variant=net0] .reach")
    point.wait_for()
    box = point.bounding_box()
    here.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    here.page.locator("#panel[open]").wait_for()
    assert here.texts("#panel-title") == ["net0"]


def focused(here):
    return here.page.evaluate("document.activeElement.textContent.trim()")


def wait_for_focus(here, start):
    """Until what has the focus begins so: the page moves it after the address has changed."""
    deadline = time.monotonic() + 60
    while not focused(here).startswith(start) and time.monotonic() < deadline:
        here.page.wait_for_timeout(50)
    assert focused(here).startswith(start)


def has_outline(here):
    style = here.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    return style not in ("none", "")


def test_by_keyboard_alone(show, usual):
    here = show(usual)
    press = here.page.keyboard.press
    press("Tab")
    assert focused(here) == "Skip to the content"
    assert here.page.locator(".skip").bounding_box()["x"] >= 0
    press("Enter")
    assert here.page.evaluate("document.activeElement.id") == "main"
    assert here.page.url.endswith("index.html")  # what is shown is the same still
    press("Shift+Tab")
    for _ in range(2):
        press("Shift+Tab")
    press("Shift+Tab")
    assert focused(here) == "Comparison"
    assert has_outline(here)
    press("Enter")
    here.page.wait_for_url("**#comparison")
    here.page.locator("#view-comparison th button").first.wait_for()

    for _ in range(40):
        press("Tab")
        if focused(here).startswith("Parameters"):
            break
    assert has_outline(here)
    press("Enter")
    here.page.wait_for_url("**sort=parameters")
    wait_for_focus(here, "Parameters")  # though the table was made anew
    here.page.wait_for_timeout(500)  # a key goes down and up: the button has to be there for both
    press("Space")
    here.page.wait_for_url("**sort=-parameters")
    wait_for_focus(here, "Parameters")

    for _ in range(20):
        press("Tab")
        if focused(here) == "net11":
            break
    press("Enter")
    here.page.locator("#panel[open]").wait_for()
    for _ in range(30):
        press("Tab")
        inside = here.page.evaluate(
            "document.activeElement === document.body "
            "|| document.querySelector('#panel').contains(document.activeElement)"
        )
        assert inside
    press("Escape")
    here.page.wait_for_url("**#comparison?sort=-parameters")
    wait_for_focus(here, "net11")


def test_headings_and_names_for_those_who_listen(show, usual):
    here = show(usual)
    for view in VIEWS:
        here.go(f"#{view}")
        here.page.locator(f"#view-{view}").wait_for()
        assert len(here.texts("h1:visible")) == 1
        nameless = here.page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, a")]
              .filter((e) => e.offsetParent && !e.closest("#plot"))
              .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length))
              .map((e) => e.outerHTML)"""
        )
        assert nameless == []
        assert here.page.locator("nav a[aria-current=page]").count() == 1


def test_without_script_the_summary_and_the_findings_show(show, usual):
    here = show(usual, java_script_enabled=False)
    text = here.page.locator("body").inner_text()
    assert "12 variants: 12 errors, 12 warnings, 12 notes, 60 held, 24 not checked" in text
    assert "the built net7 says 0 of its Parameters" in text
    assert here.page.locator("nav").count() == 1
    assert not here.page.locator("nav").is_visible()
    rows = here.page.locator("noscript tbody tr")
    # Errors, warnings and notes, and what could not be checked; what matches is counted alone.
    assert rows.count() == 60
