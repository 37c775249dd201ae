"""What a FLOP is, under each convention: pure functions over a record of one forward pass.

A convention looks at operators, as tracers do, or at modules, as hook-based counters do. Each
gives, with its count, the multiply-accumulates of the operators that it counted at all, so that
a count that left half of the model out is recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product

from harness.measure.flops.base import (
    NotCountedError,
    Parts,
    Pass,
    Tally,
    count_modules,
    module_parts,
)
from harness.measure.flops.deepspeed import deepspeed_parts
from harness.measure.flops.fvcore import (
    fvcore_activations,
    fvcore_by_operator,
    fvcore_of,
    fvcore_parts,
)
from harness.measure.flops.macs import attention_products, macs, macs_of
from harness.measure.flops.mmcv import is_openmmlab, late_strides, mmcv_parts, without_head
from harness.measure.flops.ptflops import ptflops
from harness.measure.flops.thop import THOP, THOP_2020
from harness.measure.flops.torchinfo import torchinfo_parts
from harness.measure.record import ModuleCall, Op, walk
from harness.types import DEPLOYED, WITH_PRODUCTS, WITH_UNKNOWN

__all__ = [
    "CONVENTIONS",
    "COUNTERS",
    "Count",
    "FlopCounter",
    "NotCountedError",
    "Pass",
    "counts",
    "fvcore_activations",
    "fvcore_by_operator",
    "itemised",
    "macs",
]

Item = tuple[str, str, int]
_Change = list[tuple[str, Tally]]

# The parts of a model that a figure may have left out or taken in, in words.
_CLASSIFIER, _HEAD, _LAST_NORM = "the classifier", "the head", "the last norm"
_PRODUCTS = "attention products"
# Not what was left out, but how the model was.
_TRAINING = "in training mode"
_LATE_STRIDES = "with the strides of fused blocks in their second convolution"
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


def counts(record: ModuleCall | Pass, deployed: ModuleCall | Pass | None = None) -> list[Count]:
    """Every figure that a known counter would print for this pass, plainest first.

    The first entry of each convention is the convention as named; the others are variations. A
    convention whose counter gives up on the model has none.

    Args:
        record: the pass.
        deployed: the pass of the same network in its deployed form, where it has another.
    """
    whole = Pass.of(record)
    total = whole.macs((whole.record,))
    head = whole.macs(call for path, call in whole.calls if path == whole.classifier)
    products = attention_products(whole.record)
    fvcore, fvcore_head = whole.add_up(fvcore_parts)
    found = [
        Count("macs", "", total, total),
        Count("fvcore", "", fvcore["total"].value, fvcore["total"].covered),
        Count("flops", "", 2 * total, total),
        Count("torchvision", "", total, total),
    ]
    for name, counter in COUNTERS.items():
        with suppress(NotCountedError):
            found += [Count(name, words, t.value, t.covered) for words, t in counter.figures(whole)]
    for words, tally in _less(Tally(total, total), Tally(head, head), Tally(products, products)):
        found += [
            Count("macs", words, tally.value, tally.covered),
            Count("flops", words, 2 * tally.value, tally.covered),
        ]
    for name, value in _without_layers(whole, total, fvcore["total"].value):
        found.append(Count(name, f"without all layers of {_CLASSIFIER}", *value))
    variations = (*_of_fvcore(fvcore, fvcore_head["total"]), *_unfused(whole, fvcore["total"]))
    for words, tally in (*variations, *_of_features(whole)):
        found.append(Count("fvcore", words, tally.value, tally.covered))
    if deployed is not None:
        found += _of_deployed(deployed, total)
    return distinct(found)


def _without_layers(whole: Pass, total: int, fvcore: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The whole without a classifier of several layers in a module of its own, as AlexNet's.

    Papers that count convolutions alone leave all of them out.
    """
    path = (whole.classifier or "").rpartition(".")[0]
    inside = [call for at, call in whole.calls if path and at.startswith(f"{path}.")]
    weights = [call.parameters["weight"] for call in inside if "weight" in call.parameters]
    if len(weights) > 1 and all(len(weight) == 2 for weight in weights):
        rest = total - whole.macs(inside)
        yield "macs", (rest, rest)
        yield "flops", (2 * rest, rest)
        parts = sum(fvcore_parts(call, whole)["total"].value for call in inside)
        yield "fvcore", (fvcore - parts, rest)


def _unfused(whole: Pass, total: Tally) -> Iterator[tuple[str, Tally]]:
    """fvcore's count without gradients: torch runs each MultiheadAttention as one operator."""
    fused = [call for _, call in whole.calls if call.type.endswith(".MultiheadAttention")]
    inside = [fvcore_parts(part, whole)["total"] for call in fused for _, part in walk(call)]
    if any(tally.value for tally in inside):
        yield "without MultiheadAttention as one operator", total - sum(inside, Tally())


