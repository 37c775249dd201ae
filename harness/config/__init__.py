"""What can be set for the command: by an option, a ``ZOO_*`` variable, or `[tool.zoo]` of a
pyproject.toml, each in place of the next.

All go through the rules of one table, so that a value is right or wrong wherever it is written.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from harness.check.shards import SHARD_SIZE
from harness.config.commands import OWN
from harness.config.options import SHARED, Option
from harness.config.rules import (
    DEFAULT_GROUPS,
    GROUPS,
    NEVER,
    OWN_BUILDER,
    SWITCH_WORDS,
    USUAL_SECONDS,
    USUAL_TIMEOUT,
    UsageError,
    suggestion,
)

__all__ = [
    "DEFAULT_GROUPS",
    "GROUPS",
    "USUAL_SECONDS",
    "USUAL_TIMEOUT",
    "RunConfig",
    "UsageError",
    "configure",
    "resolve",
]

FILE = "pyproject.toml"
# What a run was asked of its report, and not of what is measured.
_OF_ONE_RUN = frozenset(
    {"checks", "refresh", "format", "fail-on", "strict", "quiet", "verbose", "log-file"}
    | {"log-level"}
)
# What has a meaning for images alone.
_OF_IMAGES = ("dataset", "samples", "budget", "decode", "decode-workers")
_PREFIX = "ZOO_"
_MIN_SLIP = 5  # letters: shorter names of other programs' variables are too often alike
_DEFAULTS: Mapping[str, Any] = {name: option.default for name, option in SHARED.items()}


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run as the command line, or a program, asks for it: each shared option by its name.

    Attributes:
        index: index files or folders; empty for the default index.
        select: variant names, globs or collection names; empty means every variant.
        builder: who builds every variant, whatever its index says.
        usual_builder: who builds the variants whose index says nothing.
        checks: groups of checks to apply, a subset of `GROUPS`.
        device: for what needs arithmetic.
        data: images for accuracies: paths, or ``sample``.
        dataset: the datasets that these are stated to be of, by their names in
            `zoo.known_datasets`; ``auto`` where the images themselves have to tell.
        part: how many images are counted, and kept in the store, at a time.
        precisions: those that are compared with ``amp`` on the same images.
        budget: seconds after which no further images are looked at.
        workers, decode_workers: None chooses by the machine.
        timeout: seconds that one variant's build and measurements may take, see `LocalEngine`.
        max_memory: bytes that a process which builds may hold; None chooses by the machine.
        address: of a Ray cluster; None starts one on this machine.
        cross_check: ``fvcore``: run the counter itself beside our own; None for no such run.
        bound: the index that the baseline is of, where settings name both; None for any. What
            another index says is judged without it.
        named_by: the settings that name the index, where the working folder has another.
        run_by: the command whose run it is, where that is not the usual one.
        given: the options of the command line among them, as they were written.
    """

    index: tuple[Path, ...] = _DEFAULTS["index"]
    select: tuple[str, ...] = ()
    builder: str | None = _DEFAULTS["builder"]
    usual_builder: str = OWN_BUILDER
    checks: tuple[str, ...] = _DEFAULTS["checks"]
    device: str = _DEFAULTS["device"]
    data: tuple[str, ...] = _DEFAULTS["data"]
    dataset: tuple[str, ...] = _DEFAULTS["dataset"]
    samples: int | None = _DEFAULTS["samples"]
    part: int = SHARD_SIZE
    budget: float | None = _DEFAULTS["budget"]
    amp: str = _DEFAULTS["amp"]
    precisions: tuple[str, ...] = ()
    compile: bool = _DEFAULTS["compile"]
    decode: str = _DEFAULTS["decode"]
    workers: int | None = _DEFAULTS["workers"]
    decode_workers: int | None = _DEFAULTS["decode-workers"]
    engine: str = _DEFAULTS["engine"]
    address: str | None = _DEFAULTS["address"]
    timeout: float = _DEFAULTS["timeout"]
    max_memory: int | None = _DEFAULTS["max-memory"]
    cross_check: str | None = _DEFAULTS["cross-check"]
    no_store: bool = _DEFAULTS["no-store"]
    refresh: bool = _DEFAULTS["refresh"]
    offline: bool = _DEFAULTS["offline"]
    no_download: bool = _DEFAULTS["no-download"]
    headers: bool = _DEFAULTS["headers"]
    links: bool = _DEFAULTS["links"]
    max_bytes: int | None = _DEFAULTS["max-bytes"]
    allow_http: bool = _DEFAULTS["allow-http"]
    public_hosts_only: bool = _DEFAULTS["public-hosts-only"]
    allow_local: bool = _DEFAULTS["allow-local"]
    format: str = _DEFAULTS["format"]
    fail_on: str = _DEFAULTS["fail-on"]
    strict: bool = _DEFAULTS["strict"]
    baseline: Path | None = _DEFAULTS["baseline"]
    quiet: bool = _DEFAULTS["quiet"]
    verbose: bool = _DEFAULTS["verbose"]
    bound: tuple[Path, ...] | None = None
    named_by: str = field(default="", compare=False)
    run_by: str = field(default="verify", compare=False)
    log_file: Path | None = _DEFAULTS["log-file"]
    log_level: str | None = _DEFAULTS["log-level"]
    given: tuple[tuple[str, Any], ...] = field(default=(), compare=False)

    def repeated(self, only: Collection[str] = SHARED) -> str:
        """The options that were given, as another command takes them to see what this run saw."""
        return shlex.join(
            word
            for name, value in self.given
            if name not in _OF_ONE_RUN and name in only
            for word in as_written(SHARED[name], value)
        )

    def command(
        self,
        name: str,
        *words: str,
        only: Collection[str] = SHARED,
        options: Sequence[str] = (),
    ) -> str:
        """A command with these arguments that sees what this run saw, to be run next.

        Args:
            name: of the command.
            words: its arguments; ``--all`` for every variant.
            only: those of this run's options that it takes.
            options: further ones.
        """
        more = " ".join(filter(None, (self.repeated(only), shlex.join(options))))
        if any(word.startswith("-") and word != "--all" for word in words):
            return f"zoo {name}{' ' * bool(more)}{more} -- {shlex.join(words)}"
        return f"zoo {shlex.join((name, *words))} {more}".rstrip()

    def again(self, without: Collection[str] = (), more: Sequence[str] = ()) -> str:
        """The command that checks the same once more, without some options and with others.

        A switch that settings have turned on is turned off.
        """
        left = (SHARED[name] for name in without if name not in dict(self.given))
        off = [f"--{each.opposite}" for each in left if getattr(self, each.field) is True]
        off = [word for word in off if word not in more]
        only = SHARED.keys() - set(without)
        words = self.select or ("--all",)
        name = "verify" if off else self.run_by
        return self.command(name, *words, only=only, options=(*off, *more))


