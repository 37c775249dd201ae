"""Third-party builders, installed as a real distribution, and the real command."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cli import run_zoo
from distributions import install, python_path

BUILDERS = '''
import os
import signal
import stat
import subprocess
import sys
import time


def small():
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Hostile:
    """Builds by a name's first word; what stands behind a dash tells variants apart."""

    def knows(self, name):
        return name.partition("-")[0] in dir(self)

    def names(self):
        return [name for name in dir(self) if not name.startswith("_")]

    def identity(self, name):
        return "hostile 1.0"

    def build(self, name):
        return getattr(self, name.partition("-")[0])()

    def good(self):
        return small()

    def prints(self):
        print("[]\\nready\\n")
        sys.stdout.flush()
        return small()

    def writes(self):
        os.write(1, b'[{"is": "Measurement"}]\\n\\xff\\x00')
        return small()

    def chatters(self):
        subprocess.run(["echo", "a line from a child"])
        return small()

    def raises(self):
        raise ValueError("first line\\nsecond line")

    def unspeakable(self):
        raise ValueError("\\ud800 \\x1b[31mred\\x1b[0m [bold]x[/bold] \\u202e")

    def unprintable(self):
        raise Unprintable

    def nothing(self):
        return None

    def leaves(self):
        raise SystemExit(0)

    def interrupts(self):
        raise KeyboardInterrupt

    def exits(self):
        os._exit(3)

    def segfaults(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def recurses(self):
        return self.recurses()

    def hangs(self):
        time.sleep(600)

    def sleeps(self):
        time.sleep(1.5)
        return small()

    def waits(self):
        subprocess.run(["sleep", "600"])

    def asks(self):
        sys.stdin.readline()

    def eats(self):
        kept = []
        while True:
            kept.append(bytearray(b"x") * 2**24)

    def feeds(self):
        """A child eats, and this process waits for it."""
        eat = "kept = [bytearray(b'x') * 2**24 for _ in iter(int, 1)]"
        subprocess.run([sys.executable, "-c", eat])
        raise RuntimeError("the child has ended")

    def maps(self):
        """Addresses without memory behind them cost nothing."""
        import mmap

        no_reserve = 0x4000  # Python 3.13 has a name for it.
        self.kept = mmap.mmap(-1, 2**40, flags=mmap.MAP_PRIVATE | no_reserve)
        time.sleep(0.5)  # Long enough to be looked at.
        return small()

    def forks(self):
        os.fork()  # Both go on.
        return small()

    def leaves_behind(self):
        """Two children go on: one of this group, one that has made a group of its own."""
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        pids = [subprocess.Popen(sleep, start_new_session=own).pid for own in (False, True)]
        with open(os.environ["MARK"], "a") as mark:
            print(os.getpid(), *pids, file=mark)
        return small()

    def dies_behind(self):
        self.leaves_behind()
        os._exit(5)

    def floods(self):
        for _ in range(300):
            os.write(2, b"chatter " * 2**17)
        return small()

    def poisons(self):
        """Whatever is built next in this process ends it."""
        Hostile.poisoned = True
        return small()

    poisoned = False

    def suffers(self):
        if Hostile.poisoned:
            os._exit(9)
        return small()

    def scribbles(self):
        """Writes more than one line into every pipe that it finds."""
        for number in range(3, 64):
            try:
                if stat.S_ISFIFO(os.fstat(number).st_mode):
                    os.write(number, b"[]\\n[]\\n")
            except OSError:
                continue
        return small()
'''


@pytest.fixture
def hostile(tmp_path, monkeypatch) -> Path:
    """The builder ``hostile``, found by its entry point here and in every child process."""
    site = tmp_path / "site"
    install(site, "hostile = hostile_builders:Hostile", BUILDERS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", python_path(site))
    return site


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(repository, store_home) -> dict[str, str]:
    """Of a child process that runs this checkout, with a store of the test's own."""
    path = os.pathsep.join(filter(None, [str(repository), os.environ.get("PYTHONPATH")]))
    keep = {k: v for k, v in os.environ.items() if k not in ("ZOO_DEBUG", "FORCE_COLOR")}
    return keep | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(store_home)}


@pytest.fixture
def zoo(environment, tmp_path) -> Command:
    """Runs the command: ``zoo("verify", "--all")``."""

    def run(*arguments: str, cwd: Path = tmp_path, **more: str) -> subprocess.CompletedProcess[str]:
        return run_zoo(arguments, cwd=cwd, environment=environment | more)

    return run


@pytest.fixture
def index_of(tmp_path) -> Callable[..., Path]:
    """Writes an index of these variants, each with the same metadata."""

    def write(names: Sequence[str], metadata: str = "Parameters: 122") -> Path:
        path = tmp_path / "index.yml"
        lines = textwrap.indent(textwrap.dedent(metadata).strip(), "    ")
        entries = [f"- Name: {name}\n  Metadata:\n{lines}\n" for name in names]
        path.write_text("Models:\n" + "".join(entries))
        return path

    return write
