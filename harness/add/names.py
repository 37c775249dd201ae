"""What a new variant may be called, and what its classes are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.add.entry import as_yaml
from harness.add.errors import NotAdded
from harness.add.facts import Facts, classes_of
from zoo._util.text import plural
from zoo.classnames import are_of_imagenet
from zoo.index.nodes import Unreadable
from zoo.index.readers import YamlReader
from zoo.index.source import Source
from zoo.index.structure import read_documents
from zoo.index.types import Collection, Variant
from zoo.variants import IMAGENET_CLASSES, class_count, class_names

_OF_GLOBS = "*?[]"


def objection(name: str) -> str:
    """Why a variant can't be called so, to follow the name; empty where it can."""
    if name.startswith("-"):
        return "begins with a dash, as options do"
    if any(character in name for character in _OF_GLOBS):
        return f"holds one of {' '.join(_OF_GLOBS)}, by which commands name several variants"
    text = f"Models:\n- Name: {as_yaml(name)}\n"
    try:
        contents = read_documents(Source("", text), YamlReader().read(text))
    except Unreadable:
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


def decided(
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
