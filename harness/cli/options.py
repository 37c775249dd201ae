"""A command's line, made from the one table of options in `harness.config`; what it selects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.again import begin
from harness.cli.output import GONE, EarlyInterrupt, NotBegun, folder_is_gone, say
from harness.config import RunConfig, UsageError, resolve
from harness.config.commands import COMMANDS, OWN
from harness.config.options import SHARED, Option
from harness.config.rules import OWN_BUILDER

if TYPE_CHECKING:
    from harness.run.session import Session
    from zoo.index.types import Variant

# Options that several commands take together.
IMAGES = ("data", "dataset", "samples", "budget", "amp", "compile", "decode", "decode-workers")
ENGINE = ("engine", "address")
BUILDING = ("workers", "timeout", "max-memory")
STORE = ("no-store", "refresh", "no-download")
FETCHING = ("offline", "max-bytes", "allow-http", "public-hosts-only", "allow-local")
MEASURING = ("index", "builder", "device", *IMAGES, *BUILDING, *ENGINE, *STORE, *FETCHING)

# Commands that read the index of the package where there is no other.
_READ_PACKAGE = ("list", "show", "classify", "features", "train")

Command = Callable[..., None]


def command(*shared: str, name: str = "") -> Callable[[Command], Command]:
    """Make a function a command: its help, its options, and the checks of their values.

    The function takes ``config``, a `RunConfig` of these shared options, its arguments as they are
    declared, and its own options, which `harness.config.commands` has, by their fields.
    """

    def decorate(function: Command) -> Command:
        called = name or function.__name__
        options = [*OWN[called].values(), *(SHARED[each] for each in shared)]
        arguments = [
            each.replace(kind=each.KEYWORD_ONLY)
            for each in inspect.signature(function, eval_str=True).parameters.values()
            if hasattr(each.annotation, "__metadata__")
        ]

        @wraps(function)
        def run(**given: Any) -> None:
            if folder_is_gone():
                raise NotBegun(GONE)
            written = {each.name: _given(each, given.pop(each.field)) for each in options}
            config, own = resolve(called, written)
            begin(called, given.values(), [(each, written[each.name]) for each in options])
            if "data" not in shared:  # It evaluates no images, whatever a file may name.
                config = replace(config, data=())
            function(**given, **own, config=config)

        taken = {each.name for each in options}
        parameters = [*arguments, *(_parameter(each, taken) for each in options)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__doc__ = "\n\n".join(filter(None, (COMMANDS[called], inspect.getdoc(function))))
        return run

    return decorate


def variants(help: str) -> Any:
    """The argument that chooses variants."""
    return typer.Argument(
        metavar="VARIANT|GLOB|COLLECTION", help=help, autocompletion=_variants_here
    )


def variant(help: str, metavar: str = "VARIANT") -> Any:
    """The argument that names one variant."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=_variants_here)


def _given(option: Option, value: Any) -> Any:
    """What was written; None where nothing was."""
    nothing = value is False and not option.opposite
    return None if nothing or value in ([], ()) else value


def _parameter(option: Option, taken: set[str]) -> inspect.Parameter:
    """The option as Typer declares one; an alias gives way to an option of that name."""
    names = [option.name, *(each for each in option.aliases if each not in taken)]
    decls = [f"--{each}" for each in names]
    if option.opposite:
        decls[0] += f"/--{option.opposite}"
    if option.short:
        decls.append(f"-{option.short}")
    switch = option.rule.is_switch
    info = typer.Option(
        *decls,
        metavar=None if switch else option.metavar,
        help=_help(option),
        show_default=False,
        # The shell completes paths by itself.
        autocompletion=None if switch or not option.rule.words else completion(option.rule.words),
    )
    kind: Any = bool if switch else list[str] if option.rule.repeated else str
    return inspect.Parameter(
        option.field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, info],
    )


def _help(option: Option) -> str:
    text, default = option.help, option.default
    if option.required:
        text += " Required."
    elif default not in (None, False, ()) and "efault" not in text:
        shown = default if isinstance(default, tuple) else (default,)
        text += f" Default: {','.join(map(str, shown))}."
    if option.environment:
        text += f" [env: {', '.join((option.environment[0], *option.variables))}]"
    return text


def completion(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Complete one of these words, which are asked for only then."""

    def complete(incomplete: str) -> list[str]:
        # Of a list with commas, the last word.
        before, comma, word = incomplete.rpartition(",")
        return [f"{before}{comma}{each}" for each in words() if each.startswith(word)]

    return complete


def _variants_here(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in _names(ctx) if name.startswith(incomplete)]


def _names(ctx: typer.Context) -> Iterator[str]:
    """The variants and collections of the index that the command would read, if it can be."""
    from zoo.index import load_index, local_index, package_index

    try:
        config, _ = resolve("list", {"index": ctx.params.get("index") or None})
        here = local_index() or (package_index() if ctx.info_name in _READ_PACKAGE else None)
        index = load_index(config.index or ([] if here is None else [here]))
    except (UsageError, OSError):
        return
    yield from dict.fromkeys(each.name for each in index.variants)
    yield from dict.fromkeys(each.name for each in index.collections)


def look_up(config: RunConfig, *select: str, builds: bool = False) -> Session:
    """The selected variants of an index, to be looked at; with ``builds``, to be built.

    Where there is no index here, that of the package stands in, since none is judged. A builder
    that settings name is not asked without need.
    """
    index, more = _index_at_hand(config)
    session = prepared(replace(config, index=index, select=select), builds=builds)
    announce(config, f"{session.subject if builds else session.source}{more}")
    return session


def one_variant(
    config: RunConfig, name: str, prefix: str = "", *, announced: bool = True
) -> Variant:
    """The one variant of that name, for this package to build, from an index as `look_up` has it.

    ``prefix`` begins the line that says that it is not one.

    Raises:
        UsageError: there is none, or several.
    """
    from harness.run.plan import read_index, subject

    index, more = _index_at_hand(config)
    _, found = read_index(index, (name,))
    if len(found) != 1:
        raise UsageError(f"{prefix}{name!r} names {len(found)} variants; name one of them")
    if announced:
        announce(config, f"{subject(found, index, [OWN_BUILDER])}{more}")
    return found[0]


def _index_at_hand(config: RunConfig) -> tuple[tuple[Path, ...], str]:
    """The index that a look-up reads, and what the line that names it adds."""
    from zoo.index import local_index

    if found := config.index or tuple(filter(None, [local_index()])):
        return found, ""
    return (Path("package:zoo"),), "; no index is here, so this is the one that ships with zoo"


def announce(config: RunConfig, line: str) -> None:
    """Say in the first line of a run which index it is about, and who builds; unless quiet."""
    if not config.quiet:
        say(line)


def prepared(config: RunConfig, *, builds: bool = True, lenient: bool = False) -> Session:
    """The session of a run, see `harness.run.session.prepare`.

    Raises:
        EarlyInterrupt: a builder may take its time to say what it has.
    """
    from harness.run.session import prepare

    try:
        return prepare(config, builds=builds, lenient=lenient)
    except KeyboardInterrupt as error:
        raise EarlyInterrupt("interrupted") from error
