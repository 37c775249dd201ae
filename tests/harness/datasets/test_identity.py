"""Which data set images are of, and which class a folder's name means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.datasets import ImageSetError, identify, open_image_set
from harness.datasets.find import ImageFile
from harness.datasets.types import Entry, image_set
from zoo.known_datasets import KNOWN, class_subset
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
    assert whole.full
    labels[0] = 1
    other = a_set([f"{n}.png" for n in range(50_000)], labels)
    assert identify(other).dataset is None
    assert not other.full


SYNSETS = imagenet_synsets()
A, R = class_subset("imagenet_a"), class_subset("imagenet_r")
# Of each set: the names of an image of a class, numbered, and classes that it has.
NAMED = {
    "imagenet-1k-train": (lambda c, n: f"{SYNSETS[c]}/{SYNSETS[c]}_{n}6.JPEG", (0, 5, 999)),
    "imagenet-sketch": (lambda c, n: f"{SYNSETS[c]}/sketch_{n}.JPEG", (0, 5, 999)),
    "imagenet-r": (lambda c, n: f"{SYNSETS[c]}/{('art', 'toy')[n % 2]}_{n}.jpg", R[:3]),
    "imagenet-a": (lambda c, n: f"{SYNSETS[c]}/0.00{n}_digital clock _ tub_0.86{n}.jpg", A[:3]),
    "imagenet-1k": (lambda c, n: f"{SYNSETS[c]}/ILSVRC2012_val_{n + 1:08}.JPEG", (0, 5, 999)),
}


def shaped(name, classes, each=1, where="/data/val"):
    pairs = [(c, number) for number, c in enumerate(c for c in classes for _ in range(each))]
    return a_set([name(c, number) for c, number in pairs], [c for c, _ in pairs], where)


def test_sets_are_known_by_the_names_that_they_were_published_with():
    for dataset, (name, classes) in NAMED.items():
        images = shaped(name, classes)
        found = identify(images)
        assert (found.dataset, found.other) == (dataset, ""), dataset
        for stated in KNOWN.values():
            wrong = found.contradicts(images, stated)
            assert bool(wrong) == (dataset not in (stated.name, stated.images_of)), (
                dataset,
                stated,
            )
    # Names of a set in classes that it has not, or more of a class than it has.
    for name, classes, each in (
        (NAMED["imagenet-r"][0], [0, *R], 1),
        (NAMED["imagenet-a"][0], [0, *A], 1),
        (lambda c, n: f"{c}/{n:040x}.jpeg", (0, 1), 11),
    ):
        found = identify(shaped(name, classes, each))
        assert found.dataset is None
        assert found.other
    sketches = shaped(lambda c, n: f"{SYNSETS[c]}/sketch_{n}.jpg", R[:3])
    assert identify(sketches).dataset == "imagenet-r"
    spoilt = a_set(["n01440764/ILSVRC2012_val_00000293.JPEG"], [0], "/data/gaussian_noise/3")
    assert identify(spoilt).other == "ImageNet-C"


def test_which_of_v2_s_sets_is_told_by_its_folder_and_never_by_that_alone():
    names = [f"{c}/{c:040x}.jpeg" for c in range(9)]
    for folder, dataset in (
        ("imagenetv2-matched-frequency-format-val", "imagenet-v2-matched-frequency"),
        ("ImageNetV2-threshold0.7", "imagenet-v2-threshold-0.7"),
        ("imagenetv2-top-images-format-val", "imagenet-v2-top-images"),
    ):
        for where, prefix in ((f"/data/{folder}", ""), ("/data/x.tar", f"{folder}/")):
            images = a_set([prefix + name for name in names], range(9), where)
            assert identify(images).dataset == dataset
            assert [n for n in KNOWN if not identify(images).contradicts(images, KNOWN[n])] == [
                dataset
            ]
        # The folder's name alone tells nothing.
        assert identify(a_set(["0/a.jpeg"], [0], f"/data/{folder}")).dataset is None
    unnamed = a_set(names, range(9))
    found = identify(unnamed)
    assert (found.dataset, found.family) == (None, "ImageNet-V2")
    possible = [n for n in KNOWN if not found.contradicts(unnamed, KNOWN[n])]
    assert possible == [n for n in KNOWN if n.startswith("imagenet-v2")]


def test_whole_sets_are_known_by_counts_that_no_other_has(monkeypatch):
    """Scaled: so many images of each set that it takes no time to list them."""
    for name, images in (("imagenet-a", 400), ("imagenet-r", 600), ("imagenet-sketch", 2001)):
        monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], images=images))
    monkeypatch.setitem(KNOWN, "imagenet-1k", replace(KNOWN["imagenet-1k"], images=3000, each=3))
    for name in [name for name in KNOWN if name.startswith("imagenet-v2")]:
        monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], images=1000, each=1))

    def plain(c, n):
        return f"{SYNSETS[c]}/{n}.jpg"

    every = range(1000)
    assert identify(shaped(plain, A, 2)).dataset == "imagenet-a"
    assert identify(shaped(plain, R, 3)).dataset == "imagenet-r"
    assert identify(shaped(plain, [0, *every, *every])).dataset == "imagenet-sketch"
    assert identify(shaped(plain, every, 3)).dataset == "imagenet-1k"
    numbered = shaped(lambda c, n: f"{c}/{n}.jpg", every)
    assert identify(numbered).family == "ImageNet-V2"
    # Neither other folders, nor one image more or fewer, nor other classes.
    for images in (
        shaped(plain, every),
        shaped(plain, [A[0], *A, *A]),
        shaped(plain, R[1:], 3),
        shaped(plain, [0, *every, *every], 2),
        shaped(plain, range(200), 2),
    ):
        found = identify(images)
        assert (found.dataset, found.other, found.family) == (None, "", "")


def test_names_and_counts_that_say_different_things_say_nothing(monkeypatch):
    """Scaled as above. What is stated then counts, unless it can't be."""
    monkeypatch.setitem(KNOWN, "imagenet-1k", replace(KNOWN["imagenet-1k"], images=3000, each=3))
    for name in [name for name in KNOWN if name.startswith("imagenet-v2")]:
        monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], images=1000, each=1))
    every = [(c, n) for c in range(1000) for n in range(3)]
    val = [f"{SYNSETS[c]}/ILSVRC2012_val_{3 * c + n + 1:08}.JPEG" for c, n in every]
    labels = [c for c, _ in every]

    def found(names, labels=labels):
        images = a_set(names, labels)
        return identify(images), images

    stranger = {
        **{"of -A": f"{SYNSETS[0]}/0.001_tub _ cat_0.9.jpg", "of -R": f"{SYNSETS[0]}/ART_0.jpg"},
        **{"training": f"{SYNSETS[0]}/N01440764_10026.JPEG"},
    }
    for why, name in stranger.items():
        mixed, images = found([name, *val[1:]])
        assert (mixed.dataset, mixed.other, mixed.family) == (None, "", ""), why
        assert "counts of one dataset" in mixed.evidence
        assert mixed.contradicts(images, KNOWN["imagenet-1k"]) == ""
    # The whole set, renamed by numbers or by hashes, is not taken for another, nor refused.
    for spelt, dataset in (
        (lambda c, n: f"{SYNSETS[c]}/{SYNSETS[c]}_{n}.JPEG", None),
        (lambda c, n: f"{SYNSETS[c]}/{SYNSETS[c]}_{n:05}.JPEG", None),
        (lambda c, n: f"{SYNSETS[c]}/{3000 * c + n:040x}.jpeg", "imagenet-1k"),
        (lambda c, n: f"{SYNSETS[c].upper()}/{3 * c + n}.png", "imagenet-1k"),
    ):
        renamed, images = found([spelt(c, n) for c, n in every])
        assert (renamed.dataset, renamed.other) == (dataset, "")
        for name in ("imagenet-1k", "imagenet-1k-train"):
            assert renamed.contradicts(images, KNOWN[name]) == "", name
    hashed, images = found([f"{SYNSETS[c]}/{c:040X}.jpg" for c in (0, 7)], [0, 7])
    assert (hashed.family, hashed.contradicts(images, KNOWN["imagenet-1k"])) == ("ImageNet-V2", "")
    # In capitals they are what they were; other files of sketches are sketches of all classes.
    for dataset, (name, classes) in NAMED.items():
        shouted = shaped(lambda c, n, name=name: name(c, n).upper(), classes)
        assert identify(shouted).dataset == dataset
    sketches = shaped(lambda c, n: f"{SYNSETS[c]}/sketch_{n}.png", (0, 5, 999))
    assert identify(sketches).dataset == "imagenet-sketch"


