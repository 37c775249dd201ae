"""Values against torch.load and safetensors; loading into models; the memory that it takes."""

from __future__ import annotations

import argparse
import copy
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from cli import run_python
from torch import nn

from zoo.errors import MismatchedCheckpointError, UnreadableCheckpointError, UnsafeCheckpointError
from zoo.weights.load import load_into, load_tensors

ROOT = Path(__file__).parents[4]


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].stride() == tensor.stride()
        assert torch.equal(found[name], tensor.detach()), name


def test_values_are_those_of_torch_load(tmp_path, odd_tensors):
    path = tmp_path / "odd.pth"
    # torch 2.14 writes these into a legacy file, and fails to read them.
    new = ("uint16", "uint32", "uint64", "float8")
    old = {name: t for name, t in odd_tensors.items() if not name.startswith(new)}
    for zipped in (True, False):
        torch.save(old, path, _use_new_zipfile_serialization=zipped)
        found = load_tensors(path)
        assert_equal(found, torch.load(path, weights_only=True))
        # Views of one storage stay so, and writing to them leaves the file alone.
        content = path.read_bytes()
        found["base"][5] = 99
        assert found["shared"][1] == 99
        assert path.read_bytes() == content


def test_new_types_and_safetensors(tmp_path):
    state = {
        n: torch.tensor([0, 1, 5]).to(getattr(torch, n)) for n in ("uint16", "uint64", "uint32")
    }
    state["float8"] = torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn)
    torch.save(state, tmp_path / "new.pth")
    safetensors.torch.save_file(state, tmp_path / "new.safetensors")
    for name in ("new.pth", "new.safetensors"):
        found = load_tensors(tmp_path / name)
        assert {n: t.dtype for n, t in found.items()} == {n: t.dtype for n, t in state.items()}
        for key, tensor in state.items():
            assert torch.equal(found[key].view(torch.uint8), tensor.view(torch.uint8))


def test_a_big_endian_file(tmp_path):
    """As another machine writes it: every number's bytes the other way round."""
    state = {"w": torch.randn(5), "c": torch.randn(3, dtype=torch.complex64), "i": torch.arange(4)}
    torch.save(state, tmp_path / "little.pth")
    widths = {"archive/data/0": 4, "archive/data/1": 4, "archive/data/2": 8}
    with (
        zipfile.ZipFile(tmp_path / "little.pth") as old,
        zipfile.ZipFile(tmp_path / "big.pth", "w") as new,
    ):
        for name in old.namelist():
            data, renamed = old.read(name), "archive" + name[name.index("/") :]
            if renamed in widths:
                w = widths[renamed]
                data = b"".join(data[i : i + w][::-1] for i in range(0, len(data), w))
            new.writestr(renamed, b"big" if renamed == "archive/byteorder" else data)
    assert_equal(load_tensors(tmp_path / "big.pth"), torch.load(tmp_path / "big.pth"))
    assert_equal(load_tensors(tmp_path / "big.pth"), state)


