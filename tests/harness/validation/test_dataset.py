"""Images that are, or are not, known to be of the set that an accuracy is about."""

from __future__ import annotations

import json
import os
import random
import tarfile
from pathlib import Path

import pytest

from harness.config import RunConfig, UsageError
from harness.run.eval_datasets import EvalDatasets
from zoo.known_datasets import class_subset
from zoo.labels import imagenet_synsets

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
            synset = imagenet_synsets()[label]
            path = root / pattern.format(label=label, synset=synset, number=number + 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read())
        return root

    return write


def eval_datasets(zoo, place, *dataset):
    from zoo.index import load_index

    variants = load_index([zoo.index(CLAIM)]).variants
    return EvalDatasets(RunConfig(data=(str(place),), dataset=dataset), variants)


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
    for name, pattern, known in (
        ("v2", OTHERS["v2"], ""),
        ("sketch", OTHERS["sketch"], "imagenet-sketch"),
        ("unnamed", OTHERS["unnamed"], ""),
    ):
        folder = place(pattern, name)
        for stated in ((), ("auto",)):
            (eval_dataset,) = eval_datasets(zoo, folder, *stated).opened
            assert eval_dataset.images.dataset == known
        allowed = {"v2": "imagenet-v2-top-images", "sketch": known, "unnamed": "imagenet-1k"}[name]
        (eval_dataset,) = eval_datasets(zoo, folder, allowed).opened
        assert eval_dataset.images.dataset == allowed
        if name == "unnamed":
            continue
        with pytest.raises(UsageError, match="--dataset: imagenet-1k was said of") as refusal:
            eval_datasets(zoo, folder, "imagenet-1k")
        assert len(refusal.value.lines) == 1


def test_the_option_and_the_setting_take_the_names_of_the_table(tmp_path):
    from harness.config import configure, resolve

    for word in ("imagenet-1k", "ImageNet", "ILSVRC2012", "imagenet-1k"):
        assert configure(dataset=word, data="sample").dataset == ("imagenet-1k",)
    several = configure(dataset=["ImageNet V2", "auto"], data=["a", "b"])
    assert several.dataset == ("imagenet-v2-matched-frequency", "auto")
    (tmp_path / "pyproject.toml").write_text('[tool.zoo]\ndataset = "imagenet-1k"\n')
    assert resolve("verify", {}, tmp_path, {})[0].dataset == ("imagenet-1k",)
    for word in ("imagenet-v3", "cifar10", "", "sample"):
        with pytest.raises(UsageError, match="write imagenet-1k"):
            configure(dataset=word, data="sample")


def results(**by_dataset):
    """An index of lite0 with an accuracy on each of these sets."""
    return [
        {"Task": "Image Classification", "Dataset": name, "Metrics": {"Top 1 Accuracy": value}}
        for name, value in by_dataset.items()
    ]


def write_index(zoo, results):
    path = zoo.index({}, Image_Size=224)
    entry = json.loads(path.read_text())
    entry["Models"][0]["Results"] = results
    path.write_text(json.dumps(entry))
    return path


def found(outcome):
    """Documented accuracy -> status, cause and what was measured."""
    return {
        f["documented"]: (f["status"], f["cause"], f["measured"])
        for f in outcome.document["findings"]
        if f["field"] == "Top 1 Accuracy"
    }


def test_each_result_is_held_against_the_images_of_its_set(zoo, place):
    val = place("{synset}/ILSVRC2012_val_{number:08}.JPEG", "val")
    v2 = place("imagenetv2-top-images-format-val/{label}/{number:040x}.jpeg", "v2")
    sketch = place("{synset}/sketch_{number}.JPEG", "sketch")
    v2 = v2 / "imagenetv2-top-images-format-val"
    index = write_index(
        zoo,
        results(
            **{
                "ImageNet-1K": "20.0",
                "ImageNet V2 top images": "21.0",
                "ImageNet-V2": "22.0",
                "ImageNet Sketch": "23.0",
                "CIFAR-10": "24.0",
                "ImageNet-ReaL": "25.0",
            }
        ),
    )
    outcome = zoo.validate(index, val, "--data", v2, "--data", sketch)
    wrong = ("mismatch", "accuracy.contradicted", 90.0)
    assert outcome.status == 1, outcome.err
    here = found(outcome)
    # By labels that timm ships, where it is installed; these images are not those.
    assert here.pop("25.0")[0] != "match"
    assert here == {
        "20.0": wrong,
        "21.0": wrong,
        "22.0": ("unverified", "accuracy.other-dataset", None),
        "23.0": wrong,
        "24.0": ("unverified", "accuracy.no-data", None),
    }
    (variant,) = outcome.document["variants"]
    evaluations = variant["measurements"]["evaluations"]
    evaluations = [e for e in evaluations if e["dataset"] != "imagenet-real"]
    assert [(e["dataset"], e["images"], e["of"]) for e in evaluations] == [
        ("imagenet-1k", 20, 20),
        ("imagenet-v2-top-images", 20, 20),
        ("imagenet-sketch", 20, 20),
    ]
    assert len({e["digest"] for e in evaluations}) == 3
    # In another order, and one alone: the counts of each set are in the store.
    again = zoo.validate(index, sketch, "--data", val, "--data", v2)
    assert found(again) == found(outcome)
    alone = found(zoo.validate(index, v2))
    assert alone["21.0"] == wrong
    assert alone["20.0"] == alone["23.0"] == ("unverified", "accuracy.other-dataset", None)


