"""Who builds a variant: a builder is found by name, here or through an entry point.

A third party adds one with an entry point in the group ``zoo.builders`` that names a class with
the methods of `Builder`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from torch import nn


class Builder(Protocol):
    """Builds variants by name. Only `build` may import torch."""

    def knows(self, name: str) -> bool:
        """Whether there is a variant of that name."""

    def names(self) -> list[str]:
        """All variants' names, for a message that names the nearest."""

    def identity(self, name: str) -> str:
        """A short text that changes whenever `build` could build something else."""

    def build(self, name: str) -> nn.Module:
        """The variant with its documented classifier and no weights."""


class NativeBuilder:
    """The models of `zoo` itself; their identity is the source text of their family."""

    def knows(self, name: str) -> bool:
        from zoo.registry import is_model

        return is_model(name)

    def names(self) -> list[str]:
        from zoo.registry import list_models

        return list_models()

    def identity(self, name: str) -> str:
        from zoo.registry import model_source

        return "source:" + hashlib.sha256(model_source(name).encode()).hexdigest()[:16]

    def build(self, name: str) -> nn.Module:
        from zoo.registry import create_model

        return create_model(name)


_BUILT_IN: dict[str, Callable[[], Builder]] = {"zoo": NativeBuilder}


def get_builder(name: str) -> Builder:
    """The builder of that name.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group="zoo.builders")}
    if name in found:
        return cast("Builder", found[name].load()())
    known = ", ".join(sorted({*_BUILT_IN, *found}))
    raise ValueError(f"no builder is called {name!r}; there are: {known}")
