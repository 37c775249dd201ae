"""Measure a checkpoint that is not documented yet, and name it and its classes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.check.flops import figure, recommended
from harness.edit.spelling import as_yaml
from harness.measure.builders import BuilderError, builder_of, get_builder
from harness.measure.meta import build_on_meta
from harness.measure.profile import USUAL_SIZE, Profiler
from harness.types import Measurement, Recipe, Size
from zoo._util.files import FileStat, file_stat, hash_file
from zoo._util.text import plural
from zoo.index.entries import read_documents
from zoo.index.nodes import UnreadableIndex
from zoo.index.readers import YamlReader
from zoo.index.types import Collection, SourceText, Variant
from zoo.labels import are_of_imagenet
from zoo.variants import IMAGENET_CLASSES, class_count, class_names
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint
from zoo.weights.match import Match, match, specs_of
from zoo.weights.sources import name_hash

# What `zoo train` leaves beside the states of a training.
_MODEL = "model.pth"
_STATE = "zoo_training"
# Groups of tensors that are named where a file does not fit: one line is to be read.
_GROUPS = 2
_OF_GLOBS = "*?[]"


class NotAdded(Exception):
    """A checkpoint that can't become an entry; one line says why, and what would be right."""


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
    """Measure a checkpoint as a variant of its own.

    Raises:
        NotAdded: the file is no checkpoint of that architecture, or not what its name says.
    """
    before = _stat(path)
    contents = read_checkpoint(path)
    if not isinstance(contents, CheckpointInfo):
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
    """Check that a file is still the one that was measured.

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
    return NotAdded(f"{path}: it changed while it was measured; wait until no process writes to it")


def _of_a_training(path: Path, contents: CheckpointInfo) -> Iterator[str]:
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


def _fitted(path: Path, contents: CheckpointInfo, base: Recipe, name: str) -> tuple[Recipe, int]:
    """The recipe whose tensors the file has, and the number of its outputs."""
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


def _why_not(path: Path, contents: CheckpointInfo, base: Recipe, result: Match) -> str:
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


def name_objection(name: str) -> str:
    """Why a variant can't be called so, to follow the name; empty where it can."""
    if name.startswith("-"):
        return "begins with a dash, as options do"
    if any(character in name for character in _OF_GLOBS):
        return f"holds one of {' '.join(_OF_GLOBS)}, by which commands name several variants"
    text = f"Models:\n- Name: {as_yaml(name)}\n"
    try:
        contents = read_documents(SourceText("", text), YamlReader().read(text))
    except UnreadableIndex:
        return "holds a character that no index can have"
    if contents.problems:
        return contents.problems[0].message
    if [variant.name for variant in contents.variants] != [name]:
        return "would be read as another one"
    return ""


def read_class_names(path: Path, outputs: int) -> tuple[str, ...]:
    """The classes that a file lists, one a line, in the order of the outputs.

    Raises:
        NotAdded: it can't be read, or does not name each of so many classes.
    """
    try:
        # As notepads save it: a mark at its beginning is no part of the first name.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise NotAdded(f"{path}: can't be read: {why}") from error
    names = tuple(text.removesuffix("\n").split("\n"))
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise NotAdded(f"{path}:{number}: the line is empty; write one line for each class")
        if not name.isprintable():
            raise NotAdded(f"{path}:{number}: the line holds a character that can't be shown")
    if len(names) != outputs:
        raise NotAdded(
            f"{path}: it has {plural(len(names), 'line')}, and the checkpoint tells "
            f"{classes_of(outputs)} apart; write one line for each"
        )
    if are_of_imagenet(names):  # Two pairs of which are called alike.
        return names
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if first.setdefault(name, number) != number:
            raise NotAdded(f"{path}:{number}: {name!r} is the class of line {first[name]} as well")
    return names


def settle_classes(
    facts: Facts, names: tuple[str, ...], origin: Variant, collection: Collection | None
) -> tuple[Facts, tuple[str, ...]]:
    """Whether the classes are ImageNet's or the checkpoint's own, and the names of its own.

    A thousand outputs are taken for ImageNet's classes unless something says otherwise: a list of
    other names, or the origin, whose classes are others.

    Args:
        facts: of the checkpoint, as of one with ImageNet's classes where it has a thousand.
        names: that a file gives, if any.
        origin: the variant whose architecture it has.
        collection: which the entry will belong to; what it says of classes would hold for it too.

    Raises:
        NotAdded: the collection, or the origin, speaks of other classes.
    """
    own = facts.outputs != IMAGENET_CLASSES or (bool(names) and not are_of_imagenet(names))
    if not own and not names and class_count(origin) in (None, IMAGENET_CLASSES):
        try:
            own = not are_of_imagenet(class_names(origin))
        except ValueError as error:
            raise NotAdded(f"--from: {error}") from error
    if own:
        facts = replace(facts, recipe=replace(facts.recipe, classes=facts.outputs))
    else:
        names = ()
    claim = None if collection is None else collection.claim("Class Names")
    if names or claim is None:
        return facts, names
    shared = claim.value if isinstance(claim.value, tuple) else ()
    if own and len(shared) == facts.outputs:
        return facts, tuple(map(str, shared))
    whose = f"its {classes_of(facts.outputs)}" if own else "ImageNet's"
    raise NotAdded(
        f"{claim.location}: this collection names {classes_of(len(shared))}, and the "
        f"checkpoint tells {whose} apart; name them with --class-names, or put the entry into "
        "another file"
    )
