"""The command that documents a trained checkpoint: `zoo add`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from harness.cli import options, terminal
from harness.cli.status import Failure
from harness.run.request import UsageError

if TYPE_CHECKING:
    from harness.add.accuracy import Accuracy, Labelled
    from harness.add.facts import Facts
    from zoo.index.types import Index, Variant

_USUAL_INDEX = "model-index.yml"
_CLASSES = "classes.txt"
_CONVENTIONS = ("macs", "flops", "fvcore")
_SHOWN = 10
_SUFFIXES = (".yml", ".yaml")


def add(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="The weights file.")],
    base: Annotated[
        str,
        typer.Option("--from", metavar="VARIANT", help="Whose architecture the checkpoint has."),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="Of the new variant. Default: the file's, less .pth."
        ),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="FILE",
            help=f"The YAML file to write to, made where it is missing. Default: {_USUAL_INDEX} "
            "beside the checkpoint.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Pictures to measure the accuracy on: a folder with one folder per class; for "
            "ImageNet's classes, what zoo verify takes.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", metavar="NAME", help="What to call these pictures. Default: the folder's."
        ),
    ] = None,
    class_names: Annotated[
        Path | None,
        typer.Option(
            "--class-names",
            metavar="FILE",
            help=f"The classes, one a line, in the order of the outputs. Default: {_CLASSES} "
            "beside the checkpoint, else the folders of --data, sorted.",
        ),
    ] = None,
    device: options.Device = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, metavar="N", help="Pictures per pass at the most.")
    ] = 32,
) -> None:
    """Measure a trained checkpoint, and write it into a model-index as a new variant.

    The entry claims what was measured here and no more: parameters, FLOPs under a named convention,
    the file's size and SHA-256, and with --data the accuracy with its number of pictures. How
    pictures are prepared is taken over from --from. Where the checkpoint has a classifier of
    another size, Classes says so. An existing file keeps every other byte; zoo verify then holds
    the entry to its claims.

    Exit status: 0 the entry is written; 2 wrong use: a checkpoint that does not fit, a name that is
    taken; 3 the file could not be written; 130 an interrupt.
    """
    from harness.add.entry import entry_of
    from harness.add.errors import NotAdded
    from harness.add.facts import measure
    from harness.add.insertion import insert
    from harness.fix import Refused
    from harness.run.plan import recipe_of
    from zoo.index import load_index

    file = index or checkpoint.parent / _USUAL_INDEX
    if file.suffix not in _SUFFIXES:
        raise UsageError(f"--index: {file}: name a file that ends in {' or '.join(_SUFFIXES)}")
    known = load_index([file]) if file.exists() else None
    called = name or checkpoint.stem
    origin = _origin(base, known)
    try:
        weights = _from_folder(checkpoint, file)
        _check_free(called, known)
        facts = measure(checkpoint, recipe_of(origin, "zoo"), called, _convention(origin))
        names = _names(class_names, checkpoint, facts)
        labelled, accuracy = None, None
        if data is not None:
            labelled, accuracy = _accuracy(data, dataset, names, facts, checkpoint, device, batch)
        entry = entry_of(
            facts,
            origin,
            weights,
            collection=_collection(origin, known),
            classes=names or (() if labelled is None else labelled.classes),
            accuracy=accuracy,
        )
    except NotAdded as error:
        raise UsageError(f"zoo add: {error}") from error
    try:
        insert(file, entry)
    except NotAdded as error:
        raise UsageError(f"zoo add: {error}") from error
    except Refused as error:
        raise Failure(f"{error}; nothing was written") from error
    for note in facts.notes:
        terminal.say(f"{checkpoint}: {note}")
    terminal.say(_told(facts, accuracy))
    terminal.say(f"check it: zoo verify {shlex.quote(called)} --index {shlex.quote(str(file))}")
    from harness.report.safe_text import for_terminal

    terminal.emit(for_terminal(f"{file}: {called}") + "\n")


def _origin(name: str, known: Index | None) -> Variant:
    """The entry of that name, in the file that is written to or in the package's index."""
    from zoo.preprocessing import package_variant
    from zoo.registry import UnknownModelError

    for variant in () if known is None else known.variants:
        if variant.name == name:
            return variant
    try:
        return package_variant(name)
    except UnknownModelError as error:
        raise UsageError(f"--from: {error}") from error


