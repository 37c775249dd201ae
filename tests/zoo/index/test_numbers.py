"""What a written number says, and how precisely."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loops import each

from zoo.index.units import (
    BYTE_UNITS,
    COUNT_UNITS,
    NotANumber,
    OutOfRange,
    parse_number,
    rounded_count,
    whole,
)


@each(
    "text, value, step",
    [
        ("48280000", 48280000, 10_000),
        ("17423183648", 17423183648, 1),
        ("25.6M", 25600000, 100_000),
        ("25.60M", 25600000, 10_000),
        ("30M", 30000000, 10_000_000),
        ("1e9", 10**9, 10**9),
        ("1.50e9", 1500000000, 10**7),
        ("25_600_000", 25600000, 100_000),
        ("25,557,032", 25557032, 1),
        ("7.2G", 7200000000, 10**8),
        ("8199999", 8200000, 100_000),
        ("66349999", 66350000, 10_000),
        ("1279999", 1279999, 1),
        ("8199998", 8199998, 1),
    ],
)
def test_counts_claim_their_significant_digits(text, value, step):
    assert rounded_count(parse_number(text, COUNT_UNITS)) == (value, Decimal(step))


@each(
    "text, value, step",
    [
        ("102 MB", 102 * 10**6, 10**6),
        ("97.8 MiB", Decimal("97.8") * 2**20, Decimal("0.1") * 2**20),
        ("1 GiB", 2**30, 2**30),
        ("193782911", 193782911, 1),
        ("110000000", 110000000, 1),
        ("5 B", 5, 1),
    ],
)
def test_bytes_claim_the_digits_of_their_unit(text, value, step):
    number = parse_number(text, BYTE_UNITS)
    assert (number.value, number.step) == (value, step)


@given(st.decimals(min_value=0, max_value=100, places=2))
def test_decimals_keep_the_decimals_written(value):
    number = parse_number(f"{value}%", {"%": Decimal(1)})
    assert (number.value, number.step) == (value, Decimal("0.01"))


@given(st.integers(1, 10**13))
def test_whole_numbers_come_back(value):
    assert whole(parse_number(str(value))) == (value, 1)
    assert whole(parse_number(f"{value:,}")) == (value, 1)
    assert whole(parse_number(f"{value:_}")) == (value, 1)


@given(st.integers(1, 9999), st.sampled_from([6, 9]), st.integers(0, 2))
def test_truncated_floats_are_read_as_what_was_meant(digits, scale, decimals):
    meant = digits * 10 ** (scale - decimals)
    written = int(digits / 10**decimals * 10.0**scale)
    value, step = rounded_count(parse_number(str(written)))
    assert abs(value - meant) == 0
    assert meant % int(step) == 0


@given(st.integers(10**6, 10**11).filter(lambda v: not str(v).endswith("9999")))
def test_a_count_without_a_run_of_nines_is_never_changed(value):
    assert rounded_count(parse_number(str(value)))[0] == value


@given(st.floats(min_value=1e-6, max_value=1e6, allow_nan=False))
def test_any_printed_float_is_read_exactly(value):
    assert parse_number(repr(value)).value == Decimal(repr(value))


@each(
    "text",
    [
        "", " ", "-", ".", "e5", "kg", "1:30", "0224", "00.5", "0x10", "0b1", "1_0", "1,0",
        "1,00,000", "1.2.3", "5 kg", "82.88 kg", "٣", "３", "1 2", "1__000", "--1", "1e", "½",
        "1\n2", "5M",
    ],
)  # fmt: skip
def test_other_texts_are_no_numbers(text):
    with pytest.raises(NotANumber):
        parse_number(text)


@each("text", [".nan", "NaN", "inf", "-.inf", "Infinity", "1e400", "1e-99999999", "9" * 10**6])
def test_endless_numbers_are_out_of_range(text):
    with pytest.raises(OutOfRange):
        parse_number(text)


@given(st.text(max_size=50))
def test_any_text_is_a_number_or_says_why_not(text):
    try:
        number = parse_number(text, COUNT_UNITS)
    except (NotANumber, OutOfRange):
        return
    assert number.value.is_finite()
    assert number.step > 0