def test_other_known_images_neither_confirm_nor_contradict(zoo, place):
    train = place("{synset}/{synset}_{number}.JPEG", "train")
    for value in ("20.0", "90.0"):
        index = write_index(zoo, results(ImageNet=value))
        outcome = zoo.validate(index, train)
        assert outcome.status == 0
        assert found(outcome) == {value: ("unverified", "accuracy.other-dataset", 90.0)}
        assert "ImageNet's training images" in outcome.err
    # Of images that are stated to be another set's, the statement is named and not their names.
    unnamed = place(OTHERS["unnamed"], "unnamed")
    outcome = zoo.validate(index, unnamed, "--dataset", "imagenet-1k-train")
    (finding,) = outcome.document["findings"]
    assert finding["cause"] == "accuracy.other-dataset"
    assert "the images are ImageNet's training images, as --dataset says" in finding["message"]


def test_sets_that_can_t_be_told_apart_are_refused(zoo, place):
    one, two = place(OTHERS["unnamed"], "one"), place(OTHERS["unnamed"], "two")
    val = place("{label}/ILSVRC2012_val_{number:08}.JPEG", "val")
    index = zoo.index(CLAIM, Image_Size=224)
    for arguments, words in (
        ((one, "--data", two), "say which is which with --dataset"),
        ((val, "--data", val), "are both of imagenet-1k"),
        ((val, "--data", one, "--dataset", "auto"), "give one for each in the same order"),
        ((val, "--data", zoo.folder / "nowhere"), "nowhere"),
        ((one, "--dataset", "imagenet-a"), "which is none of that set's"),
    ):
        outcome = zoo.validate(index, *arguments)
        assert outcome.status == 2, arguments
        assert words in outcome.err
        # Where the names tell, another statement would be refused.
        assert ("say which is which" in outcome.err) == (arguments == (one, "--data", two))
    outcome = zoo.validate(index, val, "--data", one, "--dataset", "auto", "--dataset", "sketch")
    assert outcome.status == 2


def test_of_several_places_each_has_its_dataset_in_the_remedy(zoo, place):
    val = place("{label}/ILSVRC2012_val_{number:08}.JPEG", "val")
    one = place(OTHERS["unnamed"], "one")
    index = write_index(zoo, results(**{"ImageNet-R": "90.0"}))
    for places, stated in (
        ((one,), "--dataset {}"),
        ((val, "--data", one), "--dataset auto --dataset {}"),
        ((one, "--data", val), "--dataset {} --dataset auto"),
    ):
        outcome = zoo.validate(index, *places)
        assert f"if you know which they are, say {stated.format('NAME')}\n" in outcome.err
        assert f"say {stated.format('imagenet-r')} if they are of it" in str(outcome.document)


def test_images_of_no_known_set_are_evaluated_beside_others(zoo, place):
    val = place("{label}/ILSVRC2012_val_{number:08}.JPEG", "val")
    one = place(OTHERS["unnamed"], "one")
    index = write_index(zoo, results(ImageNet="90.0", **{"ImageNet-R": "80.0"}))
    outcome = zoo.validate(index, one, "--data", val)
    unknown = ("unverified", "accuracy.unknown-dataset")
    found = [
        (f["documented"], f["status"], f["cause"], f["measured"])
        for f in outcome.document["findings"]
        if f["field"] == "Top 1 Accuracy"
    ]
    (measured,) = outcome.document["variants"]
    evaluations = measured["measurements"]["evaluations"]
    assert [(e["dataset"], e["images"], e["top1"]) for e in evaluations] == [
        ("imagenet-1k", 20, 90.0),
        (None, 20, 90.0),
    ]
    assert found[-1][:1] == ("90.0",), found
    assert ("80.0", *unknown, None) in found
    # They say nothing of a claim that they would contradict.
    outcome = zoo.validate(write_index(zoo, results(ImageNet="20.0")), val, "--data", one)
    causes = [(f["status"], f["cause"], f["measured"]) for f in outcome.document["findings"]]
    assert causes == [("mismatch", "accuracy.contradicted", 90.0), (*unknown, 90.0)]


