"""Every form of an image set gives the same images, labels and pixels."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle

import numpy as np
import pytest
from cli import run_python
from PIL import Image

from harness.datasets import ImageSetError, UnreadableImage, find_unreadable, open_image_set
from harness.datasets.decoded import DecodeTask, decode_one
from zoo.preprocessing import Preprocessing

SMALL = Preprocessing.from_settings(32, 0.875, "bicubic")
FORMS = [
    "synset folders", "index folders", "name folders", "folders in val", "links", "labels",
    "synset labels", "windows labels", "labels without suffix", "bare synsets",
    "labels above val", "names end in synsets", "kit", "tar", "tar of folders", "tar and kit",
    "parquet", "parquet beside", "shards", "shards with json", "shards by a pattern",
    "archives of classes",
]  # fmt: skip


def number_of(name):
    """The image's own number, whatever a form puts before and after it."""
    return int(name.partition("_val_")[2][:8])


def test_every_form_is_tested(forms):
    assert sorted(FORMS) == sorted(forms)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_gives_images_labels_bytes_and_what_can_t_be_read(form, forms, given, tmp_path):
    images = open_image_set(forms[form](tmp_path / "set", given))
    assert len(images) == len(given) == len(set(images.names))
    assert images.missing == ()
    for index, name in enumerate(images.names):
        image = given[number_of(name) - 1]
        assert images.labels[index] == image.label, name
        assert images.read(index) == image.data, name
        pixels = decode_one(DecodeTask(index, 0, name, images.sources[index]), SMALL, "pillow")
        if image.readable:
            expected = SMALL.to_pixels(Image.open(io.BytesIO(image.data)))
            assert np.array_equal(pixels, expected)
        else:
            assert isinstance(pixels, UnreadableImage)
            assert pixels.name == name
    assert not images.full
    broken = [n for n, image in enumerate(given, start=1) if not image.readable]
    found = {number_of(item.name): item.why for item in find_unreadable(images)}
    # An image cut in the middle begins well: only decoding it shows that.
    assert sorted(found) == broken[1:]
    assert found[broken[-1]] == "it is no image that Pillow knows"


def _read_all(images):
    return [images.read(index) for index in range(len(images))]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_set_survives_fork_and_spawn(method, forms, given, tmp_path):
    """Two processes read while the first one does: no file position is shared."""
    sets = [
        open_image_set(forms[form](tmp_path / form, given)) for form in ("labels", "tar", "parquet")
    ]
    expected = [_read_all(images) for images in sets]
    with multiprocessing.get_context(method).Pool(2) as pool:
        pending = [pool.apply_async(_read_all, (images,)) for images in sets for _ in range(4)]
        for _ in range(5):
            assert [_read_all(images) for images in sets] == expected
        assert [result.get(300) for result in pending] == [
            each for each in expected for _ in "four"
        ]


def test_a_fork_while_another_thread_reads_parquet_does_not_hang(forms, given, tmp_path):
    from harness.datasets import parquet

    images = open_image_set(forms["parquet"](tmp_path / "set", given))
    with parquet._GROUPS._lock:
        child = multiprocessing.get_context("fork").Process(target=images.read, args=(0,))
        child.start()
        child.join(120)
        hangs = child.is_alive()
        child.kill()
    assert not hangs
    assert child.exitcode == 0


@pytest.mark.parametrize("form", ["synset folders", "labels", "tar", "parquet"])
def test_the_fingerprint_tells_what_changed(form, forms, given, tmp_path):
    place = forms[form](tmp_path / "set", given)
    before = open_image_set(place)
    assert open_image_set(place).fingerprint == before.fingerprint
    assert pickle.loads(pickle.dumps(before)).fingerprint == before.fingerprint
    moved = tmp_path / "moved"
    top = tmp_path / "set"
    top.rename(moved)
    place = moved / place.relative_to(top)
    assert open_image_set(place).fingerprint == before.fingerprint
    target = next(path for path in moved.rglob("*") if path.suffix in (".JPEG", ".tar", ".parquet")
                  and "train" not in path.name)  # fmt: skip
    status = target.stat()
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    changed = open_image_set(place).fingerprint
    assert changed != before.fingerprint
    if form == "labels":
        labels = place / "labels.txt"
        labels.write_text(labels.read_text().replace("_00000001.JPEG 0", "_00000001.JPEG 1"))
        assert open_image_set(place).fingerprint != changed


@pytest.mark.parametrize("form", ["labels", "tar", "parquet"])
def test_a_file_that_changes_later_is_not_read_as_what_it_was(form, forms, given, tmp_path):
    """Else the kept pixels of the old fingerprint would be those of the new file."""
    images = open_image_set(forms[form](tmp_path / "set", given))
    for file in (tmp_path / "set").rglob("*"):
        if file.is_file():
            status = file.stat()
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    found = images.read(0)
    assert isinstance(found, UnreadableImage)
    assert "changed since the image set was opened" in found.why


def test_the_sample_is_found_without_importing_what_ships_it():
    program = (
        "import sys; from harness.datasets import open_image_set as o; s = o('sample');"
        "print(len(s), s.labels[:3], s.names[0],"
        "{'foolbox', 'torch', 'scipy', 'eagerpy'} & set(sys.modules))"
    )
    done = run_python(["-c", program])
    if "is not installed" in done.stderr:
        pytest.skip("the 20 real images need the extra 'sample'")
    assert done.stdout == "20 (243, 559, 438) imagenet_00_243.jpg set()\n", done.stderr


def test_an_empty_folder_is_no_set(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(ImageSetError, match="expected class folders"):
            open_image_set(place)
