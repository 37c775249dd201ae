"""Run the real fvcore on the CPU, so that our count of its operators can be held against it."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from harness.measure.builders import Builder
from harness.measure.meta import without_initialisation

if TYPE_CHECKING:
    from collections.abc import Sequence

# A model beyond that takes minutes on one core, or most of a machine's memory.
_MOST_MACS = 10**12
_MOST_PARAMETERS = 2 * 10**9


class TooLargeError(Exception):
    """The model is not run on the CPU; the message says how large it is."""


def refuse_too_large(parameters: int, macs: int) -> None:
    """Check a model's size before it is built with values.

    Raises:
        TooLargeError: it has too many parameters, or takes too many multiply-accumulates.
    """
    for number, most, what in (
        (parameters, _MOST_PARAMETERS, "parameters"),
        (macs, _MOST_MACS, "multiply-accumulates"),
    ):
        if number > most:
            raise TooLargeError(
                f"the model is too large to run on the CPU: {number:,} {what}, the limit is "
                f"{most:,}"
            )


def fvcore_operators(
    builder: Builder, name: str, shapes: Sequence[tuple[int, ...]]
) -> dict[str, int | float]:
    """fvcore's own count by operator; those that count nothing are left out.

    Args:
        builder: who builds the model, here with values, all zero where they are parameters.
        name: the builder's name of it.
        shapes: of the inputs, batch included.

    Raises:
        Exception: whatever the builder, the model or fvcore raises.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the torch.jit that fvcore is built on.
        from fvcore.nn import FlopCountAnalysis
    with without_initialisation():
        model = builder.build(name).cpu().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(model, tuple(torch.zeros(shape) for shape in shapes))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    counted = {name: float(count) for name, count in analysis.by_operator().items() if count}
    return {name: int(n) if n.is_integer() else n for name, n in counted.items()}
