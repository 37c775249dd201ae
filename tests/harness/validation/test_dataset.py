"""Images that are, or are not, known to be of the set that an accuracy is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import RunConfig, UsageError
from harness.run.eval_dataset import EvalDatasets

# Both are far below what lite0 has on the sample's real images: 18 and 19 of 20.
CLAIM = {"Top 1 Accuracy": "20.00%", "Top 5 Accuracy": "30.00%"}
OTHERS = {
    "v2": "{label}/{number:040x}.jpeg",
    "sketch": "{label}/sketch_{number}.JPEG",
    "unnamed": "{label}/{number}.jpg",
}


@pytest.fixture
def place(tmp_path):
    """Writes the sample's images under other names."""
    from harness.datasets import open_image_set

    sample = open_image_set("sample")

    def write(pattern: str, name: str = "set") -> Path:
        root = tmp_path / name
        for number, (label, source) in enumerate(zip(sample.labels, sample.sources, strict=True)):
            path = root / pattern.format(label=label, number=number + 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read())
        return root

    return write


def eval_datasets(zoo, place, dataset=None):
    from zoo.index import load_index

    variants = load_index([zoo.index(CLAIM)]).variants
    return EvalDatasets(RunConfig(data=str(place), dataset=dataset), variants)


def test_only_images_of_the_set_contradict_a_claim(zoo, place):
    index = zoo.index(CLAIM, Image_Size=224)
    known = place("{label}/ILSVRC2012_val_{number:08}.JPEG", "known")
    outcome = zoo.validate(index, known)
    assert outcome.status == 1, outcome.err
    assert "contradict no accuracy" not in outcome.err
    for field in CLAIM:
        assert outcome.finding(field)["cause"] == "accuracy.contradicted"
    unknown = place(OTHERS["v2"], "v2")
    outcome = zoo.validate(index, unknown)
    assert outcome.status == 0, outcome.err
    assert "the images have the names of ImageNet-V2, so they contradict no accuracy" in outcome.err
    for field, right in zip(CLAIM, (90, 95), strict=True):
        finding = outcome.finding(field)
        assert (finding["status"], finding["cause"]) == ("unverified", "accuracy.unknown-dataset")
        assert finding["measured"] == right
        assert "ILSVRC2012_val_" in finding["message"]


def test_what_is_stated_holds_where_nothing_speaks_against_it(zoo, place):
    folders = {name: place(pattern, name) for name, pattern in OTHERS.items()}
    for name, folder in folders.items():
        (eval_dataset,) = eval_datasets(zoo, folder).opened
        assert eval_dataset.images.dataset == ""
        if name == "unnamed":
            (eval_dataset,) = eval_datasets(zoo, folder, "imagenet-1k").opened
            assert eval_dataset.images.dataset == "imagenet-1k"
            continue
        with pytest.raises(UsageError, match="--dataset: imagenet-1k was said of") as refusal:
            eval_datasets(zoo, folder, "imagenet-1k")
        assert len(refusal.value.lines) == 1


def test_the_option_and_the_setting_take_the_names_of_imagenet(tmp_path):
    from harness.config import configure, resolve

    for word in ("imagenet-1k", "ImageNet", "ILSVRC2012", "imagenet-1k"):
        assert configure(dataset=word, data="sample").dataset == "imagenet-1k"
    (tmp_path / "pyproject.toml").write_text('[tool.zoo]\ndataset = "imagenet-1k"\n')
    assert resolve("verify", {}, tmp_path, {})[0].dataset == "imagenet-1k"
    for word in ("imagenet-v2", "cifar10", "", "sample"):
        with pytest.raises(UsageError, match="write imagenet-1k"):
            configure(dataset=word, data="sample")
