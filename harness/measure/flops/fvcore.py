"""What fvcore counts, operator by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod

from harness.measure.flops.base import Parts, Pass, Tally
from harness.measure.flops.macs import ATTENTION, MACS, conv, linear, product
from harness.measure.record import ModuleCall, Op


def fvcore_of(op: Op) -> tuple[str, int] | None:
    """What fvcore's default handles count for one traced operator, with its name there.

    Source: ``_DEFAULT_SUPPORTED_OPS`` of fvcore 0.1.5. The tracer sees the outermost operator
    alone, but for convolutions, so parts are never asked; what has no handle counts nothing.
    """
    rule = _FVCORE.get(op.name)
    return None if rule is None else (rule[0], rule[1](op))


def _norm(weight: int) -> Callable[[Op], int]:
    def count(op: Op) -> int:
        shape = op.inputs[0]
        assert shape is not None
        return prod(shape) * (5 if _given(op, weight) else 4)

    return count


def _given(op: Op, argument: int) -> bool:
    """Whether an optional tensor was given; the dispatcher leaves out those at the end."""
    return len(op.inputs) > argument and op.inputs[argument] is not None


def _batch_norm(op: Op) -> int:
    if op.attributes.get("training"):
        return _norm(1)(op)
    shape = op.inputs[0]
    assert shape is not None
    return prod(shape) * (2 if _given(op, 1) else 1)


def _per_input(op: Op) -> int:
    shape = op.inputs[0]
    assert shape is not None
    return prod(shape)


def _per_output(times: int) -> Callable[[Op], int]:
    return lambda op: times * prod(op.outputs[0])


def _einsum(op: Op) -> int:
    """NumPy's estimate, halved.

    Two equations it knows, whatever their letters: a product over the second or third axis.
    """
    equation = str(op.attributes["equation"]).replace(" ", "")
    letters = "".join(dict.fromkeys(filter(str.isalpha, equation)))
    form = equation.translate({ord(x): chr(ord("a") + i) for i, x in enumerate(letters)})
    if form in ("abc,abd->acd", "abc,adc->adb"):
        left, right = op.inputs[:2]
        assert left is not None
        assert right is not None
        return prod(left) * right[2 if form == "abc,abd->acd" else 1]
    return einsum_estimate(op) // 2


def einsum_estimate(op: Op) -> int:
    """NumPy's estimate of an einsum's operations, as its report prints it (four digits)."""
    import numpy as np

    equation = str(op.attributes["equation"]).replace(" ", "")
    # Broadcast views have the shape and take no memory.
    operands = [np.broadcast_to(np.float64(0), s) for s in op.inputs if s is not None]
    report = str(np.einsum_path(equation, *operands, optimize="optimal")[1])
    line = next(x for x in report.splitlines() if "optimized flop" in x.lower())
    return int(float(line.split(":")[-1]))


def _traced_conv(op: Op) -> int:
    """Padding given as a word (``same``) is traced as another operator, without a handle."""
    return 0 if isinstance(op.attributes.get("padding"), str) else conv(op)


_FVCORE: dict[str, tuple[str, Callable[[Op], int]]] = {
    **{name: ("conv", _traced_conv) for name, rule in MACS.items() if rule is conv},
    "aten.addmm": ("addmm", product(1)),
    "aten.bmm": ("bmm", product(0)),
    "aten.mm": ("mm", product(0)),
    "aten.matmul": ("matmul", product(0)),
    "aten.einsum": ("einsum", _einsum),
    "aten.linear": ("linear", linear),
    "aten.batch_norm": ("batch_norm", _batch_norm),
    "aten.group_norm": ("group_norm", _norm(1)),
    "aten.layer_norm": ("layer_norm", _norm(1)),
    "aten.instance_norm": ("instance_norm", _norm(1)),
    "aten.upsample_nearest2d": ("upsample_nearest2d", _per_output(1)),
    "aten.upsample_bilinear2d": ("upsample_bilinear2d", _per_output(4)),
    "aten.adaptive_avg_pool2d": ("adaptive_avg_pool2d", _per_input),
    "aten.grid_sampler": ("grid_sampler", _per_output(4)),
}


def fvcore_by_operator(record: ModuleCall | Pass) -> Counter[str]:
    """fvcore's count per operator name, as its ``by_operator`` gives it."""
    counts: Counter[str] = Counter()
    for call, times in Pass.of(record).distinct:
        for op in call.calls:
            if isinstance(op, Op) and (counted := fvcore_of(op)) is not None:
                counts[counted[0]] += times * counted[1]
    return counts


def fvcore_parts(call: ModuleCall, whole: Pass) -> Parts:
    """fvcore's count of one call's own operators and what its variations are made of.

    Returns:
        ``total`` (as it counts), ``fused`` (MACs of attention that is one operator, which it does
        not know), ``unknown`` (MACs of all operators that it does not know, ``fused`` among them),
        ``training`` (what it counts more where the model is left in training mode) and ``means``
        (what it counts more where a mean over all positions is a pool).
    """
    parts = Parts()
    for op in call.calls:
        if not isinstance(op, Op):
            continue
        counted = fvcore_of(op)
        inside = whole.macs((op,))
        if counted is None or (op.name in MACS and not counted[1]):
            if inside:
                parts["unknown"] += Tally(inside, inside)
                if op.name in ATTENTION:
                    parts["fused"] += Tally(inside, inside)
        else:
            parts["total"] += Tally(counted[1], inside)
        if op.name == "aten.batch_norm":
            parts["training"] += Tally(_norm(1)(op) - _batch_norm(op))
        elif op.name == "aten.mean" and _is_over_positions(op):
            parts["means"] += Tally(_per_input(op))
    return parts


def _is_over_positions(op: Op) -> bool:
    """Whether height and width of feature maps are averaged away."""
    x, axes = op.inputs[0], op.attributes.get("dim")
    if x is None or len(x) != 4 or not isinstance(axes, list | tuple):
        return False
    return sorted(n % 4 for n in axes) == [2, 3]


# What fvcore's ``ActivationCountAnalysis`` has handles for.
_PUT_OUT = frozenset(
    {"conv", "addmm", "bmm", "einsum", "matmul", "linear"},
)


def fvcore_activations(record: ModuleCall | Pass) -> tuple[int, int]:
    """Elements that the operators of fvcore's count of activations put out.

    Returns:
        As it counts, and with the two products of attention that is one operator, which it does
        not know.
    """
    plain = fused = 0
    for call, times in Pass.of(record).distinct:
        for op in call.calls:
            if not isinstance(op, Op):
                continue
            if op.name in ATTENTION:
                query, key = op.inputs[:2]
                assert query is not None
                assert key is not None
                fused += times * (prod(query[:-1]) * key[-2] + prod(op.outputs[0]))
            elif _FVCORE.get(op.name, ("",))[0] in _PUT_OUT and not isinstance(
                op.attributes.get("padding"), str
            ):
                plain += times * prod(op.outputs[0])
    return plain, plain + fused
