"""Counts that are worked out from predictions: no model is run for them.

That is so of what is scored otherwise of the same images (ImageNet-ReaL, the clean scores of -A and
-R), of labels in another order, and of images that were answered for another count's sake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.check.decide import IMAGENET, looks
from harness.check.diagnosis import PREFIX
from harness.check.evaluated import joined, setting_tag
from harness.check.paired import AGREEMENT
from harness.check.shards import (
    AS_DOCUMENTED,
    PREDICTED,
    Span,
    precision_of,
    shard_names,
    span_of,
    tagged,
)
from harness.measure.accuracy.predictions import Predictions
from harness.run.predictions import KeptPredictions, labels_in, members_in
from harness.types import EvalImages, Fact, Measurement, Recipe, Slot, Unmeasured, unmeasured
from zoo.known_datasets import KNOWN

if TYPE_CHECKING:
    from harness.datasets import ImageSet
    from harness.run.eval_datasets import VariantImages

_NOT_OF_IMAGENET = "the model does not tell all of ImageNet's classes apart"


def documented(span: Span) -> str:
    """The part that makes the predictions of a span's images."""
    (part,) = shard_names(span.begin, span.end, AS_DOCUMENTED, span.end - span.begin)
    return tagged(part, span.tag)


@dataclass(frozen=True, slots=True)
class Rescoring:
    """Works out counts of a variant from its predictions.

    Attributes:
        recipe: the variant.
        facts: what is known of it.
        images: those of the run.
        kept: its predictions.
        file_of: the file that has the predictions of a part.
    """

    recipe: Recipe
    facts: Mapping[Slot, Fact]
    images: VariantImages | None
    kept: KeptPredictions
    file_of: Callable[[str], str]

    def predictions(self, span: Span, way: str = "") -> Predictions | set[Slot] | Fact:
        """The predictions of a span's images, as they are prepared in a way.

        Without them, the counts that bring them; or one that has come, and brought none.
        """
        assert self.images is not None
        images = self.images.counted(tagged("0-0", span.tag))
        source = images.made_of or images
        tag = joined(source.tag, setting_tag(span.tag))
        name = self.file_of(tagged(f"{way}@0-0", tag))
        places = self.images.places(span)
        begin, end = int(places[0]), int(places[-1]) + 1
        reach = self.kept.reaches(name, begin)
        if reach < end:
            rest = Span(way, reach, end, tag)
            more = images is source and not precision_of(span)
            wanted = [documented(rest)] if more else planned(source, rest)
            left = [self._unanswered(name, part) for part in wanted]
            slots: set[Slot] = {("accuracy", part) for part in left if part}
            return next((self.facts[slot] for slot in slots if slot in self.facts), slots)
        found = self.kept.of(name, begin, end)
        return self._counted_in(tag, way) if found is None else found.at(places - begin)

    def derived(self, slot: Slot) -> Fact | set[Slot] | None:
        """A fact worked out from predictions, or the counts that it takes first; None for one that
        a model makes.
        """
        part = slot[1]
        if not isinstance(part, str) or self.images is None:
            return None
        span, images = span_of(part), self.images.counted(part)
        if slot[0] == AGREEMENT:
            return self._agreement(part, span, images)
        if slot[0] == "accuracy" and not (span.alternative and not _relabels(span)):
            return self._count(slot, span, images)
        return None

    def _count(self, slot: Slot, span: Span, images: EvalImages) -> Fact | set[Slot] | None:
        assert self.images is not None
        part, found = str(slot[1]), self.predictions(span)
        if isinstance(found, Predictions):
            if not found.scores(images.subset):
                return unmeasured(self.recipe, slot, "accuracy.undecided", _NOT_OF_IMAGENET)
            whole = self.images.images(part)
            return rescored(found, images, whole, part, self._like(span, images))
        if images.made_of is None and not _relabels(span):
            begun = self.kept.reaches(self.file_of(part), span.begin) > span.begin
            return found if begun and isinstance(found, set) else None
        return found if isinstance(found, set) else unpredicted(self.recipe, slot, found)

    def _agreement(self, part: str, span: Span, images: EvalImages) -> Fact | set[Slot]:
        """How often the model is right in a part's precision and in that of the run."""
        assert self.images is not None
        both = [self.predictions(span, way) for way in ("", span.alternative)]
        missing: set[Slot] = set().union(*(each for each in both if isinstance(each, set)))
        if missing:
            return missing
        first, second = both
        if not isinstance(first, Predictions) or not isinstance(second, Predictions):
            fact = next(each for each in both if isinstance(each, Measurement | Unmeasured))
            return unpredicted(self.recipe, (AGREEMENT, part), fact)
        whole = self.images.images(part)
        members = members_in(whole, images)[span.begin : span.end]
        labels = labels_in(whole, images)[members]
        rights = [each.right(labels, images.subset) for each in (first, second)]
        flipped = (rights[0][:, 0] != rights[1][:, 0]).nonzero()[0]
        value = {
            **first.agreement(second, labels, images.subset)._asdict(),
            "precision": precision_of(span),
            "images": len(first),
            "unreadable": int(first.unread.sum()),
            "top1": int(rights[1][:, 0].sum()),
            "top5": int(rights[1][:, 1].sum()),
            "first5": int(rights[0][:, 1].sum()),
            "changed": int((first.best(images.subset) != second.best(images.subset))[:, 0].sum()),
            "flipped": [whole.names[n] for n in members[flipped]],
        }
        return replace(self._like(span, images), kind=AGREEMENT, part=part, value=value)

    def _like(self, span: Span, images: EvalImages) -> Measurement:
        """A count of images of the set that a span's are of."""
        source = images.made_of or images
        return self._counted_in(joined(source.tag, setting_tag(span.tag)), "")

    def _unanswered(self, name: str, part: str) -> str:
        """The part, or what of it is still to be answered; empty where that is nothing."""
        span = span_of(part)
        reach = self.kept.reaches(name, span.begin)
        if reach >= span.end or span.alternative or reach == span.begin:
            return "" if reach >= span.end else part
        return documented(replace(span, begin=reach))

    def _counted_in(self, tag: str, way: str) -> Measurement:
        """A count of the images of that tag, prepared in that way."""
        return next(
            fact
            for (kind, which), fact in self.facts.items()
            if kind == "accuracy" and isinstance(fact, Measurement)
            if (span := span_of(str(which))).tag == tag
            if span.alternative == way or (not way and span.alternative in PREDICTED)
        )


