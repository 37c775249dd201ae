"""What a file can hold, as `zoo verify` reports it: whose tensors, how many bytes, what for."""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import random
import uuid
import zipfile
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from factories import Payload
from loops import each
from PIL import Image

from harness.causes import severity_of

NAME = "efficientnet_lite0"


class Shelf:
    """An index whose every entry names a file beside it."""

    def __init__(self, place):
        self.place = place
        self.marker: Path = place.folder / "marker"
        self.sizes: dict[str, int] = {}

    def entry(self, case, name, variant=NAME, **claims):
        self.sizes[case] = (self.place.index / name).stat().st_size
        self.place.add(case, variant, name, **({"File_Size": self.sizes[case]} | claims))

    def save(self, case, content, variant=NAME, **options):
        """An entry for what torch.save makes of this."""
        import torch

        torch.save(content, self.place.index / f"{case}.pth", **options)
        self.entry(case, f"{case}.pth", variant)

    def write(self, case, data):
        """An entry for a file of these bytes."""
        (self.place.index / f"{case}.pth").write_bytes(data)
        self.entry(case, f"{case}.pth")


def _add_plain(shelf, lite0, sha256):
    """The model's own weights, under right and wrong claims."""
    for name in ("plain.pth", "misnamed-00000000.pth"):
        os.link(lite0, shelf.place.index / name)
    shelf.entry("plain", "plain.pth", SHA256=sha256)
    shelf.entry("wrong-size", "plain.pth", File_Size=18_800_001)
    shelf.entry("wrong-sha256", "plain.pth", SHA256="0" * 64)
    shelf.entry("misnamed", "misnamed-00000000.pth")


def _add_forms(shelf, weights):
    """The same weights in other formats and wrappings, and with more beside them."""
    import torch
    from safetensors.torch import save_file

    save_file(weights, shelf.place.index / "safe.safetensors")
    shelf.entry("safetensors", "safe.safetensors")
    shelf.save("legacy", weights, _use_new_zipfile_serialization=False)
    shelf.save("module", {f"module.{k}": v for k, v in weights.items()})
    shelf.save("wrapped", {"state_dict": weights, "epoch": 90})
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    shelf.save("half", half)
    # As a mixed-precision run saves them: the norms stay in float32.
    shelf.save("mixed", {k: half[k] if "bn" not in k else v for k, v in weights.items()})
    shelf.save(
        "double", {k: v.double() if v.is_floating_point() else v for k, v in weights.items()}
    )
    averaged = {k: v.clone() for k, v in weights.items()}
    shelf.save("ema", {"state_dict": weights, "state_dict_ema": averaged})
    momenta = {"state": {0: {"momentum_buffer": torch.zeros(500_000)}}, "param_groups": []}
    shelf.save("optimizer", {"state_dict": weights, "optimizer": momenta})


def _add_others(shelf, state, weights):
    """Weights of other models, more and less alike."""
    import torch

    shelf.save("fine-tuned", state(NAME, num_classes=10))
    shelf.save("headless", {k: v for k, v in weights.items() if not k.startswith("_fc.")})
    shelf.save("extra", weights | {"extra.w": torch.zeros(9)})
    shelf.save("renamed", {k.replace("_blocks", "blocks"): v for k, v in weights.items()})
    shelf.save("integers", {k: v.to(torch.int8) for k, v in weights.items()})
    different = {k: v for k, v in weights.items() if not k.startswith("_blocks.1.")}
    different |= {f"head.{k}.weight": torch.zeros(1) for k in range(400)}
    different["_conv_stem.weight"] = torch.zeros(32, 4, 3, 3)
    shelf.save("different", different)
    shelf.place.add("known", "resnest26d")
    shelf.save("other", state("resnest26d"), variant="resnest14d")


def _add_refused(shelf, lite0):
    """Damage, noise, and pickles that would run a command."""
    payload = Payload(shelf.marker)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"weight": payload}))
        file.writestr("archive/version", "3\n")
    shelf.write("hostile", archive.getvalue())
    shelf.write("old-hostile", pickle.dumps(payload))
    shelf.write("cut", lite0.read_bytes()[:10_000_000])
    shelf.write("page", b"<!DOCTYPE html><html>Sign in</html>")
    shelf.write("empty", b"")
    shelf.write("noise", random.Random(3).randbytes(50_000))


