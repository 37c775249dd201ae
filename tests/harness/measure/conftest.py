"""The conventions under test, by name."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def figure():
    """A record's count under a convention as named, or under one of its variations."""
    from harness.measure.conventions import counts

    def value(record, convention, variation=""):
        return next(
            c.value
            for c in counts(record)
            if (c.convention, c.variation) == (convention, variation)
        )

    return value


@pytest.fixture(scope="session")
def by_operator():
    """The record's ``fvcore`` counts, operators that count nothing left out."""
    from harness.measure.conventions import fvcore_by_operator

    return lambda record: {k: n for k, n in fvcore_by_operator(record).items() if n}
