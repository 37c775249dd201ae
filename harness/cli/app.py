"""The `zoo` command: its subcommands, each loaded when it is named, and shell completion."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli.options import general_too
from harness.cli.output import WRONG_USE, Failure, emit, say
from harness.config import UsageError
from harness.config.commands import COMMANDS
from harness.config.examples import EXAMPLES
from harness.config.options import GENERAL, GENERAL_GROUP, GROUPS, OWN_GROUP, SHARED
from zoo._util.text import nearest

_SHELLS = ("bash", "zsh", "fish")
_SHELL = "zoo.shell"
_COMPLETE = "_ZOO_COMPLETE"
# Where a command is that has no module of its own name.
_PLACES = {
    "audit": "verify:audit",
    "validate": "verify:validate",
    "report": "verify:report",
    "list": "show:list_variants",
    "explain": "show:explain",
    "features": "classify:features",
    "cite": "docs:cite",
    "schema": "docs:schema",
    "table": "docs:table",
    "cards": "docs:cards",
    "manifest": "fetch:manifest",
    **{f"cache {name}": f"cache:{name}" for name in ("info", "check", "clear")},
}


class _Commands(dict[str, Any]):
    """Each command of a group by its name; its module is imported when it is asked for."""

    def __init__(self, group: str) -> None:
        super().__init__(dict.fromkeys(_summaries(group)))
        self._group = group

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = _loaded(f"{self._group} {name}".strip(), name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The command, or the default where there is none of that name."""
        try:
            return self[name]
        except KeyError:
            return default


def _summaries(group: str) -> dict[str, str]:
    """The commands of a group, each with its first sentence."""
    before = f"{group} " if group else ""
    named = {n.removeprefix(before): text for n, text in COMMANDS.items() if n.startswith(before)}
    return {name: text for name, text in named.items() if " " not in name}


def _loaded(words: str, name: str) -> Any:
    made = plain_app()
    if _summaries(words):
        made = plain_app(cls=LazyGroup, help=COMMANDS[words])
        made.callback(invoke_without_command=True)(_show_help_alone)
    else:
        place, _, function = _PLACES.get(words, f"{name}:{name}").partition(":")
        module = import_module(f"harness.cli.{place}")
        followed = getattr(module, "FOLLOWED", {}).get(name)
        cls = type("_Command", (_OwnManners, TyperCommand), {"followed": followed})
        made.command(name, cls=cls)(getattr(module, function))
    found: Any = typer.main.get_command(made)
    found.name, found.words = name, words
    if isinstance(found, LazyGroup):
        found.commands = _Commands(words)
    return found


class _Written:
    """Hands on a value, or the several of one option, as the command line has it."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value; an empty tuple where there may be several and is none."""
        return () if value is None and (param.multiple or param.nargs == -1) else value


class _OwnManners:
    """A command whose text is read by rules of our own, and whose help has sections and examples.

    Newer versions of Typer make a validator of pydantic's for each option, given or not, which
    takes as long as the rest of a warm run. Others have no such attribute, and don't look at it.
    """

    # What is too much is said in our words.
    allow_extra_args = True
    # All words of the command but the first: ``cache clear``.
    words = ""
    # A switch that a value may follow, the option that this is the value of, and what is one.
    followed: tuple[str, str, Callable[[str], bool]] | None = None

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's parameters, and its help."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for each in parameters:
            descriptor = getattr(each, "type_descriptor", None)
            if descriptor is not None and descriptor.annotation in (str, bool, list[str]):
                each._runtime_param = _Written()
        return parameters

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the words apart; one more than the command takes is refused."""
        if self.followed is not None:
            args = _with_option(args, *self.followed)
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:  # Some errors don't say whose they are.
                error.ctx = ctx  # type: ignore[attr-defined]
            raise
        if rest and not ctx.resilient_parsing and not isinstance(self, LazyGroup):
            more = f"zoo {self.words} takes no further word, and is given {rest[0]!r}"
            raise UsageError(f"{more}; leave it out, or see zoo {self.words} --help")
        return rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options in their groups, and examples."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Arguments", *GROUPS)}
        for each in self.get_params(ctx):
            group = getattr(each, "rich_help_panel", None) or OWN_GROUP
            if each.param_type_name == "argument":
                group = "Arguments"
            elif each.name == "help":
                group = GENERAL_GROUP
            if not getattr(each, "hidden", False):
                sections[group].append((spelt(each), each.help or ""))
        if not sections[OWN_GROUP]:  # There is always one of that name, as other tools have it.
            sections[OWN_GROUP] = sections.pop(GENERAL_GROUP)
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
        examples = EXAMPLES.get(self.words, ())
        if examples:
            with formatter.section("Examples"):
                formatter.write_dl([(f"zoo {line}", why) for line, why in examples], col_max=44)


def _with_option(
    args: list[str], switch: str, option: str, is_value: Callable[[str], bool]
) -> list[str]:
    """The words, with the option's name before its value where that follows the switch."""
    found: list[str] = []
    for number, word in enumerate(args):
        if word.startswith(f"{switch}="):
            found += [switch, option, word.partition("=")[2]]
        elif number and args[number - 1] == switch and is_value(word):
            found += [option, word]
        else:
            found.append(word)
    return found


