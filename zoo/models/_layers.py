"""Layers that families share: DropBlock, and padding as TensorFlow's ``SAME`` places it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DropBlock2d(nn.Module):
    """Drop square blocks of a feature map, each channel on its own, and rescale what is kept.

    From "DropBlock: A regularization method for convolutional networks" (arXiv 1810.12890),
    algorithm 1 and equation 1: a block starts at each place where it fits with a probability
    ``gamma`` that makes about ``drop_rate`` of all activations fall under some block (fewer where
    blocks overlap). Does nothing in evaluation mode.

    Args:
        drop_rate: the fraction to drop, from 0 to below 1.
        block_size: side of a block, cut down to the map where the map is smaller.
    """

    def __init__(self, drop_rate: float, block_size: int = 3) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.block_size = block_size

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, H, W) -> the same shape."""
        if not self.training or self.drop_rate == 0:
            return x
        batch, channels, height, width = x.shape
        rows, columns = min(self.block_size, height), min(self.block_size, width)
        starts = (height - rows + 1, width - columns + 1)
        gamma = self.drop_rate * height * width / (rows * columns * starts[0] * starts[1])

        seeds = torch.rand(batch, channels, *starts, device=x.device) < gamma
        border = (columns - 1, columns - 1, rows - 1, rows - 1)
        # A place is dropped if a block starts at it or up to one block before it.
        dropped = F.max_pool2d(F.pad(seeds.float(), border), (rows, columns), stride=1)
        kept = 1 - dropped
        scale = kept.mean().clamp_min(1 / kept.numel()).reciprocal()
        return x * (kept * scale).to(x.dtype)

    def extra_repr(self) -> str:
        return f"drop_rate={self.drop_rate}, block_size={self.block_size}"


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
