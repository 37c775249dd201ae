"""The store of measurements: SQLite in WAL mode, under the user's cache folder.

Every measurement is committed as it comes, so a run that is killed loses at most the one it was
making, and two runs at once see each other's. A store that can't be opened or is damaged costs
the reuse and nothing else: the run says so and measures anew. What a row has to be is said in
`harness.run.rows`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.run.rows import ALL, COLUMNS, DamagedRow, Wanted, pack, unpack, why_unfit
from harness.types import Measurement
from zoo._util.files import make_private
from zoo._util.text import plural, shown

# As SQLite keeps it: a table of another text is not ours.
_TABLE = (
    "CREATE TABLE measurements (key TEXT PRIMARY KEY, kind TEXT NOT NULL, builder TEXT NOT NULL, "
    "name TEXT NOT NULL, made TEXT NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL) "
    "WITHOUT ROWID"
)
_FIELDS = ", ".join((*COLUMNS, "digest"))
# A longer body is none of ours, and is not read into memory.
_MOST_BYTES = 64 << 20
_LENGTH = "length(CAST(body AS BLOB))"
_SELECT = f"SELECT {_FIELDS} FROM measurements WHERE {_LENGTH} <= {_MOST_BYTES}"
_SHORT = _FIELDS.replace("body", f"CASE WHEN {_LENGTH} <= {_MOST_BYTES} THEN body END")
_SELECT_ALL = f"SELECT CAST(key AS BLOB), {_LENGTH} > {_MOST_BYTES}, {_SHORT} FROM measurements"


# The folder of predictions, and how a row names one of its files (`harness.run.predictions`).
FOLDER = "predictions-1"
_FILE = re.compile(rb'"predictions": \["([0-9a-f]{32})"')

# For another run's commit, which takes milliseconds.
_WAIT_SECONDS = 2.0
# What SQLite says where the file itself may be whole.
_OUTSIDE = ("locked", "readonly", "unable to open", "disk is full", "interrupted")


class StoreError(Exception):
    """The store can't be used; the message says which file, why, and what to do.

    Attributes:
        damaged: the file is no store any more, and one made anew would do.
        locked: another process has held it for too long.
    """

    def __init__(self, message: str, damaged: bool = False, locked: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged
        self.locked = locked


def default_path() -> Path:
    """Where the store is, unless a caller says otherwise."""
    from platformdirs import user_cache_path

    return user_cache_path("zoo") / "measurements-1.sqlite"


class Store:
    """Measurements by key. Open one with `Store.open`, and close it.

    A store that another process keeps locked is left alone from then on: each statement would wait
    for it anew.

    Attributes:
        path: the store's file.
        kept: what was put into it.
        dropped: which rows were removed since they were not to be believed, and why.
        reads, keeps: whether it is still read, and written.
        warn: is given the line that says that it isn't.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path
        self.reads = self.keeps = True
        self.warn: Callable[[str], None] | None = None
        self._broken: str | None = None
        self.dropped: list[str] = []
        self.kept: list[Measurement] = []

    @property
    def failure(self) -> str | None:
        """Why measurements could not be read or kept, in one line; None while all goes well."""
        if self._broken is not None or not self.dropped:
            return self._broken
        return (
            f"{self.path}: {plural(len(self.dropped), 'stored measurement')} removed, to be made "
            f"anew: {self.dropped[0]}"
        )

    @classmethod
    def open(cls, path: Path | None = None) -> Store:
        """Open the store, making it where there is none.

        Raises:
            StoreError: the file or its folder can't be used.
        """
        path = path or default_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise OSError("it is not a regular file")
            # SQLite gives the files beside it the mode that this one has.
            make_private(path)
            # Each statement is its own transaction; a writer waits for another one's commit.
            db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            db.text_factory = bytes  # What is no UTF-8 is damaged, and is found out row by row.
            store = cls(db, path)
            with _plain_errors(path):
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute("PRAGMA trusted_schema=OFF")
                db.execute("PRAGMA cell_size_check=ON")
                store._make_table()
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError(
                f"{path}: the measurement store can't be used ({error}); set XDG_CACHE_HOME to a "
                "folder that can be written, or run with --no-store"
            ) from error
        return store

    def get(
        self, key: str, unfit: Callable[[Measurement], str] = lambda fact: ""
    ) -> Measurement | None:
        """The measurement of that key, None where there is none that can be believed.

        One that is ``unfit``, not the one that was asked for by this reason, is removed, and so is
        a row that was damaged.
        """
        if not self.reads:
            return None
        try:
            with _plain_errors(self.path):
                row = self._db.execute(f"{_SELECT} AND key=?", (key,)).fetchone()
            if row is None:
                return None
            why = "another row has its key" if row[0] != key.encode() else ""
            fact = unpack(row)
            why = why or unfit(fact)
        except StoreError as error:
            self._fail(error, reading=True)
            return None
        except DamagedRow as error:
            why = str(error)
        if not why:
            return fact
        self._drop(key, why, row)
        return None

    def put(self, key: str, measurement: Measurement) -> None:
        """Keep a measurement, where that is possible; one of the same key gives way."""
        if not self.keeps:
            return
        try:
            row = pack(key, measurement)
            with _plain_errors(self.path):
                self._db.execute("INSERT OR REPLACE INTO measurements VALUES (?,?,?,?,?,?,?)", row)
            self.kept.append(measurement)
        except StoreError as error:
            self._fail(error)
        except (ValueError, TypeError, RecursionError) as error:
            self._broken = f"{self.path}: a measurement can't be kept ({error})"

    def has_of(self, builder: str) -> bool:
        """Whether there is any measurement of that builder's models."""
        with _plain_errors(self.path):
            query = "SELECT 1 FROM measurements WHERE builder=? LIMIT 1"
            return self._db.execute(query, (builder,)).fetchone() is not None

    def drop(self, keys: Iterable[str]) -> None:
        with _plain_errors(self.path):
            self._db.executemany("DELETE FROM measurements WHERE key=?", [(k,) for k in keys])

    def check(self) -> list[str]:
        """Remove every row that is no measurement of its kind; which these were, and why.

        Raises:
            StoreError: the file is damaged.
        """
        unfit: list[tuple[bytes, str, Sequence[Any]]] = []
        with _plain_errors(self.path):
            (sound,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != b"ok":
                text = sound.decode("utf-8", "replace").replace("\n", " ")
                raise sqlite3.DatabaseError(text)
            # One pass: a key that is no text is not looked up by the table's order.
            for key, long, *row in self._db.execute(_SELECT_ALL):
                if long:
                    unfit.append((key, "it is too long", ()))
                    continue
                try:
                    why = why_unfit(unpack(row))
                except DamagedRow as error:
                    why = str(error)
                if why:
                    unfit.append((key, why, row))
        for key, why, named in unfit:
            self._drop(key, why, named)
        return list(self.dropped)

    def info(self) -> dict[str, Any]:
        """Where the store is, how many measurements of which kinds it holds, and its bytes."""
        with _plain_errors(self.path):
            rows = self._db.execute(
                "SELECT CAST(kind AS BLOB), COUNT(*) FROM measurements GROUP BY 1 ORDER BY 1"
            ).fetchall()
        kinds = {kind.decode("utf-8", "replace"): count for kind, count in rows}
        beside = (Path(f"{self.path}-wal"), Path(f"{self.path}-shm"))
        files = (self.path, *beside, *self._predictions())
        return {
            "path": str(self.path),
            "measurements": sum(kinds.values()),
            "bytes": sum(f.stat().st_size for f in files if f.exists()),
            "kinds": kinds,
        }

    def count(self, wanted: Wanted = ALL) -> int:
        """How many measurements `clear` would remove."""
        where, values = wanted.condition()
        with _plain_errors(self.path):
            query = f"SELECT COUNT(*) FROM measurements{where}"
            (count,) = self._db.execute(query, values).fetchone()
        return int(count)

    def clear(self, wanted: Wanted = ALL) -> int:
        where, values = wanted.condition()
        with _plain_errors(self.path):
            count = self._db.execute(f"DELETE FROM measurements{where}", values).rowcount
            self._db.execute("VACUUM")
            rows = self._db.execute("SELECT body FROM measurements WHERE kind='accuracy'")
            named = {name for (body,) in rows for name in _FILE.findall(body)}
        for file in self._predictions():  # Nobody else knows what is in them.
            if file.name.encode() not in named:
                file.unlink(missing_ok=True)
        return int(count)

    def _predictions(self) -> list[Path]:
        folder = self.path.parent / FOLDER
        return [*folder.iterdir()] if folder.is_dir() else []

    def close(self) -> None:
        self._db.close()

    def _make_table(self) -> None:
        """Make the table; what another program, or another version, left in its place is removed.

        A table without digests can't be checked, and triggers would change what is written.
        """
        listed = "SELECT type, name, sql FROM sqlite_master WHERE lower(tbl_name)='measurements'"
        found = self._db.execute(listed).fetchall()
        if found == [(b"table", b"measurements", _TABLE.encode())]:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            # Another run may have made it meanwhile.
            found = self._db.execute(listed).fetchall()
            if found != [(b"table", b"measurements", _TABLE.encode())]:
                held = 0
                with suppress(sqlite3.Error):
                    (held,) = self._db.execute("SELECT COUNT(*) FROM measurements").fetchone()
                self.dropped += ["it is of another version of zoo"] * held
                for kind, name, _ in found:
                    if kind in (b"table", b"view", b"trigger"):
                        quoted = name.decode().replace('"', '""')
                        self._db.execute(f'DROP {kind.decode()} IF EXISTS "{quoted}"')
                self._db.execute(_TABLE)
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _drop(self, key: str | bytes, why: str, row: Sequence[Any] = ()) -> None:
        """Remove a row that is not to be believed, where that is possible."""
        whose = ""
        with suppress(ValueError, AttributeError, IndexError):
            whose = f"{shown(row[1].decode())} of {shown(row[3].decode())}: "
        self.dropped.append(f"{whose}{why}")
        if not self.keeps:
            return
        # Bytes may be those of a text; either is found by the table's order.
        where = "key=?1" if isinstance(key, str) else "key IN (?1, CAST(?1 AS TEXT))"
        try:
            with _plain_errors(self.path):
                self._db.execute(f"DELETE FROM measurements WHERE {where}", (key,))
        except StoreError as error:
            if error.locked:
                self._fail(error)

    def _fail(self, error: StoreError, *, reading: bool = False) -> None:
        """Note an error; a locked store is not waited for again."""
        if not error.locked:
            self._broken = str(error)
            return
        self.keeps, self.reads = False, self.reads and not reading
        line = f"{self.path}: another process has held the measurement store for "
        line += f"{_WAIT_SECONDS:g} s; nothing more is kept in this run"
        if self.warn is None:
            self._broken = line
        else:
            self.warn(line)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as one line that says what to do."""
    try:
        yield
    # SQLite names what it stumbled over, in bytes that need not be text.
    except (sqlite3.Error, UnicodeDecodeError) as error:
        text = "its schema can't be read" if isinstance(error, ValueError) else str(error)
        text = " ".join(text.split())
        damaged = not any(words in text for words in _OUTSIDE)
        locked = "locked" in text
        if locked:
            advice = "another run holds it; try again"
        elif damaged:
            advice = "zoo cache check mends it; or run with --no-store"
        else:
            advice = "set XDG_CACHE_HOME to a folder that can be written, or run with --no-store"
        message = f"{path}: the measurement store failed ({text}); {advice}"
        raise StoreError(message, damaged, locked) from error