def apart(parts: Sequence[str], running: Iterable[Slot]) -> list[str]:
    """The parts without those that have an image in common with another, or one under way.

    They are asked for again, and what has been answered by then is not run again.
    """
    busy = [span_of(str(which)) for kind, which in running if kind == "accuracy"]
    found = []
    for part in parts:
        span = span_of(part)
        if not any(
            _way(other) == _way(span) is not None
            and other.tag == span.tag
            and other.begin < span.end
            and span.begin < other.end
            for other in busy
        ):
            busy.append(span)
            found.append(part)
    return found


def _relabels(span: Span) -> bool:
    """Whether the labels of a span's images are read in another order."""
    return span.alternative.startswith(PREFIX)


def _way(span: Span) -> str | None:
    """What the images of a span are predicted in, None where that is not kept."""
    return "" if span.alternative in PREDICTED else precision_of(span) or None


def planned(images: EvalImages, span: Span) -> list[str]:
    """The parts that the looks at a set count a span's images in."""
    known = KNOWN.get(images.dataset)
    total = min(images.limit, images.count)
    edges = (0, *looks(total, max(total, IMAGENET if known is None else known.images)))
    names = [
        name
        for first, last in pairwise(edges)
        if first < span.end and last > span.begin
        for name in shard_names(first, last, span.alternative, images.shard_size)
        if (part := span_of(name)).begin < span.end and part.end > span.begin
    ]
    return [tagged(name, span.tag) for name in names]


def rescored(
    found: Predictions, images: EvalImages, image_set: ImageSet, part: str, like: Measurement
) -> Measurement:
    """The count of a part, worked out from its predictions.

    ``part`` is its name, with the order of the labels where that is another one, and ``like`` a
    count of the same variant on the set.
    """
    import numpy as np

    from harness.measure.accuracy.variations import order_of, translated

    span = span_of(part)
    members = members_in(image_set, images)[span.begin : span.end]
    labels = labels_in(image_set, images)[members]
    right = found.right(translated(labels, order_of(span.alternative)), images.subset).sum(0)
    unread = np.flatnonzero(found.unread)
    no_number = ~found.unread & (found.best(images.subset)[:, 0] < 0)
    value = {
        "images": len(found),
        "top1": int(right[0]),
        "top5": int(right[1]),
        "unreadable": [[image_set.names[n], "it could not be read"] for n in members[unread]],
        "not_finite": int(no_number.sum()),
        "decided_exactly": 0,
        "seconds": 0.0,
        "predictions": None,
    }
    # How far another decoder differs was counted once.
    kept = {k: v for k, v in like.value.items() if k != "decoder" or not span.begin}
    return replace(like, part=part, value={**kept, **value})


def unpredicted(recipe: Recipe, slot: Slot, fact: Fact) -> Fact:
    """That a fact can't be made since the predictions that it takes were not."""
    cause = "accuracy.undecided" if isinstance(fact, Measurement) else fact.cause
    why = "the predictions were not kept" if isinstance(fact, Measurement) else fact.why
    return unmeasured(recipe, slot, cause, why)
