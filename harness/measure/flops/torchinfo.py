"""What torchinfo prints as its total of mult-adds."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from harness.measure.flops.hooks import NotCountedError, Tally
from harness.measure.flops.macs import macs
from harness.measure.record import ModuleCall


def torchinfo(
    calls: Sequence[tuple[str, ModuleCall]], memo: dict[int, int], classifier: str | None
) -> tuple[Tally, Tally]:
    """The total of mult-adds, and what of it is the classifier's.

    Source: ``LayerInfo.calculate_macs`` and ``ModelStatistics`` of torchinfo 1.8. Each call of a
    module without children counts, whatever its class: what has no parameters counts nothing, and
    neither do a module's own parameters where it has children, as attention's have. A module of
    this kind that returns a dictionary of several tensors is taken to return them in order, where
    torchinfo looks at the last.

    Args:
        calls: every module call of the pass with its path, see `harness.measure.record.walk`.
        memo: for `macs`.
        classifier: the path of the module that makes the logits, or None.

    Raises:
        NotCountedError: torchinfo fails on a module that has parameters and returns no tensor.
    """
    total = head = Tally()
    tallies: dict[int, Tally] = {}
    for path, call in calls:
        if not (call.leaf and call.parameters):
            continue
        tally = tallies.get(id(call))
        if tally is None:
            value = _mult_adds(call)
            tally = tallies[id(call)] = Tally(value, macs((call,), memo) if value else 0)
        total += tally
        if path == classifier:
            head += tally
    return total, head


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
