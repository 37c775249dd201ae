"""Who builds a variant: a builder is found by name, here or through an entry point.

A third party adds one with an entry point in the group ``zoo.builders`` that names a class with
the methods of `Builder`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from harness.measure.builders.adapted import AdaptedBuilder
from harness.measure.builders.interface import (
    Builder,
    BuilderError,
    Preprocessing,
    Settings,
    preprocessing_of,
    resolved,
)

if TYPE_CHECKING:
    from harness.types import Recipe

__all__ = [
    "Builder",
    "BuilderError",
    "Preprocessing",
    "Settings",
    "builder_of",
    "built_in",
    "get_builder",
    "module_of",
    "preprocessing_of",
    "resolved",
]

# The package's own metadata names the same ones for other programs. Here they are found without
# it: reading the metadata of all that is installed takes longer than a warm run.
_BUILT_IN: dict[str, str | Callable[[], Builder]] = {
    "zoo": "harness.measure.builders.native:NativeBuilder",
    "timm": "harness.measure.builders.timm:TimmBuilder",
    "torchvision": "harness.measure.builders.torchvision:TorchvisionBuilder",
}


def built_in(name: str) -> bool:
    """Whether the builder is one of this package, and not another distribution's code."""
    return name in _BUILT_IN


def module_of(name: str) -> str | None:
    """The module of a builder of this package, None for another distribution's."""
    kind = _BUILT_IN.get(name)
    return kind.partition(":")[0] if isinstance(kind, str) else None


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
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group="zoo.builders")}
    if name in found:
        return cast("Builder", found[name].load()())
    known = ", ".join(sorted({*_BUILT_IN, *found}))
    raise BuilderError(f"no builder is called {name!r}; there are: {known}")
