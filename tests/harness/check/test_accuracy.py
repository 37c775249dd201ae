"""What is said of an accuracy, given counts that a run could have made of known images."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import yaml

from harness.check.accuracy import CHECK
from harness.check.base import Evidence, Need
from harness.check.decide import looks
from harness.check.shards import span_of
from harness.run.plan import flops_size, recipe_of
from harness.types import EvalImages, Measurement, Unmeasured
from zoo.index import load_index

WAYS = {"crop": "another crop", "mean": "another mean", "order": "another order"}
MADE = "2020-04-19T00:00:00+00:00"


def accuracy(value, part):
    return Measurement("accuracy", "net", "zoo", value, None, "by hand", {}, "cpu", MADE, part)


class World:
    """Images of which it is known whether they are answered right, in each way.

    ``right`` has one list of bool per way, the documented one under ``""``, and under ``five``
    what is right by top-5 where that is not the same.
    """

    def __init__(self, right, images, unreadable=(), **value):
        self.right, self.images, self.value = right, images, value
        self.unreadable = set(unreadable)
        self.asked: list[str] = []
        self.stop_after = None

    def count(self, part):
        span = span_of(part)
        seen = range(span.begin, span.end)
        right = self.right[span.alternative]
        found = sum(right[n] and n not in self.unreadable for n in seen)
        five = self.right.get("five", right)
        fives = sum(five[n] and n not in self.unreadable for n in seen)
        unread = [[f"{n}.jpg", "no image"] for n in seen if n in self.unreadable]
        counts = {"images": len(seen), "top1": found, "top5": fives, "unreadable": unread}
        return accuracy({**counts, "not_finite": 0, **self.value}, part)

    def judge(self, index):
        """The findings, after all the counts that the check asks for were made."""
        variant = index.variants[0]
        recipe = recipe_of(variant, "zoo")
        file = Measurement(
            "file", "net", "zoo", {"path": "w.pth"}, None, "by hand", {}, "cpu", MADE
        )
        facts = {file.slot: file}
        images = self.images
        while True:
            evidence = Evidence(variant, recipe, flops_size(variant, recipe), facts, images, WAYS)
            found = list(CHECK.find(evidence))
            needs = [part for item in found if isinstance(item, Need) for part in item.shards]
            if not needs:
                return found
            for part in needs:
                if ("accuracy", part) in facts:
                    continue
                self.asked.append(part)
                fact = self.count(part)
                facts[fact.slot] = fact
                if len(self.asked) == self.stop_after:
                    images = replace(images, over=True)
                    break

    def the(self, index):
        (finding,) = self.judge(index)
        return finding


def share(percent, count, seed=0):
    """That many percent of images right, spread at random."""
    right = [n < count * percent / 100 for n in range(count)]
    random.Random(seed).shuffle(right)
    return right


def shares(count, *percents):
    """Those shares of the documented way, of the others, and of top-5, as many as are given."""
    ways = ("", *WAYS, "five")[: len(percents)]
    pairs = (each if isinstance(each, tuple) else (each, 0) for each in percents)
    return {
        way: share(percent, count, seed) for way, (percent, seed) in zip(ways, pairs, strict=True)
    }


def given(count, limit=None, **more):
    return EvalImages("images", "1", count, count if limit is None else limit, **more)


@pytest.fixture
def claims(tmp_path):
    """An index of an accuracy, or of both, whatever an audit says of them."""

    def write(top1="80.00%", images=None, top5=None, dataset="ImageNet"):
        metrics = {"Top 1 Accuracy": top1} | ({} if top5 is None else {"Top 5 Accuracy": top5})
        result = {"Task": "Image Classification", "Dataset": dataset, "Metrics": metrics}
        result |= {} if images is None else {"Images": images}
        entry = {"Name": "net", "Weights": "https://example.org/w.pth", "Results": [result]}
        path = tmp_path / "index.yml"
        path.write_text(yaml.safe_dump({"Models": [entry]}), encoding="utf-8")
        return load_index([path])

    return write


def everywhere(percent, count):
    return {way: share(percent, count) for way in ("", *WAYS)}


def test_the_sample_is_never_all_that_a_claim_speaks_of(claims):
    world = World(everywhere(100, 20), given(20, sample=True))
    finding = world.the(claims("100.00%", images=20))
    assert (finding.status, finding.cause) == ("unverified", "accuracy.undecided")


def test_an_interval_that_leaves_the_claim_out_says_that_it_is_not_enough(claims):
    for claimed, outside in (("25.17%", True), ("30.00%", True), ("60.00%", False)):
        finding = World(everywhere(75, 20), given(20, sample=True)).the(claims(claimed))
        assert finding.cause == "accuracy.undecided", claimed
        assert (f"{claimed} lies outside" in finding.message) is outside, finding.message


def test_more_images_than_the_claim_speaks_of_are_others(claims):
    finding = World(everywhere(100, 60), given(60)).the(claims("100.00%", images=50))
    assert (finding.status, finding.cause) == ("unverified", "accuracy.no-data")
    assert "60 images were given, and the claim is about 50" in finding.message
    finding = World(everywhere(80, 10), given(50_001)).the(claims("80.00%"))
    assert finding.cause == "accuracy.no-data"


def test_all_the_images_of_a_claim_confirm_it(claims):
    world = World(everywhere(80, 300), given(300))
    finding = world.the(claims("80.00%", images=300))
    assert (finding.status, finding.measured) == ("match", 80)
    assert not [part for part in world.asked if "@" in part]


@pytest.mark.parametrize("part", [7, 50, 500, 5000])
def test_the_size_of_the_parts_changes_nothing(claims, part):
    right = shares(2000, 60, 80, 50, 1)
    index = claims("80.00%", images=2000)
    finding = World(right, given(2000, shard_size=part)).the(index)
    assert finding == World(right, given(2000)).the(index)
    assert finding.cause == "accuracy.preprocessing"
    assert "prepared with another crop" in finding.message


def test_ways_that_do_not_fit_are_left_out_early(claims):
    right = shares(2000, 60, 80, 5, 0)
    world = World(right, given(2000))
    world.the(claims("80.00%", images=2000))
    counted = {way: max(span_of(p).end for p in world.asked if p.startswith(way)) for way in WAYS}
    assert counted["mean"] == counted["order"] < counted["crop"] or counted["crop"] < 500


def test_two_ways_that_fit_are_both_said(claims):
    right = shares(2000, 40, 80, (79, 1), 0)
    message = World(right, given(2000)).the(claims("80.00%", images=2000)).message
    assert "another crop" in message
    assert "another mean" in message
    assert "another order" not in message


def test_a_difference_that_few_images_can_not_show_is_not_explained(claims):
    """0.8 points: contradicted after ten thousands, while 2,600 agree with anything near."""
    count = 50_000
    right = shares(count, 79.2, (80, 1), (79.9, 2), (80.1, 3))
    world = World(right, given(count))
    finding = world.the(claims("80.00%"))
    assert finding.cause == "accuracy.contradicted"
    assert "can't tell which other way" in finding.message
    assert not [part for part in world.asked if "@" in part]


def test_a_smaller_difference_is_explained_on_more_images(claims):
    count = 50_000
    right = shares(count, 76, (80, 1), (74, 2), 0)
    finding = World(right, given(count)).the(claims("80.00%"))
    assert finding.cause == "accuracy.preprocessing", finding.message
    assert "prepared with another crop" in finding.message


def test_one_of_two_wrong_settings_is_not_named(claims):
    """Mending either gives more right answers, and not as many as claimed."""
    right = shares(2000, 40, 65, 68, 0)
    finding = World(right, given(2000)).the(claims("80.00%", images=2000))
    assert finding.cause == "accuracy.contradicted"
    assert "none of the 3 other ways to prepare an image restores it by itself" in finding.message


def test_time_that_ends_within_the_diagnosis_leaves_it_open(claims):
    right = shares(2000, 40, 80, 5, 0)
    world = World(right, given(2000))
    world.the(claims("80.00%", images=2000))
    documented = len([part for part in world.asked if "@" not in part])
    short = World(right, given(2000))
    short.stop_after = documented + 1
    finding = short.the(claims("80.00%", images=2000))
    assert len(short.asked) == documented + 1
    assert finding.cause == "accuracy.contradicted"
    assert "1 of 3 other ways to prepare an image could be tried" in finding.message


def test_unreadable_images_are_named(claims):
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
        ({"decoder": {"name": "gpu", "images": 4, "differ": 0}}, "with the gpu decoder, which"),
        ({"not_finite": 5}, "(for 30 the model gives what is no finite number"),
    ):
        message = World(everywhere(80, 300), given(300), **value).the(index).message
        assert words in message


def test_images_of_too_few_classes_are_no_random_draw(claims):
    doubt = "more than 10 classes"
    index = claims("80.00%")
    finding = World(everywhere(20, 2000), given(2000, classes=10)).the(index)
    assert finding.cause == "accuracy.contradicted"
    assert doubt in finding.message
    for these, images in ((given(2000, classes=860), None), (given(2000, classes=10), 2000)):
        message = World(everywhere(20, 2000), these).the(claims("80.00%", images)).message
        assert "random draw" not in message


def test_a_count_that_failed_passes_its_cause_on(claims):
    class Failing(World):
        def count(self, part):
            return Unmeasured("accuracy", "net", "zoo", "weights.unsafe", "it asks", None, part)

    finding = Failing({}, given(300)).the(claims())
    assert (finding.status, finding.cause) == ("unverified", "weights.unsafe")
    assert "it asks" in finding.message


def test_every_look_is_the_end_of_a_part(claims):
    """Else images would be counted that no look sees, or twice."""
    world = World(everywhere(80, 3000), given(3000))
    world.judge(claims("80.00%"))
    ends = {span_of(part).end for part in world.asked}
    assert set(looks(3000)) <= ends
    begins = sorted((span_of(part).begin, span_of(part).end) for part in world.asked)
    assert [b for b, _ in begins] == [0, *(e for _, e in begins[:-1])]


NOT_KNOWN = {"dataset": "", "identity": "are not known to be of ImageNet's validation set"}


def test_images_of_an_unknown_set_contradict_nothing(claims):
    right = shares(10_000, 60, 80, 1, 0)
    known, unknown = given(10_000), given(10_000, **NOT_KNOWN)
    for claim in ("80.00%", "95.00%", "20.00%", "0.6"):
        assert World(right, known).the(claims(claim)).status == "mismatch"
        world = World(right, unknown)
        finding = world.the(claims(claim))
        assert (finding.status, finding.cause) == ("unverified", "accuracy.unknown-dataset"), claim
        assert "say --dataset imagenet-1k" in finding.message
        assert not [part for part in world.asked if "@" in part]
        assert not finding.edits
    # Nor do they leave it open how many more images of that kind would decide.
    message = World(right, replace(unknown, limit=300)).the(claims("60.00%")).message
    assert "more images would decide" not in message
    assert "say --dataset imagenet-1k" in message


V2 = "imagenet-v2-top-images"


def test_images_of_another_set_decide_nothing(claims):
    """Not even where all of them give what is claimed."""
    right = shares(10_000, 80, 90, 1, 0)
    other = given(10_000, dataset=V2, other=True, identity="have the names of ImageNet-V2")
    for claim in ("80.00%", "95.00%", "0.8"):
        world = World(right, other)
        finding = world.the(claims(claim))
        assert (finding.status, finding.cause) == ("unverified", "accuracy.other-dataset"), claim
        assert "ImageNet-V2 (top images) are right" in finding.message
        assert not [part for part in world.asked if "@" in part]
        assert not finding.edits
    # Of one of several sets that nothing tells apart, what agrees is let be.
    family = given(10_000, dataset="", other=True, family="ImageNet-V2")
    for claim, expected in (("80.00%", "match"), ("95.00%", "unverified")):
        assert World(right, family).the(claims(claim, dataset="ImageNet-V2")).status == expected
        assert World(right, family).the(claims(claim)).status == "unverified"


def test_a_claim_is_held_against_all_images_of_its_own_set(claims):
    right = shares(10_000, 80, 70, 1, 0)
    world = World(right, given(10_000, dataset=V2, other=True, tag="v2"))
    assert world.the(claims("80.00%", dataset="ImageNet V2 (top images)")).status == "match"
    assert {span_of(part).tag for part in world.asked} == {"v2"}
    assert max(span_of(part).end for part in world.asked) > 9_000
    finding = world.the(claims("90.00%", dataset="ImageNet V2 (top images)"))
    assert (finding.status, finding.cause) == ("mismatch", "accuracy.contradicted")
    # Too many images for the set, and a set that nobody gave.
    large = World(right, given(10_001, dataset=V2, other=True))
    assert large.the(claims(dataset=V2)).cause == "accuracy.no-data"
    for dataset in ("ImageNet-A", "ImageNet-ReaL", "ImageNet V2 (threshold 0.7)"):
        assert world.the(claims(dataset=dataset)).cause == "accuracy.other-dataset"
    assert world.the(claims(dataset="CIFAR-10")).cause == "accuracy.no-data"


def test_few_right_answers_on_hard_images_are_the_model_s(claims):
    """ImageNet-A has what models get wrong: chance is no sign of wrong labels there."""
    hard = {"other": True, "dataset": "imagenet-a", "subset": "imagenet_a", "classes": 200}
    world = World(shares(7_500, 0.4, 0.4, 0.4, 0.4), given(7_500, **hard, chance=0.005))
    finding = world.the(claims("30.00%", dataset="ImageNet-A"))
    assert (finding.status, finding.cause) == ("mismatch", "accuracy.contradicted")


@pytest.mark.parametrize(("count", "sample"), [(20, True), (5000, False)])
def test_slips_are_named_before_any_preprocessing(claims, count, sample):
    """With what certainty the images leave that were looked at until the claim was excluded."""
    right = shares(count, 85, 3, 15, 1, 100)
    for top1, restored in (
        ("0.8483", "84.83"),
        ("0.85", "85"),
        ("0.848", "84.8"),
        ("15.17%", "84.83%"),
        ("14.9", "85.1"),
        ("15.0 %", "85.0%"),
    ):
        world = World(right, given(count, sample=sample))
        finding, _ = world.judge(claims(top1, top5="99.9"))
        assert finding.cause == "accuracy.contradicted", finding.message
        assert f"write {restored}" in finding.message
        assert not [part for part in world.asked if "@" in part]
        sure = "fraction of 1" in finding.message
        assert ("may have been" in finding.message) != sure
        # What is not sure is no edit.
        written = [edit.value for edit in finding.edits]
        assert written == ([restored] if sure else [])


def test_two_error_rates_are_certain_where_top_1_is_above_top_5(claims):
    right = shares(20, 85, 3, 15, 1, 100)
    world = World(right, given(20, sample=True))
    found = world.judge(claims("15.17%", top5="4.2%"))
    for finding, value in zip(found, ("84.83", "95.8"), strict=True):
        assert f"an error rate was written in place of an accuracy; write {value}%" in (
            finding.message
        )
        assert [edit.value for edit in finding.edits] == [f"{value}%"]


def test_a_point_one_place_too_far_left_is_named_and_no_edit(claims):
    for count, sample in ((20, True), (5000, False)):
        for percent, top1, restored, rate in (
            (75, "7.483%", "74.83%", "92.517%"),
            (70, "7.03", "70.3", "92.97"),
            (65, "6.5 %", "65%", "93.5%"),
        ):
            right = shares(count, percent, 3, 2, 1, 95)
            world = World(right, given(count, sample=sample))
            (finding, *_) = world.judge(claims(top1, top5="95.2"))
            assert finding.cause == "accuracy.contradicted"
            assert f"may be {restored} with its point" in finding.message, finding.message
            assert not finding.edits
            # A handful of images leave room for another reading, which is told beside it.
            also = f", or {rate} if {top1} is an error rate; both agree with it"
            assert also in finding.message or not sample
    # Two error rates stay what they are, whatever else a handful of images leave possible.
    right = shares(20, 80, 3, 15, 1, 90)
    found = World(right, given(20, sample=True)).judge(claims("21.17%", top5="7.83%"))
    for finding, value in zip(found, ("78.83%", "92.17%"), strict=True):
        assert f"an error rate was written in place of an accuracy; write {value}" in (
            finding.message
        )


def test_a_small_number_is_a_usual_one_on_hard_images(claims):
    """On ImageNet-A it is no slip for sure: other models have so few right."""
    hard = {"other": True, "dataset": "imagenet-a", "subset": "imagenet_a", "classes": 200}
    for top1, restored in (("0.45%", "45%"), ("0.62", "62"), ("5.2%", None)):
        world = World(shares(7_500, 45, 45, 45, 45), given(7_500, 100, **hard, chance=0.005))
        finding = world.the(claims(top1, dataset="ImageNet-A"))
        assert (finding.cause, finding.edits) == ("accuracy.contradicted", ())
        said = f"{top1} may be a fraction of 1: as a percentage it is "
        assert (said in finding.message) == (restored is not None), finding.message
        assert restored is None or f"write {restored} if so" in finding.message
        assert "place too far left" not in finding.message


def test_a_fraction_of_wrong_answers_is_no_percentage_of_them(claims):
    """Written as 0.1517, and never mended to 99.8483, which a handful of images leave possible."""
    for count, sample in ((20, True), (5000, False)):
        right = shares(count, 85, 3, 15, 1, 95)
        for top1, restored, other in (
            ("0.1517", "84.83", "99.8483"),
            ("0.15", "85", "99.85"),
            ("0.148", "85.2", "99.852"),
        ):
            (finding, *_) = World(right, given(count, sample=sample)).judge(
                claims(top1, top5="95.2")
            )
            assert finding.cause == "accuracy.contradicted"
            assert f"write {restored}" in finding.message, finding.message
            assert (f", or {other} if it is their percentage" in finding.message) == sample
            assert [edit.value for edit in finding.edits] == ([] if sample else [restored])


def test_top_1_and_top_5_that_are_exchanged_are_named(claims):
    right = shares(5000, 75, 95, 25, 1, 95)
    found = World(right, given(5000)).judge(claims("95.0%", top5="75.0%"))
    for finding, value in zip(found, ("75.0", "95.0"), strict=True):
        assert finding.cause == "accuracy.contradicted"
        assert f"the two are exchanged; write {value}%" in finding.message
        assert [edit.value for edit in finding.edits] == [f"{value}%"]
    # On a handful of images, which exclude neither, they may be.
    found = World(right, given(20, sample=True)).judge(claims("95.0%", top5="75.0%"))
    for finding, value in zip(found, ("75.0", "95.0"), strict=True):
        assert finding.cause == "accuracy.undecided"
        assert f"may be exchanged: if so, write {value}% here" in finding.message
    # Where one of them is right they are not.
    found = World(right, given(5000)).judge(claims("95.0%", top5="95.0%"))
    assert "exchanged" not in found[0].message


def test_a_right_accuracy_is_no_error_rate_of_images_with_wrong_labels(claims):
    for claim in ("100.00%", "99.9%", "80.00%"):
        world = World(everywhere(0, 600), given(600))
        finding = world.the(claims(claim))
        assert (finding.status, finding.cause) == ("unverified", "accuracy.undecided")
        assert "error rate" not in finding.message


def test_the_sample_names_no_preprocessing(claims):
    right = shares(20, 25, 100, 0, 0)
    world = World(right, given(20, sample=True))
    finding = world.the(claims("95.00%"))
    assert finding.cause == "accuracy.contradicted"
    assert "can't tell which other way" in finding.message
    assert not [part for part in world.asked if "@" in part]


def test_no_preprocessing_worse_than_the_documented_one_is_named(claims):
    """A claim that is too low is restored by many a worse way, and none is right for it."""
    right = shares(2000, 80, 60, 61, 0)
    world = World(right, given(2000))
    finding = world.the(claims("60.00%"))
    assert finding.cause == "accuracy.contradicted"
    assert "another crop" not in finding.message
    assert not [part for part in world.asked if "@" in part]


def test_a_way_that_may_be_better_by_chance_is_not_named(claims):
    """On so few images as there are, 49 of 60 against 41 tells nothing."""
    right = shares(60, 68, 81, 5, 0)
    finding = World(right, given(60)).the(claims("92.00%", images=60))
    assert finding.cause == "accuracy.contradicted"
    assert "document that" not in finding.message


LABELS = {"crop": "another crop", "labels=one earlier": "each label one class earlier"}


def test_labels_that_restore_the_claim_leave_it_open(claims, monkeypatch):
    monkeypatch.setitem(globals(), "WAYS", LABELS)
    right = shares(2000, 0, 0, 80)
    finding = World(right, given(2000)).the(claims("80.00%"))
    assert (finding.status, finding.cause) == ("unverified", "accuracy.undecided")
    assert "each label one class earlier" in finding.message
    assert "labels.txt" in finding.message
    # A preprocessing that restores it is named, as ever.
    right = shares(2000, 40, 80, 0)
    assert World(right, given(2000)).the(claims("80.00%")).cause == "accuracy.preprocessing"


def test_an_accuracy_at_chance_is_told_from_a_bad_one(claims):
    for percent, chance, status in (
        (0, 0.001, "unverified"),
        (0.2, 0.001, "unverified"),
        (3, 0.001, "mismatch"),
        (10, 0.001, "mismatch"),
        (10, 0.1, "unverified"),
        (30, 0.1, "mismatch"),
    ):
        world = World(everywhere(percent, 2000), given(2000, chance=chance))
        finding = world.the(claims("80.00%"))
        assert finding.status == status, (percent, finding.message)
        assert ("labels" in finding.message) == (status == "unverified")


def test_a_choice_of_networks_is_told_and_the_other_one_is_measured(claims):
    two = {"entry": "state_dict", "others": ["state_dict_ema"]}
    right = everywhere(60, 2000) | {"entry=state_dict_ema": share(80, 2000)}
    for claim, status, words in (
        ("60.00%", "match", "(it holds 'state_dict_ema', too, which was not)"),
        ("80.00%", "mismatch", "the claim holds there; say on the page"),
        ("95.00%", "mismatch", "the claim does not hold there either"),
    ):
        world = World(right, given(2000), **two)
        finding = world.the(claims(claim, images=2000))
        assert finding.status == status
        assert "with the entry 'state_dict' of the file" in finding.message
        assert words in finding.message
        assert not finding.edits
        if status == "match":
            assert not [part for part in world.asked if "@" in part]
