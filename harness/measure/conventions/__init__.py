"""What a FLOP is, under each convention: pure functions over a record of one forward pass.

A convention looks at operators, as tracers do, or at modules, as hook-based counters do. Each
gives, with its count, the multiply-accumulates of the operators that it counted at all, so that
a count can be told from one that left half of the model out.
"""

from harness.measure.conventions.figures import Count, counts
from harness.measure.conventions.fvcore import fvcore_by_operator
from harness.measure.conventions.itemised import CONVENTIONS, itemised
from harness.measure.conventions.macs import macs
from harness.measure.conventions.modules import NotCountedError

__all__ = [
    "CONVENTIONS",
    "Count",
    "NotCountedError",
    "counts",
    "fvcore_by_operator",
    "itemised",
    "macs",
]
