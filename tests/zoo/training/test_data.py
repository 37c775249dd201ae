"""The same images in the same order, whoever decodes them; and what is left out."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.images.imagefolder import read_tree, split, unused
from zoo.preprocessing import Preprocessing
from zoo.training import BadInput
from zoo.training.data import EpochBatches, EveryImage, TrainImages, loader, transform_of

SMALL = Preprocessing(image_size=(24, 32), crop_pct=1.0)


def batches(tree, augment="auto", *, workers=0, rank=0, world=1, epoch=0, start=0, seed=3):
    order = EpochBatches(len(tree), 6, seed=seed, rank=rank, world=world)
    order.epoch, order.start = epoch, start
    images = TrainImages(tree, transform_of(SMALL, augment), seed)
    return list(loader(images, order, workers=workers))


def equal(one, other) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.pixels, b.pixels) and torch.equal(a.labels, b.labels)
        for a, b in zip(one, other, strict=True)
    )


def test_workers_and_ranks_change_nothing(images):
    tree = read_tree(images / "train")
    alone = batches(tree)
    assert [tuple(batch.pixels.shape) for batch in alone] == [(6, 24, 32, 3)] * 4
    assert equal(alone, batches(tree, workers=2))
    halves = [batches(tree, rank=rank, world=2, workers=rank) for rank in (0, 1)]
    for whole, *parts in zip(alone, *halves, strict=True):
        assert torch.equal(whole.pixels, torch.cat([part.pixels for part in parts]))
        assert torch.equal(whole.labels, torch.cat([part.labels for part in parts]))


def test_decoders_end_nothing_that_is_garbage_here(images, tmp_path):
    """The threads of a process group, say, whose end waits for what a copy doesn't have."""

    class Left:
        def __init__(self):
            self.cycle, self.owner = self, os.getpid()

        def __del__(self):
            (tmp_path / ("here" if os.getpid() == self.owner else "elsewhere")).touch()

    def collecting(image):
        gc.collect()
        return SMALL.to_pixels(image)

    tree = read_tree(images / "train")
    gc.collect()
    gc.disable()
    try:
        Left()
        assert list(loader(TrainImages(tree, collecting), EveryImage(4, 4), workers=1))
    finally:
        gc.enable()
    gc.collect()
    assert (tmp_path / "here").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_an_epoch_can_begin_at_any_step(images):
    tree = read_tree(images / "train")
    assert equal(batches(tree, epoch=4)[3:], batches(tree, epoch=4, start=3))


def test_epochs_and_seeds_differ_and_each_takes_every_image(images):
    tree = read_tree(images / "train")
    first = batches(tree)
    assert not equal(first, batches(tree, epoch=1))
    assert not equal(first, batches(tree, seed=4))
    # In the evaluation transform an image has the same pixels in both epochs.
    seen = [
        sorted(pixels.numpy().tobytes() for batch in batches(tree, "none", epoch=epoch)
               for pixels in batch.pixels)
        for epoch in (0, 1)
    ]  # fmt: skip
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 24


