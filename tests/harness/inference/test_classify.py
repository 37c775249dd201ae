"""`zoo classify` on real pictures, against another implementation of the same model."""

from __future__ import annotations

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

MODEL = "efficientnet_lite0"


@pytest.fixture(scope="module")
def classified(zoo, pictures, checkpoint, tmp_path_factory):
    """The 20 pictures as one run has them, in batches that don't come out even."""
    folder = tmp_path_factory.mktemp("classified")
    return zoo("classify", MODEL, *pictures, "--json", "--top", 1000, "--batch", 7, folder=folder)


def test_the_real_pictures_are_recognised(classified, pictures):
    assert classified.status == 0, classified.err
    assert classified.document["variant"] == MODEL
    assert classified.document["unreadable"] == []
    rows = classified.document["pictures"]
    assert [row["picture"] for row in rows] == [str(path) for path in pictures]
    right = sum(
        row["top"][0]["index"] == label for row, label in zip(rows, pictures.values(), strict=True)
    )
    assert right == 18  # as many as `zoo verify --data sample` counts
    in_five = [
        label in [guess["index"] for guess in row["top"][:5]]
        for row, label in zip(rows, pictures.values(), strict=True)
    ]
    assert sum(in_five) >= 18


def test_probabilities_are_those_of_another_implementation(classified, pictures, peer):
    import torch
    from torchvision.models import ResNet50_Weights

    names = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    with torch.inference_mode():
        expected = torch.softmax(peer.model(peer.inputs(pictures)), dim=1)
    assert expected.max() > 0.5
    for row, theirs in zip(classified.document["pictures"], expected, strict=True):
        assert len(row["top"]) == 1000
        ours = torch.zeros(1000)
        for guess in row["top"]:
            ours[guess["index"]] = guess["probability"]
            assert guess["class"] == names[guess["index"]]
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
        likely = [guess["probability"] for guess in row["top"]]
        assert likely == sorted(likely, reverse=True)


def test_a_person_reads_five_classes_with_percentages(zoo, pictures, checkpoint, tmp_path):
    path = next(iter(pictures))
    run = zoo("classify", MODEL, path, folder=tmp_path)
    lines = run.out.splitlines()
    assert (run.status, len(lines)) == (0, 6)
    assert lines[0] == str(path)
    assert lines[1].split(maxsplit=1)[1] == "bull mastiff"  # class 243, as the file's name says
    percent = [float(line.split("%")[0]) for line in lines[1:]]
    assert percent == sorted(percent, reverse=True)
    assert 99 < sum(percent) + 5 <= 105


def test_pictures_from_everywhere(zoo, pictures, checkpoint, server, tmp_path):
    """A folder with its subfolders, standard input and a server, one after the other."""
    (first, second, third), data = list(pictures)[:3], {}
    (tmp_path / "album" / "inner").mkdir(parents=True)
    (tmp_path / "album" / ".hidden").mkdir()
    shutil.copy(first, tmp_path / "album" / "b.JPG")
    shutil.copy(second, tmp_path / "album" / "inner" / "a.jpg")
    shutil.copy(second, tmp_path / "album" / ".hidden" / "no.jpg")
    (tmp_path / "album" / "notes.txt").write_text("not a picture")
    data = third.read_bytes()
    url = server.on("dog.jpg", lambda handler, count: handler.good(data))
    run = zoo(
        *("classify", MODEL, "album", "-", url, "--json", "--top", 1),
        folder=tmp_path,
        stdin=first.read_bytes(),
    )
    assert run.status == 0, run.err
    rows = run.document["pictures"]
    inner = os.path.join("album", "inner", "a.jpg")
    assert [r["picture"] for r in rows] == ["album/b.JPG", inner, "standard input", url]
    tops = [row["top"][0]["index"] for row in rows]
    assert tops[0] == tops[2] == pictures[first] == 243
    assert tops[1] == pictures[second]


