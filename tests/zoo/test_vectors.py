"""Vectors of many rows on disk: as other libraries read them, and in bounded memory."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from zoo.vectors import open_writer


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
    assert parquet.read_table(tmp_path / "a.parquet")["picture"].to_pylist() == ["caf\\udce9.jpg"]
    assert json.loads((tmp_path / "a.json").read_text())["pictures"] == [name]
