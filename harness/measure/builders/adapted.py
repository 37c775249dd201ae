"""A variant with the architecture of another one of its builder, and a classifier of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.measure.builders.interface import (
    Builder,
    BuilderError,
    Preprocessing,
    forms_of,
    preprocessing_of,
    resolved,
)

if TYPE_CHECKING:
    from torch import nn

    from harness.types import Recipe


class AdaptedBuilder:
    """See `harness.measure.builders.Builder`: another builder, which also knows one recipe's name.

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

    def identity(self, name: str) -> str:
        return self._builder.identity(self._original(name))

    def resolve(self, name: str) -> str:
        return resolved(self._builder, self._original(name))

    def preprocessing(self, name: str, weights: str | None) -> Preprocessing | None:
        return preprocessing_of(self._builder, self._original(name), weights)

    def build(self, name: str) -> nn.Module:
        model = self._builder.build(self._original(name))
        if name != self._recipe.name or self._recipe.classes is None:
            return model
        # The method has this name in timm as well, and in what takes after it.
        reset = getattr(model, "reset_classifier", None)
        if reset is None:
            raise BuilderError(
                f"{type(model).__name__} has no reset_classifier(), so that it can't be given "
                f"{self._recipe.classes} classes"
            )
        reset(self._recipe.classes)
        return model

    def forms(self, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
        found = forms_of(self._builder, self._original(name), model)
        # One that is built anew has the classifier of the other variant.
        own = name != self._recipe.name or self._recipe.classes is None
        return found if own else {k: form for k, form in found.items() if k == "deployed"}

    def _original(self, name: str) -> str:
        return self._recipe.architecture if name == self._recipe.name else name