def test_compressed_archives(tmp_path, odd_tensors):
    torch.save(odd_tensors, tmp_path / "stored.pth")
    with (
        zipfile.ZipFile(tmp_path / "stored.pth") as old,
        zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert_equal(
        load_tensors(tmp_path / "small.pth"), torch.load(tmp_path / "stored.pth", weights_only=True)
    )


def test_real_checkpoints(lite_checkpoints):
    for path in lite_checkpoints:
        assert_equal(load_tensors(path), torch.load(path, weights_only=True))


def test_wrapped_checkpoints_load_under_the_models_names(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    path = tmp_path / "model.pth"
    saved = {"state_dict": nn.DataParallel(model).state_dict(), "args": argparse.Namespace(x=1)}
    torch.save(saved, path)
    assert_equal(load_tensors(path), dict(model.state_dict()))


def test_a_loaded_model_computes_the_same(tmp_path):
    path = tmp_path / "model.pth"
    cases = [("resnet10t", zipped, meta) for zipped in (True, False) for meta in (True, False)]
    built = {name: timm.create_model(name).eval() for name in ("resnet10t", "test_vit")}
    for name, zipped, meta in (*cases, ("test_vit", True, True)):
        source = built[name]
        torch.save(source.state_dict(), path, _use_new_zipfile_serialization=zipped)
        target = copy.deepcopy(source)
        for module in target.modules():
            for key, p in list(module._parameters.items()):
                if p is not None:
                    fresh = p.to("meta") if meta else torch.zeros_like(p)
                    module._parameters[key] = nn.Parameter(fresh)
        assert load_into(target, path).fits
        # The model depends on nothing in the file any more.
        path.write_bytes(bytes(path.stat().st_size))
        side = 64 if name == "resnet10t" else 160
        image = torch.randn(1, 3, side, side)
        with torch.no_grad():
            assert torch.equal(target(image), source(image))
        assert all(p.requires_grad for p in target.parameters())


def test_module_versions_are_passed_on(tmp_path):
    """MNASNet refuses a state dict that doesn't say its version."""
    source = torchvision.models.mnasnet0_5(weights=None)
    path = tmp_path / "model.pth"
    torch.save({"state_dict": nn.DataParallel(source).state_dict()}, path)
    target = torchvision.models.mnasnet0_5(weights=None)
    load_into(target, path)
    assert torch.equal(target.classifier[1].weight, source.classifier[1].weight)


def test_half_precision_is_cast(tmp_path):
    source = nn.Linear(3, 2).half()
    path = tmp_path / "model.pth"
    torch.save(source.state_dict(), path)
    for target in (nn.Linear(3, 2), nn.Linear(3, 2, device="meta")):
        assert load_into(target, path).half == "float16"
        assert target.weight.dtype == torch.float32
        assert torch.equal(target.weight, source.weight.float())


def test_old_checkpoints_and_auxiliary_heads(tmp_path):
    def googlenet(aux):
        return torchvision.models.googlenet(weights=None, aux_logits=aux, init_weights=False)

    source = googlenet(True)
    state = {k: v for k, v in source.state_dict().items() if "num_batches" not in k}
    path = tmp_path / "model.pth"
    torch.save(state, path)
    with torch.device("meta"):
        target = googlenet(False)
    result = load_into(target, path)
    assert result.auxiliary
    assert result.uncounted
    assert torch.equal(target.fc.weight, source.fc.weight)
    assert target.conv1.bn.num_batches_tracked == 0


def test_tied_weights_stay_tied_in_memory(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)
            self.b = nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight

    path = tmp_path / "model.pth"
    torch.save(Tied().state_dict(), path)
    target = Tied().to("meta")
    load_into(target, path)
    assert target.a.weight.data_ptr() == target.b.weight.data_ptr()


def test_refusals(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(UnsafeCheckpointError, match=r"model\.pth: the pickle asks for torch\.nn"):
        load_tensors(path)
    path.write_bytes(b"<html>")
    with pytest.raises(UnreadableCheckpointError, match="HTML page"):
        load_tensors(path)
    torch.save({"w": torch.eye(3).to_sparse()}, path)
    with pytest.raises(UnreadableCheckpointError, match="sparse"):
        load_tensors(path)
    with pytest.raises(UnreadableCheckpointError, match="No such file"):
        load_tensors(tmp_path / "absent.pth")


def test_another_model_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(timm.create_model("resnet10t").state_dict(), path)
    target = timm.create_model("resnet18")
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(MismatchedCheckpointError) as error:
        load_into(target, path)
    assert "layer2." in str(error.value)
    assert len(str(error.value)) < 2000
    assert error.value.match.reshaped
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_weights_are_allocated_once(tmp_path):
    """100 MB of weights into a model on the meta device: anonymous memory grows by 100 MB."""
    state = nn.ModuleList(nn.Linear(1280, 1280, bias=False) for _ in range(16)).state_dict()
    torch.save(state, tmp_path / "zip")
    torch.save(state, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(dict(state), tmp_path / "safe.safetensors")
    script = (
        "import sys, threading, time, torch; from pathlib import Path; from torch import nn\n"
        "from zoo.weights.load import load_into\n"
        "def anonymous():\n"
        "    for line in open('/proc/self/status'):\n"
        "        if line.startswith('RssAnon'): return int(line.split()[1]) * 1024\n"
        "torch.ones(10) + 1; kept = []\n"
        "def watch():\n"
        "    global peak\n"
        "    while not done: peak = max(peak, anonymous()); time.sleep(0.002)\n"
        "for path in sys.argv[1:]:\n"
        "    with torch.device('meta'):\n"
        "        model = nn.ModuleList(nn.Linear(1280, 1280, bias=False) for _ in range(16))\n"
        "    peak = before = anonymous(); done = False\n"
        "    thread = threading.Thread(target=watch, daemon=True); thread.start()\n"
        "    load_into(model, Path(path)); done = True; thread.join()\n"
        "    print(max(peak, anonymous()) - before); kept.append(model)\n"
    )
    run = run_python(["-c", script, *sorted(tmp_path.iterdir())], cwd=ROOT, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    weights = sum(t.nbytes for t in state.values())
    grown = [int(line) for line in run.stdout.split()]
    assert len(grown) == 3
    assert all(weights * 0.9 < each < weights * 1.2 for each in grown), grown
