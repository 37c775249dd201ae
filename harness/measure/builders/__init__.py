"""Builders: the protocol, the registry, and what the built-in ones share.

A third party adds one with an entry point in the group ``zoo.builders`` that names a class with
the methods of `Builder`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from torch import nn

    from harness.types import Recipe, Size

# Also in the package's metadata, for other programs. Reading the metadata of everything that is
# installed takes longer than a warm run.
_BUILT_IN: dict[str, str | Callable[[], Builder]] = {
    "zoo": "harness.measure.builders.native:NativeBuilder",
    "timm": "harness.measure.builders.timm:TimmBuilder",
    "torchvision": "harness.measure.builders.torchvision:TorchvisionBuilder",
    "mmpretrain": "harness.measure.builders.mmpretrain:MmpretrainBuilder",
}


class BuilderError(ValueError):
    """A builder can't be used; the message says why, and what would be right."""


class Builder(Protocol):
    """Builds variants by name. Only `build` may import torch.

    It may have a method ``identity(name)``: a short text that changes whenever `build` could build
    something else. By default that is a digest of its code, see `harness.run.builder_proxy`.
    It may have ``load()``, which imports its library where that changes the process for good.
    """

    def knows(self, name: str) -> bool:
        """Whether there is a variant of that name."""

    def names(self) -> list[str]:
        """All variants' names, for a message that names the nearest."""

    def build(self, name: str) -> nn.Module:
        """The variant with its documented classifier and no weights."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a builder comes from: the module of its entry point, and its distribution."""

    module: str
    distribution: Distribution | None


@dataclass(frozen=True, slots=True)
class PretrainedConfig:
    """How a library preprocesses images for one set of weights; None is "not stated".

    Attributes:
        weights: the library's own name for the weights.
        image_size: (height, width) in pixels.
        crop_pct: the share of the resized image's side that is cropped.
        interpolation: of the resize, as an index writes it.
        mean, std: per channel, of images from 0 to 1.
        num_classes: the classes of the weights' classifier.
        url: where the weights are as one file.
        crop_mode: see `zoo.preprocessing.Preprocessing`.
        license: of the weights, as SPDX writes it.
    """

    weights: str
    image_size: Size | None = None
    crop_pct: float | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    num_classes: int | None = None
    url: str | None = None
    crop_mode: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class StatedPreprocessing:
    """What a builder's library states of a variant's preprocessing.

    Attributes:
        chosen: how the weights were identified: by their ``url``, by the variant's ``name``, or
            not at all, so that these are the ``default`` settings.
        settings: one entry per way that counts as right: several sets of weights can come from
            one file, and some are evaluated at a second size.
        others: where the weights could not be identified, those of the model's other weights.
        owners: the names of other models' weights, whose file the library says the URL's is.
    """

    chosen: Literal["url", "name", "default"]
    settings: tuple[PretrainedConfig, ...]
    others: tuple[PretrainedConfig, ...] = ()
    owners: tuple[str, ...] = ()


def preprocessing_of(
    builder: Builder, name: str, weights: str | None
) -> StatedPreprocessing | None:
    """What the builder states of a variant's preprocessing, None where it states nothing.

    A builder may have a method ``preprocessing(name, weights)`` that returns `StatedPreprocessing`
    or None; ``weights`` is the URL that the index names.
    """
    method = getattr(builder, "preprocessing", None)
    found = None if method is None else method(name, weights)
    if found is not None and not isinstance(found, StatedPreprocessing):
        raise TypeError(f"preprocessing() returned {type(found).__name__}, not StatedPreprocessing")
    return found


def resolved(builder: Builder, name: str) -> str:
    """The name under which the builder builds a variant: its own, unless it maps it to another.

    A builder may have a method ``resolve(name)`` for such names.
    """
    resolve = getattr(builder, "resolve", None)
    return name if resolve is None else str(resolve(name))


