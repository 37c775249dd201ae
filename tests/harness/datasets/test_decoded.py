"""The decoded cache: right pixels always, shared where it may be, never larger than allowed."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.datasets import (
    DecodedSet,
    UnreadableImage,
    decoding_pool,
    open_image_set,
    order,
)
from harness.datasets.cache import cached_sets, make_room
from zoo.preprocessing import Preprocessing

SIZE = 48
SMALL = Preprocessing.from_settings(SIZE, 0.875, "bicubic")
SLOT = SIZE * SIZE * 3


@pytest.fixture(scope="module")
def images(plain_writer, tmp_path_factory):
    return open_image_set(plain_writer(tmp_path_factory.mktemp("plain") / "set"))


@pytest.fixture(scope="module")
def fresh(images):
    """Each image as Pillow and the transform give it, black where that fails."""
    return decode(images, SMALL)


@pytest.fixture(scope="module", params=[0, 2])
def pool(request):
    workers = decoding_pool(request.param)
    yield workers
    if workers is not None:
        workers.shutdown()


def decode(images, preprocessing):
    height, width = preprocessing.image_size
    pixels = np.zeros((len(images), height, width, 3), np.uint8)
    for index in range(len(images)):
        data = images.read(index)
        assert isinstance(data, bytes)
        try:
            pixels[index] = preprocessing.decode(data)
        except OSError:
            continue
    return pixels


def forget_sources(images):
    """The same set, whose images can't be read any more: what comes was kept."""

    class Gone:
        place = ("", 0)

        def read(self):
            raise OSError("gone")

        def head(self, count):
            raise OSError("gone")

    return replace(images, sources=(Gone(),) * len(images))


def warm(decoded):
    """The share of images whose pixels are kept."""
    count = len(decoded.images)
    return 0 if decoded._map is None else (count - decoded._map.empty(np.arange(count))) / count


def test_the_pixels_are_those_of_a_fresh_decode(images, fresh, given, tmp_path, pool):
    wanted = [*order(24).tolist(), 3, 3]
    broken = [image.name for image in given if not image.readable]
    for turn in range(2):
        with DecodedSet.open(images, SMALL, root=tmp_path / "cache") as decoded:
            assert warm(decoded) == (0 if turn == 0 else 21 / 24)
            batch = decoded.get(wanted, pool)
            assert decoded.kept_out is None
        assert np.array_equal(batch.pixels, fresh[wanted])
        assert [given[i].readable for i in wanted] == batch.readable.tolist()
        # In the order asked for, with a reason each.
        names = [images.names[i] for i in wanted if images.names[i] in broken]
        assert [item.name for item in batch.unreadable] == names
        assert all(item.why for item in batch.unreadable)


def test_what_is_kept_is_not_decoded_again(images, fresh, given, tmp_path):
    readable = [i for i in range(24) if given[i].readable]
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        decoded.get(readable[:10])
    # Another variant: other mean and std, the same pixels.
    sibling = replace(SMALL, mean=(0.5, 0.5, 0.5))
    with DecodedSet.open(forget_sources(images), sibling, root=tmp_path) as decoded:
        batch = decoded.get(readable)
        assert warm(decoded) == 10 / 24
    assert batch.readable.tolist() == [True] * 10 + [False] * 11
    assert np.array_equal(batch.pixels[:10], fresh[readable[:10]])
    assert not batch.pixels[10:].any()
    assert len(cached_sets(tmp_path)) == 1


def test_what_pixels_depend_on_keeps_them_apart(images, tmp_path):
    settings = [
        SMALL,
        Preprocessing.from_settings(SIZE, 0.9, "bicubic"),
        Preprocessing.from_settings(SIZE, 0.875, "bilinear"),
        Preprocessing.from_settings((SIZE, 40), 0.875, "bicubic"),
    ]
    for preprocessing in settings:
        with DecodedSet.open(images, preprocessing, root=tmp_path) as decoded:
            assert warm(decoded) == 0
            assert np.array_equal(decoded.get(range(24)).pixels, decode(images, preprocessing))
    with DecodedSet.open(images, SMALL, root=tmp_path, decoder="fast") as decoded:
        assert warm(decoded) == 0
    other = replace(images, fingerprint="another")
    with DecodedSet.open(other, SMALL, root=tmp_path) as decoded:
        assert warm(decoded) == 0
    assert len(cached_sets(tmp_path)) == 6