def _add_unusable(shelf, weights):
    """Tensors that fit and that no model computes with, and harmless values beside fine ones."""
    import torch

    full = weights["_fc.weight"]
    shelf.save("sparse", weights | {"_fc.weight": full.to_sparse_csr()})
    shelf.save("not-a-number", weights | {"_fc.bias": torch.full((1000,), float("nan"))})
    shelf.save("infinite", weights | {"_fc.weight": full / 0})
    shelf.save("zeros", {k: torch.zeros_like(v) for k, v in weights.items()})
    beside = {"args": argparse.Namespace(epochs=range(3), lr=Decimal("0.1")), "id": uuid.uuid4()}
    shelf.save("beside", {"state_dict": weights, "rng": torch.Generator(), **beside})


@pytest.fixture(scope="module")
def opened(new_place, state, lite0):
    """One run over an index whose entries name files of every kind."""
    shelf = Shelf(new_place())
    weights, sha256 = state(NAME), hashlib.sha256(lite0.read_bytes()).hexdigest()
    _add_plain(shelf, lite0, sha256)
    _add_forms(shelf, weights)
    _add_others(shelf, state, weights)
    _add_refused(shelf, lite0)
    _add_unusable(shelf, weights)
    run = shelf.place.verify()
    return SimpleNamespace(
        run=run, sizes=shelf.sizes, sha256=sha256, marker=shelf.marker, place=shelf.place
    )


def _tensors(opened, case):
    """The finding about what the file of that case holds."""
    (finding,) = [f for f in opened.run.of(case, "Weights") if f["check"] == "weights-tensors"]
    result: dict[str, Any] = finding
    return result


@each("case", ["plain", "legacy", "safetensors"])
def test_every_form_of_the_same_weights_matches(opened, case):
    finding = _tensors(opened, case)
    assert (finding["status"], finding["measured"]) == ("match", 296)
    assert finding["message"] == "all 296 tensors fit the model"
    (size,) = opened.run.of(case, "File Size")
    assert (size["status"], size["measured"]) == ("match", opened.sizes[case])


@each(
    "case, note",
    [
        ("module", "every name in the file begins with 'module.'"),
        ("wrapped", "the state dict is the entry 'state_dict' of the file"),
    ],
)
def test_a_wrapping_is_taken_off_and_said(opened, case, note):
    finding = _tensors(opened, case)
    assert (finding["status"], finding["measured"]) == ("match", 296)
    assert finding["message"] == f"all 296 tensors fit the model; {note}"
    assert opened.run.verdicts(case, "File Size") == [("match", None)]


@each(
    "case, cause, note, size",
    [
        ("half", "size.half-precision", "float16", "float16"),
        ("mixed", "size.half-precision", "where the model has float32", "weights (float16: "),
        ("double", "size.extra-tensors", "where the model has float32", "float64"),
        ("ema", "size.extra-tensors", "", "moving average"),
        ("ema", "size.extra-tensors", "", "18,776,488 bytes"),
        ("optimizer", "size.extra-tensors", "", "optimizer's state"),
        ("optimizer", "size.extra-tensors", "", "2,000,000 bytes"),
    ],
)
def test_what_explains_a_size_is_a_note(opened, case, cause, note, size):
    finding = _tensors(opened, case)
    assert (finding["status"], finding["measured"]) == ("match", 296)
    assert note in finding["message"]
    (found,) = opened.run.of(case, "File Size")
    assert (found["severity"], found["cause"]) == ("note", cause)
    assert size in found["message"]
    assert found["measured"] == opened.sizes[case]
    assert opened.sizes["half"] < opened.sizes["plain"] * 0.52


def test_a_wrong_size_is_told_the_right_one(opened):
    (size,) = opened.run.of("wrong-size", "File Size")
    assert (size["severity"], size["cause"]) == ("error", "size.differs")
    assert (size["documented"], size["measured"]) == ("18800001", opened.sizes["plain"])
    assert _tensors(opened, "wrong-size")["status"] == "match"


def test_hashes_are_held_against_claim_and_name(opened):
    (right,) = opened.run.of("plain", "SHA256")
    assert (right["status"], right["measured"]) == ("match", opened.sha256)
    (wrong,) = opened.run.of("wrong-sha256", "SHA256")
    assert (wrong["cause"], wrong["measured"]) == ("weights.hash-mismatch", opened.sha256)
    assert opened.run.verdicts("wrong-sha256", "Weights") == [("match", None)]
    assert opened.run.verdicts("misnamed", "Weights") == [
        ("mismatch", "weights.hash-mismatch"),
        ("match", None),  # its tensors are the model's all the same
    ]


