"""The `zoo` command: its subcommands, each loaded when it is named, and shell completion."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli.output import WRONG_USE, Failure, emit, say
from harness.config import UsageError
from harness.config.commands import COMMANDS

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
}

# The words of the command line.
invoked: list[str] = []


class _Commands(dict[str, Any]):
    """Each command by its name; its module is imported when it is asked for."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = _loaded(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The command, or the default where there is none of that name."""
        try:
            return self[name]
        except KeyError:
            return default


def _loaded(name: str) -> Any:
    place, _, function = _PLACES.get(name, f"{name}:{name}").partition(":")
    module = import_module(f"harness.cli.{place}")
    made = getattr(module, "app", None)
    if made is None:
        made = plain_app()
        base = getattr(module, "COMMAND_CLASSES", {}).get(name, TyperCommand)
        cls = type(base.__name__, (_TakesAsWritten, base), {})
        made.command(name, cls=cls)(getattr(module, function))
    found: Any = typer.main.get_command(made)
    found.name = name
    return found


class _Written:
    """Hands on a value, or the several of one option, as the command line has it."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value; an empty tuple where there may be several and is none."""
        return () if value is None and (param.multiple or param.nargs == -1) else value


class _TakesAsWritten:
    """A command whose text is read by rules of our own, and by no validators of pydantic's.

    Newer versions of Typer make one for each option, given or not, which takes as long as the rest
    of a warm run. Others have no such attribute, and don't look at it.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's parameters, and its help."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for each in parameters:
            descriptor = getattr(each, "type_descriptor", None)
            if descriptor is not None and descriptor.annotation in (str, bool, list[str]):
                each._runtime_param = _Written()
        return parameters


def plain_app(**settings: Any) -> typer.Typer:
    """A Typer application whose help is plain text, and whose errors are ours to show."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings
    )


class LazyGroup(_TakesAsWritten, TyperGroup):
    """A command of commands that imports none to list them, and cuts no description off."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Take the name of a shell that may follow the options of completion."""
        if args[:1] in (["--install-completion"], ["--show-completion"]) and len(args) > 1:
            ctx.meta[_SHELL] = args[1]
            args = args[:1]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the commands in their order, each with its whole sentence."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def show_help(context: typer.Context) -> NoReturn:
    """Show what there is to say after these words.

    They are no whole command all the same: a script whose variable is empty should notice, and its
    output should hold no help.
    """
    for line in context.get_help().splitlines():
        say(line)
    raise typer.Exit(WRONG_USE)


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
        raise UsageError(f"zoo: {option}: {why} after it")
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
) -> None:
    """Keeps a model zoo honest: re-measures the numbers that it documents, and says which hold."""
    if version:
        from zoo import __version__

        emit(f"zoo {__version__}\n")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        show_help(context)


def run(arguments: list[str] | None) -> object:
    """Run the command; its exit status, or what it returned."""
    if _COMPLETE in os.environ:
        completion: Any = import_module("typer.completion")
        completion.completion_init()
    command = typer.main.get_command(app)
    invoked[:] = sys.argv[1:] if arguments is None else arguments
    try:
        return command.main(args=arguments, prog_name="zoo", standalone_mode=False)
    except SystemExit as ended:  # After a completion.
        return ended.code
