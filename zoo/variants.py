"""Models as an index describes them: an entry's architecture, its classes and its own weights.

`zoo.create_model` knows the models of this package by name. An entry of another index may be a
model of a name of its own, ``Base`` saying whose architecture it has and ``Classes`` how many
classes it tells apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo.index.types import unusable

if TYPE_CHECKING:
    from zoo.index.types import Variant
    from zoo.models._base import ImageClassifier

IMAGENET_CLASSES = 1000


def base_name(variant: Variant) -> str:
    """The model whose architecture a variant has: its ``Base``, else the one of its name."""
    claim = variant.claim("Base")
    return claim.value if claim is not None and isinstance(claim.value, str) else variant.name


def class_count(variant: Variant) -> int | None:
    """How many classes an entry says that its variant tells apart; None where it says nothing."""
    claim = variant.effective("Classes")
    return claim.value if claim is not None and isinstance(claim.value, int) else None


def class_names(variant: Variant) -> tuple[str, ...]:
    """The names of a variant's classes, in the order of its outputs.

    They are its ``Class Names``. Without them a thousand classes are ImageNet's, and others are
    numbered.

    Raises:
        ValueError: what the entry says of its classes can't be used, or is not of as many as the
            model tells apart; the text begins with the place.
    """
    count = _outputs(variant)
    claim = variant.effective("Class Names")
    if claim is not None:
        if not isinstance(claim.value, tuple):
            raise unusable(claim)
        if len(claim.value) != count:
            raise ValueError(
                f"{claim.location}: Class Names has {len(claim.value):,} names, and the model "
                f"tells {count:,} classes apart; name each of them, or correct Classes"
            )
        return tuple(map(str, claim.value))
    if count == IMAGENET_CLASSES:
        from zoo.labels import imagenet_categories

        return imagenet_categories()
    return tuple(f"class {index}" for index in range(count))


def _outputs(variant: Variant) -> int:
    """How many classes a variant tells apart: ImageNet's where its entry says nothing.

    Raises:
        ValueError: the entry says something else than a number.
    """
    claim = variant.effective("Classes")
    count = class_count(variant)
    if claim is not None and count is None:
        raise unusable(claim)
    return count or IMAGENET_CLASSES


def create_variant(
    variant: Variant,
    num_classes: int | None = None,
    *,
    drop_rate: float = 0.0,
    drop_block_rate: float = 0.0,
) -> ImageClassifier:
    """Build a variant with random weights.

    Args:
        variant: an entry of any index.
        num_classes: outputs of the classifier; by default the variant's own.
        drop_rate: probability of dropout before the classifier, while training.
        drop_block_rate: fraction that DropBlock drops, while training, where the family has it.

    Raises:
        UnknownModelError: this package has no such architecture.
        ValueError: options are out of range, or the entry's Classes is no number.
    """
    from zoo.registry import create_model

    if num_classes is None:
        num_classes = _outputs(variant)
    model = create_model(
        base_name(variant),
        num_classes=num_classes,
        drop_rate=drop_rate,
        drop_block_rate=drop_block_rate,
    )
    return cast("ImageClassifier", model)


def load_variant(
    variant: Variant,
    checkpoint: Path | None = None,
    *,
    num_classes: int | None = None,
) -> ImageClassifier:
    """Build a variant and load its weights, fetched and verified.

    Args:
        variant: an entry of any index.
        checkpoint: its weights, as `zoo.weights.variant_weights` gives them; None calls that.
        num_classes: 0 gives pooled features instead of logits; another number a new classifier.

    Raises:
        UnknownModelError: this package has no such architecture.
        WeightsError: the weights can't be had.
        zoo.errors.CheckpointError: the file is not what it should be.
        ValueError: the entry's Classes is no number.
    """
    import torch

    from zoo.weights import variant_weights
    from zoo.weights.load import load_into

    with torch.device("meta"):  # Random weights would take as long as all the rest.
        model = create_variant(variant)
    load_into(model, checkpoint or variant_weights(variant))
    if num_classes is not None and num_classes != model.num_classes:
        model.reset_classifier(num_classes)
    return model


def categories(name: str) -> tuple[str, ...]:
    """The names of the classes that a model tells apart: one per output, in its order.

    Args:
        name: a model of the index that ships with this package; all of them classify ImageNet.

    Raises:
        UnknownModelError: if the index has no model of that name.
    """
    from zoo.labels import imagenet_categories
    from zoo.preprocessing import package_variant

    package_variant(name)
    return imagenet_categories()
