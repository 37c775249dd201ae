"""`zoo add`."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import interrupts
from harness.cli.options import command, say_interrupted
from harness.cli.output import WARNING, Failure, emit, say
from harness.config import RunConfig, UsageError
from zoo._util.text import foreign, plural

if TYPE_CHECKING:
    from harness.edit.add_insert import AddTarget
    from harness.edit.add_measure import Accuracy, Facts, LabelledImages
    from harness.types import Recipe

_REMOTE = re.compile(r"(?i)[a-z][a-z0-9+.-]+:/")
_DEFAULT_INDEX = "model-index.yml"
_CLASSES = "classes.txt"
_CONVENTIONS = ("macs", "flops", "fvcore")
_SHOWN = 10


@command("device")
def add(
    config: RunConfig,
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="The weights file.")],
    *,
    base: str | None,
    name: str | None,
    index: Path | None,
    collection: str | None,
    data: str | None,
    dataset: str | None,
    class_names: Path | None,
    batch: int,
) -> None:
    """The entry claims what was measured here and no more: parameters, FLOPs under a named
    convention, the file's size and SHA-256, and with --data the accuracy with its number of images.
    How images are preprocessed is taken over from --from. Where the checkpoint has a classifier of
    another size, or other classes, Classes and Class Names say so. An existing file keeps every
    other byte; zoo verify then holds the entry to its claims.

    Exit status: 0 the entry is written; 2 wrong use: a checkpoint that does not fit, a name that is
    taken, images of other classes; 3 the file could not be written; 130 an interrupt.
    """
    from harness.edit.add_entry import NewEntry, entry_of, settle_classes
    from harness.edit.add_insert import NotWritable, find_target, insert, rehearse, without_origin
    from harness.edit.add_measure import (
        Accuracy,
        NotAdded,
        check_unchanged,
        measure,
        open_labelled,
    )
    from harness.edit.yaml_edit import EditRefused

    _refuse_elsewhere(checkpoint)
    file = index or checkpoint.parent / _DEFAULT_INDEX
    called = checkpoint.stem if name is None else name
    interrupts.say_last(partial(_say_left, file, _bytes(file)))
    try:
        if base is None:
            raise without_origin(checkpoint)
        _check_name(called, checkpoint, given=name is not None)
        target = find_target(checkpoint, file, base, collection)
        # What can't be written is reported before anything is measured.
        rehearse(file, NewEntry(called, target.joins, {"Base": base}, target.weights, {}))
        facts = measure(checkpoint, _recipe(target), called, _convention(target))
        for note in facts.notes:
            say(f"{checkpoint}: {note}", WARNING)
        listed = _names(class_names, checkpoint, facts)
        facts, names = settle_classes(facts, listed, target.origin, target.collection)
        if names and not listed:
            say(f"the classes are those of the collection {target.joins}")
        labelled = None if data is None else open_labelled(data, facts, names, dataset)
        entry = partial(
            entry_of,
            facts,
            target.origin,
            target.weights,
            collection=target.collection,
            elsewhere=target.elsewhere,
            classes=names or (() if labelled is None else labelled.classes),
        )
        accuracy = None
        if labelled is not None:
            count = len(labelled.labels)
            rehearse(file, entry(accuracy=Accuracy(labelled.dataset, count, count, count)))
            accuracy = _accuracy(labelled, facts, checkpoint, config.device, batch)
        written = entry(accuracy=accuracy)
    except NotWritable as error:
        raise Failure(f"{error}; nothing was written") from error
    except (NotAdded, EditRefused) as error:
        raise UsageError(str(error)) from error
    try:
        insert(file, written, partial(check_unchanged, target.checkpoint, facts))
    except NotAdded as error:
        raise UsageError(str(error)) from error
    except EditRefused as error:
        raise Failure(f"{error}; nothing was written") from error
    say(_summary(facts, accuracy))
    say(f"check it: {_check(called, file, data)}")
    from zoo._util.text import for_terminal

    emit(for_terminal(f"{file}: {called}") + "\n")


def _refuse_elsewhere(checkpoint: Path) -> None:
    """Say how to get a checkpoint that is named where it is published.

    Raises:
        UsageError: it is no file of this machine.
    """
    written = str(checkpoint)
    if written.lower().startswith(("hf-hub:", "hf_hub:")):
        where, way = "on the Hub", "fetch it (hf download ORG/NAME FILE)"
    elif _REMOTE.match(written):
        where, way = "an address", "fetch it"
    else:
        return
    if not checkpoint.exists():
        raise UsageError(
            f"{foreign(written)} is {where}, and zoo add measures a file of this machine; {way}, "
            "and name the file"
        )


def _bytes(file: Path) -> bytes | None:
    """What is in a file, None for none that can be read."""
    try:
        return file.read_bytes()
    except OSError:
        return None


def _say_left(file: Path, before: bytes | None) -> None:
    """Say after an interrupt that nothing was written, where that is so."""
    if _bytes(file) == before:
        say_interrupted(f"nothing is written to {file}")


def _check_name(name: str, checkpoint: Path, *, given: bool) -> None:
    from harness.edit.add_entry import name_objection
    from harness.edit.add_measure import NotAdded

    why = name_objection(name)
    if why and given:
        raise NotAdded(f"--name {why}; choose another one")
    if why:
        raise NotAdded(f"{checkpoint}: its name {why}; give the variant another one with --name")


def _recipe(target: AddTarget) -> Recipe:
    """How the variant that the checkpoint was made from is built and fed.

    Raises:
        NotAdded: what the index says of that can't be read.
    """
    from harness.check.schema import missing_for
    from harness.edit.add_measure import NotAdded
    from harness.run.plan import recipe_of

    if why := missing_for(target.origin, "recipe"):
        raise NotAdded(f"{target.origin.name}: {why}")
    return recipe_of(target.origin, "zoo")


def _convention(target: AddTarget) -> str | None:
    claim = target.origin.effective("FLOPs Convention")
    value = None if claim is None else claim.value
    return value if isinstance(value, str) and value in _CONVENTIONS else None


def _names(given: Path | None, checkpoint: Path, facts: Facts) -> tuple[str, ...]:
    """The names of the classes, if a file has them."""
    from harness.edit.add_entry import read_class_names

    beside = checkpoint.parent / _CLASSES
    if given is None and not beside.is_file():
        return ()
    names = read_class_names(given or beside, facts.outputs)
    if given is None:
        say(f"the classes are those of {beside}")
    return names


def _accuracy(
    labelled: LabelledImages, facts: Facts, checkpoint: Path, device: str, batch: int
) -> Accuracy:
    import warnings

    from harness.edit.add_measure import measure_accuracy
    from harness.run.plan import device_here
    from zoo._util.text import plural

    chosen = device_here(device)
    if labelled.note:
        say(labelled.note)
    count = plural(len(labelled.labels), "image")
    say(f"{count}, called {labelled.dataset!r} in the entry")
    warnings.simplefilter("ignore")  # Of odd images, one for each.
    accuracy = measure_accuracy(facts, checkpoint, labelled, chosen, batch)
    for item in accuracy.unanswered[:_SHOWN]:
        say(f"{item.name}: {item.why}", WARNING)
    if accuracy.unanswered:
        without = plural(len(accuracy.unanswered), "image")
        say(f"{without} without a prediction, which count as wrong", WARNING)
    return accuracy


def _check(name: str, file: Path, data: str | None) -> str:
    """The command that holds the entry to its claims."""
    from harness.edit.add_measure import SAMPLE

    command = ["zoo", "verify", name, "--index", str(file)]
    if data is not None and data != SAMPLE:  # A handful of images decides nothing.
        command += ["--data", data]
    return shlex.join(command)


def _summary(facts: Facts, accuracy: Accuracy | None) -> str:
    from harness.edit.add_measure import classes_of

    height, width = facts.image_size
    parts = [
        classes_of(facts.outputs),
        f"{facts.parameters:,} parameters",
        f"{facts.flops:,} FLOPs ({facts.convention}, {height}x{width})",
        f"{facts.size:,} bytes",
    ]
    if accuracy is not None:
        parts.append(f"{accuracy.top1:,} of {plural(accuracy.images, 'image', ',')} right")
    return ", ".join(parts)
