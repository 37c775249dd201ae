"""`zoo init`: a first model-index, with what is measured of the variants."""

from __future__ import annotations

import os
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import BUILDING, command
from harness.cli.output import FAILED, Failure, emit, fail, say
from harness.config import RunConfig, UsageError
from harness.config.rules import OWN_BUILDER

if TYPE_CHECKING:
    from harness.edit.add_entry import NewEntry
    from harness.run.builder_proxy import BuilderProxy
    from harness.types import Size

_FILE = "model-index.yml"
_SUFFIXES = (".yml", ".yaml")
_GLOB = "*?["
# So many variants are taken where none is named.
_MOST = 100
# So many names of a builder are shown to one who named none of them.
_SOME = 5


@command("builder", *BUILDING)
def init(
    config: RunConfig,
    variants: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VARIANT|GLOB]...",
            help="What to document, as its builder calls it: resnet50.a1_in1k. Default: all that "
            f"the builder has, up to {_MOST} (--all for more), "
            "where --from or --builder says which.",
        ),
    ] = None,
    *,
    every: bool,
    origin: str | None,
    index: Path | None,
    image_size: tuple[int, int] | None,
) -> None:
    """Each is built and counted: parameters, FLOPs under a named convention, layers. How images
    are prepared, and where the weights are, is taken over from what the library states. What
    was not measured, such as an accuracy, is left out. No file is ever overwritten.

    Exit status: 0 the index is written; 2 wrong use: no such variant or builder, or an index that
    is here already; 3 a variant could not be measured, or the file not be written; 130 an
    interrupt.
    """
    if every and variants:
        raise UsageError("zoo init is given both --all and names; leave out one of them")
    builder = _builder(config, origin, variants or ())
    file = _target(config, index)
    from harness.measure.builders import BuilderError
    from harness.run.builder_proxy import open_builder

    try:
        names = _names(builder, open_builder(builder), variants or ["*"] * every)
    except BuilderError as error:
        raise UsageError(str(error)) from error
    entries = _measured(replace(config, builder=builder), names, file, image_size)
    if not entries:
        raise Failure(f"none of the variants could be measured; {file} was not written")
    from harness.edit.add_entry import text_of
    from harness.edit.yaml_edit import EditRefused, save_new
    from zoo._util.text import for_terminal, plural

    try:
        save_new(file, text_of(builder, entries).encode())
    except EditRefused as error:
        raise Failure(f"{error}; nothing was written") from error
    from harness.run.plan import index_options

    emit(for_terminal(f"{file}: {plural(len(entries), 'variant')}") + "\n")
    # What settings name is read by the next command as well.
    options = "" if index is None and config.index else index_options((file,))
    say(f"check it: zoo verify --all{options}")
    if len(entries) < len(names):
        raise typer.Exit(FAILED)


def _builder(config: RunConfig, origin: str | None, variants: object) -> str:
    """Whose models they are."""
    named = None if origin is None else origin.partition(":")[2]
    if named is not None and config.builder not in (None, named):
        raise UsageError(
            f"--from {origin} is built by {named}, not by {config.builder}; leave out "
            "--from or --builder"
        )
    chosen = named or config.builder
    if chosen is None and config.usual_builder == OWN_BUILDER and not variants:
        from harness.measure.builders import builder_names

        raise UsageError(
            "there is nothing to document; name variants, and whose they are: --from "
            "package:timm, package:torchvision or package:mmpretrain, or --builder NAME "
            f"(installed: {', '.join(builder_names())}), as in zoo init --from package:timm "
            "resnet50.a1_in1k"
        )
    return chosen or config.usual_builder


def _target(config: RunConfig, given: Path | None) -> Path:
    """The file to write: one that is not there, and that the next command finds.

    Raises:
        UsageError: it is there, or it can't be a file of an index.
    """
    from zoo.index import local_index

    file = given or (config.index[0] if len(config.index) == 1 else Path(_FILE))
    here = None if given is not None or config.index else local_index()
    if here is not None or os.path.lexists(file):
        there = file if here is None else here
        other = there / "new.yml" if there.is_dir() else Path("other.yml")
        raise UsageError(
            f"{there} is here already, and nothing is overwritten; write another file "
            f"with --index, such as {other}"
        )
    if file.suffix not in _SUFFIXES or not str(file).isprintable():
        raise UsageError(f"--index: {file}: name a file that ends in .yml or .yaml")
    if not file.parent.is_dir():
        raise UsageError(f"--index: {file.parent}: there is no such folder; make it")
    if not os.access(file.parent, os.W_OK):
        raise Failure(f"{file} can't be written: its folder is read-only")
    return file


def _names(builder: str, known: BuilderProxy, wanted: list[str] | tuple[()]) -> list[str]:
    """The variants that are meant, each once.

    Raises:
        UsageError: a line for each word that means none.
    """
    if not wanted:
        names = known.names()
        if not names:
            raise UsageError(f"the builder {builder} has no variants")
        if len(names) > _MOST:
            raise UsageError(
                f"the builder {builder} has {len(names):,} variants; name some of them, "
                f"or a pattern such as '{names[0][:4]}*', or say --all"
            )
        return names
    found: dict[str, None] = {}
    wrong = []
    for word in wanted:
        is_pattern = not known.knows(word) and any(c in word for c in _GLOB)
        meant = [n for n in known.names() if fnmatchcase(n, word)] if is_pattern else [word]
        if not meant or not (is_pattern or known.knows(word)):
            wrong.append(_unknown(builder, known, word))
        found |= dict.fromkeys(meant)
    if wrong:
        raise UsageError(*wrong)
    return [*found]


def _unknown(builder: str, known: BuilderProxy, word: str) -> str:
    from harness.measure.builders import others_with
    from zoo._util.text import nearest, shown

    line = f"the builder {builder} has no variant called {shown(word)}"
    others = others_with(word, builder)
    for other in others:
        line += f"; {other} has it: --builder {other}"
    if others:
        return line
    names = known.names()
    if near := nearest(word, names):
        return f"{line}; the nearest it has: {', '.join(near)}"
    some = ", ".join([*map(shown, names[:_SOME]), *(["..."] if len(names) > _SOME else [])])
    return f"{line}; name one of its: {some}" if some else line


def _measured(
    config: RunConfig, names: list[str], file: Path, image_size: Size | None
) -> list[NewEntry]:
    """The entries of those that could be measured; a line says what is wrong with the others."""
    from harness.cli.progress import StderrProgress
    from harness.edit.add_entry import first_entry, name_objection, wants
    from harness.run.engine import EngineError
    from harness.run.session import Session
    from zoo._util.text import plural, shown
    from zoo.index.types import Index, Location, Variant

    usable = []
    for name in names:
        if why := name_objection(name):
            fail(f"{shown(name)}: left out: its name {why}")
        else:
            usable.append(Variant(name, None, Location(str(file), 1, 1)))
    say(f"{plural(len(usable), 'variant')} to build and count, builder {config.builder}")
    session = Session(config, Index(tuple(usable)), tuple(usable))
    progress = StderrProgress()
    try:
        found = session.gather(wants(image_size), progress)
    except EngineError as error:
        raise Failure(f"{error}; {file} was not written") from error
    finally:
        progress.close()
    entries = []
    for evidence in found:
        entry, why = first_entry(evidence, image_size)
        if why:
            line = f"{shown(evidence.variant.name)}: {'left out: ' if entry is None else ''}{why}"
            (fail if entry is None else say)(line)
        entries += [] if entry is None else [entry]
    for line in session.warnings():
        say(line)
    return entries
