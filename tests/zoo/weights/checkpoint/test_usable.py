"""One decision for a check and for every load: whether a model can use a file."""

from __future__ import annotations

import argparse
import array
import collections
import datetime as dt
import decimal
import fractions
import ipaddress
import optparse
import pathlib
import random
import re
import types
import uuid
import warnings
import zipfile
import zoneinfo

import numpy as np
import pandas as pd
import pytest
import torch
from loops import each
from narrow import narrow
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode

import zoo
from harness.measure.checkpoint import inspect
from zoo.errors import CheckpointError
from zoo.weights.checkpoint import CheckpointInfo, UnreadableCheckpoint, read_checkpoint
from zoo.weights.load import examine, load_into

NAME = "efficientnet_lite0"
FULL, CONV, VAR = "_fc.weight", "_blocks.0._depthwise_conv.weight", "_bn0.running_var"
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def small():
    """Builds the model with few channels, on the device that is asked for."""

    def build(device="cpu"):
        with narrow(), torch.device(device):
            return zoo.create_model(NAME, num_classes=10).eval()

    return build


@pytest.fixture(scope="module")
def shape(small):
    """The model on the meta device; what is refused leaves it as it is."""
    return small("meta")


@pytest.fixture(scope="module")
def fine(small):
    torch.manual_seed(3)
    return dict(small().state_dict())


def floats(state, change):
    return {k: change(v) if v.is_floating_point() else v for k, v in state.items()}


def first(state, name, value):
    """The state with one number changed."""
    tensor = state[name].clone()
    tensor.view(-1)[0] = value
    return state | {name: tensor}


