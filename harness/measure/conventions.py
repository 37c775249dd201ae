"""What a FLOP is, under each convention: pure functions over a record of one forward pass.

A convention looks at operators, as tracers do, or at modules, as hook-based counters do. Each
gives, with its count, the multiply-accumulates of the operators that it counted at all, so that
a count can be told from one that left half of the model out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

from harness.measure.record import ModuleCall, Op, Shape, classifier_path, walk

Node = ModuleCall | Op


@dataclass(frozen=True, slots=True)
class Count:
    """One figure that a counter would print.

    Attributes:
        convention: the convention's name.
        variation: how it departs from the convention as named; empty where it does not.
        value: the count.
        covered: the multiply-accumulates of the operators that were counted.
    """

    convention: str
    variation: str
    value: int
    covered: int


# -- multiply-accumulates -------------------------------------------------------------------


def macs_of(op: Op) -> int | None:
    """Multiply-accumulates of one operator, None where its parts have to be asked.

    The formulas are those of ``torch.utils.flop_counter``, halved: a convolution costs the
    weights once per output position, a product of n x k by k x m costs n k m, attention the
    product of queries and keys and that of scores and values.
    """
    rule = _MACS.get(op.name)
    return None if rule is None else rule(op)


def _conv(op: Op) -> int:
    x, weight, out = op.inputs[0], op.inputs[1], op.outputs[0]
    assert x is not None
    assert weight is not None
    transposed = op.name.startswith("aten.conv_transpose") or op.attributes.get("transposed")
    batched = len(x) == len(weight)
    positions = (x if transposed else out)[2 if batched else 1 :]
    return (x[0] if batched else 1) * prod(weight) * prod(positions)


def _linear(op: Op) -> int:
    x, weight = op.inputs[0], op.inputs[1]
    assert x is not None
    assert weight is not None
    return prod(x) * prod(weight[:-1])


def _product(first: int) -> Callable[[Op], int]:
    """A matrix product whose left operand is the tensor argument of that number."""

    def count(op: Op) -> int:
        left, right = op.inputs[first], op.inputs[first + 1]
        assert left is not None
        assert right is not None
        return prod(left) * right[-1]

    return count


def _attention(op: Op) -> int:
    query, key, value = op.inputs[:3]
    assert query is not None
    assert key is not None
    assert value is not None
    return prod(query) * key[-2] + prod(query[:-1]) * value[-2] * value[-1]


_MACS: dict[str, Callable[[Op], int]] = {
    **dict.fromkeys(
        (
            "aten.conv1d",
            "aten.conv2d",
            "aten.conv3d",
            "aten.conv_transpose1d",
            "aten.conv_transpose2d",
            "aten.conv_transpose3d",
            "aten.convolution",
            "aten._convolution",
        ),
        _conv,
    ),
    "aten.linear": _linear,
    "aten.mm": _product(0),
    "aten.bmm": _product(0),
    "aten.addmm": _product(1),
    "aten.baddbmm": _product(1),
    **dict.fromkeys(
        (
            "aten.scaled_dot_product_attention",
            "aten._scaled_dot_product_flash_attention",
            "aten._scaled_dot_product_flash_attention_for_cpu",
            "aten._scaled_dot_product_efficient_attention",
            "aten._scaled_dot_product_cudnn_attention",
        ),
        _attention,
    ),
}


def macs(nodes: Iterable[Node], memo: dict[int, int] | None = None) -> int:
    """Multiply-accumulates of all operators in these nodes.

    Args:
        nodes: what to add up.
        memo: results by node identity, to be passed again for nodes of the same record.
    """
    memo = {} if memo is None else memo
    total = 0
    for node in nodes:
        known = memo.get(id(node))
        if known is None:
            inner = None
            if isinstance(node, Op):
                inner = macs_of(node)
            known = macs(_inside(node), memo) if inner is None else inner
            memo[id(node)] = known
        total += known
    return total


def _inside(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Op) else node.calls


# -- fvcore ---------------------------------------------------------------------------------


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
    """NumPy's estimate, halved, as fvcore takes it from the printed report (four digits).

    Two equations it knows, whatever their letters: a product over the second or third axis.
    """
    import numpy as np

    equation = str(op.attributes["equation"]).replace(" ", "")
    letters = "".join(dict.fromkeys(filter(str.isalpha, equation)))
    form = equation.translate({ord(x): chr(ord("a") + i) for i, x in enumerate(letters)})
    if form in ("abc,abd->acd", "abc,adc->adb"):
        left, right = op.inputs[:2]
        assert left is not None
        assert right is not None
        return prod(left) * right[2 if form == "abc,abd->acd" else 1]
    # Broadcast views have the shape and take no memory.
    operands = [np.broadcast_to(np.float64(0), s) for s in op.inputs if s is not None]
    report = str(np.einsum_path(equation, *operands, optimize="optimal")[1])
    line = next(x for x in report.splitlines() if "optimized flop" in x.lower())
    return int(float(line.split(":")[-1]) // 2)


def _traced_conv(op: Op) -> int:
    """Padding given as a word (``same``) is traced as another operator, without a handle."""
    return 0 if isinstance(op.attributes.get("padding"), str) else _conv(op)


_FVCORE: dict[str, tuple[str, Callable[[Op], int]]] = {
    **{name: ("conv", _traced_conv) for name, rule in _MACS.items() if rule is _conv},
    "aten.addmm": ("addmm", _product(1)),
    "aten.bmm": ("bmm", _product(0)),
    "aten.mm": ("mm", _product(0)),
    "aten.matmul": ("matmul", _product(0)),
    "aten.einsum": ("einsum", _einsum),
    "aten.linear": ("linear", _linear),
    "aten.batch_norm": ("batch_norm", _batch_norm),
    "aten.group_norm": ("group_norm", _norm(1)),
    "aten.layer_norm": ("layer_norm", _norm(1)),
    "aten.instance_norm": ("instance_norm", _norm(1)),
    "aten.upsample_nearest2d": ("upsample_nearest2d", _per_output(1)),
    "aten.upsample_bilinear2d": ("upsample_bilinear2d", _per_output(4)),
    "aten.adaptive_avg_pool2d": ("adaptive_avg_pool2d", _per_input),
    "aten.grid_sampler": ("grid_sampler", _per_output(4)),
}


def fvcore_by_operator(record: ModuleCall) -> Counter[str]:
    """fvcore's count per operator name, as its ``by_operator`` gives it."""
    counts: Counter[str] = Counter()
    for _, call in walk(record):
        for op in call.calls:
            if isinstance(op, Op) and (counted := fvcore_of(op)) is not None:
                counts[counted[0]] += counted[1]
    return counts


