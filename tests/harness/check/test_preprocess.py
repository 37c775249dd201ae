"""Documented preprocessing against what a builder's library states."""

from __future__ import annotations

import pytest

from harness.check.base import Evidence, Need
from harness.check.preprocess import find
from harness.run.plan import flops_size, recipe_of

STATED = {
    "weights": "net.tag",
    "image_size": [224, 224],
    "crop_pct": 0.875,
    "interpolation": "bicubic",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "num_classes": 1000,
}


@pytest.fixture
def found(load, measured):
    def run(line, known=None, builder="lib"):
        index = load(f"Models:\n- Name: net\n  Metadata:\n    {line}\n")
        (variant,) = index.variants
        recipe = recipe_of(variant, builder)
        facts = {("preprocess", None): measured("preprocess", known)} if known else {}
        return list(find(Evidence(variant, recipe, flops_size(variant, recipe), facts)))

    return run


def known(chosen="url", *, others=(), **changes):
    return {"chosen": chosen, "settings": [STATED | changes], "others": list(others)}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Image Size: 224", "match"),
        ("Image Size: 240", "mismatch"),
        ("Image Size: 224x256", "mismatch"),
        ("Crop Pct: 0.875", "match"),
        ("Crop Pct: 0.88", "match"),
        ("Crop Pct: 0.9", "mismatch"),
        ("Crop Pct: 1.0", "mismatch"),
        ("Crop Pct: 0.95", "mismatch"),
        ("Interpolation: bicubic", "match"),
        ("Interpolation: bilinear", "mismatch"),
        ("Mean: [0.485, 0.456, 0.406]", "match"),
        ("Mean: [0.5, 0.5, 0.5]", "mismatch"),
        ("Std: [0.229, 0.224, 0.225]", "match"),
        ("Std: [0.5, 0.5, 0.5]", "mismatch"),
    ],
)
def test_each_field_is_held_against_the_settings(found, line, status):
    (finding,) = found(line, known())
    assert (finding.status, finding.field) == (status, line.partition(":")[0])
    if status == "mismatch":
        assert (finding.cause, finding.severity) == ("preprocess.differs", "warning")
        assert "net.tag" in finding.message


def test_rounded_channels_are_equal(found):
    (finding,) = found("Mean: [0.5, 0.5, 0.5]", known(mean=[127 / 255] * 3))
    assert finding.status == "match"


def test_the_same_resize_is_the_same_crop(found):
    """224 / 0.9 is 249 pixels; so is 224 / 0.9007, though four digits say another number."""
    (finding,) = found("Crop Pct: 0.9007", known(crop_pct=0.9))
    assert finding.status == "match"
    (finding,) = found("Crop Pct: 0.9070", known(crop_pct=0.9))
    assert finding.status == "mismatch"


def test_what_the_library_leaves_open_is_not_judged(found):
    assert found("Crop Pct: 0.5", known(crop_pct=None)) == []
    assert found("Crop Pct: 0.5", {"chosen": None, "settings": [], "others": []}) == []


def test_several_settings_are_all_right(found):
    both = {"chosen": "url", "settings": [STATED, STATED | {"image_size": [288, 288]}]}
    for size in (224, 288):
        (finding,) = found(f"Image Size: {size}", both)
        assert finding.status == "match"
    (finding,) = found("Image Size: 256", both)
    assert (finding.measured, finding.edits) == ("224 or 288", ())


def test_a_test_s_settings_are_those_that_the_library_tests_with(found):
    tested = known("name")
    tested["settings"].append(STATED | {"image_size": [288, 288], "crop_pct": 1.0})
    for line, status in (
        ("Test Image Size: 288", "match"),
        ("Test Image Size: 256", "mismatch"),
        ("Test Image Size: 224", "mismatch"),  # it is trained at that
        ("Test Crop Pct: 1.0", "match"),
        ("Test Crop Pct: 0.875", "mismatch"),
    ):
        (finding,) = found(line, tested)
        assert finding.status == status, line
        assert not list(found(line, tested | {"chosen": "default"}))
        assert not list(found(line, known()))  # no word on a test


def test_weights_that_can_not_be_told_may_be_any_of_the_model(found):
    other = STATED | {"weights": "net.old", "crop_pct": 0.95, "interpolation": "bilinear"}
    fits = "Crop Pct: 0.95\n    Interpolation: bilinear"
    assert [f.status for f in found(fits, known("default", others=[other]))] == ["match"] * 2
    # Each value is one of some weights, and no weights have both.
    mixed = found("Crop Pct: 0.95\n    Interpolation: bicubic", known("default", others=[other]))
    assert [f.status for f in mixed] == ["mismatch", "match"]
    assert "its default" in mixed[0].message
    assert mixed[0].edits == ()
    (known_weights,) = found("Crop Pct: 0.95", known("url", others=[other]))
    assert known_weights.status == "mismatch"
    assert known_weights.edits[0].value == 0.875


def test_only_a_library_is_asked(found):
    assert found("Crop Pct: 0.5", builder="zoo") == []
    assert found("Parameters: 5") == []
    assert found("Crop Pct: 0.5") == [Need("preprocess")]


def test_only_the_settings_of_the_url_s_own_weights_are_written(found):
    """A name may mean other weights, and an accuracy speaks of the setting that stands beside it.

    Then there is advice and no edit.
    """
    accuracy = "\n  Results:\n  - Dataset: ImageNet\n    Metrics: {Top 1 Accuracy: 78.71}"
    for line in ("Image Size: 240", "Crop Pct: 0.95", "Interpolation: bilinear"):
        (certain,) = found(line, known("url"))
        assert len(certain.edits) == 1, line
        assert " if " not in certain.message.partition(";")[2]
        for text, chosen in ((line, "name"), (line, "default"), (line + accuracy, "url")):
            (likely,) = found(text, known(chosen))
            assert likely.cause == "preprocess.differs"
            assert likely.edits == (), (text, chosen)
