"""What DeepSpeed's profiler gives as MACs: those of functions that it replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from harness.measure.conventions.macs import linear, macs, product
from harness.measure.conventions.modules import NotCountedError, Tally
from harness.measure.named import FUNCTIONAL
from harness.measure.record import ModuleCall, Op


@dataclass(frozen=True, slots=True)
class DeepSpeedCount:
    """The MACs, and what of them is the classifier's and products of two activations."""

    total: Tally
    classifier: Tally
    products: Tally


def deepspeed(
    calls: Sequence[tuple[str, ModuleCall]], memo: dict[int, int], classifier: str | None
) -> DeepSpeedCount:
    """The MACs of linear layers, convolutions, products and attention that were called by name.

    Source: ``profiling.flops_profiler`` of DeepSpeed 0.19. Einsums have no MACs there, and neither
    have recurrent layers; a product of operands of different batches takes the first one's.

    Args:
        calls: every module call of the pass with its path, see `harness.measure.record.walk`.
        memo: for `macs`.
        classifier: the path of the module that makes the logits, or None.

    Raises:
        NotCountedError: the profiler fails on a convolution without a batch.
    """
    total = head = products = Tally()
    known: dict[int, tuple[Tally, Tally]] = {}
    for path, call in calls:
        own = known.get(id(call))
        if own is None:
            own = known[id(call)] = _of_call(call, memo)
        total += own[0]
        products += own[1]
        if path == classifier:
            head += own[0]
    return DeepSpeedCount(total, head, products)


def _of_call(call: ModuleCall, memo: dict[int, int]) -> tuple[Tally, Tally]:
    """All that was called by name in one call of a module, and the products among it."""
    total = products = Tally()
    for place, op in enumerate(call.calls):
        if not isinstance(op, Op) or (rule := _RULES.get(op.name)) is None:
            continue
        # What a function runs is recorded right after its name.
        ran = call.calls[place + 1] if place + 1 < len(call.calls) else None
        tally = Tally(
            rule(op, ran if isinstance(ran, Op) else op), macs((ran,) if ran else (), memo)
        )
        total += tally
        if rule is _attention or rule is _matmul or op.name == "torch.baddbmm":
            products += tally
    return total, products


def _linear(op: Op, ran: Op) -> int:
    return linear(op)


def _conv(op: Op, ran: Op) -> int:
    """Padded ``same`` it loses a row where an odd number of rows is needed."""
    x, weight = op.inputs[:2]
    assert x is not None
    assert weight is not None
    if len(x) != len(weight):
        raise NotCountedError("a convolution without a batch")
    axes = len(weight) - 2
    if "transpose" in op.name:
        positions = x[2:]
    else:
        positions = ran.outputs[0][2:]
        if ran.attributes.get("padding") == "same":
            dilation = ran.attributes.get("dilation", 1)
            steps = dilation if isinstance(dilation, list | tuple) else (dilation,)
            steps = tuple(steps) * (axes if len(steps) == 1 else 1)
            odd = (d * (k - 1) % 2 for d, k in zip(steps, weight[2:], strict=True))
            positions = tuple(n - lost for n, lost in zip(positions, odd, strict=True))
    return x[0] * prod(weight) * prod(positions)


def _matmul(op: Op, ran: Op) -> int:
    return product(0)(op)


def _addmm(op: Op, ran: Op) -> int:
    return product(1)(op)


def _attention(op: Op, ran: Op) -> int:
    q, k, v = op.inputs[:3]
    assert q is not None
    assert k is not None
    assert v is not None
    return prod(q[:-1]) * k[-2] * (q[-1] + v[-1])


_RULES: dict[str, Callable[[Op, Op], int]] = {
    FUNCTIONAL + "linear": _linear,
    FUNCTIONAL + "scaled_dot_product_attention": _attention,
    **{FUNCTIONAL + f"{name}{n}d": _conv for name in ("conv", "conv_transpose") for n in (1, 2, 3)},
    **{
        owner + name: rule
        for owner in ("torch.", "torch.Tensor.")
        for name, rule in {
            "matmul": _matmul,
            "__matmul__": _matmul,
            "mm": _matmul,
            "bmm": _matmul,
            "addmm": _addmm,
            "baddbmm": _addmm,
        }.items()
    },
}