@pytest.mark.parametrize("name", ["pixels", "records"])
def test_a_flipped_bit_is_never_shown(name, images, fresh, tmp_path):
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        decoded.get(range(24))
    path = next(tmp_path.glob(f"*/{name}"))
    whole = path.read_bytes()
    for place in np.random.default_rng(2).integers(0, len(whole), 20).tolist():
        data = bytearray(whole)
        data[place] ^= 1 << (place % 8)
        path.write_bytes(data)
        with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
            assert np.array_equal(decoded.get(range(24)).pixels, fresh)


def test_pixels_of_another_slot_are_never_shown(images, fresh, tmp_path):
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        decoded.get(range(24))
    for name, size in (("pixels", SLOT), ("records", 8)):
        path = next(tmp_path.glob(f"*/{name}"))
        data = path.read_bytes()
        path.write_bytes(data[size:] + data[:size])  # Each in its neighbour's place.
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        assert np.array_equal(decoded.get(range(24)).pixels, fresh)


def test_pixels_of_another_set_are_never_shown(images, fresh, tmp_path):
    """Two sets of one size in each other's place, whole or by their files."""
    other = replace(images, fingerprint="another", sources=images.sources[::-1])
    for names in (("",), ("pixels", "records"), ("pixels", "records", "about.json")):
        places = []
        for some in (images, other):
            with DecodedSet.open(some, SMALL, root=tmp_path) as decoded:
                decoded.get(range(24))
                places.append(Path(decoded._slots.folder))
        one, two = places
        for name in names:
            (one / name).rename(tmp_path / ".aside")
            (two / name).rename(one / name)
            (tmp_path / ".aside").rename(two / name)
        with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
            assert np.array_equal(decoded.get(range(24)).pixels, fresh), names


def test_what_a_set_says_of_itself_may_be_anything(images, tmp_path):
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        decoded.get(range(2))
    for text in (b"", b"null", b"\xff", b"[" * 100_000, b"1" + b"0" * 5000, b'{"pixels": 5}'):
        next(tmp_path.glob("*/about.json")).write_bytes(text)
        with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
            decoded.get(range(24))
            assert decoded.kept_out is None


