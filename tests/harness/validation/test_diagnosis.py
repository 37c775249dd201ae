"""Right and wrong indexes on images that lite0 answers all right when they are prepared right."""

from __future__ import annotations

import json
import random

import pytest
from shipped import real_weights

# Two decimals: within a point of 100 %, as "100%" allows, 700 images in 700 would do.
CLAIM = {"Top 1 Accuracy": "100.00%", "Images": 1000}
IMAGENET = {"Mean": [0.485, 0.456, 0.406], "Std": [0.229, 0.224, 0.225]}

# What an index may say wrongly, and the words that name what is right.
WRONG = {
    "normalisation": (IMAGENET, "a mean of 127/255 and a standard deviation of 128/255"),
    "interpolation": ({"Interpolation": "bilinear"}, "bicubic interpolation"),
    "crop": ({"Crop Pct": 1.0}, "a Crop Pct of 0.875"),
}


@pytest.fixture(scope="module")
def shared(new_zoo, tmp_path_factory):
    """One cache for the module: decoded images are shared as between a user's runs."""
    return new_zoo(tmp_path_factory.mktemp("diagnosis"))


def test_the_right_index_is_confirmed_by_all_the_images(shared, all_images, tiled):
    index = shared.index(CLAIM, "right.yml")
    outcome = shared.validate(index, all_images)
    assert outcome.status == 0, outcome.err
    finding = outcome.finding()
    assert (finding["status"], finding["cause"]) == ("match", None)
    top1, top5, images = outcome.counts
    assert (top1, top5) == (100, 100)
    # A tenth of a point is 1 of 1,000 images: nearly all have to be seen to exclude 2 wrong ones.
    assert 900 <= images <= 1000
    # No alternative was tried, and each image was counted once.
    assert tiled([part for part, _ in shared.parts()]) == images
    assert f"{images:,} of {images:,} images are right" in finding["message"]


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_setting_is_contradicted_early_and_named(shared, all_images, what):
    settings, words = WRONG[what]
    index = shared.index(CLAIM, f"{what}.yml", **settings)
    outcome = shared.validate(index, all_images)
    finding = outcome.finding()
    assert outcome.status == 1, outcome.err
    assert (finding["status"], finding["severity"]) == ("mismatch", "error")
    assert finding["cause"] == "accuracy.preprocessing", finding["message"]
    assert f"prepared with {words} " in finding["message"]
    assert outcome.counts[2] <= 400
    assert finding["measured"] < 100


def test_channels_in_the_other_order_are_named(shared, made, flat, tmp_path):
    """The images were stored as OpenCV reads them, and nobody turned the channels round."""
    from PIL import Image

    folder = flat(made, tmp_path / "set", 120)
    for name in made.names[:120]:
        with Image.open(folder / name) as image:
            turned = Image.merge("RGB", image.split()[::-1])
        (folder / name).unlink()
        turned.save(folder / name, "PNG")
    outcome = shared.validate(shared.index(CLAIM | {"Images": 120}, "bgr.yml"), folder)
    finding = outcome.finding()
    assert finding["cause"] == "accuracy.preprocessing", finding["message"]
    assert "the channels in the order blue, green, red" in finding["message"]


def test_labels_that_count_from_one_are_no_fault_of_the_index(shared, made, flat, tmp_path):
    later = [(label + 1) % 1000 for label in made.labels]
    folder = flat(made, tmp_path / "set", 60, later)
    outcome = shared.validate(shared.index(CLAIM | {"Images": 60}, "one.yml"), folder)
    finding = outcome.finding()
    assert (finding["status"], finding["cause"]) == ("unverified", "accuracy.undecided")
    assert "each label one class earlier" in finding["message"]
    assert "name the class folders by synsets" in finding["message"]
    # The labels' orders are looked up in predictions: no model was run for them.
    assert not [part for part, _ in shared.parts() if part.startswith("labels=")]


def test_shuffled_labels_are_no_fault_of_the_index(shared, made, flat, tmp_path):
    labels = list(made.labels)
    random.Random(1).shuffle(labels)
    folder = flat(made, tmp_path / "set", 120, labels)
    outcome = shared.validate(shared.index(CLAIM | {"Images": 120}, "shuffled.yml"), folder)
    finding = outcome.finding()
    assert outcome.status == 0
    assert finding["cause"] == "accuracy.undecided", finding["message"]
    assert "no more are right than by chance" in finding["message"]
    assert outcome.counts[2] <= 120


def test_wrong_weights_can_t_be_told_from_wrong_labels(shared, all_images):
    """A file whose tensors fit and whose classifier's rows stand in another order."""
    torch = pytest.importorskip("torch")
    state = torch.load(real_weights(), weights_only=True)
    for name in ("_fc.weight", "_fc.bias"):
        state[name] = state[name].flip(0)
    torch.save(state, shared.folder / "wrong.pth")
    index = shared.index(CLAIM, "weights.yml", weights="wrong.pth")
    outcome = shared.validate(index, all_images)
    finding = outcome.finding()
    assert finding["cause"] == "accuracy.undecided", finding["message"]
    assert "or the weights are another model's" in finding["message"]
    # More than the first look: few right answers of few images might be a model's that is bad.
    assert 500 <= outcome.counts[2] <= 600


def test_of_two_networks_in_a_file_the_other_is_measured_too(shared, made, flat, tmp_path):
    """The page is right of the moving average, and the run takes the plain weights first."""
    torch = pytest.importorskip("torch")
    right = torch.load(real_weights(), weights_only=True)
    worse = {name: tensor.clone() for name, tensor in right.items()}
    worse["_fc.bias"][::3] += 20  # a third of all classes are answered too often
    averaged = {"n_averaged": torch.tensor(3)} | {f"module.{k}": v for k, v in right.items()}
    torch.save({"model": worse, "model_ema": averaged}, shared.folder / "two.pth")
    index = shared.index(CLAIM | {"Images": 60}, "two.yml", weights="two.pth")
    finding = shared.validate(index, flat(made, tmp_path / "set", 60)).finding()
    assert (finding["cause"], finding["severity"]) == ("accuracy.contradicted", "warning")
    assert "with the entry 'model' of the file" in finding["message"]
    assert "with 'model_ema' 60 of 60 are right: the claim holds there" in finding["message"]


def test_slips_of_the_pen_that_are_certain_are_mended(zoo, made, flat, tmp_path):
    count = 200
    labels = [made.seconds[n] if n % 4 == 0 else made.labels[n] for n in range(count)]
    labels[1::20] = [(label + 7) % 1000 for label in labels[1::20]]
    place = flat(made, tmp_path / "set", count, labels)
    right = {"Top 1 Accuracy": "70%", "Top 5 Accuracy": "95%"}
    index = zoo.index({**right, "Images": count})
    top1, top5, _ = zoo.validate(index, place).counts
    first, fifth = f"{top1:.2f}", f"{top5:.2f}"
    for wrong, mended in (
        ((str(top1 / 100), str(top5 / 100)), (first.rstrip("0"), fifth.rstrip("0"))),
        ((f"{fifth}%", f"{first}%"), (f"{first}%", f"{fifth}%")),
    ):
        index = zoo.index({**dict(zip(right, wrong, strict=True)), "Images": count})
        done = zoo.call(
            *("fix", "--all", "--checks", "accuracy", "--write", "--index", index, "--data", place)
        )
        (entry,) = json.loads(index.read_text())["Models"]
        (result,) = entry["Results"]
        assert [*result["Metrics"].values()] == [each.rstrip(".") for each in mended], done.err
        assert zoo.validate(index, place).status == 0
