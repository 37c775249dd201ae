"""What variants answered, so written that a page of hundreds of them with 1,000 classes is small.

The classes that images are of, and how many there are of each, are the same for most variants, and
stand in the page once. How many are right takes one letter for each class of fewer than 64 images.
"""

from __future__ import annotations

import string
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

from harness.types import Mistake, PredictionSummary

# Of more classes the worst are shown, which are others for each variant.
_MOST_CLASSES = 1000
_WORST = 100
_ALWAYS_RIGHT = 5  # Of so few classes each is among the first five.
_DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"


class PageAnswers:
    """What the page holds of all variants' answers.

    Args:
        texts: gives the number of a text in the page, see `PageTexts`.

    Attributes:
        classes: what answers refer to: numbers of texts, and how many images each has.
        thumbnails: JPEGs in base64.
    """

    def __init__(self, texts: Callable[[str], int]) -> None:
        self._texts = texts
        self._classes: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
        self._thumbnails: dict[str, int] = {}

    @property
    def classes(self) -> list[list[Any]]:
        return [[named, _packed(images)] for named, images in self._classes]

    @property
    def thumbnails(self) -> list[str]:
        return list(self._thumbnails)

    def __call__(self, found: PredictionSummary) -> dict[str, Any]:
        """The order of its lists is the one in which ``answers.js`` takes them apart."""
        about = ", ".join(
            filter(None, (found.dataset or "images of no known dataset", found.setting))
        )
        top5 = found.top5 if len(found.names) > _ALWAYS_RIGHT else None
        counts = (found.images, found.top1, top5, found.unreadable, found.not_finite)
        return {
            "about": self._texts(about),
            "counts": counts,
            **self._by_class(found),
            "mistakes": [
                self._mistake(each, found.names) for each in found.mistakes if each.thumbnail
            ],
        }

    def _by_class(self, found: PredictionSummary) -> dict[str, Any]:
        if found.by_class is None:
            return {"classes": -1, "confused": []}
        worst = [*found.by_class]
        worst = sorted(worst if len(worst) <= _MOST_CLASSES else worst[:_WORST])
        named = tuple(self._class(each, found.names) for each in worst)
        images, right = zip(*(found.by_class[each] for each in worst), strict=True)
        return {
            "classes": self._classes.setdefault((named, images), len(self._classes)),
            "rest": len(found.by_class) - len(worst),
            "right": _packed(right),
            "confused": [
                [
                    self._class(label, found.names),
                    self._class(answered, found.names),
                    number,
                    found.by_class[label][0],
                ]
                for label, answered, number in found.confused
            ],
        }

    def _mistake(self, mistake: Mistake, names: Sequence[str]) -> list[Any]:
        thumbnail = b64encode(mistake.thumbnail or b"").decode()
        return [
            self._texts(mistake.image),
            [self._class(each, names) for each in mistake.labels],
            self._class(mistake.answered, names),
            mistake.probability,
            self._thumbnails.setdefault(thumbnail, len(self._thumbnails)),
        ]

    def _class(self, index: int, names: Sequence[str]) -> int:
        return self._texts(f"{index} {names[index]}" if index < len(names) else str(index))


def _packed(counts: Sequence[int]) -> list[Any]:
    """How many letters each number takes, and all of them in one text."""
    width = 1
    while len(_DIGITS) ** width <= max(counts):
        width += 1
    places = [len(_DIGITS) ** place for place in range(width - 1, -1, -1)]
    return [
        width,
        "".join(_DIGITS[n // place % len(_DIGITS)] for n in counts for place in places),
    ]
