"""Vectors of many rows on disk: as other libraries read them, and in bounded memory."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cli import run_python

from zoo.embeddings import open_writer
from zoo.errors import EmbeddingsError


def write(path, rows, width):
    with open_writer(path, {"variant": "x"}) as writer:
        for row in range(rows):
            writer.add(f"{row}.jpg", np.full(width, row, dtype=np.float32))
        writer.finish()


@pytest.mark.parametrize("rows", [1, 1023, 1024, 1025, 3000])
def test_every_row_is_there_in_its_order(tmp_path, rows):
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "a.parquet", rows, 3)
    write(tmp_path / "a.npy", rows, 3)
    file = parquet.ParquetFile(tmp_path / "a.parquet")
    assert file.num_row_groups == -(-rows // 1024)
    table = file.read()
    wanted = np.repeat(np.arange(rows, dtype=np.float32)[:, None], 3, axis=1)
    np.testing.assert_array_equal(np.array(table["features"].to_pylist()), wanted)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), wanted)
    names = [f"{row}.jpg" for row in range(rows)]
    assert table["picture"].to_pylist() == names
    assert json.loads((tmp_path / "a.json").read_text())["pictures"] == names


def test_memory_does_not_grow_with_the_rows(tmp_path):
    pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "warm.parquet", 10, 4000)
    tracemalloc.start()
    try:
        write(tmp_path / "big.parquet", 6000, 4000)  # 96 MB
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 60e6


def test_a_name_that_is_no_text_can_be_written(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    for suffix in ("parquet", "npy"):
        with open_writer(tmp_path / f"a.{suffix}", {}) as writer:
            writer.add(name, np.zeros(2, dtype=np.float32))
            writer.finish()
    wanted = ["caf\\udce9.jpg"]
    assert parquet.read_table(tmp_path / "a.parquet")["picture"].to_pylist() == wanted
    assert json.loads((tmp_path / "a.json").read_text())["pictures"] == wanted


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from zoo.embeddings import open_writer
path, rows, width, letters, limit = sys.argv[1], *map(int, sys.argv[2:])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with open_writer(Path(path), {"variant": "x"}) as writer:
        for row in range(rows):
            writer.add("a" * letters, np.random.rand(width).astype(np.float32))
        writer.finish()
except OSError as error:
    print(error.strerror)
"""


@pytest.mark.parametrize(
    ("suffix", "rows", "width", "letters", "limit"),
    [
        ("npy", 100, 1000, 5, 40_960),  # while rows are added
        ("npy", 11, 1000, 5, 40_960),  # when the last of them are written out
        ("npy", 1, 10, 2000, 1000),  # when the names are, and the matrix is whole
        ("parquet", 3000, 20, 5, 40_960),  # while row groups are written
        ("parquet", 11, 1000, 5, 40_960),  # in the last one
    ],
)
def test_a_full_disk_leaves_the_old_files_and_no_others(
    tmp_path, suffix, rows, width, letters, limit
):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"a.{suffix}"
    write(path, 3, 2)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    done = run_python(["-c", FULL, path, *map(str, (rows, width, letters, limit))])
    assert (done.stdout, done.stderr) == ("File too large\n", "")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_link_stays_one(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    for name in ("a.npy", "a.json"):
        (tmp_path / name).symlink_to(real / f"b-{name}")
    (real / "b-a.npy").write_bytes(b"old")
    (real / "b-a.npy").chmod(0o640)
    write(tmp_path / "a.npy", 2, 3)
    assert (tmp_path / "a.npy").is_symlink()
    assert (tmp_path / "a.json").is_symlink()
    assert np.load(real / "b-a.npy").shape == (2, 3)
    assert (real / "b-a.npy").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(real)) == ["b-a.json", "b-a.npy"]


@pytest.mark.parametrize("text", ['{"pictures": []}', "[1]", "{", "\xff", "[" * 100_000])
def test_somebody_else_s_json_is_not_replaced(tmp_path, text):
    beside = tmp_path / "a.json"
    beside.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        EmbeddingsError, match=r"a\.json is where the names of its rows go"
    ) as caught:
        open_writer(tmp_path / "a.npy", {"variant": "x"})
    assert "\n" not in str(caught.value)
    assert beside.read_bytes() == text.encode("latin-1")
    assert os.listdir(tmp_path) == ["a.json"]


def test_our_own_json_is_replaced(tmp_path):
    write(tmp_path / "a.npy", 3, 2)
    (tmp_path / "a.npy").unlink()
    write(tmp_path / "a.npy", 4, 2)
    assert len(json.loads((tmp_path / "a.json").read_text())["pictures"]) == 4


@pytest.mark.parametrize("name", ["a.npy", "a.json"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path, name, kind):
    (Path.mkdir if kind == "folder" else os.mkfifo)(tmp_path / name)
    with pytest.raises(EmbeddingsError, match=name.replace(".", r"\.") + ": it is a "):
        open_writer(tmp_path / "a.npy", {})
    assert os.listdir(tmp_path) == [name]


def test_a_second_file_that_can_not_be_made_leaves_no_first(tmp_path):
    (tmp_path / "a.json").symlink_to(tmp_path / "no-such-folder" / "a.json")
    with pytest.raises(FileNotFoundError):
        open_writer(tmp_path / "a.npy", {})
    assert os.listdir(tmp_path) == ["a.json"]
