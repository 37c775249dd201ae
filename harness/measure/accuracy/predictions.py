"""What a variant answered for each image, kept, so that any score is worked out without the model.

An image takes 24 bytes: its five best classes over all, and over each subset of the classes that a
known set is scored by, the probability of the best, and by how much the fifth logit is above the
sixth. Scores are functions of these and of labels, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUBSETS = ("imagenet_a", "imagenet_r")
"""The tables of classes that a known set is scored by, see `zoo.known_datasets.class_subset`."""

BEST = 5
VALUES = BEST * (1 + len(SUBSETS)) + 2
"""Of one image as a batch gives them: the best classes, of subsets the ranks; both numbers."""

BYTES = 24
"""Of one image as they are kept."""

# No class: the image could not be read, its logits are no numbers, or there are fewer classes.
_NONE = 0xFFFF
_NO_RANK = 0xFF
# Of an image that could not be read; the probability of one whose logits are no numbers is 0.
_UNREAD = 0xFFFF
_MOST = _UNREAD - 1
MOST_CLASSES = _NONE


@cache
def _entry() -> np.dtype[Any]:
    import numpy as np

    subsets = [(name, "u1", (BEST,)) for name in SUBSETS]
    return np.dtype([("best", "<u2", (BEST,)), *subsets, ("probability", "<u2"), ("margin", "<f2")])


def packed(values: NDArray[np.float64], places: NDArray[np.int64], count: int) -> bytes:
    """Predictions as they are kept.

    Args:
        values: (n, VALUES), classes and ranks -1 where there is none.
        places: of each, its place among ``count`` images; the others could not be read.
        count: of images.
    """
    import numpy as np

    made = np.zeros(count, dtype=_entry())
    made["best"], made["probability"] = _NONE, _UNREAD
    for name in SUBSETS:
        made[name] = _NO_RANK
    made["best"][places] = values[:, :BEST].astype(np.int64)  # -1 wraps to none.
    for begin, name in enumerate(SUBSETS, start=1):
        made[name][places] = values[:, BEST * begin : BEST * (begin + 1)].astype(np.int64)
    made["probability"][places] = np.round(values[:, -2] * _MOST)
    made["margin"][places] = np.minimum(values[:, -1], float(np.finfo(np.float16).max))
    return made.tobytes()


class Agreement(NamedTuple):
    """How two sets of answers to the same images differ: right by both, by one alone, by none."""

    both: int
    first: int
    second: int
    neither: int


class Predictions:
    """What a variant answered for some images.

    Args:
        kept: `BYTES` for each image, as `packed` makes them.
    """

    def __init__(self, kept: bytes) -> None:
        import numpy as np

        self._entries: NDArray[Any] = np.frombuffer(kept, dtype=_entry())

    def __len__(self) -> int:
        return len(self._entries)

    def at(self, places: NDArray[np.int64]) -> Predictions:
        """Those of some of the images."""
        return Predictions(self._entries[places].tobytes())

    def scores(self, subset: str) -> bool:
        """Whether they can be scored over a subset, which takes a model of ImageNet's classes."""
        some = ~self.unread & ~self.not_finite
        return not subset or not some.any() or bool((self.best(subset)[some] >= 0).any())

    def best(self, subset: str = "") -> NDArray[np.int64]:
        """The five best classes (n, 5), of all or of a subset of them; -1 is none."""
        import numpy as np

        from zoo.known_datasets import class_subset

        if not subset:
            found = self._entries["best"].astype(np.int64)
            found[found == _NONE] = -1
            return found
        classes = np.full(_NO_RANK + 1, -1)
        table = class_subset(subset)
        classes[: len(table)] = table
        ranks: NDArray[np.int64] = classes[self._entries[subset]]
        return ranks

    @property
    def probability(self) -> NDArray[np.float64]:
        """Of the best class, from 0 to 1; 0 where there is none."""
        import numpy as np

        found = self._entries["probability"]
        return np.where(found == _UNREAD, 0.0, found / _MOST)

    def sureness(self, subset: str) -> NDArray[np.float64]:
        """The probability of the best class of a subset, NaN where another class is better still.

        Of the five best of a subset no probability is kept.
        """
        import numpy as np

        overall = not subset or self.best(subset)[:, 0] == self.best()[:, 0]
        return np.where(overall, self.probability, np.nan)

    @property
    def margin(self) -> NDArray[np.float64]:
        """By how much the fifth logit is above the sixth."""
        import numpy as np

        return self._entries["margin"].astype(np.float64)

    @property
    def unread(self) -> NDArray[np.bool_]:
        """Images that could not be read."""
        found: NDArray[Any] = self._entries["probability"] == _UNREAD
        return found

    @property
    def not_finite(self) -> NDArray[np.bool_]:
        """Images with a logit that is no finite number."""
        found: NDArray[Any] = ~self.unread & (self._entries["best"][:, 0] == _NONE)
        return found

    def right(
        self, labels: Sequence[int] | NDArray[np.int64], subset: str = ""
    ) -> NDArray[np.bool_]:
        """Whether each image's label is the first, and among the first five: (n, 2).

        Args:
            labels: (n,), or all that are right of an image (n, most), filled with -1.
            subset: score over these classes alone.
        """
        import numpy as np

        wanted = np.asarray(labels, dtype=np.int64).reshape(len(self), -1)[:, None, :]
        hits = ((self.best(subset)[:, :, None] == wanted) & (wanted >= 0)).any(2)
        return np.stack([hits[:, 0], hits.any(1)], axis=1)

    def per_class(self, labels: NDArray[np.int64], subset: str = "") -> dict[int, tuple[int, int]]:
        """Of each class the images, and those of them that are right by top-1."""
        import numpy as np

        right = self.right(labels, subset)[:, 0]
        counts, hits = np.bincount(labels), np.bincount(labels, weights=right)
        return {int(each): (int(counts[each]), int(hits[each])) for each in np.unique(labels)}

    def agreement(
        self, other: Predictions, labels: NDArray[np.int64], subset: str = ""
    ) -> Agreement:
        """How often two variants are right by top-1 on the same images."""
        first, second = (each.right(labels, subset)[:, 0] for each in (self, other))
        return Agreement(
            int((first & second).sum()),
            int((first & ~second).sum()),
            int((~first & second).sum()),
            int((~first & ~second).sum()),
        )
