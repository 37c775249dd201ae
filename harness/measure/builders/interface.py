"""What a builder is, and what it may tell beyond building."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import nn

    from harness.types import Size


class BuilderError(ValueError):
    """A builder can't be used; the message says why, and what would be right."""


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


@dataclass(frozen=True, slots=True)
class Settings:
    """How a builder's library prepares pictures for one set of weights; None is "not stated".

    Attributes:
        weights: the library's own name for the weights.
        image_size: (height, width) in pixels.
        crop_pct: the share of the resized picture's side that is cropped.
        interpolation: of the resize, as an index writes it.
        mean, std: per channel, of pictures from 0 to 1.
        num_classes: what the classifier of these weights tells apart.
    """

    weights: str
    image_size: Size | None = None
    crop_pct: float | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    num_classes: int | None = None


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a builder's library knows of preparing a variant's pictures.

    Attributes:
        chosen: how the weights were told: by their ``url``, by the variant's ``name``, or not at
            all, so that these are the ``default`` settings.
        settings: one entry per way that counts as right: several sets of weights can come from
            one file, and some are evaluated at a second size.
        others: where the weights could not be told, those of the model's other weights.
    """

    chosen: Literal["url", "name", "default"]
    settings: tuple[Settings, ...]
    others: tuple[Settings, ...] = ()


def preprocessing_of(builder: Builder, name: str, weights: str | None) -> Preprocessing | None:
    """What the builder knows of a variant's preprocessing, None where it knows nothing.

    A builder may have a method ``preprocessing(name, weights)`` that returns `Preprocessing` or
    None; ``weights`` is the URL that the index names.
    """
    tell = getattr(builder, "preprocessing", None)
    found = None if tell is None else tell(name, weights)
    if found is not None and not isinstance(found, Preprocessing):
        raise TypeError(f"preprocessing() returned {type(found).__name__}, not Preprocessing")
    return found


def resolved(builder: Builder, name: str) -> str:
    """The name under which the builder builds a variant: its own, unless it says another.

    A builder may have a method ``resolve(name)``, for the names that it maps to others.
    """
    resolve = getattr(builder, "resolve", None)
    return name if resolve is None else str(resolve(name))


def forms_of(builder: Builder, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
    """Other models that the name of a built model may mean, by what they are.

    A builder may have a method ``forms(name, model)``, which leaves the model as it is:
    ``deployed`` is the model with the branches that only training needs put together, ``auxiliary``
    the model with the classifiers that only training needs.
    """
    tell = getattr(builder, "forms", None)
    return {} if tell is None else dict(tell(name, model))
