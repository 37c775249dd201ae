"""Weights that are a list: each file is looked at, and none is taken for the model."""

from __future__ import annotations

import hashlib

import pytest

from zoo.errors import WeightsError
from zoo.index import load_index
from zoo.weights import variant_weights


@pytest.fixture
def stages(place):
    """Verify a variant that has two files; the name of one of them may be wrong."""

    def verify(*contents, wrong=(), **metadata):
        names = []
        for stage, data in enumerate(contents):
            digits = "0" * 8 if stage in wrong else hashlib.sha256(data).hexdigest()[:8]
            names.append(f"stage{stage}-{digits}.pth")
            (place.index / names[-1]).write_bytes(data)
        place.add("net", "resnest14d", names, **metadata)
        return place.zoo(
            *("verify", "--all", "--no-store"),
            *("--checks", "weights,accuracy", "--format", "json"),
        ).document

    return verify


def _found(document):
    rows = [
        (f["location"]["line"], f["check"], f["status"], f["cause"]) for f in document["findings"]
    ]
    return [(line - min(rows)[0], *rest) for line, *rest in rows]


def test_each_file_is_held_against_its_name(stages):
    untold = ("weights-tensors", "unverified", "weights.several-files")
    assert _found(stages(b"tem", b"pgm")) == [
        (0, "weights-hash", "match", None), (0, *untold),
        (1, "weights-hash", "match", None), (1, *untold),
    ]  # fmt: skip
    assert _found(stages(b"tem", b"pgm", wrong=(1,))) == [
        (0, "weights-hash", "match", None), (0, *untold),
        (1, "weights-hash", "mismatch", "weights.hash-mismatch"),
    ]  # fmt: skip


def test_a_sha256_may_be_that_of_any_of_them(stages):
    for data, status in ((b"pgm", "match"), (b"tem", "match"), (b"pem", "mismatch")):
        document = stages(b"tem", b"pgm", SHA256=hashlib.sha256(data).hexdigest())
        (found,) = [f for f in document["findings"] if f["check"] == "weights-sha256"]
        assert found["status"] == status


def test_no_model_is_loaded_from_several_files(stages, place):
    document = stages(b"tem", b"pgm", Top_1_Accuracy=75)
    # Neither a file size nor an accuracy is measured of one of them.
    assert document["variants"][0]["measurements"]["file_size"] is None
    (accuracy,) = [f for f in document["findings"] if f["field"] == "Top 1 Accuracy"]
    assert accuracy["status"] == "unverified"
    (variant,) = load_index([place.index]).variants
    with pytest.raises(WeightsError, match="several files"):
        variant_weights(variant)
