"""`zoo cache info`, `zoo cache check` and `zoo cache clear`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from harness.cli.output import Failure, aligned, emit
from harness.config.commands import COMMANDS
from zoo._util.text import for_terminal, plural

if TYPE_CHECKING:
    from harness.run.store import Store

_T = TypeVar("_T")
# So many rows that were removed are named.
_MOST_LINES = 20

app = typer.Typer(add_completion=False, rich_markup_mode=None, help=COMMANDS["cache"])


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


@app.command()
def clear() -> None:
    """Delete all measurements; the next run makes them anew."""
    count = _used(lambda store: store.clear())
    if count is not None:
        emit(f"{plural(count, 'measurement')} removed\n")


def _used(use: Callable[[Store], _T]) -> _T | None:
    """What is done with the store; None where its file was damaged, which is removed then."""
    from harness.run.store import StoreError, default_path

    try:
        with _store() as store:
            return use(store)
    except StoreError as error:
        if not error.damaged:
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
