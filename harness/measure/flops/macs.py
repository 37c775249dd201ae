"""Multiply-accumulates of operators, as ``torch.utils.flop_counter`` counts them, halved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from harness.measure.record import ModuleCall, Op

Node = ModuleCall | Op


def macs_of(op: Op) -> int | None:
    """Multiply-accumulates of one operator, None where its parts have to be asked.

    The formulas are those of ``torch.utils.flop_counter``, halved: a convolution costs the
    weights once per output position, a product of n x k by k x m costs n k m, attention the
    product of queries and keys and that of scores and values.
    """
    rule = MACS.get(op.name)
    return None if rule is None else rule(op)


def conv(op: Op) -> int:
    x, weight, out = op.inputs[0], op.inputs[1], op.outputs[0]
    assert x is not None
    assert weight is not None
    transposed = op.name.startswith("aten.conv_transpose") or op.attributes.get("transposed")
    batched = len(x) == len(weight)
    positions = (x if transposed else out)[2 if batched else 1 :]
    return (x[0] if batched else 1) * prod(weight) * prod(positions)


def linear(op: Op) -> int:
    x, weight = op.inputs[0], op.inputs[1]
    assert x is not None
    assert weight is not None
    return prod(x) * prod(weight[:-1])


def product(first: int) -> Callable[[Op], int]:
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


ATTENTION = frozenset(
    {
        "aten.scaled_dot_product_attention",
        "aten._scaled_dot_product_flash_attention",
        "aten._scaled_dot_product_flash_attention_for_cpu",
        "aten._scaled_dot_product_efficient_attention",
        "aten._scaled_dot_product_cudnn_attention",
    }
)

MACS: dict[str, Callable[[Op], int]] = {
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
        conv,
    ),
    "aten.linear": linear,
    "aten.mm": product(0),
    "aten.bmm": product(0),
    "aten.addmm": product(1),
    "aten.baddbmm": product(1),
    **dict.fromkeys(ATTENTION, _attention),
}

# The operators whose factors are both activations. What is written as a product of two matrices,
# or as a linear layer, has weights for one.
_OF_ACTIVATIONS = ATTENTION | {"aten.bmm", "aten.baddbmm"}


def macs(nodes: Iterable[Node], memo: dict[int, int] | None = None) -> int:
    """Multiply-accumulates of all operators in these nodes.

    Args:
        nodes: what to add up.
        memo: results by node identity, to be passed again for nodes of the same record.
    """
    return _fold(nodes, macs_of, {} if memo is None else memo)


def attention_products(record: ModuleCall) -> int:
    """Multiply-accumulates of attention and of other batched products of two activations.

    They are the same whether attention is one operator or made of its parts. An einsum is a
    batched product, too, whatever its factors are.
    """
    return _fold((record,), _of_activations, {})


def _of_activations(op: Op) -> int | None:
    found = macs_of(op)
    return 0 if found is not None and op.name not in _OF_ACTIVATIONS else found


def _fold(nodes: Iterable[Node], rule: Callable[[Op], int | None], memo: dict[int, int]) -> int:
    total = 0
    for node in nodes:
        known = memo.get(id(node))
        if known is None:
            inner = rule(node) if isinstance(node, Op) else None
            known = _fold(_inside(node), rule, memo) if inner is None else inner
            memo[id(node)] = known
        total += known
    return total


def _inside(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Op) else node.calls