def test_two_hundred_classes_are_scored_over_those_alone(zoo, made, tmp_path):
    """On -R, and as clean scores on ImageNet's own images; right by a peer's two best classes."""
    subset = class_subset("imagenet_r")
    inside = [n for n, label in enumerate(made.labels) if label in subset]
    # A model that was asked about all classes is wrong on these, and right among the 200.
    others = [
        n
        for n, (a, b) in enumerate(zip(made.labels, made.seconds, strict=True))
        if a not in subset and b in subset
    ]
    assert len(inside) > 50
    assert len(others) > 20
    labels = {n: made.labels[n] for n in inside} | {n: made.seconds[n] for n in others}
    synsets = imagenet_synsets()
    root = tmp_path / "r"
    for rank, (n, label) in enumerate(labels.items()):
        path = root / synsets[label] / f"art_{rank}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(made.folder / made.names[n], path)
    path = zoo.index({})
    entry = json.loads(path.read_text())
    entry["Models"][0]["Results"] = results(**{"ImageNet-R": "40.0", "ImageNet": "10.0"})
    path.write_text(json.dumps(entry))
    outcome = zoo.validate(path, root)
    (evaluation,) = outcome.document["variants"][0]["measurements"]["evaluations"]
    assert (evaluation["dataset"], evaluation["of"]) == ("imagenet-r", len(labels))
    assert evaluation["top1"] == 100.0
    assert found(outcome)["40.0"] == ("mismatch", "accuracy.contradicted", 100.0)
    # The same of ImageNet's own images: those of the 200 classes alone count.
    entry["Models"][0]["Results"] = results(**{"ImageNet-R clean": "40.0"})
    path.write_text(json.dumps(entry))
    strangers = {n: made.labels[n] for n in range(50) if n not in labels}
    assert strangers
    val = tmp_path / "val"
    for n, label in (labels | strangers).items():
        target = val / synsets[label] / made.names[n]
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(made.folder / made.names[n], target)
    outcome = zoo.validate(path, val)
    (evaluation,) = outcome.document["variants"][0]["measurements"]["evaluations"]
    assert (evaluation["dataset"], evaluation["of"]) == ("imagenet-r-clean", len(labels))
    assert evaluation["top1"] == 100.0


def test_labels_in_another_order_say_nothing_of_the_clean_scores_either(zoo, made, tmp_path):
    """Of images labelled one class later, other ones are of the 200 classes."""
    subset = class_subset("imagenet_r")
    later = {n: name for n, name in enumerate(made.names) if made.labels[n] + 1 in subset}
    place = tmp_path / "val"
    place.mkdir()
    lines = []
    for n, name in list(later.items())[:24]:
        os.link(made.folder / name, place / name)
        lines.append(f"{name} {made.labels[n] + 1}\n")
    (place / "labels.txt").write_text("".join(lines))
    index = write_index(zoo, results(**{"ImageNet-R clean": "99.0", "ImageNet": "98.0"}))
    entry = json.loads(index.read_text())
    entry["Models"][0]["Metadata"]["Image Size"] = 64
    index.write_text(json.dumps(entry))
    outcome = zoo.validate(index, place)
    here = found(outcome)
    assert outcome.status == 0
    assert here["99.0"][:2] == here["98.0"][:2] == ("unverified", "accuracy.undecided")
    clean = next(f["message"] for f in outcome.document["findings"] if f["documented"] == "99.0")
    assert "which excludes 99.0; no more are right than by chance" in clean
    # Nor alone: what tells is that all images are answered so, and not whose claim they settle.
    entry["Models"][0]["Results"] = results(**{"ImageNet-R clean": "99.0"})
    index.write_text(json.dumps(entry))
    assert found(zoo.validate(index, place)) == {"99.0": here["99.0"]}


