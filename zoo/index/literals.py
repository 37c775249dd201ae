"""Indexes that installed packages keep in their sources, and Python values read from a source.

Nothing is imported or executed; each value has the place where it is written.

Read are literals, names that stand for such, sums and products of them, and calls of functions that
do no more than return one: ``def _cfg(url='', **kwargs): return {'url': url, **kwargs}``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.index.nodes import Mapping as Pairs
from zoo.index.nodes import Node, Scalar, Sequence, pair
from zoo.index.types import SourceText

_MAX_DEPTH = 30
_MAX_TIMES = 64
_OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


class PackageReader:
    """What readers of installed packages share; ``read`` is that of any `Reader`."""

    def takes(self, path: str) -> bool:
        """Nothing by its name: only the installed package is read this way."""
        return False


class ModelSource:
    """The source of one module of models, which is the collection of all that it lists."""

    def __init__(self, builder: str, family: str, text: str) -> None:
        self.source = SourceText("", text)
        self._builder, self._family = builder, family

    def listed(self, models: list[Node]) -> list[tuple[Node, Node]]:
        """The index of these models: who builds them, their collection, and they themselves."""
        family = Pairs([pair("Name", Scalar(self._family, True, 0, 0), 0)], 0, 0)
        return [
            pair("Builder", Scalar(self._builder, True, 0, 0), 0),
            pair("Collections", Sequence([family], 0, 0), 0),
            *([pair("Models", Sequence(models, 0, len(self.source.text)), 0)] if models else []),
        ]

    def entry(
        self, name: str, at: ast.AST, metadata: list[tuple[Node, Node]]
    ) -> list[tuple[Node, Node]]:
        """The beginning of an entry that is named at that node."""
        start, end = self.span(at)
        return [
            pair("Name", Scalar(name, True, start, end), start),
            pair("In Collection", Scalar(self._family, True, start, start), start),
            pair("Metadata", Pairs(metadata, start, end), start),
        ]

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node starts and ends in the text, in characters; the beginning if nowhere."""
        line, column = getattr(node, "lineno", None), getattr(node, "col_offset", 0)
        last, end = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
        if line is None or last is None or end is None:
            return 0, 0
        return self.source.offset(line, column), self.source.offset(last, end)


class NotLiteral(Exception):
    """A value can't be known without running the source; ``node`` is what stands in the way."""

    def __init__(self, node: ast.AST) -> None:
        super().__init__(ast.unparse(node)[:80])
        self.node = node


@dataclass(frozen=True, slots=True)
class Known:
    """A value, and the node that writes it; those of a mapping are `Known` in their turn."""

    value: Any
    node: ast.expr


Names = Mapping[str, Known]


