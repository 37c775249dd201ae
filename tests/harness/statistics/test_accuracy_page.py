"""docs/accuracy.md says what the rule does: its constants, its looks, and the simulated table."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest

from harness.check.decide import (
    ERRORS,
    IMAGENET,
    TOLERANCE,
    decide,
    looks,
    rule_for,
)


@pytest.fixture(scope="module")
def page(repository):
    """The page, its line ends as spaces."""
    return " ".join((repository / "docs" / "accuracy.md").read_text("utf-8").split())


def test_the_constants_are_those_of_the_code(page):
    assert f"plus or minus {TOLERANCE} points" in page
    assert f"1 in {round(1 / ERRORS.contradiction):,}" in page
    assert f"1 in {round(1 / ERRORS.confirmation):,}" in page
    assert f"looks {len(looks(IMAGENET))} times" in page
    assert ", ".join(f"{n:,}" for n in looks(IMAGENET)) in page


def test_the_example_of_the_sample_images_is_what_decide_shows(page):
    found = decide(Decimal("74.83"), [(20, 15)])
    assert f"15 right of 20 leave {found.interval} possible" in page


def test_the_command_it_names_makes_the_table(page, simulation):
    assert (
        f"`python tests/benchmarks/accuracy_rule.py {simulation.PATHS} {simulation.SEED}`" in page
    )
    assert f"claims {simulation.CLAIM} %" in page


def test_the_table_is_what_a_simulation_gives(repository, simulation):
    text = (repository / "docs" / "accuracy.md").read_text("utf-8")
    pattern = r"^\| ([\d.]+) points \| ([\d.]+) % \| ([\d.]+) % \| ([\d,]+) \| ([\d,]+) \|$"
    shown = re.findall(pattern, text, re.MULTILINE)
    assert [Decimal(row[0]) for row in shown] == list(simulation.OFFSETS)
    plan, paths = looks(IMAGENET), 5000
    table = simulation.table_of(rule_for(simulation.CLAIM))
    # Another seed: the page has to be right, not repeated.
    rng = np.random.default_rng(99)
    for offset, *cells in shown:
        right = int((simulation.CLAIM - Decimal(offset)) * IMAGENET / 100)
        found = simulation.simulate(table, IMAGENET, right, paths, rng)
        for cell, flags in zip(cells, (found.contradicted, found.confirmed), strict=False):
            share = float(cell) / 100
            assert abs(flags.mean() - share) <= 0.002
        stops = np.quantile(found.stopped, (0.5, 0.9), method="inverted_cdf")
        for cell, stop in zip(cells[2:], stops, strict=True):
            documented = plan.index(int(cell.replace(",", "")))
            assert abs(plan.index(int(stop)) - documented) <= 1, (offset, cell, stop)


def test_the_paired_table_is_what_a_simulation_gives(repository, page, simulation):
    assert "`python tests/benchmarks/accuracy_rule.py 1000 --paired`" in page
    text = (repository / "docs" / "accuracy.md").read_text("utf-8")
    cells = [r"([\d.]+) %", r"([\d.]+)", *[r"([\d.]+) %"] * 2, r"([\d,]+)", r"[\d,]+"]
    pattern = r"^\| " + r" \| ".join([*cells, r"([\d.]+) % \|$"])
    shown = [[float(c.replace(",", "")) for c in row] for row in re.findall(pattern, text, re.M)]
    assert [(row[0], row[1]) for row in shown] == [*map(tuple, simulation.PAIRED)]
    plan = looks(IMAGENET)
    for apart, points, different, alike, median, missed in shown[::3]:
        gap = round(IMAGENET * points / 100)
        first = (round(IMAGENET * apart / 100) + gap) // 2
        # Another seed: the page has to be right, not repeated.
        found = simulation.simulate_pairs(first, first - gap, 60, np.random.default_rng(99))
        assert abs(100 * (found.verdicts == "different").mean() - different) < 5
        assert abs(100 * (found.verdicts == "alike").mean() - alike) < 5
        assert found.missed.mean() <= ERRORS.confirmation * 4
        assert missed <= 100 * ERRORS.confirmation
        here = int(np.quantile(found.stopped, 0.5, method="inverted_cdf"))
        assert abs(plan.index(here) - plan.index(int(median))) <= 1
