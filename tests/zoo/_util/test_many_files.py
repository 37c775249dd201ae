"""Files that belong together are replaced all or none, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoo._util import many_files
from zoo._util.files import AtomicFile
from zoo._util.many_files import replace_files

ROOT = Path(__file__).parents[3]
NAMES = ("a", "b", "c")
# Waits before each name is given, as a slow disk may.
SLOW = """
import os, sys, time
from pathlib import Path
from zoo._util import files, many_files
publish = files.AtomicFile.publish
def slowly(self):
    publish(self)
    for _ in range(3000):
        if os.path.exists(sys.argv[2]):
            break
        time.sleep(0.02)
files.AtomicFile.publish = slowly
folder = Path(sys.argv[1])
many_files.replace_files({folder / n: b"new" for n in "abc"}, [folder / "gone"])
"""


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def before(tmp_path: Path) -> dict[str, bytes]:
    for name in (*NAMES, "gone", "others"):
        (tmp_path / name).write_bytes(b"old")
    return content(tmp_path)


def test_all_are_replaced(before, tmp_path):
    replace_files({tmp_path / name: b"new" for name in NAMES}, [tmp_path / "gone", tmp_path / "no"])
    assert content(tmp_path) == dict.fromkeys(NAMES, b"new") | {"others": b"old"}


def test_none_is_where_one_fails(before, tmp_path, monkeypatch):
    publish = AtomicFile.publish

    def full(self: AtomicFile) -> None:
        if self.path.name == "c":
            raise OSError(28, "No space left on device")
        publish(self)

    monkeypatch.setattr(AtomicFile, "publish", full)
    files = {tmp_path / name: b"new" for name in ("fresh", *NAMES)}
    with pytest.raises(OSError, match="No space left") as raised:
        replace_files(files, [tmp_path / "gone"])
    assert raised.value.errno == 28
    assert content(tmp_path) == before
    # Nor where the copy that does it fails by something else than the disk.
    monkeypatch.setattr(many_files, "_replace_all", lambda *_: 1 / 0)
    with pytest.raises(OSError, match="was ended"):
        replace_files(files)


def test_a_kill_of_the_group_leaves_all_or_none(before, tmp_path):
    go = tmp_path.with_name(f"{tmp_path.name}-go")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path), str(go)], cwd=ROOT, start_new_session=True
    )
    end = time.monotonic() + 120
    while (tmp_path / "a").read_bytes() == b"old" and time.monotonic() < end:
        time.sleep(0.005)
    assert (tmp_path / "c").read_bytes() == b"old"
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    go.touch()
    wanted = dict.fromkeys(NAMES, b"new") | {"others": b"old"}
    while content(tmp_path) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    assert content(tmp_path) == wanted
