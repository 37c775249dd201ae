"""Regularisation of feature maps while training."""

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
