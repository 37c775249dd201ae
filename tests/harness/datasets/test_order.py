"""The one random order: fixed for ever, a permutation, random."""

from __future__ import annotations

import hashlib

import numpy as np

from harness.datasets import order

PUBLISHED = [7, 4, 9, 3, 8, 2, 6, 0, 5, 1]


def test_the_order_is_the_one_that_was_published():
    """Counts that a store holds belong to this order: it may never change."""
    assert order(10).tolist() == sorted(
        range(10), key=lambda i: hashlib.new("sha256", b"0:%d" % i).hexdigest()
    )
    assert order(10).tolist() == PUBLISHED


def test_the_order_is_a_permutation_that_mixes_classes():
    whole = order(50_000)
    assert np.array_equal(np.sort(whole), np.arange(50_000))
    # The first hundred come from all over: no run of a class, whose images lie together.
    assert len({index // 50 for index in whole[:100].tolist()}) > 85
    assert abs(whole[:5_000].mean() - 25_000) < 1_000


def test_a_longer_set_has_the_same_relative_order():
    long = order(1000)
    assert np.array_equal(long[long < 100], order(100))
