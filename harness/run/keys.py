"""Store keys: all that a measurement depends on; same key, same fact.

The key is made without importing torch: versions are read from package metadata, and builders
say who they are by their source text or their distribution's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from harness.measure.builders import module_of
from harness.run.builder_proxy import open_builder
from harness.run.closure import import_closure
from harness.types import Recipe, Size


def key_of(
    kind: str, recipe: Recipe, which: Size | str | None, depends: Sequence[str | int] = ()
) -> str:
    """The key of one fact: a digest of its kind, builder, variant, geometry and versions.

    Args:
        kind: of the fact.
        recipe: the variant; its builder, name, base and classes count: nothing else steers a build.
        which: the input geometry or the part, where one matters.
        depends: what else it depends on: of a checkpoint its path, size, modification time and
            inode; of an accuracy also the images, and how they are prepared and run.
    """
    parts: list[Any] = [
        kind,
        recipe.builder,
        recipe.name,
        identity_of(recipe.builder, recipe.architecture),
        which,
        list(depends),
        version_of("torch"),
        measuring_code(kind, recipe.builder),
    ]
    if recipe.base is not None or recipe.classes is not None:
        parts += [recipe.base, recipe.classes]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def identity_of(builder: str, name: str) -> str:
    """What a builder says of itself for one of its names, see `Builder.identity`."""
    return open_builder(builder).identity(name)


@cache
def version_of(distribution: str) -> str:
    """The version of an installed distribution, read from its metadata."""
    return version(distribution)


# Where the making of a kind of fact begins; all that is imported from there decides the fact.
_ENTRIES = {"speed": "harness.measure.speed"}
_ENTRY = "harness.measure.profile"
# What is imported there for one kind alone.
_ALONE = {
    "checkpoint": "harness.measure.checkpoint",
    "fvcore": "harness.measure.cross_check",
}
# A native model is known by its source text (see `zoo.registry.model_source`), and built with no
# weights.
_IDENTIFIED = ("zoo.models", "zoo.weights")
# An accuracy costs hours of a GPU, so a change of its modules counts only with its number: raise
# it when another count could come out.
_NUMBERED = {"accuracy": 3}


@cache
def measuring_code(kind: str, builder: str) -> str:
    """A digest of what measures that kind: a change in how is a change in what comes out."""
    if kind in _NUMBERED:
        return f"{kind} {_NUMBERED[kind]}"
    others = [module for other, module in _ALONE.items() if other != kind]
    sources = import_closure([_ENTRIES.get(kind, _ENTRY)], without=others)
    module = module_of(builder)
    if module is not None:
        sources |= import_closure([module], without=_IDENTIFIED)
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]
