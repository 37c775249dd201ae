"""What ptflops counts with its default backend, which hooks modules and replaces functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod

from harness.measure.derive import truncated
from harness.measure.flops.base import (
    ModuleRule,
    NotCountedError,
    Pass,
    Tally,
    first_input,
    weight_of,
)
from harness.measure.functional_hooks import FUNCTIONAL, PER_ELEMENT, methods
from harness.measure.record import ModuleCall, Op


def ptflops(calls: Sequence[tuple[str, ModuleCall]], whole: Pass) -> tuple[Tally, Tally]:
    """The count for one sample, and what of it is the classifier's.

    Source: ``pytorch_engine`` and ``pytorch_ops`` of ptflops 0.7.5. Modules are looked up by exact
    type, and what such a module holds is counted with it or not at all: of timm's attention the
    products and not the projections. Functions count again where a module calls them by name,
    so that an activation that is a module counts twice. Operators (``+``, ``@``) and fused
    attention count nothing.

    Args:
        calls: those to count, the model first.
        whole: the pass that they are of.

    Raises:
        NotCountedError: ptflops fails on the model, or a shared module or a deformable convolution
            makes its sum undefined by the record.
    """
    hooked = head = Tally()
    functional: float = 0
    covered = 0
    rules: dict[str, ModuleRule | None] = {}
    holders = {p for p, call in calls if not call.leaf and _rule(call.type, rules) is not None}
    values: dict[int, Tally] = {}
    for path, call in calls:
        rule = _rule(call.type, rules)
        if rule is None or _is_inside(path, holders):
            if rule is not None and call.held > 1:
                raise NotCountedError(f"{path} is held in and out of a module that counts")
        else:
            tally = values.get(id(call))
            if tally is None:
                own = (op for op in call.calls if isinstance(op, Op))
                tally = values[id(call)] = Tally(rule(call) * call.held, whole.macs(own))
            hooked += tally
            if path == whole.classifier:
                head += tally
        for count, inside in _by_name(call, whole):
            functional += count
            covered += inside if rule is None else 0
    _, model = calls[0]
    batch = model.inputs[0][0] if model.inputs and model.inputs[0] else 1
    total = Tally(truncated(hooked.value / batch + functional), hooked.covered + covered)
    return total, Tally(head.value // batch, head.covered)


def _rule(kind: str, known: dict[str, ModuleRule | None]) -> ModuleRule | None:
    if kind not in known:
        package, _, name = kind.rpartition(".")
        known[kind] = _HOOKS.get(name if package.startswith("torch.nn.modules.") else kind)
    return known[kind]


def _is_inside(path: str, holders: set[str]) -> bool:
    while holders and path:
        path = path.rpartition(".")[0]
        if path in holders:
            return True
    return False


def _by_name(call: ModuleCall, whole: Pass) -> Iterator[tuple[float, int]]:
    """What the functions count that were called by name, and the MACs of the operators they ran."""
    for place, op in enumerate(call.calls):
        if not isinstance(op, Op) or (rule := _FUNCTIONS.get(op.name)) is None:
            continue
        following = call.calls[place + 1 : place + 2] if rule is _product or rule is _sum else ()
        yield rule(op), whole.macs(following)


def _input(op: Op) -> tuple[int, ...]:
    if not op.inputs or op.inputs[0] is None:
        raise NotCountedError(f"{op.name} takes no tensor")
    return op.inputs[0]


def _product(op: Op) -> float:
    left, right = op.inputs[:2]
    assert left is not None
    assert right is not None
    return prod(left) * right[-1]


def _sum(op: Op) -> float:
    """A product that is added to something."""
    added, left, right = op.inputs[:3]
    assert added is not None
    assert left is not None
    assert right is not None
    return prod(left) * right[-1] + (prod(added) if op.attributes["beta"] != 0 else 0)


def _elementwise(op: Op) -> float:
    """Sizes are compared from the left, and the greater one is taken."""
    shapes = [shape for shape in op.inputs[:2] if shape is not None]
    if not shapes:
        return 1
    if len(shapes) == 1:
        return prod(shapes[0])
    left, right = (s + (1,) * (max(map(len, shapes)) - len(s)) for s in shapes)
    return prod(map(max, left, right))


def _resized(op: Op) -> float:
    x = _input(op)
    size, scale = op.attributes["size"], op.attributes["scale_factor"]
    axes = len(x) - 2
    if isinstance(size, tuple | list):
        count: float = prod(map(truncated, size)) * prod(x[:2])
        return count
    if isinstance(size, int):
        return int(size**axes) * prod(x[:2])
    if isinstance(scale, tuple) and len(scale) == axes:
        return prod(x) * prod(map(int, scale))
    if isinstance(scale, int | float):
        return float(prod(x) * scale**axes)
    raise NotCountedError(f"{op.name} sets its output size in a way that ptflops fails on")


_FUNCTIONS: dict[str, Callable[[Op], float]] = {
    **dict.fromkeys(PER_ELEMENT, lambda op: prod(_input(op))),
    FUNCTIONAL + "upsample": _resized,
    FUNCTIONAL + "interpolate": _resized,
    **dict.fromkeys(methods("matmul", "mm", "bmm"), _product),
    **dict.fromkeys(methods("addmm", "baddbmm"), _sum),
    **dict.fromkeys(methods("mul", "add"), _elementwise),
}


def conv_and_bias(call: ModuleCall) -> int:
    x, y, weight = first_input(call), call.outputs[0], weight_of(call)
    positions = x if "Transpose" in call.type else y
    bias = x[0] * prod(y[1:]) if "bias" in call.parameters else 0
    return x[0] * prod(weight) * prod(positions[2:]) + bias


def per_output(call: ModuleCall) -> int:
    return prod(call.outputs[0])


def per_module_input(call: ModuleCall) -> int:
    return prod(first_input(call))


def _upsample(call: ModuleCall) -> int:
    """Of the first sample alone."""
    return prod(call.outputs[0][1:])


def doubled_norm(call: ModuleCall) -> int:
    return prod(first_input(call)) * (2 if "weight" in call.parameters else 1)


def product_alone(call: ModuleCall) -> int:
    """Of a linear layer, without its bias."""
    return prod(first_input(call)) * call.outputs[0][-1]


def _linear(call: ModuleCall) -> int:
    x, y = first_input(call), call.outputs[0]
    return (x[-1] * y[-1] + y[-1] * ("bias" in call.parameters)) * prod(x[:-1])


def _recurrent(gates: int, elementwise: int) -> ModuleRule:
    """The weights and biases of each layer once, and twice for two directions."""

    def count(call: ModuleCall) -> int:
        shapes = call.parameters
        one_way = {name: s for name, s in shapes.items() if not name.endswith("_reverse")}
        layers = sum(name.startswith("weight_ih") for name in one_way)
        hidden = next(s[0] for name, s in one_way.items() if name.startswith("weight_ih")) // gates
        known = sum(prod(s) for name, s in one_way.items() if not name.startswith("weight_hr"))
        directions = 2 if len(one_way) < len(shapes) else 1
        x = first_input(call)
        steps = x[0] if "Cell" in call.type else x[0] * x[1]
        return (known + layers * elementwise * hidden) * steps * directions

    return count


def _multihead_attention(call: ModuleCall) -> int:
    """Of keys and values of a size of their own it takes the weights to be square."""
    if len(call.inputs) != 3:
        raise NotCountedError(f"{call.type} is called with {len(call.inputs)} tensors in order")
    q, k, v = call.inputs
    if len(q) != 3:
        raise NotCountedError(f"{call.type} is called without a batch")
    heads = call.settings["num_heads"]
    assert isinstance(heads, int)
    length = 1 if call.settings["batch_first"] else 0
    batch, width, width_v = q[1 - length], q[2], v[2]
    queries, keys, values = q[length], k[length], v[length]
    count = queries * width
    count += queries * width**2 + keys * k[2] ** 2 + values * width_v**2
    if "in_proj_bias" in call.parameters:
        count += (queries + keys + values) * width
    count += heads * queries * keys * (width // heads + 1 + width_v // heads)
    count += queries * width_v * (width_v + 1)
    return count * batch


def _timm_attention(call: ModuleCall) -> int:
    x = first_input(call)
    if len(x) != 3:
        raise NotCountedError(f"{call.type} is called with {len(x)} axes")
    batch, tokens, _ = x
    width, heads = call.settings["head_dim"], call.settings["num_heads"]
    assert isinstance(width, int)
    assert isinstance(heads, int)
    return batch * heads * (tokens * width + tokens * tokens * (2 * width + 1))


def _fails(call: ModuleCall) -> int:
    raise NotCountedError(f"no rule for {call.type} is written here")


_HOOKS: dict[str, ModuleRule] = {
    name: rule
    for names, rule in {
        ("Conv1d", "Conv2d", "Conv3d"): conv_and_bias,
        ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"): conv_and_bias,
        ("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "GELU"): per_output,
        ("MaxPool1d", "MaxPool2d", "MaxPool3d"): per_module_input,
        ("AvgPool1d", "AvgPool2d", "AvgPool3d"): per_module_input,
        ("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"): per_module_input,
        ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"): per_module_input,
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm"): doubled_norm,
        ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"): doubled_norm,
        ("LayerNorm",): per_module_input,
        ("Linear",): _linear,
        ("Upsample",): _upsample,
        ("RNN", "RNNCell"): _recurrent(1, 1),
        ("GRU", "GRUCell"): _recurrent(3, 7),
        ("LSTM", "LSTMCell"): _recurrent(4, 10),
        ("MultiheadAttention",): _multihead_attention,
        (
            "timm.layers.attention.Attention",
            "timm.models.vision_transformer.Attention",
        ): _timm_attention,
        ("torchvision.ops.deform_conv.DeformConv2d",): _fails,
    }.items()
    for name in names
}
