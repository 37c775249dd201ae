"""Padding as TensorFlow's ``SAME`` places it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SamePad2d(nn.Module):
    """Zero padding that makes a strided convolution return ceil(input / stride) rows and columns.

    How much it adds depends on the input: with n pixels it is (ceil(n / s) - 1) x s + k - n in all,
    and where that is odd the larger half goes below and to the right. PyTorch's own ``padding`` is
    symmetric and can't say that, so checkpoints from TensorFlow need this layer in front of their
    convolutions of stride 2. It stands on its own, and the convolution stays a plain
    ``nn.Conv2d``, which counters of operations recognise.
    """

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, H, W) -> (batch, channels, H + padding, W + padding)."""
        height, width = x.shape[-2:]
        rows, columns = self._total(height), self._total(width)
        top, left = rows // 2, columns // 2
        return F.pad(x, (left, columns - left, top, rows - top))

    def _total(self, size: int) -> int:
        windows = -(-size // self.stride)
        return max((windows - 1) * self.stride + self.kernel_size - size, 0)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
