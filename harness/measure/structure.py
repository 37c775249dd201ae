"""What a built model is made of: parameters, buffers, state-dict tensors, depth."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def structure(model: nn.Module) -> dict[str, Any]:
    """The facts of a model that don't depend on its input.

    Returns:
        ``parameters`` and ``trainable`` (counts), ``by_stage`` (parameters per top-level module,
        in order), ``convolutions`` (those of convolutions), ``buffers`` (elements of buffers that
        the state dict holds), ``state`` and ``head`` (see `state_layout`; the latter of the last
        top-level module with parameters, by ``name``), ``layers`` (see `depth`; None where no
        counting rule fits).
    """
    by_stage: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        stage = name.partition(".")[0]
        by_stage[stage] = by_stage.get(stage, 0) + parameter.numel()
    state = model.state_dict()
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    last = next(reversed(by_stage), "")
    return {
        "buffers": sum(t.numel() for name, t in state.items() if name not in parameters),
        "convolutions": _in_convolutions(model),
        "head": {"name": last, **state_layout(model, last)},
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "by_stage": by_stage,
        "state": state_layout(model),
        "layers": depth(model),
    }


def _in_convolutions(model: nn.Module) -> int:
    """The parameters of all convolutions, transposed and derived ones too."""
    from torch import nn

    kinds = (
        nn.Conv1d,
        nn.Conv2d,
        nn.Conv3d,
        nn.ConvTranspose1d,
        nn.ConvTranspose2d,
        nn.ConvTranspose3d,
    )
    own = {p for m in model.modules() if isinstance(m, kinds) for p in m.parameters(recurse=False)}
    return sum(p.numel() for p in own)


def state_layout(model: nn.Module, stage: str | None = None) -> dict[str, int]:
    """What the model's state dict holds, as a checkpoint stores it.

    Args:
        model: the model.
        stage: a top-level module, to describe its part alone.

    Returns:
        ``tensors`` (count), ``float_elements`` (elements of floating-point tensors, parameters
        included), ``vector_elements`` (those of them in tensors of at most one dimension: norms
        and biases), ``other_bytes`` (bytes of the integer and boolean tensors) and ``path_bytes``
        (of the paths of modules: torch writes each beside the version of its module).
    """
    layout = dict.fromkeys(
        ("tensors", "float_elements", "vector_elements", "other_bytes", "path_bytes"), 0
    )
    for name, tensor in model.state_dict().items():
        if stage is not None and name.partition(".")[0] != stage:
            continue
        layout["tensors"] += 1
        if not tensor.is_floating_point():
            layout["other_bytes"] += tensor.numel() * tensor.element_size()
            continue
        layout["float_elements"] += tensor.numel()
        if tensor.dim() <= 1:
            layout["vector_elements"] += tensor.numel()
    for path, _ in model.named_modules():
        if stage is None or path.partition(".")[0] == stage:
            layout["path_bytes"] += len(path.encode())
    return layout


_STAGE = re.compile(r"layer\d+")
_MAIN_PATH = re.compile(r"conv\w*")


def depth(model: nn.Module) -> int | None:
    """Weighted layers of a residual network as its papers count them, None for other networks.

    The rule of He et al. 2015 (arXiv 1512.03385, table 1), which names ResNet-50 and its kin:
    the stem is one layer (a deep stem too), each block as many as it has convolutions in a row,
    and the classifier one; projections, and the small layers of an attention inside a
    convolution, are not counted. It applies where the stages are called ``layer1``, ``layer2``
    ... and their blocks name their convolutions ``conv1``, ``conv2`` ..., as in torchvision.
    """
    stages = [m for name, m in model.named_children() if _STAGE.fullmatch(name)]
    if not stages or not any(hasattr(model, name) for name in ("conv1", "stem")):
        return None
    layers = 2
    for stage in stages:
        for block in stage.children():
            convolutions = [n for n, _ in block.named_children() if _MAIN_PATH.fullmatch(n)]
            if not convolutions:
                return None
            layers += len(convolutions)
    return layers
