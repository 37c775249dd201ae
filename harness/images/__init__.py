"""Pictures to validate on: finding them, reading them, and keeping them decoded.

    >>> images = open_image_set("sample")
    >>> len(images), images.labels[0]
    (20, 243)

Nothing here knows a variant's claims but its preprocessing, and a model never sees a file.
"""

from harness.images.decode import decoding_pool
from harness.images.decoded import Batch, DecodedSet
from harness.images.find import open_image_set
from harness.images.identity import IMAGENET_1K, Identity, identify
from harness.images.inspect import check
from harness.images.order import order, shards
from harness.images.types import ImageSet, ImageSetError, Population, Problems
from zoo.pictures.files import Unreadable

__all__ = [
    "IMAGENET_1K",
    "Batch",
    "DecodedSet",
    "Identity",
    "ImageSet",
    "ImageSetError",
    "Population",
    "Problems",
    "Unreadable",
    "check",
    "decoding_pool",
    "identify",
    "open_image_set",
    "order",
    "shards",
]