def test_the_same_image_is_augmented_anew_in_each_epoch(images):
    tree = read_tree(images / "train")
    dataset = TrainImages(tree, transform_of(SMALL, "light"), 0)
    state = torch.get_rng_state()
    epochs = [dataset[(epoch, 5)][0].tobytes() for epoch in range(4)]
    assert len(set(epochs)) == 4
    assert dataset[(2, 5)][0].tobytes() == epochs[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_without_augmentation_the_pixels_are_those_of_the_evaluation(images):
    tree = read_tree(images / "val")
    found = list(loader(TrainImages(tree, SMALL.to_pixels), EveryImage(9, 4), workers=0))
    assert [len(batch.labels) for batch in found] == [4, 4, 1]
    assert torch.cat([batch.labels for batch in found]).tolist() == [0] * 3 + [1] * 3 + [2] * 3
    for path, pixels in zip(tree.paths, torch.cat([b.pixels for b in found]), strict=True):
        with Image.open(tree.root / path) as image:
            tensor = SMALL(image)
        assert torch.equal(SMALL.to_tensor(pixels), tensor)


def test_shares_of_a_validation_are_every_image_once():
    shares = [list(EveryImage(11, 2, rank=rank, world=3)) for rank in range(3)]
    assert sorted(number for share in shares for keys in share for _, number in keys) == [
        *range(11)
    ]


def test_images_of_any_mode(tmp_path):
    for label, mode in enumerate(("L", "RGBA", "P", "CMYK", "1", "I;16")):
        folder = tmp_path / f"c{label}"
        folder.mkdir()
        Image.new(mode, (40, 30)).save(folder / ("a.jpg" if mode == "CMYK" else "a.png"))
    tree = read_tree(tmp_path)
    order = EpochBatches(6, 6, seed=0)
    (batch,) = loader(TrainImages(tree, transform_of(SMALL, "auto")), order, workers=0)
    assert tuple(batch.pixels.shape) == (6, 24, 32, 3)
    assert batch.unreadable == []


def test_what_can_t_be_read_is_named_and_left_out(images):
    train = images / "train"
    (train / "class0" / "0.png").write_bytes(b"<html>not found</html>")
    whole = (train / "class1" / "1.png").read_bytes()
    (train / "class1" / "1.png").write_bytes(whole[: len(whole) // 2])
    (train / "class2" / "2.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (train / "class2" / "notes.txt").write_text("no image")
    tree = read_tree(train)
    assert tree.ignored == 1
    found = batches(tree, "none")
    lines = sorted(line for batch in found for line in batch.unreadable)
    assert len(lines) == 3
    assert lines[0].startswith(f"{train}/class0/0.png: no image of a known format")
    assert lines[1].startswith(f"{train}/class1/1.png: ")
    assert "truncated" in lines[1] or "broken" in lines[1]
    assert lines[2].startswith(f"{train}/class2/2.png: no image of a known format")
    assert sum(len(batch.labels) for batch in found) == 21
    assert all(len(batch.labels) == len(batch.pixels) for batch in found)


def test_a_batch_of_nothing_but_damaged_images_is_empty(images):
    for path in (images / "val").rglob("*.png"):
        path.write_bytes(b"")
    tree = read_tree(images / "val")
    found = list(loader(TrainImages(tree, SMALL.to_pixels), EveryImage(9, 9), workers=0))
    assert [len(batch.labels) for batch in found] == [0]
    assert len(found[0].unreadable) == 9


def test_train_and_val_in_one_folder(images):
    assert split(images) == (images / "train", images / "val")
    assert split(images / "train") == (images / "train", None)
    (images / "test").mkdir()
    (images / "notes.txt").touch()
    assert split(images) == (images / "train", images / "val")
    assert unused(images, images / "train", images / "val") == ["test"]
    assert unused(images, images / "train") == ["test", "val"]
    assert unused(images, images) == []


def test_classes_that_are_called_train_and_val(tmp_path):
    for name in ("bus", "train", "val"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / name / "a.png")
    assert split(tmp_path) == (tmp_path, None)
    assert read_tree(tmp_path).classes == ("bus", "train", "val")


def test_only_files_are_images(images):
    inside = images / "train" / "class0"
    os.mkfifo(inside / "pipe.png")
    (inside / "gone.png").symlink_to(inside / "nothing.png")
    (inside / "again.png").symlink_to(inside / "0.png")
    tree = read_tree(images / "train")
    assert len(tree) == 25
    assert tree.ignored == 2


def test_a_folder_that_holds_itself_is_told(images):
    (images / "train" / "class0" / "deep").mkdir()
    (images / "train" / "class0" / "deep" / "loop").symlink_to(images / "train")
    with pytest.raises(BadInput, match="deep/loop: is a link to a folder that it lies in"):
        read_tree(images / "train")


def test_a_tree_is_known_by_its_paths_and_classes(images, tmp_path):
    before = read_tree(images / "train").identity()
    moved = images.rename(tmp_path / "moved") / "train"
    assert read_tree(moved).identity() == before
    image = moved / "class0" / "0.png"
    for other in (image.with_name("00.png"), moved / "class1" / "0-again.png"):
        image = image.rename(other)
        now = read_tree(moved).identity()
        assert now != before
        assert now.startswith("24 images, ")


def test_classes_are_numbered_by_name_and_kept_for_validation(images):
    train = read_tree(images / "train")
    assert train.classes == ("class0", "class1", "class2")
    for path in (images / "val" / "class1").iterdir():
        path.unlink()
    (images / "val" / "class1").rmdir()
    val = read_tree(images / "val", train.classes)
    assert val.classes == train.classes
    assert val.labels == (0,) * 3 + (2,) * 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda root: (root / "empty").mkdir(), "1 class folder without images: empty; fill"),
        (
            lambda root: [(root / name).mkdir() for name in "ab"],
            "2 class folders without images: a, b; fill",
        ),
        (lambda root: (root / "a\nb").mkdir(), "a name that can't be listed"),
    ],
)
def test_a_wrong_tree_is_one_line(images, change, why):
    change(images / "train")
    with pytest.raises(BadInput, match=why) as caught:
        read_tree(images / "train")
    assert "\n" not in str(caught.value)


def test_trees_without_classes(tmp_path, images):
    with pytest.raises(BadInput, match="can't be listed: No such file"):
        read_tree(tmp_path / "missing")
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInput, match="no class folders"):
        read_tree(tmp_path / "none")
    (tmp_path / "none" / "only").mkdir()
    with pytest.raises(BadInput, match="only is the only class"):
        read_tree(tmp_path / "none")
    with pytest.raises(BadInput, match="class0 is not among the 2"):
        read_tree(images / "val", ("cat", "dog"))


def test_the_noise_of_the_tests_is_what_it_says(images):
    """Otherwise comparing pixels above would say nothing."""
    pixels = [np.asarray(Image.open(path)).tobytes() for path in images.rglob("*.png")]
    assert len(set(pixels)) == 33