def as_written(option: Option, value: Any) -> list[str]:
    """The words of a command line that give an option this value, or each of several."""
    words: list[str] = []
    for each in value if isinstance(value, list | tuple) else (value,):
        if isinstance(each, bool):
            words.append(f"--{option.name if each else option.opposite}")
        else:
            words += [f"--{option.name}", str(each)]
    return words


@dataclass(frozen=True, slots=True)
class _Entry:
    """A value that was written somewhere; ``where`` begins the line about a mistake in it.

    Without an option, no option has that name, and the value is what is wrong.
    """

    where: str
    option: Option | None
    value: object


def configure(select: Iterable[str] = (), **values: object) -> RunConfig:
    """The configuration that a program asks for, by the names of `RunConfig`; None is not given.

    Raises:
        UsageError: a value is wrong, or there is no such name; one line for each. Or an option has
            nothing to act on.
    """
    names = {option.field: option for option in SHARED.values()}
    entries = [
        _Entry(name, names[name], value)
        if name in names
        else _Entry(name, None, f"there is no such option; {suggestion(name, names)}")
        for name, value in values.items()
        if value is not None
    ]
    chosen = _where_it_runs(os.environ) | _checked(entries)
    config = _run_config(chosen, select=tuple(select))
    _refuse_idle(config, {e.option.name for e in entries if e.option}, bool(config.data))
    return config