def _less(whole: Tally, classifier: Tally, products: Tally) -> Iterator[tuple[str, Tally]]:
    """The whole without its classifier, without its attention products, and without both."""
    if classifier.value:
        yield f"without {_CLASSIFIER}", whole - classifier
    if products.value:
        yield f"without {_PRODUCTS}", whole - products
    if classifier.value and products.value:
        yield f"without {_PRODUCTS} and {_CLASSIFIER}", whole - products - classifier


def _of_fvcore(parts: Parts, classifier: Tally) -> Iterator[tuple[str, Tally]]:
    """fvcore's count and what becomes of it.

    Attention is counted where it is not one operator, which fvcore doesn't know; a mean over all
    positions where it is written as a pool; norms cost more in a model left in training mode.
    """
    return _changed(
        parts["total"],
        _perhaps(_TRAINING, parts["training"]),
        _completions(parts),
        _perhaps("with means counted as pools", parts["means"]),
        _perhaps(f"without {_CLASSIFIER}", Tally() - classifier),
    )


def _of_features(whole: Pass) -> Iterator[tuple[str, Tally]]:
    """fvcore's count of a model of OpenMMLab's as its script runs it, without the head.

    Later releases end some networks with a norm that they did not have when that was run, and
    let fused blocks take their stride in the first convolution, which was once in the second.
    """
    if not is_openmmlab(whole.record):
        return
    parts = without_head(fvcore_parts, whole)
    norms = [call for _, call in whole.calls if call.type.endswith("LayerNorm")]
    norm = fvcore_parts(norms[-1], whole)["total"] if norms else Tally()
    yield f"without {_HEAD}", parts["total"]
    for words, tally in _changed(
        parts["total"],
        _perhaps(_TRAINING, parts["training"]),
        _completions(parts),
        _perhaps(f"without {_LAST_NORM}", Tally() - norm),
    ):
        yield f"{words} and without {_HEAD}", tally
    more = late_strides(fvcore_parts, whole)
    if more["total"].value:
        words, late = f"{_LATE_STRIDES} and without {_HEAD}", parts["total"] + more["total"]
        yield words, late
        yield f"{_TRAINING}, {words}", late + parts["training"] + more["training"]


def _of_mmcv(whole: Pass) -> Iterator[tuple[str, Tally]]:
    if not is_openmmlab(whole.record):
        raise NotCountedError("the pages of other zoos have no figures of mmcv")
    yield "", whole.add_up(mmcv_parts)[0]["total"]
    parts = without_head(mmcv_parts, whole)
    yield f"without {_HEAD}", parts["total"]
    if parts["same"].value:
        words = f"without convolutions of padding 'same' and without {_HEAD}"
        yield words, parts["total"] - parts["same"]


def _completions(parts: Parts) -> _Change:
    completions = [("", Tally())]
    if parts["fused"].value:
        completions.append((WITH_PRODUCTS, parts["fused"]))
    if parts["unknown"].value != parts["fused"].value:
        completions.append((WITH_UNKNOWN, parts["unknown"]))
    return completions


def _changed(total: Tally, *changes: _Change) -> Iterator[tuple[str, Tally]]:
    """The count after one change of each kind, fewest first; the count itself left out."""
    made = list(product(*changes))
    for chosen in sorted(made, key=lambda some: sum(bool(words) for words, _ in some)):
        named = [words for words, _ in chosen if words]
        if named:
            words = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
            yield words, sum((more for _, more in chosen), total)


def _perhaps(words: str, more: Tally) -> _Change:
    """A count as it is, and as it is changed where that makes a difference."""
    return [("", Tally()), (words, more)] if more.value else [("", Tally())]


def _of_deployed(record: ModuleCall | Pass, total: int) -> Iterator[Count]:
    """The usual figures of the deployed form. It leaves nothing out: it does the work in less."""
    whole = Pass.of(record)
    folded = whole.macs((whole.record,))
    parts, head = whole.add_up(fvcore_parts)
    yield Count("macs", DEPLOYED, folded, total)
    words = f"{DEPLOYED} {WITH_UNKNOWN}" if parts["unknown"].value else DEPLOYED
    value = (parts["total"] + parts["unknown"]).value
    yield Count("fvcore", words, value, total)
    if head["total"].value:
        headless = f"{words} and without {_CLASSIFIER}"
        yield Count("fvcore", headless, value - head["total"].value, total)
    yield Count("flops", DEPLOYED, 2 * folded, total)


def _with_work(parts: Parts) -> Tally:
    """DeepSpeed's FLOPs: two for each multiply-accumulate, and the work on single elements."""
    return Tally(2 * parts["macs"].value + parts["work"].value, parts["macs"].covered)


