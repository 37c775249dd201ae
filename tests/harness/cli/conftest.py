"""The real command on an index of two variants, in pipes and on terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from cli import run_here, run_zoo

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
def edit(folder) -> Callable[[str, str], None]:
    """Replace a text of the index by another one, once."""

    def change(old: str, new: str) -> None:
        index = folder / "model-index" / "net.yml"
        text = index.read_text()
        assert old in text
        index.write_text(text.replace(old, new, 1))

    return change


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
    """Run the command on two pseudo-terminals; its exit status and what each of them shows.

    What is typed comes from a third one; else there is no keyboard.
    """

    def run(
        *arguments: str, columns: int = 80, typed: str | None = None, **changes: str
    ) -> tuple[int, str, str]:
        screens = [pty.openpty(), pty.openpty()]
        with ThreadPoolExecutor(2) as pool, ExitStack() as open_files:
            for _, inside in screens:
                fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            shown = [pool.submit(_read, outside) for outside, _ in screens]
            keyboard: str | int = os.devnull
            if typed is not None:
                outside, keyboard = pty.openpty()
                open_files.callback(os.close, outside)
                os.write(outside, typed.encode())
            files = [open_files.enter_context(open(keyboard, "rb"))]
            files += [open_files.enter_context(open(inside, "wb", 0)) for _, inside in screens]
            environment_here = environment | changes
            status = run_here(arguments, files, cwd=folder, environment=environment_here)
            open_files.close()
            return status, *(text.result(timeout=120) for text in shown)

    return run


def _read(terminal: int) -> str:
    """Everything that the terminal shows until its program has closed it."""
    text = b""
    with suppress(OSError):  # What Linux says when the other side is closed.
        while piece := os.read(terminal, 65536):
            text += piece
    os.close(terminal)
    return text.decode().replace("\r\n", "\n")
