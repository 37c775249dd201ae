"""The real command in real processes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli import run_zoo

ROOT = Path(__file__).parents[3]
# Variables that would change what a terminal shows, or where the store is.
_UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHONIOENCODING")

INDEX = """\
Collections:
- Name: ResNeSt
  Paper:
    Title: A paper
Models:
- Name: resnest50d
  In Collection: ResNeSt
  Metadata:
    Parameters: 27480000
    Layers: 50
    Image Size: 224
  Results:
  - Task: Image Classification
    Dataset: ImageNet
    Metrics:
      Top 1 Accuracy: 80.96%
- Name: resnest14d
  In Collection: ResNeSt
  Metadata:
    Parameters: 10610000
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    """An environment of its own: no settings, and a store that nobody else uses."""
    kept = {k: v for k, v in os.environ.items() if k not in _UNSET and not k.startswith("ZOO_")}
    cache = str(tmp_path / "cache")
    return kept | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": cache, "TERM": "xterm-256color"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working folder with an index of two variants."""
    work = tmp_path / "work"
    (work / "model-index").mkdir(parents=True)
    (work / "model-index" / "net.yml").write_text(INDEX)
    return work


@pytest.fixture
def zoo(environment, folder) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in the folder, its output in pipes."""

    def run(
        *arguments: str, spawn: bool = False, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        return run_zoo(arguments, cwd=folder, environment=environment | changes, spawn=spawn)

    return run


@pytest.fixture
def zoo_on_a_terminal(environment, folder) -> Callable[..., tuple[int, str, str]]:
    """Run the command on two pseudo-terminals; its exit status and what each of them shows."""

    def run(*arguments: str, columns: int = 80, **changes: str) -> tuple[int, str, str]:
        screens = [pty.openpty(), pty.openpty()]
        for _, inside in screens:
            _resize(inside, columns)
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo", *arguments],
            cwd=folder,
            env=environment | changes,
            stdin=subprocess.DEVNULL,
            stdout=screens[0][1],
            stderr=screens[1][1],
        )
        for _, inside in screens:
            os.close(inside)
        shown = _read([outside for outside, _ in screens])
        return process.wait(timeout=10), *shown

    return run


def _resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


def _read(terminals: list[int]) -> list[str]:
    """Everything that the terminals show until their programs have closed them."""
    texts = dict.fromkeys(terminals, b"")
    live = set(terminals)
    end = time.monotonic() + 120
    while live and time.monotonic() < end:
        for terminal in select.select(list(live), [], [], 1)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # What Linux says when the other side is closed.
                piece = b""
            texts[terminal] += piece
            if not piece:
                live.discard(terminal)
                os.close(terminal)
    assert not live, "the command did not end"
    return [text.decode().replace("\r\n", "\n") for text in texts.values()]
