"""Counts at many inputs from passes at a few, where the shapes alone change with the input.

The passes must do the same in the same order, with the same arguments. A side of a shape that
differs between them is followed by its values in all of them: those of the input are known, those
of a convolution or a pool are computed from what goes in, and of any other operator a side is taken
for what fits every pass (a product of sides, their sum along an axis, a side and a constant). What
fits nothing ends it: the input is then passed through the model itself. Passes at odd, even, small
and large inputs tell models apart that pad or resize for some inputs alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod
from typing import Any

from harness.measure.fastpath import at
from harness.measure.record import ModuleCall, Op, Shape
from harness.types import Size

Node = ModuleCall | Op
_Side = tuple[int, ...]


class NotDerivedError(Exception):
    """The passes differ in more than shapes."""


class Lanes:
    """One number for each of several inputs; arithmetic is done with each of them.

    A comparison must come out the same for all: counters may do one thing or the other by it.
    """

    __slots__ = ("values",)

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = tuple(values)

    def _with(self, how: Callable[[Any, Any], Any], other: Any) -> Lanes:
        if isinstance(other, Lanes):
            return Lanes(map(how, self.values, other.values))
        return Lanes([how(value, other) for value in self.values])

    def _decided(self, how: Callable[[Any, Any], Any], other: Any) -> bool:
        first, *others = (bool(each) for each in self._with(how, other).values)
        if any(each is not first for each in others):
            raise NotDerivedError("a comparison comes out otherwise for some inputs")
        return first

    def __add__(self, other: Any) -> Lanes:
        return self._with(operator.add, other)

    def __mul__(self, other: Any) -> Lanes:
        return self._with(operator.mul, other)

    def __sub__(self, other: Any) -> Lanes:
        return self._with(operator.sub, other)

    def __rsub__(self, other: Any) -> Lanes:
        return self._with(lambda mine, theirs: theirs - mine, other)

    def __floordiv__(self, other: Any) -> Lanes:
        return self._with(operator.floordiv, other)

    def __truediv__(self, other: Any) -> Lanes:
        return self._with(operator.truediv, other)

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        return self._decided(operator.eq, other)

    def __lt__(self, other: Any) -> bool:
        return self._decided(operator.lt, other)

    def __gt__(self, other: Any) -> bool:
        return self._decided(operator.gt, other)

    def __bool__(self) -> bool:
        return not self._decided(operator.eq, 0)

    def __hash__(self) -> int:
        return hash(self.values)

    def __int__(self) -> int:
        raise NotDerivedError("one number is asked for where there are several")

    __index__ = __float__ = __int__


def truncated(value: Any) -> Any:
    """The whole part of a number, of each where there are several."""
    return Lanes(map(int, value.values)) if isinstance(value, Lanes) else int(value)


def lane(value: Any, number: int) -> Any:
    """A value in which each of several numbers is the one of that input."""
    if isinstance(value, Lanes):
        return value.values[number]
    if isinstance(value, dict):
        return {key: lane(inner, number) for key, inner in value.items()}
    return [lane(inner, number) for inner in value] if isinstance(value, list) else value


def derived(passes: Mapping[Size, ModuleCall], sizes: Sequence[Size]) -> ModuleCall:
    """The record of passes at these sizes, all at once: its shapes hold `Lanes`.

    Args:
        passes: records of the same model by their input, (height, width).
        sizes: other inputs.

    Raises:
        NotDerivedError: these passes don't determine it.
    """
    return _Derivation(tuple(passes), sizes).call(tuple(passes.values()))


class _Derivation:
    def __init__(self, known: Sequence[Size], sizes: Sequence[Size]) -> None:
        self.sides = {
            tuple(size[axis] for size in known): Lanes(size[axis] for size in sizes)
            for axis in (0, 1)
        }
        self.memo: dict[tuple[int, ...], Any] = {}

    def call(self, calls: Sequence[ModuleCall]) -> ModuleCall:
        key = tuple(map(id, calls))
        if key not in self.memo:
            first = calls[0]
            for name in ("name", "type", "bases", "parameters", "held", "leaf", "settings"):
                _alike([getattr(call, name) for call in calls])
            self.memo[key] = ModuleCall(
                name=first.name,
                type=first.type,
                bases=first.bases,
                inputs=self.shapes([call.inputs for call in calls]),
                calls=tuple(self.nodes([call.calls for call in calls])),
                outputs=self.shapes([call.outputs for call in calls]),
                parameters=first.parameters,
                held=first.held,
                leaf=first.leaf,
                settings=first.settings,
            )
        made: ModuleCall = self.memo[key]
        return made

    def nodes(self, lists: Sequence[Sequence[Node]]) -> Iterator[Node]:
        _alike(list(map(len, lists)))
        for nodes in zip(*lists, strict=True):
            _alike(list(map(type, nodes)))
            yield self.op(nodes) if isinstance(nodes[0], Op) else self.call(nodes)

    def op(self, ops: Sequence[Any]) -> Op:
        key = tuple(map(id, ops))
        if key not in self.memo:
            _alike([op.name for op in ops])
            inputs = self.shapes([op.inputs for op in ops])
            attributes = self.attributes([op.attributes for op in ops])
            parts = tuple(self.nodes([op.parts for op in ops]))
            self.learn(ops)
            outputs = self.shapes([op.outputs for op in ops])
            self.memo[key] = Op(ops[0].name, inputs, outputs, attributes, parts)  # type: ignore[arg-type]
        made: Op = self.memo[key]
        return made

    def attributes(self, all_: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        first = all_[0]
        if all(each == first for each in all_):
            return first
        _alike([tuple(each) for each in all_])
        found = {}
        for name, value in first.items():
            values = [each[name] for each in all_]
            sides = all(isinstance(each, tuple | list) for each in values)
            if not sides and any(each != value for each in values):
                raise NotDerivedError(f"an argument {name} differs")
            found[name] = value if all(each == value for each in values) else self.shape(values)
        return found

    def shapes(self, lists: Sequence[Sequence[Shape | None]]) -> tuple[Any, ...]:
        _alike(list(map(len, lists)))
        return tuple(self.shape(shapes) for shapes in zip(*lists, strict=True))

    def shape(self, shapes: Sequence[Any]) -> Any:
        first = shapes[0]
        if all(each == first for each in shapes):
            return first
        return tuple(map(self.side, _sides(shapes)))

    def side(self, side: _Side) -> Any:
        if side.count(side[0]) == len(side):
            return side[0]
        if side not in self.sides:
            raise NotDerivedError("a side of a shape follows from nothing known")
        return self.sides[side]

    def learn(self, ops: Sequence[Op]) -> None:
        """Learn the sides of what comes out that are not known."""
        for place in range(len(ops[0].outputs)):
            made = _sides([op.outputs[place] for op in ops])
            for axis, side in enumerate(made):
                if side.count(side[0]) < len(side) and side not in self.sides:
                    self.sides[side] = self.found(ops, made, axis)

    def found(self, ops: Sequence[Op], made: Sequence[_Side], axis: int) -> Lanes:
        window = _WINDOWS.get(ops[0].name)
        for how in self.window(ops, axis) if window is not None else self.guesses(ops, made, axis):
            values, lanes = how
            if values == made[axis] and isinstance(lanes, Lanes):
                return lanes
        raise NotDerivedError(f"what {ops[0].name} puts out follows from nothing known")

    def window(self, ops: Sequence[Op], axis: int) -> Iterator[tuple[Any, Any]]:
        """The positions of a window that goes over what comes in."""
        op, spatial = ops[0], _WINDOWS[ops[0].name]
        given, place = op.attributes, axis - (len(op.outputs[0]) - spatial)
        padding = given.get("padding", 0)
        if place < 0 or isinstance(padding, str):
            return
        kernel: Any = given.get("kernel_size")
        if kernel is None:
            kernel = (op.inputs[1] or ())[2:]
        stride = given.get("stride") or (kernel if "pool" in op.name else 1)
        k, s, p, d = (at(v, place) for v in (kernel, stride, padding, given.get("dilation", 1)))

        def positions(n: int) -> int:
            span = n + 2 * p - d * (k - 1) - 1
            if not given.get("ceil_mode"):
                return span // s + 1
            out = -(-span // s) + 1
            return out - 1 if (out - 1) * s >= n + p else out

        side = _sides([each.inputs[0] for each in ops])[axis]
        lanes = self.side(side)
        if isinstance(lanes, Lanes):
            yield tuple(map(positions, side)), Lanes(map(positions, lanes.values))

    def guesses(
        self, ops: Sequence[Op], made: Sequence[_Side], axis: int
    ) -> Iterator[tuple[Any, Any]]:
        """What a side may be of other operators, which is right where it fits all passes."""
        taken = [_sides(shapes) for shapes in zip(*(op.inputs for op in ops), strict=True)]
        if not taken:
            return
        wanted, first = made[axis], taken[0]
        for left, right in pairwise(first):
            yield _each(prod, left, right), self.side(left) * self.side(right)
        others = [side for other, side in enumerate(made) if other != axis]
        if not others or all(s.count(s[0]) == len(s) or s in self.sides for s in others):
            whole, rest = _each(prod, *first), _each(prod, *others)
            if _each(prod, wanted, rest) == whole:
                lanes = prod(map(self.side, first)) // prod(map(self.side, others))
                if prod(map(self.side, others)) * lanes == prod(map(self.side, first)):
                    yield wanted, lanes
        if len(taken) > 1 and all(len(sides) > axis for sides in taken):
            along = [sides[axis] for sides in taken]
            yield _each(sum, *along), sum(map(self.side, along))
        if len(first) > axis:
            more = wanted[0] - first[axis][0]
            yield tuple(n + more for n in first[axis]), self.side(first[axis]) + more


# Operators whose outputs are positions of a window, and along how many axes.
_WINDOWS = {
    "aten.conv1d": 1,
    "aten.conv2d": 2,
    "aten.conv3d": 3,
    "aten.max_pool2d": 2,
    "aten.avg_pool2d": 2,
}


def _sides(shapes: Sequence[Any]) -> list[_Side]:
    """The sides of one tensor, each with its values in all passes."""
    if any(shape is None for shape in shapes):
        _alike(list(shapes))
        return []
    _alike(list(map(len, shapes)))
    return list(zip(*shapes, strict=True))


def _each(how: Callable[[Any], Any], *sides: _Side) -> _Side:
    return tuple(how(values) for values in zip(*sides, strict=True))


def _alike(values: Sequence[Any]) -> None:
    if any(value != values[0] for value in values[1:]):
        raise NotDerivedError("the passes differ in more than shapes")
