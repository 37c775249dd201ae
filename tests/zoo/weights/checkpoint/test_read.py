"""Names, shapes and types against what torch and safetensors themselves read."""

from __future__ import annotations

import argparse
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from cli import run_python
from torch import nn

from zoo.weights.checkpoint import CheckpointInfo, UnreadableCheckpoint, read_checkpoint

ARCHITECTURES = {
    "resnet10t": lambda: timm.create_model("resnet10t"),
    "test_vit": lambda: timm.create_model("test_vit"),
    "test_convnext": lambda: timm.create_model("test_convnext"),
    # Its modules state versions.
    "mnasnet": lambda: torchvision.models.mnasnet0_5(weights=None),
}


def described(contents):
    assert isinstance(contents, CheckpointInfo), contents
    return {t.name: (t.shape, t.dtype) for t in contents.tensors}


def oracle(state):
    return {
        name: (tuple(t.shape), str(t.dtype).removeprefix("torch."))
        for name, t in state.items()
        if isinstance(t, torch.Tensor)
    }


def storage_bytes(state):
    """The storages' bytes, each once, as torch sees them."""
    seen = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in state.values()}
    return sum(seen.values())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_models_are_described_as_torch_loads_them(name, tmp_path):
    path = tmp_path / "model.pth"
    with torch.device("meta"):
        model = ARCHITECTURES[name]()
    state = model.to_empty(device="cpu").state_dict()
    for zipped in (True, False):
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        contents = read_checkpoint(path)
        loaded = torch.load(path, weights_only=True)
        assert described(contents) == oracle(loaded)
        assert isinstance(contents, CheckpointInfo)
        assert [t.name for t in contents.tensors] == list(loaded)
        assert contents.format == ("zip" if zipped else "legacy")
        assert sum(s.nbytes for s in contents.storages.values()) == storage_bytes(loaded)
        assert contents.file_size == path.stat().st_size
        metadata = {k: v["version"] for k, v in loaded._metadata.items() if "version" in v}
        assert contents.versions == metadata


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_odd_tensors_are_described_as_torch_loads_them(zipped, tmp_path, odd_tensors):
    path = tmp_path / "odd.pth"
    odd = dict(odd_tensors)
    if not zipped:  # torch 2.14 writes these into a legacy file, and fails to read them
        odd = {k: v for k, v in odd.items() if not k.startswith(("uint16", "uint32", "uint64"))}
        odd = {k: v for k, v in odd.items() if not k.startswith("float8")}
    torch.save(odd, path, _use_new_zipfile_serialization=zipped)
    contents = read_checkpoint(path)
    loaded = torch.load(path, weights_only=True)
    assert described(contents) == oracle(loaded)
    assert isinstance(contents, CheckpointInfo)
    by_name = {t.name: t for t in contents.tensors}
    for name in ("base", "shared", "transposed", "strided", "scalar", "int16"):
        tensor = loaded[name]
        assert by_name[name].nbytes == tensor.numel() * tensor.element_size()
        assert by_name[name].stride == tensor.stride()
        assert by_name[name].offset == tensor.storage_offset() * tensor.element_size()
    assert by_name["base"].storage == by_name["shared"].storage == by_name["strided"].storage
    assert sum(s.nbytes for s in contents.storages.values()) < sum(
        t.nbytes for t in contents.tensors
    )


def test_safetensors_are_described_as_safetensors_loads_them(tmp_path, odd_tensors):
    path = tmp_path / "model.safetensors"
    state = {k: v.clone().contiguous() for k, v in odd_tensors.items() if not v.is_complex()}
    state.pop("imaginary")
    safetensors.torch.save_file(state, path, metadata={"format": "pt"})
    contents = read_checkpoint(path)
    assert described(contents) == oracle(safetensors.torch.load_file(path))
    assert isinstance(contents, CheckpointInfo)
    assert contents.extras[0].value == {"format": "pt"}
    # Known by its content too.
    renamed = path.rename(tmp_path / "model.bin")
    assert described(read_checkpoint(renamed)) == oracle(state)