def test_names_that_are_not_all_of_the_validation_set_tell_nothing():
    for names in (
        ["ILSVRC2012_val_00000001.JPEG", "cat.jpg"],
        ["a/ILSVRC2012_val_00000001.JPEG", "b/ILSVRC2012_val_00000001.JPEG"],
        ["ILSVRC2012_val_00050001.JPEG"],
        ["ILSVRC2010_val_00000001.JPEG"],
        ["val_1.JPEG", "val_2.JPEG"],
    ):
        images = a_set(names, [6] * len(names))
        found = identify(images)
        assert (found.dataset, found.other) == (None, ""), names
        assert "not known to be of ImageNet's validation set" in found.evidence
        assert [name for name in KNOWN if found.contradicts(images, KNOWN[name])] == []


def test_counts_speak_against_what_is_said():
    plain = [f"{n}.jpg" for n in range(60)]
    sixty, spread = a_set(plain, [0] * 60), a_set(plain, range(60))
    for images, name, words in (
        (sixty, "imagenet-1k", "class 0 has 60 images, and that set has 50 of each class"),
        (sixty, "imagenet-v2-top-images", "10 of each class"),
        (spread, "imagenet-a", "class 0, which is none of that set's"),
        (a_set([f"{n}" for n in range(10_001)], [6] * 10_001), "imagenet-a", "has 7,500"),
    ):
        assert words in identify(images).contradicts(images, KNOWN[name])
    assert identify(spread).contradicts(spread, KNOWN["imagenet-sketch"]) == ""


