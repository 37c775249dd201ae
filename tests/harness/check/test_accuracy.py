"""What is said of an accuracy, given counts that a run could have made of known pictures."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from harness.check.accuracy import CHECK
from harness.check.base import Evidence, Need
from harness.check.decide import looks
from harness.check.parts import span_of
from harness.run.plan import flops_size, recipe_of
from harness.types import Measurement, Pictures, Unmeasured

WAYS = {"crop": "another crop", "mean": "another mean", "order": "another order"}
MADE = "2020-04-19T00:00:00+00:00"


def accuracy(value, part):
    return Measurement("accuracy", "net", "zoo", value, None, "by hand", {}, "cpu", MADE, part)


class World:
    """Pictures of which it is known whether they are answered right, in each way.

    ``right`` has one list of bool per way, the documented one under ``""``.
    """

    def __init__(self, right, pictures, unreadable=(), **value):
        self.right, self.pictures, self.value = right, pictures, value
        self.unreadable = set(unreadable)
        self.asked: list[str] = []
        self.stop_after = None

    def count(self, part):
        span = span_of(part)
        seen = range(span.begin, span.end)
        right = self.right[span.alternative]
        found = sum(right[n] and n not in self.unreadable for n in seen)
        unread = [[f"{n}.jpg", "no picture"] for n in seen if n in self.unreadable]
        counts = {"images": len(seen), "top1": found, "top5": found, "unreadable": unread}
        return accuracy({**counts, "not_finite": 0, **self.value}, part)

    def judge(self, index):
        """The findings, after all the counts that the check asks for were made."""
        variant = index.variants[0]
        recipe = recipe_of(variant, "zoo")
        file = Measurement(
            "file", "net", "zoo", {"path": "w.pth"}, None, "by hand", {}, "cpu", MADE
        )
        facts = {file.slot: file}
        pictures = self.pictures
        while True:
            evidence = Evidence(variant, recipe, flops_size(variant, recipe), facts, pictures, WAYS)
            found = list(CHECK.find(evidence))
            needs = [part for item in found if isinstance(item, Need) for part in item.parts]
            if not needs:
                return found
            for part in needs:
                if ("accuracy", part) in facts:
                    continue
                self.asked.append(part)
                fact = self.count(part)
                facts[fact.slot] = fact
                if len(self.asked) == self.stop_after:
                    pictures = replace(pictures, over=True)
                    break

    def the(self, index):
        (finding,) = self.judge(index)
        return finding


def share(percent, count, seed=0):
    """That many percent of pictures right, spread at random."""
    right = [n < count * percent / 100 for n in range(count)]
    random.Random(seed).shuffle(right)
    return right


def given(count, limit=None, **more):
    return Pictures("pictures", "1", count, count if limit is None else limit, **more)


@pytest.fixture
def claims(load):
    def write(top1="80.00%", images=None):
        images = "" if images is None else f"Images: {images}"
        return load(
            f"""\
            Models:
            - Name: net
              Weights: https://example.org/w.pth
              Results:
              - Task: Image Classification
                Dataset: ImageNet
                {images}
                Metrics:
                  Top 1 Accuracy: {top1}
            """
        )

    return write


def everywhere(percent, count):
    return {way: share(percent, count) for way in ("", *WAYS)}


def test_the_sample_is_never_all_that_a_claim_speaks_of(claims):
    world = World(everywhere(100, 20), given(20, sample=True))
    finding = world.the(claims("100.00%", images=20))
    assert (finding.status, finding.cause) == ("unverified", "accuracy.undecided")


def test_more_pictures_than_the_claim_speaks_of_are_others(claims):
    finding = World(everywhere(100, 60), given(60)).the(claims("100.00%", images=50))
    assert (finding.status, finding.cause) == ("unverified", "accuracy.no-data")
    assert "60 pictures were given, and the claim is about 50" in finding.message
    finding = World(everywhere(80, 10), given(50_001)).the(claims("80.00%"))
    assert finding.cause == "accuracy.no-data"


def test_all_the_pictures_of_a_claim_confirm_it(claims):
    world = World(everywhere(80, 300), given(300))
    finding = world.the(claims("80.00%", images=300))
    assert (finding.status, finding.measured) == ("match", 80)
    assert not [part for part in world.asked if "@" in part]


@pytest.mark.parametrize("part", [7, 50, 500, 5000])
def test_the_size_of_the_parts_changes_nothing(claims, part):
    right = {"": share(60, 2000), "crop": share(80, 2000), "mean": share(50, 2000)}
    right["order"] = share(1, 2000)
    index = claims("80.00%", images=2000)
    finding = World(right, given(2000, part=part)).the(index)
    assert finding == World(right, given(2000)).the(index)
    assert finding.cause == "accuracy.preprocessing"
    assert "prepared with another crop" in finding.message


def test_ways_that_do_not_fit_are_left_out_early(claims):
    right = {"": share(60, 2000), "crop": share(80, 2000), "mean": share(5, 2000)}
    right["order"] = share(0, 2000)
    world = World(right, given(2000))
    world.the(claims("80.00%", images=2000))
    counted = {way: max(span_of(p).end for p in world.asked if p.startswith(way)) for way in WAYS}
    assert counted["mean"] == counted["order"] < counted["crop"] or counted["crop"] < 500


def test_two_ways_that_fit_are_both_said(claims):
    right = {"": share(40, 2000), "crop": share(80, 2000), "mean": share(79, 2000, 1)}
    right["order"] = share(0, 2000)
    message = World(right, given(2000)).the(claims("80.00%", images=2000)).message
    assert "another crop" in message
    assert "another mean" in message
    assert "another order" not in message


def test_a_difference_that_few_pictures_can_not_show_is_not_explained(claims):
    """0.8 points: contradicted after ten thousands, while 2,600 agree with anything near."""
    count = 50_000
    right = {"": share(79.2, count), "crop": share(80, count, 1), "mean": share(79.9, count, 2)}
    right["order"] = share(80.1, count, 3)
    world = World(right, given(count))
    finding = world.the(claims("80.00%"))
    assert finding.cause == "accuracy.contradicted"
    assert "can't tell which other way" in finding.message
    assert not [part for part in world.asked if "@" in part]


def test_a_smaller_difference_is_explained_on_more_pictures(claims):
    count = 50_000
    right = {"": share(76, count), "crop": share(80, count, 1), "mean": share(74, count, 2)}
    right["order"] = share(0, count)
    finding = World(right, given(count)).the(claims("80.00%"))
    assert finding.cause == "accuracy.preprocessing", finding.message
    assert "prepared with another crop" in finding.message


def test_one_of_two_wrong_settings_is_not_named(claims):
    """Mending either gives more right answers, and not as many as claimed."""
    right = {"": share(40, 2000), "crop": share(65, 2000), "mean": share(68, 2000)}
    right["order"] = share(0, 2000)
    finding = World(right, given(2000)).the(claims("80.00%", images=2000))
    assert finding.cause == "accuracy.contradicted"
    assert "none of the 3 other ways to prepare a picture restores it by itself" in finding.message


def test_time_that_ends_within_the_diagnosis_leaves_it_open(claims):
    right = {"": share(40, 2000), "crop": share(80, 2000), "mean": share(5, 2000)}
    right["order"] = share(0, 2000)
    world = World(right, given(2000))
    world.the(claims("80.00%", images=2000))
    documented = len([part for part in world.asked if "@" not in part])
    short = World(right, given(2000))
    short.stop_after = documented + 1
    finding = short.the(claims("80.00%", images=2000))
    assert len(short.asked) == documented + 1
    assert finding.cause == "accuracy.contradicted"
    assert "1 of 3 other ways to prepare a picture could be tried" in finding.message


def test_unreadable_pictures_are_named(claims):
    world = World(everywhere(80, 300), given(300), unreadable=(3, 4, 5, 6))
    message = world.the(claims("80.00%", images=300)).message
    assert "(4 could not be read)" in message
    # In the order in which they are gone through, here that of their numbers.
    assert message.endswith("; not readable: 3.jpg, 4.jpg, 5.jpg, ...")


def test_a_count_that_is_not_the_plain_one_says_so(claims):
    index = claims("80.00%")
    plain = World(everywhere(80, 300), given(300)).the(index).message
    assert "are right by top-1: the whole" in plain
    for value, words in (
        ({"precision": "bf16"}, "right by top-1 in bf16: the whole"),
        ({"decoder": {"images": 40, "differ": 3}}, "changes the answer to 18 of 240 of them"),
        ({"not_finite": 5}, "(for 30 the model gives what is no finite number"),
    ):
        message = World(everywhere(80, 300), given(300), **value).the(index).message
        assert words in message


def test_pictures_of_too_few_classes_are_no_random_draw(claims):
    doubt = "more than 10 classes"
    index = claims("80.00%")
    finding = World(everywhere(20, 2000), given(2000, classes=10)).the(index)
    assert finding.cause == "accuracy.contradicted"
    assert doubt in finding.message
    for pictures, images in ((given(2000, classes=860), None), (given(2000, classes=10), 2000)):
        message = World(everywhere(20, 2000), pictures).the(claims("80.00%", images)).message
        assert "random draw" not in message


def test_a_count_that_failed_passes_its_cause_on(claims):
    class Failing(World):
        def count(self, part):
            return Unmeasured("accuracy", "net", "zoo", "weights.unsafe", "it asks", None, part)

    finding = Failing({}, given(300)).the(claims())
    assert (finding.status, finding.cause) == ("unverified", "weights.unsafe")
    assert "it asks" in finding.message


def test_every_look_is_the_end_of_a_part(claims):
    """Else pictures would be counted that no look sees, or twice."""
    world = World(everywhere(80, 3000), given(3000))
    world.judge(claims("80.00%"))
    ends = {span_of(part).end for part in world.asked}
    assert set(looks(3000)) <= ends
    begins = sorted((span_of(part).begin, span_of(part).end) for part in world.asked)
    assert [b for b, _ in begins] == [0, *(e for _, e in begins[:-1])]
