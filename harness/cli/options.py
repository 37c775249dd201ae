"""A command's line, made from the one table of options in `harness.config`; what it selects."""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.output import (
    GONE,
    WARNING,
    EarlyInterrupt,
    NotBegun,
    folder_is_gone,
    record,
    say,
    talk,
)
from harness.config import RunConfig, UsageError, as_written, resolve
from harness.config.commands import COMMANDS, OWN
from harness.config.options import GENERAL, SHARED, Option
from harness.config.rules import OWN_BUILDER
from zoo import __version__
from zoo._util.text import foreign

if TYPE_CHECKING:
    from harness.cli.progress import StderrProgress
    from harness.run.session import Session
    from zoo.index.types import Variant

# Options that several commands take together.
IMAGES = ("data", "dataset", "samples", "budget", "amp", "compile", "decode", "decode-workers")
ENGINE = ("engine", "address")
BUILDING = ("workers", "timeout", "max-memory")
STORE = ("no-store", "refresh", "no-download", "headers")
FETCHING = ("offline", "max-bytes", "allow-http", "public-hosts-only", "allow-local")
FETCHING_ONE = tuple(each for each in FETCHING if each != "max-bytes")
MEASURING = ("index", "builder", "device", *IMAGES, *BUILDING, *ENGINE, *STORE, *FETCHING)

# Commands that read the index of the package where there is no other.
_READ_PACKAGE = ("list", "show", "classify", "features", "train")

_SELECTED = "variants"
_INDEX_ENDINGS = (".yml", ".yaml", ".md", ".mdx", ".csv")

Command = Callable[..., None]


def command(
    *shared: str, name: str = "", selects: str = "", needs_names: bool = False
) -> Callable[[Command], Command]:
    """Make a function a command: its help, its options, and the checks of their values.

    The function takes ``config``, a `RunConfig` of these shared options, its arguments as they are
    declared, and its own options, which `harness.config.commands` has, by their fields. What is
    wrong is found here wherever it can be, before anything is read, imported or fetched.

    Args:
        shared: the names of the shared options that it takes.
        name: its words, if they are not the function's name.
        selects: what variants it does something to; those named are in ``config.select``, and
            files and folders among them in ``config.index``.
        needs_names: it does nothing where neither names nor ``--all`` are given.
    """

    def decorate(function: Command) -> Command:
        called = name or function.__name__
        options = [*OWN[called].values(), *(SHARED[each] for each in (*shared, *GENERAL))]
        arguments = [
            each.replace(kind=each.KEYWORD_ONLY)
            for each in inspect.signature(function, eval_str=True).parameters.values()
            if hasattr(each.annotation, "__metadata__")
        ]
        if selects:
            arguments.insert(0, _selection(selects))

        @wraps(function)
        def run(**given: Any) -> None:
            gone = folder_is_gone()
            if gone and not called.startswith("cache"):
                raise NotBegun(GONE)
            written = {each.name: _given(each, given.pop(each.field)) for each in options}
            words = tuple(given.pop(_SELECTED, None) or ()) if selects else ()
            config, own = resolve(called, written, Path(os.sep) if gone else None)
            _begin_talk(called, config)
            begin(called, (words, *given.values()), [(o, written[o.name]) for o in options])
            if selects:
                before = "".join(f" before {each.name.upper()}" for each in arguments[1:])
                if needs_names and not (words or own["every"]):
                    raise UsageError(
                        f"zoo {called} is given no variant; name variants, globs or collections"
                        f"{before}, or say --all"
                    )
                config = _selected(called, config, words, every=own.pop("every"))
            if "data" not in shared:  # It evaluates no images, whatever a file may name.
                config = replace(config, data=())
            _refuse_absent(config, own, "device" in shared)
            function(**given, **own, config=config)

        taken = {each.name for each in options}
        _declare(run, [*arguments, *(_parameter(each, taken) for each in options)])
        run.__doc__ = "\n\n".join(filter(None, (COMMANDS[called], inspect.getdoc(function))))
        return run

    return decorate


def _begin_talk(called: str, config: RunConfig) -> None:
    """Say as much as is asked for, and write the log that is asked for."""
    try:
        talk(
            quiet=config.quiet,
            file=config.log_file,
            level=config.log_level,
        )
    except OSError as error:
        why = f"{config.log_file} can't be written: {error.strerror or error}"
        raise UsageError(f"--log-file: {why}; name another file") from error
    record(f"zoo {called}, version {__version__}")


def _selection(help: str) -> inspect.Parameter:
    annotation = Annotated[list[str] | None, variants(help)]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(_SELECTED, kind, default=None, annotation=annotation)


def _selected(called: str, config: RunConfig, words: Iterable[str], *, every: bool) -> RunConfig:
    """The configuration with what is named in it: variants, and files or folders of an index."""
    paths = tuple(Path(word) for word in words if is_index_path(word, every=every))
    names = tuple(word for word in words if not is_index_path(word, every=every))
    if every and names:
        raise UsageError(f"zoo {called} is given both --all and names; leave out one of them")
    return replace(with_paths(config, paths), select=names)


def with_paths(config: RunConfig, paths: Iterable[Path]) -> RunConfig:
    """The configuration with these files and folders for its index, as if by ``--index``."""
    paths, given = tuple(paths), dict(config.given)
    if not paths:
        return config
    index = tuple(dict.fromkeys((*(config.index if "index" in given else ()), *paths)))
    given["index"] = [*map(str, index)]
    return replace(config, index=index, given=tuple(given.items()))


def is_index_path(word: str, *, every: bool = False) -> bool:
    """Whether a word that may name a variant is a file or a folder of an index.

    Beside ``--all`` a bare word names no variant, and is one where there is such a folder.
    """
    written = word.startswith("package:") or word.lower().endswith(_INDEX_ENDINGS)
    return written or ((every or os.path.basename(word) != word) and os.path.exists(word))


