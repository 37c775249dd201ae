"""Counters that hook modules and look their classes up in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from harness.measure.conventions.macs import macs
from harness.measure.record import ModuleCall, walk

ModuleRule = Callable[[ModuleCall], int]
Table = Mapping[str, ModuleRule]

# What the names of a table's classes begin or end with, and the word for it.
_KINDS = (("Conv", "convolutions"), ("Norm", "norms"), ("Pool", "pools"), ("Linear", "linears"))


@dataclass(frozen=True, slots=True)
class Tally:
    """What some of a table's modules add to a count, and the MACs inside them."""

    value: int = 0
    covered: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.value + other.value, self.covered + other.covered)


@dataclass(frozen=True, slots=True)
class ModuleCounts:
    """A table's count of a record, taken apart by what a counter may not have known.

    Attributes:
        exact: modules of the very classes of the table, the classifier left out.
        subclasses: by kind (``convolutions``, ``norms`` ...), modules of derived classes: a
            counter that looks classes up by exact type never sees these.
        classifier: the module that makes the logits, if its very class is in the table.
    """

    exact: Tally
    subclasses: Mapping[str, Tally]
    classifier: Tally

    def variations(self) -> Iterator[tuple[str, Tally]]:
        """The count as it is, and with what it leaves out; each with words for it, plainest first.

        A library may derive its convolutions and not its norms, and change that from one release
        to the next, so every set of kinds is a count that somebody has printed.
        """
        kinds = sorted(self.subclasses)
        for size in range(len(kinds) + 1):
            for chosen in combinations(kinds, size):
                tally = sum((self.subclasses[kind] for kind in chosen), self.exact)
                words = f"with subclassed {' and '.join(chosen)}" if chosen else ""
                yield words, tally
                if self.classifier.value:
                    joint = f"{words} and the classifier" if words else "with the classifier"
                    yield joint, tally + self.classifier


def count_modules(
    table: Table, record: ModuleCall, memo: dict[int, int], classifier: str | None
) -> ModuleCounts:
    """Counts all calls of modules whose class, or a base of it, is in the table.

    Args:
        table: class name of ``torch.nn`` -> what one call of it counts.
        record: the pass.
        memo: for `macs`.
        classifier: the path of the module that makes the logits, or None.
    """
    exact = head = Tally()
    subclasses: dict[str, Tally] = {}
    for path, call in walk(record):
        name, derived = _class_in(table, call)
        if name is None:
            continue
        tally = Tally(table[name](call), macs((call,), memo))
        if path == classifier and not derived:
            head += tally
        elif derived:
            kind = _kind(name)
            subclasses[kind] = subclasses.get(kind, Tally()) + tally
        else:
            exact += tally
    return ModuleCounts(exact, subclasses, head)


def _class_in(table: Table, call: ModuleCall) -> tuple[str | None, bool]:
    """The table's class that a call is of, and whether it is of a derived one."""
    for derived, kind in enumerate((call.type, *call.bases)):
        package, _, name = kind.rpartition(".")
        if package.startswith("torch.nn.modules.") and name in table:
            return name, derived > 0
    return None, False


def _kind(name: str) -> str:
    return next((words for part, words in _KINDS if part in name), "modules")
