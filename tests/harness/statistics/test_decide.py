"""Verdicts: what each look says, which looks there are, and what is refused."""

from __future__ import annotations

import dataclasses
import itertools
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.check.decide import (
    IMAGENET,
    Errors,
    Observation,
    decide,
    looks,
    rule_for,
)
from harness.check.intervals import interval

CLAIM = Decimal("82.88")


def test_the_plan_looks_early_often_and_at_everything():
    plan = looks(IMAGENET)
    assert plan[0] == 50
    assert plan[-1] == IMAGENET
    assert len(plan) == 44
    for before, after in itertools.pairwise(plan):
        assert before < after <= max(before + 50, before * 1.2)
        assert after % 50 == 0


@settings(deadline=None)
@given(st.integers(1, 60_000), st.data())
def test_a_smaller_budget_cuts_the_plan_and_looks_at_its_end(population, data):
    total = data.draw(st.integers(1, population))
    whole, part = looks(population, population), looks(total, population)
    assert part[-1] == total
    assert part[:-1] == tuple(n for n in whole if n < total)
    assert list(part) == sorted(set(part))
    # Each look of any plan has a share of the error.
    assert len(part) <= len(whole)


@pytest.mark.parametrize(("total", "population"), [(0, 10), (11, 10), (-1, 10), (0, 0)])
def test_no_plan_for_images_that_there_are_not(total, population):
    with pytest.raises(ValueError, match="population of"):
        looks(total, population)


@pytest.mark.parametrize(
    ("correct", "verdict"),
    [
        (41_389, "contradicted"),
        (41_390, "confirmed"),  # 82.78 %: a tenth of a point under the claim
        (41_440, "confirmed"),
        (41_490, "confirmed"),
        (41_491, "contradicted"),
    ],
)
def test_when_all_images_were_seen_the_verdict_is_exact(correct, verdict):
    found = decide(CLAIM, [(IMAGENET, correct)])
    assert found.verdict == verdict
    assert (found.interval.low, found.interval.high) == (correct, correct)
    assert found.needed == 0


def test_a_declared_population_that_was_seen_whole_is_decided():
    assert decide(Decimal(100), [(2000, 2000)], 2000).verdict == "confirmed"
    assert decide(Decimal(100), [(2000, 1998)], 2000).verdict == "confirmed"
    assert decide(Decimal(100), [(2000, 1997)], 2000).verdict == "contradicted"
    # No count of 20 images is 82.88 %: such a claim can't be true of them.
    assert decide(CLAIM, [(20, 17)], 20).verdict == "contradicted"
    assert decide(CLAIM, [(20, 16)], 20).verdict == "contradicted"


@pytest.mark.parametrize("correct", range(9, 21))
def test_twenty_sample_images_are_no_census(correct):
    found = decide(Decimal("74.83"), [(20, correct)])
    assert found.verdict == "undecided"
    assert found.interval.population == IMAGENET
    low, high = found.interval.percent
    assert low <= 5 * correct <= high
    assert high - low > 30


def test_a_model_that_guesses_is_contradicted_at_the_first_look():
    found = decide(CLAIM, [(50, 0), (100, 0)])
    assert found.verdict == "contradicted"
    assert (found.drawn, found.correct) == (50, 0)


@pytest.mark.parametrize(
    ("written", "step", "margin"),
    [
        ("82.88", "0.01", "0.1"),
        ("82.9", "0.1", "0.1"),
        ("83", "1", "1"),
        ("82.888", "0.001", "0.1"),
        ("83", None, "0.1"),
    ],
)
def test_a_coarsely_written_claim_agrees_with_what_rounds_to_it(written, step, margin):
    claimed, unit = Decimal(written), None if step is None else Decimal(step)
    edge = int((claimed - Decimal(margin)) * 500)
    at_edge = decide(claimed, [(IMAGENET, edge)], step=unit)
    assert at_edge.margin == Decimal(margin)
    assert at_edge.verdict == "confirmed"
    assert decide(claimed, [(IMAGENET, edge - 1)], step=unit).verdict == "contradicted"


def test_unreadable_images_count_against_either_verdict():
    lost = decide(CLAIM, [Observation(IMAGENET, 41_440, 60)])
    assert lost.verdict == "undecided"
    assert (lost.interval.low, lost.interval.high) == (41_440, 41_500)
    assert lost.needed is None
    # The claim holds, and is refuted, whatever the model would have made of them.
    assert decide(CLAIM, [Observation(IMAGENET, 41_440, 50)]).verdict == "confirmed"
    assert decide(CLAIM, [Observation(IMAGENET, 41_300, 89)]).verdict == "contradicted"
    assert decide(CLAIM, [Observation(IMAGENET, 41_300, 90)]).verdict == "undecided"


def test_nothing_readable_says_nothing():
    found = decide(CLAIM, [Observation(1000, 0, 1000)])
    assert found.verdict == "undecided"
    assert found.needed is None
    assert found.interval.high == IMAGENET


