"""Which data set images are of, and which class a folder's name means."""

from __future__ import annotations

import pytest

from harness.datasets import ImageSetError, identify, open_image_set
from harness.datasets.find import ImageFile
from harness.datasets.types import Entry, image_set
from zoo.labels import imagenet_categories, imagenet_synsets


def a_set(names, labels, where="/data/val"):
    entries = [Entry(name, (1,), ImageFile(name, 1, 1)) for name in names]
    return image_set("class folders", where, entries, labels)


def folders(root, names):
    """A folder of class folders with an image in each, which nobody decodes."""
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        (root / name / f"{number}.jpeg").write_bytes(b"\xff\xd8\xff")
    return root


def test_images_are_known_by_the_names_of_the_validation_set():
    val = [f"ILSVRC2012_val_{n:08}.JPEG" for n in (1, 77, 50_000)]
    with_synset = [f"n01440764/ILSVRC2012_val_{n:08}_n01440764.JPEG" for n in (293, 2138)]
    for names in (val, with_synset, [name.lower() for name in val]):
        known = identify(a_set(names, [0] * len(names)))
        assert (known.dataset, known.other) == ("imagenet-1k", ""), names
    assert identify(open_image_set("sample")).dataset == "imagenet-1k"


def test_the_whole_set_is_known_by_its_counts():
    labels = [n // 50 for n in range(50_000)]
    whole = a_set([f"{label}/{n}.png" for n, label in enumerate(labels)], labels)
    assert identify(whole).dataset == "imagenet-1k"
    assert whole.population.full
    labels[0] = 1
    other = a_set([f"{n}.png" for n in range(50_000)], labels)
    assert identify(other).dataset is None
    assert not other.population.full


def test_other_sets_in_the_same_folders_are_not_it():
    synsets = imagenet_synsets()
    others = {
        "ImageNet's training images": [f"{synsets[n]}/{synsets[n]}_{n}6.JPEG" for n in range(9)],
        "ImageNet-Sketch": [f"{synsets[n]}/sketch_{n}.JPEG" for n in range(9)],
        "ImageNet-R": [f"{synsets[n]}/{kind}_{n}.jpg" for n, kind in enumerate(["art", "toy"])],
        "ImageNet-A": ["n01498041/0.000116_digital clock _ digital clock_0.865662.jpg"],
        "ImageNet-V2": [f"{n}/{n:040x}.jpeg" for n in range(9)],
    }
    for other, names in others.items():
        found = identify(a_set(names, list(range(len(names)))))
        assert (found.dataset, found.other) == (None, other)
        assert other in found.contradicts(len(names))
    spoilt = a_set(["n01440764/ILSVRC2012_val_00000293.JPEG"], [0], "/data/gaussian_noise/3")
    assert identify(spoilt).other == "ImageNet-C"
    # Fifty of each class of the training images are no validation set.
    labels = [n // 50 for n in range(50_000)]
    kept = a_set([f"{synsets[c]}/{synsets[c]}_{n}.JPEG" for n, c in enumerate(labels)], labels)
    assert identify(kept).dataset is None


def test_names_that_are_not_all_of_the_validation_set_tell_nothing():
    for names in (
        ["ILSVRC2012_val_00000001.JPEG", "cat.jpg"],
        ["a/ILSVRC2012_val_00000001.JPEG", "b/ILSVRC2012_val_00000001.JPEG"],
        ["ILSVRC2012_val_00050001.JPEG"],
        ["ILSVRC2010_val_00000001.JPEG"],
        ["val_1.JPEG", "val_2.JPEG"],
    ):
        found = identify(a_set(names, [0] * len(names)))
        assert (found.dataset, found.other) == (None, ""), names
        assert "not known to be of ImageNet's validation set" in found.evidence
        assert found.contradicts(len(names)) == ""
    assert "50,001" in found.contradicts(50_001)


def test_a_class_folder_is_read_by_its_exact_spelling_first(tmp_path):
    names = imagenet_categories()
    assert (names[264], names[474]) == ("Cardigan", "cardigan")
    found = open_image_set(folders(tmp_path / "both", ["Cardigan", "cardigan", "tench"]))
    by_folder = {n.partition("/")[0]: c for n, c in zip(found.names, found.labels, strict=True)}
    assert by_folder == {"Cardigan": 264, "cardigan": 474, "tench": 0}
    # Every class by its own name, and by it with underscores.
    exact = {name: c for c, name in enumerate(names)}
    for spelt in (lambda name: name, lambda name: name.replace(" ", "_")):
        root = folders(tmp_path / str(len(list(tmp_path.iterdir()))), map(spelt, exact))
        assert sorted(open_image_set(root).labels) == list(range(1000))
    # Case does not count where it decides nothing.
    for name, label in (("TENCH", 0), ("shih-tzu", exact["Shih-Tzu"]), ("Crane_Bird", 134)):
        assert open_image_set(folders(tmp_path / name, [name])).labels == (label,)


def test_a_name_that_may_be_two_classes_is_refused(tmp_path):
    for name in ("CARDIGAN", "CarDigan"):
        with pytest.raises(ImageSetError) as refusal:
            open_image_set(folders(tmp_path / name, [name, "tench", "goldfish"]))
        for words in (name, "'Cardigan' (class 264)", "'cardigan' (class 474)"):
            assert words in str(refusal.value)


def test_a_class_index_of_1000_says_what_labels_may_count(tmp_path):
    with pytest.raises(ImageSetError, match="count from 1 take 1 off"):
        open_image_set(folders(tmp_path / "set", ["1", "500", "1000"]))
