"""Generated images of every kind, and each form of image set made from the same ones."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories import saved
from PIL import Image

from zoo.labels import imagenet_categories, imagenet_synsets


@dataclass(frozen=True)
class Given:
    """One generated image: its file name, its bytes, its class; whether Pillow can read it."""

    name: str
    data: bytes
    label: int
    readable: bool = True


def smooth(seed, height, width, channels=3):
    """An image of soft blobs, another one for each seed."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, channels), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def generate():
    exif = Image.Exif()
    exif[0x0112] = 6
    colour = smooth(1, 90, 130)
    whole = saved(smooth(2, 200, 150), "JPEG", quality=95)
    kinds: list[tuple[bytes, bool]] = [
        (saved(colour, "JPEG"), True),
        (saved(smooth(3, 300, 40), "JPEG"), True),
        (saved(colour.convert("L"), "JPEG"), True),
        (saved(colour.convert("CMYK"), "JPEG"), True),
        (saved(colour.quantize(16), "PNG", transparency=2), True),
        (saved(smooth(4, 80, 80, 4), "PNG"), True),
        (saved(colour, "JPEG", exif=exif.tobytes()), True),
        (saved(colour.quantize(8), "GIF", save_all=True, append_images=[smooth(5, 90, 130)]), True),
        (whole[: len(whole) // 2], False),
        (b"", False),
        (b"<html>404 Not Found</html>", False),
        *((saved(smooth(100 + n, 60 + 7 * n, 140 - 5 * n), "JPEG"), True) for n in range(13)),
    ]
    labels = [0, 999, 7, 281, 281, 500, 65, 2, 10, 100, 998, *range(300, 313)]
    return [
        Given(f"ILSVRC2012_val_{number:08d}.JPEG", data, label, readable)
        for number, ((data, readable), label) in enumerate(zip(kinds, labels, strict=True), start=1)
    ]


@pytest.fixture(scope="session")
def given():
    """24 images, three of them broken."""
    return generate()


def write_flat(root, given):
    root.mkdir(parents=True)
    for image in given:
        (root / image.name).write_bytes(image.data)
    return root


def write_classes(root, given, name):
    for image in given:
        folder = root / name(image.label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / image.name).write_bytes(image.data)
    return root


def write_tar(path, given, prefix="", form=tarfile.GNU_FORMAT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as archive:
        for image in given:
            member = tarfile.TarInfo(prefix + image.name)
            member.size = len(image.data)
            archive.addfile(member, io.BytesIO(image.data))
    return path


def write_meta(path):
    """A development kit's table of IDs in an order of its own; gives the class of each ID."""
    io_ = pytest.importorskip("scipy.io")
    order = [int(i) for i in np.random.default_rng(11).permutation(1000)]
    rows = np.zeros((1003, 1), dtype=[(n, "O") for n in ("ILSVRC2012_ID", "WNID", "words")])
    synsets = imagenet_synsets()
    for id_ in range(1, 1004):
        # After the classes come the inner nodes of the tree.
        wnid = synsets[order[id_ - 1]] if id_ <= 1000 else f"n9000000{id_ - 1001}"
        rows[id_ - 1, 0] = (id_, wnid, "some words")
    io_.savemat(path, {"synsets": rows})
    return order


def write_kit(root, given):
    order = write_meta(root / "meta.mat")
    ids = {class_: id_ for id_, class_ in enumerate(order, start=1)}
    lines = "".join(f"{ids[image.label]}\n" for image in given)
    (root / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)


def write_parquet(root, given):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (root / "data").mkdir(parents=True)
    half = len(given) // 2
    for number, part in enumerate((given[:half], given[half:])):
        images = [{"bytes": image.data, "path": image.name} for image in part]
        table = arrow.table({"image": images, "label": [image.label for image in part]})
        shard = root / "data" / f"validation-0000{number}-of-00002.parquet"
        parquet.write_table(table, shard, row_group_size=5)
    (root / "data" / "train-00000-of-00001.parquet").write_bytes(b"another split")
    return root


def pairs(given, label=int, between=" "):
    return "".join(f"{image.name}{between}{label(image.label)}\n" for image in given)


def _kit_archive(root, given):
    inner = root / "ILSVRC2012_devkit_t12" / "data"
    inner.mkdir(parents=True)
    write_kit(inner, given)
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as archive:
        archive.add(root / "ILSVRC2012_devkit_t12", "ILSVRC2012_devkit_t12")
    for file in inner.iterdir():
        file.unlink()
    return write_tar(root / "ILSVRC2012_img_val.tar", given)


def _flat(text, name="labels.txt"):
    def write(root, given):
        (write_flat(root, given) / name).write_bytes(text(given))
        return root

    return write


def _named(root, given):
    return write_flat(root, [_with_synset(image) for image in given])


def _with_synset(image):
    name = f"{image.name.removesuffix('.JPEG')}_{imagenet_synsets()[image.label]}.JPEG"
    return Given(name, image.data, image.label, image.readable)


def _synset(label):
    return imagenet_synsets()[label]


def _tar_beside(root, given):
    write_tar(root / "ILSVRC2012_val.tar", given, "./", tarfile.PAX_FORMAT)
    (root / "ILSVRC2012_val.txt").write_text(pairs(given))
    return root / "ILSVRC2012_val.tar"


def write_shards(root, given, beside, key=None):
    """WebDataset shards of nine images; ``beside`` gives the texts that stand beside an image."""
    root.mkdir(parents=True)
    for number in range(0, len(given), 9):
        with tarfile.open(root / f"imagenet1k-validation-{number // 9:02}.tar", "w") as archive:
            for rank, image in enumerate(given[number : number + 9], start=number):
                stem = image.name.removesuffix(".JPEG") if key is None else key(rank)
                files = {".jpg": image.data, **beside(image)}
                for suffix, data in files.items():
                    member = tarfile.TarInfo(f"{stem}{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    (root / "imagenet1k-train-0000.tar").write_bytes(b"another split")
    (root / "labels.txt").write_text("of something else")
    return root


def _cls(image):
    return {".cls": f"{image.label}".encode()}


def _json(image):
    about = {"filename": f"{_synset(image.label)}/{image.name}", "label": image.label, "width": 9}
    return {".json": json.dumps(about).encode()}


def _class_archives(root, given):
    for label in {image.label for image in given}:
        write_tar(root / f"{_synset(label)}.tar", [i for i in given if i.label == label])
    return root


def _beside_parquet(root, given):
    """Shards that name files beside them, in the way of datasets that were not embedded."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    write_flat(root / "images", given)
    images = [{"bytes": None, "path": f"images/{image.name}"} for image in given]
    table = arrow.table({"image": images, "label": [image.label for image in given]})
    parquet.write_table(table, root / "validation-00000-of-00001.parquet")
    return root


def _tar_of_folders(root, given):
    moved = [Given(f"val/{_synset(p.label)}/{p.name}", p.data, p.label, p.readable) for p in given]
    return write_tar(root / "mine.tar", moved)


def _kit(root, given):
    write_flat(root, given)
    write_kit(root, given)
    return root


def _images_in_val(root, given):
    write_flat(root / "val", given)
    (root / "labels.csv").write_text("filename,label\n" + pairs(given, _synset, ","))
    return root


def _linked(root, given):
    """Class folders of links, as people sort images without a second copy of them."""
    store = write_flat(root / "store", given)
    for image in given:
        folder = root / "sorted" / _synset(image.label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / image.name).symlink_to(store / image.name)
    return root / "sorted"


FORMS: dict[str, Callable[[Path, list[Given]], Path]] = {
    "synset folders": lambda root, given: write_classes(root, given, _synset),
    "index folders": lambda root, given: write_classes(root, given, lambda n: f"{n:03d}"),
    "name folders": lambda root, given: write_classes(
        root, given, lambda n: imagenet_categories()[n].replace(" ", "_").replace("/", "_")
    ),
    "folders in val": lambda root, given: write_classes(root / "val", given, _synset).parent,
    "links": _linked,
    "labels": _flat(lambda given: pairs(given).encode()),
    "synset labels": _flat(lambda given: pairs(given[::-1], _synset, "\t").encode()),
    "windows labels": _flat(
        lambda given: b"\xef\xbb\xbf" + pairs(given, between=", ").replace("\n", "\r\n").encode()
    ),
    "labels without suffix": _flat(lambda given: pairs(given).replace(".JPEG", "").encode()),
    "bare synsets": _flat(
        lambda given: "\n".join(_synset(p.label) for p in given).encode(), "synset_labels.txt"
    ),
    "labels above val": _images_in_val,
    "names end in synsets": _named,
    "kit": _kit,
    "tar": _tar_beside,
    "tar of folders": _tar_of_folders,
    "tar and kit": _kit_archive,
    "parquet": write_parquet,
    "parquet beside": _beside_parquet,
    "shards": lambda root, given: write_shards(root, given, _cls),
    "shards with json": lambda root, given: write_shards(
        root, given, _json, lambda rank: f"{rank:08}"
    ),
    "shards by a pattern": lambda root, given: (
        write_shards(root, given, lambda image: {".cls": _synset(image.label).encode()})
        / "imagenet1k-validation-{00..02}.tar"
    ),
    "archives of classes": _class_archives,
}


@pytest.fixture
def forms():
    """Name of a form -> a function that writes it below a folder and gives the path to open."""
    return FORMS


@pytest.fixture
def flat(tmp_path, given):
    """The images in one folder, no labels yet."""
    return write_flat(tmp_path / "images", given)


@pytest.fixture
def tar_writer():
    """Writes given images into an archive."""
    return write_tar


@pytest.fixture
def make_given():
    """Makes one more image by name, bytes, label."""
    return Given


@pytest.fixture(scope="session")
def plain_writer(given):
    """Writes the images into one folder with their labels."""
    return lambda folder: FORMS["labels"](folder, given)


@pytest.fixture
def plain_set(tmp_path, plain_writer):
    """The images in one folder with their labels."""
    return plain_writer(tmp_path / "plain")
