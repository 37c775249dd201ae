"""`zoo classify` on real pictures, against another implementation of the same model."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MODEL = "efficientnet_lite0"
ROOT = Path(__file__).parents[3]


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


def test_float32_is_float32_on_a_gpu_too(zoo, pictures, checkpoint, tmp_path):
    """torch's default is TF32 there, which changes a vector in its third digit."""
    import torch

    from harness.measure.devices import float32_settings, full_float32

    device = torch.device("cuda")
    for word in ("classify", "features"):
        full_float32(tf32=True)
        try:
            assert float32_settings(device)["tf32"]
            more = ("--output", tmp_path / "f.npy") if word == "features" else ()
            done = zoo(word, MODEL, next(iter(pictures)), *more, folder=tmp_path)
            assert done.status == 0, done.err
            assert not float32_settings(device)["tf32"]
        finally:
            full_float32()


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
    Image.new("F", (30, 30), 0.5).save(tmp_path / "depth.tif")
    (tmp_path / "script.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "bomb.png").write_bytes(_bomb())
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    bad = [
        *("text.jpg", "empty.png", "cut.jpg", "script.eps", "bomb.png", "nothing", "pipe.jpg"),
        "depth.tif",
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
        "text.jpg": "no image",
        "cut.jpg": "truncated",
        "script.eps": "PostScript",
        "bomb.png": "decompression bomb",
        "nothing": "no image in it",
        "pipe.jpg": "not a regular file",
        "not-there.jpg": "No such file",
        "depth.tif": "32-bit numbers (mode F) whose range is not known; save it with 8 or 16 bits",
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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_any_mode(mode, pictures, model):
    """Each is what Pillow converts it to, and read as that; of 16 bits, what it is of 8."""
    import zoo as library
    from zoo.images import InputImage
    from zoo.inference import answers

    with Image.open(next(iter(pictures))) as original:
        picture = original.convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        gray, picture = picture, Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        pixels = np.asarray(gray.convert("RGB"))
    buffer = io.BytesIO()
    picture.save(buffer, "TIFF")
    again = Image.open(io.BytesIO(buffer.getvalue()))
    assert again.mode == mode
    if mode != "I;16":
        pixels = np.asarray(again.convert("RGB"))
    plain = io.BytesIO()
    Image.fromarray(pixels).save(plain, "PNG")
    given = [InputImage(n, lambda b=b: b.getvalue()) for n, b in (("it", buffer), ("plain", plain))]
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
        ((MODEL, "x.jpg"), 2, "x.jpg: there is no such file or folder; check how it is written"),
        ((MODEL, "x.jpg", "--device", "tpu"), 2, "--device"),
        ((MODEL, "-", "-"), 2, "standard input holds one image"),
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


def test_a_turned_picture_is_seen_upright(zoo, pictures, checkpoint, tmp_path):
    """As people see it, and as other tools that classify do."""
    exif = Image.Exif()
    exif[0x0112] = 8
    for name, turn in (("turned.png", True), ("plain.png", False)):
        with Image.open(next(iter(pictures))) as original:
            picture = original.transpose(Image.Transpose.ROTATE_270) if turn else original
            picture.save(tmp_path / name, exif=exif.tobytes() if turn else b"")
    run = zoo("classify", MODEL, "turned.png", "plain.png", "--json", folder=tmp_path)
    first, second = run.document["pictures"]
    assert first["top"] == second["top"]
    assert first["top"][0]["index"] == 243


def test_the_variant_is_called_by_its_name(zoo, pictures, checkpoint, tmp_path):
    run = zoo("classify", "*_lite0", next(iter(pictures)), "--json", folder=tmp_path)
    assert run.document["variant"] == MODEL


def test_offline_asks_no_server_for_pictures(zoo, pictures, checkpoint, server, tmp_path):
    good = next(iter(pictures))
    url = server.on("dog.jpg", lambda handler, count: handler.good(good.read_bytes()))
    run = zoo("classify", MODEL, url, good, "--offline", "--top", 1, folder=tmp_path)
    assert run.status == 3
    assert run.err == f"{url}: it is on a server, and --offline makes no requests\n"
    assert run.out.splitlines()[0] == str(good)
    assert server.requests == []


def test_it_ends_where_nobody_reads_on(pictures, checkpoint, server, tmp_path):
    """`zoo classify ... | head -1` on a folder that would take hours."""
    data = next(iter(pictures)).read_bytes()
    url = server.on("dog.jpg", lambda handler, count: handler.good(data))
    with subprocess.Popen(
        [sys.executable, "-m", "zoo", "-q", "classify", MODEL, *[url] * 200, "--batch", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == f"{url}\n".encode()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(300) == 0
    assert len(server.requests) < 100


@pytest.fixture
def own_index(checkpoint, tmp_path):
    """An index with an entry of one's own, and real weights beside it."""
    shutil.copy(checkpoint, tmp_path / "mine.pth")

    def write(*lines):
        index = tmp_path / "index.yml"
        metadata = "".join(f"    {line}\n" for line in lines)
        index.write_text(
            f"Models:\n- Name: mine\n  Weights: mine.pth\n  Metadata:\n"
            f"    Base: {MODEL}\n{metadata}"
        )
        return index

    return write


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("Interpolation: bicubicc", "6:20", "Interpolation is 'bicubicc', which can't be used"),
        ("Std: [0, 0, 0]", "6:10", "Std is '0, 0, 0', which can't be used"),
        ("Interpolation: area", "2:9", "interpolation must be one of nearest, "),
        ("Class Names: [cat, dog]", "6:18", "Class Names has 2 names, and the model tells 1,000"),
    ],
)
def test_an_entry_that_can_not_be_followed_is_not_guessed_at(
    zoo, pictures, own_index, tmp_path, line, place, words
):
    index = own_index(line)
    run = zoo("classify", "mine", next(iter(pictures)), "--index", index, folder=tmp_path)
    assert (run.status, run.out) == (2, "")
    assert run.err.startswith(f"{index}:{place}: {words}")
    assert len(run.err.splitlines()) == 1


def test_what_was_not_stated_is_said_once(zoo, pictures, own_index, tmp_path):
    index = own_index("Crop Pct: 0.875", "Interpolation: bicubic", "Image Size: 224")
    run = zoo("classify", "mine", *list(pictures)[:2], "--index", index, folder=tmp_path)
    assert run.status == 0
    assert run.err == (
        f"{index}:2:9: mine: not stated, and taken as usual: "
        "Mean [0.485, 0.456, 0.406]; Std [0.229, 0.224, 0.225]\n"
    )


@pytest.mark.parametrize("output", [(), ("-o", "out.npy")])
def test_what_is_not_finite_is_told(zoo, pictures, own_index, tmp_path, output):
    import torch

    index = own_index("Image Size: 224")
    path = next(iter(pictures))
    whole = (tmp_path / "mine.pth").rename(tmp_path / "whole.pth")
    command = ("features", *output, "mine") if output else ("classify", "--json", "mine")

    def run(name, value):
        weights = torch.load(whole, weights_only=True)
        weights[name].fill_(value)
        torch.save(weights, tmp_path / "mine.pth")
        done = zoo(*command, path, "--index", index, folder=tmp_path)
        assert done.status == 3
        assert not (tmp_path / "out.npy").exists()
        return done

    assert (
        f"{tmp_path / 'mine.pth'}: _bn1.weight holds NaN\n" in run("_bn1.weight", float("nan")).err
    )
    # Each number is finite, and what the model makes of them isn't.
    done = run("_blocks.1._bn2.weight", 3e38)
    assert f"{path}: the model's answer to it is not finite\n" in done.err
    if not output:
        assert done.document["pictures"] == []
        assert [each["picture"] for each in done.document["unreadable"]] == [str(path)]


def test_a_name_that_is_no_text_is_valid_json(zoo, pictures, checkpoint, tmp_path):
    for name in (b"caf\xe9.jpg", b"n\xe9.jpg"):
        data = next(iter(pictures)).read_bytes() if name.startswith(b"caf") else b"no picture"
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(data)
    run = zoo("classify", MODEL, ".", "--json", "--top", 1, folder=tmp_path)
    assert run.status == 3
    assert [row["picture"] for row in run.document["pictures"]] == ["./caf\\udce9.jpg"]
    assert [row["picture"] for row in run.document["unreadable"]] == ["./n\\udce9.jpg"]