# -- counters that hook modules -------------------------------------------------------------

ModuleRule = Callable[[ModuleCall], int]


def _thop_conv(call: ModuleCall) -> int:
    weight = call.parameters["weight"]
    per_output = prod(weight[1:]) + ("bias" in call.parameters)
    return prod(call.outputs[0]) * per_output


def _thop_adaptive_pool(call: ModuleCall) -> int:
    (y,) = call.outputs
    # Given by keyword, the input is seen by the operator alone.
    x = (
        call.inputs[0]
        if call.inputs
        else next(
            op.inputs[0] for op in call.calls if isinstance(op, Op) and op.inputs[0] is not None
        )
    )
    area = prod(i // o for i, o in zip(_positions(x), _positions(y), strict=True))
    return prod(y) * (area + 1)


def _positions(shape: Shape) -> Shape:
    return shape[2:]


def _per_output_element(times: int) -> ModuleRule:
    return lambda call: times * prod(call.outputs[0])


def _linear_module(call: ModuleCall) -> int:
    return prod(call.outputs[0]) * call.parameters["weight"][-1]


THOP_2020: dict[str, ModuleRule] = {
    "Conv1d": _thop_conv,
    "Conv2d": _thop_conv,
    "Conv3d": _thop_conv,
    "BatchNorm1d": _per_output_element(2),
    "BatchNorm2d": _per_output_element(2),
    "BatchNorm3d": _per_output_element(2),
    "AvgPool1d": _per_output_element(1),
    "AvgPool2d": _per_output_element(1),
    "AvgPool3d": _per_output_element(1),
    "AdaptiveAvgPool1d": _thop_adaptive_pool,
    "AdaptiveAvgPool2d": _thop_adaptive_pool,
    "AdaptiveAvgPool3d": _thop_adaptive_pool,
    "Linear": _linear_module,
}
"""The counter of 2020: multiply-accumulates and bias of convolutions, two per normalised
element, one per averaged output, the pooled area and a division per adaptively pooled output."""


def _class_in(table: dict[str, ModuleRule], call: ModuleCall, *, exact: bool) -> str | None:
    for kind in (call.type,) if exact else (call.type, *call.bases):
        package, _, name = kind.rpartition(".")
        if package.startswith("torch.nn.modules.") and name in table:
            return name
    return None


def _count_modules(
    table: dict[str, ModuleRule],
    record: ModuleCall,
    memo: dict[int, int],
    *,
    exact: bool,
    skip: str | None,
) -> tuple[int, int]:
    """The sum over all calls of modules in the table, and the MACs inside those modules."""
    value = covered = 0
    for path, call in walk(record):
        if path == skip:
            continue
        name = _class_in(table, call, exact=exact)
        if name is not None:
            value += table[name](call)
            covered += macs((call,), memo)
    return value, covered


# -- all together ---------------------------------------------------------------------------


def counts(record: ModuleCall) -> list[Count]:
    """Every figure that a known counter would print for this pass, plainest first.

    The first entry of each convention is the convention as named; the others are variations.
    """
    memo: dict[int, int] = {}
    total = macs((record,), memo)
    head = classifier_path(record)
    head_macs = 0
    if head is not None:
        head_macs = macs((call for path, call in walk(record) if path == head), memo)
    fvcore, fvcore_covered, head_fvcore = _fvcore_total(record, head, memo)
    found = [
        Count("macs", "", total, total),
        Count("fvcore", "", fvcore, fvcore_covered),
        Count("flops", "", 2 * total, total),
        Count("torchvision", "", total, total),
    ]
    for exact, variation in ((True, ""), (False, "subclasses of the counted modules included")):
        value, covered = _count_modules(THOP_2020, record, memo, exact=exact, skip=head)
        found.append(Count("thop-2020", variation, value, covered))
    if head_macs:
        without = "without the classifier"
        found += [
            Count("macs", without, total - head_macs, total - head_macs),
            Count("fvcore", without, fvcore - head_fvcore, fvcore_covered - head_macs),
            Count("flops", without, 2 * (total - head_macs), total - head_macs),
        ]
        value, covered = _count_modules(THOP_2020, record, memo, exact=True, skip=None)
        found.append(Count("thop-2020", "with the classifier", value, covered))
    return _distinct(found)


def _fvcore_total(
    record: ModuleCall, head: str | None, memo: dict[int, int]
) -> tuple[int, int, int]:
    """fvcore's total, the MACs of the operators it counted, and its count of the classifier."""
    total = covered = head_count = 0
    for path, call in walk(record):
        for op in call.calls:
            if not isinstance(op, Op) or (counted := fvcore_of(op)) is None:
                continue
            total += counted[1]
            covered += macs((op,), memo)
            if path == head:
                head_count += counted[1]
    return total, covered, head_count


def _distinct(found: list[Count]) -> list[Count]:
    """Drops variations that change nothing: a candidate twice would be no further evidence."""
    plain = {(c.convention, c.value) for c in found if not c.variation}
    return [c for c in found if not c.variation or (c.convention, c.value) not in plain]
