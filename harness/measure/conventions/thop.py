"""What thop counts: in 2020, when several public zoos took their figures."""

from __future__ import annotations

from math import prod

from harness.measure.conventions.modules import ModuleRule
from harness.measure.record import ModuleCall, Op, Shape


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
