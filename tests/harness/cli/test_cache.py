"""`zoo cache clear` removes what was asked for, and asks before it does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cli import said

from harness.run.rows import KINDS
from harness.run.store import Store

DAYS = {"structure": 0, "flops": 10, "profile": 40, "accuracy": 400}


@pytest.fixture
def held(environment):
    """The kinds that the store holds: one measurement of each in `DAYS`, made so many days ago."""
    path = Path(environment["XDG_CACHE_HOME"], "zoo", "measurements-1.sqlite")
    path.parent.mkdir(parents=True, exist_ok=True)
    Store.open(path).close()

    def now(fill=False):
        with closing(sqlite3.connect(path)) as db, db:
            if fill:
                today = datetime.now(timezone.utc)
                for kind, days in DAYS.items():
                    made = (today - timedelta(days=days)).isoformat(timespec="seconds")
                    row = (kind, kind, "zoo", "net", made, "{}", "")
                    db.execute("INSERT OR REPLACE INTO measurements VALUES (?,?,?,?,?,?,?)", row)
            return {kind for (kind,) in db.execute("SELECT kind FROM measurements")}

    return now


def test_what_is_chosen_is_removed_and_the_rest_kept(zoo, held):
    for words, gone in {
        "": {*DAYS},
        "--kind flops": {"flops"},
        "--kind flops,profile --kind accuracy": {"flops", "profile", "accuracy"},
        "--kind speed": set(),
        "--older-than 30d": {"profile", "accuracy"},
        "--older-than 30": {"profile", "accuracy"},
        "--older-than 52w": {"accuracy"},
        "--older-than 12h": {"flops", "profile", "accuracy"},
        "--older-than 30d --kind flops,profile": {"profile"},
        "--older-than 365000": set(),
    }.items():
        held(fill=True)
        done = zoo("cache", "clear", "--yes", *words.split())
        plural = "measurement" if len(gone) == 1 else "measurements"
        shown = f"{len(gone)} {plural} removed\n"
        assert (done.returncode, done.stdout, said(done.stderr)) == (0, shown, ""), words
        assert held() == {*DAYS} - gone, words


def test_nothing_is_removed_without_an_answer(zoo, held):
    held(fill=True)
    done = zoo("cache", "clear")
    assert (done.returncode, done.stdout) == (2, "")
    assert said(done.stderr) == (
        "there is no terminal to ask on before measurements are deleted; say --yes\n"
    )
    assert held() == {*DAYS}


def test_a_terminal_is_asked(zoo_on_a_terminal, held):
    for typed, goes in {
        "\n": False, "n\n": False, "no\n": False, "\x04": False, "yesterday\n": False,
        "y\n": True, "YES\n": True,
    }.items():  # fmt: skip
        held(fill=True)
        status, out, err = zoo_on_a_terminal("cache", "clear", "--kind", "flops", typed=typed)
        assert status == 0
        assert err.startswith("delete 1 measurement of /")
        assert "measurements-1.sqlite? [y/N] " in err
        assert ("nothing was removed" in err) != goes
        assert out == ("1 measurement removed\n" if goes else "")
        assert ("flops" not in held()) == goes, typed
    before = held()
    assert zoo_on_a_terminal("cache", "clear", "--kind", "speed", typed="y\n") == (
        0, "no measurement to remove\n", ""
    )  # fmt: skip
    status, out, err = zoo_on_a_terminal("cache", "clear", "--yes", typed="")
    assert (status, out, err) == (0, f"{len(before)} measurements removed\n", "")


def test_a_part_of_a_damaged_store_is_not_removed(zoo, environment, held):
    held(fill=True)
    store = Path(environment["XDG_CACHE_HOME"], "zoo", "measurements-1.sqlite")
    store.write_bytes(b"\x5a" * 8192)
    done = zoo("cache", "clear", "--yes", "--kind", "flops")
    assert (done.returncode, done.stdout) == (3, "")
    assert "zoo cache check mends it" in said(done.stderr)
    assert store.exists()


def test_a_wrong_choice_is_one_line(zoo, held):
    held(fill=True)
    for words, line in {
        "--kind flop": "--kind: 'flop' is not a kind of measurement; did you mean flops?",
        "--kind=": f"--kind: '' is not a kind of measurement; write {', '.join(KINDS[:-1])} or ",
        "--kind flops,": f"--kind: '' is not a kind of measurement; write {KINDS[0]}, ",
        "--older-than 0": "--older-than: '0' is not an age; write one such as 30d, 12h or 90m",
        "--older-than 2y": "--older-than: '2y' is not an age; write one such as 30d, 12h or 90m",
        "--older-than 99999w": "--older-than: '99999w' is not an age; write one such as",
        "--older-than=": "--older-than: '' is not an age; write one such as 30d, 12h or 90m",
    }.items():
        done = zoo("cache", "clear", "--yes", *words.split())
        assert (done.returncode, done.stdout) == (2, "")
        assert said(done.stderr).startswith(line), words
        assert said(done.stderr).count("\n") == 1
    assert held() == {*DAYS}
