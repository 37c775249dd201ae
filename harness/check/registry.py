"""All checks, in the order in which their findings are shown.

A third party adds one with an entry point in the group ``zoo.checks`` that names a
`VariantCheck` or an `IndexCheck`.
"""

from __future__ import annotations

from functools import cache

from harness.check import (
    accuracy,
    activations,
    flops,
    numbers,
    preprocess,
    schema,
    shared,
    size,
    weights,
    weights_name,
)
from harness.check.base import IndexCheck, VariantCheck

_BUILT_IN: tuple[VariantCheck | IndexCheck, ...] = (
    schema.CHECK,
    shared.URL_CHECK,
    shared.SIZE_CHECK,
    weights_name.CHECK,
    weights.NAME_CHECK,
    weights_name.INSECURE,
    numbers.PARAMETERS,
    numbers.LAYERS,
    flops.CHECK,
    activations.CHECK,
    preprocess.CHECK,
    size.CHECK,
    weights.CHECK,
    accuracy.CHECK,
)


@cache
def checks() -> tuple[VariantCheck | IndexCheck, ...]:
    """The built-in checks and those of installed packages."""
    from importlib.metadata import entry_points

    found = [entry.load() for entry in entry_points(group="zoo.checks")]
    return (*_BUILT_IN, *found)


def index_checks(groups: tuple[str, ...]) -> list[IndexCheck]:
    """The checks of these groups that read the index alone."""
    return [c for c in checks() if isinstance(c, IndexCheck) and c.group in groups]


def variant_checks(groups: tuple[str, ...]) -> list[VariantCheck]:
    """The checks of these groups that hold one variant against facts."""
    return [c for c in checks() if isinstance(c, VariantCheck) and c.group in groups]
