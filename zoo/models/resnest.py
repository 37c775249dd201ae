"""ResNeSt: residual networks whose 3x3 convolutions attend over splits of their channels.

Paper: "ResNeSt: Split-Attention Networks", Zhang et al., arXiv 2004.08955. The layers are named as
in the authors' published checkpoints. In a variant's name ``d`` is the deep stem with shortcuts
that average, ``e`` the same with a stem twice as wide, and ``4s2x40d`` means radix 4, cardinality 2
and groups that are 40 channels wide in the first stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zoo.models._base import ImageClassifier
from zoo.models._layers import DropBlock2d
from zoo.registry import register_model

_PLANES = (64, 128, 256, 512)
_EXPANSION = 4


class SplitAttention(nn.Module):
    """A 3x3 convolution into ``radix`` splits per group, summed with weights that it computes.

    Section 3.1 of the paper. The weights come from the globally pooled sum of the splits through
    two 1x1 convolutions; per channel they are a softmax over the splits, or a sigmoid where there
    is only one.

    Args:
        channels: input and output channels, all groups together.
        radix: splits per group.
        cardinality: groups.
        drop_block_rate: fraction of the splits' activations that DropBlock drops.
    """

    def __init__(self, channels: int, radix: int, cardinality: int, drop_block_rate: float) -> None:
        super().__init__()
        self.radix = radix
        self.cardinality = cardinality
        splits = channels * radix
        # A quarter of the splits' channels, but never so few that the attention starves.
        hidden = max(splits // 4, 32)
        self.conv = nn.Conv2d(
            channels, splits, 3, padding=1, groups=cardinality * radix, bias=False
        )
        self.bn0 = nn.BatchNorm2d(splits)
        self.drop = _drop_block(drop_block_rate)
        self.act0 = nn.ReLU(inplace=True)
        self.fc1 = nn.Conv2d(channels, hidden, 1, groups=cardinality)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act1 = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, splits, 1, groups=cardinality)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, H, W) -> the same shape."""
        x = self.act0(self.drop(self.bn0(self.conv(x))))
        batch, _, height, width = x.shape
        splits = x.reshape(batch, self.radix, -1, height, width)
        # A mean, not a pooling module: published counts of operations leave it out.
        context = splits.sum(dim=1).mean(dim=(2, 3), keepdim=True)
        logits = self.fc2(self.act1(self.bn1(self.fc1(context))))
        return (splits * self._weights(logits)).sum(dim=1)

    def _weights(self, logits: Tensor) -> Tensor:
        """Logits (batch, radix x channels, 1, 1) -> weights (batch, radix, channels, 1, 1)."""
        if self.radix == 1:
            return logits.sigmoid().unsqueeze(1)
        # fc2 is grouped, so its output is ordered by group first, the splits by radix first.
        by_group = logits.reshape(len(logits), self.cardinality, self.radix, -1)
        weights = by_group.transpose(1, 2).softmax(dim=1)
        return weights.reshape(len(logits), self.radix, -1, 1, 1)


