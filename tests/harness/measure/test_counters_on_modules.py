"""Counts of single modules against the tools that the conventions are named after."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from loops import each
from torch import nn

from harness.measure.flops import counts


class Call(nn.Module):
    """A function of some modules and the inputs."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, *inputs, **named):
        return self.function(*self.parts, *inputs, *named.values())


def inside(module):
    """The module as part of a model, and its first output alone."""

    def forward(part, *inputs):
        found = part(*inputs)
        return found[0] if isinstance(found, tuple) else found

    return Call(forward, module)


MODULES = {
    "conv": (nn.Conv2d(3, 8, 3), [(1, 3, 16, 17)]),
    "conv without bias": (nn.Conv2d(3, 8, 3, bias=False), [(1, 3, 16, 17)]),
    "grouped conv": (nn.Conv2d(8, 12, 3, groups=4, stride=2), [(1, 8, 16, 17)]),
    "conv padded same": (nn.Conv2d(3, 8, 3, padding="same"), [(1, 3, 16, 17)]),
    "conv padded by reflection": (
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"),
        [(1, 3, 16, 17)],
    ),
    "weight-normalised conv": (
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)),
        [(1, 3, 16, 17)],
    ),
    "conv1d": (nn.Conv1d(6, 4, 3, stride=2), [(1, 6, 8)]),
    "conv3d": (nn.Conv3d(2, 4, 3, groups=2), [(1, 2, 8, 7, 6)]),
    "transposed conv": (
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        [(1, 6, 8, 9)],
    ),
    "transposed conv1d": (nn.ConvTranspose1d(6, 4, 3, stride=2), [(1, 6, 8)]),
    "transposed conv3d": (nn.ConvTranspose3d(6, 4, 3, groups=2, bias=False), [(1, 6, 5, 4, 3)]),
    "linear": (nn.Linear(6, 5), [(1, 6)]),
    "linear without bias": (nn.Linear(6, 5, bias=False), [(1, 6)]),
    "linear of rank 3": (nn.Linear(6, 5), [(1, 7, 6)]),
    "linear of rank 4": (nn.Linear(6, 5), [(1, 2, 7, 6)]),
    "bilinear": (nn.Bilinear(6, 5, 3), [(1, 6), (1, 5)]),
    "batch norm": (nn.BatchNorm2d(4), [(1, 4, 5, 6)]),
    "batch norm without weights": (nn.BatchNorm2d(4, affine=False), [(1, 4, 5, 6)]),
    "batch norm 1d": (nn.BatchNorm1d(4), [(1, 4, 5)]),
    "batch norm 3d": (nn.BatchNorm3d(4), [(1, 4, 5, 3, 2)]),
    "layer norm": (nn.LayerNorm(6), [(1, 7, 6)]),
    "layer norm without bias": (nn.LayerNorm(6, bias=False), [(1, 7, 6)]),
    "layer norm without weights": (nn.LayerNorm(6, elementwise_affine=False), [(1, 7, 6)]),
    "layer norm over two axes": (nn.LayerNorm((7, 6)), [(1, 3, 7, 6)]),
    "group norm": (nn.GroupNorm(2, 4), [(1, 4, 5, 6)]),
    "group norm without weights": (nn.GroupNorm(2, 4, affine=False), [(1, 4, 5, 6)]),
    "instance norm": (nn.InstanceNorm2d(4), [(1, 4, 5, 6)]),
    "instance norm with weights": (nn.InstanceNorm2d(4, affine=True), [(1, 4, 5, 6)]),
    "root mean square norm": (nn.RMSNorm(6), [(1, 7, 6)]),
    "average pool": (nn.AvgPool2d(2), [(1, 3, 8, 9)]),
    "average pool 1d": (nn.AvgPool1d(2), [(1, 3, 8)]),
    "average pool 3d": (nn.AvgPool3d(2), [(1, 3, 8, 9, 7)]),
    "max pool": (nn.MaxPool2d(3, 2, 1), [(1, 3, 8, 9)]),
    "adaptive pool to 1": (nn.AdaptiveAvgPool2d(1), [(1, 3, 4, 5)]),
    "adaptive pool to a fraction": (nn.AdaptiveAvgPool2d((3, 7)), [(1, 5, 16, 17)]),
    "adaptive pool 1d": (nn.AdaptiveAvgPool1d(3), [(1, 5, 16)]),
    "adaptive pool 3d": (nn.AdaptiveAvgPool3d((3, 2, 5)), [(1, 5, 16, 7, 9)]),
    "adaptive max pool": (nn.AdaptiveMaxPool2d(2), [(1, 3, 4, 5)]),
    "nearest upsampling": (nn.Upsample(scale_factor=2.0), [(1, 3, 4, 5)]),
    "bilinear upsampling": (nn.Upsample(size=(7, 9), mode="bilinear"), [(1, 3, 4, 5)]),
    "bicubic upsampling": (nn.Upsample(scale_factor=2.0, mode="bicubic"), [(1, 3, 4, 5)]),
    "linear upsampling": (nn.Upsample(scale_factor=2.0, mode="linear"), [(1, 3, 4)]),
    "trilinear upsampling": (nn.Upsample(scale_factor=2.0, mode="trilinear"), [(1, 3, 4, 2, 5)]),
    "nearest upsampling, old": (nn.UpsamplingNearest2d(scale_factor=2), [(1, 3, 4, 5)]),
    "bilinear upsampling, old": (nn.UpsamplingBilinear2d(scale_factor=2), [(1, 3, 4, 5)]),
    "relu": (nn.ReLU(), [(1, 3, 4, 5)]),
    "relu in place": (nn.Sequential(nn.Linear(5, 5), nn.ReLU(inplace=True)), [(1, 5)]),
    "relu6": (nn.ReLU6(), [(1, 3, 4, 5)]),
    "leaky relu": (nn.LeakyReLU(), [(1, 3, 4, 5)]),
    "prelu": (nn.PReLU(3), [(1, 3, 4, 5)]),
    "elu": (nn.ELU(), [(1, 3, 4, 5)]),
    "gelu": (nn.GELU(), [(1, 3, 4, 5)]),
    "silu": (nn.SiLU(), [(1, 3, 4, 5)]),
    "hardswish": (nn.Hardswish(), [(1, 3, 4, 5)]),
    "sigmoid": (nn.Sigmoid(), [(1, 3, 4, 5)]),
    "softmax": (nn.Softmax(dim=-1), [(1, 3, 4, 5)]),
    "softmax of channels": (nn.Softmax(dim=1), [(1, 3, 4, 5)]),
    "dropout": (nn.Dropout(0.5), [(1, 5)]),
    "embedding": (Call(lambda m, x: m(x.long()), nn.Embedding(7, 5)), [(1, 6)]),
    "self-attention": (
        Call(lambda m, x: m(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True)),
        [(1, 5, 8)],
    ),
    "self-attention without weights": (
        Call(
            lambda m, x: m(x, x, x, need_weights=False)[0],
            nn.MultiheadAttention(8, 2, batch_first=True),
        ),
        [(1, 5, 8)],
    ),
    "cross-attention": (
        Call(lambda m, x, y: m(x, y, y)[0], nn.MultiheadAttention(8, 2, bias=False)),
        [(1, 2, 8), (7, 2, 8)],
    ),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3),
        [(1, 5, 8)],
    ),
    "decoder": (
        nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2),
        [(1, 5, 8), (1, 5, 8)],
    ),
    "long short-term memory": (nn.LSTM(4, 5, num_layers=2, batch_first=True), [(1, 3, 4)]),
    "both directions": (nn.LSTM(4, 5, num_layers=2, bidirectional=True), [(3, 1, 4)]),
    "memory without bias": (nn.LSTM(4, 5, bias=False), [(3, 1, 4)]),
    "recurrent": (nn.RNN(4, 5, num_layers=3), [(3, 1, 4)]),
    "gated recurrent": (nn.GRU(4, 5, num_layers=2), [(3, 1, 4)]),
    "recurrent cell": (nn.RNNCell(4, 5), [(1, 4)]),
    "gated cell": (nn.GRUCell(4, 5, bias=False), [(1, 4)]),
    "memory cell": (nn.LSTMCell(4, 5), [(1, 4)]),
}


