"""Counters that hook modules and look their classes up in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.measure.flops.macs import MACS, macs
from harness.measure.record import ModuleCall, Op, Shape

ModuleRule = Callable[[ModuleCall], int]
Table = Mapping[str, ModuleRule]

# What the names of a table's classes begin or end with, and the word for it.
_KINDS = (
    ("Conv", "convolutions"),
    ("Norm", "norms"),
    ("Pool", "pools"),
    ("Linear", "linears"),
    ("ReLU", "activations"),
)
# What one release of a library has as modules of their own, and another inside its norms.
_FUSED = "activations"
_POOLLESS = "without the global pool"


class NotCountedError(Exception):
    """The counter itself gives up on such a call, so that it has no figure for the model."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What some of a table's modules add to a count, and the MACs inside them."""

    value: int = 0
    covered: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.value + other.value, self.covered + other.covered)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.value - other.value, self.covered - other.covered)


@dataclass(frozen=True, slots=True)
class ModuleCounts:
    """A table's count of a record, taken apart by what a counter may not have known.

    Attributes:
        exact: modules of the very classes of the table, the classifier left out.
        subclasses: by kind (``convolutions``, ``norms`` ...), modules of derived classes: a
            counter that looks classes up by exact type never sees these.
        classifier: the module that makes the logits, if its very class is in the table.
        activations: the part of ``exact`` that activations are.
        pool: the part of ``exact`` that the pool over all positions before the classifier is,
            which is no module where it is written as a mean.
    """

    exact: Tally
    subclasses: Mapping[str, Tally]
    classifier: Tally
    activations: Tally = Tally()
    pool: Tally = Tally()

    def variations(self) -> Iterator[tuple[str, Tally]]:
        """The count without the classifier, and with what it leaves out, plainest first.

        A library may derive its convolutions and not its norms, and change that from one release
        to the next, so every set of kinds is a count that has been printed. It may as well
        fuse its activations with its norms, and then no counter sees them.
        """
        for words, tally, usual in self._with_subclasses():
            yield words, tally
            if self.activations.value:
                yield f"{words} without activations".strip(), tally - self.activations
            if self.pool.value and usual:
                yield _and(words, _POOLLESS), tally - self.pool

    def _with_subclasses(self) -> Iterator[tuple[str, Tally, bool]]:
        """Each set of kinds, and whether it is none of them or all of them."""
        kinds = sorted(self.subclasses)
        for size in range(len(kinds) + 1):
            for chosen in combinations(kinds, size):
                tally = sum((self.subclasses[kind] for kind in chosen), self.exact)
                words = f"with subclassed {' and '.join(chosen)}" if chosen else ""
                usual = size in (0, len(kinds))
                yield words, tally, usual
                if self.classifier.value:
                    joint = f"{words} and the classifier" if words else "with the classifier"
                    yield joint, tally + self.classifier, usual

    def whole_variations(self) -> Iterator[tuple[str, Tally]]:
        """The count of the whole model, without the classifier, and both with all subclasses."""
        kinds = sorted(self.subclasses)
        known = [("", self.exact)]
        if kinds:
            words = f"with subclassed {' and '.join(kinds)}"
            known.append((words, sum(self.subclasses.values(), self.exact)))
        for words, tally in known:
            whole = tally + self.classifier
            yield words, whole
            headless = f"{words} without the classifier".strip()
            if self.classifier.value:
                yield headless, tally
            if self.pool.value:
                yield _and(words, _POOLLESS), whole - self.pool
                if self.classifier.value:
                    yield _and(headless, _POOLLESS), tally - self.pool


def _and(words: str, more: str) -> str:
    return f"{words} and {more}" if words else more


def count_modules(
    table: Table,
    calls: Sequence[tuple[str, ModuleCall]],
    memo: dict[int, int],
    classifier: str | None,
) -> ModuleCounts:
    """Counts all calls of modules whose class, or a base of it, is in the table.

    Args:
        table: class name of ``torch.nn`` -> what one call of it counts.
        calls: every module call of the pass with its path, see `harness.measure.record.walk`.
        memo: for `macs`.
        classifier: the path of the module that makes the logits, or None.

    Raises:
        NotCountedError: the counter has no figure for such a model.
    """
    exact = head = activations = pool = Tally()
    in_trunk = True
    subclasses: dict[str, Tally] = {}
    classes: dict[tuple[str, ...], tuple[str | None, bool]] = {}
    tallies: dict[int, Tally] = {}
    for path, call in calls:
        family = (call.type, *call.bases)
        if family not in classes:
            classes[family] = _class_in(table, family)
        name, derived = classes[family]
        if name is None:
            continue
        tally = tallies.get(id(call))
        if tally is None:
            try:
                value = table[name](call)
            except (NotCountedError, LookupError, ValueError):
                if not derived:
                    raise
                continue  # a derived class need not have the weights and shapes of its base
            tally = tallies[id(call)] = Tally(value, macs((call,), memo))
        if path == classifier:
            in_trunk = False
        elif in_trunk and not derived and _is_global_pool(name, call):
            pool = tally
        if path == classifier and not derived:
            head += tally
        elif derived:
            kind = _kind(name)
            subclasses[kind] = subclasses.get(kind, Tally()) + tally
        else:
            exact += tally
            if _kind(name) == _FUSED:
                activations += tally
    return ModuleCounts(exact, subclasses, head, activations, pool)


def first_input(call: ModuleCall) -> Shape:
    """The shape of the first tensor that a hook is handed; arguments by keyword are hidden.

    Raises:
        NotCountedError: there is none.
    """
    if not call.inputs:
        raise NotCountedError(f"{call.type} was called with keywords alone")
    return call.inputs[0]


def weight_of(call: ModuleCall) -> Shape:
    """The shape of the weight: a parameter, or, where it is computed, what the operator got.

    Raises:
        NotCountedError: neither is there.
    """
    own = call.parameters.get("weight")
    if own is not None:
        return own
    for op in call.calls:
        if isinstance(op, Op) and op.name in MACS and len(op.inputs) > 1:
            computed = op.inputs[1]
            if computed is not None:
                return computed
    raise NotCountedError(f"{call.type} has no weight")


def _is_global_pool(name: str, call: ModuleCall) -> bool:
    """Whether it averages over all positions; the last one of a trunk is the global one."""
    if not name.startswith("AdaptiveAvgPool") or len(call.outputs) != 1:
        return False
    return all(n == 1 for n in call.outputs[0][2:])


def _class_in(table: Table, family: Sequence[str]) -> tuple[str | None, bool]:
    """The table's class that a call is of, and whether it is of a derived one."""
    for derived, kind in enumerate(family):
        package, _, name = kind.rpartition(".")
        if package.startswith("torch.nn.modules.") and name in table:
            return name, derived > 0
    return None, False


def _kind(name: str) -> str:
    return next((words for part, words in _KINDS if part in name), "modules")