class Bottleneck(nn.Module):
    """1x1 convolution, split attention, 1x1 convolution, and a shortcut around them.

    A block of stride 2 averages: a 3x3 average pool stands before (``pool_first``) or after the
    split attention, and the shortcut is pooled before its projection.

    Args:
        in_chs: input channels.
        planes: the stage's nominal width; the block returns 4 x ``planes`` channels.
        stride: 1 or 2.
        radix, cardinality: of the split attention.
        base_width: channels per group where ``planes`` is 64.
        pool_first: pool before the split attention, which is cheaper.
        project: give the shortcut a projection, which a change of shape needs.
        drop_block_rate: fraction of activations that DropBlock drops after each convolution.
    """

    def __init__(
        self,
        *,
        in_chs: int,
        planes: int,
        stride: int,
        radix: int,
        cardinality: int,
        base_width: int,
        pool_first: bool,
        project: bool,
        drop_block_rate: float,
    ) -> None:
        super().__init__()
        width = planes * base_width // 64 * cardinality
        out_chs = planes * _EXPANSION
        pool = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else nn.Identity()

        self.conv1 = nn.Conv2d(in_chs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.drop1 = _drop_block(drop_block_rate)
        self.act1 = nn.ReLU(inplace=True)
        self.pool_before = pool if pool_first else nn.Identity()
        self.conv2 = SplitAttention(width, radix, cardinality, drop_block_rate)
        self.pool_after = nn.Identity() if pool_first else pool
        self.conv3 = nn.Conv2d(width, out_chs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_chs)
        self.drop3 = _drop_block(drop_block_rate)
        self.act3 = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_chs, out_chs, stride) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_chs, H, W) -> (batch, 4 x planes, H / stride, W / stride), rounded up."""
        shortcut = self.downsample(x)
        x = self.act1(self.drop1(self.bn1(self.conv1(x))))
        x = self.pool_after(self.conv2(self.pool_before(x)))
        x = self.drop3(self.bn3(self.conv3(x)))
        total: Tensor = self.act3(x + shortcut)
        return total


class ResNeSt(ImageClassifier):
    """A ResNeSt; the defaults are those of the larger published variants.

    Args:
        layers: blocks in each of the four stages.
        stem_width: channels of the stem's first two convolutions; the third doubles them.
        radix: splits per group, 2 in most variants.
        cardinality: groups of the split attention.
        base_width: channels per group in the first stage.
        pool_first: in blocks of stride 2, pool before the split attention instead of after it.
        num_classes: outputs of the classifier, 0 for none.
        in_chans: input channels.
        drop_rate: dropout before the classifier.
        drop_block_rate: DropBlock in the last two stages, where the paper has it.
    """

    def __init__(
        self,
        *,
        layers: Sequence[int],
        stem_width: int = 64,
        radix: int = 2,
        cardinality: int = 1,
        base_width: int = 64,
        pool_first: bool = False,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        drop_block_rate: float = 0.0,
    ) -> None:
        super().__init__()
        channels = 2 * stem_width
        self.conv1 = _deep_stem(in_chans, stem_width)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.feature_info = [{"num_chs": channels, "reduction": 2, "module": "act1"}]

        reduction = 4
        for stage, (planes, blocks) in enumerate(zip(_PLANES, layers, strict=True), start=1):
            stride = 1 if stage == 1 else 2
            reduction *= stride
            modules = []
            for block in range(blocks):
                first = block == 0
                modules.append(
                    Bottleneck(
                        in_chs=channels,
                        planes=planes,
                        stride=stride if first else 1,
                        radix=radix,
                        cardinality=cardinality,
                        base_width=base_width,
                        pool_first=pool_first,
                        project=first,
                        drop_block_rate=drop_block_rate if stage >= 3 else 0.0,
                    )
                )
                channels = planes * _EXPANSION
            name = f"layer{stage}"
            self.add_module(name, nn.Sequential(*modules))
            self.feature_info.append({"num_chs": channels, "reduction": reduction, "module": name})

        self._add_head(channels, num_classes, drop_rate)
        self.init_weights()

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        for name in ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            yield name, self.get_submodule(name)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Kaiming initialisation of all convolutions; each block starts as its shortcut alone."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)


def _deep_stem(in_chans: int, width: int) -> nn.Sequential:
    """Three 3x3 convolutions in place of one 7x7; the norm after the last is the model's own."""
    return nn.Sequential(
        nn.Conv2d(in_chans, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
    )


def _shortcut(in_chs: int, out_chs: int, stride: int) -> nn.Sequential:
    pool: nn.Module = nn.Identity()
    if stride > 1:
        # The window is cut off at the border of an odd map, and only what is inside counts.
        pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(pool, nn.Conv2d(in_chs, out_chs, 1, bias=False), nn.BatchNorm2d(out_chs))


def _drop_block(drop_rate: float) -> nn.Module:
    return DropBlock2d(drop_rate) if drop_rate else nn.Identity()


@register_model
def resnest14d(**options: Any) -> ResNeSt:
    """ResNeSt-14."""
    return ResNeSt(layers=(1, 1, 1, 1), stem_width=32, **options)


@register_model
def resnest26d(**options: Any) -> ResNeSt:
    """ResNeSt-26."""
    return ResNeSt(layers=(2, 2, 2, 2), stem_width=32, **options)


@register_model
def resnest50d(**options: Any) -> ResNeSt:
    """ResNeSt-50."""
    return ResNeSt(layers=(3, 4, 6, 3), stem_width=32, **options)


@register_model
def resnest50d_1s4x24d(**options: Any) -> ResNeSt:
    """ResNeSt-50-fast with one split, 4 groups of 24 channels: the attention is a sigmoid."""
    return ResNeSt(
        layers=(3, 4, 6, 3),
        stem_width=32,
        radix=1,
        cardinality=4,
        base_width=24,
        pool_first=True,
        **options,
    )


@register_model
def resnest50d_4s2x40d(**options: Any) -> ResNeSt:
    """ResNeSt-50-fast with 4 splits of 2 groups of 40 channels."""
    return ResNeSt(
        layers=(3, 4, 6, 3),
        stem_width=32,
        radix=4,
        cardinality=2,
        base_width=40,
        pool_first=True,
        **options,
    )


@register_model
def resnest101e(**options: Any) -> ResNeSt:
    """ResNeSt-101."""
    return ResNeSt(layers=(3, 4, 23, 3), **options)


@register_model
def resnest200e(**options: Any) -> ResNeSt:
    """ResNeSt-200."""
    return ResNeSt(layers=(3, 24, 36, 3), **options)


@register_model
def resnest269e(**options: Any) -> ResNeSt:
    """ResNeSt-269."""
    return ResNeSt(layers=(3, 30, 48, 8), **options)
