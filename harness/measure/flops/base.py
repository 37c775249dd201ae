"""What counters share: the pass prepared for them, tallies of its parts, tables of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.measure.flops.macs import MACS, Node, macs
from harness.measure.record import ModuleCall, Op, Shape, classifier_path, walk

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
    """A count, or a part of one, and the MACs of the operators that it covers."""

    value: int = 0
    covered: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.value + other.value, self.covered + other.covered)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.value - other.value, self.covered - other.covered)

    def __mul__(self, times: int) -> Tally:
        return Tally(self.value * times, self.covered * times)


class Parts(dict[str, Tally]):
    """The parts of a count by name; one that is not there is nothing."""

    def __missing__(self, name: str) -> Tally:
        return Tally()


PartsRule = Callable[[ModuleCall, "Pass"], Parts]


class Pass:
    """The module calls of one record, as counters go through them.

    Attributes:
        record: the call of the model itself.
        calls: every module call with its path, callers before what they call.
        classifier: the path of the module that makes the logits, or None.
    """

    def __init__(self, record: ModuleCall) -> None:
        self.record = record
        self.calls = list(walk(record))
        self.classifier = classifier_path(record, self.calls)
        self._memo: dict[int, int] = {}
        # A repeated block is one object in several places: each is looked at once.
        self._distinct = {id(call): call for _, call in self.calls}
        self._times = Counter(id(call) for _, call in self.calls)
        self._heads = Counter(id(call) for path, call in self.calls if path == self.classifier)

    @staticmethod
    def of(record: ModuleCall | Pass) -> Pass:
        """The pass of a record that may be prepared already."""
        return record if isinstance(record, Pass) else Pass(record)

    @property
    def distinct(self) -> Iterator[tuple[ModuleCall, int]]:
        """Each module call once, with how often it stands in the record."""
        return ((call, self._times[key]) for key, call in self._distinct.items())

    def macs(self, nodes: Iterable[Node]) -> int:
        """Multiply-accumulates of all operators in these nodes of the record."""
        return macs(nodes, self._memo)

    def add_up(self, rule: PartsRule) -> tuple[Parts, Parts]:
        """The parts of all calls together, and those of the classifier's."""
        total, head = Parts(), Parts()
        for key, call in self._distinct.items():
            for name, tally in rule(call, self).items():
                total[name] += tally * self._times[key]
                if key in self._heads:
                    head[name] += tally * self._heads[key]
        return total, head


@dataclass(frozen=True, slots=True)
class ModuleCounts:
    """A table's count of a pass, taken apart by what a counter may not have known.

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
    activations: Tally
    pool: Tally

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


_EXACT, _ACTIVATIONS = "exact", "of exact: activations"


def count_modules(table: Table, whole: Pass) -> ModuleCounts:
    """Count all calls of modules whose class, or a base of it, is in the table.

    Args:
        table: class name of ``torch.nn`` -> what one call of it counts.
        whole: the pass.

    Raises:
        NotCountedError: the counter has no figure for such a model.
    """
    total, head = whole.add_up(lambda call, p: module_parts(table, call, p))
    exact, activations = total.pop(_EXACT, Tally()), total.pop(_ACTIVATIONS, Tally())
    return ModuleCounts(
        exact - head[_EXACT], total, head[_EXACT], activations, _global_pool(table, whole)
    )


def module_parts(table: Table, call: ModuleCall, whole: Pass) -> Parts:
    """What a table counts of one call, as of its very class or of a kind of derived classes."""
    found = _tally(table, call, whole)
    if found is None:
        return Parts()
    tally, name, derived = found
    if derived:
        return Parts({_kind(name): tally})
    parts = Parts({_EXACT: tally})
    if _kind(name) == _FUSED:
        parts[_ACTIVATIONS] = tally
    return parts


def _tally(table: Table, call: ModuleCall, whole: Pass) -> tuple[Tally, str, bool] | None:
    """What one call counts, the class that it is counted as, and whether it is a derived one."""
    name, derived = _class_in(table, (call.type, *call.bases))
    if name is None:
        return None
    try:
        value = table[name](call)
    except (NotCountedError, LookupError, ValueError):
        if not derived:
            raise
        return None  # a derived class need not have the weights and shapes of its base
    return Tally(value, whole.macs((call,))), name, derived


def _global_pool(table: Table, whole: Pass) -> Tally:
    """What the last pool over all positions before the classifier counts."""
    pool = Tally()
    for path, call in whole.calls:
        is_pool = "Pool" in call.type and len(call.outputs) == 1
        if path != whole.classifier and not is_pool:
            continue
        found = _tally(table, call, whole)
        if found is None:
            continue
        if path == whole.classifier:
            break
        tally, name, derived = found
        if not derived and name.startswith("AdaptiveAvgPool"):
            pool = tally if all(n == 1 for n in call.outputs[0][2:]) else pool
    return pool


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


def _class_in(table: Table, family: Sequence[str]) -> tuple[str | None, bool]:
    """The table's class that a call is of, and whether it is of a derived one."""
    for derived, kind in enumerate(family):
        package, _, name = kind.rpartition(".")
        if package.startswith("torch.nn.modules.") and name in table:
            return name, derived > 0
    return None, False


def _kind(name: str) -> str:
    return next((words for part, words in _KINDS if part in name), "modules")
