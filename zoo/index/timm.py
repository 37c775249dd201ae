"""timm's pretrained configurations, read from the source of the installed package.

Nothing is imported or executed: each module of ``timm.models`` is parsed, and what it hands to
``generate_default_cfgs`` is read with the small functions that it is written with
(`zoo.index.literals`). A variant is named as timm names its weights: ``resnet50.a1_in1k``. What is
made by a loop as timm is imported is not read, and a note says where that is.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo._util.install import package_folder
from zoo.index.literals import Known, ModelSource, Module, NotLiteral, PackageReader
from zoo.index.nodes import Mapping as Pairs
from zoo.index.nodes import Node, Scalar, Sequence, TableDocument, UnreadableIndex, pair
from zoo.index.values import Wrong

NAME = "timm"
_ENTRIES = "generate_default_cfgs"
_BLOCK = re.compile(r"^(?:@[^\n]*\n)*class |^@register_model", re.M)
_NEXT = re.compile(r"^(?:[^\s#@)\]}\"']|@)", re.M)
# What ``PretrainedCfg`` has where an entry says nothing, see ``timm/models/_pretrained.py``.
_CLASS = "PretrainedCfg"
_SIDES = {
    "input_size": "Image Size",
    "test_input_size": "Test Image Size",
    "min_input_size": "Min Image Size",
    "pool_size": "Pool Size",
    "test_pool_size": "Test Pool Size",
}
_NUMBERS = {"crop_pct": "Crop Pct", "test_crop_pct": "Test Crop Pct", "num_classes": "Outputs"}
_WORDS = {"interpolation": "Interpolation", "crop_mode": "Crop Mode", "license": "License"}
_PARTS = {"first_conv": "First Conv", "classifier": "Classifier"}
_CHANNELS = {"mean": "Mean", "std": "Std"}


def readers() -> list[tuple[str, TimmReader]] | None:
    """The installed package's modules of models, sorted, each with its reader; None without it."""
    package = package_folder(NAME)
    if package is None:
        return None
    folder = package / "models"
    usual = _usual(folder / "_pretrained.py")
    paths = sorted(path for path in folder.glob("*.py") if path.name[0] != "_")
    return [(os.fspath(path), TimmReader(path, usual)) for path in paths]


def _usual(path: Path) -> dict[str, Any]:
    """The defaults of a configuration's fields, as the class that holds them says."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}
    module, found = Module(tree, path), {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == _CLASS:
            for line in node.body:
                if not isinstance(line, ast.AnnAssign) or line.value is None:
                    continue
                if isinstance(line.target, ast.Name):
                    found[line.target.id] = module.read(line.value).value
    return found


class TimmReader(PackageReader):
    """One module of timm's models as an index."""

    def __init__(self, path: Path, usual: dict[str, Any]) -> None:
        self._path, self._usual = path, usual

    def read(self, text: str) -> list[Node]:
        """The configurations of one module as one document; empty where it has none.

        Raises:
            UnreadableIndex: the text is no Python.
        """
        if f"{_ENTRIES}(" not in text:
            return []
        tree = _parsed(_without_models(text)) or _parsed(text)
        if tree is None:
            raise UnreadableIndex("is no Python source", "reinstall timm")
        return _Configurations(self._path, text, tree, self._usual).documents()


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _without_models(text: str) -> str:
    """The source with the classes and the functions that build models blanked: they are long."""
    parts: list[str] = []
    position = 0
    while found := _BLOCK.search(text, position):
        is_class = found[0].endswith("class ")
        line = text.find("\n", found.end() if is_class else found.start())
        after = _NEXT.search(text, line + 1) if line >= 0 else None
        while after is not None and not is_class and text.startswith("@", after.start()):
            after = _NEXT.search(text, after.end())
        if after is not None and not is_class:  # the function below its decorators
            after = _NEXT.search(text, after.end())
        end = len(text) if after is None else after.start()
        parts += text[position : found.start()], re.sub(r"[^\n]", "", text[found.start() : end])
        position = end
    return "".join([*parts, text[position:]])


