"""Images to validate on: finding them, reading them, and keeping them decoded.

    >>> images = open_image_set("sample")
    >>> len(images), images.labels[0]
    (20, 243)

Nothing here knows a variant's claims but its preprocessing, and a model never sees a file.
"""

from harness.datasets.decode import decoding_pool
from harness.datasets.decoded import DecodedBatch, DecodedSet
from harness.datasets.find import open_image_set
from harness.datasets.identity import IMAGENET_1K, Identity, identify
from harness.datasets.inspect import check
from harness.datasets.order import order, shards
from harness.datasets.types import ImageSet, ImageSetError, Population, Problems
from zoo.images.io import UnreadableImage

__all__ = [
    "IMAGENET_1K",
    "DecodedBatch",
    "DecodedSet",
    "Identity",
    "ImageSet",
    "ImageSetError",
    "Population",
    "Problems",
    "UnreadableImage",
    "check",
    "decoding_pool",
    "identify",
    "open_image_set",
    "order",
    "shards",
]
