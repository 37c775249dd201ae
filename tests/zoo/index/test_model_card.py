"""Model cards: results in the front matter, fractions told from percents."""

from __future__ import annotations

from decimal import Decimal

from loops import each

CARD = """---
license: mit
tags:
- image-classification
model-index:
- name: tiny
  results:
  - task:
      type: image-classification
      name: Image Classification
    dataset:
      name: ImageNet-1k
      type: imagenet-1k
      split: validation
    metrics:
{metrics}
    source:
      url: https://example.org
---
# A card

Some words.
"""


def card(*metrics):
    return CARD.format(metrics="\n".join(f"    - {metric}" for metric in metrics))


def accuracies(index):
    fields = ("Top 1 Accuracy", "Top 5 Accuracy")
    return [(c.field, c.raw, c.value, c.step) for v in index.variants for c in v.claims_of(*fields)]


def claim(index, field):
    return index.variants[0].claim(field)


def test_a_card_says_its_name_its_task_its_data_and_its_accuracy(read):
    index = read(card("{type: accuracy, value: 0.8122, name: Accuracy}"), "README.md")
    assert not index.problems
    (variant,) = index.variants
    assert variant.name == "tiny"
    assert variant.collection is None
    top1 = claim(index, "Top 1 Accuracy")
    assert (top1.raw, top1.value, top1.step) == ("0.8122", Decimal("81.22"), Decimal("0.01"))
    assert (top1.task, top1.dataset) == ("Image Classification", "ImageNet-1k")
    assert (top1.location.line, top1.location.column) == (16, 31)
    assert (variant.location.line, variant.location.column) == (6, 9)
    assert claim(index, "Dataset").location.line == 12


@each(
    "metric, field, value",
    [
        ("{type: accuracy, value: 0.812}", 1, "81.2"),
        ("{type: accuracy, value: 81.2}", 1, "81.2"),
        ("{type: accuracy, value: 81.2%}", 1, "81.2"),
        ("{type: accuracy, value: '81.2 %'}", 1, "81.2"),
        ("{type: accuracy, value: 0.5%}", 1, "0.5"),
        ("{type: accuracy, value: '0.812'}", 1, "81.2"),
        ("{type: accuracy, value: 1.0}", 1, "100"),
        ("{type: accuracy, value: 9.0e-1}", 1, "90"),
        ("{type: accuracy, value: 0.8120}", 1, "81.20"),
        ("{type: accuracy, value: 0.7, name: Top-1 Accuracy}", 1, "70"),
        ("{type: accuracy, value: 0.7, name: Top 5 Accuracy}", 5, "70"),
        ("{type: top-5-accuracy, value: 0.7}", 5, "70"),
        ("{type: accuracy, value: 0.7, name: Acc@1}", 1, "70"),
        ("{type: accuracy, value: 0.7, name: Accuracy (%)}", 1, "70"),
        ("{type: top5, value: 0.7, name: Validation}", 5, "70"),
    ],
)
def test_fractions_and_percents(read, metric, field, value):
    index = read(card(metric), "card.md")
    assert not [p for p in index.problems if p.severity == "error"]
    (found,) = accuracies(index)
    assert found[0] == f"Top {field} Accuracy"
    assert found[2] == Decimal(value)
    decimals = len(value.partition(".")[2])
    assert found[3] == Decimal(1).scaleb(-decimals) or not decimals


def test_beside_percents_a_number_up_to_one_is_in_doubt_and_absent(read):
    doubted = "{type: accuracy, value: 0.9}"
    index = read(card("{type: top-5-accuracy, value: 95.1}", doubted), "card.md")
    assert [a[:3] for a in accuracies(index)] == [
        ("Top 5 Accuracy", "95.1", Decimal("95.1")),
        ("Top 1 Accuracy", "0.9", None),
    ]
    (problem,) = index.problems
    assert problem.severity == "note"
    assert (problem.location.line, problem.location.column) == (17, 31)
    assert "fraction or a percentage" in str(problem)


def test_what_the_hub_verified_is_a_fraction_whatever_else_is_written(read):
    verified = "{type: accuracy, value: 0.9, verified: true}"
    index = read(card("{type: top-5-accuracy, value: 95.1}", verified), "card.md")
    assert [a[2] for a in accuracies(index)] == [Decimal("95.1"), Decimal("90")]


