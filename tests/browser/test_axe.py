"""What a checker of accessibility (axe) says of each view, in both themes, wide and on a phone."""

from __future__ import annotations

from itertools import product

import pytest

from harness.report.html import render
from harness.report.html.changes import Changes

VIEWS = (
    "overview",
    "findings?state=differs",
    "comparison",
    "comparison?variant=net3",
    "plots",
    "causes",
)


# A theme changes colours, which one rule is about.
RULES = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast"]},
}


@pytest.fixture(scope="module")
def few(made, tmp_path_factory):
    """A page on which each kind of element is there: axe looks at every one of them."""
    path = tmp_path_factory.mktemp("few") / "index.html"
    path.write_text(render(made(4), Changes()), encoding="utf-8")
    return path


@pytest.mark.slow
def test_axe_finds_no_serious_fault(show, few):
    module = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    # The page's policy lets no other script in; axe is of this test.
    for width, scheme in product((1400, 390), ("light", "dark")):
        here = show(few, width=width, color_scheme=scheme, bypass_csp=True)
        for view in VIEWS:
            here.go(f"#{view}")
            here.page.wait_for_timeout(150)
            found = module.Axe().run(here.page, options=RULES[scheme]).response["violations"]
            serious = [
                (fault["id"], [node["html"][:200] for node in fault["nodes"][:3]])
                for fault in found
                if fault["impact"] in ("serious", "critical")
            ]
            assert serious == [], (width, scheme, view)
