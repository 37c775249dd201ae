"""From the words that a person writes to images: files, folders, standard input, URLs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from zoo.images.io import MAX_IMAGE, UnreadableImage, is_image, read_regular, reason
from zoo.images.web import Web, is_url

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class InputImage:
    """One image that is still to be read.

    Attributes:
        name: the path or URL, as it was written or found.
        read: gives all bytes of its file; raises OSError, whose text leaves out the name.
    """

    name: str
    read: Callable[[], bytes]


def find(places: Iterable[str], web: Web) -> Iterator[InputImage | UnreadableImage]:
    """The images at these places, in their order; none is read before it is asked for.

    Args:
        places: each a file; a folder, which is searched through its subfolders, names sorted,
            hidden ones and links to folders left out, for files with an image's name; an http or
            https URL; or ``-`` for the bytes of one image on standard input.
        web: what URLs are asked with.

    Yields:
        An image, or why there is none at a place.
    """
    for place in places:
        if place == STANDARD_INPUT:
            yield _standard_input()
        elif is_url(place):
            yield InputImage(place, partial(web.read, place))
        elif os.path.isdir(place):
            yield from _inside(place)
        else:
            yield _file(place)


def _file(path: str) -> InputImage:
    return InputImage(path, lambda: read_regular(path)[0])


def _inside(folder: str) -> Iterator[InputImage | UnreadableImage]:
    """The images of a folder, and the folders in it that can't be listed."""
    problems: list[OSError] = []
    found = False
    for path, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(filter(is_image, files)):
            found = True
            yield _file(os.path.join(path, name))
        while problems:
            found = True
            yield _unlisted(problems.pop(0))
    # A folder that can't be entered is told of before the next one is, so the last is still here.
    for problem in problems:
        found = True
        yield _unlisted(problem)
    if not found:
        yield UnreadableImage(folder, "there is no image in it (a name ending in .jpg, .png, ...)")


def _unlisted(error: OSError) -> UnreadableImage:
    return UnreadableImage(str(error.filename), f"it can't be listed: {reason(error)}")


def _standard_input() -> InputImage | UnreadableImage:
    """What comes on standard input, read at once: no thread that waits for it could be ended."""
    name = "standard input"
    if sys.stdin is None:
        return UnreadableImage(name, "it is closed")
    try:
        data = sys.stdin.buffer.read(MAX_IMAGE + 1)
    except OSError as error:
        return UnreadableImage(name, reason(error))
    if len(data) > MAX_IMAGE:
        return UnreadableImage(name, f"it has more bytes than the limit of {MAX_IMAGE}")
    if not data:
        return UnreadableImage(name, "nothing came")
    return InputImage(name, lambda: data)