def test_images_are_the_same_by_their_names_and_sizes():
    def digest(names, size=1):
        entries = [Entry(name, (n,), ImageFile(name, size, n)) for n, name in enumerate(names)]
        return image_set("tar", "/x", entries, [0] * len(entries)).digest

    names = ["0/a.jpg", "0/b.jpg", "1/c.jpg"]
    assert digest(names) == digest(["c.jpg", "x/b.jpg", "a.jpg"])
    assert (
        len({digest(names), digest(names, 2), digest(names[:2]), digest([*names, "1/a.jpg"])}) == 4
    )
    # Where names are not unique, their folders are part of them.
    assert digest(["0/a.jpg", "1/a.jpg"]) != digest(["0/a.jpg", "2/a.jpg"])


def test_rows_without_names_are_the_same_by_what_their_shard_holds(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def digest(data, name=None):
        rows = [{"bytes": data, "path": name and f"{n}-{name}"} for n in range(3)]
        parquet.write_table(
            arrow.table({"image": rows, "label": [1, 2, 3]}), tmp_path / "a.parquet"
        )
        return open_image_set(tmp_path / "a.parquet").digest

    assert digest(b"x" * 40) == digest(b"x" * 40) != digest(b"xyz" * 40)
    assert digest(b"x", "a.jpg") == digest(b"xyz" * 40, "a.jpg")


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
