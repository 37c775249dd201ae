"""The rule as a whole, by simulation: how often it is wrong over all looks, and when it stops."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from harness.check.decide import IMAGENET, Errors, Observation, decide, looks, rule_for

CLAIM = Decimal("80.00")
PATHS = 20_000
EDGE = 40_050  # the most right answers of 50,000 that agree with the claim


def outcome(simulation, right, paths=PATHS, **how):
    """Simulated runs of a model that answers so many of the 50,000 right."""
    rule = rule_for(CLAIM, **how)
    rng = np.random.default_rng(7)
    return simulation.simulate(simulation.table_of(rule), IMAGENET, right, paths, rng)


@pytest.mark.parametrize("population", [300, 2000])
@pytest.mark.parametrize("claim", ["80.00", "100", "0.5"])
def test_the_simulation_judges_as_the_rule_does(simulation, population, claim):
    errors = Errors(0.05, 0.2)
    rule = rule_for(Decimal(claim), population, errors=errors)
    for look in simulation.table_of(rule)[::3]:
        for correct in range(look.drawn + 1):
            if correct <= look.too_few or correct >= look.too_many:
                expected = "contradicted"
            elif look.low <= correct <= look.high:
                expected = "confirmed"
            else:
                expected = "undecided"
            assert rule.verdict(Observation(look.drawn, correct)) == expected


def test_simulated_paths_stop_where_decide_does(simulation):
    errors = Errors(0.05, 0.2)
    claim, population, right = Decimal("80"), 2000, 1560
    rule = rule_for(claim, population, errors=errors)
    table = simulation.table_of(rule)
    rng = np.random.default_rng(3)
    for _ in range(40):
        order = rng.permutation(population) < right
        seen = [(n, int(order[:n].sum())) for n in looks(population, population)]
        found = decide(claim, seen, population, errors=errors)
        stops = (
            look.drawn
            for look, (_, k) in zip(table, seen, strict=True)
            if k <= look.too_few or k >= look.too_many or look.low <= k <= look.high
        )
        assert found.drawn == next(stops)


@pytest.mark.parametrize("right", [40_000, 40_025, 39_975, EDGE, 39_950])
def test_false_alarms_stay_under_their_error(simulation, right):
    found = outcome(simulation, right, errors=Errors(0.05, 1e-2))
    assert found.contradicted.mean() < 0.05
    # Not so rare that the simulation could not have shown too many.
    assert found.contradicted.any()


def test_false_alarms_stay_under_their_error_where_no_margin_helps(simulation):
    found = outcome(simulation, 40_000, tolerance=Decimal(0), errors=Errors(0.05, 1e-2))
    assert 0.005 < found.contradicted.mean() < 0.05


@pytest.mark.parametrize("right", [40_000, 40_025, 39_975, EDGE, 39_950])
def test_a_right_claim_is_not_contradicted(simulation, right):
    found = outcome(simulation, right)
    # At one in ten thousand, 2 are expected of 20,000, and more than 9 once in 20,000 times.
    assert found.contradicted.sum() <= (9 if right in (EDGE, 39_950) else 2)
    assert (found.contradicted | found.confirmed).all()


@pytest.mark.parametrize("right", [EDGE + 1, 39_949])
def test_false_confirmations_stay_under_their_error(simulation, right):
    by_default = outcome(simulation, right)
    assert by_default.confirmed.mean() < 1e-2
    often = outcome(simulation, right, errors=Errors(1e-4, 0.2))
    assert 0.001 < often.confirmed.mean() < 0.2


@pytest.mark.parametrize(
    ("points", "median", "nearly_all"),
    [(40, 50, 100), (20, 200, 300), (5, 2000, 3000), (1, 27_000, 37_000)],
)
def test_a_wrong_claim_is_refuted_early(simulation, points, median, nearly_all):
    for right in (40_000 - 500 * points, 40_000 + 500 * min(points, 20)):
        found = outcome(simulation, right, 4000)
        assert found.contradicted.all()
        if right < 40_000 or points <= 5:
            half, most = np.quantile(found.stopped, (0.5, 0.9), method="inverted_cdf")
            assert half <= median
            assert most <= nearly_all


def test_a_confirmation_needs_nearly_all_images(simulation):
    exact = outcome(simulation, 40_000, 4000)
    assert exact.confirmed.all()
    assert 0.95 * IMAGENET < np.median(exact.stopped) < IMAGENET
    assert exact.stopped.min() > 0.9 * IMAGENET
    near = outcome(simulation, 40_025, 4000)
    assert np.median(near.stopped) > 0.99 * IMAGENET
