"""Counters that hook modules and look their classes up in a table."""

from __future__ import annotations

from collections.abc import Callable

from harness.measure.conventions.macs import macs
from harness.measure.record import ModuleCall, walk

ModuleRule = Callable[[ModuleCall], int]


def _class_in(table: dict[str, ModuleRule], call: ModuleCall, *, exact: bool) -> str | None:
    for kind in (call.type,) if exact else (call.type, *call.bases):
        package, _, name = kind.rpartition(".")
        if package.startswith("torch.nn.modules.") and name in table:
            return name
    return None


def count_modules(
    table: dict[str, ModuleRule],
    record: ModuleCall,
    memo: dict[int, int],
    *,
    exact: bool,
    skip: str | None,
) -> tuple[int, int]:
    """The sum over all calls of modules in the table, and the MACs inside those modules."""
    value = covered = 0
    for path, call in walk(record):
        if path == skip:
            continue
        name = _class_in(table, call, exact=exact)
        if name is not None:
            value += table[name](call)
            covered += macs((call,), memo)
    return value, covered