@each("value", ["81.2 ± 0.3", "'about 80'", "[0.8, 0.9]", "{a: 1}"])
def test_what_is_no_plain_number_is_absent(read, value):
    index = read(card(f"{{type: accuracy, value: {value}}}"), "card.md")
    assert [a[2] for a in accuracies(index)] == [None]
    assert all(p.location.line == 16 for p in index.problems)


def test_an_impossible_accuracy_is_an_error(read):
    endless = ("1e-999999999", "1e99999999999999999999", "0." + "1" * 5000)
    for value in ("812", "-0.5", ".nan", *endless):
        (problem,) = read(card(f"{{type: accuracy, value: {value}}}"), "card.md").problems
        assert (problem.severity, problem.cause) == ("error", "schema.out-of-range")


def test_other_metrics_and_other_tasks_are_kept_without_a_word(read):
    index = read(
        card(
            "{type: f1, value: 0.9, name: F1}",
            "{type: loss, value: 0.1}",
            "{type: accuracy, value: 0.5, name: Accuracy on cats}",
            "{type: accuracy, value: }",
            "{value: 3}",
        ),
        "card.md",
    )
    assert not index.problems
    assert not accuracies(index)
    assert claim(index, "F1").raw == "0.9"
    text = card("{type: accuracy, value: 0.9}").replace(
        "image-classification\n      name: Image C", "text-classification\n      name: Text C"
    )
    assert not accuracies(read(text, "card.md"))


def test_one_metric_on_several_splits_and_twice(read):
    text = card("{type: accuracy, value: 0.9}", "{type: accuracy, value: 0.8}")
    text = text.replace("split: validation", "split: test")
    index = read(text, "card.md")
    assert not index.problems
    found = [(c.value, c.dataset) for c in index.variants[0].claims_of("Top 1 Accuracy")]
    assert found == [(Decimal("90"), "ImageNet-1k (test)"), (Decimal("80"), "ImageNet-1k (test)")]


def test_a_model_listed_again_for_another_result_is_one_model(read):
    entry = "- name: tiny\n  results:\n  - task: {type: image-classification}\n"
    entry += "    dataset: {type: %s}\n    metrics: [{type: accuracy, value: 0.%d}]\n"
    text = "---\nmodel-index:\n" + entry % ("beans", 9) + entry % ("cats", 8) + "---\n"
    index = read(text, "card.md")
    assert not index.problems
    (variant,) = index.variants
    found = [(c.dataset, c.value) for c in variant.claims_of("Top 1 Accuracy")]
    assert found == [("beans", 90), ("cats", 80)]


def test_line_breaks_of_windows_and_a_byte_order_mark(read):
    text = card("{type: accuracy, value: 0.9}").replace("\n", "\r\n")
    index = read(b"\xef\xbb\xbf" + text.encode(), "card.md")
    assert claim(index, "Top 1 Accuracy").location.line == 16


def test_front_matter_of_other_pages_is_not_read(read):
    for text in (
        "---\ntitle: [\n---\n# x\n",
        "---\ntitle: x\n---\n",
        "# x\n---\nmodel-index: 1\n---\n",
    ):
        (problem,) = read(text, "page.md").problems
        assert problem.message == "holds no model-index"


def test_what_is_wrong_in_a_card_has_its_place(read):
    (broken,) = read("---\nmodel-index: [\n---\n", "card.md").problems
    assert (broken.cause, broken.location.line) == ("schema.unreadable", 3)
    (text,) = read("---\nmodel-index: soon\n---\n", "card.md").problems
    assert (text.cause, text.location.line, text.location.column) == ("schema.wrong-type", 2, 14)
    (nameless,) = read("---\nmodel-index:\n- results: []\n---\n", "card.md").problems
    assert (nameless.cause, nameless.location.line) == ("schema.missing-name", 3)


def test_a_card_and_a_comment_on_one_page(read):
    text = card("{type: accuracy, value: 0.9}")
    text += "<!--\nType: model-index\nModels:\n- Name: big\n  Metadata: {Colour: 5}\n-->\n"
    index = read(text, "card.md")
    assert [v.name for v in index.variants] == ["tiny", "big"]
    assert [p.field for p in index.problems] == ["Colour"]  # our own format is read as ever
