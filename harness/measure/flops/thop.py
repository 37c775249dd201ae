"""What thop counts: in 2020, when several public zoos took their figures, and today."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from harness.measure.derive import truncated
from harness.measure.flops.base import (
    ModuleRule,
    NotCountedError,
    first_input,
    weight_of,
)
from harness.measure.record import ModuleCall, Op, Shape


def _thop_conv(call: ModuleCall) -> int:
    weight = weight_of(call)
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
    return prod(call.outputs[0]) * weight_of(call)[-1]


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
    "LeakyReLU": _per_output_element(1),
    "Linear": _linear_module,
}
"""The counter of 2020: multiply-accumulates and bias of convolutions, two per normalised
element, one per averaged output, the pooled area and a division per adaptively pooled output,
and one per element of a leaky ReLU; other activations count nothing."""


def _conv(call: ModuleCall) -> int:
    """The bias counts nothing; a transposed one takes the output for its positions, too."""
    x, y, weight = first_input(call), call.outputs[0], weight_of(call)
    kernel = weight[2:]
    channels = -len(kernel) - 1
    transposed = "Transpose" in call.type
    groups = y[channels] // weight[1] if transposed else x[channels] // weight[1]
    # The second axis, which are the channels where there is a batch.
    return prod(y) * (x[1] // groups) * prod(kernel)


def _norm(call: ModuleCall) -> int:
    return prod(first_input(call)) * (4 if "weight" in call.parameters else 2)


def _softmax(call: ModuleCall) -> int:
    """Exponentials, sum and quotients along the axis."""
    x = first_input(call)
    dims = [op.attributes.get("dim") for op in call.calls if isinstance(op, Op)]
    dim = next((d for d in dims if isinstance(d, int)), None)
    if dim is None:
        raise NotCountedError(f"{call.type} takes no softmax along a named axis")
    along = x[dim]
    return prod(x) // along * (3 * along - 1)


def _adaptive_pool(call: ModuleCall) -> int:
    """The pooled area is a fraction here, and the sum is cut at the end."""
    (y,) = call.outputs
    area = prod(i / o for i, o in zip(first_input(call)[2:], y[2:], strict=True))
    value: int = truncated((area + 1) * prod(y))
    return value


# Per output element; other modes count nothing.
_UPSAMPLING = {
    "aten.upsample_nearest1d": 1,
    "aten.upsample_nearest2d": 1,
    "aten.upsample_nearest3d": 1,
    "aten.upsample_linear1d": 5,
    "aten.upsample_bilinear2d": 11,
    "aten.upsample_bicubic2d": 259,
}


def _upsample(call: ModuleCall) -> int:
    times = sum(_UPSAMPLING.get(op.name, 0) for op in call.calls if isinstance(op, Op))
    return times * prod(call.outputs[0])


def _rnn_step(inputs: int, hidden: int, bias: bool) -> int:
    return hidden * (inputs + hidden) + hidden + 2 * hidden * bias


def _gru_step(inputs: int, hidden: int, bias: bool) -> int:
    return 3 * _rnn_step(inputs, hidden, bias) + 4 * hidden


def _lstm_step(inputs: int, hidden: int, bias: bool) -> int:
    return 4 * _rnn_step(inputs, hidden, bias) + 4 * hidden


_Step = Callable[[int, int, bool], int]


def _recurrent(step: _Step, gates: int) -> ModuleRule:
    """One step of each layer per sequence and time; a projection counts nothing."""

    def count(call: ModuleCall) -> int:
        shapes = call.parameters
        total_hidden, inputs = shapes["weight_ih_l0"]
        hidden, bias = total_hidden // gates, "bias_ih_l0" in shapes
        directions = 2 if "weight_ih_l0_reverse" in shapes else 1
        layers = sum(name.startswith("weight_ih") for name in shapes) // directions
        steps = step(inputs, hidden, bias) * directions
        steps += (layers - 1) * step(hidden * directions, hidden, bias) * directions
        return steps * prod(first_input(call)[:2])

    return count


def _cell(step: _Step, gates: int) -> ModuleRule:
    def count(call: ModuleCall) -> int:
        total_hidden, inputs = call.parameters["weight_ih"]
        bias = "bias_ih" in call.parameters
        return step(inputs, total_hidden // gates, bias) * first_input(call)[0]

    return count


def _met(rule: ModuleRule) -> ModuleRule:
    """A module that several hold gets as many hooks, and its sum is added up as often."""
    return lambda call: rule(call) * call.held**2


# Source: ``register_hooks`` and ``profile`` of thop 0.1.1 (0.1.1.post2209072238). Classes are
# looked up by exact type; multi-head attention and group norm are unknown to it.
THOP: dict[str, ModuleRule] = {
    name: _met(rule)
    for names, rule in {
        ("Conv1d", "Conv2d", "Conv3d"): _conv,
        ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"): _conv,
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"): _norm,
        ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LayerNorm"): _norm,
        ("PReLU",): lambda call: prod(first_input(call)),
        ("Softmax",): _softmax,
        ("AvgPool1d", "AvgPool2d", "AvgPool3d"): _per_output_element(1),
        ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"): _adaptive_pool,
        ("Linear",): _linear_module,
        ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"): _upsample,
        ("RNN",): _recurrent(_rnn_step, 1),
        ("GRU",): _recurrent(_gru_step, 3),
        ("LSTM",): _recurrent(_lstm_step, 4),
        ("RNNCell",): _cell(_rnn_step, 1),
        ("GRUCell",): _cell(_gru_step, 3),
        ("LSTMCell",): _cell(_lstm_step, 4),
    }.items()
    for name in names
}
"""thop as it counts today, the classifier with the rest."""
