"""`zoo dataset` says what a place with images is, what is wrong with it, and what to pass."""

from __future__ import annotations

import json
from io import BytesIO

from PIL import Image

from zoo.known_datasets import KNOWN
from zoo.labels import imagenet_synsets

SYNSETS = imagenet_synsets()


def picture(colour):
    buffer = BytesIO()
    Image.new("RGB", (9, 9), (40 * colour, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def write(root, files):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def rows(done):
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    pairs = [line.split("  ", 1) for line in done.stdout.splitlines()]
    return {head: text.strip() for head, text in pairs}


def test_a_recognised_set_is_described(zoo, tmp_path):
    val = {f"{SYNSETS[n]}/ILSVRC2012_val_{n + 1:08}.JPEG": picture(n) for n in range(6)}
    val[f"{SYNSETS[0]}/ILSVRC2012_val_00000099.JPEG"] = picture(0)
    val[f"{SYNSETS[1]}/ILSVRC2012_val_00000098.JPEG"] = b"<html>"
    root = write(tmp_path / "my val", {**val, f"{SYNSETS[0]}/notes.txt": b"", "README": b""})
    shown = rows(zoo("dataset", root))
    assert shown["dataset"].startswith(
        "imagenet-1k, ImageNet's validation set: the images are named"
    )
    assert shown["images"] == "8 of 50,000"
    assert shown["classes"] == (
        f"6, 1 to 2 images in each (fewest in {SYNSETS[5]}, most in {SYNSETS[1]})"
    )
    assert shown["unreadable"].startswith(f"1: {SYNSETS[1]}/ILSVRC2012_val_00000098.JPEG (")
    assert shown["duplicates"] == "1: " + " = ".join(
        f"{SYNSETS[0]}/ILSVRC2012_val_{n:08}.JPEG" for n in (1, 99)
    )
    assert shown["left out"].startswith("2: README")
    assert shown["pass"] == f"--data '{root}'"
    document = json.loads(zoo("dataset", root, "--format", "json").stdout)
    assert (document["dataset"], document["images"], document["of"]) == ("imagenet-1k", 8, 50_000)
    assert document["classes"] == {SYNSETS[n]: 2 if n < 2 else 1 for n in range(6)}
    assert document["pass"] == shown["pass"]


def test_what_is_not_recognised_says_what_may_be_said(zoo, tmp_path):
    unknown = write(tmp_path / "unknown", {f"{SYNSETS[0]}/a.jpg": picture(1)})
    shown = rows(zoo("dataset", unknown))
    assert shown["dataset"].startswith("not recognised: the images are not known to be of")
    assert "--dataset NAME, if you know which they are: imagenet-1k, " in shown["pass"]
    for name in KNOWN:  # -A and -R have no image of the first class.
        may = name not in ("imagenet-a", "imagenet-r") and not KNOWN[name].images_of
        assert (name in shown["pass"].split(": ")[1].split(", ")) == may, name
    v2 = write(tmp_path / "v2", {f"{n}/{n:040x}.jpeg": picture(n) for n in range(3)})
    shown = rows(zoo("dataset", v2))
    assert shown["dataset"].startswith("one of ImageNet-V2's, nothing says which")
    assert shown["pass"].endswith("imagenet-v2-threshold-0.7, imagenet-v2-top-images")
    own = write(tmp_path / "own", {f"{name}/{n}.jpg": picture(n) for n, name in enumerate("pqr")})
    shown = rows(zoo("dataset", own))
    assert "not ImageNet's" in shown["dataset"]
    (own / "p" / "around").symlink_to("..")
    refused = zoo("dataset", own)
    assert refused.returncode == 2
    assert "around: is a link to a folder that it lies in" in refused.stderr
    (own / "p" / "around").unlink()
    assert shown["pass"].endswith("Class Names")
    for place, words in ((tmp_path / "none", "no such file"), (tmp_path / "own" / "p", "no label")):
        done = zoo("dataset", place)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) <= 2


def test_synsets_in_capitals_are_synsets(zoo, tmp_path):
    for name in ("{0}/ILSVRC2012_VAL_{1:08}.JPEG", "ILSVRC2012_VAL_{1:08}_{0}.JPEG"):
        files = {name.format(SYNSETS[n].upper(), n + 1): picture(n) for n in range(3)}
        shown = rows(zoo("dataset", write(tmp_path / str(len(name)), files)))
        assert shown["dataset"].startswith("imagenet-1k, ")
        assert shown["classes"] == "3, 1 image in each"


def test_labels_that_the_names_or_the_kit_speak_against_are_named(zoo, tmp_path):
    flat = {f"ILSVRC2012_val_{n + 1:08}.JPEG": picture(n) for n in range(5)}
    ids = [490, 361, 171, 822, 297]
    for less in (0, 1):
        labels = "".join(f"{n} {i - less}\n" for n, i in zip(flat, ids, strict=True))
        truth = "".join(f"{i}\n" for i in ids)
        root = write(tmp_path / f"kit{less}", flat)
        write(root, {"labels.txt": labels.encode()})
        assert "labels" not in rows(zoo("dataset", root))
        write(root, {"ILSVRC2012_validation_ground_truth.txt": truth.encode()})
        words = rows(zoo("dataset", root))["labels"]
        assert "the development kit's IDs, " + ("less one", "as they are")[less == 0] in words
    named = {
        f"{SYNSETS[3]}/ILSVRC2012_val_{n + 1:08}_{SYNSETS[n]}.JPEG": picture(n) for n in (3, 4)
    }
    words = rows(zoo("dataset", write(tmp_path / "named", named)))["labels"]
    assert words.startswith("1 of 2 images are named by another class")
    assert f"says {SYNSETS[4]}, and is labelled {SYNSETS[3]}" in words


def test_a_terminal_is_not_overrun_and_names_are_visible(zoo_on_a_terminal, folder):
    root = write(folder / "s", {f"{SYNSETS[0]}/a\x1b[31m\n.jpg": b"", f"{SYNSETS[0]}/b.jpg": b"x"})
    status, out, err = zoo_on_a_terminal("dataset", "s", columns=60)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 60
    assert "\x1b[31m" not in out
    assert len(list(root.rglob("*.jpg"))) == 2
