"""The interval holds the truth as often as it says: by enumeration, and against scipy."""

from __future__ import annotations

import random
import statistics
import time
from fractions import Fraction
from math import ceil, comb, floor

import numpy as np
import pytest
from cli import run_python
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check.intervals import Interval, interval, plausible, too_many

# Not round, so that no exact tail probability of a small population equals half of one of them.
ALPHAS = (0.29, 0.0517, 0.0123, 1e-6)


def probability(population, right, drawn, seen):
    """The exact probability to draw ``seen`` right ones."""
    return Fraction(comb(right, seen) * comb(population - right, drawn - seen)) / comb(
        population, drawn
    )


def at_most(population, right, drawn, seen):
    """The exact probability to draw ``seen`` right ones or fewer."""
    return sum((probability(population, right, drawn, x) for x in range(seen + 1)), Fraction(0))


def at_least(population, right, drawn, seen):
    """The exact probability to draw ``seen`` right ones or more."""
    terms = (probability(population, right, drawn, x) for x in range(seen, drawn + 1))
    return sum(terms, Fraction(0))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_every_truth_of_small_populations_is_covered(alpha):
    for population in range(1, 23):
        for drawn in range(population + 1):
            found = [interval(population, drawn, seen, alpha) for seen in range(drawn + 1)]
            for right in range(population + 1):
                covered = sum(
                    probability(population, right, drawn, seen)
                    for seen, each in enumerate(found)
                    if each.low <= right <= each.high
                )
                assert covered >= 1 - Fraction(alpha), (population, drawn, right)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_it_is_the_inversion_of_the_exact_tests(alpha):
    level = Fraction(alpha) / 2
    for population in range(1, 16):
        for drawn in range(1, population + 1):
            for seen in range(drawn + 1):
                possible = [
                    right
                    for right in range(population + 1)
                    if at_most(population, right, drawn, seen) > level
                    and at_least(population, right, drawn, seen) > level
                ]
                expected = Interval(possible[0], possible[-1], population)
                assert interval(population, drawn, seen, alpha) == expected


@pytest.mark.parametrize("alpha", [0.0517, 1e-6])
def test_the_ends_are_exact_in_a_population_of_two_thousand(alpha):
    level = Fraction(alpha) / 2
    for drawn, seen in ((50, 3), (700, 512), (1000, 1000), (1990, 1600), (40, 0)):
        found = interval(2000, drawn, seen, alpha)
        assert at_most(2000, found.high, drawn, seen) > level
        assert at_least(2000, found.low, drawn, seen) > level
        if found.high < 2000:
            assert at_most(2000, found.high + 1, drawn, seen) <= level
        if found.low > 0:
            assert at_least(2000, found.low - 1, drawn, seen) <= level


@pytest.mark.parametrize("alpha", [0.05, 1e-2 / 44, 1e-6])
def test_scipy_puts_the_ends_where_they_are_for_imagenet(alpha):
    hypergeom = pytest.importorskip("scipy.stats", reason="scipy comes with foolbox").hypergeom
    population, random_ = 50_000, random.Random(20)
    for _ in range(60):
        drawn = random_.choice((20, 50, 1000, 25_000, 49_900, random_.randint(1, population)))
        seen = round(drawn * random_.choice((0, 0.001, 0.5, 0.761, 0.83, 0.99, 1)))
        found = interval(population, drawn, seen, alpha)

        def low_tail(right, drawn=drawn, seen=seen):
            return float(hypergeom.cdf(seen, population, right, drawn))

        def high_tail(right, drawn=drawn, seen=seen):
            return float(hypergeom.sf(seen - 1, population, right, drawn))

        # scipy's own rounding, and ours, are allowed for: one image more or less moves a tail
        # by much more than one part in a hundred thousand.
        inside, outside = alpha / 2 * (1 - 1e-5), alpha / 2 * (1 + 1e-5)
        assert low_tail(found.high) > inside
        assert high_tail(found.low) > inside
        if found.high < population - (drawn - seen):
            assert low_tail(found.high + 1) < outside
        if found.low > seen:
            assert high_tail(found.low - 1) < outside


@st.composite
def samples(draw):
    """A population, how many were drawn, and how many of those were right."""
    population = draw(st.integers(1, 60_000))
    drawn = draw(st.integers(0, population))
    return population, drawn, draw(st.integers(0, drawn))


alphas = st.floats(1e-9, 0.5)