def test_bad_pictures_are_told_of_and_the_rest_go_on(zoo, pictures, checkpoint, tmp_path):
    good = next(iter(pictures))
    (tmp_path / "text.jpg").write_text("no picture at all")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:5000])
    (tmp_path / "script.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "bomb.png").write_bytes(_bomb())
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    bad = [
        *("text.jpg", "empty.png", "cut.jpg", "script.eps", "bomb.png", "nothing", "pipe.jpg"),
        "not-there.jpg",
        "line\nbreak.jpg",
        "http://example.invalid/cat.jpg",
    ]
    run = zoo("classify", MODEL, *bad, "-", good, "--json", "--batch", 4, folder=tmp_path)
    assert run.status == 3
    assert [row["picture"] for row in run.document["pictures"]] == [str(good)]
    why = {each["picture"]: each["why"] for each in run.document["unreadable"]}
    assert list(why) == [*bad, "standard input"]
    for name, words in {
        "text.jpg": "no picture",
        "cut.jpg": "truncated",
        "script.eps": "PostScript",
        "bomb.png": "decompression bomb",
        "nothing": "no picture in it",
        "pipe.jpg": "not a regular file",
        "not-there.jpg": "No such file",
        "http://example.invalid/cat.jpg": "use https, or --allow-http",
        "standard input": "nothing came",
    }.items():
        assert words in why[name], name
    lines = run.err.splitlines()
    assert len(lines) == len(why), run.err  # one for each, whatever its name holds
    assert "Traceback" not in run.err


def _bomb() -> bytes:
    """A small file of a picture of 400 million pixels."""
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def model(checkpoint):
    import zoo as library

    return library.create_model(MODEL, pretrained=True).eval()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_pictures_of_any_mode(mode, pictures, model):
    """Each is what Pillow converts it to, and read as that."""
    import zoo as library
    from zoo.inference import answers
    from zoo.pictures import Picture

    with Image.open(next(iter(pictures))) as original:
        picture = original.convert("L").convert("I;16" if mode == "I;16" else "L")
        if mode != "I;16":
            picture = original.convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "TIFF")
    pixels = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    plain = io.BytesIO()
    Image.fromarray(pixels).save(plain, "PNG")
    given = [Picture(n, lambda b=b: b.getvalue()) for n, b in (("it", buffer), ("plain", plain))]
    first, second = answers(model, library.preprocess(MODEL), given)
    assert (first.name, second.name) == ("it", "plain")
    assert first.output.equal(second.output)
    assert first.output.std() > 0.1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("no_such_model", "x.jpg"), 2, "'no_such_model' names no variant"),
        (("efficientnet_lite", "x.jpg"), 2, "did you mean efficientnet_lite"),
        ((MODEL,), 2, "IMAGE"),
        ((MODEL, "x.jpg", "--device", "tpu"), 2, "--device"),
        ((MODEL, "-", "-"), 2, "standard input holds one picture"),
        ((MODEL, "x.jpg", "--batch", "0"), 2, "--batch"),
        ((MODEL, "x.jpg", "--index", "nowhere.yml"), 2, "nowhere.yml"),
    ],
)
def test_wrong_use_is_one_line(zoo, tmp_path, arguments, status, words):
    run = zoo("classify", *arguments, folder=tmp_path)
    assert run.status == status
    assert words in run.err
    assert len(run.err.splitlines()) == 1
    assert run.out == ""


def test_weights_that_are_not_what_the_index_says_are_not_used(zoo, pictures, checkpoint, tmp_path):
    """The entry of an index of one's own: its weights beside it, and their hash."""
    shutil.copy(checkpoint, tmp_path / "mine.pth")
    entry = (
        "Models:\n- Name: efficientnet_lite0\n  Metadata:\n    SHA256: {}\n  Weights: mine.pth\n"
    )
    index = tmp_path / "index.yml"
    index.write_text(entry.format("ab" * 32))
    command = ("classify", MODEL, next(iter(pictures)), "--index", index, "--json")
    run = zoo(*command, folder=tmp_path)
    assert (run.status, run.out) == (3, "")
    assert "the index states abab" in run.err
    index.write_text(entry.replace("    SHA256: {}\n", "    Crop Pct: 0.875\n"))
    assert zoo(*command, folder=tmp_path).status == 0