def resolve(
    command: str,
    options: Mapping[str, object],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[RunConfig, dict[str, Any]]:
    """What a command is to do.

    Args:
        command: which of `harness.config.commands.COMMANDS`.
        options: what its command line says, by the names of options; None is not given.
        folder: the working folder. The nearest pyproject.toml with a `[tool.zoo]` counts, from
            there upwards; paths in it are relative to the folder that it is in.
        environment: its variables; an empty one is not set.

    Returns:
        The configuration, and the values of the command's own options by their fields.

    Raises:
        UsageError: a value is wrong, wherever it is written; one line for each. Or an option has
            nothing to act on.
    """
    folder = folder or Path.cwd()
    known = {**SHARED, **OWN[command]}
    given = {name: value for name, value in options.items() if value is not None}
    environment = os.environ if environment is None else environment
    settings, home = _from_file(folder)
    variables = _checked(_from_environment(environment))
    values = _where_it_runs(environment) | settings
    # An index knows better who builds it than the project that it is in.
    usual = values.pop(SHARED["builder"], OWN_BUILDER)
    values |= variables
    values |= _checked(
        _Entry(f"--{name}", known[name], known[name].rule.parse(v) if isinstance(v, str) else v)
        for name, v in given.items()
    )
    own = {each.field: values.get(each, each.default) for each in OWN[command].values()}
    for each in OWN[command].values():
        if each.required and own[each.field] is None:
            missing = f"zoo {command} is given no --{each.name}"
            raise UsageError(f"{missing}; write --{each.name} {each.metavar}")
    shared = {name: value for name, value in given.items() if not known[name].command}
    bound = None if "baseline" in given else _bound(variables, settings, home)
    of_settings = SHARED["index"] in settings and not {"index"} & given.keys()
    named_by = ""
    if of_settings and SHARED["index"] not in variables:
        named_by = os.path.relpath(home / FILE, folder)
    config = _run_config(
        values,
        given=tuple(shared.items()),
        bound=bound,
        named_by=named_by,
        usual_builder=usual,
    )
    _refuse_idle(config, shared.keys(), bool(config.data or own.get("data")))
    return config, own


def _run_config(values: Mapping[Option, Any], **more: Any) -> RunConfig:
    made = {option.field: value for option, value in values.items() if not option.command}
    if "workers" in made:
        made.setdefault("decode_workers", made["workers"])
    return RunConfig(**made, **more)


def _refuse_idle(config: RunConfig, given: Collection[str], images: bool) -> None:
    # A file may hold what some runs heed; who writes an option expects something of it.
    idle = [
        f"--{name}: there are no images to look at; name them with --data, or leave it out"
        for name in _OF_IMAGES
        if name in given and not images
    ]
    if "address" in given and config.engine != "ray":
        idle.append("--address: is a Ray cluster's; write --engine ray, or leave it out")
    if {"quiet", "verbose"} <= set(given) and config.quiet and config.verbose:
        idle.append("--quiet: is the contrary of --verbose; leave out one of them")
    if "strict" in given and config.strict and config.fail_on == NEVER:
        idle.append("--strict: has nothing to add to --fail-on never; leave out one of them")
    if idle:
        raise UsageError(*idle)


def _checked(entries: Iterable[_Entry]) -> dict[Option, Any]:
    """The values, each as its rule understands it."""
    right: dict[Option, Any] = {}
    wrong: list[str] = []
    for entry in entries:
        if entry.option is None:
            wrong.append(f"{entry.where}: {entry.value}")
            continue
        try:
            right[entry.option] = entry.option.rule.check(entry.value)
        except ValueError as error:
            wrong.append(f"{entry.where}: {error}")
    if wrong:
        raise UsageError(*wrong)
    return right


def _by_name(options: Iterable[Option]) -> dict[str, Option]:
    """The options that a file may set, by each of their names; an alias gives way to a name."""
    options = [each for each in options if each.configurable]
    named = {each.name: each for each in options}
    return {alias: each for each in options for alias in each.aliases} | named


def _where_it_runs(environment: Mapping[str, str]) -> dict[Option, Any]:
    """The defaults of continuous integration: what it reads may be anybody's proposal."""
    off = environment.get("CI", "").lower() in (
        "",
        *(w for w, on in SWITCH_WORDS.items() if not on),
    )
    return {} if off else {SHARED["public-hosts-only"]: True}


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Entry]:
    """What the variables say; the first of the names of an option that is set counts."""
    options = [*SHARED.values(), *chain.from_iterable(own.values() for own in OWN.values())]
    first = {each.environment[0]: each for each in options if each.configurable}
    for option in options:
        # An alias gives way to an option of that name.
        set_here = (n for n in option.environment if environment.get(n))
        name = next((n for n in set_here if first.get(n, option) is option), None)
        if name is not None:
            yield _Entry(name, option, option.rule.parse(environment[name]))
    names = {name for each in options for name in each.environment}
    for name in environment:
        if name.startswith(_PREFIX) and len(name) >= len(_PREFIX) + _MIN_SLIP and name not in names:
            from zoo._util.text import is_slip

            word = name.removeprefix(_PREFIX)
            for meant in (n for n in names if is_slip(word, n.removeprefix(_PREFIX))):
                yield _Entry(name, None, f"there is no such variable; did you mean {meant}?")


