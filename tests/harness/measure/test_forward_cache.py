"""A record made with repeated blocks shared is the record made without."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import zoo
from harness.measure import trace as tracing
from harness.measure.record import ModuleCall, Op, walk

SHAPE = (1, 4, 8, 8)


@pytest.fixture(scope="module")
def full_record():
    """Records a new model with or without sharing: every call with all that is known of it."""

    def op(node):
        attributes = {key: str(value) for key, value in node.attributes.items()}
        return (node.name, node.inputs, node.outputs, attributes, [op(p) for p in node.parts])

    def record(make, *shapes, shared, passes=1):
        with torch.device("meta"):
            model = make().eval()
        with pytest.MonkeyPatch.context() as patch:
            if not shared:
                patch.setattr(tracing, "share_repeated_blocks", lambda model: None)
            for _ in range(passes):
                root = tracing.trace(model, [torch.empty(s, device="meta") for s in shapes])
        return [
            (
                path,
                call.type,
                call.bases,
                call.inputs,
                call.outputs,
                dict(call.parameters),
                [op(c) if isinstance(c, Op) else c.name for c in call.calls],
            )
            for path, call in walk(root)
        ]

    return record


class Block(nn.Module):
    def __init__(self, **attributes):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, 1, 1)
        self.norm = nn.BatchNorm2d(4)
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.norm(self.conv(x)) + x


class Net(nn.Module):
    """Blocks in a row, or called as a function says."""

    def __init__(self, *blocks, call=None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.call = call

    def forward(self, x, *more):
        if self.call is not None:
            return self.call(self.blocks, x, *more)
        for block in self.blocks:
            x = block(x)
        return x


def wrapped(*modules):
    return nn.Sequential(*modules)


def halving_hook(module):
    module.register_forward_hook(lambda module, inputs, output: output[:, :, ::2])
    return module


def halving_pre_hook(module):
    module.register_forward_pre_hook(lambda module, inputs: (inputs[0][:, :, ::2],))
    return module


class Repeating(Block):
    def forward(self, x):
        for _ in self.repeats:
            x = self.conv(x)
        return x


class Applying(Block):
    def forward(self, x):
        return self.function(self.conv(x))


class Optional(Block):
    def forward(self, x, twice=False):
        x = self.conv(x)
        return self.conv(x) if twice else x


class Counted(Block):
    def forward(self, x, times=1):
        return self.norm(x) if times is True else self.conv(x)


class Pair(Block):
    def forward(self, x):
        x = self.conv(x)
        return x, self.norm(x)


class Buffered(Block):
    def __init__(self, length):
        super().__init__()
        self.register_buffer("table", torch.empty(length))

    def forward(self, x):
        return self.conv(x) if len(self.table) > 2 else self.norm(x)


class Aware(nn.Module):
    """As attention does, it asks whether its inputs are one tensor."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x, y):
        return self.one(x) if x is y else self.one(x) + self.other(y)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x, y):
        return self.attention(x, y, y)[0]


class Ageing(Block):
    def __init__(self):
        super().__init__()
        self.age = 0

    def forward(self, x):
        self.age += 1
        return self.conv(x) if self.age == 1 else self.norm(x)


class InPlace(Block):
    def forward(self, x):
        return self.norm(x).relu_()


