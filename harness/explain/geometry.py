"""The inputs at which people count FLOPs, whatever their page says the image size is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from harness.types import Size

# A photograph that tutorials load, height and width in pixels: resized on its short side and
# never cropped, it is the input behind the FLOPs of several public zoos.
SAMPLE_PICTURE: Size = (1213, 1546)

# Pixels on a side that published image models are made for.
USUAL_SIZES = (192, 224, 240, 256, 288, 299, 300, 320, 331, 384, 448, 480, 512)


@dataclass(frozen=True, slots=True)
class Geometry:
    """An input that a count may have been made at.

    Attributes:
        size: (height, width) in pixels.
        rank: how far it is from the plain reading of the claim.
        words: what it is.
        rule: the same without its numbers, where other variants have others; else ``words``.
    """

    size: Size
    rank: int
    words: str
    rule: str = ""

    @property
    def general(self) -> str:
        """What it is, in words that hold for other variants, too."""
        return self.rule or self.words

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"


def geometries(
    claimed: Size, crop_pct: float | None, image_size: Size | None = None
) -> list[Geometry]:
    """The inputs that an explanation tries, the claimed one first, each size once.

    Args:
        claimed: the claim's own input, (height, width) in pixels.
        crop_pct: the share of the resized picture that is cropped, where the index says one.
        image_size: the variant's Image Size, which may be another than the claim's input.
    """
    found = [Geometry(claimed, 0, "the documented input")]
    if image_size is not None:
        found.append(Geometry(image_size, 1, "the documented Image Size"))
    for rank, (height, width) in enumerate(dict.fromkeys((claimed, image_size or claimed))):
        found.append(_uncropped(height, 2 + rank, "the documented size"))
        if crop_pct:
            resized = (floor(height / crop_pct), floor(width / crop_pct))
            words = "the picture as resized, before its centre is cropped"
            wide = _uncropped(resized[0], 3 + rank, "the size before the crop")
            found += [Geometry(resized, 1 + rank, words), wide]
    unique: dict[Size, Geometry] = {}
    for geometry in sorted(found, key=lambda g: g.rank):
        unique.setdefault(geometry.size, geometry)
    return list(unique.values())


def usual_geometries(known: Sequence[Geometry]) -> list[Geometry]:
    """The inputs that other variants have: tried where those of the variant's own explain nothing.

    Args:
        known: what was tried before; no size of it comes again.
    """
    tried = {geometry.size for geometry in known}
    squares = [
        Geometry((n, n), 4, "an input that other models have", f"{n}x{n}") for n in USUAL_SIZES
    ]
    wide = [_uncropped(n, 5, str(n)) for n in USUAL_SIZES]
    return [geometry for geometry in (*squares, *wide) if geometry.size not in tried]


def _uncropped(short: int, rank: int, meaning: str) -> Geometry:
    """The sample picture, resized on its short side alone; ``meaning`` says what that length is."""
    height, width = SAMPLE_PICTURE
    words, rule = (
        f"a photograph of {width}x{height} pixels resized to {size} on its short side and never "
        "cropped"
        for size in (short, meaning)
    )
    return Geometry((short, int(short * width / height)), rank, words, rule)