def quantized(tensor, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "channels":
            scales, zeros = torch.ones(len(tensor)), torch.zeros(len(tensor), dtype=torch.long)
            return torch.quantize_per_channel(tensor, scales, zeros, 0, torch.qint8)
        return torch.quantize_per_tensor(tensor, 0.1, 0, getattr(torch, kind))


# Cause and a word of the message; None where the file is to be used.
FILES = {
    "plain": (lambda s: s, None, ""),
    "double": (lambda s: floats(s, torch.Tensor.double), None, ""),
    "half": (lambda s: floats(s, torch.Tensor.half), None, ""),
    "bfloat16": (lambda s: floats(s, torch.Tensor.bfloat16), None, ""),
    "float8": (lambda s: floats(s, lambda t: t.to(torch.float8_e5m2)), None, ""),
    "parameters": (lambda s: floats(s, torch.nn.Parameter), None, ""),
    "transposed": (lambda s: s | {FULL: s[FULL].t().contiguous().t()}, None, ""),
    "expanded": (lambda s: s | {"_bn0.weight": torch.ones(1).expand(32)}, None, ""),
    "a variance that overflowed": (lambda s: first(s, VAR, INF), None, ""),
    "a variance that rounding made negative": (lambda s: first(s, VAR, -1e-6), None, ""),
    "zero biases": (lambda s: s | {"_fc.bias": torch.zeros(10)}, None, ""),
    "a zero layer": (lambda s: s | {CONV: torch.zeros_like(s[CONV])}, None, ""),
    "one more, with NaN": (lambda s: s | {"aux.w": torch.tensor(NAN)}, None, ""),
    "one more, sparse": (lambda s: s | {"aux.w": torch.eye(3).to_sparse()}, None, ""),
    "coo": (lambda s: s | {FULL: s[FULL].to_sparse()}, "weights.unreadable", "sparse"),
    "csr": (lambda s: s | {FULL: s[FULL].to_sparse_csr()}, "weights.unreadable", "sparse"),
    "csc": (lambda s: s | {FULL: s[FULL].to_sparse_csc()}, "weights.unreadable", "sparse"),
    "bsr": (lambda s: s | {FULL: s[FULL].to_sparse_bsr((10, 10))}, "weights.unreadable", "sparse"),
    "bsc": (lambda s: s | {FULL: s[FULL].to_sparse_bsc((10, 10))}, "weights.unreadable", "sparse"),
    **{
        kind: (lambda s, k=kind: s | {FULL: quantized(s[FULL], k)}, "weights.unreadable", "quanti")
        for kind in ("qint8", "quint8", "qint32", "channels")
    },
    "meta": (lambda s: s | {FULL: s[FULL].to("meta")}, "weights.unreadable", "meta device"),
    "NaN": (lambda s: first(s, FULL, NAN), "weights.not-finite", "_fc.weight holds NaN"),
    "all NaN": (lambda s: floats(s, lambda t: t * NAN), "weights.not-finite", "more tensors"),
    "infinity": (lambda s: first(s, CONV, INF), "weights.not-finite", "infinity"),
    "minus infinity": (lambda s: first(s, "_fc.bias", -INF), "weights.not-finite", "infinity"),
    "a mean": (lambda s: first(s, "_bn0.running_mean", INF), "weights.not-finite", "infinity"),
    "a variance": (lambda s: first(s, VAR, NAN), "weights.not-finite", "running_var holds NaN"),
    "below zero": (lambda s: first(s, VAR, -1), "weights.not-finite", "a negative variance"),
    "half NaN": (
        lambda s: floats(first(s, FULL, NAN), torch.Tensor.half), "weights.not-finite", "NaN",
    ),
    "half overflow": (
        lambda s: floats(s, lambda t: (t * 1e9).half()), "weights.not-finite", "infinity",
    ),
    "float64 too large": (
        lambda s: s | {FULL: s[FULL].double() * 1e300}, "weights.not-finite", "large for float32",
    ),
}  # fmt: skip


@pytest.mark.slow
@each("name", [*FILES])
@each("form", ["zip", "legacy", "safetensors"])
def test_what_matches_is_loaded_and_gives_finite_answers(name, form, small, shape, fine, tmp_path):
    change, cause, word = FILES[name]
    state, path = change(fine), tmp_path / "model.pth"
    if form == "safetensors":
        try:
            save_file({k: v.detach().contiguous() for k, v in state.items()}, path)
        except (ValueError, RuntimeError, KeyError, NotImplementedError):
            return  # A format without such tensors.
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    seen = inspect(shape, path, [])
    assert (seen["refused"], word in seen["why"]) == (cause, True), seen
    if cause is None:
        assert seen["fits"]
        model = small("cpu" if form == "zip" else "meta")
        load_into(model, path)
        assert model(torch.rand(2, 3, 48, 48)).isfinite().all()
        return
    with pytest.raises(CheckpointError, match=word) as caught:
        load_into(shape, path)
    assert caught.value.cause == cause


def test_a_file_of_zeros_is_told_of_one_with_a_zero_layer(small, fine, tmp_path):
    path = tmp_path / "model.pth"
    for change, is_zero in (
        (lambda k, v: torch.zeros_like(v), True),
        (lambda k, v: torch.zeros_like(v) if v.ndim > 1 else v, True),
        (lambda k, v: (v * 0).half() if v.is_floating_point() else v, True),
        (lambda k, v: torch.zeros_like(v) if k != CONV else v, False),
        (lambda k, v: torch.zeros_like(v) if v.ndim == 1 else v, False),
    ):
        torch.save({k: change(k, v) for k, v in fine.items()}, path)
        found = examine(small("meta"), path)
        assert found.error is None
        assert found.all_zero == is_zero


def test_masks_of_attention_are_no_fault(tmp_path):
    class Masked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)
            self.register_buffer("mask", torch.full((3, 3), -INF).triu(1))

    torch.save(Masked().state_dict(), tmp_path / "model.pth")
    assert examine(Masked(), tmp_path / "model.pth").error is None


@pytest.mark.slow
def test_a_compressed_storage_is_not_inflated_beyond_its_tensors(small, fine, tmp_path):
    """A file of some MB that would take 100 MB to look at."""
    path, bomb = tmp_path / "model.pth", tmp_path / "bomb.pth"
    torch.save(fine | {"_bn0.weight": torch.zeros(24_000_000)[:32]}, path)
    with (
        zipfile.ZipFile(path) as whole,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as out,
    ):
        for entry in whole.infolist():
            data = whole.read(entry)
            # As dense as the limit on the ratio lets pass.
            out.writestr(entry.filename, data, compresslevel=None if len(data) < 1 << 26 else 1)
    found = examine(small("meta"), bomb)
    assert found.error is not None
    assert "inflate" in str(found.error)


