"""A convention's count taken apart: what each module call adds by itself, and by which operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.measure.flops.deepspeed import deepspeed
from harness.measure.flops.fvcore import fvcore_of
from harness.measure.flops.hooks import count_modules
from harness.measure.flops.macs import macs_of
from harness.measure.flops.ptflops import ptflops
from harness.measure.flops.thop import THOP, THOP_2020
from harness.measure.flops.torchinfo import torchinfo
from harness.measure.record import ModuleCall, Op, classifier_path, walk

Item = tuple[str, str, int]
Calls = Sequence[tuple[str, ModuleCall]]

CONVENTIONS = (
    *("macs", "flops", "fvcore", "torchvision"),
    *("thop", "thop-2020", "ptflops", "deepspeed", "torchinfo"),
)


def itemised(record: ModuleCall, convention: str) -> list[Item]:
    """The path, the operator and the count of all that a convention adds up.

    Where a counter looks modules up by class, the class stands for the operator. A module's
    children are items of their own.

    Raises:
        NotCountedError: the counter itself gives up on the model.
    """
    calls = list(walk(record))
    if convention in ("macs", "flops", "torchvision"):
        times = 2 if convention == "flops" else 1
        return [(p, name, times * n) for p, call in calls for name, n in _products(call)]
    if convention == "fvcore":
        ops = ((path, op) for path, call in calls for op in call.calls if isinstance(op, Op))
        return [(path, *found) for path, op in ops if (found := fvcore_of(op)) is not None]
    return list(_hooked(calls, convention, classifier_path(record)))


def _products(call: ModuleCall | Op) -> Iterator[tuple[str, int]]:
    """The multiply-accumulates of the operators in a call; composite ones are opened."""
    for op in call.calls if isinstance(call, ModuleCall) else call.parts:
        if isinstance(op, Op):
            counted = macs_of(op)
            if counted is not None:
                yield op.name, counted
            else:
                yield from _products(op)


def _hooked(calls: Calls, convention: str, head: str | None) -> Iterator[Item]:
    """What counters add that look at one module call after the other."""
    memo: dict[int, int] = {}
    if convention == "ptflops":
        yield from _of_ptflops(calls, memo)
        return
    count: Callable[[Calls], int] = {
        "thop": lambda one: count_modules(THOP, one, memo, None).exact.value,
        "thop-2020": lambda one: count_modules(THOP_2020, one, memo, None).exact.value,
        "torchinfo": lambda one: torchinfo(one, memo, None)[0].value,
        "deepspeed": lambda one: deepspeed(one, memo, None).total.value,
    }[convention]
    for path, call in calls:
        if convention != "thop-2020" or path != head:
            yield path, _class(call), count([(path, call)])


def _of_ptflops(calls: Calls, memo: dict[int, int]) -> Iterator[Item]:
    """A module inside one that counts is left out, so each is counted among those that hold it."""
    by_path = dict(calls)
    for path, call in calls:
        steps = path.split(".") if path else []
        above = [".".join(steps[:n]) for n in range(len(steps))]
        holders = [(p, by_path[p]) for p in above if p in by_path]
        with_it = ptflops([*holders, (path, call)], memo, None)[0].value
        without = ptflops(holders, memo, None)[0].value if holders else 0
        yield path, _class(call), with_it - without


def _class(call: ModuleCall) -> str:
    return call.type.rpartition(".")[2]
