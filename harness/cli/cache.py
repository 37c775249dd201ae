"""`zoo cache info` and `zoo cache clear`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.output import Failure, aligned, emit
from harness.config.commands import COMMANDS
from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from harness.run.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode=None, help=COMMANDS["cache"])


@app.command()
def info() -> None:
    """Where the measurements are kept, how many there are, and of what kinds."""
    with _store() as store:
        for name, value in store.info().items():
            if isinstance(value, Mapping) and value:
                kinds = aligned([(str(kind), str(count)) for kind, count in value.items()])
                emit(f"{name}:\n" + "".join(f"  {line}\n" for line in kinds))
            else:
                emit(f"{name}: {for_terminal(str(value or 0))}\n")


@app.command()
def clear() -> None:
    """Delete all measurements; the next run makes them anew."""
    import sqlite3

    from harness.run.store import StoreError, default_path
    from zoo._util.text import plural

    try:
        with _store() as store:
            count = store.clear()
    except Failure as error:
        # A file that is locked or can't be reached is one more error of a derived class.
        cause = error.__cause__
        if not isinstance(cause, StoreError) or type(cause.__cause__) is not sqlite3.DatabaseError:
            raise
        path = default_path()
        for name in (path, f"{path}-wal", f"{path}-shm"):
            Path(name).unlink(missing_ok=True)
        emit(f"{path} was damaged, and is removed\n")
        return
    emit(f"{plural(count, 'measurement')} removed\n")


@contextmanager
def _store() -> Iterator[Store]:
    from harness.run.store import Store, StoreError

    try:
        with closing(Store.open(None)) as store:
            yield store
    except StoreError as error:
        raise Failure(str(error)) from error