def _refuse_absent(config: RunConfig, own: Mapping[str, Any], on_device: bool) -> None:
    asked = "data" in dict(config.given) or "accuracy" in config.checks
    named = [own.get("data"), *(config.data if asked else ())]
    for place in filter(None, named):
        # A pattern of archives or shards is looked up when it is opened.
        pattern = any(sign in os.path.basename(place) for sign in "*?[{")
        if place != "sample" and not pattern and not os.path.exists(os.path.expanduser(place)):
            raise UsageError(f"--data: {place}: there is no such file or folder; write where it is")
    if on_device and config.engine == "local" and config.device.startswith("cuda"):
        from harness.measure.cuda import refuse_absent
        from harness.measure.devices import DeviceError

        try:
            refuse_absent(config.device)
        except DeviceError as error:
            raise UsageError(f"--device: {error}") from error


def general_too(function: Command) -> Command:
    """Let a group take the options that every command has, to show them in its help."""
    own = inspect.signature(function, eval_str=True).parameters.values()
    more = [_parameter(SHARED[name], set()) for name in GENERAL]
    _declare(function, [*(each for each in own if each.kind != each.VAR_KEYWORD), *more])
    return function


def _declare(function: Command, parameters: list[inspect.Parameter]) -> None:
    """Give a function the parameters that Typer is to see."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in parameters}


def variants(help: str) -> Any:
    return typer.Argument(
        metavar="VARIANT|GLOB|COLLECTION", help=help, autocompletion=_variants_here
    )


def variant(help: str, metavar: str = "VARIANT") -> Any:
    return typer.Argument(metavar=metavar, help=help, autocompletion=_variants_here)


def _given(option: Option, value: Any) -> Any:
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
        help=option.text,
        rich_help_panel=option.group,
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


def look_up(
    config: RunConfig, *select: str, builds: bool = False, stands_in: bool = True
) -> Session:
    """The variants that are selected, here or in the configuration, to be looked at; with
    ``builds``, to be built.

    Where there is no index here, that of the package stands in, since none is judged; not where
    what is made is to be published. A builder that settings name is not asked without need.
    """
    index, more = _index_at_hand(config) if stands_in else (config.index, "")
    select = select or config.select
    session = prepared(replace(config, index=index, select=select), builds=builds)
    say(f"{session.subject if builds else session.source}{more}")
    return session


def one_variant(
    config: RunConfig, name: str, *, weights: str | None = None, announced: bool = True
) -> Variant:
    """The one variant of that name, for this package to build, from an index as `look_up` has it.

    It is announced, with its weights (those it begins with, where they aren't the published ones),
    long before anything is done with them.

    Raises:
        UsageError: there is none, or several.
    """
    from harness.run.plan import read_index, subject

    index, more = _index_at_hand(config)
    _, found = read_index(index, (name,))
    if len(found) != 1:
        raise UsageError(f"{name!r} names {len(found)} variants; name one of them")
    if announced:
        about = subject(found, replace(config, index=index), [OWN_BUILDER])
        if weights is None:
            claim = found[0].claim("Weights")
            file = str(claim.value or claim.raw) if claim else ""
            weights = f"weights {file.rpartition('/')[2] or file}" if file else "no weights listed"
        say(f"{about}: {foreign(found[0].name)}, {foreign(weights)}{more}")
    return found[0]


def not_ours(what: str) -> str:
    """That a command is for the networks of this package, and what is to be done with others."""
    return (
        f"{what}; name a model that comes with zoo (zoo list --index package:zoo shows them), or "
        "use the package that builds this one"
    )


def _index_at_hand(config: RunConfig) -> tuple[tuple[Path, ...], str]:
    """The index that a look-up reads, and what the line that names it adds."""
    from zoo.index import local_index

    if found := config.index or tuple(filter(None, [local_index()])):
        return found, ""
    return (Path("package:zoo"),), "; no index is here, so this is the one that ships with zoo"


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


# -- the command that was called, to go on where an interrupt ended it -----------------------

# What would begin anew instead of going on.
_ANEW = ("refresh",)


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: tuple[str, ...]
    options: tuple[tuple[Option, Any], ...]


_calls: list[_Call] = []


def begin(name: str, arguments: Iterable[Any], options: Iterable[tuple[Option, Any]]) -> None:
    """Note what a command was called with; None is not given."""
    words = [w for each in arguments for w in (each if isinstance(each, list | tuple) else [each])]
    given = tuple((option, value) for option, value in options if value is not None)
    _calls[:] = [_Call(name, tuple(str(w) for w in words if w is not None), given)]


def again(without: Collection[str] = _ANEW, arguments: Sequence[str] | None = None) -> str:
    """The command line of this call, quoted for a shell; with other arguments, or options less."""
    call = _calls[-1]
    words = ["zoo", *call.name.split(), *(call.arguments if arguments is None else arguments)]
    for option, value in call.options:
        if option.name not in without and not (arguments is not None and option.name == "all"):
            words += as_written(option, value)
    return shlex.join(words)


def say_interrupted(kept: str, arguments: Sequence[str] | None = None) -> None:
    """Say what an interrupt has left, and how to go on."""
    say(f"interrupted: {kept}", WARNING)
    say(f"continue with: {again(arguments=arguments)}", WARNING)


def say_kept(session: Session, progress: StderrProgress) -> None:
    """Say what of a run's measurements is stored, once it was interrupted."""
    kept = session.kept
    if any(option.name in _ANEW and value for option, value in _calls[-1].options):
        kept += "; what follows takes all that is stored, and --refresh would begin anew"
    say_interrupted("; ".join(filter(None, (progress.fetched(), kept))))
