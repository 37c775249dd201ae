"""Counts equal those of an independent pipeline, and don't depend on how they were made."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.datasets import ImageSetError, open_image_set, order
from harness.measure.accuracy.classifier import Classifier, ValidationError
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.measure.builders.native import NativeBuilder
from zoo.errors import CheckpointError
from zoo.preprocessing import IMAGENET_MEAN, IMAGENET_STD

COUNTS = ("images", "top1", "top5", "unreadable", "not_finite")


def counts(result):
    return {key: result[key] for key in COUNTS}


def label_of(path):
    return int(path.stem.rpartition("_")[2])


@torch.inference_mode()
def test_logits_are_those_of_an_independent_implementation(
    recipe, checkpoint, photographs, peer_logits
):
    model = Classifier(
        NativeBuilder(),
        recipe.name,
        checkpoint,
        device=torch.device("cpu"),
        amp="off",
        compiled=False,
        batch_size=None,
    )
    transform = preprocessing_of(recipe)
    pixels = np.stack([transform.decode(path.read_bytes()) for path in photographs])
    ours = model.logits(transform.to_tensor(pixels, channels_last=True), 20)
    theirs = peer_logits(photographs)
    assert theirs.std() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_each_image_is_answered_as_by_timm_s_pipeline(
    recipe, checkpoint, photographs, validator, peer_logits
):
    best = peer_logits(photographs).topk(5).indices
    names = open_image_set("sample").names
    transform = preprocessing_of(recipe)
    for path, row in zip(photographs, best.tolist(), strict=True):
        label = label_of(path)
        found = validator.count(recipe, checkpoint, "sample", transform, [names.index(path.name)])
        assert (found["images"], found["top1"], found["top5"]) == (
            1,
            int(row[0] == label),
            int(label in row),
        )


def test_predictions_are_those_of_timm_s_pipeline(
    recipe, checkpoint, photographs, validator, tmp_path, labelled, peer_logits
):
    """Labelled with the peer's first and then its fifth class, so that each has to be ours too."""
    ranked = peer_logits(photographs).topk(5).indices
    for rank, right in ((0, (20, 20)), (4, (0, 20))):
        folder = tmp_path / f"rank{rank}"
        folder.mkdir()
        copies = [Path(shutil.copy(path, folder)) for path in photographs]
        labelled(folder, copies, ranked[:, rank].tolist())
        found = validator.count(
            recipe, checkpoint, str(folder), preprocessing_of(recipe), range(20)
        )
        assert (found["top1"], found["top5"]) == right


