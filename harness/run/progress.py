"""How far a run is: images evaluated, their speed, the time left; what receives it; its time."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from harness.check.decide import interim
from harness.check.intervals import Interval
from harness.check.shards import precision_of, span_of
from harness.run.jobs import Interim, Job
from harness.types import Fact, Measurement, Slot
from zoo import __version__
from zoo._util.text import bounded, plural

if TYPE_CHECKING:
    from harness.run.engine import Hear
    from harness.run.files import FilePlan
    from zoo.weights.types import DownloadProgress

TIMING = "timing"


class Progress:
    """Receives the progress of a run; this one ignores it."""

    def plan(self, sentence: str) -> None:
        """The plan of the run, in one line, before it starts."""

    def warn(self, sentence: str) -> None:
        """A warning: what the run has to do without, in one line."""

    def tell(self, sentence: str) -> None:
        """A line of information."""

    def downloads(self, plan: FilePlan | None = None) -> DownloadProgress | None:
        """What receives the progress of each download, or None."""
        return None

    def follow(self, tally: RunTally) -> None:
        """What says how far the measuring is, before it starts."""

    def news(self) -> None:
        """The tally may say something else now."""

    def start(self, total: int) -> None:
        """The number of measurements to make."""

    def advance(self, name: str) -> None:
        """One of them is done, for that variant."""

    def close(self) -> None:
        """The end."""


class Clock:
    """Runs from its making on.

    Attributes:
        started: the moment of that.
    """

    def __init__(self) -> None:
        self.started = datetime.now(timezone.utc)
        self._zero = time.monotonic()

    def environment(self, device: str) -> dict[str, Any]:
        """What a report says of the run, on that device, now."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            torch = version("torch")
        except PackageNotFoundError:
            torch = None
        return {
            "zoo": __version__,
            "torch": torch,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": device,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._zero, 3),
        }


@dataclass(slots=True)
class VariantTally:
    """The images of one dataset for one variant.

    Attributes:
        name: the variant's, and the dataset's where it has several.
        tag: begins the names of their shards.
        most: images that its claims may ask for.
        population: images that they speak of.
        images, right: evaluated as documented, and right by top-1, in this run and before.
        others: evaluated in another way, to explain a contradiction.
        precisions: evaluated in another precision than the run's.
        fresh, seconds: evaluated in this run, and the time that it took.
        open: how far the shards are that have not ended.
    """

    name: str
    tag: str
    most: int
    population: int
    images: int = 0
    right: int = 0
    others: int = 0
    precisions: int = 0
    fresh: int = 0
    seconds: float = 0.0
    open: dict[str, Interim] = field(default_factory=dict)

    def learn(self, facts: Mapping[Slot, Fact], new: list[Fact]) -> None:
        """Count what is known, and what of it is new."""
        self.images = self.right = self.others = self.precisions = 0
        for (kind, part), fact in facts.items():
            if kind == "accuracy" and isinstance(part, str) and isinstance(fact, Measurement):
                span = span_of(part)
                if span.tag != self.tag:
                    continue
                if precision_of(span):
                    self.precisions += fact.value["images"]
                elif span.alternative:
                    self.others += fact.value["images"]
                else:
                    self.images += fact.value["images"]
                    self.right += fact.value["top1"]
        for fact in new:
            if fact.kind == "accuracy" and span_of(fact.part or "").tag == self.tag:
                self.open.pop(fact.part or "", None)
                if isinstance(fact, Measurement):
                    self.fresh += fact.value["images"]
                    self.seconds += fact.value["seconds"]

    def now(self) -> VariantTally:
        """With what is open counted in."""
        made = replace(self, open={})
        for each in self.open.values():
            made.fresh += each.images
            made.seconds += each.seconds
            if precision_of(span_of(each.part)):
                made.precisions += each.images
            elif span_of(each.part).alternative:
                made.others += each.images
            else:
                made.images += each.images
                made.right += each.top1
        return made

    @property
    def speed(self) -> float:
        """Images per second; 0 where it is not known yet."""
        return self.fresh / self.seconds if self.seconds > 0 else 0.0

    @property
    def accuracy(self) -> tuple[float, Interval] | None:
        """Top-1 in percent, and its interval for all that the claims speak of."""
        if not 0 < self.images <= self.population:
            return None
        possible = interim(self.images, self.right, self.population)
        return 100 * self.right / self.images, possible


