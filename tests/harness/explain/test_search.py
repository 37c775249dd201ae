"""The search for a count that is the claim: the simplest first, and never one by chance."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.explain import habits, preferred_rules
from harness.explain.flops import Candidate, Geometry, candidates, explain, geometries
from harness.types import Finding
from zoo.index.types import Claim, Location
from zoo.index.units import parse_number, rounded_count


def claim_of(text: str) -> Claim:
    units = {"M": Decimal(10**6), "G": Decimal(10**9)}
    value, step = rounded_count(parse_number(text, units))
    return Claim("FLOPs", text, value, "count", step, Location("a.yml", 1, 1))


def candidate(value: int, rank: int = 0) -> Candidate:
    return Candidate("macs", "", Geometry((8, 8), rank, "an input"), value, value, value)


def test_a_long_number_is_explained():
    values = [candidate(10**9 + 7919 * i) for i in range(100)]
    found = explain(claim_of(str(10**9 + 7919 * 63)), values)
    assert found is not None
    assert found.candidate is values[63]
    assert found.tried == 100


def test_the_nearest_number_is_none():
    values = [candidate(10**9 + 7919 * i) for i in range(100)]
    assert explain(claim_of(str(10**9 + 7919 * 63 + 1)), values) is None


def test_it_takes_two_digits_more_than_the_tries():
    """After n figures a number of d digits is explained where d is at least 2 + log10(n)."""
    for text, place, explained in (
        ("68M", 0, True),
        ("68M", 1, False),
        ("684M", 8, True),
        ("684M", 12, False),
        ("6840000", 12, False),
        ("6847M", 12, True),
        ("6.847G", 98, True),
        ("6.847G", 100, False),
        ("6847123", 100, True),
    ):
        claim = claim_of(text)
        far = [candidate((10**6 + i) * 10**9) for i in range(place)]
        found = explain(claim, [*far, candidate(int(claim.value))])
        assert found is not None
        assert found.certain == explained, (text, place)


def test_those_behind_the_first_fit_count_as_well():
    """Any of them would have been taken, so each is a way to be right by chance."""
    claim = claim_of("3.637G")
    fit = [candidate(3_637_108_736)]
    behind = [candidate(4 * 10**9 + 10**7 * i) for i in range(100)]
    for others, explained in (([], True), (behind[:99], True), (behind, False)):
        found = explain(claim, fit + others)
        assert found is not None
        assert found.certain == explained


def test_what_is_near_to_the_plain_reading_competes_with_few():
    """A convention as named at the claimed input, and the deployed form, are no wide search."""
    far = [candidate(4 * 10**9 + 10**7 * i, rank=3) for i in range(1000)]
    here = Geometry((8, 8), 0, "the input")
    named = Candidate("thop", "", here, 3_637_108_736, 1, 1)
    changed = Candidate("thop", "without the classifier", here, 3_637_108_736, 1, 1)
    folded = Candidate("macs", "of the deployed form", here, 830_000_000, 1, 1)
    for fit, text, explained in (
        (named, "3.64G", True),
        (changed, "3.64G", False),
        (changed, "3637108736", True),
        (folded, "0.83G", True),
    ):
        found = explain(claim_of(text), [fit, candidate(9 * 10**8), *far])
        assert found is not None
        assert found.candidate is fit
        assert found.certain == explained, (fit.words, text)


def test_chance_is_kept_small():
    """Random numbers against random figures: those of few digits are not explained by luck."""
    dice = random.Random(1)
    lucky = 0
    for _ in range(3000):
        tries = [candidate(dice.randrange(10**8, 10**10)) for _ in range(40)]
        length = dice.choice([1, 2, 3, 4, 5])
        text = str(dice.randrange(10 ** (length - 1), 10**length)) + "0" * 6
        found = explain(claim_of(text), tries)
        lucky += found is not None and found.certain
    assert lucky <= 0.02 * 3000


def test_equal_figures_are_one_try():
    tries = [candidate(5 * 10**9)] * 500 + [candidate(6847000)]
    found = explain(claim_of("6847K".replace("K", "000")), tries)
    assert found is not None
    assert found.tried == 2


def test_figures_that_the_claim_can_not_tell_apart_are_one_try_and_all_named():
    tries = [candidate(n) for n in (5_000_000_000, 6_937_106_336, 6_936_417_472, 6_940_000_001)]
    found = explain(claim_of("6.94G"), tries)
    assert found is not None
    assert found.candidate.value == 6_937_106_336
    assert [c.value for c in found.also] == [6_936_417_472, 6_940_000_001]
    assert found.tried == 2


def counts(macs: int, **others: int):
    named = {"macs": macs, **{k.replace("_", "-"): v for k, v in others.items()}}
    return {
        "counts": [
            {"convention": name, "variation": "", "value": value, "covered": macs}
            for name, value in named.items()
        ]
    }


def test_the_simplest_of_equal_explanations_is_taken():
    """The claimed input before another one, products before an old counter."""
    asked = geometries((224, 224), 0.875)
    wide = asked[-1].size
    found = explain(
        claim_of("5371160576"),
        candidates(
            asked,
            {
                (224, 224): counts(7 * 10**9 + 1, thop_2020=5371160576),
                wide: counts(5371160576, thop_2020=5371160576),
            },
        ),
    )
    assert found is not None
    assert found.candidate.convention == "thop-2020"
    assert found.candidate.geometry.size == (224, 224)


def test_what_was_left_out_is_a_share_of_the_products_at_that_input():
    value = counts(1000, thop_2020=900)
    value["counts"][1]["covered"] = 800
    (found,) = [c for c in candidates(geometries((8, 8), None), {(8, 8): value}) if c.value == 900]
    assert found.left_out == pytest.approx(0.2)
    assert found.words == "what thop-2020 counts"


def test_an_input_that_was_not_measured_is_passed_over():
    assert candidates(geometries((8, 8), 0.875), {}) == []


def test_a_preferred_rule_is_taken_where_it_fits_and_only_there():
    near, far = Geometry((8, 8), 0, "the input"), Geometry((9, 9), 3, "a photograph")
    tries = [
        Candidate("macs", "", near, 6_937_106_336, 1, 1),
        Candidate("macs", "", far, 6_936_417_472, 1, 1),
    ]
    rounded, exact = claim_of("6.937G"), claim_of("6937106336")
    plain = explain(rounded, tries)
    assert plain is not None
    assert plain.rules == (
        "what macs counts on the input",
        "what macs counts on a photograph",
    )
    chosen = explain(rounded, tries, "what macs counts on a photograph")
    assert chosen is not None
    assert (chosen.candidate, chosen.also) == (tries[1], (tries[0],))
    kept = explain(exact, tries, "what macs counts on a photograph")
    assert kept is not None
    assert kept.candidate is tries[0]


def test_a_habit_explains_a_number_that_is_too_short_by_itself():
    """The rule that explains three claims of a collection has no competitors at its others."""
    claim, far = claim_of("4.36G"), [candidate(9 * 10**9 + 10**7 * i, rank=3) for i in range(99)]
    tries = [candidate(4_361_000_000, rank=3), *far]
    rule = tries[0].rule
    for preferred, certain in ((None, False), (rule, True), ("another", False)):
        found = explain(claim, tries, preferred)
        assert found is not None
        assert found.certain == certain, preferred
    assert explain(claim_of("4.5G"), tries, rule) is None
    one_digit = explain(claim_of("4G"), [candidate(4 * 10**9, rank=3), *far], rule)
    assert one_digit is not None
    assert not one_digit.certain
    of = {n: habits([("a", finding(rule))] * n + [("b", finding("x"))]) for n in (2, 3)}
    assert of == {2: set(), 3: {("a", "FLOPs", rule)}}


def test_the_usual_inputs():
    for size, crop, found in (
        (224, 0.875, {(224, 224), (256, 256), (224, 285), (256, 326)}),
        (256, 0.875, {(256, 256), (292, 292), (256, 326), (292, 372)}),
        (320, 0.909, {(320, 320), (352, 352), (320, 407), (352, 448)}),
        (416, 0.928, {(416, 416), (448, 448), (416, 530), (448, 570)}),
        (224, None, {(224, 224), (224, 285)}),
        (224, 1.0, {(224, 224), (224, 285)}),
    ):
        assert {g.size for g in geometries((size, size), crop)} == found


@given(
    st.tuples(st.integers(8, 2000), st.integers(8, 2000)),
    st.none() | st.floats(0.1, 1.0),
)
def test_each_once_the_claimed_one_first(size, crop):
    found = geometries(size, crop)
    assert found[0].size == size
    assert found[0].rank == 0
    assert all(g.rank > 0 for g in found[1:])
    assert len({g.size for g in found}) == len(found)
    assert all(str(g) == f"{g.size[0]}x{g.size[1]}" for g in found)


def finding(*rules: str, field: str = "FLOPs") -> Finding:
    return Finding(
        variant="net",
        field=field,
        check="flops",
        status="mismatch",
        severity="warning",
        cause="flops.convention",
        documented="1",
        measured=2,
        message="",
        location=None,
        rules=rules,
    )


def test_the_rule_of_most_variants_is_preferred_to_the_simplest_of_one():
    found = [("a", finding("plain", "wide")), ("a", finding("wide")), ("a", finding("wide"))]
    assert preferred_rules(found) == {("a", "FLOPs"): "wide"}


def test_of_equally_many_the_one_that_is_named_first_by_most():
    found = [("a", finding("x", "y")), ("a", finding("y", "x")), ("a", finding("y", "x"))]
    assert preferred_rules(found) == {("a", "FLOPs"): "y"}


def test_collections_and_fields_vote_by_themselves():
    found = [
        ("a", finding("x", "y")),
        ("b", finding("y")),
        ("b", finding("y")),
        ("a", finding("p", field="Parameters")),
        (None, finding("z")),
        ("a", finding()),
    ]
    assert preferred_rules(found) == {
        ("a", "FLOPs"): "x",
        ("b", "FLOPs"): "y",
        ("a", "Parameters"): "p",
        (None, "FLOPs"): "z",
    }