class _Configurations(ModelSource):
    """The configurations of one module, which is their collection."""

    def __init__(self, path: Path, text: str, tree: ast.Module, usual: dict[str, Any]) -> None:
        super().__init__(NAME, path.stem, text)
        self.tree, self.usual = tree, usual
        self.module = Module(tree, path)
        self.faults: list[tuple[str | None, str, Wrong]] = []

    def documents(self) -> list[Node]:
        models = [self._model(name, key, cfg) for name, key, cfg in self._entries()]
        if not models and not self.faults:
            return []
        end = len(self.source.text)
        return [TableDocument(self.listed(models), 0, end, faults=tuple(self.faults))]

    def _entries(self) -> Iterator[tuple[str, ast.expr, dict[str, Known]]]:
        """Each name of weights, where it is written, and what is configured for it."""
        for statement in self.tree.body:
            for call in ast.walk(statement) if isinstance(statement, ast.Assign) else ():
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                    continue
                if call.func.id == _ENTRIES and len(call.args) == 1:
                    yield from self._given(call.args[0], call.lineno)

    def _given(
        self, given: ast.expr, line: int
    ) -> Iterator[tuple[str, ast.expr, dict[str, Known]]]:
        if isinstance(given, ast.Name):
            self._added_to(given.id)
            assigned = self.module.assigned.get(given.id, [])
            given = next((e for e in reversed(assigned) if e.lineno < line), given)
        if not isinstance(given, ast.Dict):
            self._unread(given, "these configurations are made as timm is imported")
            return
        for key, value in zip(given.keys, given.values, strict=True):
            try:
                name = "" if key is None else str(self.module.read(key).value)
                cfg = self.module.read(value).value
                pairs = {name: Known(cfg, value)} if key is not None else cfg
                for each, known in pairs.items():
                    yield each.replace("*", ""), key or known.node, dict(known.value)
            except (NotLiteral, TypeError, ValueError) as error:
                self._unread(key or value, f"this configuration is no literal: {error}")

    def _added_to(self, name: str) -> None:
        for statement in self.tree.body:
            for node in ast.walk(statement) if isinstance(statement, (ast.For, ast.If)) else ():
                if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Store):
                    continue
                if isinstance(node.value, ast.Name) and node.value.id == name:
                    self._unread(node, "further configurations are made here by a loop")

    def _unread(self, node: ast.expr, what: str) -> None:
        remedy = "they are not verified here; verify them by an index of your own"
        at = Scalar(ast.unparse(node)[:60], True, *self.span(node))
        self.faults.append((None, self._family, Wrong("schema.not-literal", what, remedy, at)))

    def _model(self, name: str, key: ast.expr, cfg: dict[str, Known]) -> Node:
        metadata: list[tuple[Node, Node]] = []
        said = {**{k: Known(v, key) for k, v in self.usual.items()}, **cfg}
        for field, known in said.items():
            metadata += self._pairs(field, known)
        pairs = [*self.entry(name, key, metadata), *self._weights(name, said)]
        return Pairs(pairs, *self.span(key))

    def _pairs(self, field: str, known: Known) -> Iterator[tuple[Node, Node]]:
        value, at = known.value, self.span(known.node)
        if value is None or value == "":
            return
        numbers = isinstance(value, tuple) and all(isinstance(n, (int, float)) for n in value)
        if field in _SIDES and numbers:
            yield pair(_SIDES[field], self._listed(value, at), at[0])
            if field == "input_size" and len(value) == 3:
                yield pair("Channels", Scalar(str(value[0]), False, *at), at[0])
        elif field in _CHANNELS and numbers:
            yield pair(_CHANNELS[field], self._listed(value, at), at[0])
        elif field in _NUMBERS and isinstance(value, (int, float)) and value is not True:
            written = self.source.text[at[0] : at[1]]
            said = Scalar(repr(value), False, *at, written=written)
            yield pair(_NUMBERS[field], said, at[0])
        elif field in _WORDS and isinstance(value, str):
            yield pair(_WORDS[field], Scalar(value, True, *at), at[0])
        elif field in _PARTS and isinstance(value, (str, tuple)) and value:
            names = (value,) if isinstance(value, str) else value
            items: list[Node] = [Scalar(str(each), True, *at) for each in names]
            yield pair(_PARTS[field], Sequence(items, *at), at[0])
        elif field == "fixed_input_size" and value is not None:
            yield pair("Sizes", Scalar("fixed" if value else "any", True, *at), at[0])

    def _listed(self, values: tuple[float, ...], at: tuple[int, int]) -> Node:
        return Sequence([Scalar(repr(value), False, *at) for value in values], *at)

    def _weights(self, name: str, said: dict[str, Known]) -> Iterator[tuple[Node, Node]]:
        """The file, or the Hub's repository, which timm takes first."""
        hub, url = said.get("hf_hub_id"), said.get("url")
        if hub is not None and isinstance(hub.value, str) and hub.value:
            at = self.span(hub.node)
            own = hub.value + name if hub.value.endswith("/") else hub.value
            file = said.get("hf_hub_filename")
            if file is not None and file.value:
                own += f"/{file.value}"
            yield pair("Hub", Scalar(own, True, *at), at[0])
        if url is not None and isinstance(url.value, str) and url.value:
            at = self.span(url.node)
            yield pair("Weights", Scalar(url.value, True, *at), at[0])