def test_a_result_may_state_how_it_was_evaluated(zoo, mixed):
    """It is counted as a variant with those settings is, and beside the variant's own result."""
    stated = {"Image Size": 80, "Crop Pct": 1.0, "Crop Mode": "squash", "Mean": [0.9, 0.1, 0.5]}
    images = (mixed.place, "--samples", "300")
    own = zoo.index({"Top 1 Accuracy": "6.0"}, name="own.yml", **stated)
    expected = zoo.validate(own, *images).counts
    plain = zoo.validate(zoo.index({"Top 1 Accuracy": "5.0"}, name="plain.yml"), *images).counts
    assert expected[0] != plain[0]
    path = zoo.index({})
    entry = json.loads(path.read_text())
    common = {"Task": "Image Classification", "Dataset": "ImageNet"}
    entry["Models"][0]["Results"] = [
        {**common, **stated, "Metrics": {"Top 1 Accuracy": "6.0"}},
        {**common, "Metrics": {"Top 1 Accuracy": "5.0"}},
        {**common, "Image Size": "huge", "Metrics": {"Top 1 Accuracy": "7.0"}},
    ]
    path.write_text(json.dumps(entry))
    outcome = zoo.validate(path, *images)
    (variant,) = outcome.document["variants"]
    found_here = found(outcome)
    assert found_here["5.0"] == ("mismatch", "accuracy.contradicted", plain[0])
    assert found_here["6.0"] == ("mismatch", "accuracy.contradicted", expected[0])
    assert found_here["7.0"] == ("unverified", "schema.unreadable-dependency", None)
    assert variant["measurements"]["top1"] == plain[0]
    settings = {e.get("setting"): e["top1"] for e in variant["measurements"]["evaluations"]}
    assert settings == {
        None: plain[0],
        "Crop Mode squash, Crop Pct 1.0, Image Size 80x80, Mean 0.9 0.1 0.5": expected[0],
    }
    message = next(f["message"] for f in outcome.document["findings"] if f["documented"] == "6.0")
    assert "with Crop Mode squash, Crop Pct 1.0, Image Size 80x80" in message


def test_real_labels_are_all_that_are_right_of_an_image(zoo, made, flat, tmp_path):
    """Against a count by a peer's best classes; images without a label are left out."""
    place = flat(made, tmp_path / "val", 400)
    draw = random.Random(1)
    real = [[] for _ in range(50_000)]
    counted = right = 0
    for name, best, second in zip(made.names[:400], made.labels, made.seconds, strict=False):
        kind = draw.choice(["none", "both", "best", "second", "wrong"])
        others = draw.sample([c for c in range(1000) if c not in (best, second)], 2)
        own = {"none": [], "both": [second, best], "best": [best], "second": [second], "wrong": []}
        labels = [*own[kind], *(others if kind != "none" else [])]
        real[int(name[15:23]) - 1] = draw.sample(labels, len(labels))
        counted += kind != "none"
        right += kind in ("both", "best")
    (place / "real.json").write_text(json.dumps(real))
    top1 = round(100 * right / counted, 4)
    index = write_index(zoo, results(**{"ImageNet-ReaL": top1, "ImageNet": "100"}))
    entry = json.loads(index.read_text())
    entry["Models"][0]["Metadata"]["Image Size"] = 64
    index.write_text(json.dumps(entry))
    outcome = zoo.validate(index, place)
    assert outcome.status == 0, outcome.err
    here = {e["dataset"]: e for e in outcome.document["variants"][0]["measurements"]["evaluations"]}
    of_real = here["imagenet-real"]
    assert (of_real["of"], of_real["images"], of_real["top1"]) == (counted, counted, top1)
    assert here["imagenet-1k"]["top1"] == 100.0
    assert found(outcome)[str(top1)][:2] == ("unverified", "accuracy.undecided")
    # A claim that they exclude, and labels that are others: what was counted by these is not taken.
    (place / "real.json").write_text(json.dumps([[]] * 49_000 + [[1]] * 1000))
    again = zoo.validate(index, place)
    assert found(again)[str(top1)][1] == "accuracy.other-dataset"
    (place / "real.json").write_text(json.dumps([[1] for _ in real]))
    again = zoo.validate(index, place)
    assert found(again)[str(top1)][1] in ("accuracy.contradicted", "accuracy.undecided")
    (place / "real.json").write_text("[1]")
    assert found(zoo.validate(index, place))[str(top1)][1] == "accuracy.other-dataset"


def test_archives_are_named_by_a_pattern(zoo, place):
    root = place("{synset}/ILSVRC2012_val_{number:08}.JPEG", "val")
    for half in (0, 1):
        with tarfile.open(zoo.folder / f"val-{half:02}.tar", "w") as archive:
            for path in sorted(root.rglob("*.JPEG"))[half::2]:
                archive.add(path, path.relative_to(root))
    index = zoo.index(CLAIM, Image_Size=224)
    for pattern in ("val-*.tar", "val-{00..01}.tar"):
        outcome = zoo.validate(index, zoo.folder / pattern)
        assert outcome.counts == (90.0, 95.0, 20), outcome.err
    outcome = zoo.validate(index, zoo.folder / "none-*.tar")
    assert (outcome.status, "there is no such file" in outcome.err) == (2, True)
