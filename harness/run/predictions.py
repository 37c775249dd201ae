"""The predictions that a run keeps: a file for each variant and dataset, beside the store.

An image's predictions stand at its place in the fixed order, so that a file has no more in it than
them, and is the same whatever order its shards came in. What makes a shard's bytes valid is the
digest in its row of the store, which is written after them: what a kill, a full disk or a hand has
left otherwise is measured anew.
"""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from harness.check.evaluated import setting_tag
from harness.check.shards import (
    Span,
    span_of,
)
from harness.measure.accuracy.predictions import BYTES, Predictions
from harness.types import (
    EvalImages,
    Measurement,
    Mistake,
    PredictionSummary,
)
from zoo._util.files import make_private

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.datasets import ImageSet

SHOWN = 10
"""Of the most confused classes, and of the most confident mistakes."""

_SIDE = 64
_MOST_OF_THUMBNAILS = 2_000_000


class KeptPredictions:
    """The predictions of one variant, by the names of their files; without a folder, in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[str, bytearray] = {}
        self._known: dict[str, set[tuple[int, int]]] = {}

    def put(self, name: str, span: Span, encoded: object) -> list[str] | None:
        """Keep what a worker sent of a shard, as base64; what its row says of it, if anything."""
        try:
            data = b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
        except ValueError:
            data = b""
        if len(data) != (span.end - span.begin) * BYTES or not data:
            return None
        try:
            self._write(name, span.begin * BYTES, data)
        except OSError:  # As with the store: it costs the reuse and nothing else.
            self._remember(name, span.begin * BYTES, data)
        self._known.setdefault(name, set()).add((span.begin, span.end))
        return [name, hashlib.sha256(data).hexdigest()]

    def unfit(self, name: str, fact: Measurement) -> str:
        """Why a stored count is not to be believed, empty where its predictions are there."""
        said = fact.value.get("predictions")
        if said is None or fact.part is None:
            return ""
        span = span_of(fact.part)
        data = self._read(name, span.begin, span.end)
        if said != [name, hashlib.sha256(data).hexdigest()]:
            return "its predictions are not what its digest says"
        self._known.setdefault(name, set()).add((span.begin, span.end))
        return ""

    def reaches(self, name: str, begin: int) -> int:
        """The end of the images from ``begin`` on whose predictions are known without a gap."""
        for first, last in sorted(self._known.get(name, ())):
            if first <= begin < last:
                begin = last
        return begin

    def of(self, name: str, begin: int, end: int) -> Predictions | None:
        """The predictions of images that are known; None where the file is gone since."""
        data = self._read(name, begin, end)
        return Predictions(data) if len(data) == (end - begin) * BYTES else None

    def _write(self, name: str, place: int, data: bytes) -> None:
        if self._folder is None or name in self._memory:
            self._remember(name, place, data)
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        make_private(path := self._folder / name)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            written = os.pwrite(descriptor, data, place)
        finally:
            os.close(descriptor)
        if written < len(data):
            raise OSError("the disk is full")

    def _remember(self, name: str, place: int, data: bytes) -> None:
        held = self._memory.get(name)
        if held is None:
            held = self._memory[name] = bytearray()
            with suppress(OSError):
                held += (self._folder / name).read_bytes() if self._folder is not None else b""
        held.extend(bytes(max(0, place + len(data) - len(held))))
        held[place : place + len(data)] = data

    def _read(self, name: str, begin: int, end: int) -> bytes:
        if name in self._memory:
            return bytes(self._memory[name][begin * BYTES : end * BYTES])
        try:
            assert self._folder is not None
            with open(self._folder / name, "rb") as file:
                file.seek(begin * BYTES)
                return file.read((end - begin) * BYTES)
        except (AssertionError, OSError):
            return b""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a variant answered for the first images of a dataset, in the fixed order.

    ``tag`` is that of the dataset in its run, and ``classes`` are the variant's own, where the
    images are labelled by them.
    """

    variant: str
    tag: str
    images: EvalImages
    image_set: ImageSet
    predictions: Predictions
    classes: tuple[str, ...] | None
    precision: str = "off"

    @property
    def members(self) -> NDArray[np.int64]:
        return members_in(self.image_set, self.images)[: len(self.predictions)]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Their labels (n,), or, where several are right of an image, (n, most)."""
        return labels_in(self.image_set, self.images)[self.members]

    @property
    def right(self) -> NDArray[np.bool_]:
        """By top-1 and by top-5, (n, 2)."""
        return self.predictions.right(self.labels, self.images.subset)

    def summary(
        self, seen: Callable[[ImageSet, int], bytes | None] | None = None
    ) -> PredictionSummary:
        """What there is to say of them; ``seen`` makes the thumbnail of an image by its index."""
        import numpy as np

        from zoo.labels import imagenet_categories

        kept, labels, members = self.predictions, self.labels, self.members
        right = kept.right(labels, self.images.subset)
        best = kept.best(self.images.subset)[:, 0]
        wrong = np.flatnonzero(~right[:, 0] & (best >= 0))
        sure = kept.sureness(self.images.subset)
        known = wrong[~np.isnan(sure[wrong])]
        surest = known[np.argsort(-sure[known], kind="stable")][:SHOWN]
        by_class, confused = None, Counter[tuple[int, int]]()
        if labels.ndim == 1:
            counts = kept.per_class(labels, self.images.subset)
            # Of classes with as few right answers, the one with the most images comes first.
            order = sorted(counts, key=lambda c: (counts[c][1] / counts[c][0], -counts[c][0], c))
            by_class = {each: counts[each] for each in order}
            confused.update(zip(labels[wrong].tolist(), best[wrong].tolist(), strict=True))
        gravest = sorted(confused.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]
        return PredictionSummary(
            dataset=self.images.dataset,
            setting=setting_tag(self.tag),
            images=len(kept),
            top1=int(right[:, 0].sum()),
            top5=int(right[:, 1].sum()),
            unreadable=int(kept.unread.sum()),
            not_finite=int(kept.not_finite.sum()),
            names=self.classes or imagenet_categories(),
            by_class=by_class,
            confused=tuple((label, answer, images) for (label, answer), images in gravest),
            mistakes=tuple(
                Mistake(
                    image=self.image_set.names[members[n]],
                    labels=tuple(c for c in np.atleast_1d(labels[n]).tolist() if c >= 0),
                    answered=int(best[n]),
                    probability=round(float(kept.probability[n]), 4),
                    thumbnail=seen(self.image_set, int(members[n])) if seen is not None else None,
                )
                for n in surest.tolist()
            ),
        )


class Thumbnails:
    """Small JPEGs of images, each made once, until they are as large as a page may hold.

    Attributes:
        size: bytes of all of them.
        left_out: how many more were asked for.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], bytes | None] = {}
        self.size = self.left_out = 0

    def __len__(self) -> int:
        return sum(each is not None for each in self._made.values())

    def __call__(self, images: ImageSet, index: int) -> bytes | None:
        """The image as a model is shown it, not turned; None where it can't be read."""
        from harness.datasets.decoded import DecodeTask, decode_one
        from zoo.images.io import UnreadableImage
        from zoo.preprocessing import Preprocessing

        key = images.fingerprint, index
        if key not in self._made:
            if self.size > _MOST_OF_THUMBNAILS:
                self.left_out += 1
                return None
            task = DecodeTask(index, 0, images.names[index], images.sources[index])
            pixels = decode_one(task, Preprocessing((_SIDE, _SIDE), crop_pct=1.0), "pillow")
            made = None if isinstance(pixels, UnreadableImage) else _jpeg(pixels)
            self._made[key] = made
            self.size += len(made or b"")
        return self._made[key]


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Of the pixels alone: what else the file of the image said, such as a place, isn't in it."""
    from PIL import Image

    Image.fromarray(pixels).save(out := BytesIO(), "JPEG", quality=75, optimize=True)
    return out.getvalue()


def members_in(image_set: ImageSet, images: EvalImages) -> NDArray[np.int64]:
    """Which images of a whole set are those that are counted, in the fixed order."""
    from harness.datasets.members import members_of

    return members_of(image_set, images.subset, images.truth)


def labels_in(image_set: ImageSet, images: EvalImages) -> NDArray[np.int64]:
    """The labels of a whole set that count, (n,) or, where several are right, (n, most)."""
    import numpy as np

    from harness.datasets.members import truth_of

    truth = truth_of(image_set.names, images.truth)
    return np.asarray(image_set.labels, dtype=np.int64) if truth is None else truth
