"""The one random order in which images are gone through, the same for every variant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@lru_cache(maxsize=4)
def order(n: int, seed: int = 0) -> NDArray[np.int64]:
    """A fixed permutation of 0 .. n - 1.

    Images are sorted by the SHA-256 of ``SEED:INDEX``, so that no version of any library can
    change the order, and each head of it is a random draw without replacement.

    Returns:
        int64, (n,), read-only.
    """
    import numpy as np

    digests = [hashlib.sha256(f"{seed}:{index}".encode()).digest() for index in range(n)]
    permutation = np.array(sorted(range(n), key=digests.__getitem__), dtype=np.int64)
    permutation.flags.writeable = False
    return permutation


def shards(permutation: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """The order cut into pieces of ``size``, the last one as long as what is left.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"a shard has at least 1 image, not {size}")
    return (permutation[start : start + size] for start in range(0, len(permutation), size))
