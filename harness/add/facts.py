"""What can be measured of a checkpoint that nobody has documented yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.add.errors import NotAdded
from harness.check.flops import figure, recommended
from harness.measure.build import build_on_meta
from harness.measure.builders import BuilderError, builder_of, get_builder
from harness.measure.profile import USUAL_SIZE, Profiler
from harness.types import Measurement, Recipe, Size
from zoo._util.files import FileStat, file_stat, hash_file
from zoo.weights.checkpoint import Contents, read_checkpoint
from zoo.weights.locate import name_hash
from zoo.weights.match import Match, match, specs_of

# What `zoo train` leaves beside the states of a training.
_MODEL = "model.pth"
_STATE = "zoo_training"
# Groups of tensors that are named where a file does not fit: one line is to be read.
_GROUPS = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured.

    Attributes:
        recipe: how the variant is rebuilt: ``base``, and ``classes`` where they are not those that
            the architecture is published with, which are ImageNet's.
        parameters, flops: counts; ``flops`` under ``convention`` at ``image_size``.
        layers: where a rule counts them.
        outputs: how many classes the classifier has.
        size, sha256: of the file.
        stat: which file that was, on the disk.
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
    stat: FileStat
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
    before = _stat(path)
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
    # The link may lead to a file whose own name, which the entry has, says another hash.
    head = name_hash(os.path.basename(os.path.realpath(path)))
    if before != after or found["checkpoint"]["refused"] or not found["checkpoint"]["fits"]:
        raise _changed(path)
    if head is not None and not sha256.startswith(head):
        raise NotAdded(
            f"{path}: its name says that its SHA-256 begins with {head}, and it begins with "
            f"{sha256[: len(head)]}; rename the file"
        )
    # fvcore is the usual one, where it sees all of the model.
    chosen = convention or recommended(found["flops"], ("fvcore",))
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
        stat=after,
        notes=(*found["checkpoint"]["notes"], *_of_a_training(path, contents)),
    )


def check_unchanged(path: Path, facts: Facts) -> None:
    """Sees to it that a file is still the one that was measured.

    Raises:
        NotAdded: it is another one.
    """
    if _stat(path) != facts.stat:
        raise _changed(path)


def classes_of(number: int) -> str:
    """``1 class``, ``1,000 classes``."""
    return "1 class" if number == 1 else f"{number:,} classes"


def _stat(path: Path) -> FileStat:
    try:
        return file_stat(os.stat(path))
    except OSError as error:
        raise NotAdded(f"{path}: can't be read: {error.strerror or error}") from error


def _changed(path: Path) -> NotAdded:
    return NotAdded(f"{path}: it changed while it was measured; wait until nobody writes to it")


def _of_a_training(path: Path, contents: Contents) -> Iterator[str]:
    """What to know of a file that holds more of a training than the weights that are measured."""
    beside = path.with_name(_MODEL)
    is_state = any(extra.name == _STATE for extra in contents.extras) and beside.is_file()
    averages = [extra.name for extra in contents.extras if extra.kind == "ema" and extra.tensors]
    if averages:
        validated = f"; {beside} has the average, which is what was validated" if is_state else ""
        yield (
            f"it also holds a moving average of the weights ({averages[0]}), and what is measured "
            f"are the plain ones{validated}"
        )
    if is_state:
        yield f"it is the whole state of a training; the file to publish is {beside}"


def _fitted(path: Path, contents: Contents, base: Recipe, name: str) -> tuple[Recipe, int]:
    """The recipe whose tensors the file has, and the number of its outputs.

    Raises:
        NotAdded: there is none, which tensors differ is said.
    """
    recipe = replace(base, name=name, base=base.architecture, weights=None, classes=None)
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
    raise NotAdded(_why_not(path, contents, base, result))


def _why_not(path: Path, contents: Contents, base: Recipe, result: Match) -> str:
    """Whose checkpoint it is, where that is known; else what differs."""
    builder = get_builder(base.builder)
    others = []
    for name in builder.names():
        found = match(contents.tensors, specs_of(build_on_meta(builder, name)))
        if found.fits or found.other_classes is not None:
            others.append(name)
    if others:
        names = " or ".join(others)
        return f"{path}: it is no checkpoint of {base.name}, but of {names}: give that as --from"
    return f"{path}: it is no checkpoint of {base.name}: {'; '.join(result.lines(_GROUPS))}"
