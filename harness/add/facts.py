"""What can be measured of a checkpoint that nobody has documented yet."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from harness.add.errors import NotAdded
from harness.check.flops import figure
from harness.measure.build import build_on_meta
from harness.measure.builders import BuilderError, builder_of
from harness.measure.profile import USUAL_SIZE, Profiler
from harness.types import Measurement, Recipe, Size
from zoo.weights.checkpoint import Contents, read_checkpoint
from zoo.weights.disk import file_stat, hash_file
from zoo.weights.locate import name_hash
from zoo.weights.match import match, specs_of

USUAL_CONVENTION = "fvcore"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured.

    Attributes:
        recipe: how the variant is rebuilt: ``base``, and ``classes`` where the file's classifier
            tells apart another number than the architecture's own.
        parameters, flops: counts; ``flops`` under ``convention`` at ``image_size``.
        layers: where a rule counts them.
        outputs: how many classes the classifier has.
        size, sha256: of the file.
        notes: what is unusual about the file.
    """

    recipe: Recipe
    parameters: int
    flops: int
    convention: str
    image_size: Size
    layers: int | None
    outputs: int
    size: int
    sha256: str
    notes: tuple[str, ...] = ()


def measure(path: Path, base: Recipe, name: str, convention: str | None = None) -> Facts:
    """Measures a checkpoint as a variant of its own.

    Args:
        path: the file; nothing in it is executed.
        base: the variant whose architecture it has, but for the number of classes.
        name: what the new variant is called.
        convention: which FLOPs to count.

    Raises:
        NotAdded: the file is no checkpoint of that architecture, or not what its name says.
    """
    try:
        before = file_stat(os.stat(path))
    except OSError as error:
        raise NotAdded(f"{path}: can't be read: {error.strerror or error}") from error
    contents = read_checkpoint(path)
    if not isinstance(contents, Contents):
        raise NotAdded(f"{path}: {contents}")
    recipe, outputs = _fitted(path, contents, base, name)
    size = base.image_size or USUAL_SIZE
    recipe = replace(recipe, image_size=size)
    found = {}
    kinds = ("structure", "checkpoint", "flops")
    for fact in Profiler().measure(recipe, kinds, (size,), str(path)):
        if not isinstance(fact, Measurement):
            raise NotAdded(f"{path}: {fact.why}")
        found[fact.kind] = fact.value
    try:
        sha256, after = hash_file(path)
    except OSError as error:
        raise NotAdded(f"{path}: can't be read: {error.strerror or error}") from error
    if before != after or found["checkpoint"]["refused"] or not found["checkpoint"]["fits"]:
        raise NotAdded(f"{path}: it changed while it was read; wait until it is whole")
    head = name_hash(path.name)
    if head is not None and not sha256.startswith(head):
        raise NotAdded(
            f"{path}: its name says that its SHA-256 begins with {head}, and it begins with "
            f"{sha256[: len(head)]}; rename the file"
        )
    chosen = convention or USUAL_CONVENTION
    return Facts(
        recipe=recipe,
        parameters=found["structure"]["parameters"],
        flops=int(figure(found["flops"], chosen)),
        convention=chosen,
        image_size=size,
        layers=found["structure"]["layers"],
        outputs=outputs,
        size=after[0],
        sha256=sha256,
        notes=tuple(found["checkpoint"]["notes"]),
    )


def _fitted(path: Path, contents: Contents, base: Recipe, name: str) -> tuple[Recipe, int]:
    """The recipe whose tensors the file has, and the number of its outputs.

    Raises:
        NotAdded: there is none, which tensors differ is said.
    """
    recipe = replace(base, name=name, base=base.architecture, weights=None)
    for _ in range(2):
        try:
            model = build_on_meta(builder_of(recipe), name)
        except BuilderError as error:
            raise NotAdded(str(error)) from error
        result = match(contents.tensors, specs_of(model))
        if result.fits:
            return recipe, int(getattr(model, "num_classes", 0))
        if result.other_classes is None:
            break
        recipe = replace(recipe, classes=result.other_classes[1])
    differs = "; ".join(result.lines())
    raise NotAdded(f"{path}: it is no checkpoint of {base.name}: {differs}")
