"""`zoo cache info`, `zoo cache check` and `zoo cache clear`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.cli.options import command
from harness.cli.output import Failure, aligned, emit, is_terminal, say
from harness.config import RunConfig, UsageError
from harness.run.rows import ALL, Wanted
from zoo._util.text import for_terminal, plural

if TYPE_CHECKING:
    from harness.run.store import Store

_T = TypeVar("_T")
# So many rows that were removed are named.
_MOST_LINES = 20


@command(name="cache info")
def info(config: RunConfig) -> None:
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


@command(name="cache check")
def check(config: RunConfig) -> None:
    found = _used(lambda store: (store.check(), store.info()["measurements"]))
    if found is None:
        return
    removed, kept = found
    for line in removed[:_MOST_LINES]:
        emit(f"{for_terminal(line)}\n")
    if len(removed) > _MOST_LINES:
        emit(f"and {len(removed) - _MOST_LINES} more\n")
    emit(f"{plural(kept, 'measurement')} whole, {len(removed)} removed\n")


@command(name="cache clear")
def clear(
    config: RunConfig,
    *,
    kind: tuple[str, ...],
    variant: tuple[str, ...],
    older_than: timedelta | None,
    yes: bool,
) -> None:
    """On a terminal it asks first, and elsewhere it wants --yes."""
    if not yes and not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise UsageError(
            "there is no terminal to ask on before measurements are deleted; say --yes"
        )
    before = None if older_than is None else datetime.now(timezone.utc) - older_than
    wanted = Wanted(kind, variant, before)
    if not yes and not _confirmed(wanted):
        return
    count = _used(lambda store: store.clear(wanted), whole=wanted == ALL)
    if count is not None:
        emit(f"{plural(count, 'measurement')} removed\n")


def _confirmed(wanted: Wanted) -> bool:
    """Whether the person at the terminal wants them deleted; not asked where there are none."""
    from harness.run.store import StoreError, default_path

    try:
        with _store() as store:
            count = store.count(wanted)
        if not count:
            emit("no measurement to remove\n")
            return False
        what = f"delete {plural(count, 'measurement')} of {default_path()}"
    except StoreError as error:
        if not error.damaged or wanted != ALL:
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