def _check_free(name: str, known: Index | None) -> None:
    from harness.add.errors import NotAdded

    for variant in () if known is None else known.variants:
        if variant.name == name:
            raise NotAdded(
                f"{variant.location}: a variant called {name!r} is there already; "
                "choose another name with --name"
            )


def _from_folder(checkpoint: Path, file: Path) -> str:
    """The path of the checkpoint from the folder of its index, as Weights has it."""
    from harness.add.errors import NotAdded

    folder = Path(os.path.realpath(file.parent))
    real = Path(os.path.realpath(checkpoint))
    if not folder.is_dir():
        raise NotAdded(f"{file.parent}: there is no such folder; make it first")
    if not real.is_relative_to(folder):
        raise NotAdded(
            f"{checkpoint}: it lies outside {file.parent}, and an index names weights of its own "
            "folder alone; move it there, or choose another --index"
        )
    # A first part with a colon would be taken for a scheme.
    return quote(real.relative_to(folder).as_posix(), safe="/")


def _convention(origin: Variant) -> str | None:
    claim = origin.effective("FLOPs Convention")
    value = None if claim is None else claim.value
    return value if isinstance(value, str) and value in _CONVENTIONS else None


def _collection(origin: Variant, known: Index | None) -> str | None:
    """The origin's collection where the file has it; else the entry could not name it."""
    there = () if known is None else tuple(collection.name for collection in known.collections)
    name = None if origin.collection is None else origin.collection.name
    return name if name in there else None


def _names(given: Path | None, checkpoint: Path, facts: Facts) -> tuple[str, ...]:
    """The names of the classes where a file has them."""
    from harness.add.errors import NotAdded

    beside = checkpoint.parent / _CLASSES
    if given is None and (facts.recipe.classes is None or not beside.is_file()):
        return ()
    path = given or beside
    try:
        names = tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise NotAdded(f"{path}: can't be read: {error}") from error
    if len(names) != facts.outputs or len(set(names)) != len(names) or not all(names):
        raise NotAdded(
            f"{path}: it has {len(names)} lines, and the checkpoint tells {facts.outputs} classes "
            "apart; write one line for each, no two alike"
        )
    if given is None:
        terminal.say(f"the classes are those of {path}")
    return names


def _accuracy(
    data: str,
    dataset: str | None,
    names: tuple[str, ...],
    facts: Facts,
    checkpoint: Path,
    device: str | None,
    batch: int,
) -> tuple[Labelled, Accuracy]:
    import warnings
    from dataclasses import replace

    from harness.add.accuracy import measure_accuracy, open_labelled
    from harness.measure.devices import DeviceError, choose_device

    try:
        chosen = choose_device(device or "auto")
    except DeviceError as error:
        raise UsageError(f"--device: {error}") from error
    labelled = open_labelled(data, facts, names)
    labelled = replace(labelled, dataset=dataset or labelled.dataset)
    terminal.say(f"{len(labelled.labels):,} pictures, called {labelled.dataset!r} in the entry")
    warnings.simplefilter("ignore")  # Of odd pictures, one for each.
    accuracy = measure_accuracy(facts, checkpoint, labelled, chosen, batch)
    for item in accuracy.unreadable[:_SHOWN]:
        terminal.say(f"{item.name}: {item.why}")
    if accuracy.unreadable:
        terminal.say(f"{len(accuracy.unreadable):,} pictures can't be read, and count as wrong")
    return labelled, accuracy


def _told(facts: Facts, accuracy: Accuracy | None) -> str:
    height, width = facts.image_size
    parts = [
        f"{facts.outputs:,} classes",
        f"{facts.parameters:,} parameters",
        f"{facts.flops:,} FLOPs ({facts.convention}, {height}x{width})",
        f"{facts.size:,} bytes",
    ]
    if accuracy is not None:
        parts.append(f"{accuracy.top1:,} of {accuracy.images:,} pictures right")
    return ", ".join(parts)