def test_another_variants_file_is_named(opened):
    finding = _tensors(opened, "other")
    assert (finding["status"], finding["cause"]) == ("mismatch", "weights.tensors-differ")
    assert finding["message"].startswith("this file holds resnest26d: ")


def test_other_classes_are_told_from_another_model(opened):
    finding = _tensors(opened, "fine-tuned")
    assert finding["cause"] == "weights.tensors-differ"
    assert "the file's classifier has 10 classes, the model's 1000" in finding["message"]


@each(
    "case, differs, remedy",
    [
        ("fine-tuned", "has 10 classes, the model's 1000", "trained on this model's classes"),
        ("headless", "2 missing: _fc.weight, _fc.bias", "lacks the model's classifier"),
        ("extra", "296 tensors fit; 1 extra: extra.w; ", "without the extra tensors"),
        ("renamed", "235 extra: blocks.{0..15}.* (235 tensors)", "rename those in the file"),
        ("integers", "int8 instead of float32", "in the model's types"),
        ("different", "400 extra", "this variant's own checkpoint"),
    ],
)
def test_no_model_is_named_that_was_not_recognised(opened, case, differs, remedy):
    finding = _tensors(opened, case)
    assert (finding["status"], finding["cause"]) == ("mismatch", "weights.tensors-differ")
    said = finding["message"]
    assert said.startswith("the file's tensors are not this model's: ")
    assert "holds" not in said
    assert differs in said
    assert remedy in said.rpartition("; ")[2]


def test_differences_are_grouped_for_a_reader(opened):
    message = _tensors(opened, "different")["message"]
    assert "400 extra" in message
    assert "head.{0..399}.weight (400 tensors)" in message
    assert "_blocks.1." in message
    assert "1 of another shape: _conv_stem.weight: 32x4x3x3 instead of 32x3x3x3" in message
    assert len(message) < 800


@each(
    "case, cause, said",
    [
        ("cut", "weights.unreadable", "cut"),
        ("noise", "weights.unreadable", "no known format"),
        ("page", "weights.unreadable", "an HTML page"),
        ("empty", "weights.unreadable", "empty"),
        ("hostile", "weights.unsafe", "system"),
        ("old-hostile", "weights.unsafe", "system"),
    ],
)
def test_a_refused_file_is_one_finding(opened, case, cause, said):
    (finding,) = opened.run.of(case, "Weights")
    # Only a file that asks for too much is helped by saving less.
    remedy = "the state dict alone" if cause == "weights.unsafe" else "the whole file again"
    assert remedy in finding["message"].rpartition("; ")[2]
    assert ("state dict alone" in finding["message"]) == (cause == "weights.unsafe")
    assert (finding["severity"], finding["cause"]) == ("error", cause)
    assert said in finding["message"]
    assert not opened.marker.exists()


@each(
    "case, status, cause, word",
    [
        ("plain", "match", None, "all 296 tensors fit"),
        ("beside", "match", None, "all 296 tensors fit"),
        ("sparse", "mismatch", "weights.unreadable", "save its tensors dense"),
        ("not-a-number", "mismatch", "weights.not-finite", "_fc.bias holds NaN"),
        ("infinite", "mismatch", "weights.not-finite", "_fc.weight holds infinity"),
        ("zeros", "mismatch", "weights.all-zero", "every weight of the file is 0"),
    ],
)
def test_what_matches_is_classified_with(opened, case, status, cause, word, lite0):
    finding = _tensors(opened, case)
    assert (finding["status"], finding["cause"]) == (status, cause)
    assert word in finding["message"]
    severity = severity_of(cause) if cause else None
    assert finding["severity"] == severity
    image = opened.place.folder / "image.png"
    Image.new("RGB", (60, 40), "red").save(image)
    index = str(opened.place.index / f"{case}.yml")
    done = opened.place.zoo("classify", NAME, str(image), "--index", index)
    assert done.status == (3 if severity == "error" else 0), done.err
    if severity == "error":
        assert case in done.err
        assert len(done.err.splitlines()) == 2  # the first names the index
    else:
        assert "finite" not in done.err


def test_nothing_is_copied_into_the_cache_and_the_status_is_of_findings(opened):
    assert opened.run.status == 1
    # Files of this machine are used where they are.
    assert "no files to fetch" in opened.run.err
    assert len(opened.run.err.splitlines()) == 1
