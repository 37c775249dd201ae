"""Files that hold one image: which they are, how large they may be, and reading them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from zoo._util.files import open_regular

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
    """The bytes of an image's file, with what the system says of it; a pipe is not waited for.

    Args:
        path: the file.
        count: read no more than so many bytes; None reads them all.

    Raises:
        OSError: it can't be read, is no regular file, or is larger than any image.
    """
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        check_size(status.st_size)
        # A file that grows while it is read stays within the limit.
        return file.read(status.st_size if count is None else count), status


def as_text(name: str) -> str:
    r"""A name that can be written as UTF-8: bytes that are no text are written out (``\udce9``)."""
    return name.encode("utf-8", "backslashreplace").decode()


def reason(error: BaseException) -> str:
    """An error as a few words on one line, without the path that the reader knows."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "it is no image that Pillow knows"  # Its own words name an address in memory.
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
