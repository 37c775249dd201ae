"""Of several rules that fit one number, the one that fits its neighbours."""

from __future__ import annotations

from harness.explain.collection import preferred_rules
from harness.types import Finding


def finding(*rules: str, field: str = "FLOPs") -> Finding:
    return Finding(
        variant="net",
        field=field,
        check="flops",
        status="mismatch",
        severity="warning",
        cause="flops.convention",
        documented="1",
        measured=2,
        message="",
        location=None,
        rules=rules,
    )


def test_the_rule_of_most_variants_is_preferred_to_the_simplest_of_one():
    found = [("a", finding("plain", "wide")), ("a", finding("wide")), ("a", finding("wide"))]
    assert preferred_rules(found) == {("a", "FLOPs"): "wide"}


def test_of_equally_many_the_one_that_is_told_first_by_most():
    found = [("a", finding("x", "y")), ("a", finding("y", "x")), ("a", finding("y", "x"))]
    assert preferred_rules(found) == {("a", "FLOPs"): "y"}


def test_collections_and_fields_vote_by_themselves():
    found = [
        ("a", finding("x", "y")),
        ("b", finding("y")),
        ("b", finding("y")),
        ("a", finding("p", field="Parameters")),
        (None, finding("z")),
        ("a", finding()),
    ]
    assert preferred_rules(found) == {
        ("a", "FLOPs"): "x",
        ("b", "FLOPs"): "y",
        ("a", "Parameters"): "p",
        (None, "FLOPs"): "z",
    }