def test_real_checkpoints(lite_checkpoints):
    for path in lite_checkpoints:
        contents = read_checkpoint(path)
        loaded = torch.load(path, weights_only=True)
        assert described(contents) == oracle(loaded)
        assert isinstance(contents, CheckpointInfo)
        assert sum(s.nbytes for s in contents.storages.values()) == storage_bytes(loaded)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_pickle_protocol(protocol, zipped, tmp_path):
    path = tmp_path / "model.pth"
    state = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()
    torch.save(
        {"state_dict": state, "args": argparse.Namespace(lr=0.1), "tags": {"a"}},
        path,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    assert described(read_checkpoint(path)) == oracle(dict(state))


def test_a_training_checkpoint_is_unwrapped_and_accounted_for(tmp_path):
    model = nn.DataParallel(nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(3, 8)).sum().backward()
    optimizer.step()
    ema = {k: v.clone() for k, v in model.state_dict().items()}
    path = tmp_path / "checkpoint.pth.tar"
    saved = {
        "epoch": 90,
        "arch": "toy",
        "state_dict": model.state_dict(),
        "state_dict_ema": ema,
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.1, model="toy", sizes=[1, 2]),
        "best": np.float64(81.5),
    }
    torch.save(saved, path)
    contents = read_checkpoint(path)
    assert isinstance(contents, CheckpointInfo)
    assert contents.container == "state_dict"
    assert contents.prefixes == ("module.",)
    assert described(contents) == oracle(model.module.state_dict())
    extras = {e.name: e for e in contents.extras}
    assert extras["epoch"].value == 90
    assert extras["arch"].value == "toy"
    assert extras["args"].value == {"lr": 0.1, "model": "toy", "sizes": "a list of 2"}
    assert extras["state_dict_ema"].kind == "ema"
    assert extras["state_dict_ema"].nbytes == sum(v.nbytes for v in ema.values())
    # Adam: two moments of each parameter, and a step of 4 bytes.
    expected = sum(2 * p.nbytes + 4 for p in model.parameters())
    assert extras["optimizer"].kind == "optimizer"
    assert extras["optimizer"].nbytes == expected
    assert contents.versions["1"] == 2


@pytest.mark.parametrize(
    ("wrap", "container"),
    [
        (lambda s: {"model": s, "epoch": 1}, "model"),
        (lambda s: {"model": {"state_dict": s}}, "model.state_dict"),
        (lambda s: {"model_ema": s, "optimizer": {"state": {0: torch.ones(2)}}}, "model_ema"),
        (lambda s: {"odd name": s, "optimizer": {"state": {0: torch.ones(2)}}}, "odd name"),
        (lambda s: {"state_dict": s, "loss": torch.tensor(0.5)}, "state_dict"),
        (lambda s: s, ""),
    ],
)
def test_wrappings(wrap, container, tmp_path):
    state = nn.Conv2d(3, 4, 3).state_dict()
    path = tmp_path / "model.pth"
    torch.save(wrap(state), path)
    contents = read_checkpoint(path)
    assert isinstance(contents, CheckpointInfo)
    assert contents.container == container
    assert described(contents) == oracle(dict(state))


def test_two_networks_in_one_file_are_named_by_their_path(tmp_path):
    path = tmp_path / "gan.pth"
    torch.save({"generator": {"w": torch.ones(2)}, "critic": {"w": torch.ones(3)}}, path)
    assert set(described(read_checkpoint(path))) == {"generator.w", "critic.w"}


def test_compiled_and_parallel_prefixes_come_off_together(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"_orig_mod.module.fc.weight": torch.ones(2)}, path)
    contents = read_checkpoint(path)
    assert isinstance(contents, CheckpointInfo)
    assert contents.prefixes == ("_orig_mod.", "module.")
    assert [t.name for t in contents.tensors] == ["fc.weight"]


def test_a_dict_that_holds_itself(tmp_path):
    loop: dict[str, Any] = {"w": torch.ones(2)}
    loop["self"] = loop
    loop["list"] = [loop]
    path = tmp_path / "loop.pth"
    torch.save(loop, path)
    assert described(read_checkpoint(path)) == {"w": ((2,), "float32")}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_sparse_and_quantized_tensors_are_listed(tmp_path):
    path = tmp_path / "odd.pth"
    quantized = torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)
    torch.save({"s": torch.eye(3).to_sparse(), "q": quantized, "w": torch.ones(2)}, path)
    contents = read_checkpoint(path)
    assert isinstance(contents, CheckpointInfo)
    assert {t.name: (t.shape, t.layout) for t in contents.tensors} == {
        "s": ((3, 3), "sparse"),
        "q": ((4,), "quantized"),
        "w": ((2,), "strided"),
    }


@pytest.mark.parametrize(
    "value", [torch.ones(2), [1, 2], {"epoch": 3}, {}, OrderedDict(a=1), "text", None]
)
def test_files_without_a_state_dict(value, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(value, path)
    answer = read_checkpoint(path)
    assert isinstance(answer, UnreadableCheckpoint)
    assert "no state dict" in answer.why


def test_torch_is_not_imported(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"w": torch.ones(2)}, path)
    code = (
        "import sys; from pathlib import Path; from zoo.weights.checkpoint import read_checkpoint;"
        "from zoo.weights.match import match; read_checkpoint(Path(sys.argv[1]));"
        "print(sorted({'torch', 'numpy', 'safetensors'} & set(sys.modules)))"
    )
    run = run_python(["-c", code, path], check=True, cwd=Path(__file__).parents[4])
    assert run.stdout.strip() == "[]"


def test_tensor_bytes_are_not_read(tmp_path):
    """A sparse file of 40 GB is described at once, though nobody could read it."""
    import struct
    import time

    path = tmp_path / "huge.safetensors"
    header = b'{"w":{"dtype":"F32","shape":[10000000000],"data_offsets":[0,40000000000]}}'
    with path.open("wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
    os.truncate(path, 8 + len(header) + 40_000_000_000)
    start = time.process_time()
    assert described(read_checkpoint(path)) == {"w": ((10_000_000_000,), "float32")}
    assert time.process_time() - start < 1
