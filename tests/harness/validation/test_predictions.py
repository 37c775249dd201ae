"""What `zoo validate --predictions` writes, and what `zoo predictions` shows of it."""

from __future__ import annotations

import pytest

from harness.check.paired import difference, mcnemar

IMAGES = 60
CLAIM = {"Top 1 Accuracy": "80.00%", "Images": IMAGES}


def test_predictions_are_those_of_an_independent_implementation(zoo, made, flat, tmp_path):
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    labels = [*made.seconds[:12], *made.labels[12:IMAGES]]
    index, place = zoo.index(CLAIM), flat(made, tmp_path / "set", IMAGES, labels)
    outcome = zoo.validate(index, place, "--predictions", "kept/deep")
    (path,) = (zoo.folder / "kept/deep").iterdir()
    table = pandas.read_parquet(path).set_index("image")
    top1, top5, images = outcome.counts
    assert len(table) == images
    answered = dict(zip(made.names, zip(made.labels, made.seconds, strict=True), strict=True))
    given = dict(zip(made.names, labels, strict=False))
    for name, row in table.iterrows():
        assert (row.class1, row.class2) == answered[name]
        assert row.label == given[name]
        assert row.correct == (row.class1 == row.label)
        assert row.correct5 == (row.label in set(row["class1":"class5"]))
    assert top1 == round(100 * table.correct.mean(), 4)
    assert top5 == round(100 * table.correct5.mean(), 4)

    command = ("predictions", "efficientnet_lite0", "--index", index, "--data", place)
    shown = zoo.call(*command, "--compare", "efficientnet_lite0", "--format", "json")
    (found,) = shown.document["predictions"]
    assert (found["images"], found["top1"], found["top5"]) == (images, top1, top5)
    wrong = table[~table.correct]
    assert {m["image"] for m in found["mistakes"]} <= set(wrong.index)
    assert found["mistakes"][0]["image"] == wrong.probability.idxmax()
    (pair,) = shown.document["compared"]
    assert pair["both"] == table.correct.sum()
    assert (pair["only_first"], pair["only_second"], pair["mcnemar"]) == (0, 0, 1)

    other = zoo.call(*command, "--amp", "bf16")
    assert other.status != 0
    assert "run zoo validate efficientnet_lite0 first" in other.err
    cleared = zoo.call("cache", "clear", "--kind", "accuracy", "--yes")
    assert "removed" in cleared.out
    assert not list((zoo.cache / "zoo" / "predictions-1").iterdir())


def test_the_exact_test_and_interval_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for first, second in ((0, 0), (3, 11), (40, 41), (700, 500)):
        total = first + second
        p = stats.binomtest(first, total).pvalue if total else 1
        assert mcnemar(first, second) == pytest.approx(p)
        found = difference(50_000, 10_000, first, second)
        assert found.low / 5 <= first - second <= found.high / 5
    assert difference(50_000, 50_000, 70, 20).points == (0.1, 0.1)
    assert difference(50_000, 10_000, 700, 500).is_certain
    assert not difference(50_000, 10_000, 510, 500).is_certain
