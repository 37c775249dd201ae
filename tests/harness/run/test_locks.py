"""What another process keeps locked: no wait is without a bound, none over two seconds silent."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from filelock import FileLock

from harness.datasets import cache as decoded
from harness.edit.add_insert import file_lock
from harness.run import store as stores
from harness.run.store import Store
from harness.types import Measurement
from zoo.errors import BadInput
from zoo.training.run_dir import RunDir
from zoo.weights.cache import Cache, url_digest
from zoo.weights.partial import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def patience(monkeypatch):
    """A statement waits for a part of its two seconds here."""
    assert stores._WAIT_SECONDS == 2.0
    monkeypatch.setattr(stores, "_WAIT_SECONDS", 0.3)


STORE = ("zoo", "measurements-1.sqlite")
HOLD = {
    "a writer": ["BEGIN IMMEDIATE", "DELETE FROM measurements WHERE key='x'"],
    "an exclusive writer": ["BEGIN EXCLUSIVE"],
    "a reader that lets no one in": [
        "PRAGMA locking_mode=EXCLUSIVE",
        "BEGIN IMMEDIATE",
        "CREATE TABLE another (a)",
        "COMMIT",
    ],
    "one that wants no WAL": ["PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE"],
}


@contextmanager
def held(path, statements):
    db = sqlite3.connect(path, isolation_level=None)
    try:
        for statement in statements:
            db.execute(statement)
        yield
    finally:
        db.close()


@pytest.mark.parametrize("how", HOLD)
def test_a_store_that_is_locked_costs_one_wait_and_one_line(
    how, patience, zoo, index_of, store_home
):
    arguments = ["--index", str(index_of(["resnest14d", "resnest26d", "resnest50d"])), "--all"]
    arguments += ["--checks", "parameters", "--format", "json"]
    path = store_home.joinpath(*STORE)
    free = zoo("verify", *arguments, "--no-store")
    Store.open(path).close()
    with held(path, HOLD[how]):
        for command in (["cache", "info"], ["cache", "clear", "--yes"]):
            begun = time.monotonic()
            zoo(*command)
            assert time.monotonic() - begun < 30, command
        done = zoo("verify", *arguments)
    assert done.returncode == free.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "measurement store" in line]
    assert len(lines) == 1, done.stderr
    assert "another" in lines[0]
    again = zoo("verify", *arguments)
    assert "measurement store" not in again.stderr
    assert "no measurements kept from earlier runs" in again.stderr


def test_statements_wait_once(tmp_path, patience):
    """However many measurements there are to keep or to look for, and whatever comes first."""
    fact = Measurement("structure", "a", "zoo", {"parameters": 1}, None, "", {}, "meta", "2020")
    for how in ("a writer", "an exclusive writer"):
        statements = HOLD[how]
        path = tmp_path / f"{len(how)}.sqlite"
        store = Store.open(path)
        said = []
        store.warn = said.append
        with held(path, statements):
            begun = time.monotonic()
            for number in range(150):
                store.put(f"{number}", fact)
                store.get(f"{number}")
            assert time.monotonic() - begun < 60, how
        assert len(said) == 1, how
        assert "nothing more is kept in this run" in said[0]
        store.put("late", fact)
        store.close()
        with Store.open(path)._db as db:
            assert db.execute("SELECT count(*) FROM measurements").fetchone() == (0,)


def test_every_other_lock_has_a_bound_and_a_word(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = Cache(tmp_path / "hub")
    cache.prepare()
    monkeypatch.setattr("zoo.weights.cache._NAME_LOCK_S", 3.0)
    monkeypatch.setattr("zoo.training.run_dir._LOCK_SECONDS", 3.0)
    root, page, training = (tmp_path / name for name in ("decoded", "page.yml", "training"))
    for folder in (root, training):
        folder.mkdir()
    made = root / "set"
    os.close(decoded.enter(made, {}, lambda folder: None))
    digest = url_digest("https://x.example/a.pth")

    def names_lock():
        with cache._name_lock("a.pth"):
            raise AssertionError("it was locked")

    def page_lock():
        with file_lock(page, 3.0):
            raise AssertionError("it was locked")

    def downloads():
        assert not wait_for(cache.lock(digest), 3.0, "a.pth", threading.Event())
        raise TimeoutError

    plan = SimpleNamespace(settings=SimpleNamespace(output=training))
    waits = {
        "names": (names_lock, TimeoutError),
        "a page": (page_lock, TimeoutError),
        "a download": (downloads, TimeoutError),
        "a training": (RunDir(plan).enter, BadInput),
        "room for images": (lambda: decoded.make_room(root, 1, 1), TimeoutError),
        "decoded images": (lambda: decoded.enter(made, {}, lambda folder: None), TimeoutError),
    }
    locks = tmp_path / "cache" / "zoo" / "locks"
    locks.mkdir(parents=True)
    paths = [
        cache.own / "locks" / f"name-{url_digest('a.pth')}.lock",
        cache.own / "locks" / f"{digest}.lock",
        locks / f"{hashlib.sha256(os.fsencode(os.path.realpath(page))).hexdigest()[:16]}.lock",
        training / ".lock",
        root / ".lock",
    ]
    held_locks = [FileLock(path) for path in paths]
    for lock in held_locks:
        lock.acquire(timeout=0)
    alone = os.open(made / "use.lock", os.O_RDWR)
    fcntl.flock(alone, fcntl.LOCK_EX)

    def wait(name):
        act, error = waits[name]
        begun = time.monotonic()
        with pytest.raises(error) as caught:
            act()
        assert "\n" not in str(caught.value)
        return time.monotonic() - begun

    with caplog.at_level(logging.WARNING, "zoo"), ThreadPoolExecutor(len(waits)) as pool:
        seconds = dict(zip(waits, pool.map(wait, waits), strict=True))
    os.close(alone)
    for lock in held_locks:
        lock.release()
    assert max(seconds.values()) < 60, seconds
    lines = [record.getMessage() for record in caplog.records]
    # The others wait for no more than two seconds, of which nothing need be said.
    long = ("names", "a page", "a download", "a training")
    assert min(seconds[name] for name in long) > 2.9
    assert len(lines) >= len(long), (lines, seconds)
    assert all("another process holds it; waiting up to" in line for line in lines)


def test_images_are_decoded_where_their_cache_is_locked(tmp_path, monkeypatch):
    """A wait of two seconds, not one for each batch of images or for each preprocessing."""
    from PIL import Image

    from harness.datasets import DecodedSet, open_image_set
    from zoo.preprocessing import Preprocessing

    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(20):
        Image.new("RGB", (40, 40), (number, 9, 9)).save(folder / f"{number:02}.png")
    (folder / "labels.txt").write_text("".join(f"{n:02}.png {n}\n" for n in range(20)))
    images, root = open_image_set(folder), tmp_path / "decoded"
    root.mkdir()
    waits, real = [], decoded.take_lock

    def take_lock(lock, seconds, name):
        waits.append(seconds)
        return real(lock, seconds / 10, name)

    monkeypatch.setattr(decoded, "take_lock", take_lock)
    with FileLock(root / ".lock"):
        for size in (16, 24, 32):
            small = Preprocessing.from_settings(size, 1.0)
            with DecodedSet.open(images, small, root=root) as opened:
                for start in range(0, 20, 5):
                    assert opened.get(range(start, start + 5)).pixels.any()
                assert "another process has held the cache" in opened.kept_out
    assert waits == [2.0, *[0] * (len(waits) - 1)]
    with DecodedSet.open(images, small, root=root) as opened:
        opened.get(range(20))
        assert opened.kept_out is None
