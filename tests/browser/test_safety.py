"""An index that attacks its reader: all of it shows as text, and none of it runs."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from importlib.resources import files

import pytest
from hostile import HIDDEN, MARKUP, finding_of

from harness.report.html import render
from harness.report.html.changes import Changes
from harness.types import Mistake, Report
from zoo._util.text import FOREIGN, truncate

TEXTS = (*MARKUP, *HIDDEN)
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDR"
    "ENDg8QEBEQCgwSExIQEw8QEBD/yQALCAABAAEBAREA/8wABgAQEAX/2gAIAQEAAD8A0s8g/9k="
)


@pytest.fixture(scope="module")
def attack(make_variant, make_answers) -> Report:
    """Hostile text wherever an index, a builder or a server has a word to say."""
    variants, found = [], []
    for number, text in enumerate(TEXTS):
        variant = make_variant(number, text, text)
        claims = tuple(
            replace(claim, field=text, raw=text, dataset=text) if claim.dataset is None else claim
            for claim in variant.claims[:2]
        )
        places = replace(variant.location, file=text)
        mistake = Mistake(text, (0, 1), 2, 0.5, JPEG)
        answers = make_answers(
            number, dataset=text, setting=text, names=[text] * 12, mistakes=(mistake,)
        )
        facts = tuple(replace(fact, name=text) for fact in variant.facts)
        facts = (replace(facts[0], method=text, device=text, versions={text: text}), *facts[1:])
        variants.append(
            replace(
                variant,
                builder=text,
                claims=(*claims, *variant.claims[2:]),
                facts=(*facts[:-1], replace(facts[-1], cause=text, why=text)),
                location=places,
                answers=(answers,),
            )
        )
        found.append(finding_of(text, fix=f"-{text}\n+{text}"))
    environment = dict.fromkeys(("zoo", "torch", "platform", "started"), MARKUP[1])
    return Report(environment, tuple(variants), tuple(found), cut_short=MARKUP[0])


def test_everything_hostile_shows_as_text(show, attack, as_document):
    gone = replace(attack.findings[0], cause="size.differs", check="gone", message=MARKUP[1])
    before = as_document(replace(attack, findings=(gone,), cut_short=None))
    here = show(attack, before)
    page = here.page
    for view in ("overview", "findings", "comparison", "plots"):
        here.go(f"#{view}{'?state=differs' if view == 'findings' else ''}")
        page.locator(f"#view-{view}").wait_for()
        text = page.locator(f"#view-{view}").inner_text()
        # The plots name what is on the frontier alone.
        for hostile in MARKUP[:2] if view == "overview" else () if view == "plots" else MARKUP:
            assert (hostile[:80] in text) or (hostile[:80] in page.locator("body").inner_text())
        for shown in HIDDEN.values() if view in ("findings", "comparison") else ():
            assert shown in text
    page.locator("#plot .point").first.wait_for()
    assert page.title() == "Model zoo report"
    assert page.locator("script").count() == 2
    assert page.locator("img, iframe, object, embed, base, form[action]").count() == 0
    hrefs = page.locator("[href]").evaluate_all(
        "all => all.filter((a) => a.matches('a')).map((a) => a.getAttribute('href'))"
    )
    assert {href[0] for href in hrefs} == {"#"}


def test_every_hostile_variant_has_its_panel_and_its_link(show, hostile_page):
    here = show(hostile_page, fragment="#comparison")
    links = here.page.locator("#table-comparison tbody a")
    hrefs = links.evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert len(set(hrefs)) == len(TEXTS)
    for number, text in enumerate(TEXTS):
        links.nth(number).click()
        panel = here.page.locator("#panel[open]")
        panel.wait_for()
        shown = re.sub(r"\s+", " ", HIDDEN.get(text, text))
        shown = truncate(shown, FOREIGN)
        assert here.texts("#panel-title") == [shown]
        assert panel.inner_text().count(shown[:190]) >= 6
        answers = panel.locator(".answers")
        assert answers.locator("h3").inner_text().startswith(f"Answers on {shown[:190]}")
        assert answers.locator("figure .place").inner_text() == shown
        assert answers.locator("img").count() == 1
        # No value runs into the next column.
        beyond = """all => all.filter((e) => e.getBoundingClientRect().right
          > e.closest("td, th").getBoundingClientRect().right + 1).map((e) => e.textContent)"""
        assert panel.locator(":is(td, th) bdi").evaluate_all(beyond) == []
        here.page.keyboard.press("Escape")
        here.go("#overview")
        here.go(hrefs[number])
        panel.wait_for()
        assert here.texts("#panel-title") == [shown]
        here.page.keyboard.press("Escape")
    assert here.page.title() == "Model zoo report"


@pytest.fixture(scope="module")
def hostile_page(attack, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "index.html"
    path.write_text(render(attack, Changes()), encoding="utf-8")
    return path


def test_hostile_text_shows_without_script_too(show, hostile_page):
    here = show(hostile_page, java_script_enabled=False)
    rows = here.page.locator("noscript tbody tr").all_inner_texts()
    assert len(rows) == len(TEXTS)
    assert any(MARKUP[1] in row for row in rows)


def test_names_on_the_plot_are_no_markup(show, made, make_variant):
    name = "<b>bold</b> &amp; <br>"
    report = made(0)
    here = show(replace(report, variants=(make_variant(1, None, name),)), fragment="#plots")
    labels = here.page.locator("#plot .name")
    labels.first.wait_for()
    assert labels.all_text_contents() == [name]


def test_the_policy_lets_nothing_else_run(show, usual):
    here = show(usual)
    here.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'run'";
          document.body.append(script);
          document.body.setAttribute("onclick", "document.title = 'run'");
          const image = document.createElement("img");
          image.src = "http://127.0.0.1:9/image";
          document.body.append(image);
        }"""
    )
    here.page.locator("body").click(position={"x": 3, "y": 300})
    here.page.wait_for_timeout(100)
    assert here.page.title() == "Model zoo report"
    refused = [text for text in here.said if "Content Security Policy" in text]
    assert len(refused) >= 3
    assert len(refused) == len(here.said)
    here.said.clear()
    here.asked.clear()


def test_the_policy_names_the_scripts_of_the_page_and_no_others(usual):
    text = usual.read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    policy = policy.replace("&#39;", "'")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    }
    allowed = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert set(allowed["script-src"].split()) == hashes
    assert allowed["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_scripts_parse_no_markup():
    assets = (files("harness.report.html") / "assets").iterdir()
    sources = [p.read_text(encoding="utf-8") for p in assets if p.name.endswith(".js")]
    assert len(sources) > 5
    way = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|eval\(|Function\(|srcdoc"
    assert [found for source in sources for found in re.findall(way, source)] == []
