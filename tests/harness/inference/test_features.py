"""`zoo features` against the pooled features of another implementation."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli import run_python, said

MODEL = "efficientnet_lite0"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def expected(pictures, peer):
    """(20, 1280) and (20, 40): what the classifier is fed, and the map at stride 8, averaged."""
    import torch

    blocks = []
    hooks = [b.register_forward_hook(lambda m, i, o: blocks.append(o)) for b in peer.model._blocks]
    with torch.inference_mode():
        inputs = peer.inputs(pictures)
        last = peer.model.extract_features(inputs).mean((2, 3))
    for hook in hooks:
        hook.remove()
    at_eight = [each for each in blocks if each.shape[-1] == 224 // 8]
    return last.numpy(), at_eight[-1].mean((2, 3)).numpy()


def test_a_table_of_pooled_features(zoo, pictures, checkpoint, expected, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    run = zoo("features", MODEL, *pictures, "-o", "out.parquet", "--batch", 6, folder=tmp_path)
    assert (run.status, run.out) == (0, ""), run.err
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["picture", "features"]
    assert table["picture"].to_pylist() == [str(path) for path in pictures]
    ours = np.array(table["features"].to_pylist(), dtype=np.float32)
    assert ours.shape == (20, 1280)
    np.testing.assert_allclose(ours, expected[0], rtol=0, atol=2e-4)
    assert expected[0].std() > 0.1
    assert json.loads(table.schema.metadata[b"zoo"])["variant"] == MODEL
    assert os.listdir(tmp_path) == ["out.parquet"]  # nothing half-written is left


def test_a_matrix_of_a_stage_with_its_names(zoo, pictures, checkpoint, expected, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    command = ("features", MODEL, "bad.jpg", *pictures, "-o", "out.npy", "--stage", 2)
    run = zoo(*command, folder=tmp_path)
    assert run.status == 3
    assert "bad.jpg: it is no image" in run.err
    ours = np.load(tmp_path / "out.npy")
    assert ours.dtype == np.float32
    assert ours.shape == expected[1].shape
    np.testing.assert_allclose(ours, expected[1], rtol=0, atol=2e-4)
    beside = json.loads((tmp_path / "out.json").read_text())
    assert beside["pictures"] == [str(path) for path in pictures]
    assert (beside["variant"], beside["stage"]) == (MODEL, "2")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("-o", "out.csv"), 2, ".parquet or .npy"),
        (("-o", "."), 2, "folder"),
        (("-o", "no/such/out.npy"), 3, "No such file"),
        (("-o", "out.npy", "--stage", "9"), 2, "--stage 9: there are the stages 0 to 4"),
        ((), 2, "--output"),
    ],
)
def test_wrong_use_is_one_line(zoo, checkpoint, tmp_path, arguments, status, words):
    run = zoo("features", MODEL, "x.jpg", *arguments, folder=tmp_path)
    assert run.status == status
    assert words in run.err
    assert len(run.err.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_an_old_file_stays_where_no_image_is_there(zoo, checkpoint, tmp_path):
    (tmp_path / "out.npy").write_bytes(b"old")
    run = zoo("features", MODEL, "x.jpg", "-o", "out.npy", folder=tmp_path)
    assert run.status == 2
    assert (tmp_path / "out.npy").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.npy"]


def test_a_full_disk_is_one_line(zoo, pictures, checkpoint, tmp_path):
    pytest.importorskip("pyarrow")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for output in ("out.npy", "out.parquet"):
        (tmp_path / output).write_bytes(b"old")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
            run = zoo("features", MODEL, *pictures, "-o", output, folder=tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert run.err == f"{output}: can't be written: File too large\n"
        assert run.status == 3
        assert (tmp_path / output).read_bytes() == b"old"
    assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == {".npy", ".parquet"}


def test_without_pyarrow_one_line_says_what_to_do(pictures, checkpoint, tmp_path):
    hidden = "import sys; sys.modules['pyarrow'] = None; from harness.cli import main; "
    hidden += f"sys.exit(main(['features', '-q', {MODEL!r}, 'x.jpg', '-o', 'out.parquet']))"
    done = run_python(["-c", hidden], cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"pip install .*\[parquet\]'", done.stderr)
    assert len(said(done.stderr).splitlines()) == 1


def test_a_kill_leaves_no_half_of_a_file(pictures, checkpoint, tmp_path):
    many = [str(path) for path in pictures] * 20
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "features", MODEL, *many, "-o", "out.npy", "--batch", "2"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 300
    while time.monotonic() < end and not any(p.stat().st_size for p in tmp_path.glob(".zoo-*")):
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert any(path.stat().st_size for path in tmp_path.glob(".zoo-*"))
    assert not (tmp_path / "out.npy").exists()
