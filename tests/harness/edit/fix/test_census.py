"""An accuracy is written only where every image that it speaks of was counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from harness.check.accuracy import find
from harness.check.base import Evidence
from harness.check.decide import looks
from harness.check.shards import shard_names
from harness.run.plan import recipe_of
from harness.types import EvalImages, Finding, Measurement
from zoo.index import load_index

PAGE = """\
Models:
- Name: net
  Weights: https://example.org/net.pth
  Results:
  - Task: Image Classification
    Dataset: ImageNet
    Images: {images}
    Metrics:
      Top 1 Accuracy: {claim}
"""


def fact(kind, value, shard=None):
    return Measurement(kind, "net", "zoo", value, None, "by hand", {}, "cpu", "now", shard)


@pytest.fixture
def found(tmp_path):
    """The finding on an accuracy, half of all images being right."""

    def run(claim, images=200, *, count=200, limit=200, sample=False, unreadable=()) -> Finding:
        path = tmp_path / "index.yml"
        path.write_text(PAGE.format(claim=claim, images=images))
        (variant,) = load_index([path]).variants
        facts = [
            fact("file", {"path": "net.pth"}),
            fact("checkpoint", {"refused": None, "fits": True}),
        ]
        given = EvalImages("a folder", "abc", count, limit, sample)
        begin = 0
        for end in looks(min(limit, count, images), images):
            facts += [
                fact(
                    "accuracy",
                    {
                        "images": end - begin,
                        "top1": (end - begin) // 2 + (begin // 2 * 2 != begin),
                        "top5": end - begin,
                        "unreadable": unreadable if not begin else (),
                        "not_finite": 0,
                    },
                    shard,
                )
                for shard in shard_names(begin, end, size=given.shard_size)
            ]
            begin = end
        evidence = Evidence(
            variant, recipe_of(variant, "zoo"), (224, 224), {f.slot: f for f in facts}, given
        )
        (finding,) = (f for f in find(evidence) if isinstance(f, Finding))
        return finding

    return run


def test_a_census_is_written(found):
    finding = found("51.00%")
    assert (finding.cause, [e.value for e in finding.edits]) == (
        "accuracy.contradicted",
        [Decimal(50)],
    )


@pytest.mark.parametrize(
    "less",
    [
        {"limit": 150},
        {"count": 150},
        {"count": 250, "limit": 250},
        {"sample": True},
        {"unreadable": (("a.jpg", "broken"),)},
        {"images": 50_000},
    ],
)
def test_anything_less_is_not(found, less):
    assert found("90.00%", **less).edits == ()
    assert found("51.00%", **less).edits == ()


def test_an_early_look_is_no_census(found):
    finding = found("99.00%")
    assert finding.cause == "accuracy.contradicted"
    assert finding.edits == ()
