"""What is in an image set, and which of its images can't be read, before a model runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from io import BytesIO

from harness.datasets.types import ImageSet, ImageSource, Problems
from zoo.images.io import UnreadableImage, reason
from zoo.images.modes import to_rgb

_HEAD = 4096
_CHUNK = 64


def check(images: ImageSet, *, full: bool = False, pool: Executor | None = None) -> Problems:
    """Looks at every image of a set.

    Args:
        images: the set.
        full: decode each image whole; else only what its file begins with is looked at, which
            finds what is no image, is empty, or is larger than Pillow's limit, in a hundredth
            of the time.
        pool: of `decoding_pool`; None looks in this process.
    """
    ordered = sorted(zip(images.names, images.sources, strict=True), key=lambda p: p[1].place)
    chunks = [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]
    results: Iterator[list[UnreadableImage]]
    if pool is None:
        results = (_look(chunk, full) for chunk in chunks)
    else:
        results = pool.map(_look, chunks, [full] * len(chunks))
    bad = {item.name: item for found in results for item in found}
    return Problems(
        images=len(images),
        classes=len(set(images.labels)),
        unreadable=tuple(bad[name] for name in images.names if name in bad),
        ignored=images.ignored,
        missing=images.missing,
        decoded=full,
    )


def _look(chunk: Sequence[tuple[str, ImageSource]], full: bool) -> list[UnreadableImage]:
    found = []
    for name, source in chunk:
        why = _why_unreadable(source, full)
        if why is not None:
            found.append(UnreadableImage(name, why))
    return found


def _why_unreadable(source: ImageSource, full: bool) -> str | None:
    from PIL import Image

    try:
        if full:
            with Image.open(BytesIO(source.read())) as image:
                to_rgb(image)
            return None
        try:
            with Image.open(BytesIO(source.head(_HEAD))):
                return None
        # Some formats say what they are at the end, and long metadata can come before the size.
        except Image.DecompressionBombError:
            raise
        except Exception:  # noqa: BLE001 - as below; the whole file decides
            with Image.open(BytesIO(source.read())):
                return None
    except MemoryError:
        raise  # The machine's fault and not the image's.
    # Pillow's readers raise errors of nearly every class on damaged or hostile files.
    except Exception as error:  # noqa: BLE001
        return reason(error)