def distinct(found: Iterable[Count]) -> list[Count]:
    """Drops variations that change nothing: a candidate twice would be no further evidence."""
    seen: set[tuple[str, int]] = set()
    kept = []
    for count in found:
        if not count.variation or (count.convention, count.value) not in seen:
            kept.append(count)
        seen.add((count.convention, count.value))
    return kept


def itemised(record: ModuleCall, convention: str) -> list[Item]:
    """The path, the operator and the count of all that a convention adds up.

    Where a counter looks modules up by class, the class stands for the operator. A module's
    children are items of their own.

    Raises:
        NotCountedError: the counter itself gives up on the model.
    """
    whole = Pass(record)
    if convention in ("macs", "flops", "torchvision"):
        times = 2 if convention == "flops" else 1
        return [(p, name, times * n) for p, call in whole.calls for name, n in _products(call)]
    if convention == "fvcore":
        ops = ((path, op) for path, call in whole.calls for op in call.calls if isinstance(op, Op))
        return [(path, *found) for path, op in ops if (found := fvcore_of(op)) is not None]
    return list(COUNTERS[convention].items(whole))


def _products(call: ModuleCall | Op) -> Iterator[tuple[str, int]]:
    """The multiply-accumulates of the operators in a call; composite ones are opened."""
    for op in call.calls if isinstance(call, ModuleCall) else call.parts:
        if isinstance(op, Op):
            counted = macs_of(op)
            if counted is not None:
                yield op.name, counted
            else:
                yield from _products(op)


def _of_ptflops(whole: Pass) -> Iterator[Item]:
    """A module inside one that counts is left out, so each is counted among those that hold it."""
    by_path = dict(whole.calls)
    for path, call in whole.calls:
        steps = path.split(".") if path else []
        above = [".".join(steps[:n]) for n in range(len(steps))]
        holders = [(p, by_path[p]) for p in above if p in by_path]
        with_it = ptflops([*holders, (path, call)], whole)[0].value
        without = ptflops(holders, whole)[0].value if holders else 0
        yield path, _class(call), with_it - without


def _class(call: ModuleCall) -> str:
    return call.type.rpartition(".")[2]


def _per_call(count: Callable[[ModuleCall, Pass], Tally], whole: Pass) -> Iterator[Item]:
    for path, call in whole.calls:
        yield path, _class(call), count(call, whole).value


def _of_thop_2020(whole: Pass) -> Iterator[Item]:
    """It does not count the classifier."""
    items = _per_call(lambda call, _: module_parts(THOP_2020, call, whole)["exact"], whole)
    return (item for item in items if item[0] != whole.classifier)


def _with_and_without_head(total: Tally, head: Tally) -> Iterator[tuple[str, Tally]]:
    yield "", total
    yield f"without {_CLASSIFIER}", total - head


def _deepspeed(whole: Pass) -> Iterator[tuple[str, Tally]]:
    parts, of_head = whole.add_up(deepspeed_parts)
    yield "", parts["macs"]
    yield from _less(parts["macs"], of_head["macs"], parts["products"])
    yield _WITH_WORK, _with_work(parts)
    yield f"{_WITH_WORK} and without {_CLASSIFIER}", _with_work(parts) - _with_work(of_head)


@dataclass(frozen=True, slots=True)
class FlopCounter:
    """A counter that hooks modules or replaces functions, as functions of a pass.

    Both raise NotCountedError where the counter itself gives up on the model.

    Attributes:
        figures: what it would print, as (variation, tally): as named first, without words.
        items: what it adds up to that first figure, as (path, class, count).
    """

    figures: Callable[[Pass], Iterator[tuple[str, Tally]]]
    items: Callable[[Pass], Iterator[Item]]


# A counter is its module beside this one and its row here.
COUNTERS: Mapping[str, FlopCounter] = {
    "thop-2020": FlopCounter(
        lambda whole: count_modules(THOP_2020, whole).variations(), _of_thop_2020
    ),
    "thop": FlopCounter(
        lambda whole: count_modules(THOP, whole).whole_variations(),
        partial(_per_call, lambda call, whole: module_parts(THOP, call, whole)["exact"]),
    ),
    "torchinfo": FlopCounter(
        lambda whole: _with_and_without_head(*(p["total"] for p in whole.add_up(torchinfo_parts))),
        partial(_per_call, lambda call, whole: torchinfo_parts(call, whole)["total"]),
    ),
    "ptflops": FlopCounter(
        lambda whole: _with_and_without_head(*ptflops(whole.calls, whole)), _of_ptflops
    ),
    "mmcv": FlopCounter(
        _of_mmcv,
        partial(_per_call, lambda call, whole: mmcv_parts(call, whole)["total"]),
    ),
    "deepspeed": FlopCounter(
        _deepspeed, partial(_per_call, lambda call, whole: deepspeed_parts(call, whole)["macs"])
    ),
}
CONVENTIONS = ("macs", "flops", "fvcore", "torchvision", *COUNTERS)
