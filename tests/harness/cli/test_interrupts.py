"""Ctrl-C, SIGTERM and SIGHUP where Python alone would lose them, or end without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from cli import is_gone, run_python

ROOT = Path(__file__).parents[3]
SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
# Catches everything while it is imported, as torch's modules do.
GREEDY = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.{0})
    time.sleep(0.3)
except BaseException:
    pass
"""
FINALIZER = """
import os, signal
class Closing:
    def __del__(self):
        os.kill(os.getpid(), signal.{0})
        for _ in range(1000):
            pass
"""
TWICE = """
import os
from harness.cli import interrupts
with interrupts.deferred():
    try:
        os.kill(os.getpid(), 1)
    except KeyboardInterrupt:
        os.kill(os.getpid(), 1)
        print("all")
"""
USES = {GREEDY: "import module", FINALIZER: "import module; module.Closing()"}


def python(code: str, folder: Path = ROOT, **changes: str) -> subprocess.CompletedProcess[str]:
    return run_python(
        ["-c", code], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)} | changes, timeout=120
    )


def held(use: str, before: str = "") -> str:
    """A program that does something while interrupts are held, and ends with their status."""
    lines = "\n        ".join(use.split("; "))
    return (
        f"import os, signal, sys, time\n{before}\nfrom harness.cli import interrupts\n"
        f"try:\n    with interrupts.deferred():\n        {lines}\n"
        "except KeyboardInterrupt:\n    sys.exit(interrupts.status())\n"
    )


def test_an_interrupt_is_raised_once_it_can_be_heard(tmp_path):
    for (module, use), name, rest in product(USES.items(), SIGNALS, ("time.sleep(1)", "pass")):
        if rest == "pass" and name == "SIGHUP":
            continue
        (tmp_path / "module.py").write_text(module.format(name))
        done = python(held(f"{use}; {rest}"), tmp_path)
        assert (done.returncode, done.stderr) == (SIGNALS[name], ""), (name, use, rest)
    # Python alone loses it.
    (tmp_path / "module.py").write_text(GREEDY.format("SIGINT"))
    assert python("import module", tmp_path).returncode == 0


def test_each_signal_has_its_status_and_what_is_ignored_stays_so():
    kill = "os.kill(os.getpid(), signal.{0}); time.sleep(1)"
    for name, status in SIGNALS.items():
        done = python(held(kill.format(name)))
        assert (done.returncode, done.stderr) == (status, ""), name
        # Also where it passes an exec(), such as dataclasses are made by.
        inside = "exec('os.kill(os.getpid(), {0})'); time.sleep(1)"
        assert python(held(inside.format(status - 128))).returncode == status
    # nohup ignores SIGHUP, a shell that runs a command in the background SIGINT.
    for name in ("SIGHUP", "SIGINT"):
        ignored = f"signal.signal(signal.{name}, signal.SIG_IGN)"
        assert python(held(kill.format(name), ignored)).returncode == 0
    # A closed terminal sends SIGHUP twice: the report of the first is not cut off by the second.
    assert python(TWICE).stdout == "all\n"
    # A copy of the process ends as if nothing were held.
    copy = "child = os.fork() or time.sleep(9); time.sleep(0.5); os.kill(child, signal.SIGTERM); "
    copy += "print(os.waitpid(child, 0)[1])"
    assert python(held(copy)).stdout == "15\n"
    # A launcher of several processes ends them in calls that hear nothing.
    done = python(held(kill.format("SIGTERM")), TORCHELASTIC_RUN_ID="1")
    assert done.returncode == -signal.SIGTERM


def test_a_signal_while_the_command_is_imported_is_its_status():
    begin = "import os, signal, sys\nclass Sends:\n    def find_spec(self, name, *rest):\n"
    for module, (name, status) in product(("harness.cli", "typer", "zoo.index"), SIGNALS.items()):
        done = python(
            f"{begin}        if name == {module!r}: os.kill(os.getpid(), signal.{name})\n"
            "sys.meta_path.insert(0, Sends())\nsys.argv = ['zoo', 'list']\n"
            "from zoo.__main__ import main\nmain()"
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, "", ""), (module, name)


def test_afterwards_signals_are_python_s_own_again():
    done = python(
        "import signal; from harness.cli import main; main(['--version']); "
        "print([int(signal.getsignal(n)) for n in (1, 14, 15)], "
        "signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 0] True"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_end_comes_in_time_whatever_the_command_does():
    """An import that hears nothing, a thread that keeps Python, and what the command started."""
    deaf = "while True:\n            try: time.sleep(60)\n            except BaseException: pass"
    threads = "threading.Thread(target=time.sleep, args=(60,)).start(); raise KeyboardInterrupt"
    for use in (deaf, threads):
        code = (
            "import subprocess, sys, threading, time\nfrom zoo.__main__ import main\n"
            "import harness.cli as cli\n"
            "def work(arguments):\n"
            "    child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "    print(child.pid, flush=True)\n"
            "    try:\n        time.sleep(60)\n"
            f"    except BaseException:\n        {use}\n"
            "cli._run = work\nmain()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        child = int(process.stdout.readline())
        began = time.monotonic()
        process.terminate()
        assert process.wait(timeout=120) == SIGNALS["SIGTERM"]
        assert time.monotonic() - began < 30  # What is waited for takes twice that.
        process.stdout.close()
        assert is_gone(child)


def test_what_must_be_whole_is_not_left_halfway():
    lines = ("os.kill(os.getpid(), 2)", "time.sleep(0.3)", "print('whole', flush=True)")
    code = f"with interrupts.withheld():\n{' ' * 12}" + f"\n{' ' * 12}".join(lines)
    done = python(held(code))
    assert (done.returncode, done.stdout) == (130, "whole\n")


def test_add_says_that_nothing_was_written_where_that_is_so(tmp_path, capsys):
    from harness.cli.add import _bytes, _say_left
    from harness.cli.options import begin

    begin("add", ["a.pth"], [])
    index = tmp_path / "model-index.yml"
    for before in (None, b"Models: []\n"):
        if before is not None:
            index.write_bytes(before)
        _say_left(index, _bytes(index))
        told = capsys.readouterr().err
        assert told.startswith(f"interrupted: nothing is written to {index}")
        assert "continue with: zoo add a.pth" in told
    _say_left(index, None)
    assert capsys.readouterr().err == ""
