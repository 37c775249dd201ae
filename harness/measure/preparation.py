"""How a recipe's pictures are prepared."""

from __future__ import annotations

from harness.types import Recipe
from zoo.preprocessing import Preprocessing


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """The evaluation transform of a recipe; what it does not state is the field's default.

    Raises:
        ValueError: a setting is out of range.
    """
    return Preprocessing.from_settings(
        image_size=recipe.image_size,
        crop_pct=recipe.crop_pct,
        interpolation=recipe.interpolation,
        mean=recipe.mean,
        std=recipe.std,
    )
