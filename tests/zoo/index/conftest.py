"""Indexes written for one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.index import Index, load_index


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Index]:
    """Read one text as a file of the given name; locations then name the bare file."""
    monkeypatch.chdir(tmp_path)

    def read_text(text: str | bytes, name: str = "index.yml") -> Index:
        data = text if isinstance(text, bytes) else text.encode()
        Path(name).write_bytes(data)
        return load_index([name])

    return read_text
