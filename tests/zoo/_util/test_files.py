"""A file is replaced whole or not at all, and stays what it was to everybody else."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from zoo._util.files import replace_file

KILLED = """
import sys
from zoo._util.files import replace_file

def wait():
    print("written", flush=True)
    sys.stdin.read()

replace_file(sys.argv[1], b"new", wait)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "page.md"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_is_as_any_new_file(path, umask, expected):
    before = os.umask(umask)
    try:
        replace_file(path, b"new")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert mode(path) == expected


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o755])
def test_permissions_of_a_file_that_is_there_stay(path, kept):
    path.write_bytes(b"old")
    path.chmod(kept)
    replace_file(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", kept)


def test_a_link_stays_a_link(path, tmp_path):
    (tmp_path / "below").mkdir()
    target = tmp_path / "below" / "real.md"
    target.write_bytes(b"old")
    path.symlink_to(target)
    replace_file(path, b"new")
    assert path.is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["below", "page.md"]


def test_a_check_that_fails_leaves_the_file(path, tmp_path):
    path.write_bytes(b"old")

    def fails():
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, b"new", fails)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.md"]


def test_a_folder_in_its_place_is_an_error_and_leaves_nothing_behind(path, tmp_path):
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["page.md"]


def test_a_kill_in_between_leaves_the_old_file(path):
    path.write_bytes(b"old")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_readers_see_the_old_bytes_or_the_new_ones(path):
    old, new = b"o" * 1_000_000, b"n" * 1_000_000
    path.write_bytes(old)
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom zoo._util.files import replace_file\n"
            "for byte in (b'o', b'n') * 30:\n    replace_file(sys.argv[1], byte * 10**6)",
            str(path),
        ]
    )
    seen = set()
    end = time.monotonic() + 60
    while writer.poll() is None and time.monotonic() < end:
        seen.add(path.read_bytes())
    assert writer.wait(timeout=60) == 0
    assert seen <= {old, new}
    assert path.read_bytes() == new
