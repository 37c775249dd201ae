"""What DeepSpeed's profiler gives as MACs and as FLOPs: those of functions that it replaces."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from harness.measure.derive import truncated
from harness.measure.flops.base import NotCountedError, Parts, Pass, Tally
from harness.measure.flops.fvcore import einsum_estimate, fvcore_of
from harness.measure.flops.macs import linear, product
from harness.measure.functional_hooks import FUNCTIONAL, PER_ELEMENT, methods
from harness.measure.record import ModuleCall, Op, Shape


def deepspeed_parts(call: ModuleCall, whole: Pass) -> Parts:
    """What of one call was called by name.

    Source: ``profiling.flops_profiler`` of DeepSpeed 0.19. Einsums have no MACs there, and neither
    have recurrent layers; a product of operands of different batches takes the first one's.

    Returns:
        ``macs`` (of linear layers, convolutions, products and attention), ``products`` (those of
        two activations) and ``work`` (on single elements, which its FLOPs hold beside two for each
        multiply-accumulate).

    Raises:
        NotCountedError: the profiler fails on a convolution without a batch.
    """
    parts = Parts()
    for place, op in enumerate(call.calls):
        if not isinstance(op, Op):
            continue
        # What a function runs is recorded right after its name.
        following = call.calls[place + 1] if place + 1 < len(call.calls) else None
        ran = following if isinstance(following, Op) else op
        if (other := _FURTHER.get(op.name)) is not None:
            parts["work"] += Tally(other(op, ran))
        if (rule := _RULES.get(op.name)) is None:
            continue
        tally = Tally(rule(op, ran), whole.macs((following,) if following else ()))
        parts["macs"] += tally
        if rule is _attention or rule is _matmul or op.name == "torch.baddbmm":
            parts["products"] += tally
    return parts


def _conv(op: Op, ran: Op) -> int:
    x, weight = op.inputs[:2]
    assert x is not None
    assert weight is not None
    positions = x[2:] if "transpose" in op.name else _positions(weight, ran)
    return x[0] * prod(weight) * prod(positions)


def _positions(weight: Shape, ran: Op) -> Shape:
    """Of a convolution's output: padded ``same`` it loses a row where an odd number is needed."""
    positions = ran.outputs[0][2:]
    axes = len(weight) - 2
    if len(positions) != axes:
        raise NotCountedError("a convolution without a batch")
    if ran.attributes.get("padding") == "same":
        dilation = ran.attributes.get("dilation", 1)
        steps = dilation if isinstance(dilation, list | tuple) else (dilation,)
        steps = tuple(steps) * (axes if len(steps) == 1 else 1)
        odd = (d * (k - 1) % 2 for d, k in zip(steps, weight[2:], strict=True))
        positions = tuple(n - lost for n, lost in zip(positions, odd, strict=True))
    return positions


def _bias(op: Op, ran: Op) -> int:
    """One for each output element of a convolution that has a bias; linear layers' cost nothing."""
    weight = op.inputs[1]
    assert weight is not None
    if len(ran.inputs) < 3 or ran.inputs[2] is None:
        return 0
    y = ran.outputs[0]
    return prod(y[:2]) * prod(_positions(weight, ran))


def _matmul(op: Op, ran: Op) -> int:
    return product(0)(op)


def _attention(op: Op, ran: Op) -> int:
    q, k, v = op.inputs[:3]
    assert q is not None
    assert k is not None
    assert v is not None
    return prod(q[:-1]) * k[-2] * (q[-1] + v[-1])


def _per_element(op: Op, ran: Op) -> int:
    """Of the tensor that goes in."""
    x = op.inputs[0] if op.inputs else None
    if x is None:
        raise NotCountedError(f"{op.name} takes no tensor")
    return prod(x)


def _norm(op: Op, ran: Op) -> int:
    """As fvcore has them."""
    counted = fvcore_of(op)
    assert counted is not None
    return counted[1]


def _pairwise(op: Op, ran: Op) -> int:
    return prod(ran.outputs[0]) if ran is not op else 0


def _resized(op: Op, ran: Op) -> int:
    """Where a size is asked for, its pixels alone, of one channel."""
    size, scale = op.attributes["size"], op.attributes["scale_factor"]
    if isinstance(size, tuple | list):
        return prod(map(truncated, size))
    if isinstance(size, int):
        return size
    x = op.inputs[0]
    assert x is not None
    if isinstance(scale, tuple | list):
        return truncated(prod(x) * prod(scale))  # type: ignore[no-any-return]
    if isinstance(scale, int | float):
        return truncated(prod(x) * scale ** (len(x) - 2))  # type: ignore[no-any-return]
    raise NotCountedError(f"{op.name} sets its output size in a way that the profiler fails on")


_CONVOLUTIONS = tuple(
    f"{FUNCTIONAL}conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)
)

# Beside its multiply-accumulates.
_FURTHER: dict[str, Callable[[Op, Op], int]] = {
    **dict.fromkeys(PER_ELEMENT, _per_element),
    # These are not recorded by name: they are called through the functions alone.
    "aten.leaky_relu": _per_element,
    "aten.leaky_relu_": _per_element,
    **{f"aten.{kind}_norm": _norm for kind in ("batch", "group", "layer", "instance")},
    "aten.einsum": lambda op, ran: einsum_estimate(op),
    FUNCTIONAL + "upsample": _resized,
    FUNCTIONAL + "interpolate": _resized,
    **dict.fromkeys(_CONVOLUTIONS, _bias),
    **dict.fromkeys(methods("mul", "add"), _pairwise),
    **dict.fromkeys(methods("addmm", "baddbmm"), _per_element),
}

_RULES: dict[str, Callable[[Op, Op], int]] = {
    FUNCTIONAL + "linear": lambda op, ran: linear(op),
    FUNCTIONAL + "scaled_dot_product_attention": _attention,
    **dict.fromkeys(_CONVOLUTIONS, _conv),
    **dict.fromkeys(methods("matmul", "__matmul__", "mm", "bmm"), _matmul),
    **dict.fromkeys(methods("addmm", "baddbmm"), lambda op, ran: product(1)(op)),
}
