"""Images of any mode as 8-bit RGB: what every model of the zoo is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS_PER_SAMPLE = 258  # a tag of TIFF
# Whose mode I is 16-bit gray: the first in older versions of Pillow, the second in all of them.
_SIXTEEN_BIT = ("PNG", "PPM")


def to_rgb(image: Image) -> Image:
    """The image in mode RGB; transparency is dropped, as Pillow does it.

    Gray of 16 bits is scaled to 8, where Pillow would turn all but the darkest into white. It is
    done as Pillow does it for colours: the high byte counts.

    Raises:
        TypeError: it is no Pillow image.
        ValueError: it is of 32-bit numbers, whose range nobody knows.
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
