"""Every figure that a known counter would print for one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

from harness.measure.flops.deepspeed import deepspeed
from harness.measure.flops.fvcore import FvcoreParts, fvcore_parts
from harness.measure.flops.hooks import NotCountedError, Tally, count_modules
from harness.measure.flops.macs import attention_products, macs
from harness.measure.flops.ptflops import ptflops
from harness.measure.flops.thop import THOP, THOP_2020
from harness.measure.flops.torchinfo import torchinfo
from harness.measure.record import ModuleCall, classifier_path, walk
from harness.types import DEPLOYED, WITH_PRODUCTS, WITH_UNKNOWN

Calls = Sequence[tuple[str, ModuleCall]]

# The parts of a model that a figure may have left out or taken in, in words.
_CLASSIFIER = "the classifier"
_PRODUCTS = "attention products"
# Not what was left out, but how the model was.
_TRAINING = "in training mode"
_WITH_WORK = "in FLOPs with element-wise work"


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


def counts(record: ModuleCall, deployed: ModuleCall | None = None) -> list[Count]:
    """Every figure that a known counter would print for this pass, plainest first.

    The first entry of each convention is the convention as named; the others are variations. A
    convention whose counter gives up on the model has none.

    Args:
        record: the pass.
        deployed: the pass of the same network in its deployed form, where it has another.
    """
    memo: dict[int, int] = {}
    calls = list(walk(record))
    total = macs((record,), memo)
    head = classifier_path(record)
    head_macs = 0
    if head is not None:
        head_macs = macs((call for path, call in calls if path == head), memo)
    whole = Tally(total, total)
    classifier = Tally(head_macs, head_macs)
    products = attention_products(record)
    fvcore = fvcore_parts(calls, head, memo)
    found = [
        Count("macs", "", total, total),
        Count("fvcore", "", fvcore.total.value, fvcore.total.covered),
        Count("flops", "", 2 * total, total),
        Count("torchvision", "", total, total),
    ]
    found += [
        Count(name, words, t.value, t.covered) for name, words, t in _hooked(calls, memo, head)
    ]
    for words, tally in _less(whole, classifier, Tally(products, products)):
        found += [
            Count("macs", words, tally.value, tally.covered),
            Count("flops", words, 2 * tally.value, tally.covered),
        ]
    found += [Count("fvcore", words, t.value, t.covered) for words, t in _of_fvcore(fvcore)]
    if deployed is not None:
        found += _of_deployed(deployed, total)
    return _distinct(found)


def _less(whole: Tally, classifier: Tally, products: Tally) -> Iterator[tuple[str, Tally]]:
    """The whole without its classifier, without its attention products, and without both."""
    if classifier.value:
        yield f"without {_CLASSIFIER}", whole - classifier
    if products.value:
        yield f"without {_PRODUCTS}", whole - products
    if classifier.value and products.value:
        yield f"without {_PRODUCTS} and {_CLASSIFIER}", whole - products - classifier


def _of_fvcore(parts: FvcoreParts) -> Iterator[tuple[str, Tally]]:
    """fvcore's count and what becomes of it.

    Attention is counted where it is not one operator, which fvcore doesn't know; a mean over all
    positions where it is written as a pool; norms cost more in a model left in training mode.
    """
    completions = [("", Tally())]
    if parts.fused.value:
        completions.append((WITH_PRODUCTS, parts.fused))
    if parts.unknown.value != parts.fused.value:
        completions.append((WITH_UNKNOWN, parts.unknown))
    changes = (
        _perhaps(_TRAINING, Tally(parts.training)),
        completions,
        _perhaps("with means counted as pools", Tally(parts.means)),
        _perhaps(f"without {_CLASSIFIER}", Tally() - parts.classifier),
    )
    made = list(product(*changes))
    for chosen in sorted(made, key=lambda some: sum(bool(words) for words, _ in some)):
        named = [words for words, _ in chosen if words]
        if named:
            words = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
            yield words, sum((more for _, more in chosen), parts.total)


def _perhaps(words: str, more: Tally) -> list[tuple[str, Tally]]:
    """A count as it is, and as it is changed where that makes a difference."""
    return [("", Tally()), (words, more)] if more.value else [("", Tally())]


def _of_deployed(record: ModuleCall, total: int) -> Iterator[Count]:
    """The usual figures of the deployed form. It leaves nothing out: it does the work in less."""
    memo: dict[int, int] = {}
    folded = macs((record,), memo)
    fvcore = fvcore_parts(list(walk(record)), None, memo)
    yield Count("macs", DEPLOYED, folded, total)
    if fvcore.unknown.value == 0:
        yield Count("fvcore", DEPLOYED, fvcore.total.value, total)
    else:
        completed = fvcore.total + fvcore.unknown
        yield Count("fvcore", f"{DEPLOYED} {WITH_UNKNOWN}", completed.value, total)
    yield Count("flops", DEPLOYED, 2 * folded, total)


def _hooked(
    calls: Calls, memo: dict[int, int], head: str | None
) -> Iterator[tuple[str, str, Tally]]:
    """What the counters print that hook modules."""
    for words, tally in count_modules(THOP_2020, calls, memo, head).variations():
        yield "thop-2020", words, tally
    with suppress(NotCountedError):
        for words, tally in count_modules(THOP, calls, memo, head).whole_variations():
            yield "thop", words, tally
    for name, counter in (("torchinfo", torchinfo), ("ptflops", ptflops)):
        with suppress(NotCountedError):
            whole, of_head = counter(calls, memo, head)
            yield name, "", whole
            yield name, f"without {_CLASSIFIER}", whole - of_head
    with suppress(NotCountedError):
        profiled = deepspeed(calls, memo, head)
        yield "deepspeed", "", profiled.total
        for words, tally in _less(profiled.total, profiled.classifier, profiled.products):
            yield "deepspeed", words, tally
        yield "deepspeed", _WITH_WORK, profiled.operations
        less = profiled.operations - profiled.classifier_operations
        yield "deepspeed", f"{_WITH_WORK} and without {_CLASSIFIER}", less


def _distinct(found: list[Count]) -> list[Count]:
    """Drops variations that change nothing: a candidate twice would be no further evidence."""
    seen: set[tuple[str, int]] = set()
    distinct = []
    for count in found:
        if not count.variation or (count.convention, count.value) not in seen:
            distinct.append(count)
        seen.add((count.convention, count.value))
    return distinct