class Owner(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


class Borrower(nn.Module):
    """Calls a module that it does not hold."""

    def __init__(self, lent):
        super().__init__()
        self.lent = [lent]
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.lent[0](self.conv(x))


class Lender(nn.Module):
    def __init__(self):
        super().__init__()
        self.lent = wrapped(nn.Conv2d(4, 4, 3, 1, 1))
        self.a, self.b = Borrower(self.lent), Borrower(self.lent)

    def forward(self, x):
        return self.b(self.a(x))


def one_module_in_two_places():
    conv = nn.Conv2d(4, 4, 1)
    return Net(Owner(conv), Owner(conv))


def one_block_twice_in_a_row():
    block = Block()
    return Net(block, Block(), block)


def set_between(blocks, x):
    for number, block in enumerate(blocks):
        block.repeats = [0] * (number + 1)
        x = block(x)
    return x


def own_forward():
    block = Block()
    block.forward = block.conv.forward
    return Net(Block(), block, Block())


MODELS = {
    "equal blocks": lambda: Net(*(Block() for _ in range(4))),
    "nested": lambda: Net(*(wrapped(Block(), wrapped(Block(), Block())) for _ in range(3))),
    "stride": lambda: Net(*(wrapped(nn.Conv2d(4, 4, 3, s, 1)) for s in (1, 2, 1, 2))),
    "a list": lambda: Net(*(Repeating(repeats=[0] * n) for n in (1, 2, 1, 3))),
    "a function": lambda: Net(
        *(Applying(function=f) for f in (lambda x: x, lambda x: x * 2, lambda x: x.relu()))
    ),
    "a hook": lambda: Net(*map(wrapped, (nn.Conv2d(4, 4, 1), halving_hook(nn.Conv2d(4, 4, 1))))),
    "a hook on the block": lambda: Net(wrapped(nn.ReLU()), halving_hook(wrapped(nn.ReLU()))),
    "a pre-hook": lambda: Net(wrapped(nn.ReLU()), halving_pre_hook(wrapped(nn.ReLU()))),
    "one block twice": one_block_twice_in_a_row,
    "one module in two places": one_module_in_two_places,
    "called from outside": lambda: Net(
        *(Block() for _ in range(3)), call=lambda b, x: b[2](b[1].conv(b[0].conv(b[0](x))))
    ),
    "calls what it does not hold": Lender,
    "a tuple comes out": lambda: Net(Pair(), Pair(), call=lambda b, x: b[1](b[0](x)[1])[0]),
    "an argument": lambda: Net(
        *(Optional() for _ in range(3)), call=lambda b, x: b[2](b[1](b[0](x), twice=True), True)
    ),
    "1 is not True": lambda: Net(
        Counted(), Counted(), call=lambda b, x: b[1](b[0](x, 1), True)
    ),
    "buffers": lambda: Net(Buffered(2), Buffered(3), Buffered(2)),
    "forward called by itself first": lambda: Net(
        *(Block() for _ in range(3)), call=lambda b, x: b[2](b[1](b[0].forward(x)))
    ),
    "forward called by itself later": lambda: Net(
        *(Block() for _ in range(3)), call=lambda b, x: b[2](b[1].forward(b[0](x)))
    ),
    "set between the calls": lambda: Net(
        *(Repeating(repeats=[]) for _ in range(3)), call=set_between
    ),
    "changed by the call": lambda: Net(
        Ageing(), Ageing(), call=lambda b, x: b[1](b[1](b[0](b[0](x))))
    ),
    "in place": lambda: Net(InPlace(), InPlace()),
    "a forward of its own": own_forward,
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_sharing_changes_nothing(name, full_record):
    make = MODELS[name]
    assert full_record(make, SHAPE, shared=True) == full_record(make, SHAPE, shared=False)


@pytest.mark.parametrize("block", [Aware, Attention])
def test_one_tensor_twice_is_another_call_than_two(block, full_record):
    def make():
        return Net(block(), block(), call=lambda b, x, y: b[0](x, y) + b[1](x, x))

    shapes = (2, 3, 4), (2, 3, 4)
    assert full_record(make, *shapes, shared=True) == full_record(make, *shapes, shared=False)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("name", ["resnest26d", "resnest50d_4s2x40d", "efficientnet_lite1"])
def test_native_variants(name, passes, full_record):
    def make():
        return zoo.create_model(name)

    shape = (1, 3, 128, 160)
    shared = full_record(make, shape, shared=True, passes=passes)
    assert shared == full_record(make, shape, shared=False)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "coat_lite_tiny", "hrnet_w18_small"])
def test_timm(name, full_record):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")

    def make():
        return timm.create_model(name)

    shape = (1, 3, 224, 224)
    assert full_record(make, shape, shared=True) == full_record(make, shape, shared=False)


def test_a_second_size_is_a_pass_of_its_own(full_record, on_meta, record_of):
    model = on_meta(zoo.create_model, "resnest14d")
    first = record_of(model, (1, 3, 224, 224))
    second = record_of(model, (1, 3, 96, 128))
    fresh = record_of(on_meta(zoo.create_model, "resnest14d"), (1, 3, 96, 128))
    outputs = [[c.outputs for _, c in walk(record)] for record in (first, second, fresh)]
    assert outputs[1] == outputs[2] != outputs[0]


def test_equal_blocks_do_share():
    """Otherwise every test above holds without a thing being shared."""
    with torch.device("meta"):
        model = Net(*(wrapped(Block(), nn.ReLU()) for _ in range(3))).eval()
    record = tracing.trace(model, [torch.empty(SHAPE, device="meta")])
    calls = [call.calls for _, call in walk(record) if call.type.endswith("Sequential")]
    assert len(calls) == 3
    assert all(isinstance(c, ModuleCall) for c in calls[0])
    assert calls[0] is calls[1] is calls[2]
