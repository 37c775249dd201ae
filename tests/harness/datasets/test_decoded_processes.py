"""The decoded cache under kill -9 and under several processes at once."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.datasets import DecodedSet, open_image_set
from harness.datasets.cache import Slots
from zoo.preprocessing import Preprocessing

PICTURES = 240
SMALL = Preprocessing.from_settings(96, 0.875, "bicubic")

# Goes through the set in its order, in shards, and says so.
WRITER = """
import sys
from pathlib import Path
from harness.datasets import DecodedSet, decoding_pool, open_image_set, order
from zoo.preprocessing import Preprocessing

def main():
    place, root, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    pool = decoding_pool(workers)
    images = open_image_set(place)
    small = Preprocessing.from_settings(96, 0.875, "bicubic")
    if pool is not None:
        print("workers", *{pool.submit(__import__("os").getpid).result() for _ in range(20)})
    print("ready", flush=True)
    with DecodedSet.open(images, small, root=root) as decoded:
        places = order(len(images))
        for start in range(0, len(places), 16):
            decoded.get(places[start : start + 16], pool)
    if pool is not None:
        pool.shutdown()
    print("done", flush=True)

if __name__ == "__main__":
    main()
"""

# Dies in the middle of the Nth write, with a part of it on the disk.
DYING = (
    """
import os, signal, sys
real, left = os.pwrite, int(sys.argv.pop())
def pwrite(descriptor, data, offset):
    global left
    left -= 1
    if left == 0:
        real(descriptor, data[: len(data) // 2], offset)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(descriptor, data, offset)
os.pwrite = pwrite
"""
    + WRITER
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    chance = np.random.default_rng(4)
    for number in range(PICTURES):
        small = chance.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(small).resize((220, 160), 3).save(buffer, "JPEG")
        (root / f"{number:04d}.jpg").write_bytes(buffer.getvalue())
    (root / "labels.txt").write_text("".join(f"{n:04d}.jpg {n}\n" for n in range(PICTURES)))
    return root


@pytest.fixture(scope="module")
def fresh(place):
    return np.stack([SMALL.decode(path.read_bytes()) for path in sorted(place.glob("*.jpg"))])


def start(program, *arguments):
    repository = Path(__file__).resolve().parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
    )


def filled(root, fresh):
    """How many slots claim to hold an image; each of them has to hold the right one."""
    from harness.datasets import order

    folders = [folder for folder in root.glob("*/") if not folder.name.startswith(".")]
    if not folders:
        return 0
    slots = Slots(str(folders[0]), PICTURES, 96, 96).map()
    out = np.empty((96, 96, 3), np.uint8)
    right = 0
    for slot, index in enumerate(order(PICTURES).tolist()):
        if slots.read(slot, out):
            assert np.array_equal(out, fresh[index]), (slot, index)
            right += 1
    return right


def test_a_kill_at_any_moment_leaves_right_pixels_only(place, fresh, tmp_path):
    chance = random.Random(9)
    progress = []
    for _ in range(5):
        writer = start(WRITER, place, tmp_path, 0)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        # On a busy machine the first moments are too early for anything to be kept.
        late = 1 if any(progress) else 2 ** len(progress)
        time.sleep(chance.uniform(0.02, 0.14) * late)
        writer.kill()
        writer.communicate()
        progress.append(filled(tmp_path, fresh))
    print(f"images kept after each kill: {progress}")
    assert progress == sorted(progress)  # What was kept once stays.
    assert progress[-1] > 0
    with DecodedSet.open(open_image_set(place), SMALL, root=tmp_path) as decoded:
        assert np.array_equal(decoded.get(range(PICTURES)).pixels, fresh)
        assert not decoded._map.empty(np.arange(PICTURES))


@pytest.mark.parametrize("write", [1, 2, 31])
def test_a_kill_in_the_middle_of_a_write_leaves_right_pixels_only(write, place, fresh, tmp_path):
    """Odd writes are pixels, even ones the records that follow them."""
    writer = start(DYING, place, tmp_path, 0, write)
    writer.communicate(timeout=300)
    assert writer.returncode == -signal.SIGKILL
    assert filled(tmp_path, fresh) == (write - 1) // 2
    with DecodedSet.open(open_image_set(place), SMALL, root=tmp_path) as decoded:
        assert np.array_equal(decoded.get(range(PICTURES)).pixels, fresh)


def test_workers_end_with_the_run_that_is_killed(place, fresh, tmp_path):
    writer = start(_as_file(WRITER, tmp_path), place, tmp_path / "cache", 2)
    assert writer.stdout is not None
    pids = [int(word) for word in writer.stdout.readline().split()[1:]]
    assert pids
    writer.stdout.readline()
    time.sleep(0.2)
    writer.kill()
    writer.wait()
    limit = time.monotonic() + 120
    while any(map(_alive, pids)) and time.monotonic() < limit:
        time.sleep(0.05)
    left = [pid for pid in pids if _alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    writer.communicate()
    filled(tmp_path / "cache", fresh)


def test_two_processes_at_once_share_one_set(place, fresh, tmp_path):
    writers = [start(WRITER, place, tmp_path, 0) for _ in range(2)]
    with DecodedSet.open(open_image_set(place), SMALL, root=tmp_path) as decoded:
        for start_at in range(0, PICTURES, 40):
            wanted = range(start_at, start_at + 40)
            assert np.array_equal(decoded.get(wanted).pixels, fresh[wanted])
    for writer in writers:
        assert writer.communicate(timeout=300)[0] == "ready\ndone\n"
        assert writer.returncode == 0
    assert filled(tmp_path, fresh) == PICTURES
    assert len([f for f in tmp_path.iterdir() if f.is_dir()]) == 1


def _alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _as_file(program, folder):
    """A program that runs another one from a file: a fresh worker has to find its main module."""
    path = folder / "writer.py"
    path.write_text(program)
    return (
        f"import sys, os; os.execv(sys.executable, [sys.executable, {str(path)!r}, *sys.argv[1:]])"
    )
