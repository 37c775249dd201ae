"""Images to validate on: finding them, reading them, and keeping them decoded.

    >>> images = open_image_set("sample")
    >>> len(images), images.labels[0]
    (20, 243)

Nothing here knows a variant's claims but its preprocessing, and a model never sees a file.
"""

from harness.datasets.decoded import DecodedBatch, DecodedSet, decoding_pool
from harness.datasets.find import open_image_set
from harness.datasets.inspect import Identity, find_unreadable, identify
from harness.datasets.types import ImageSet, ImageSetError, order
from zoo.images.io import UnreadableImage

__all__ = [
    "DecodedBatch",
    "DecodedSet",
    "Identity",
    "ImageSet",
    "ImageSetError",
    "UnreadableImage",
    "decoding_pool",
    "find_unreadable",
    "identify",
    "open_image_set",
    "order",
]
