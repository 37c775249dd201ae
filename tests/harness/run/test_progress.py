"""How far a run is, in words: by a clock that the test sets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from scipy.stats import hypergeom

from harness.cli.bars import Due, fitting, rows_of, rows_of_all
from harness.run.jobs import Interim
from harness.run.progress import TIMING, RunTally, described, kept_words
from harness.types import Measurement


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def counted(part: str, images: int, right: int, seconds: float) -> Measurement:
    value = {"images": images, "top1": right, "top5": right, "seconds": seconds}
    return Measurement("accuracy", "net", "zoo", value, None, "", {}, "cpu", "", part=part)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock) -> RunTally:
    """One variant has 100 images in the store, and 60 more half way through a shard."""
    made = RunTally(2, clock=clock)
    made.expect("net", {"": ("imagenet-1k", 1000, 1000)})
    stored = counted("0-100", 100, 80, 9e9)
    made.learn("net", {stored.slot: stored}, [])
    clock.now += 12
    made.hear("net", Interim("100-500", 60, 40, 40, 12.0))
    return made


def test_images_speed_time_left_and_accuracy(tally, clock):
    # 60 images in 12 s are 5 a second, and 840 of 1,000 are left.
    lines = tally.lines()
    assert lines[0].startswith(
        "net: 160 of 1,000 images, 5.0 images/s, at most 2m 48s left, top-1 75.00 % ("
    )
    assert lines[1] == (
        "in all: 0 of 2 variants, 160 of 1,000 images, 5.0 images/s, at most 2m 48s left"
    )
    (state,) = tally.busy
    low, high = (round(end * 10) for end in state.accuracy[1].percent)
    # No share outside is at all likely to show 120 of 160: by scipy, each side under a half of 1 %.
    assert hypergeom(1000, low - 1, 160).sf(119) < 0.005
    assert hypergeom(1000, high + 1, 160).cdf(120) < 0.005
    assert low < 750 < high


def test_what_has_ended_is_counted_once(tally, clock):
    facts = [counted("0-100", 100, 80, 9e9), counted("100-500", 400, 300, 80.0)]
    clock.now += 68
    tally.learn("net", {fact.slot: fact for fact in facts}, facts[1:])
    other = counted("crop_pct=0.9@0-100", 100, 1, 20.0)
    tally.learn("net", {f.slot: f for f in (*facts, other)}, [other])
    assert "500 of 1,000 images, 100 prepared in other ways, 5.0 images/s" in tally.lines()[0]
    tally.finish("net")
    assert len(tally.events) == 1
    assert tally.events[0].startswith("net: 500 of 500 images, 100 prepared in other ways")
    assert tally.lines() == [
        "in all: 1 of 2 variants, 500 of 500 images, 6.2 images/s, at most 0s left"
    ]


def test_timings_and_builds_have_a_time_left(clock):
    timed = RunTally(4, TIMING, clock)
    clock.now += 10
    timed.hear("net", Interim("batch 8", speed=41.25))
    clock.now += 4
    assert timed.events == ["net, batch 8: 41.2 images/s"]
    assert timed.lines() == ["in all: 1 of 4 timings, 26s left"]
    assert rows_of_all(timed)[0] == "1/4  41.2 images/s  26s left"
    assert RunTally(1).lines() == ["in all: 0 of 1 variant"]


def test_a_narrow_screen_keeps_the_interval_longest(tally):
    (state,) = tally.busy
    texts = rows_of(state)
    assert [len(text) for text in texts] == sorted((len(text) for text in texts), reverse=True)
    assert fitting(texts, 200) == texts[0]
    narrow = fitting(texts, 46)
    assert narrow.startswith("160/1,000  5.0/s  2m 48s  75.0 % (")
    assert len(narrow) <= 46
    assert fitting(texts, 3) == texts[-1]
    assert described(state).startswith("net: ")


def test_plain_lines_come_ever_later(monkeypatch):
    now = 0.0
    monkeypatch.setattr("harness.cli.bars.time.monotonic", lambda: now)
    due, said = Due(2.0), []
    for now in range(400):
        if due():
            said.append(now)
    assert said[:5] == [2, 6, 14, 30, 62]
    assert {b - a for a, b in pairwise(said[4:])} == {60}


def test_what_is_kept_is_said():
    assert kept_words([], stores=True) == "nothing new is stored"
    assert kept_words([], stores=False) == "nothing is stored, as --no-store says"
    parts = [counted("0-50", 50, 4, 1.0), counted("50-100", 50, 4, 1.0)]
    assert kept_words(parts[:1], stores=True).startswith("1 measurement of 1 variant is stored")
    assert kept_words(parts, stores=True).endswith("are stored, with 100 images evaluated")


def test_what_is_no_word_of_a_job_is_not_read():
    good = Interim("0-50", 3, 2, 2, 0.5)
    assert Interim.load(good.dump()) == good
    for line in ("+", "+{}", "+[1]", '+{"part": 1}', good.dump().replace("3", '"3"')):
        with pytest.raises((ValueError, TypeError)):
            Interim.load(line)
