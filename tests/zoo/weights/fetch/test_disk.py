"""Trouble on this side: a full disk, a cache that can't be written, the umask, old leftovers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from zoo.weights.types import Fetched


@pytest.fixture
def tmpfs(tmp_path):
    """A small file system of its own."""
    mounted: list[Path] = []

    def mount(options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"a tmpfs can't be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("tmpfs is Linux's")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_file_size_limit(server, start, outcome_of, left, parts, data):
    url = server.on("net.pth", lambda h, n: h.good(data))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    outcome = outcome_of(start(url, before=limit))
    assert outcome["cause"] == "weights.unreachable"
    assert "File too large" in outcome["why"]
    assert left() == {}
    assert parts() == []
    assert outcome_of(start(url))["origin"] == "fetched"
    assert left() == {"net.pth": data}


def test_full_disk(server, start, outcome_of, tmpfs, data):
    disk = tmpfs("size=256k")
    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = outcome_of(start(url, hub=disk))
    assert outcome["cause"] == "weights.unreachable"
    assert "No space left" in outcome["why"]
    assert list((disk / "checkpoints").iterdir()) == []
    assert list((disk / "zoo-parts" / "parts").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
    assert outcome_of(start(url, hub=disk))["origin"] == "fetched"
    assert (disk / "checkpoints" / "net.pth").read_bytes() == data


def test_full_disk_keeps_the_corrupt_file(server, start, outcome_of, tmpfs, data, named):
    disk = tmpfs("size=256k")
    old = disk / "checkpoints" / named(data)
    old.parent.mkdir()
    old.write_bytes(b"old")
    url = server.on(named(data), lambda h, n: h.good(data))
    assert outcome_of(start(url, hub=disk))["cause"] == "weights.hash-mismatch"
    assert old.read_bytes() == b"old"


def test_read_only_cache(server, start, outcome_of, tmpfs, data, named):
    disk = tmpfs("size=2m")
    held = disk / "checkpoints" / named(data)
    held.parent.mkdir()
    held.write_bytes(data)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = outcome_of(start(url, hub=disk))
    assert outcome["cause"] == "weights.unreachable"
    assert "Read-only file system" in outcome["why"]
    assert str(disk) in outcome["why"]
    found = outcome_of(start(server.on(named(data), lambda h, n: h.good(data)), hub=disk))
    assert (found["origin"], found["path"]) == ("found", str(held))


def test_cache_of_another_user(server, start, outcome_of, data):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o755)
        hub = Path(folder) / "theirs"
        (hub / "checkpoints").mkdir(parents=True)
        url = server.on("net.pth", lambda h, n: h.good(data))
        become = "import httpx, filelock; os.setgid(65534); os.setuid(65534)"
        outcome = outcome_of(start(url, hub=hub, before=become))
        assert outcome["cause"] == "weights.unreachable"
        assert "Permission denied" in outcome["why"]
        assert list((hub / "checkpoints").iterdir()) == []


def test_checkpoints_on_another_disk(server, start, outcome_of, tmpfs, hub, data):
    disk = tmpfs("size=2m")
    hub.mkdir()
    (hub / "checkpoints").symlink_to(disk)
    url = server.on("net.pth", lambda h, n: h.good(data))
    assert outcome_of(start(url))["origin"] == "fetched"
    assert (disk / "net.pth").read_bytes() == data
    assert outcome_of(start(url))["origin"] == "cache"


def test_umask(server, fetch, hub, data):
    for umask, mode in ((0o022, 0o644), (0o002, 0o664), (0o077, 0o600)):
        before = os.umask(umask)
        try:
            fetch(server.on(f"net{umask}.pth", lambda h, n: h.good(data)))
        finally:
            os.umask(before)
        assert (hub / "checkpoints" / f"net{umask}.pth").stat().st_mode & 0o777 == mode


def test_stale_parts_are_swept(server, fetch, hub, data):
    from zoo.weights.cache import Cache

    cache = Cache(hub)
    cache.prepare()
    cache.quarantine.mkdir()
    month_ago = time.time() - 30 * 86400
    held_name, fresh = "a" * 16, "b" * 16
    old = [
        cache.parts / f"{'c' * 16}.part",
        cache.parts / f"{'c' * 16}.json",
        cache.parts / f"{'d' * 16}.json.tmp",
        cache.quarantine / f"{'e' * 16}_net.pth",
    ]
    kept = [cache.parts / f"{held_name}.part", cache.parts / f"{fresh}.part"]
    for path in (*old, *kept):
        path.write_bytes(b"x")
        if path.stem != fresh:
            os.utime(path, (month_ago, month_ago))
    bystander = cache.checkpoints / "old.pth"
    bystander.write_bytes(b"x")
    os.utime(bystander, (month_ago, month_ago))
    with cache.lock(held_name):
        assert isinstance(fetch(server.on("n.pth", lambda h, n: h.good(data))), Fetched)
    assert [path for path in old if path.exists()] == []
    assert all(path.exists() for path in (*kept, bystander))