def a_derived_class():
    class Convolution(nn.Conv2d):
        pass

    return nn.Sequential(Convolution(3, 4, 3), nn.Conv2d(4, 5, 1))


class Shared(nn.Module):
    """Two parents hold one norm and one convolution; one of them calls it twice."""

    def __init__(self):
        super().__init__()
        norm, conv = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1)
        self.first = nn.Sequential(norm, conv, norm)
        self.second = nn.Sequential(conv, nn.Sequential(norm))

    def forward(self, x):
        return self.second(self.first(x))


FUNCTIONS = {
    "subclass": (a_derived_class(), [(1, 3, 16, 17)]),
    "shared modules": (Shared(), [(1, 3, 16, 17)]),
    "one module twice": (
        Call(lambda a, x: a(a(x)), nn.Sequential(nn.Linear(6, 6), nn.ReLU())),
        [(1, 6)],
    ),
    "matmul": (Call(torch.matmul), [(1, 3, 4, 5), (1, 3, 5, 6)]),
    "matmul operator": (Call(lambda a, b: a @ b), [(1, 3, 4, 5), (1, 3, 5, 6)]),
    "bmm": (Call(torch.bmm), [(1, 4, 5), (1, 5, 7)]),
    "products by name": (
        Call(lambda a, b: torch.addmm(torch.mm(a, b), a, b).add(a.matmul(b)).mul(2.0)),
        [(1, 5), (5, 7)],
    ),
    "batched product added": (
        Call(lambda a, b: torch.baddbmm(a.bmm(b), a, b, beta=0) + torch.baddbmm(a @ b, a, b)),
        [(1, 4, 5), (1, 5, 7)],
    ),
    "sums by name": (
        Call(lambda a, b: torch.add(a, b) + torch.mul(a, 2) + a.add(1) + torch.add(b, a.mul(b))),
        [(1, 3, 4), (4,)],
    ),
    "functions of torch": (
        Call(lambda x: F.silu(torch.relu(F.relu(x)).softmax(-1)) + F.softmax(x, dim=1)),
        [(1, 3, 4, 5)],
    ),
    "interpolation": (
        Call(
            lambda x: (
                F.interpolate(x, scale_factor=1.5)
                + F.interpolate(x, (6, 7))
                + F.interpolate(x, size=[6, 7], mode="bicubic")
            )
        ),
        [(1, 3, 4, 5)],
    ),
    "convolution by another name": (
        Call(lambda m, x: torch.conv2d(x, m.weight) + F.conv2d(x, m.weight), nn.Conv2d(3, 4, 3)),
        [(1, 3, 8, 9)],
    ),
    "even kernel padded same": (
        nn.Sequential(nn.Conv2d(3, 4, (2, 3), padding="same", dilation=(1, 2))),
        [(1, 3, 8, 9)],
    ),
    "einsum": (Call(functools.partial(torch.einsum, "bij,bjk->bik")), [(1, 3, 4), (1, 4, 5)]),
    "attention": (Call(F.scaled_dot_product_attention), [(1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 8)]),
}

CASES = {
    **{name: (inside(model), shapes) for name, (model, shapes) in MODULES.items()},
    **{f"bare {name}": case for name, case in MODULES.items() if name in ("conv", "linear")},
    **FUNCTIONS,
}


@pytest.mark.filterwarnings("ignore")
@each("case", CASES)
def test_modules(case, tool, record_of):
    model, shapes = CASES[case]
    model = model.to("meta").eval()
    # Some leave hooks behind, and a traced model is good for no other pass.
    theirs = tool.count(copy.deepcopy(model), *shapes)
    record = record_of(copy.deepcopy(model), *shapes)
    assert {c.value for c in counts(record) if (c.convention, c.variation) == (tool.name, "")} == {
        theirs
    } - {None}
