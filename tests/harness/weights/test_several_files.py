"""Weights that are a list: each file is looked at, and none is taken for the model."""

from __future__ import annotations

import hashlib

import pytest

from harness.config import RunConfig
from harness.run.progress import Progress
from harness.run.session import prepare
from zoo.errors import WeightsError
from zoo.weights import variant_weights


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Writes an index whose variant has two files; the name of one of them may be wrong."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def write(*contents, wrong=(), more=""):
        names = []
        for place, data in enumerate(contents):
            digits = "0" * 8 if place in wrong else hashlib.sha256(data).hexdigest()[:8]
            names.append(f"stage{place}-{digits}.pth")
            (tmp_path / names[-1]).write_bytes(data)
        listed = "".join(f"  - {name}\n" for name in names)
        path = tmp_path / "index.yml"
        path.write_text(f"Models:\n- Name: resnest14d\n  Weights:\n{listed}{more}")
        return RunConfig(index=(path,), checks=("weights", "accuracy"), no_store=True)

    return write


def _found(request):
    return [
        (f.location.line, f.check, f.status, f.cause)
        for f in prepare(request).verify(Progress()).findings
    ]


def test_each_file_is_held_against_its_name(stages):
    untold = ("weights-tensors", "unverified", "weights.several-files")
    assert _found(stages(b"tem", b"pgm")) == [
        (4, "weights-hash", "match", None), (4, *untold),
        (5, "weights-hash", "match", None), (5, *untold),
    ]  # fmt: skip
    assert _found(stages(b"tem", b"pgm", wrong=(1,))) == [
        (4, "weights-hash", "match", None), (4, *untold),
        (5, "weights-hash", "mismatch", "weights.hash-mismatch"),
    ]  # fmt: skip


def test_a_sha256_may_be_that_of_any_of_them(stages):
    for data, status in ((b"pgm", "match"), (b"tem", "match"), (b"pem", "mismatch")):
        more = f"  SHA256: {hashlib.sha256(data).hexdigest()}\n"
        (found,) = [
            f for f in _found(stages(b"tem", b"pgm", more=more)) if f[1] == "weights-sha256"
        ]
        assert found[2] == status


def test_no_model_is_loaded_from_several_files(stages):
    request = stages(b"tem", b"pgm", more="  Top 1 Accuracy: 75\n")
    session = prepare(request)
    with pytest.raises(WeightsError, match="several files"):
        variant_weights(session.variants[0])
    # Nor is a file size or an accuracy told of one of them.
    report = session.verify(Progress())
    assert report.variants[0].measurements["file_size"] is None
    assert [f.status for f in report.findings if f.field == "Top 1 Accuracy"] == ["unverified"]
