"""EfficientNet-Lite: EfficientNet without what integer accelerators do badly.

Paper: "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", Tan and Le,
arXiv 1905.11946: table 1 is the baseline, and width and depth scale it. The Lite variants have
ReLU6 for Swish and no squeeze-and-excitation; their stem and head are not widened, their first and
last stage not deepened. The weights were trained in TensorFlow: hence the padding, and the epsilon
and momentum of the norms. The layers are named as in the published PyTorch checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from zoo.models._base import FeatureInfo, ImageClassifier
from zoo.models._layers import SamePad2d
from zoo.registry import register_model

_STEM, _HEAD = 32, 1280


class Stage(NamedTuple):
    """A row of the paper's table 1; the first of the ``repeats`` blocks has the stride."""

    repeats: int
    kernel_size: int
    stride: int
    expand_ratio: int
    channels: int


_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, linear 1x1 projection; a shortcut if the shape stays.

    Args:
        in_chs: input channels.
        out_chs: output channels.
        kernel_size: of the depthwise convolution.
        stride: of the depthwise convolution.
        expand_ratio: the depthwise convolution works on this many times ``in_chs`` channels; at 1
            there is no expansion.
    """

    def __init__(
        self, *, in_chs: int, out_chs: int, kernel_size: int, stride: int, expand_ratio: int
    ) -> None:
        super().__init__()
        width = in_chs * expand_ratio
        self._has_shortcut = stride == 1 and in_chs == out_chs
        self._expands = expand_ratio != 1
        if self._expands:
            self._expand_conv = nn.Conv2d(in_chs, width, 1, bias=False)
            self._bn0 = _norm(width)
        self._pad = _pad(kernel_size, stride)
        self._depthwise_conv = _conv(width, width, kernel_size, stride, groups=width)
        self._bn1 = _norm(width)
        self._project_conv = nn.Conv2d(width, out_chs, 1, bias=False)
        self._bn2 = _norm(out_chs)
        self._act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_chs, H, W) -> (batch, out_chs, H / stride, W / stride), rounded up."""
        shortcut = x
        if self._expands:
            x = self._act(self._bn0(self._expand_conv(x)))
        x = self._act(self._bn1(self._depthwise_conv(self._pad(x))))
        x = self._bn2(self._project_conv(x))
        return x + shortcut if self._has_shortcut else x


class EfficientNetLite(ImageClassifier):
    """An EfficientNet-Lite.

    Args:
        width: factor on the channels of every stage.
        depth: factor on the blocks of every stage but the first and the last.
        num_classes: outputs of the classifier, 0 for none.
        in_chans: input channels.
        drop_rate: dropout before the classifier (0.2 to 0.3 in the published training).
        drop_block_rate: only 0: the family has no DropBlock.

    Raises:
        ValueError: if ``drop_block_rate`` is not 0.
    """

    classifier_name: ClassVar[str] = "_fc"

    def __init__(
        self,
        *,
        width: float,
        depth: float,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.0,
        drop_block_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if drop_block_rate:
            raise ValueError("EfficientNet-Lite has no DropBlock: drop_block_rate must be 0")
        self._pad = _pad(3, 2)
        self._conv_stem = _conv(in_chans, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        self._act_stem = nn.ReLU6(inplace=True)

        self._blocks = nn.ModuleList()
        channels, reduction = _STEM, 2
        deepest: dict[int, FeatureInfo] = {}
        for number, stage in enumerate(_STAGES):
            fixed = number in (0, len(_STAGES) - 1)
            out_chs = _scaled_channels(stage.channels, width)
            for block in range(stage.repeats if fixed else math.ceil(stage.repeats * depth)):
                stride = stage.stride if block == 0 else 1
                reduction *= stride
                deepest[reduction] = {
                    "num_chs": out_chs,
                    "reduction": reduction,
                    "module": f"_blocks.{len(self._blocks)}",
                }
                self._blocks.append(
                    InvertedResidual(
                        in_chs=channels,
                        out_chs=out_chs,
                        kernel_size=stage.kernel_size,
                        stride=stride,
                        expand_ratio=stage.expand_ratio,
                    )
                )
                channels = out_chs
        self.feature_info = list(deepest.values())

        self._conv_head = nn.Conv2d(channels, _HEAD, 1, bias=False)
        self._bn1 = _norm(_HEAD)
        self._act_head = nn.ReLU6(inplace=True)
        self._add_head(_HEAD, num_classes, drop_rate)
        self.init_weights()

    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        for name in ("_pad", "_conv_stem", "_bn0", "_act_stem"):
            yield name, self.get_submodule(name)
        for number, block in enumerate(self._blocks):
            yield f"_blocks.{number}", block
        for name in ("_conv_head", "_bn1", "_act_head"):
            yield name, self.get_submodule(name)

    @torch.no_grad()
    def init_weights(self) -> None:
        """Kaiming initialisation of all convolutions, by the outputs that one input feeds."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                # torch's own fan-out ignores groups and would all but silence depthwise layers.
                fan_out = module.weight[:, 0].numel() // module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))


def _scaled_channels(channels: int, width: float) -> int:
    """``channels`` x ``width``, to the nearest multiple of 8 that is not more than 10 % below."""
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def _conv(in_chs: int, out_chs: int, kernel_size: int, stride: int, groups: int = 1) -> nn.Conv2d:
    # At stride 1 SAME is symmetric, and the convolution can do it by itself.
    padding = kernel_size // 2 if stride == 1 else 0
    return nn.Conv2d(in_chs, out_chs, kernel_size, stride, padding, groups=groups, bias=False)


def _pad(kernel_size: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else SamePad2d(kernel_size, stride)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


@register_model
def efficientnet_lite0(**options: Any) -> EfficientNetLite:
    """EfficientNet-Lite0, the baseline."""
    return EfficientNetLite(width=1.0, depth=1.0, **options)


@register_model
def efficientnet_lite1(**options: Any) -> EfficientNetLite:
    """EfficientNet-Lite1, deeper."""
    return EfficientNetLite(width=1.0, depth=1.1, **options)


@register_model
def efficientnet_lite2(**options: Any) -> EfficientNetLite:
    """EfficientNet-Lite2, wider and deeper."""
    return EfficientNetLite(width=1.1, depth=1.2, **options)
