"""torchvision's own weights metadata, read from the source of the installed package.

Nothing is imported or executed: the classes of weights are parsed, so that every number keeps its
place in torchvision's source and no run waits for torch. Read are the image classifiers, the
modules of ``torchvision.models`` itself; its packages for detection, segmentation, video, optical
flow and quantised models (built for integer arithmetic that profiles don't know) are left out.

A variant is named as its builder and its weights are: ``resnet50.IMAGENET1K_V2``.

What the numbers mean, from torchvision's ``test/test_extended_models.py``: ``_ops`` is in
units of 10^9 and ``_file_size`` in units of 2^20 bytes, both rounded to three decimals.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from zoo._util.install import package_folder
from zoo.index.literals import ModelSource, PackageReader
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, UnreadableIndex, pair

NAME = "torchvision"
_PRESETS = ("transforms", "_presets.py")
_PRESET = "ImageClassification"
_DECIMALS = 3
Shared = dict[str, ast.expr]


def readers() -> list[tuple[str, TorchvisionReader]] | None:
    """The installed package's modules of models, sorted, each with its reader.

    None where it is not installed.
    """
    folder = package_folder(NAME)
    if folder is None:
        return None
    defaults = preset(folder)
    paths = sorted(path for path in (folder / "models").glob("*.py") if path.name[0] != "_")
    return [(os.fspath(path), TorchvisionReader(os.fspath(path), defaults)) for path in paths]


def preset(folder: Path) -> Shared:
    """What the classification transform of the package in that folder takes where none is given."""
    found: Shared = {}
    try:
        module = ast.parse(folder.joinpath(*_PRESETS).read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return found  # what is not written at the weights themselves is then absent
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and node.name == _PRESET:
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                    arguments = function.args
                    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
                    found |= {a.arg: value for a, value in pairs if value is not None}
    return found


class TorchvisionReader(PackageReader):
    """One module of torchvision's models as an index, with the defaults of its transforms."""

    def __init__(self, path: str, preset: Shared) -> None:
        self._family = Path(path).stem
        self._preset = preset

    def read(self, text: str) -> list[Node]:
        """The weights of one module's models as one document; empty where it has none.

        Raises:
            UnreadableIndex: the text is no Python.
        """
        try:
            module = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise UnreadableIndex(
                f"is no Python source: {error}", "reinstall torchvision"
            ) from None
        return _Module(self._family, text, module, self._preset).documents()


