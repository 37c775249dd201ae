"""How deep a residual network is, as the papers count that name their networks by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_STAGE = re.compile(r"layer\d+")
_MAIN_PATH = re.compile(r"conv\w*")
# What a block may hold beside its convolutions in a row: the projection of its shortcut, and an
# attention over channels or places.
_BESIDE = re.compile(r"downsample\w*|shortcut\w*|proj\w*|se\w*|eca\w*|cbam\w*|attn\w*|gc\w*")
# A deep stem has three convolutions in place of one, and may have a fourth in place of pooling.
_DEEPEST_STEM = 4


def depth(model: nn.Module) -> int | None:
    """Weighted layers of a residual network as its papers count them, None for other networks.

    The rule of He et al. 2015 (arXiv 1512.03385, table 1), which names ResNet-50 and its kin:
    the stem is one layer (a deep stem too), each block as many as it has convolutions in a row,
    and the classifier one; projections, and the small layers of an attention inside a
    convolution, are not counted. It applies where the stages are called ``layer1``, ``layer2``
    ... and their blocks name their convolutions ``conv1``, ``conv2`` ..., as in torchvision, and
    where nothing else of the trunk has weights: a network that goes on in other parts, as HRNet
    does after its first stage, is deeper than its stages say.
    """
    parts = [(name, module) for name, module in model.named_children() if _weighted(module)]
    places = [place for place, (name, _) in enumerate(parts) if _STAGE.fullmatch(name)]
    if not places:
        return None
    first, last = places[0], places[-1]
    stem, trunk, after = parts[:first], parts[first : last + 1], parts[last + 1 :]
    if (
        len(trunk) != len(places)
        or not 0 < sum(len(_weighted(m)) for _, m in stem) <= _DEEPEST_STEM
    ):
        return None
    if sum(len(_weighted(m)) for _, m in after) > 1:
        return None
    layers = 2
    for block in (block for _, stage in trunk for block in stage.children()):
        in_block = _in_a_row(block)
        if in_block is None:
            return None
        layers += in_block
    return layers


def _in_a_row(block: nn.Module) -> int | None:
    """The convolutions of a residual block; None where it holds other layers, or none."""
    names = [name for name, child in block.named_children() if _weighted(child)]
    convolutions = [name for name in names if _MAIN_PATH.fullmatch(name)]
    others = [name for name in names if name not in convolutions]
    if not convolutions or not all(_BESIDE.fullmatch(name) for name in others):
        return None
    return len(convolutions)


def _weighted(module: nn.Module) -> list[nn.Module]:
    """The layers with a matrix of weights in a module, itself included."""
    return [m for m in module.modules() if any(_is_matrix(p.shape) for p in _own(m))]


def _own(module: nn.Module) -> Iterator[nn.Parameter]:
    return module.parameters(recurse=False)


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return sum(side > 1 for side in shape) > 1
