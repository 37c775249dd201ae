"""What torchinfo prints as its total of mult-adds."""

from __future__ import annotations

from math import prod

from harness.measure.flops.base import NotCountedError, Parts, Pass, Tally
from harness.measure.record import ModuleCall


def torchinfo_parts(call: ModuleCall, whole: Pass) -> Parts:
    """The ``total`` of mult-adds of one call.

    Source: ``LayerInfo.calculate_macs`` and ``ModelStatistics`` of torchinfo 1.8. Each call of a
    module without children counts, whatever its class: what has no parameters counts nothing, and
    neither do a module's own parameters where it has children, as attention's have. A module of
    this kind that returns a dictionary of several tensors is taken to return them in order, where
    torchinfo looks at the last.

    Raises:
        NotCountedError: torchinfo fails on a module that has parameters and returns no tensor.
    """
    value = _mult_adds(call) if call.leaf and call.parameters else 0
    return Parts({"total": Tally(value, whole.macs((call,)))}) if value else Parts()


def _mult_adds(call: ModuleCall) -> int:
    """Parameters times positions for convolutions, times the batch alone for all others.

    Recurrent weights, known by longer names, are used at each step.
    """
    output = call.outputs[0] if call.outputs else ()
    convolution = "Conv" in call.type.rpartition(".")[2]
    total = 0
    for name, shape in call.parameters.items():
        if name in ("weight", "bias"):
            if not (convolution or output):
                raise NotCountedError(f"{call.type} returns no tensor that has an axis")
            times = prod(output[:1] + output[2:]) if convolution else output[0]
        elif "weight" in name or "bias" in name:
            times = prod(output[:2])
        else:
            continue
        total += times * prod(shape)
    return total
