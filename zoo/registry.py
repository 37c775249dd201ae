"""Model name -> the function that builds it.

A variant is declared once, by ``@register_model`` on its entry function in
``zoo/models/FAMILY.py``. The names are read from the sources and not from imported modules, because
a family imports torch, which costs seconds that listing and auditing should not pay.
"""

from __future__ import annotations

import ast
import fnmatch
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from zoo._util.text import nearest
from zoo.errors import DuplicateModelError, UnknownModelError

if TYPE_CHECKING:
    from torch import nn

    from zoo.models._base import ImageClassifier

_Entry = TypeVar("_Entry", bound=Callable[..., Any])
_IMAGENET_CLASSES = 1000


def register_model(entry: _Entry) -> _Entry:
    """Declare ``entry`` as the builder of the model that has its name.

    The function comes back unchanged: the mark is read in the source (see `Registry`), so nothing
    is kept here that could differ from it.
    """
    return entry


class Registry:
    """The models that the family modules of one package folder declare.

    Args:
        package: dotted name of the package that holds the families.
        folder: where its sources lie. A module whose name starts with ``_`` is no family: it holds
            layers that families share.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self._package = package
        self._folder = folder

    @cached_property
    def families(self) -> Mapping[str, str]:
        """Model name -> name of its family module, families in alphabetical order.

        Raises:
            DuplicateModelError: where a name is declared twice.
        """
        families: dict[str, str] = {}
        places: dict[str, str] = {}
        for stem, source in self._sources.items():
            if stem.startswith("_"):
                continue
            for function in _registered(ast.parse(source, filename=f"{stem}.py")):
                place = f"{stem}.py:{function.lineno}"
                if function.name in families:
                    raise DuplicateModelError(
                        f"model {function.name!r} is declared twice: "
                        f"at {places[function.name]} and at {place}"
                    )
                families[function.name] = stem
                places[function.name] = place
        return families

    @cached_property
    def _sources(self) -> Mapping[str, str]:
        return {
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted(self._folder.glob("*.py"))
        }

    def family(self, name: str) -> str:
        """The name of the module that declares the model.

        Raises:
            UnknownModelError: where none does.
        """
        try:
            return self.families[name]
        except KeyError:
            raise UnknownModelError(name, nearest(name, self.families)) from None

    def entry(self, name: str) -> Callable[..., ImageClassifier]:
        """The entry function of a model; imports its family, and no other."""
        module = import_module(f"{self._package}.{self.family(name)}")
        return cast("Callable[..., ImageClassifier]", getattr(module, name))

    def source(self, name: str) -> str:
        """All source text that decides what a model is: its family and the shared layers."""
        family = self.family(name)
        return "\n".join(
            text for stem, text in self._sources.items() if stem == family or stem.startswith("_")
        )


_REGISTRY = Registry("zoo.models", Path(__file__).with_name("models"))


def list_models(pattern: str = "*") -> list[str]:
    """The names of all models that match a shell pattern (``resnest50d*``), in sorted order."""
    return sorted(fnmatch.filter(_REGISTRY.families, pattern))


def is_model(name: str) -> bool:
    """Whether `create_model` can build a model of that name."""
    return name in _REGISTRY.families


def model_source(name: str) -> str:
    """The identity of a model's builder, for a cache: the text it is built from.

    It is the source of the family's module and of the layer modules that families share, read
    without importing them.

    Raises:
        UnknownModelError: if there is no model of that name.
    """
    return _REGISTRY.source(name)


def create_model(
    name: str,
    pretrained: bool = False,
    *,
    num_classes: int = _IMAGENET_CLASSES,
    in_chans: int = 3,
    drop_rate: float = 0.0,
    drop_block_rate: float = 0.0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> nn.Module:
    """Build a model.

    Args:
        name: one of `list_models`.
        pretrained: load the published ImageNet weights. With another ``num_classes`` the
            classifier keeps its random initialisation; the rest is loaded.
        num_classes: outputs of the classifier; 0 gives pooled features instead of logits.
        in_chans: channels of the input.
        drop_rate: probability of dropout before the classifier, while training.
        drop_block_rate: fraction that DropBlock drops, while training, in the stages of the
            family that have it.
        features_only: give a module that returns feature maps, finest first, in place of logits.
        out_indices: which entries of the model's ``feature_info`` to return, negative ones counted
            from the last; all of them by default. Only with ``features_only``.

    Returns:
        A module from images (batch, in_chans, height, width) to logits (batch, num_classes), or,
        with ``features_only``, to a list of maps (batch, channels, height / reduction,
        width / reduction), sizes rounded up.

    Raises:
        UnknownModelError: if there is no model of that name.
        TypeError: if a number of classes or channels is no whole number, or ``out_indices`` no
            sequence of them.
        ValueError: if an option is out of range, or options contradict each other.
    """
    build = _REGISTRY.entry(name)
    _check_options(num_classes, in_chans, drop_rate, drop_block_rate)
    if out_indices is not None:
        if not features_only:
            raise ValueError("out_indices chooses feature maps: it needs features_only=True")
        if not isinstance(out_indices, Iterable):
            raise TypeError(f"out_indices must be a list of whole numbers, not {out_indices!r}")
        out_indices = [_whole("each of out_indices", index) for index in out_indices]
    if pretrained and in_chans != 3:
        raise ValueError(f"the published weights take 3 channels, not in_chans={in_chans}")

    model = build(
        num_classes=_IMAGENET_CLASSES if pretrained else num_classes,
        in_chans=in_chans,
        drop_rate=drop_rate,
        drop_block_rate=drop_block_rate,
    )
    if pretrained:
        # Imported here because fetching needs libraries that building does not.
        from zoo.weights import load_pretrained

        load_pretrained(model, name)
        if num_classes != _IMAGENET_CLASSES:
            model.reset_classifier(num_classes)
    if not features_only:
        return model

    from zoo.models._base import FeatureExtractor

    return FeatureExtractor(model, out_indices)


def _check_options(
    num_classes: int, in_chans: int, drop_rate: float, drop_block_rate: float
) -> None:
    for option, count, least in (("num_classes", num_classes, 0), ("in_chans", in_chans, 1)):
        if _whole(option, count) < least:
            raise ValueError(f"{option} must be {least} or more, not {count}")
    for option, rate in (("drop_rate", drop_rate), ("drop_block_rate", drop_block_rate)):
        if not 0 <= rate < 1:
            raise ValueError(f"{option} must be from 0 to below 1, not {rate}")


def _whole(option: str, value: object) -> int:
    """A whole number of any type, NumPy's for example."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{option} must be a whole number, not {value!r}") from None


def _registered(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """The top-level functions that are decorated with ``@register_model``."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(
            isinstance(decorator, ast.Name) and decorator.id == register_model.__name__
            for decorator in node.decorator_list
        ):
            yield node
