"""No default stands in for a claim that can't be read: what depends on it stays unverified."""

from __future__ import annotations

import pytest

from harness.check.base import Evidence
from harness.check.registry import variant_checks
from harness.check.schema import missing_for
from harness.config import RunConfig
from harness.edit.fix import propose
from harness.run.plan import flops_size, recipe_of
from harness.run.progress import Progress
from harness.run.session import prepare

CAUSE = "schema.unreadable-dependency"

# What is written -> the fields of the entry that nobody can judge then, besides its own.
CASES = {
    "Image Size: large": {"FLOPs", "Top 1 Accuracy"},
    "Image Size: [224, 224, 224]": {"FLOPs", "Top 1 Accuracy"},
    "Image Size: 224x": {"FLOPs", "Top 1 Accuracy"},
    "FLOPs Input: 224 mm": {"FLOPs"},
    "FLOPs Convention: as usual": {"FLOPs"},
    "Crop Pct: 8.75": {"Top 1 Accuracy"},
    "Interpolation: bicubik": {"Top 1 Accuracy"},
    "Mean: [123.675, 116.28, 103.53]": {"Top 1 Accuracy"},
    "Std: [0.2, 0, 0.2]": {"Top 1 Accuracy"},
    "Classes: many": {"FLOPs", "Parameters", "Layers", "File Size", "Top 1 Accuracy"},
    "Weights: 12": {"SHA256", "Top 1 Accuracy"},
}
ENTRY = """\
- Name: n{n}
  In Collection: {collection}
  Metadata:
    Base: resnest14d
    FLOPs: 2764157888
    Parameters: 5
    Layers: 5
    File Size: 5
    SHA256: {hash}
    {own}
  Results:
  - Task: Image Classification
    Dataset: ImageNet
    Metrics: {{Top 1 Accuracy: 75%}}
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """By who says it, the variant or its collection: the report, and the index."""
    made = {}
    for by in ("variant", "collection"):
        own, collections = list(CASES), ["- Name: C"]
        if by == "collection":
            # What says where weights are is the variant's own affair.
            own = [line for line in CASES if not line.startswith("Weights")]
            collections = [f"- Name: C{n}\n  Metadata:\n    {line}" for n, line in enumerate(own)]
        entries = [
            ENTRY.format(
                n=n,
                own=line if by == "variant" else "Epochs: 5",
                collection="C" if by == "variant" else f"C{n}",
                hash="ab" * 32,
            )
            for n, line in enumerate(own)
        ]
        path = tmp_path_factory.mktemp(by) / "index.yml"
        path.write_text("Collections:\n" + "\n".join([*collections, "Models:", *entries]))
        checks = ("metadata", "parameters", "layers", "flops", "preprocess", "weights", "accuracy")
        request = RunConfig(index=(path,), checks=checks, no_store=True, offline=True)
        session = prepare(request)
        made[by] = (own, session.verify(Progress()), session.index)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("by", ["variant", "collection"])
def test_what_depends_on_it_is_unverified(reports, by):
    lines, report, _ = reports[by]
    for n, line in enumerate(lines):
        key = line.partition(":")[0]
        mine = [f for f in report.findings if f.variant == f"n{n}"]
        waiting = [f for f in mine if f.cause == CAUSE and f.field != key]
        assert {f.field for f in waiting} == CASES[line], line
        for finding in waiting:
            assert finding.status == "unverified"
            assert f"{key} is " in finding.message
            assert "index.yml:" in finding.message
            assert not finding.edits
            assert not finding.fix
        others = {"FLOPs", "Parameters", "Layers", "File Size"} - CASES[line]
        judged = {f.field for f in mine if not (f.cause or "").startswith("schema.")}
        assert others <= judged, line
        measured = next(v for v in report.variants if v.name == f"n{n}").measurements
        if "FLOPs" in CASES[line] and "Convention" not in line:
            assert measured["flops"] == {}


@pytest.mark.slow
def test_no_edit_follows(reports):
    _, report, index = reports["variant"]
    mended = {(f.variant, f.field) for r in propose(report.findings, index).rewrites
              for f in r.findings}  # fmt: skip
    assert mended
    assert not {(f"n{n}", field) for n, line in enumerate(CASES) for field in CASES[line]} & mended


def test_a_group_is_never_silent_on_its_own_claims(tmp_path):
    """Without metadata among the checks, too, and for a builder that states no preprocessing."""
    path = tmp_path / "index.yml"
    wrong = {
        "preprocess": {
            "Mean": "[123.675, 116.28, 103.53]", "Std": "wide", "Crop Pct": "8.75",
            "Interpolation": "9", "Image Size": "large",
        },
        "flops": {"FLOPs": "5 GFurlongs"},
        "parameters": {"Parameters": "many"},
        "layers": {"Layers": "5.5"},
        "weights": {"File Size": "big", "SHA256": "abc", "Weights": "12"},
    }  # fmt: skip
    for group, claims in wrong.items():
        lines = "".join(f"    {key}: {value}\n" for key, value in claims.items())
        path.write_text(f"Models:\n- Name: resnest14d\n  Metadata:\n{lines}")
        session = prepare(RunConfig(index=(path,), checks=(group,), no_store=True))
        (variant,) = session.variants
        recipe = recipe_of(variant, "zoo")
        evidence = Evidence(variant, recipe, flops_size(variant, recipe), {})
        found = [f for check in variant_checks((group,)) for f in check.find(evidence)]
        assert {f.field for f in found if f.status == "unverified"} == claims.keys(), group
        found = session.audit().findings
        assert {f.field for f in found if f.severity == "error"} == claims.keys()


def test_what_a_result_says_of_its_population_is_no_default_either(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text(
        "Models:\n- Name: resnest14d\n  Results:\n"
        "  - {Task: T, Dataset: [Fungi], Metrics: {Top 1 Accuracy: 75%}}\n"
        "  - {Task: T, Dataset: Flora, Images: all, Metrics: {Top 1 Accuracy: 76%}}\n"
        "  - {Task: T, Dataset: Fauna, Metrics: {Top 1 Accuracy: 77%}}\n"
    )
    request = RunConfig(index=(path,), checks=("accuracy",), no_store=True, offline=True)
    findings = prepare(request).verify(Progress()).findings
    causes = {f.documented: f.cause for f in findings if f.field == "Top 1 Accuracy"}
    assert causes == {"75%": CAUSE, "76%": CAUSE, "77%": "accuracy.no-data"}


def test_a_collection_that_is_not_found_may_have_said_it(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text(
        "Collections:\n- Name: Nets\n  Metadata: {Image Size: 256}\nModels:\n"
        "- Name: lost\n  In Collection: Netz\n"
        "- Name: unread\n  In Collection: [Nets]\n"
        "- Name: own\n  In Collection: Netz\n  Metadata: {Image Size: 256}\n"
        "- Name: found\n  In Collection: Nets\n- Name: none\n"
    )
    session = prepare(RunConfig(index=(path,), checks=("flops",), no_store=True))
    waits = {v.name: missing_for(v, "flops") for v in session.variants}
    assert [name for name, why in waits.items() if why] == ["lost", "unread"]
    assert "In Collection is 'Netz'" in waits["lost"]
    assert "names none" in waits["lost"]


def test_no_speed_is_taken_at_a_default_size(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text("Models:\n- Name: resnest14d\n  Metadata: {Image Size: large}\n")
    session = prepare(RunConfig(index=(path,), no_store=True))
    ((name, why),) = session.bench(Progress(), [1], seconds=0.1)
    assert name == "resnest14d"
    assert "Image Size is 'large'" in why