def check_against_intervals(population, look, errors):
    """Hold the verdict of one look against the ends of both intervals, found on their own."""
    found = decide(CLAIM, [look], population, errors=errors)
    share = len(looks(population, population))
    low_edge, high_edge = (
        (Fraction(CLAIM) + side * Fraction("0.1")) * population / 100 for side in (-1, 1)
    )

    def ends(alpha):
        most = look.correct + look.unreadable
        return (
            interval(population, look.drawn, look.correct, alpha).low,
            interval(population, look.drawn, most, alpha).high,
        )

    low, high = ends(errors.contradiction / share)
    inner_low, inner_high = ends(errors.confirmation / share)
    shown = (found.interval.low, found.interval.high)
    if high < low_edge or low > high_edge:
        assert found.verdict == "contradicted"
        assert shown == (low, high)
        assert found.alpha == errors.contradiction / share
    else:
        inside = low_edge <= inner_low and inner_high <= high_edge
        assert found.verdict == ("confirmed" if inside else "undecided")
        assert shown == (inner_low, inner_high)
        assert found.alpha == errors.confirmation / share


@settings(deadline=None)
@given(st.data())
def test_the_verdict_is_what_the_intervals_say(data):
    population = data.draw(st.sampled_from([20, 500, 2000, IMAGENET]))
    drawn = data.draw(st.sampled_from(looks(population, population)))
    near = round(drawn * 0.8288)
    correct = data.draw(
        st.integers(0, drawn) | st.integers(max(0, near - 400), min(drawn, near + 400))
    )
    unreadable = data.draw(st.just(0) | st.integers(0, drawn - correct))
    errors = data.draw(st.sampled_from([Errors(), Errors(0.05, 0.2)]))
    check_against_intervals(population, Observation(drawn, correct, unreadable), errors)


@pytest.mark.parametrize("drawn", [50, 450, 1550, 1950])
def test_the_verdict_is_what_the_intervals_say_at_every_count(drawn):
    for correct in range(drawn // 3, drawn + 1):
        check_against_intervals(2000, Observation(drawn, correct), Errors())


@settings(deadline=None, max_examples=60)
@example(5250, 4234 / 5250)  # 5080.8 of 6300: rounding it down would decide there already
@given(st.sampled_from(looks(IMAGENET)[:-1]), st.floats(0.78, 0.87))
def test_what_is_needed_decides_and_the_look_before_does_not(drawn, rate):
    correct = round(drawn * rate)
    found = decide(CLAIM, [(drawn, correct)])
    if found.verdict != "undecided":
        assert found.needed == 0
        return
    assert found.needed is not None

    def going_on(to):
        # Rounded as a person would: halves up.
        more = int(Fraction(correct, drawn) * (to - drawn) + Fraction(1, 2))
        return decide(CLAIM, [(drawn, correct), (to, correct + more)])

    later = [n for n in looks(IMAGENET) if drawn < n]
    end = drawn + found.needed
    assert end in later
    assert going_on(end).verdict != "undecided"
    before = [n for n in later if n < end]
    if before:
        assert going_on(before[-1]).verdict == "undecided"


def test_the_first_look_that_decides_stands():
    fooled = decide(CLAIM, [(50, 10), (100, 55), (1000, 829)])
    assert (fooled.verdict, fooled.drawn, fooled.correct) == ("contradicted", 50, 10)
    last = decide(CLAIM, [(50, 41), (100, 82), (1000, 829)])
    assert (last.verdict, last.drawn, last.correct) == ("undecided", 1000, 829)


def test_more_images_of_the_same_kind_narrow_what_is_shown():
    found = [decide(CLAIM, [(n, round(n * 0.8288))]).interval for n in looks(IMAGENET)]
    widths = [each.high - each.low for each in found]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


@pytest.mark.parametrize(
    "observations",
    [
        [],
        [(100, 101)],
        [(100, 90, 11)],
        [(100, 80), (100, 80)],
        [(100, 80), (50, 40)],
        [(100, 80), (150, 79)],
        [(100, 80), (150, 131)],
        [(100, 80, 5), (150, 110, 4)],
        [(50_001, 40_000)],
    ],
)
def test_counts_that_can_not_be_are_refused(observations):
    with pytest.raises(ValueError, match=r"can't be|shared by"):
        decide(CLAIM, observations)


def test_more_looks_than_share_the_error_are_refused():
    plan = looks(IMAGENET)
    seen = [(n, round(n * 0.8288)) for n in range(1, len(plan) + 1)]
    assert decide(CLAIM, seen).verdict == "undecided"
    with pytest.raises(ValueError, match="45 looks"):
        decide(CLAIM, [*seen, (1000, 829)])


def test_the_shares_add_up_to_the_error():
    rule = rule_for(CLAIM)
    assert rule.contradiction * len(looks(IMAGENET)) == pytest.approx(1e-4)
    assert rule.confirmation * len(looks(IMAGENET)) == pytest.approx(1e-2)


def test_decisions_are_values():
    found = decide(CLAIM, [(50, 41)])
    assert found == decide(CLAIM, [Observation(50, 41, 0)])
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.verdict = "confirmed"  # type: ignore[misc]
