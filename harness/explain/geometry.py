"""The inputs at which people count FLOPs, whatever their page says the image size is."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from harness.types import Size

# A photograph that tutorials load, height and width in pixels: resized on its short side and
# never cropped, it is the input behind the FLOPs of several public zoos.
SAMPLE_PICTURE: Size = (1213, 1546)


@dataclass(frozen=True, slots=True)
class Geometry:
    """An input size, how far it is from the plain reading of the claim, and what it is."""

    size: Size
    rank: int
    words: str

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"


def geometries(claimed: Size, crop_pct: float | None) -> list[Geometry]:
    """The inputs that an explanation tries, the claimed one first, each size once.

    Args:
        claimed: the claim's own input, (height, width) in pixels.
        crop_pct: the share of the resized picture that is cropped, where the index says one.
    """
    height, width = claimed
    found = [Geometry(claimed, 0, "the documented input")]
    if crop_pct:
        resized = (floor(height / crop_pct), floor(width / crop_pct))
        found.append(Geometry(resized, 1, "the picture as resized, before its centre is cropped"))
    for short in (height, *(floor(height / crop_pct) for _ in range(1) if crop_pct)):
        long = int(short * SAMPLE_PICTURE[1] / SAMPLE_PICTURE[0])
        words = (
            f"a photograph of {SAMPLE_PICTURE[1]}x{SAMPLE_PICTURE[0]} pixels resized to {short} "
            "on its short side and never cropped"
        )
        found.append(Geometry((short, long), 2 if short == height else 3, words))
    unique: dict[Size, Geometry] = {}
    for geometry in found:
        unique.setdefault(geometry.size, geometry)
    return list(unique.values())