class RunTally:
    """How far a run is.

    Args:
        variants: how many are to be measured.
        clock: in seconds.

    Attributes:
        done: variants of which all is measured.
        last: the name of the last one that there was news of.
        what: what is counted where no images are.
        speed: that of the last timing.
        events: a line for each thing that has ended, to be taken away.
    """

    def __init__(
        self,
        variants: int,
        what: str = "variant",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.variants = variants
        self.what = what
        self.done = 0
        self.last = ""
        self.speed = ""
        self.events: list[str] = []
        self._clock = clock
        self._begun = self._ended = clock()
        self._running: float | None = None
        # By the variant's name and the dataset's tag.
        self._of: dict[tuple[str, str], VariantTally] = {}
        self._busy: dict[str, str] = {}

    def expect(self, name: str, images: Mapping[str, tuple[str, int, int]]) -> None:
        """Say which images a variant is to be run on, see `harness.check.accuracy.to_evaluate`."""
        for tag, (dataset, most, population) in images.items():
            label = f"{name} on {dataset or tag}" if len(images) > 1 else name
            self._of.setdefault((name, tag), VariantTally(label, tag, most, population))

    def hear(self, name: str, so_far: Interim) -> None:
        if so_far.speed is not None and self.what == TIMING:
            self.finish(f"{name}, {so_far.part}")
            self.speed = f"{so_far.speed:,.1f} images/s"
            self.events.append(f"{self.last}: {self.speed}")
        elif self._of and (key := (name, span_of(so_far.part).tag)) in self._of:
            self._touch(key, so_far.seconds)
            self._of[key].open[so_far.part] = so_far

    def learn(self, name: str, facts: Mapping[Slot, Fact], new: list[Fact]) -> None:
        self.last = name
        for key in self._of_variant(name):
            self._of[key].learn(facts, new)
        for fact in new:
            if fact.kind == "accuracy" and isinstance(fact, Measurement):
                self._touch((name, span_of(fact.part or "").tag), fact.value["seconds"])

    def finish(self, name: str) -> None:
        self.last = name
        self.done += 1
        self._ended = self._clock()
        self._busy.pop(name, None)
        for key in self._of_variant(name):
            found = self._of[key]
            found.most = found.images
            if found.fresh:
                self.events.append(described(found))

    def _of_variant(self, name: str) -> list[tuple[str, str]]:
        return [key for key in self._of if key[0] == name]

    def _touch(self, key: tuple[str, str], seconds: float) -> None:
        self.last = key[0]
        if self._running is None:
            self._running = self._clock() - seconds
        if key in self._of:
            self._busy[key[0]] = key[1]

    @property
    def has_images(self) -> bool:
        return bool(self._of)

    @property
    def busy(self) -> list[VariantTally]:
        """The variants that are being run on images."""
        return [self._of[key].now() for key in self._busy.items()]

    def images(self) -> tuple[int, int, float]:
        """Images evaluated, those that may be asked for, and how many a second in this run."""
        every = [each.now() for each in self._of.values()]
        elapsed = self._clock() - (self._begun if self._running is None else self._running)
        done = sum(each.images for each in every)
        fresh = sum(each.fresh for each in every)
        return done, max(done, sum(each.most for each in every)), fresh / max(elapsed, 1e-9)

    def seconds_left(self) -> float | None:
        """At the present speed, and if no claim is decided early; None where nothing tells."""
        if self._of:
            done, most, speed = self.images()
            return (most - done) / speed if speed else None
        if not self.done:
            return None
        each = (self._ended - self._begun) / self.done
        return max(0.0, each * (self.variants - self.done) - (self._clock() - self._ended))

    def lines(self) -> list[str]:
        """How far all is, and each variant that is being run on images, in a line each."""
        return [*map(described, self.busy), self.summary()]

    def summary(self) -> str:
        parts = [f"{self.done} of {plural(self.variants, self.what)}"]
        left = self.seconds_left()
        if self._of:
            done, most, speed = self.images()
            parts += [f"{done:,} of {plural(most, 'image', ',')}"]
            parts += [f"{speed:,.1f} images/s"] if speed else []
        if left is not None and self.done < self.variants:
            parts.append(f"{'at most ' if self._of else ''}{duration(left)} left")
        return f"in all: {', '.join(parts)}"


def hearing(tally: RunTally, progress: Progress) -> Hear:
    """Let progress follow a tally; what an engine is to tell how far its jobs are."""

    def hear(job: Job | None, interim: Interim | None) -> None:
        if job is not None and interim is not None:
            tally.hear(job.recipe.name, interim)
        progress.news()

    progress.follow(tally)
    progress.start(tally.variants)
    return hear


def described(tally: VariantTally) -> str:
    left = tally.most - tally.images
    parts = [f"{tally.images:,} of {plural(max(tally.most, tally.images), 'image', ',')}"]
    if tally.others:
        parts.append(f"{tally.others:,} prepared in other ways")
    if tally.precisions:
        parts.append(f"{tally.precisions:,} in other precisions")
    if tally.speed:
        parts.append(f"{tally.speed:,.1f} images/s")
        parts += [f"at most {duration(left / tally.speed)} left"] if left > 0 else []
    if (found := tally.accuracy) is not None:
        parts.append(f"top-1 {found[0]:.2f} % ({found[1]})")
    return bounded(f"{tally.name}: {', '.join(parts)}")


def kept_words(kept: Sequence[Measurement], *, stores: bool) -> str:
    """What of a run's measurements is stored, and for how many images, as part of a sentence."""
    if not kept:
        return "nothing new is stored" if stores else "nothing is stored, as --no-store says"
    images = sum(each.value["images"] for each in kept if each.kind == "accuracy")
    of = f"{plural(len(kept), 'measurement')} of {plural(len({m.name for m in kept}), 'variant')}"
    counted = f", with {plural(images, 'image', ',')} evaluated" if images else ""
    return f"{of} {'is' if len(kept) == 1 else 'are'} stored{counted}"


def duration(seconds: float) -> str:
    """``42s``, ``3m 05s``, ``2h 07m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"
