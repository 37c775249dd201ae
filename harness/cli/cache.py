"""`zoo cache info`, `zoo cache check` and `zoo cache clear`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from harness.cli.app import plain_app, show_help
from harness.cli.options import completion
from harness.cli.output import Failure, aligned, emit, is_terminal, say
from harness.config import UsageError
from harness.config.commands import COMMANDS
from harness.config.rules import age, choice
from zoo._util.text import for_terminal, plural

if TYPE_CHECKING:
    from harness.run.store import Store

_T = TypeVar("_T")
# So many rows that were removed are named.
_MOST_LINES = 20


class _CacheGroup(TyperGroup):
    """The commands, each listed with its whole first sentence."""

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (
                        name,
                        " ".join((each.help or "").split()).partition(". ")[0].removesuffix(".")
                        + ".",
                    )
                    for name, each in self.commands.items()
                ]
            )


app = plain_app(cls=_CacheGroup, help=COMMANDS["cache"])


@app.callback(invoke_without_command=True)
def _cache(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show_help(context)


@app.command()
def info() -> None:
    """Where the measurements are kept, how many there are, and of what kinds."""
    from harness.run.store import StoreError

    try:
        with _store() as store:
            about = store.info()
    except StoreError as error:
        raise Failure(str(error)) from error
    for name, value in about.items():
        if isinstance(value, Mapping) and value:
            kinds = aligned([(for_terminal(kind), str(count)) for kind, count in value.items()])
            emit(f"{name}:\n" + "".join(f"  {line}\n" for line in kinds))
        else:
            emit(f"{name}: {for_terminal(str(value or 0))}\n")


@app.command()
def check() -> None:
    """Remove what is damaged among the measurements; the next run makes it anew."""
    found = _used(lambda store: (store.check(), store.info()["measurements"]))
    if found is None:
        return
    removed, kept = found
    for line in removed[:_MOST_LINES]:
        emit(f"{for_terminal(line)}\n")
    if len(removed) > _MOST_LINES:
        emit(f"and {len(removed) - _MOST_LINES} more\n")
    emit(f"{plural(kept, 'measurement')} whole, {len(removed)} removed\n")


def _all_kinds() -> tuple[str, ...]:
    from harness.run.rows import KINDS

    return KINDS


@app.command()
def clear(
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            help="Those of these kinds alone, with commas between them, as zoo cache info names "
            "them: flops,accuracy.",
            show_default=False,
            autocompletion=completion(_all_kinds),
        ),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Those alone that were made longer ago: 30d, 12h or 90m; 30 is 30 days.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete measurements, all by default; the next run makes them anew. On a terminal it asks
    first, and elsewhere it wants --yes.
    """
    kinds, before = _kinds(kind), _before(older_than)
    if not yes and not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise UsageError(
            "zoo cache clear: deletes measurements, and there is no terminal to ask on; say --yes"
        )
    whole = not kinds and before is None
    if not yes and not _confirmed(kinds, before, whole=whole):
        return
    count = _used(lambda store: store.clear(kinds, before), whole=whole)
    if count is not None:
        emit(f"{plural(count, 'measurement')} removed\n")


def _kinds(given: list[str] | None) -> list[str]:
    rule = choice("a kind of measurement", *_all_kinds())
    words = [word.strip() for each in given or () for word in each.split(",")]
    try:
        return [rule.check(word) for word in words]
    except ValueError as error:
        raise UsageError(f"--kind: {error}") from error


def _before(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return datetime.now(timezone.utc) - age(given)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from error


def _confirmed(kinds: list[str], before: datetime | None, *, whole: bool) -> bool:
    """Whether the person at the terminal wants them deleted; not asked where there are none."""
    from harness.run.store import StoreError, default_path

    try:
        with _store() as store:
            count = store.count(kinds, before)
        if not count:
            emit("no measurement to remove\n")
            return False
        what = f"delete {plural(count, 'measurement')} of {default_path()}"
    except StoreError as error:
        if not error.damaged or not whole:
            raise Failure(str(error)) from error
        what = f"delete {default_path()}, which is damaged"
    sys.stderr.write(f"{for_terminal(what)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was removed")
    return False


def _used(use: Callable[[Store], _T], *, whole: bool = True) -> _T | None:
    """What is done with the store; None where its file was damaged, which is removed then.

    Of a damaged file no part can be made out, so that it stays unless ``whole``.
    """
    from harness.run.store import StoreError, default_path

    try:
        with _store() as store:
            return use(store)
    except StoreError as error:
        if not error.damaged or not whole:
            raise Failure(str(error)) from error
    path = default_path()
    for name in (path, f"{path}-wal", f"{path}-shm"):
        Path(name).unlink(missing_ok=True)
    emit(f"{path} was damaged, and is removed\n")
    return None


@contextmanager
def _store() -> Iterator[Store]:
    from harness.run.store import Store

    with closing(Store.open(None)) as store:
        yield store
