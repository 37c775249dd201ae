"""Counts of single operations against fvcore and torch's counter, and against arithmetic."""

from __future__ import annotations

import functools

import pytest
import torch
import torch.nn.functional as F
from loops import each
from torch import nn


class Call(nn.Module):
    """A function of the inputs and, first, of some modules."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, *inputs):
        return self.function(*self.parts, *inputs)


def einsum(equation):
    return Call(functools.partial(torch.einsum, equation))


attention = F.scaled_dot_product_attention
MultiheadAttention = functools.partial(nn.MultiheadAttention, batch_first=True)

CASES = {
    "conv with bias": (nn.Conv2d(3, 8, 3), [(1, 3, 16, 17)]),
    "conv without bias, batch 2": (nn.Conv2d(3, 8, 3, bias=False), [(2, 3, 16, 17)]),
    "grouped conv": (nn.Conv2d(8, 8, 3, groups=4), [(1, 8, 16, 17)]),
    "dilated and strided conv": (nn.Conv2d(3, 8, 3, 2, 1, dilation=2), [(1, 3, 16, 17)]),
    "conv padded same": (nn.Conv2d(3, 8, 3, padding="same"), [(1, 3, 16, 17)]),
    "conv padded valid": (nn.Conv2d(3, 8, 3, padding="valid"), [(1, 3, 16, 17)]),
    "conv padded by reflection": (
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"),
        [(1, 3, 16, 17)],
    ),
    "conv without batch": (nn.Conv2d(3, 8, 3), [(3, 16, 17)]),
    "conv1d": (nn.Conv1d(6, 4, 3, stride=2), [(2, 6, 8)]),
    "conv3d": (nn.Conv3d(2, 4, 3), [(1, 2, 8, 7, 6)]),
    "transposed conv": (
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        [(1, 6, 8, 9)],
    ),
    "transposed conv1d": (nn.ConvTranspose1d(6, 4, 3, stride=2), [(2, 6, 8)]),
    "transposed conv without batch": (nn.ConvTranspose2d(3, 8, 3), [(3, 16, 17)]),
    "linear": (nn.Linear(6, 5), [(2, 6)]),
    "linear of rank 1": (nn.Linear(6, 5), [(6,)]),
    "linear of rank 3": (nn.Linear(6, 5), [(2, 7, 6)]),
    "bilinear": (nn.Bilinear(6, 5, 3), [(2, 6), (2, 5)]),
    "batch norm": (nn.BatchNorm2d(4), [(2, 4, 5, 6)]),
    "batch norm without weights": (nn.BatchNorm2d(4, affine=False), [(2, 4, 5, 6)]),
    "batch norm of the batch": (nn.BatchNorm2d(4, track_running_stats=False), [(2, 4, 5, 6)]),
    "batch norm 1d": (nn.BatchNorm1d(4), [(2, 4, 5)]),
    "layer norm": (nn.LayerNorm(6), [(2, 7, 6)]),
    "layer norm without weights": (nn.LayerNorm(6, elementwise_affine=False), [(2, 7, 6)]),
    "group norm": (nn.GroupNorm(2, 4), [(2, 4, 5, 6)]),
    "group norm without weights": (nn.GroupNorm(2, 4, affine=False), [(2, 4, 5, 6)]),
    "instance norm": (nn.InstanceNorm2d(4), [(2, 4, 5, 6)]),
    "instance norm with weights": (nn.InstanceNorm2d(4, affine=True), [(2, 4, 5, 6)]),
    "root mean square norm": (nn.RMSNorm(6), [(2, 7, 6)]),
    "einsum": (einsum("bij,bjk->bik"), [(2, 3, 4), (2, 4, 5)]),
    "einsum over the second axis": (einsum("nct, ncp -> ntp"), [(2, 13, 41), (2, 13, 57)]),
    "einsum over the third axis": (einsum("abc,adc->adb"), [(2, 13, 41), (2, 57, 41)]),
    "einsum over two axes": (einsum("bhij,hjk->bik"), [(3, 7, 11, 13), (7, 13, 17)]),
    "einsum of three": (einsum("ij,jk,kl->il"), [(3, 7), (7, 11), (11, 13)]),
    "matmul broadcast": (Call(torch.matmul), [(2, 1, 4, 5), (1, 3, 5, 6)]),
    "matmul of ranks 4 and 2": (Call(torch.matmul), [(2, 3, 4, 5), (5, 6)]),
    "matmul of ranks 2 and 3": (Call(torch.matmul), [(4, 5), (3, 5, 7)]),
    "matmul of a vector": (Call(torch.matmul), [(5,), (5, 7)]),
    "mm": (Call(torch.mm), [(4, 5), (5, 7)]),
    "bmm": (Call(torch.bmm), [(2, 4, 5), (2, 5, 7)]),
    "addmm": (Call(torch.addmm), [(4, 7), (4, 5), (5, 7)]),
    "baddbmm": (Call(torch.baddbmm), [(2, 4, 7), (2, 4, 5), (2, 5, 7)]),
    "tensordot": (Call(lambda a, b: torch.tensordot(a, b, 1)), [(2, 4, 5), (5, 6)]),
    "attention": (Call(attention), [(1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 5)]),
    "attention with a mask": (
        Call(lambda q, k, v, m: attention(q, k, v, attn_mask=m)),
        [(1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 8), (4, 6)],
    ),
    "self-attention": (
        Call(lambda m, x: m(x, x, x)[0], MultiheadAttention(8, 2)),
        [(2, 5, 8)],
    ),
    "self-attention without weights": (
        Call(lambda m, x: m(x, x, x, need_weights=False)[0], MultiheadAttention(8, 2)),
        [(2, 5, 8)],
    ),
    "cross-attention": (
        Call(lambda m, x, y: m(x, y, y)[0], MultiheadAttention(8, 2)),
        [(2, 5, 8), (2, 7, 8)],
    ),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3),
        [(2, 5, 8)],
    ),
    "decoder": (
        nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2),
        [(2, 5, 8), (2, 5, 8)],
    ),
    "nearest": (Call(lambda x: F.interpolate(x, scale_factor=2.0)), [(1, 3, 4, 5)]),
    "bilinear upsampling": (
        Call(lambda x: F.interpolate(x, size=(7, 9), mode="bilinear")),
        [(1, 3, 4, 5)],
    ),
    "bicubic": (
        Call(lambda x: F.interpolate(x, size=(7, 9), mode="bicubic")),
        [(1, 3, 4, 5)],
    ),
    "grid sample": (
        Call(lambda x, g: F.grid_sample(x, g, align_corners=False)),
        [(1, 3, 4, 5), (1, 6, 7, 2)],
    ),
    "adaptive pool to 1": (nn.AdaptiveAvgPool2d(1), [(1, 3, 4, 5)]),
    "adaptive pool to 2": (nn.AdaptiveAvgPool2d(2), [(1, 3, 4, 5)]),
    "recurrent": (Call(lambda m, x: m(x)[0], nn.LSTM(4, 5)), [(3, 2, 4)]),
}


@pytest.mark.filterwarnings("ignore")
@each("case", CASES)
def test_counts_are_those_of_fvcore_and_torch(
    case, record_of, by_operator, figure, fvcore_run, torch_macs
):
    model, shapes = CASES[case]
    theirs = fvcore_run(model.cpu(), *shapes)
    model = model.to("meta")
    macs = torch_macs(model, *shapes)
    record = record_of(model, *shapes)
    assert by_operator(record) == theirs
    assert figure(record, "macs") == macs


# Convention -> count, worked out by hand; thop counts nothing of an unknown module.
BY_HAND = {
    "conv with bias": {"macs": 8 * 14 * 15 * 27, "thop-2020": 8 * 14 * 15 * 28},
    "grouped conv": {"macs": 8 * 14 * 15 * 18, "thop-2020": 8 * 14 * 15 * 19},
    "conv padded same": {"macs": 8 * 16 * 17 * 27, "fvcore": 0, "thop-2020": 8 * 16 * 17 * 28},
    "transposed conv": {"macs": 6 * 8 * 9 * 2 * 9, "thop-2020": 0},
    "linear of rank 3": {"macs": 14 * 30, "fvcore": 14 * 30, "flops": 28 * 30},
    "batch norm": {"macs": 0, "fvcore": 240 * 2, "thop-2020": 240 * 2},
    "batch norm without weights": {"fvcore": 240, "thop-2020": 240 * 2},
    "layer norm without weights": {"fvcore": 84 * 4},
    "einsum over the second axis": {"macs": 2 * 13 * 41 * 57, "fvcore": 2 * 13 * 41 * 57},
    "matmul broadcast": {"macs": 6 * 4 * 5 * 6, "fvcore": 2 * 4 * 5 * 6},
    "attention": {"macs": 2 * (4 * 8 * 6 + 4 * 6 * 5), "fvcore": 0},
    "adaptive pool to 1": {"macs": 0, "fvcore": 60, "thop-2020": 3 * 21},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", BY_HAND)
def test_counts_by_hand(case, record_of, figure):
    model, shapes = CASES[case]
    record = record_of(model.to("meta"), *shapes)
    assert {name: figure(record, name) for name in BY_HAND[case]} == BY_HAND[case]


def test_a_pool_called_by_keyword_counts_as_any(record_of, figure):
    model = Call(lambda pool, x: pool(input=x), nn.AdaptiveAvgPool2d(1)).to("meta")
    assert figure(record_of(model, (1, 3, 4, 5)), "thop-2020") == 3 * 21


def test_leaky_activations_may_have_been_part_of_the_norms(record_of, figure):
    """thop counts one per element of a leaky ReLU and nothing of others, where it sees them."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(), nn.ReLU(), nn.BatchNorm2d(4))
    record = record_of(model.to("meta"), (1, 3, 6, 7))
    elements = 4 * 4 * 5
    whole = elements * (28 + 1 + 2)
    assert figure(record, "thop-2020") == whole
    assert figure(record, "thop-2020", "without activations") == whole - elements


def test_training_mode_counts_normalisation_as_fvcore_does():
    from harness.measure.flops import fvcore_by_operator
    from harness.measure.trace import trace

    model = nn.BatchNorm2d(4).to("meta").train()
    record = trace(model, [torch.empty(2, 4, 5, 6, device="meta")])
    assert fvcore_by_operator(record) == {"batch_norm": 240 * 5}


def test_a_count_knows_what_it_left_out(record_of):
    """thop's table has no attention, so that a count of it covers the linear layers alone."""
    from harness.measure.flops import counts

    layers = nn.Linear(8, 8), nn.Linear(8, 3)
    model = Call(lambda a, head, x: head(attention(a(x), a(x), a(x))), *layers).to("meta")
    found = {(c.convention, c.variation): c for c in counts(record_of(model, (1, 2, 4, 8)))}
    linear, head, products = 3 * 2 * 4 * 64, 2 * 4 * 24, 2 * 2 * 4 * 8 * 4
    assert found["macs", ""].covered == linear + head + products
    assert found["fvcore", ""].covered == linear + head
    assert found["thop-2020", ""].value == found["thop-2020", ""].covered == linear
    assert found["macs", "without the classifier"].value == linear + products
