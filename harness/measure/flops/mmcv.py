"""What OpenMMLab's counter prints, from which the READMEs of its zoos took their first figures."""

from __future__ import annotations

from math import prod

from harness.measure.flops.base import (
    ModuleRule,
    Parts,
    PartsRule,
    Pass,
    Tally,
)
from harness.measure.flops.ptflops import (
    conv_and_bias,
    doubled_norm,
    per_module_input,
    per_output,
    product_alone,
)
from harness.measure.record import ModuleCall, Op, walk

_TORCH = "torch.nn.modules."
# mmcv's own classes stand in for torch's under the same names.
_OWN = "mmcv.cnn.bricks.wrappers"
_HEAD = "head"
_LIBRARIES = ("mmpretrain.", "mmengine.", "mmcv.", "mmcls.")


def is_openmmlab(record: ModuleCall) -> bool:
    """Whether a pass is of one of OpenMMLab's models."""
    return record.type.startswith(_LIBRARIES)


def without_head(rule: PartsRule, whole: Pass) -> Parts:
    """The parts of all calls outside the head: OpenMMLab's script runs backbone and neck alone."""
    parts = Parts()
    for path, call in whole.calls:
        if path.partition(".")[0] != _HEAD:
            for name, tally in rule(call, whole).items():
                parts[name] += tally
    return parts


def late_strides(rule: PartsRule, whole: Pass) -> Parts:
    """What is counted more where fused blocks take their stride in their second convolution.

    ``EdgeResidual`` of mmcls did so: its first convolution, of whose output the second keeps
    every other position, then runs at all of them.
    """
    more = Parts()
    for _, call in whole.calls:
        if call.type.endswith(".EdgeResidual"):
            inner = (each for each in call.calls if isinstance(each, ModuleCall))
            for first in (each for each in inner if each.name == "conv1"):
                there, here = (prod(x[0][2:]) for x in (first.inputs, first.outputs))
                for _, part in walk(first):
                    for name, tally in rule(part, whole).items():
                        more[name] += Tally(tally.value * there // here - tally.value)
    return more


def mmcv_parts(call: ModuleCall, whole: Pass) -> Parts:
    """The ``total`` of one call, and of it what convolutions are whose padding is ``same``.

    Before torch 1.9 the library had a class of its own for these, which its counter doesn't know.

    Source: ``mmcv/cnn/utils/flops_counter.py`` of mmcv 2.1.0, which goes back to ptflops of 2019.
    Modules are looked up by exact type; the bias of a linear layer, the functions and the
    operators count nothing, and so does attention.
    """
    package, _, name = call.type.rpartition(".")
    rule = _RULES.get(name) if package == _OWN or package.startswith(_TORCH) else None
    if rule is None:
        return Parts()
    own = [op for op in call.calls if isinstance(op, Op)]
    total = Tally(rule(call), whole.macs(own))
    same = any(op.attributes.get("padding") == "same" for op in own)
    return Parts({"total": total, "same": total} if same else {"total": total})


_RULES: dict[str, ModuleRule] = {
    name: rule
    for names, rule in {
        ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d"): conv_and_bias,
        ("ReLU", "PReLU", "ELU", "LeakyReLU", "ReLU6", "Upsample"): per_output,
        ("MaxPool1d", "MaxPool2d", "MaxPool3d"): per_module_input,
        ("AvgPool1d", "AvgPool2d", "AvgPool3d"): per_module_input,
        ("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"): per_module_input,
        ("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"): per_module_input,
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "LayerNorm"): doubled_norm,
        ("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"): doubled_norm,
        ("Linear",): product_alone,
    }.items()
    for name in names
}