def plain_values():
    """What trainers leave beside the weights; each is only numbers and texts."""
    utc = dt.timezone.utc
    return {
        "range": range(3), "a step": range(1, 9, 2), "decimal": decimal.Decimal("1.5"),
        "uuid": uuid.uuid4(), "fraction": fractions.Fraction(1, 3), "complex": 1 + 2j,
        "timezone": utc, "a named zone": dt.timezone(dt.timedelta(hours=1), "X"),
        "datetime": dt.datetime.now(utc), "time": dt.time(3, 4, tzinfo=utc),
        "date": dt.date(2020, 2, 3), "timedelta": dt.timedelta(1),
        "zoneinfo": [zoneinfo.ZoneInfo("UTC"), zoneinfo.ZoneInfo("Europe/Berlin")],
        "generator": torch.Generator(), "its state": torch.get_rng_state(),
        "counter": collections.Counter("aab"), "deque": collections.deque([1], 3),
        "defaultdict": collections.defaultdict(list, a=[1]), "userdict": collections.UserDict(a=1),
        "userlist": collections.UserList([1]), "chainmap": collections.ChainMap({"a": 1}),
        "path": pathlib.Path("/x"), "windows": pathlib.PureWindowsPath("c:/x"),
        "slice": slice(1, 2), "frozenset": frozenset({1}), "set": {1, 2}, "ellipsis": ...,
        "bytes": b"x", "bytearray": bytearray(b"x"), "type": int, "error": ValueError("x"),
        "namespace": argparse.Namespace(a=1, b=argparse.Namespace(c=range(2))),
        "simple": types.SimpleNamespace(a=decimal.Decimal(1)), "regex": re.compile("a+", re.I),
        "random": random.getstate(), "Random": random.Random(0), "array": array.array("f", [1]),
        "ip": ipaddress.ip_address("1.2.3.4"), "torch version": torch.__version__,
        "dtype": torch.float32, "device": torch.device("cpu"), "layout": torch.strided,
        "size": torch.Size([1]), "interpolation": InterpolationMode.BILINEAR,
        **{f"numpy {t}": np.dtype(t).type(1) for t in "?bBhHiIqQefdgFDG"},
        "numpy str": np.str_("a"), "numpy bytes": np.bytes_(b"a"),
        "datetime64": np.datetime64("2020-01-01"), "timedelta64": np.timedelta64(3, "s"),
        "numpy array": np.arange(3), "texts": np.array(["a"]), "objects": np.array([1, None]),
        "masked": np.ma.array([1, 2]), "struct": np.dtype([("a", "i4")]), "numpy type": np.float32,
        "RandomState": np.random.RandomState(0), "its tuple": np.random.get_state(),
        "resampling": Image.Resampling.BICUBIC, "timestamp": pd.Timestamp(0),
        "pandas timedelta": pd.Timedelta(3), "NaT": pd.NaT, "values": optparse.Values({"a": 1}),
        "default_rng": np.random.default_rng(0), "philox": np.random.Philox(0),
    }  # fmt: skip


@pytest.mark.slow
@each("name", [*plain_values()])
def test_plain_values_beside_a_state_dict_are_no_danger(name, tmp_path):
    value, path = plain_values()[name], tmp_path / "model.pth"
    kept = {"state_dict": {"w": torch.ones(2)}, "v": value, "args": argparse.Namespace(v=[value])}
    for protocol in (2, 3, 4, 5):
        for zipped in (True, False):
            torch.save(kept, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
            found = read_checkpoint(path)
            assert isinstance(found, CheckpointInfo), (protocol, zipped, found)
            assert [t.name for t in found.tensors] == ["w"]
    torch.save({"w": torch.ones(2), "v": value}, path)
    assert isinstance(read_checkpoint(path), CheckpointInfo)


def test_tensors_without_values_are_none_that_a_model_loads(tmp_path):
    path = tmp_path / "model.pth"
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    for tensor in (torch.ones(2, device="meta"), nested):
        torch.save({"w": tensor}, path)
        found = read_checkpoint(path)
        assert isinstance(found, UnreadableCheckpoint)
        assert "which no model loads" in found.why
