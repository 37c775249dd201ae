"""What a built model is made of: parameters, buffers, state-dict tensors, depth."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.measure.composition import composition
from harness.measure.depth import depth

if TYPE_CHECKING:
    from torch import nn


def structure(
    model: nn.Module, forms: Mapping[str, nn.Module] = MappingProxyType({})
) -> dict[str, Any]:
    """The facts of a model that don't depend on its input.

    Args:
        model: the model.
        forms: others that the same name may mean, see `harness.measure.meta.other_forms`.

    Returns:
        ``parameters`` and ``trainable`` (counts), ``by_stage`` (parameters per top-level module,
        in order), ``kinds`` (see `composition`), ``buffers`` (elements of buffers that the state
        dict holds), ``state`` and ``head`` (see `state_layout`; the latter of the last top-level
        module with parameters, by ``name``), ``layers`` (see `depth`; None where no counting rule
        fits) and ``forms`` (``parameters`` and ``kinds`` of each).
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
        "head": {"name": last, **state_layout(model, last)},
        "forms": {name: _counts(form) for name, form in forms.items()},
        **_counts(model),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "by_stage": by_stage,
        "state": state_layout(model),
        "layers": depth(model),
    }


def _counts(model: nn.Module) -> dict[str, Any]:
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "kinds": composition(model),
    }


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
