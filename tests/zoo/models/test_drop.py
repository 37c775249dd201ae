"""DropBlock: how much falls away, in what shape, and when."""

from __future__ import annotations

import pytest
import torch

from zoo.models._layers import DropBlock2d


def expected_kept(height: int, width: int, block: int, rate: float) -> float:
    """The mean over places of the chance that no block covers them, counted one by one."""
    rows, columns = min(block, height), min(block, width)
    starts = [(i, j) for i in range(height - rows + 1) for j in range(width - columns + 1)]
    gamma = rate * height * width / (rows * columns * len(starts))
    kept = 0.0
    for y in range(height):
        for x in range(width):
            covering = sum(i <= y < i + rows and j <= x < j + columns for i, j in starts)
            kept += (1 - gamma) ** covering
    return kept / (height * width)


@pytest.mark.parametrize(
    ("height", "width", "block", "rate"),
    [(14, 14, 3, 0.1), (7, 9, 3, 0.1), (20, 12, 5, 0.25), (2, 2, 3, 0.1), (10, 10, 1, 0.4)],
)
def test_expected_fraction_is_kept(height, width, block, rate):
    torch.manual_seed(0)
    x = torch.ones(200, 32, height, width)
    out = DropBlock2d(rate, block)(x)
    kept = out.ne(0).float().mean().item()
    assert kept == pytest.approx(expected_kept(height, width, block, rate), abs=0.01)
    assert kept == pytest.approx(1 - rate, abs=0.05)
    assert out.mean().item() == pytest.approx(1, abs=1e-4)


def test_what_falls_away_is_made_of_whole_blocks():
    torch.manual_seed(0)
    dropped = DropBlock2d(0.1, 3)(torch.ones(20, 8, 15, 11)).eq(0)
    assert dropped.any()
    # Every dropped place lies in some 3x3 square that is dropped as a whole.
    squares = dropped.unfold(2, 3, 1).unfold(3, 3, 1).all(dim=-1).all(dim=-1)
    covered = torch.zeros_like(dropped)
    for sample, channel, row, column in squares.nonzero().tolist():
        covered[sample, channel, row : row + 3, column : column + 3] = True
    assert covered.equal(dropped)


def test_nothing_falls_away_in_evaluation_or_at_rate_zero():
    x = torch.randn(2, 3, 8, 8)
    assert DropBlock2d(0.5).eval()(x).equal(x)
    assert DropBlock2d(0.0).train()(x).equal(x)


def test_half_precision_stays_finite_on_a_large_map():
    x = torch.ones(8, 64, 16, 16, dtype=torch.float16)
    out = DropBlock2d(0.2)(x)
    assert out.dtype == torch.float16
    assert out.isfinite().all()