def spelt(parameter: Any) -> str:
    """An option, or an argument, as it is written; the opposite of a switch is left unsaid."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    names = sorted(parameter.opts, key=lambda name: name.startswith("--"))
    return ", ".join(names) + ("" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}")


def plain_app(**settings: Any) -> typer.Typer:
    """A Typer application whose help is plain text, and whose errors are ours to show."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings
    )


class LazyGroup(_OwnManners, TyperGroup):
    """A command of commands that imports none to list them, and cuts no description off."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands("")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hand options that every command has on to the command that follows them.

        The name of a shell may follow the options of completion.
        """
        if args[:1] in (["--install-completion"], ["--show-completion"]) and len(args) > 1:
            ctx.meta[_SHELL] = args[1]
            args = args[:1]
        before = _general_words(args)
        if len(args) > before and not args[before].startswith("-"):
            args = [args[before], *args[:before], *args[before + 1 :]]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        if self.commands.get(args[0]) is None and not ctx.resilient_parsing:
            near = nearest(args[0], self.commands, n=1)
            what = f"did you mean {near[0]}?" if near else f"see {ctx.command_path} --help"
            raise UsageError(f"{ctx.command_path} has no command {args[0]!r}; {what}")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, and then the commands in their order, each with its whole sentence."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([*_summaries(self.words).items()])


def _general_words(args: list[str]) -> int:
    """How many words at the beginning are options that every command has, and their values."""
    switches = {f"--{each.name}": each.rule.is_switch for each in map(SHARED.get, GENERAL) if each}
    short = {each.short for each in map(SHARED.get, GENERAL) if each and each.short}
    place = 0
    while place < len(args):
        name, equals, _ = args[place].partition("=")
        if name[:1] == "-" and name[1:] and short.issuperset(name[1:]):  # -q, and -qv as well.
            place += 1
        elif name in switches:
            place += 1 if switches[name] or equals else 2
        else:
            break
    return place


def show_help(context: typer.Context) -> NoReturn:
    """Show what there is to say after these words.

    They are no whole command all the same: a script whose variable is empty should notice, and its
    output should hold no help.
    """
    for line in context.get_help().splitlines():
        say(line)
    raise typer.Exit(WRONG_USE)


def _show_help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show_help(context)


app = plain_app(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})


def _completion(ctx: typer.Context, param: Any, value: bool | None) -> None:
    if not value or ctx.resilient_parsing:
        return
    completion: Any = import_module("typer.completion")  # which names no public functions
    # The shell that is named, else the one that the command was called from, else the user's.
    detected = getattr(completion, "_get_shell_name", lambda: None)
    user = os.path.basename(os.environ.get("SHELL", ""))
    shell = ctx.meta.get(_SHELL) or detected() or user
    if shell not in _SHELLS:
        option = param.opts[0]
        why = f"no completion for {shell!r}; name {', '.join(_SHELLS[:-1])} or {_SHELLS[-1]}"
        raise UsageError(f"{option}: {why} after it")
    completion.completion_init()
    about = {"prog_name": "zoo", "complete_var": _COMPLETE, "shell": shell}
    if param.name == "show_completion":
        emit(completion.get_completion_script(**about) + "\n")
        raise typer.Exit()
    try:
        _, path = completion.install(**about)
    except OSError as error:
        raise Failure(f"completion is not installed: {error}") from error
    say(f"{path}: completion for {shell} installed; new shells have it")
    raise typer.Exit()


@app.callback(invoke_without_command=True)
@general_too
def _zoo(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version and exit.")
    ] = False,
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_completion,
            is_eager=True,
            help="Install completion for this shell, or for the bash, zsh or fish that follows.",
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            callback=_completion,
            is_eager=True,
            help="Show the script of completion, to copy or customise it.",
        ),
    ] = False,
    **general: Any,
) -> None:
    """Keeps a model zoo honest: re-measures the numbers that it documents, and says which hold."""
    if version:
        from zoo import __version__

        emit(f"zoo {__version__}\n")
        raise typer.Exit()
    _show_help_alone(context)


def run(arguments: list[str] | None) -> object:
    """Run the command; its exit status, or what it returned."""
    if _COMPLETE in os.environ:
        completion: Any = import_module("typer.completion")
        completion.completion_init()
    command = typer.main.get_command(app)
    try:
        return command.main(args=arguments, prog_name="zoo", standalone_mode=False)
    except SystemExit as ended:  # After a completion.
        return ended.code