class Module:
    """One source, whose names are looked up as they are at the line that has them."""

    def __init__(self, tree: ast.Module, path: Path | None = None) -> None:
        self.path = path
        self.functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        self.assigned: dict[str, list[ast.expr]] = {}
        self.imported: dict[str, tuple[str, str, int]] = {}
        self.stars: list[tuple[str, int]] = []
        self._constants: dict[str, Any] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self.assigned.setdefault(target.id, []).append(node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                if node.value is not None:
                    self.assigned.setdefault(node.target.id, []).append(node.value)
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    if name.name == "*":
                        self.stars.append((node.module or "", node.level))
                    where = node.module or "", name.name, node.level
                    self.imported[name.asname or name.name] = where

    def read(self, node: ast.expr, names: Names | None = None, depth: int = 0) -> Known:
        """The value of an expression.

        Raises:
            NotLiteral: it is none that can be read.
        """
        if depth > _MAX_DEPTH:
            raise NotLiteral(node)
        try:
            return self._read(node, names or {}, depth)
        except (TypeError, ValueError, ArithmeticError, KeyError, OverflowError):
            raise NotLiteral(node) from None

    def _read(self, node: ast.expr, names: Names, depth: int) -> Known:
        if isinstance(node, ast.Name):
            return self._named(node, names, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._called(node, node.func.id, names, depth)
        if isinstance(node, ast.IfExp):
            chosen = node.body if self.read(node.test, names, depth + 1).value else node.orelse
            return self.read(chosen, names, depth + 1)
        return Known(self._plain(node, names, depth), node)

    def _plain(self, node: ast.expr, names: Names, depth: int) -> Any:
        """The value of an expression that stands for itself."""

        def value(inner: ast.expr) -> Any:
            return self.read(inner, names, depth + 1).value

        found: Any = None
        if isinstance(node, ast.Constant):
            found = node.value
        elif isinstance(node, (ast.Tuple, ast.List)):
            found = tuple(map(value, node.elts))
        elif isinstance(node, ast.Dict):
            found = self._pairs(node.keys, node.values, names, depth)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            found = -value(node.operand)
        elif isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.FormattedValue) else p for p in node.values]
            found = "".join(str(value(part)) for part in parts)
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            left, right = value(node.left), value(node.right)
            numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
            repeated = isinstance(node.op, ast.Mult) and right in range(_MAX_TIMES)
            if not numbers and not repeated and not isinstance(node.op, ast.Add):
                raise NotLiteral(node)
            found = _OPERATIONS[type(node.op)](left, right)
        else:
            raise NotLiteral(node)
        return found

    def _named(self, node: ast.Name, names: Names, depth: int) -> Known:
        if node.id in names:
            return names[node.id]
        before = [e for e in self.assigned.get(node.id, ()) if e.lineno < node.lineno]
        if before:
            found = self.read(before[-1], None, depth + 1)
            return found if isinstance(found.value, dict) else Known(found.value, node)
        if node.id in self.imported:
            module, name = self._other(node)
            return Known(module.constant(name, depth + 1), node)
        raise NotLiteral(node)

    def constant(self, name: str, depth: int = 0) -> Any:
        """What a name of the module stands for in the end.

        Raises:
            NotLiteral: it is nothing that can be read.
        """
        if name not in self._constants:
            self._constants[name] = self._constant(name, depth)
        return self._constants[name]

    def _constant(self, name: str, depth: int) -> Any:
        if name in self.assigned:
            return self.read(self.assigned[name][-1], None, depth + 1).value
        node = ast.Name(name)
        if depth > _MAX_DEPTH:
            raise NotLiteral(node)
        if name in self.imported:
            module, other = self._other(node)
            return module.constant(other, depth + 1)
        for place, level in self.stars:
            with suppress(NotLiteral):
                return self._at(place, level, node).constant(name, depth + 1)
        raise NotLiteral(node)

    def _other(self, node: ast.Name) -> tuple[Module, str]:
        """The module that a name is imported from, and its name there."""
        place, name, level = self.imported[node.id]
        return self._at(place, level, node), name

    def _at(self, place: str, level: int, node: ast.Name) -> Module:
        folder = self.path
        if folder is None:
            raise NotLiteral(node)
        parts = place.split(".") if place else []
        for _ in range(level):
            folder = folder.parent
        if not level:  # of the same package, by its whole name
            above = [each for each in folder.parents if each.name == parts[0]]
            if not above:
                raise NotLiteral(node)
            folder, parts = above[-1], parts[1:]
        path = folder.joinpath(*parts)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        module = _module(path)
        if module is None:
            raise NotLiteral(node)
        return module

    def _pairs(
        self, keys: list[ast.expr | None], values: list[ast.expr], names: Names, depth: int
    ) -> dict[str, Known]:
        found: dict[str, Known] = {}
        for key, value in zip(keys, values, strict=True):
            known = self.read(value, names, depth + 1)
            if key is None:
                found |= known.value
            else:
                found[str(self.read(key, names, depth + 1).value)] = known
        return found

    def _called(self, node: ast.Call, name: str, names: Names, depth: int) -> Known:
        keywords = self._pairs(
            [None if k.arg is None else ast.Constant(k.arg) for k in node.keywords],
            [k.value for k in node.keywords],
            names,
            depth,
        )
        given = [self.read(each, names, depth + 1) for each in node.args]
        if name in ("dict", "OrderedDict"):
            return Known({**(given[0].value if given else {}), **keywords}, node)
        if name == "tuple" and len(given) == 1:
            return Known(tuple(given[0].value), node)
        function = self.functions.get(name)
        home = self
        if function is None and name in self.imported:
            home, other = self._other(ast.Name(name))
            function = home.functions.get(other)
        if function is None:
            raise NotLiteral(node)
        found = home.result(function, given, keywords, depth + 1)
        if home is not self and isinstance(found.value, dict):
            # What is written elsewhere has its place at the call.
            own = {id(known) for known in (*given, *keywords.values())}
            pairs = found.value.items()
            return Known({k: v if id(v) in own else Known(v.value, node) for k, v in pairs}, node)
        return found

    def result(
        self, function: ast.FunctionDef, given: list[Known], keywords: dict[str, Known], depth: int
    ) -> Known:
        """What a function returns that does no more than that."""
        arguments = function.args
        places = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        names = dict(zip(places, given, strict=False))
        if len(given) > len(places) or arguments.vararg is not None:
            raise NotLiteral(function)
        rest = dict(keywords)
        first = len(places) - len(arguments.defaults)
        usual = dict(zip(places[first:], arguments.defaults, strict=True))
        usual |= {
            a.arg: d
            for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if d is not None
        }
        for name in (*places, *(a.arg for a in arguments.kwonlyargs)):
            if name in rest:
                names[name] = rest.pop(name)
            elif name not in names:
                if name not in usual:
                    raise NotLiteral(function)
                names[name] = self.read(usual[name], None, depth + 1)
        if arguments.kwarg is not None:
            names[arguments.kwarg.arg] = Known(rest, ast.Constant(None))
        elif rest:
            raise NotLiteral(function)
        for statement in function.body:
            if isinstance(statement, ast.Return) and statement.value is not None:
                return self.read(statement.value, names, depth + 1)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                names[statement.targets[0].id] = self.read(statement.value, names, depth + 1)
            elif not (
                isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            ):
                raise NotLiteral(statement)
        raise NotLiteral(function)


@lru_cache(maxsize=64)
def _module(path: Path) -> Module | None:
    try:
        return Module(ast.parse(path.read_text("utf-8")), path)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