def forms_of(builder: Builder, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
    """Other models that the name of a built model may mean, by what they are.

    A builder may have a method ``forms(name, model)``, which leaves the model as it is:
    ``auxiliary`` is the model with the classifiers that only training needs. The deployed form is
    made for every builder alike, see `harness.measure.meta.deployed_form`.
    """
    method = getattr(builder, "forms", None)
    return {} if method is None else dict(method(name, model))


class AdaptedBuilder:
    """Another builder, which also knows one recipe's name; see `Builder`.

    Args:
        builder: builds what the recipe's variant is made from, and all other variants.
        recipe: a variant with a ``base`` or a number of ``classes``.
    """

    def __init__(self, builder: Builder, recipe: Recipe) -> None:
        self._builder = builder
        self._recipe = recipe

    def knows(self, name: str) -> bool:
        return self._builder.knows(self._original(name))

    def names(self) -> list[str]:
        return self._builder.names()

    def resolve(self, name: str) -> str:
        return resolved(self._builder, self._original(name))

    def preprocessing(self, name: str, weights: str | None) -> StatedPreprocessing | None:
        return preprocessing_of(self._builder, self._original(name), weights)

    def build(self, name: str) -> nn.Module:
        model = self._builder.build(self._original(name))
        if not self._has_own_classes(name):
            return model
        # The method has this name in timm as well, and in what takes after it.
        reset = getattr(model, "reset_classifier", None)
        if reset is None and self._recipe.base is None:
            return model  # The builder knows the variant, and so its classes.
        if reset is None:
            raise BuilderError(
                f"{type(model).__name__} has no reset_classifier(), so that it can't be given "
                f"{self._recipe.classes} classes"
            )
        reset(self._recipe.classes)
        return model

    def forms(self, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
        # One that is built anew has the classifier of the other variant.
        if self._has_own_classes(name):
            return {}
        return forms_of(self._builder, self._original(name), model)

    def _has_own_classes(self, name: str) -> bool:
        return name == self._recipe.name and self._recipe.classes is not None

    def _original(self, name: str) -> str:
        return self._recipe.architecture if name == self._recipe.name else name


def built_in(name: str) -> bool:
    """Whether the builder is one of this package, and not another distribution's code."""
    return name in _BUILT_IN


def module_of(name: str) -> str | None:
    """The module of a builder of this package, None for another distribution's."""
    kind = _BUILT_IN.get(name)
    return kind.partition(":")[0] if isinstance(kind, str) else None


def others_with(name: str, builder: str) -> list[str]:
    """The other builders of this package that can be used here and have a variant of that name.

    They read that from files. Another distribution's would have to be loaded to be asked.
    """
    found = []
    for other in _BUILT_IN:
        if other != builder:
            with suppress(BuilderError):  # What it builds is not installed.
                found += [other] if get_builder(other).knows(name) else []
    return found


def builder_of(recipe: Recipe) -> Builder:
    """The builder of a recipe's variant, under the recipe's name.

    Raises:
        BuilderError: there is none, or it can't be used here.
    """
    builder = get_builder(recipe.builder)
    if recipe.base is None and recipe.classes is None:
        return builder
    return AdaptedBuilder(builder, recipe)


def get_builder(name: str) -> Builder:
    """The builder of that name.

    Raises:
        BuilderError: there is none, or it can't be used here; the message says what can be done.
    """
    if name in _BUILT_IN:
        kind = _BUILT_IN[name]
        if isinstance(kind, str):
            module, _, attribute = kind.partition(":")
            kind = cast("Callable[[], Builder]", getattr(import_module(module), attribute))
        return kind()
    found = _entries()
    if name in found:
        return cast("Builder", found[name].load()())
    raise BuilderError(f"no builder is called {name!r}; there are: {', '.join(builder_names())}")


def builder_names() -> list[str]:
    """The builders of this package and of those that are installed; none is imported."""
    return sorted({*_BUILT_IN, *_entries()})


def origin_of(name: str) -> Origin:
    """Where the entry point of another distribution's builder leads."""
    entry = _entries()[name]
    return Origin(entry.module, entry.dist)


def _entries() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group="zoo.builders")}


def version_of(distribution: str, advice: str) -> str:
    """The version of an installed library of models.

    Raises:
        BuilderError: it is not installed; the message ends in the advice.
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise BuilderError(f"{distribution} is not installed; {advice}") from None


def module_texts(package: str, folder: str) -> Iterator[str]:
    """The text of each module in one folder of a package, read without importing it.

    Importing a library of models imports torch, which takes seconds; its names are in its text.
    """
    spec = find_spec(package)  # finds the place of a top-level package, and imports nothing
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        for path in sorted(Path(place, folder).glob("*.py")):
            # What is no UTF-8 can't be imported either: building says so, in Python's own words.
            yield path.read_text(encoding="utf-8", errors="replace")