@settings(deadline=None)
@given(samples(), st.floats(1e-9, 0.99))
def test_it_lies_within_what_can_be_and_around_what_was_seen(sample, alpha):
    population, drawn, seen = sample
    found = interval(population, drawn, seen, alpha)
    assert seen <= found.low <= found.high <= population - (drawn - seen)
    if drawn:
        proportion = Fraction(seen * population, drawn)
        assert found.low <= ceil(proportion)
        assert floor(proportion) <= found.high


@settings(deadline=None)
@given(samples(), alphas)
def test_one_more_right_moves_neither_end_down(sample, alpha):
    population, drawn, seen = sample
    if seen < drawn:
        fewer = interval(population, drawn, seen, alpha)
        more = interval(population, drawn, seen + 1, alpha)
        assert fewer.low <= more.low
        assert fewer.high <= more.high


@settings(deadline=None)
@given(samples(), alphas, alphas)
def test_a_smaller_error_never_makes_it_smaller(sample, one, other):
    strict, loose = (interval(*sample, alpha) for alpha in sorted((one, other)))
    assert strict.low <= loose.low
    assert loose.high <= strict.high


@settings(deadline=None)
@given(samples(), alphas)
def test_right_and_wrong_are_mirror_images(sample, alpha):
    population, drawn, seen = sample
    right, wrong = (interval(population, drawn, k, alpha) for k in (seen, drawn - seen))
    assert (right.low, right.high) == (population - wrong.high, population - wrong.low)


@settings(deadline=None)
@given(samples(), alphas, st.data())
def test_asking_about_a_count_agrees_with_the_ends(sample, alpha, data):
    population, drawn, seen = sample
    found = interval(population, drawn, seen, alpha)
    near = st.integers(found.high - 3, found.high + 3)
    right = data.draw(near | st.integers(-1, population + 1))
    assert too_many(population, drawn, seen, right, alpha / 2) == (right > found.high)


def test_all_drawn_is_certain_and_none_drawn_says_nothing():
    assert interval(50_000, 50_000, 41_440, 1e-6) == Interval(41_440, 41_440, 50_000)
    assert interval(50_000, 0, 0, 0.5) == Interval(0, 50_000, 50_000)
    assert interval(50_000, 49_999, 41_440, 1e-6) == Interval(41_440, 41_441, 50_000)


def test_it_is_shown_in_percent_and_never_narrower_than_it_is():
    assert str(Interval(41_440, 41_440, 50_000)) == "82.88 to 82.88 %"
    assert str(Interval(1, 2, 3)) == "33.33 to 66.67 %"
    assert str(Interval(2, 3, 3)) == "66.66 to 100.00 %"
    assert str(Interval(29, 29, 100)) == "29.00 to 29.00 %"
    assert Interval(1, 3, 4).percent == (25.0, 75.0)


@pytest.mark.parametrize(
    ("population", "drawn", "correct"), [(10, 11, 3), (10, 5, 6), (10, 5, -1), (0, 0, 0)]
)
def test_counts_that_can_not_be_are_refused(population, drawn, correct):
    with pytest.raises(ValueError, match=f"{correct} right of {drawn} drawn of {population}"):
        interval(population, drawn, correct, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 1.0, float("nan"), -1.0])
def test_an_error_that_is_no_probability_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        interval(10, 5, 3, alpha)


def test_it_takes_under_five_milliseconds_for_imagenet():
    seconds = []
    for drawn in (20, 500, 5000, 10_000, 25_000, 40_000, 49_000):
        for correct in (drawn // 2, drawn * 4 // 5):
            for alpha in (1e-2, 1e-6):
                start = time.perf_counter()
                interval(50_000, drawn, correct, alpha)
                seconds.append(time.perf_counter() - start)
    # The median, since other work on the machine can hold up any single one.
    assert statistics.median(seconds) < 0.005


def test_deciding_loads_no_numerical_library():
    code = (
        "import sys, harness.check.decide; "
        "print([m for m in ('torch', 'numpy', 'scipy', 'harness.measure') if m in sys.modules])"
    )
    done = run_python(["-c", code], check=True)
    assert done.stdout.strip() == "[]"


def test_too_few_classes_are_what_no_random_draw_has():
    rng = np.random.default_rng(5)
    for drawn in (20, 60, 300, 2000, 10_000, 50_000):
        for _ in range(20):
            classes = len(set((rng.permutation(50_000)[:drawn] % 1000).tolist()))
            assert plausible(classes, drawn, 50_000)
    assert not plausible(10, 50, 50_000)
    assert not plausible(100, 3925, 50_000)
    assert not plausible(10, 3925, 50_000)
    # 20 of 1,000 images of one class of ten: (1/10)^20 is too small; 5 of them are not.
    assert not plausible(1, 20, 1000, of=10)
    assert plausible(1, 5, 1000, of=10)
