"""All checks, in the order in which their findings are shown.

A third party adds one with an entry point in the group ``zoo.checks`` that names a
`VariantCheck` or an `IndexCheck`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from harness.check import (
    accuracy,
    activations,
    flops,
    interface,
    license,
    links,
    numbers,
    paired,
    preprocess,
    schema,
    shared,
    size,
    speed,
    weights,
    weights_name,
)
from harness.check.base import IndexCheck, VariantCheck
from harness.types import Fact, Finding, Slot
from zoo.index.types import Index, Variant

_BUILT_IN: tuple[VariantCheck | IndexCheck, ...] = (
    schema.CHECK,
    license.CHECK,
    license.OF_BUILDER,
    links.CHECK,
    shared.URL_CHECK,
    shared.SIZE_CHECK,
    interface.SHARED,
    weights_name.CHECK,
    weights_name.HASH,
    weights_name.INSECURE,
    numbers.PARAMETERS,
    numbers.LAYERS,
    flops.CHECK,
    activations.CHECK,
    interface.CHECK,
    preprocess.CHECK,
    size.CHECK,
    weights.CHECK,
    accuracy.CHECK,
    paired.CHECK,
    speed.CHECK,
)


@cache
def checks() -> tuple[VariantCheck | IndexCheck, ...]:
    """The built-in checks and those of installed packages."""
    from importlib.metadata import entry_points

    found = [entry.load() for entry in entry_points(group="zoo.checks")]
    return (*_BUILT_IN, *found)


def findings_of_index(
    groups: tuple[str, ...],
    index: Index,
    variants: Sequence[Variant],
    facts: Mapping[int, Mapping[Slot, Fact]] | None = None,
) -> list[Finding]:
    """What an index says of itself, held against what was measured where that helps."""
    findings: list[Finding] = []
    for check in checks():
        if not isinstance(check, IndexCheck) or check.group not in groups:
            continue
        if facts is None or check.find_measured is None:
            findings += check.find(index, variants)
        else:
            findings += check.find_measured(index, variants, facts)
    if "metadata" not in groups:
        findings += schema.find_in_fields_of(groups, index, variants)
    return findings


def variant_checks(groups: tuple[str, ...]) -> list[VariantCheck]:
    """The checks of these groups that hold one variant against facts."""
    return [c for c in checks() if isinstance(c, VariantCheck) and c.group in groups]