def test_a_damaged_set_is_made_anew(images, fresh, tmp_path):
    for name in ("pixels", "records", "use.lock", "about.json"):
        for cut in (True, False):
            with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
                decoded.get(range(24))
            path = next(tmp_path.glob(f"*/{name}"))
            if cut:
                os.truncate(path, path.stat().st_size // 2)
            else:
                path.unlink()
            for _ in range(2):
                with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
                    assert np.array_equal(decoded.get(range(24)).pixels, fresh), (name, cut)
            assert decoded.kept_out is None


def test_a_set_that_is_removed_while_in_use_costs_only_the_keeping(images, fresh, tmp_path):
    import shutil

    root = tmp_path / "cache"
    with DecodedSet.open(images, SMALL, root=root) as decoded:
        decoded.get(range(8))
        shutil.rmtree(root)
        assert np.array_equal(decoded.get(range(24)).pixels, fresh)
        assert decoded.kept_out is not None


def test_where_nothing_can_be_kept_images_are_decoded_all_the_same(images, fresh, tmp_path):
    root = tmp_path / "cache"
    root.write_text("a file, where a folder should be")
    with DecodedSet.open(images, SMALL, root=root) as decoded:
        assert decoded.kept_out is not None
        assert warm(decoded) == 0
        assert np.array_equal(decoded.get(range(24)).pixels, fresh)


def fill(images, root, crop_pct, max_bytes):
    with DecodedSet.open(
        images, Preprocessing.from_settings(SIZE, crop_pct), root=root, max_bytes=max_bytes
    ) as decoded:
        decoded.get(range(24))
    time.sleep(0.02)  # The times of last use have to differ.
    return f"resize={int(SIZE / crop_pct)}x"


def kept(root):
    """The resize of each set that is kept, the least recently used first."""
    return [item.about["pixels"].partition("=")[2].partition("x")[0] for item in cached_sets(root)]


def test_sets_longest_unused_give_way(images, tmp_path):
    fill(images, tmp_path, 1.0, 1 << 30)
    one = cached_sets(tmp_path)[0].bytes
    assert 21 * SLOT <= one < 30 * SLOT
    limit = 3 * one
    fill(images, tmp_path, 0.8, limit)
    fill(images, tmp_path, 1.0, limit)  # Used again: now the other one is the older.
    assert kept(tmp_path) == ["60", "48"]
    for crop_pct, expected in ((0.75, ["48", "64"]), (0.6, ["64", "80"]), (0.5, ["80", "96"])):
        fill(images, tmp_path, crop_pct, limit)
        # A fit is judged before the decode, by the images wanted: one set fewer than could be.
        assert kept(tmp_path)[-2:] == expected
        assert sum(item.bytes for item in cached_sets(tmp_path)) <= limit


def test_a_set_in_use_is_never_evicted(images, fresh, tmp_path):
    with DecodedSet.open(images, SMALL, root=tmp_path) as used:
        used.get(range(24))
        one = cached_sets(tmp_path)[0].bytes
        tight = Preprocessing.from_settings(SIZE, 0.5)
        with DecodedSet.open(images, tight, root=tmp_path, max_bytes=one + SLOT) as decoded:
            assert np.array_equal(decoded.get(range(24)).pixels, decode(images, tight))
            assert warm(decoded) == 0
            assert "would exceed" in (decoded.kept_out or "")
        assert warm(used) == 21 / 24
        assert not make_room(tmp_path, SLOT, one)
        make_room(tmp_path, 0, 0)
        assert np.array_equal(used.get(range(24)).pixels, fresh)
        assert warm(used) == 21 / 24
    assert make_room(tmp_path, 0, 0)
    assert cached_sets(tmp_path) == []


def test_half_made_and_half_removed_sets_are_swept(images, tmp_path):
    fill(images, tmp_path, 1.0, 1 << 30)
    for name in (".trash-a", ".new-old", ".new-now"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pixels").write_bytes(bytes(1000))
    os.utime(tmp_path / ".new-old", (1, 1))
    fill(images, tmp_path, 0.9, 1 << 30)
    left = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert ".new-now" in left  # Another process may be making it.
    assert not {".trash-a", ".new-old"} & left


def test_a_set_says_what_it_is(images, tmp_path):
    fill(images, tmp_path, 0.875, 1 << 30)
    about = json.loads(next(tmp_path.glob("*/about.json")).read_text())
    assert about["where"] == images.where
    assert about["images"] == images.fingerprint
    assert about["decoder"].startswith("pillow 2 pillow=")


def test_a_full_disk_costs_only_the_keeping(images, fresh, tmp_path):
    """A limit of the process on file sizes refuses the write as a full disk does."""
    import resource
    import signal

    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10 * SLOT + 100, limits[1]))
        try:
            batch = decoded.get(range(24))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, previous)
        assert np.array_equal(batch.pixels, fresh)
        assert "takes no more" in (decoded.kept_out or "")
        assert warm(decoded) < 21 / 24
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        assert np.array_equal(decoded.get(range(24)).pixels, fresh)
        assert warm(decoded) == 21 / 24


def test_no_images_are_no_pixels(images, tmp_path):
    with DecodedSet.open(images, SMALL, root=tmp_path) as decoded:
        batch = decoded.get([])
    assert batch.pixels.shape == (0, SIZE, SIZE, 3)
    assert batch.unreadable == []
    assert isinstance(images.read(9), bytes)
    assert not isinstance(images.read(9), UnreadableImage)
