"""Indexes written for one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.index import load_index


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read one text as a file of the given name; locations then name the bare file."""
    monkeypatch.chdir(tmp_path)

    def read_text(text, name="index.yml"):
        data = text if isinstance(text, bytes) else text.encode()
        Path(name).write_bytes(data)
        return load_index([name])

    return read_text
