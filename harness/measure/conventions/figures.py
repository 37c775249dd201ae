"""Every figure that a known counter would print for one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.measure.conventions.deepspeed import deepspeed
from harness.measure.conventions.fvcore import fvcore_of
from harness.measure.conventions.macs import ATTENTION, attention_products, macs
from harness.measure.conventions.modules import NotCountedError, Tally, count_modules
from harness.measure.conventions.ptflops import ptflops
from harness.measure.conventions.thop import THOP, THOP_2020
from harness.measure.conventions.torchinfo import torchinfo
from harness.measure.record import ModuleCall, Op, classifier_path, walk

Calls = Sequence[tuple[str, ModuleCall]]

_HEADLESS = "without the classifier"
_WITHOUT_PRODUCTS = "without attention products"


@dataclass(frozen=True, slots=True)
class Count:
    """One figure that a counter would print.

    Attributes:
        convention: the convention's name.
        variation: how it departs from the convention as named; empty where it does not.
        value: the count.
        covered: the multiply-accumulates of the operators that were counted.
    """

    convention: str
    variation: str
    value: int
    covered: int


def counts(record: ModuleCall) -> list[Count]:
    """Every figure that a known counter would print for this pass, plainest first.

    The first entry of each convention is the convention as named; the others are variations. A
    convention whose counter gives up on the model has none.
    """
    memo: dict[int, int] = {}
    calls = list(walk(record))
    total = macs((record,), memo)
    head = classifier_path(record)
    head_macs = 0
    if head is not None:
        head_macs = macs((call for path, call in calls if path == head), memo)
    fvcore, head_fvcore, fused = _fvcore_totals(calls, head, memo)
    found = [
        Count("macs", "", total, total),
        Count("fvcore", "", fvcore.value, fvcore.covered),
        Count("flops", "", 2 * total, total),
        Count("torchvision", "", total, total),
    ]
    for convention, variation, tally in _hooked(calls, memo, head):
        found.append(Count(convention, variation, tally.value, tally.covered))
    if head_macs:
        found += [
            Count("macs", _HEADLESS, total - head_macs, total - head_macs),
            Count("fvcore", _HEADLESS, fvcore.value - head_fvcore, fvcore.covered - head_macs),
            Count("flops", _HEADLESS, 2 * (total - head_macs), total - head_macs),
        ]
    if products := attention_products(record):
        left = total - products
        found += [
            Count("macs", _WITHOUT_PRODUCTS, left, left),
            Count("flops", _WITHOUT_PRODUCTS, 2 * left, left),
        ]
    if fused:
        # As it was counted where attention was not yet one operator, which fvcore doesn't know.
        both = fvcore + Tally(fused, fused)
        found.append(Count("fvcore", "with attention products", both.value, both.covered))
    return _distinct(found)


def _hooked(
    calls: Calls, memo: dict[int, int], head: str | None
) -> Iterator[tuple[str, str, Tally]]:
    """What the counters print that hook modules."""
    for words, tally in count_modules(THOP_2020, calls, memo, head).variations():
        yield "thop-2020", words, tally
    with suppress(NotCountedError):
        for words, tally in count_modules(THOP, calls, memo, head).whole_variations():
            yield "thop", words, tally
    with suppress(NotCountedError):
        whole, of_head = torchinfo(calls, memo, head)
        yield "torchinfo", "", whole
        yield "torchinfo", _HEADLESS, whole - of_head
    with suppress(NotCountedError):
        whole, of_head = ptflops(calls, memo, head)
        yield "ptflops", "", whole
        yield "ptflops", _HEADLESS, whole - of_head
    with suppress(NotCountedError):
        profiled = deepspeed(calls, memo, head)
        yield "deepspeed", "", profiled.total
        yield "deepspeed", _HEADLESS, profiled.total - profiled.classifier
        yield "deepspeed", _WITHOUT_PRODUCTS, profiled.total - profiled.products


def _fvcore_totals(calls: Calls, head: str | None, memo: dict[int, int]) -> tuple[Tally, int, int]:
    """fvcore's total, its count of the classifier, and the MACs of fused attention, left out."""
    total = covered = head_count = fused = 0
    for path, call in calls:
        for op in call.calls:
            if not isinstance(op, Op):
                continue
            if op.name in ATTENTION:
                fused += macs((op,), memo)
            if (counted := fvcore_of(op)) is None:
                continue
            total += counted[1]
            covered += macs((op,), memo)
            if path == head:
                head_count += counted[1]
    return Tally(total, covered), head_count, fused


def _distinct(found: list[Count]) -> list[Count]:
    """Drops variations that change nothing: a candidate twice would be no further evidence."""
    seen: set[tuple[str, int]] = set()
    distinct = []
    for count in found:
        if not count.variation or (count.convention, count.value) not in seen:
            distinct.append(count)
        seen.add((count.convention, count.value))
    return distinct