def _from_file(folder: Path) -> tuple[dict[Option, Any], Path]:
    """What the nearest pyproject.toml with a `[tool.zoo]` says, from ``folder`` upwards.

    With the folder that it is in; without one, with ``folder``.
    """
    for parent in [folder, *folder.parents]:
        path = parent / FILE
        table = _table(path, folder)
        if table is not None:
            values = _checked(_from_table(table, f"{os.path.relpath(path, folder)}: [tool.zoo"))
            values = {option: _beside(path, option, values[option], folder) for option in values}
            return values, parent
    return {}, folder


def _bound(
    variables: Mapping[Option, Any], settings: Mapping[Option, Any], home: Path
) -> tuple[Path, ...] | None:
    """The index that the settings' baseline is of: the one that they name, or that lies there.

    A variable that stands alone is as good as an option.
    """
    index, baseline = SHARED["index"], SHARED["baseline"]
    if baseline in variables or baseline not in settings:
        return variables.get(index) if baseline in variables else None
    if index in settings:
        return tuple(settings[index])
    from zoo.index.readers import index_in

    found = index_in(home)
    return None if found is None else (found,)


def _from_table(table: Mapping[str, object], where: str) -> Iterator[_Entry]:
    """What the table says, and those inside it for one command each."""
    names = _by_name(SHARED.values())
    for key, value in table.items():
        if key == "tables":  # of an index, which reads it itself
            from zoo.index.table_columns import mapping_faults

            yield from (_Entry(f"{where}.tables]", None, why) for why in mapping_faults(value))
            continue
        own = _by_name(OWN.get(key, {}).values())
        if own and isinstance(value, Mapping):
            known, prefix, inner = own, f"{where}.{key}]", value
        else:
            known, prefix, inner = names, f"{where}]", {key: value}
        for name, each in inner.items():
            if name in known:
                yield _Entry(f"{prefix} {name}", known[name], each)
            else:
                why = f"there is no such key; {suggestion(name, known)}"
                yield _Entry(f"{prefix} {name}", None, why)


def _table(path: Path, folder: Path) -> Mapping[str, object] | None:
    """The file's `[tool.zoo]`; None where there is no such file or no such table."""
    name = os.path.relpath(path, folder)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{name}: can't be read: {error.strerror or error}") from error
    if b"zoo" not in content:  # Another project's file: its mistakes are not ours to report.
        return None
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        tool = toml.loads(content.decode("utf-8")).get("tool")
    except ValueError as error:
        place = re.search(r"line \d+, column \d+", str(error))
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it breaks off"
        raise UsageError(
            f"{name}: can't be read as TOML: {f'{place[0]} is wrong' if place else why}; check "
            "brackets, quotes and equals signs there"
        ) from error
    table = tool.get("zoo") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{name}: [tool.zoo]: {table!r} is not a table; write [tool.zoo] and keys")
    return table


def _beside(path: Path, option: Option, value: Any, folder: Path) -> Any:
    """A value of the file; a path in it as seen from the working folder."""
    if not option.rule.is_path or path.parent == folder:
        return value
    if isinstance(value, tuple):
        return tuple(_beside(path, option, each, folder) for each in value)
    # An installed package, and the sample, are nowhere beside the file.
    if Path(value).is_absolute() or str(value).startswith("package:") or value == "sample":
        return value
    return type(value)(os.path.relpath(path.parent / value, folder))
