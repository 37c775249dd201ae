"""Reports that are not like others: empty, cut short, full of nulls, of this zoo's own index."""

from __future__ import annotations

from dataclasses import replace

from harness.config import RunConfig
from harness.run.progress import Progress
from harness.run.session import prepare
from harness.types import Finding, Report, VariantReport


def visit(here, *views):
    for view in views or ("overview", "findings", "comparison", "plots", "causes"):
        here.go(f"#{view}")
        here.page.locator(f"#view-{view}").wait_for()


def test_a_report_without_anything(show):
    here = show(Report({}, (), ()))
    assert "This report holds none" in here.page.locator("main").inner_text()
    visit(here)
    assert "no variant has a value" in here.page.locator("#plot-caption").inner_text()
    assert not here.page.locator("#plot").is_visible()


def test_nulls_wherever_there_may_be_one(show):
    nothing = {
        "parameters": None,
        "layers": None,
        "image_size": None,
        "flops": {},
        "file_size": None,
        "sha256": None,
        "top1": None,
        "top5": None,
        "images": None,
    }
    variants = (
        VariantReport("a", None, "zoo", nothing),
        VariantReport("a", None, "zoo", {}),
        VariantReport("b", "B", "zoo", {**nothing, "flops": None}),
    )
    bare = Finding(None, "Models", "schema", "mismatch", None, None, None, None, "is wrong", None)
    report = Report(dict.fromkeys(("started", "seconds")), variants, (bare,), "interrupted")
    here = show(report)
    text = here.page.locator("main").inner_text()
    assert "The run was interrupted" in text
    visit(here, "findings", "plots", "comparison")
    # Two entries of one name are two variants, each with a link of its own.
    assert here.texts("#table-comparison tbody a") == ["a", "a #2", "b"]
    here.page.get_by_role("link", name="a #2").click()
    here.page.locator("#panel[open]").wait_for()
    assert "Nothing was checked." in here.page.locator("#panel").inner_text()
    here.go("#findings?state=error")
    here.page.wait_for_url("**state=error")
    assert here.texts("#list-findings .finding .status") == ["error"]


def test_what_is_new_and_what_is_fixed(show, made, as_document):
    now = made(3)
    first, *others = now.findings
    gone = replace(first, check="other", cause="size.differs", message="it was wrong")
    elsewhere = replace(first, variant="net77", message="it is of another variant")
    before = replace(now, findings=(*others, gone, elsewhere))
    here = show(now, as_document(before))
    text = here.page.locator("#view-overview").inner_text()
    assert "1 new, 1 fixed, 1 not looked for in this run" in text
    here.page.locator("#view-overview").get_by_role("link", name="1 fixed").click()
    here.page.wait_for_url("**change=fixed")
    (row,) = here.texts("#list-findings .finding")
    assert "it was wrong" in row
    here.page.locator("[name=change]").select_option("new")
    here.page.wait_for_url("**change=new")
    (row,) = here.texts("#list-findings .finding")
    assert first.message in row
    here.page.locator("[name=change]").select_option("unseen")
    here.page.wait_for_url("**change=unseen")
    (row,) = here.texts("#list-findings .finding")
    assert "net77" in row
    here.page.locator("[name=change]").select_option("")
    here.page.wait_for_url("**#findings")
    assert here.texts("#count-findings") == ["30 of 30 findings"]


def test_a_previous_report_that_is_none_is_named_and_not_used(show, made):
    """For what reasons, the tests of the folder and of the changes tell."""
    here = show(made(2), {"schema": 1, "findings": [{"field": "<b>"}]})
    notice = here.page.locator(".notice").inner_text()
    assert "nothing is compared: check of its finding 1" in notice
    visit(here, "findings")
    assert here.page.locator("[name=change]").count() == 0


def test_the_report_of_this_zoo(show, as_document):
    """What a run measures, as it measures it, and not as a test thinks that it does."""
    request = RunConfig(offline=True, no_store=True, workers=1, select=("resnest14d",))
    report = prepare(request).verify(Progress())
    here = show(report, as_document(report), fragment="#comparison?variant=resnest14d")
    panel = here.page.locator("#panel[open]")
    panel.wait_for()
    text = panel.inner_text()
    (variant,) = report.variants
    for number in (variant.measurements["parameters"], variant.measurements["flops"]["macs"]):
        assert f"{number:,}" in text
    assert "layer4" in text
    for finding in report.findings:
        assert finding.message in panel.text_content()
    assert "What changed last" not in here.page.locator("#view-overview").text_content()
