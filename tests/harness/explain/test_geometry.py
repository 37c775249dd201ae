"""The inputs that an explanation tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.explain.geometry import geometries


@pytest.mark.parametrize(
    ("size", "crop", "found"),
    [
        (224, 0.875, {(224, 224), (256, 256), (224, 285), (256, 326)}),
        (256, 0.875, {(256, 256), (292, 292), (256, 326), (292, 372)}),
        (320, 0.909, {(320, 320), (352, 352), (320, 407), (352, 448)}),
        (416, 0.928, {(416, 416), (448, 448), (416, 530), (448, 570)}),
        (224, None, {(224, 224), (224, 285)}),
        (224, 1.0, {(224, 224), (224, 285)}),
    ],
)
def test_the_usual_inputs(size, crop, found):
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
