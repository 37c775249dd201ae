"""What a FLOP is, under each convention: pure functions over a record of one forward pass.

A convention looks at operators, as tracers do, or at modules, as hook-based counters do. Each
gives, with its count, the multiply-accumulates of the operators that it counted at all, so that
a count can be told from one that left half of the model out.
"""

from harness.measure.flops.figures import Count, counts
from harness.measure.flops.fvcore import fvcore_by_operator
from harness.measure.flops.hooks import NotCountedError
from harness.measure.flops.itemised import CONVENTIONS, itemised
from harness.measure.flops.macs import macs

__all__ = [
    "CONVENTIONS",
    "Count",
    "NotCountedError",
    "counts",
    "fvcore_by_operator",
    "itemised",
    "macs",
]