def test_a_wrong_normalisation_costs_images(recipe, checkpoint, validator):
    right = preprocessing_of(recipe)
    wrong = replace(right, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    found = [
        validator.count(recipe, checkpoint, "sample", each, range(20))["top1"]
        for each in (right, wrong)
    ]
    assert found[0] - found[1] >= 2


@pytest.fixture(scope="module")
def wide_counts(recipe, checkpoint, generated, validator):
    """With a normalisation that makes some answers wrong: else every count would be 100 %."""
    found = validator.count(recipe, checkpoint, str(generated), strained(recipe), range(60))
    assert 5 < found["top1"] < found["top5"] < 60
    return counts(found)


def strained(recipe):
    return replace(preprocessing_of(recipe), mean=IMAGENET_MEAN, std=(0.1,) * 3)


@pytest.mark.parametrize("batch", [1, 3])
def test_counts_do_not_depend_on_the_batch_size(
    batch, recipe, checkpoint, generated, tmp_path, wide_counts
):
    with Validator("cpu", cache_root=tmp_path, batch_size=batch, threads=2) as validator:
        found = validator.count(recipe, checkpoint, str(generated), strained(recipe), range(60))
    assert found["batch"] == batch
    assert counts(found) == wide_counts


@pytest.mark.parametrize(("workers", "threads"), [(0, 3), (2, 1)])
def test_counts_do_not_depend_on_workers_threads_or_the_cache(
    workers, threads, recipe, checkpoint, generated, tmp_path, wide_counts
):
    with Validator(
        "cpu", cache_root=tmp_path, decode_workers=workers, threads=threads
    ) as validator:
        for state in ("cold", "warm"):
            found = validator.count(recipe, checkpoint, str(generated), strained(recipe), range(60))
            assert counts(found) == wide_counts, state
            assert found["not_kept"] is None


def test_counts_add_up_over_any_shards(recipe, checkpoint, generated, validator, wide_counts):
    permutation = order(60)
    for size in (7, 59):
        parts = [
            validator.count(
                recipe, checkpoint, str(generated), strained(recipe), permutation[at:][:size]
            )
            for at in range(0, 60, size)
        ]
        for key in ("images", "top1", "top5"):
            assert sum(part[key] for part in parts) == wide_counts[key]
    none = validator.count(recipe, checkpoint, str(generated), strained(recipe), [])
    assert (none["images"], none["top1"], none["top5"]) == (0, 0, 0)


def test_without_room_for_decoded_images_the_counts_are_the_same(
    recipe, checkpoint, generated, tmp_path, wide_counts
):
    with Validator("cpu", cache_root=tmp_path, cache_bytes=1, threads=2) as validator:
        found = validator.count(recipe, checkpoint, str(generated), strained(recipe), range(60))
    assert counts(found) == wide_counts
    assert "exceed" in found["not_kept"]


def test_images_that_can_not_be_read_count_and_are_wrong(
    recipe, checkpoint, photographs, tmp_path, labelled, peer_logits
):
    folder = tmp_path / "images"
    folder.mkdir()
    copies = [Path(shutil.copy(path, folder)) for path in photographs[:6]]
    labelled(folder, copies, peer_logits(copies).argmax(1).tolist())
    copies[1].write_bytes(b"no image")
    copies[4].write_bytes(copies[4].read_bytes()[:3000])
    for workers in (0, 1):
        with Validator(
            "cpu", cache_root=tmp_path / "decoded", decode_workers=workers, threads=2
        ) as validator:
            transform = preprocessing_of(recipe)
            found = validator.count(recipe, checkpoint, str(folder), transform, range(6))
            alone = validator.count(recipe, checkpoint, str(folder), transform, [1])
        assert (found["images"], found["top1"], found["top5"]) == (6, 4, 4)
        assert [name for name, _ in found["unreadable"]] == [copies[1].name, copies[4].name]
        assert "no image" in found["unreadable"][0][1]
        assert "truncated" in found["unreadable"][1][1]
        assert (alone["images"], alone["top1"]) == (1, 0)


def test_a_checkpoint_of_another_variant_is_one_clear_error(
    recipe, checkpoint, validator, tmp_path
):
    other = replace(recipe, name="efficientnet_lite1")
    with pytest.raises(CheckpointError) as caught:
        validator.count(other, checkpoint, "sample", preprocessing_of(recipe), range(20))
    assert "\n" not in str(caught.value)
    page = tmp_path / "page.pth"
    page.write_text("<html>404</html>")
    with pytest.raises(CheckpointError) as caught:
        validator.count(recipe, page, "sample", preprocessing_of(recipe), range(20))
    assert "\n" not in str(caught.value)
    # And the right one is counted afterwards.
    found = validator.count(recipe, checkpoint, "sample", preprocessing_of(recipe), range(20))
    assert found["top1"] > 10


def test_a_file_changed_in_place_is_loaded_again(recipe, checkpoint, validator, tmp_path):
    path = tmp_path / "weights.pth"
    state = torch.load(checkpoint, weights_only=True)
    shutil.copy(checkpoint, path)
    good = validator.count(recipe, path, "sample", preprocessing_of(recipe), range(20))
    state["_fc.weight"] = state["_fc.weight"].flip(0)
    torch.save(state, path)
    bad = validator.count(recipe, path, "sample", preprocessing_of(recipe), range(20))
    assert good["top1"] > 10 > bad["top1"]


def test_bad_arguments_are_refused(recipe, checkpoint, validator, tmp_path):
    transform = preprocessing_of(recipe)
    with pytest.raises(ValueError, match="beyond its 20"):
        validator.count(recipe, checkpoint, "sample", transform, [20])
    with pytest.raises(ImageSetError):
        validator.count(recipe, checkpoint, str(tmp_path / "absent"), transform, [0])
    with pytest.raises(ValueError, match="amp must be one of"):
        Validator("cpu", amp="int8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device 'cuda:99'"):
        Validator("cuda:99")
    with pytest.raises(ValueError, match="must be auto, cpu"):
        Validator("tpu0")


class Few(NativeBuilder):
    """Lite0 with ten classes."""

    def build(self, name):
        import zoo

        return zoo.create_model(name, num_classes=10)


def test_a_model_of_other_classes_is_one_clear_error(recipe, validator, tmp_path):
    path = tmp_path / "ten.pth"
    torch.save(Few().build(recipe.name).state_dict(), path)
    with pytest.raises(ValidationError, match="tells 10 classes apart") as caught:
        validator.count(recipe, path, "sample", preprocessing_of(recipe), range(20), builder=Few())
    assert "\n" not in str(caught.value)


def test_half_precision_answers_nearly_the_same(recipe, checkpoint, generated, tmp_path):
    transform = preprocessing_of(recipe)
    with Validator("cpu", cache_root=tmp_path, amp="bf16", threads=2) as validator:
        half = validator.count(recipe, checkpoint, str(generated), transform, range(60))
    assert 50 <= half["top1"] <= 60
    assert half["decided_exactly"] == 0


def test_gray_images_and_images_of_other_sizes(
    recipe, checkpoint, photographs, validator, tmp_path, labelled, peer_logits
):
    folder = tmp_path / "odd"
    folder.mkdir()
    paths = []
    for number, size in enumerate(((90, 400), (1200, 300), (224, 224))):
        with Image.open(photographs[number]) as image:
            path = folder / f"{number}.png"
            image.convert("L").resize(size).save(path)
        paths.append(path)
    labelled(folder, paths, peer_logits(paths).argmax(1).tolist())
    found = validator.count(recipe, checkpoint, str(folder), preprocessing_of(recipe), range(3))
    assert found["top1"] == 3
