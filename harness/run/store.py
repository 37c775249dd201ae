"""The store of measurements: SQLite in WAL mode, under the user's cache folder.

Every measurement is committed as it comes, so a run that is killed loses at most the one it was
making, and two runs at once see each other's. A store that can't be opened or is damaged costs
the reuse and nothing else: the run says so and measures anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.types import Measurement
from zoo._util.files import make_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS measurements (
  key TEXT PRIMARY KEY, kind TEXT NOT NULL, builder TEXT NOT NULL, name TEXT NOT NULL,
  made TEXT NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID
"""


# For another run's commit.
_WAIT_SECONDS = 30.0


class StoreError(Exception):
    """The store can't be used; the message says which file, why, and what to do."""


def default_path() -> Path:
    """Where the store is, unless a caller says otherwise."""
    from platformdirs import user_cache_path

    return user_cache_path("zoo") / "measurements-1.sqlite"


class Store:
    """Measurements by key. Open one with `Store.open`, and close it.

    Attributes:
        path: the store's file.
        failure: why a measurement could not be read or kept, None while all goes well.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path
        self.failure: str | None = None

    @classmethod
    def open(cls, path: Path | None = None) -> Store:
        """Open the store, making it where there is none.

        Raises:
            StoreError: the file or its folder can't be used.
        """
        path = path or default_path()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives the files beside it the mode that this one has.
            make_private(path)
            # Each statement is its own transaction; a writer waits for another one's commit.
            db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            with _plain_errors(path):
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                db.execute(_SCHEMA)
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError(
                f"{path}: the measurement store can't be used ({error}); set XDG_CACHE_HOME to a "
                "folder that can be written, or run with --no-store"
            ) from error
        return cls(db, path)

    def get(self, key: str) -> Measurement | None:
        """The measurement of that key, None where there is none that can be read."""
        try:
            with _plain_errors(self.path):
                found = self._db.execute("SELECT body FROM measurements WHERE key=?", (key,))
                row = found.fetchone()
            return None if row is None else _from_json(row[0])
        except StoreError as error:
            self.failure = str(error)
        except (ValueError, TypeError, KeyError):
            self.failure = f"{self.path}: a stored measurement is damaged; zoo cache clear mends it"
        return None

    def put(self, key: str, measurement: Measurement) -> None:
        """Keep a measurement, where that is possible; one of the same key gives way."""
        body = json.dumps(asdict(measurement))
        row = (key, measurement.kind, measurement.builder, measurement.name, measurement.made, body)
        try:
            with _plain_errors(self.path):
                self._db.execute("INSERT OR REPLACE INTO measurements VALUES (?,?,?,?,?,?)", row)
        except StoreError as error:
            self.failure = str(error)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget the measurements of these keys."""
        with _plain_errors(self.path):
            self._db.executemany("DELETE FROM measurements WHERE key=?", [(k,) for k in keys])

    def info(self) -> dict[str, Any]:
        """Where the store is, how many measurements of which kinds it holds, and its bytes."""
        with _plain_errors(self.path):
            rows = self._db.execute(
                "SELECT kind, COUNT(*) FROM measurements GROUP BY kind ORDER BY kind"
            ).fetchall()
        kinds = dict(rows)
        files = (self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm"))
        return {
            "path": str(self.path),
            "measurements": sum(kinds.values()),
            "bytes": sum(f.stat().st_size for f in files if f.exists()),
            "kinds": kinds,
        }

    def clear(self) -> int:
        """Empty the store; return how many measurements it held."""
        with _plain_errors(self.path):
            count = self._db.execute("DELETE FROM measurements").rowcount
            self._db.execute("VACUUM")
        return int(count)

    def close(self) -> None:
        """Close the store's file."""
        self._db.close()


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as one line that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            advice = "another run holds it; try again"
        else:
            advice = "remove that file, or run with --no-store"
        raise StoreError(f"{path}: the measurement store failed ({error}); {advice}") from error


def _from_json(text: str) -> Measurement:
    body = json.loads(text)
    if body["image_size"] is not None:
        body["image_size"] = tuple(body["image_size"])
    return Measurement(**body)
