"""Files that hold one image: which they are, reading them, and decoding any mode to 8-bit RGB."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo._util.files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

# What Pillow and people call images; other files in a folder are none.
SUFFIXES = (
    *(".jpeg", ".jpg", ".jfif", ".jp2", ".png", ".webp", ".avif"),
    *(".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"),
)
MAX_IMAGE = 256 << 20  # bytes; no image that a model is run on is near it


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """An image that can't be read: ``why`` is one line that leaves out its name."""

    name: str
    why: str


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image, and not one that systems hide."""
    base = name.rpartition("/")[2]
    return base.lower().endswith(SUFFIXES) and not base.startswith(".")


def check_size(size: int) -> None:
    """Raises OSError for an image whose file is larger than any image's."""
    if size > MAX_IMAGE:
        raise OSError(f"its file has {size} bytes, more than the limit of {MAX_IMAGE}")


def read_regular(path: str, count: int | None = None) -> tuple[bytes, os.stat_result]:
    """The bytes of an image's file, or ``count`` of them at most, with what the system says of it.

    A pipe is not waited for.

    Raises:
        OSError: it can't be read, is no regular file, or is larger than any image.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        check_size(status.st_size)
        # A file that grows while it is read stays within the limit.
        return file.read(status.st_size if count is None else count), status


def regular(path: os.PathLike[str]) -> os.stat_result:
    """What the system says of a file; raises OSError for a pipe, which would be waited for."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no regular file")
    return status


def as_text(name: str) -> str:
    r"""A name that can be written as UTF-8: bytes that are no text are written out (``\udce9``)."""
    return name.encode("utf-8", "backslashreplace").decode()


def reason(error: BaseException) -> str:
    """An error as a few words on one line, without the path that the reader knows."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "it is no image that Pillow knows"  # Its own words name an address in memory.
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


_BITS_PER_SAMPLE = 258  # a tag of TIFF
# Whose mode I is 16-bit gray: the first in older versions of Pillow, the second in all of them.
_SIXTEEN_BIT = ("PNG", "PPM")


def to_rgb(image: Image) -> Image:
    """The image in mode RGB; transparency is dropped, as Pillow does it.

    Gray of 16 bits is scaled to 8, where Pillow would turn all but the darkest into white. It is
    done as Pillow does it for colours: the high byte counts.

    Raises:
        TypeError: it is no Pillow image.
        ValueError: it is of 32-bit numbers, whose range is unknown.
        OSError: it can't be decoded; Pillow raises other errors on some bad files.
    """
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise TypeError(
            f"a Pillow image is needed, not {type(image).__name__}; PIL.Image.open gives one"
        )
    bits = _bits_of_gray(image)
    if bits is None:
        return image.convert("RGB")
    import numpy as np

    high = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
    rgb = Image.fromarray(high).convert("RGB")
    rgb.info = dict(image.info)  # It says which side is up.
    return rgb


def upright(image: Image) -> Image:
    """The image turned and mirrored as its EXIF orientation says; as it is, if that is damaged.

    Raises:
        OSError: it can't be decoded; Pillow raises other errors on some bad files.
    """
    from PIL import ImageOps

    image.load()  # What is wrong with the image itself is the caller's.
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise  # The machine's fault and not the EXIF's.
    except Exception:  # noqa: BLE001 - Pillow's reader of EXIF raises nearly anything
        return image


def _bits_of_gray(image: Image) -> int | None:
    """How many bits a gray pixel has, where it has more than 8; None for other modes.

    Raises:
        ValueError: as `to_rgb`.
    """
    mode = image.mode
    if mode.startswith("I;16"):
        # Pillow leaves the 12 bits of such a TIFF as they are; of other formats it scales them up.
        tags = getattr(image, "tag_v2", None)
        return 12 if tags is not None and tags.get(_BITS_PER_SAMPLE) == (12,) else 16
    if mode == "I" and image.format in _SIXTEEN_BIT:
        return 16
    if mode in ("I", "F"):
        raise ValueError(
            f"its pixels are 32-bit numbers (mode {mode}) whose range is not known; save it with "
            "8 or 16 bits"
        )
    return None
