"""What a run starts ends with it: workers, builders that hang, and whatever children these have."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from distributions import install, python_path

from harness.run.guard import _end_by_force, descendants, end
from harness.run.guard import start as start_guarded

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="a guard takes Linux's prctl"
)

# Starts every kind of child that gets away from a group, a session or a parent, and notes them.
CHILDREN = '''
import os, signal, subprocess, sys, time

def note(pid):
    with open(os.environ["MARK"], "a") as mark:
        print(pid, file=mark)

def sleep():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    note(os.getpid())
    time.sleep(600)
    os._exit(0)

def start():
    """In this group, in a session of its own, left by its parent, and one of a whole family."""
    note(os.getpid())
    if os.fork() == 0:
        sleep()
    if os.fork() == 0:
        os.setsid()
        sleep()
    if os.fork() == 0:  # As daemons do it.
        os.setsid()
        if os.fork() == 0:
            sleep()
        os._exit(0)
    if os.fork() == 0:
        os.setpgid(0, 0)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                                 start_new_session=True, close_fds=False)
                sleep()
            sleep()
        sleep()
    while len(open(os.environ["MARK"]).readlines()) < 7:
        time.sleep(0.01)
    note("all")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    time.sleep(600)

class Kind:
    def knows(self, name):
        return "knows" in os.environ["WHERE"] and start() or name != "unknown"

    def names(self):
        return "names" in os.environ["WHERE"] and start() or []

    def identity(self, name):
        return "identity" in os.environ["WHERE"] and start() or "1"

    def build(self, name):
        if name.startswith("hangs"):
            start()
        from torch import nn
        return nn.Linear(10, 12)

if "import" in os.environ["WHERE"]:
    start()
'''
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """The builder ``kind``, installed where every child process looks."""
    site = tmp_path / "site"
    install(site, "kind = kind_builder:Kind", CHILDREN)
    monkeypatch.setenv("PYTHONPATH", python_path(site))


@pytest.fixture
def begin(builder, environment, index_of, tmp_path):
    """Starts a run, and returns it and the processes below it when all of these are there."""
    path = os.pathsep.join([os.environ["PYTHONPATH"], environment["PYTHONPATH"]])
    runs: list[subprocess.Popen[str]] = []

    def start(where: str, *words: str, names: tuple[str, ...] = ("good", "hangs"), **streams: int):
        mark = tmp_path / f"mark{len(runs)}"
        index = index_of(names, "Parameters: 132")
        given = {"MARK": str(mark), "WHERE": where, "PYTHONPATH": path, "ZOO_BUILDER": "kind"}
        given["TERM"] = "xterm"  # Bars are drawn there.
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo", *words, "--index", str(index)],
            cwd=tmp_path,
            env=environment | given,
            text=True,
            start_new_session=True,
            **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),
        )
        runs.append(process)
        deadline = time.monotonic() + 300
        while not (mark.exists() and "all" in mark.read_text()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, [*descendants(process.pid), *map(int, mark.read_text().split()[:-1])]

    yield start
    for process in runs:
        if process.poll() is None:
            process.kill()
        process.communicate()


def left_of(pids, within: float = 60) -> list[int]:
    """Those of the processes that do not end in time."""
    deadline = time.monotonic() + within
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


VERIFY = ("verify", "--all", "--checks", "parameters", "--format", "json")


@pytest.mark.slow
@pytest.mark.process
def test_children_of_a_build_end_with_the_run(begin, builder, store_home, zoo):
    """A terminal's Ctrl-C is for a group; what was measured is reported, and in a valid store."""
    for number, send in ((signal.SIGINT, os.killpg), (signal.SIGKILL, os.kill)):
        process, pids = begin("build", *VERIFY, names=("good", "hangs", "later"))
        send(process.pid, number)
        out, err = process.communicate(timeout=120)
        assert process.returncode == STATUS[number], err
        assert left_of(pids) == []
        assert len(pids) >= 8
        assert "Traceback" not in err
        if number == signal.SIGINT:
            (held,) = [f for f in json.loads(out)["findings"] if f["variant"] == "good"]
            assert (held["field"], held["status"], held["measured"]) == ("Parameters", "match", 132)
        store = store_home / "zoo" / "measurements-1.sqlite"
        with contextlib.closing(sqlite3.connect(store)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("SELECT name FROM measurements").fetchall() == [("good",)]
        more = {"WHERE": "", "ZOO_BUILDER": "kind", "PYTHONPATH": os.environ["PYTHONPATH"]}
        again = zoo("verify", "good", *VERIFY[2:], "--index", "index.yml", **more)
        assert again.returncode == 0, again.stderr
        assert "nothing to build" in again.stderr
        store.unlink()


@pytest.mark.slow
@pytest.mark.process
def test_a_terminal_that_is_closed_takes_the_bars_and_not_the_report(begin):
    screen, inside = pty.openpty()
    process, pids = begin("build", *VERIFY, "--no-store", stderr=inside)
    os.close(inside)
    os.close(screen)
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 129
    assert {f["variant"]: f["status"] for f in json.loads(out)["findings"]}["good"] == "match"
    assert left_of(pids) == []


@pytest.mark.slow
@pytest.mark.process
def test_a_builder_that_hangs_ends_with_every_command(begin):
    """As it is imported, and when it is asked for anything."""
    tried = (
        ("import", signal.SIGTERM, "verify --all --format json"),
        ("import", signal.SIGKILL, "explain good Parameters"),
        ("names", signal.SIGHUP, "verify --all"),
        ("knows", signal.SIGKILL, "report"),
        ("knows", signal.SIGTERM, "fix"),
        ("import", signal.SIGINT, "validate good --data ."),
        ("import", signal.SIGHUP, "bench good"),
        ("import", signal.SIGKILL, "show good --profile"),
        ("identity", signal.SIGTERM, "verify --all --checks parameters"),
        ("build", signal.SIGTERM, "explain hangs Parameters --no-store"),
    )
    for where, number, words in tried:
        names = ("good", {"names": "unknown", "build": "hangs"}.get(where, "fine"))
        process, pids = begin(where, *words.split(), names=names)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert process.returncode == STATUS[number], (words, err)
        assert left_of(pids) == [], words
        assert "Traceback" not in err
        if "json" in words:
            assert json.loads(out)["findings"] == []


def test_a_guard_ends_as_what_it_guards_ended(tmp_path):
    (tmp_path / "ends.py").write_text(
        "import os, signal, sys\n"
        "def leave():\n    sys.exit(7)\n"
        "def stay():\n    print(sys.stdin.readline(), flush=True)\n"
        "def die():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def kill():\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "def copy():\n    os.fork() or sys.stdin.read()\n"
        "def signals():\n    print([int(signal.getsignal(n)) for n in (15, 17)], flush=True)\n"
    )
    expected = {"leave": 7, "stay": 0, "die": -11, "kill": -9, "copy": 0, "signals": 0}
    shown = {}
    for name, status in expected.items():
        own = os.environ | {"PYTHONPATH": str(tmp_path)}
        with start_guarded(f"ends:{name}", env=own, text=True) as process:
            process.stdin.write("words\n")
            process.stdin.flush()
            shown[name] = process.stdout.read() + process.stderr.read()
            assert process.wait(timeout=120) == status, name
    assert shown == dict.fromkeys(expected, "") | {"stay": "words\n\n", "signals": "[0, 0]\n"}


def test_a_guard_is_not_ended_by_signals_of_what_it_guards(tmp_path):
    """Those that mean an end, and some that nobody expects; none of them gets away."""
    (tmp_path / "sends.py").write_text(
        "import os, signal, time\n"
        "def stay():\n"
        "    pids = os.pipe()\n"
        "    if os.fork() == 0:\n"
        "        if os.fork() == 0:\n"
        "            os.write(pids[1], b'%d\\n' % os.getpid())\n"
        "            time.sleep(600)\n"
        "        os._exit(0)\n"
        "    pid = os.read(pids[0], 99)\n"
        "    for name in 'HUP INT QUIT USR1 USR2 ALRM PIPE VTALRM PROF XCPU TSTP CONT'.split():\n"
        "        os.kill(os.getppid(), getattr(signal, f'SIG{name}'))\n"
        "    time.sleep(0.1)\n"
        "    os.write(1, pid)\n"
        "    time.sleep(600)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    own = os.environ | {"PYTHONPATH": path}
    with start_guarded("sends:stay", env=own, text=True, stderr=None) as process:
        pid = int(process.stdout.readline())
        end(process)
        assert left_of([process.pid, pid]) == []


def test_where_there_is_no_guard_a_process_leaves_with_its_run(tmp_path):
    """As on a system without Linux's prctl: its group, and its children in their own sessions."""
    (tmp_path / "hangs.py").write_text(
        "import subprocess, time\n"
        "def stay():\n"
        "    start = lambda own: subprocess.Popen(['sleep', '600'], start_new_session=own).pid\n"
        "    print(start(0), start(1), flush=True)\n"
        "    while True:\n        pass\n"
    )
    elsewhere = "from harness.run import guard; guard._LINUX = False; guard.main()"
    code = f"import sys; sys.path[0] = {str(tmp_path)!r}; {elsewhere}"
    for ending in ("close", "kill"):
        process = subprocess.Popen(
            [sys.executable, "-c", code, "hangs:stay"],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        pids = [process.pid, *map(int, process.stdout.readline().split())]
        if ending == "close":
            process.stdin.close()
        else:
            _end_by_force(process.pid)
        process.wait(timeout=120)
        assert left_of(pids) == []
        for pipe in (process.stdin, process.stdout):
            pipe.close()
