"""The store of measurements under two writers, kills, damage and folders that can't be written."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from harness.run.store import Store, StoreError, default_path
from harness.types import Measurement

WRITER = """
import sys
from pathlib import Path
from harness.run.store import Store
from harness.types import Measurement

store = Store.open(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    body = {"parameters": i, "filler": "x" * 500}
    fact = Measurement("structure", sys.argv[2], "zoo", body, None, "", {}, "meta", "2020-01-01")
    store.put(f"{sys.argv[2]} {i}", fact)
    print(i, flush=True)
"""


def fact(**changes) -> Measurement:
    fields = {
        "kind": "flops",
        "name": "resnest50d",
        "builder": "zoo",
        "value": {"counts": [{"convention": "macs", "value": 5371160576}], "text": "é\u2028"},
        "image_size": (224, 285),
        "method": "by hand",
        "versions": {"torch": "2.4"},
        "device": "meta",
        "made": "2020-04-19T00:00:00+00:00",
    }
    return Measurement(**(fields | changes))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "store.sqlite"


def test_what_is_kept_comes_back(path):
    facts = {
        "a": fact(),
        "b": fact(kind="structure", image_size=None),
        "c": fact(kind="accuracy", image_size=None, part="0-500"),
    }
    store = Store.open(path)
    for key, value in facts.items():
        store.put(key, value)
    store.put("a", facts["a"])
    store.close()
    store = Store.open(path)
    assert {key: store.get(key) for key in facts} == facts
    assert store.get("d") is None
    assert store.info()["kinds"] == {"accuracy": 1, "flops": 1, "structure": 1}
    store.drop(["b"])
    assert store.get("b") is None
    assert store.clear() == 2
    assert store.info()["measurements"] == 0


def test_the_default_is_below_the_cache_folder(store_home):
    assert default_path() == store_home / "zoo" / "measurements-1.sqlite"


def writer(path, name, count, environment, stderr=subprocess.PIPE):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def test_several_processes_write_at_once(path, environment):
    writers = [writer(path, name, 150, environment) for name in ("a", "b", "c")]
    for process in writers:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    store = Store.open(path)
    for name in ("a", "b", "c"):
        for i in (0, 75, 149):
            kept = store.get(f"{name} {i}")
            assert kept is not None
            assert kept.value["parameters"] == i
    assert store.info()["measurements"] == 450


@pytest.mark.parametrize("kill_after", [0, 40, 90])
def test_a_killed_writer_loses_nothing_that_was_kept(path, environment, kill_after):
    process = writer(path, "a", 100_000, environment, stderr=None)
    assert process.stdout is not None
    for _ in range(kill_after + 1):
        said = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    rest, _ = process.communicate()
    said = max([said, *map(int, rest.splitlines()[:-1])])
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = Store.open(path)
    assert all(store.get(f"a {i}") is not None for i in range(said + 1))
    assert said + 1 <= store.info()["measurements"] <= said + 3


def test_another_process_that_holds_the_store_is_waited_for(path):
    one, other = Store.open(path), Store.open(path)
    one.put("a", fact())
    assert other.get("a") == fact()
    other.put("a", fact(device="cpu"))
    assert one.get("a") == fact(device="cpu")


def test_no_database_is_told_in_one_line(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database\n" * 100)
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert str(path) in str(caught.value)
    assert "--no-store" in str(caught.value)
    assert "\n" not in str(caught.value)


ARGUMENTS = ("--all", "--checks", "parameters", "--format", "json")


@pytest.fixture
def index(index_of):
    return index_of(["resnest14d"], "Parameters: 10610000")


@pytest.fixture
def kept(zoo, index, store_home):
    """A store that holds what the index needs."""
    done = zoo("verify", "--index", str(index), *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert "1 variant to build" in done.stderr
    path = store_home / "zoo" / "measurements-1.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("SELECT COUNT(*) FROM measurements").fetchone() == (1,)
    return path


def is_right(done) -> bool:
    """The run measured, whatever the store is like, and its document is whole."""
    (parameters,) = [f for f in json.loads(done.stdout)["findings"] if f["field"] == "Parameters"]
    return done.returncode == 0 and parameters["status"] == "match"


def test_a_kept_fact_is_used_again(kept, zoo, index):
    done = zoo("verify", "--index", str(index), *ARGUMENTS)
    assert is_right(done)
    assert "nothing to build" in done.stderr


def test_the_plan_counts_the_facts_that_the_store_holds(zoo, store_home, index_of):
    index = index_of(["resnest14d"], "FLOPs: 2764157888")
    flops = ("verify", "--index", str(index), "--all", "--checks", "flops")
    assert "no measurements kept from earlier runs" in zoo(*flops).stderr
    path = store_home / "zoo" / "measurements-1.sqlite"
    with sqlite3.connect(path) as db:
        held = db.execute("SELECT COUNT(*) FROM measurements").fetchone()[0]
    # A number that does not hold asks for counts on other inputs, which are not there yet.
    index.write_text(index.read_text().replace("2764157888", "3548594464"))
    done = zoo(*flops)
    assert (
        f"1 variant to build, {held} measurement{'s'[: held != 1]} kept from earlier runs"
        in done.stderr
    )
    index.write_text("Models:\n- Name: resnest13d\n  Metadata:\n    FLOPs: 2764157888\n")
    assert "no measurements kept from earlier runs" in zoo(*flops).stderr


def test_no_store_neither_reads_nor_writes(kept, zoo, index):
    before = kept.read_bytes()
    done = zoo("verify", "--index", str(index), *ARGUMENTS, "--no-store")
    assert is_right(done)
    assert "1 variant to build" in done.stderr
    assert kept.read_bytes() == before


def test_refresh_measures_anew_and_keeps_it(kept, zoo, index):
    with sqlite3.connect(kept) as db:
        (key,) = db.execute("SELECT key FROM measurements").fetchone()
    store = Store.open(kept)
    fact = store.get(key)
    lie = {"parameters": 1, "trainable": 1, "layers": 1, "by_stage": {"fc": 1}}
    store.put(key, replace(fact, value={**fact.value, **lie}))
    store.close()
    lied = zoo("verify", "--index", str(index), *ARGUMENTS)
    assert lied.returncode == 1  # so it is the stored fact that counts
    done = zoo("verify", "--index", str(index), *ARGUMENTS, "--refresh")
    assert is_right(done)
    again = zoo("verify", "--index", str(index), *ARGUMENTS)
    assert is_right(again)
    assert "nothing to build" in again.stderr


@pytest.mark.parametrize("damage", ["no database", "pages", "a body", "fields of a body"])
def test_a_damaged_store_costs_the_reuse_alone(damage, kept, zoo, index):
    if damage == "no database":
        kept.write_bytes(b"no database" * 1000)
    elif damage == "pages":
        data = bytearray(kept.read_bytes())
        data[4096:] = b"\xff" * (len(data) - 4096)
        kept.write_bytes(data)
    else:
        body = "no json" if damage == "a body" else '{"image_size": null, "color": "red"}'
        with sqlite3.connect(kept) as db:
            db.execute("UPDATE measurements SET body=?", (body,))
    done = zoo("verify", "--index", str(index), *ARGUMENTS)
    assert is_right(done), done.stderr
    assert str(kept) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["below a file", "a folder", "not writable"])
def test_a_store_that_can_not_be_made_costs_a_warning(place, zoo, index, tmp_path):
    home = tmp_path / "home"
    if place == "below a file":
        home.write_text("a file")
    elif place == "a folder":
        (home / "zoo" / "measurements-1.sqlite").mkdir(parents=True)
    else:
        if os.geteuid() == 0:
            pytest.skip("nothing is read-only to root")
        home.mkdir(mode=0o500)
    done = zoo("verify", "--index", str(index), *ARGUMENTS, XDG_CACHE_HOME=str(home))
    assert is_right(done), done.stderr
    assert "measurement store can't be used" in done.stderr
    assert "Traceback" not in done.stderr


EXPECTED = ("findings", "variants", "summary")


def spoil(path, how):
    """Change the file of a store, as its name says."""
    if callable(how):
        return how(path)
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript(how)
    return None


def cut(share):
    return lambda path: os.truncate(path, int(path.stat().st_size * share))


DROPPED = "removed, to be made anew"
UNUSABLE = "zoo cache check mends it"
# What is done to a store -> what the one line of the run says.
SPOILT = {
    "UPDATE measurements SET body=replace(body, '\"layers\": 14', '\"layers\": 15')": DROPPED,
    "UPDATE measurements SET body='1' || printf('%.*c', 400, '0')": DROPPED,
    "UPDATE measurements SET body=printf('%.*c', 300000, '[')": DROPPED,
    "UPDATE measurements SET body=CAST(x'7bff7d' AS TEXT)": DROPPED,
    "UPDATE measurements SET body=substr(body, 2)": DROPPED,
    "UPDATE measurements SET kind='flops', name='resnest26d'": DROPPED,
    "UPDATE measurements SET digest=substr(digest, 2) || 'f'": DROPPED,
    "CREATE TABLE x AS SELECT key, kind, builder, name, made, body FROM measurements; "
    "DROP TABLE measurements; ALTER TABLE x RENAME TO measurements": DROPPED,
    "ALTER TABLE measurements RENAME TO old; "
    "CREATE VIEW measurements AS SELECT * FROM old": DROPPED,
    "ALTER TABLE measurements ADD COLUMN note TEXT": DROPPED,
    "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql='CREATE ' || sql": UNUSABLE,
    cut(0.3): UNUSABLE,
    cut(0.9): UNUSABLE,
    lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40): UNUSABLE,
}


@pytest.mark.slow
def test_a_run_on_a_spoilt_store_ends_as_on_an_empty_one(zoo, index_of, store_home):
    index = index_of(["resnest14d"], "Parameters: 10610000\nLayers: 15\nFLOPs: 5\nFLOPs Input: 32")
    run = ("verify", "--index", str(index), "--all", "--format", "json")
    run += ("--checks", "metadata,parameters,layers,flops")

    def verdicts(done):
        assert "Traceback" not in done.stderr
        document = json.loads(done.stdout)
        return (done.returncode, *(document[key] for key in EXPECTED))

    expected = verdicts(zoo(*run))
    assert expected[0] == 1  # The layers are not right.
    path = store_home / "zoo" / "measurements-1.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode=DELETE")
    whole = path.read_bytes()
    for how, words in SPOILT.items():
        for command in (run, ("cache", "check")):
            for beside in ("", "-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            path.write_bytes(whole)
            spoil(path, how)
            done = zoo(*command)
            if command is run:
                assert verdicts(done) == expected, how
                (line,) = [line for line in done.stderr.splitlines() if str(path) in line]
                assert words in line, how
                continue
            assert done.returncode == 0, (how, done.stderr)
            assert "removed" in done.stdout, how
            assert not re.search(r"\b0 removed", done.stdout)
            again = zoo("cache", "check").stdout
            assert again.endswith("whole, 0 removed\n"), how
            done = zoo(*run)
            assert verdicts(done) == expected, how
            assert str(path) not in done.stderr, how


def test_a_check_takes_time_in_proportion_to_the_rows(tmp_path):
    """Half of them are damaged, and some have bytes for a key."""

    def seconds(rows):
        store = Store.open(tmp_path / f"{rows}.sqlite")
        value = {"chosen": None, "settings": [], "others": [], "owners": []}
        for i in range(rows):
            changes = {"kind": "preprocess", "value": value, "method": "m" * 4000}
            store.put(f"{i}", fact(name=f"net{i}", image_size=None, **changes))
        store._db.execute("UPDATE measurements SET digest='' WHERE CAST(key AS INT) % 2")
        store._db.execute("UPDATE measurements SET key=CAST(key AS BLOB) WHERE key LIKE '%5'")
        begin = time.process_time()
        removed = store.check()
        taken = time.process_time() - begin
        assert (len(removed), store.info()["measurements"]) == (rows / 2, rows / 2)
        assert all("preprocess of net" in line for line in removed)
        store.close()
        return taken

    assert seconds(1600) < 2.5**2 * seconds(400) + 0.2


def test_a_whole_store_is_told_to_be_whole(kept, zoo):
    done = zoo("cache", "check")
    assert (done.returncode, done.stdout) == (0, "1 measurement whole, 0 removed\n")


def test_a_reader_of_a_profile_is_told_as_well(zoo, index, store_home):
    show = ("show", "resnest14d", "--index", str(index), "--profile", "--depth", "0")
    first = zoo(*show)
    path = store_home / "zoo" / "measurements-1.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE measurements SET body=replace(body, '1', '2')")
    again = zoo(*show)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "1 stored measurement removed, to be made anew: profile of resnest14d" in again.stderr