class _Module(ModelSource):
    """The weights of one module, which is their collection."""

    def __init__(self, family: str, text: str, module: ast.Module, preset: Shared) -> None:
        super().__init__(NAME, family, text)
        self.module = module
        self.preset = preset
        self.shared = dict(_assigned(module))

    def documents(self) -> list[Node]:
        builders = dict(self._builders())
        models: list[Node] = []
        for cls in self.module.body:
            if isinstance(cls, ast.ClassDef) and "WeightsEnum" in map(_name, cls.bases):
                for entry in cls.body:
                    if isinstance(entry, ast.Assign) and _is_call(entry.value, "Weights"):
                        models += self._model(entry, builders.get(cls.name, cls.name))
        if not models:
            return []
        return [Mapping(self.listed(models), 0, len(self.source.text))]

    def _builders(self) -> Iterator[tuple[str, str]]:
        """The class of weights -> the name that its model is registered under."""
        for function in self.module.body:
            if not isinstance(function, ast.FunctionDef):
                continue
            register = next(
                (d for d in function.decorator_list if _is_call(d, "register_model")), None
            )
            taken = next((a for a in function.args.kwonlyargs if a.arg == "weights"), None)
            if register is None or taken is None or taken.annotation is None:
                continue
            given = _keywords(register).get("name")
            name = given.value if isinstance(given, ast.Constant) else function.name
            for node in ast.walk(taken.annotation):
                if isinstance(node, ast.Name) and node.id.endswith("_Weights"):
                    yield node.id, str(name)

    def _model(self, entry: ast.Assign, builder: str) -> list[Node]:
        (target,) = entry.targets
        given = _keywords(entry.value)
        meta = _items(given.get("meta"), self.shared)
        transforms = given.get("transforms")
        start = self.span(target)[0]
        flops = self._count("FLOPs", meta.get("_ops"), "G")
        metadata = [
            *self._count("Parameters", meta.get("num_params"), ""),
            *flops,
            *self._count("File Size", meta.get("_file_size"), " MiB"),
        ]
        if flops:
            at = self.span(meta["_ops"])[0]
            metadata.append(pair("FLOPs Convention", Scalar(NAME, True, at, at), at))
        if transforms is not None and _is_preset(transforms):
            metadata += self._preprocessing(transforms)
        pairs = self.entry(f"{builder}.{_name(target)}", target, metadata)
        if isinstance(url := given.get("url"), ast.Constant) and isinstance(url.value, str):
            first, last = self.span(url)
            pairs.append(pair("Weights", Scalar(url.value, True, first, last), first))
        pairs.append(pair("Results", self._results(meta.get("_metrics"), start), start))
        return [Mapping(pairs, start, self.span(entry)[1])]

    def _count(self, key: str, node: ast.expr | None, unit: str) -> list[tuple[Node, Node]]:
        if not isinstance(node, ast.Constant) or isinstance(node.value, (bool, str)):
            return []
        start, end = self.span(node)
        written = self.source.text[start:end]
        text = _padded(written) if unit else written
        return [pair(key, Scalar(text + unit, False, start, end, None, written), start)]

    def _preprocessing(self, call: ast.expr) -> list[tuple[Node, Node]]:
        given = {**self.preset, **_keywords(call)}
        own = _keywords(call)
        whole = self.span(call)

        def place(*names: str) -> tuple[int, int]:
            """Where the first of these is written; the call itself where all are defaults."""
            return next((self.span(own[name]) for name in names if name in own), whole)

        pairs: list[tuple[Node, Node]] = []
        crop, resize = _number(given.get("crop_size")), _number(given.get("resize_size"))
        if crop is not None:
            start, end = place("crop_size")
            pairs.append(pair("Image Size", Scalar(crop, False, start, end), start))
        if crop is not None and resize is not None:
            start, end = place("resize_size")
            pairs.append(pair("Crop Pct", Scalar(f"{crop}/{resize}", False, start, end), start))
        mode = given.get("interpolation")
        if isinstance(mode, ast.Attribute):
            start, end = place("interpolation")
            word = mode.attr.lower().replace("_", "-")
            pairs.append(pair("Interpolation", Scalar(word, True, start, end), start))
        for key, name in (("Mean", "mean"), ("Std", "std")):
            values = given.get(name)
            if isinstance(values, (ast.Tuple, ast.List)):
                start, end = place(name)
                numbers = [_number(value) for value in values.elts]
                items: list[Node] = [Scalar(n, False, start, end) for n in numbers if n is not None]
                if len(items) == len(numbers):
                    pairs.append(pair(key, Sequence(items, start, end), start))
        return pairs

    def _results(self, metrics: ast.expr | None, at: int) -> Node:
        results: list[Node] = []
        for dataset, values in _items(metrics, self.shared).items():
            found: list[tuple[Node, Node]] = []
            for name, value in _items(values, self.shared).items():
                if _number(value) is None:
                    continue  # float("nan"): nothing was measured
                start, end = self.span(value)
                found.append(
                    pair(name, Scalar(self.source.text[start:end], False, start, end), start)
                )
            start = self.span(values)[0]
            about = [("Task", "Image Classification"), ("Dataset", dataset)]
            pairs = [pair(key, Scalar(text, True, start, start), start) for key, text in about]
            pairs.append(pair("Metrics", Mapping(found, start, start), start))
            results.append(Mapping(pairs, start, start))
        return Sequence(results, at, at)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_call(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) == name


def _is_preset(node: ast.expr) -> bool:
    """Whether a transform is ``partial(ImageClassification, ...)``."""
    return (
        isinstance(node, ast.Call)
        and _name(node.func) == "partial"
        and len(node.args) == 1
        and _name(node.args[0]) == _PRESET
    )


def _keywords(call: ast.expr) -> dict[str, ast.expr]:
    return {k.arg: k.value for k in call.keywords if k.arg} if isinstance(call, ast.Call) else {}


def _assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """What the module's names stand for, such as the metadata that several weights share."""
    for statement in module.body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield _name(statement.target), statement.value
        elif isinstance(statement, ast.Assign):
            yield from ((_name(target), statement.value) for target in statement.targets)


def _items(
    node: ast.expr | None, shared: Shared, seen: frozenset[str] = frozenset()
) -> dict[str, ast.expr]:
    """The pairs of a dict display whose keys are texts, with those of shared ones it unpacks."""
    found: dict[str, ast.expr] = {}
    if not isinstance(node, ast.Dict):
        return found
    for key, value in zip(node.keys, node.values, strict=True):
        name = _name(value)
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[key.value] = value
        elif key is None and name in shared and name not in seen:
            found |= _items(shared[name], shared, seen | {name})
    return found


def _number(node: ast.expr | None) -> str | None:
    """A number as text: a literal, or a quotient of two; None for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return repr(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        top, bottom = _number(node.left), _number(node.right)
        if top is not None and bottom is not None and float(bottom):
            return repr(float(top) / float(bottom))
    return None


def _padded(written: str) -> str:
    """A number that was rounded to three decimals with the zeros that its literal left out."""
    whole, point, decimals = written.partition(".")
    if not (whole + decimals).isdigit():
        return written
    return f"{whole}.{decimals.ljust(_DECIMALS, '0')}" if point else f"{whole}.{'0' * _DECIMALS}"
