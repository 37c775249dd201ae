"""What a model's parameters are of: the parts that some counters and some pages leave out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

# Factors per channel on the branch of a residual block.
_SCALE = re.compile(r"(?:^|\.)(?:gamma\w*|(?:layer_?scale|res_?scale|ls)\w*(?:\.\w+)?)$")
# Tables of positions, and the tokens that go with the patches of a picture.
_POSITION = re.compile(
    r"pos(?:ition)?_?emb|rel(?:ative)?_?pos|attention_bias|(?:cls|class|dist|reg|register)_token"
)
_AUXILIARY = re.compile(r"(?:^|\.)aux", re.IGNORECASE)
_DISTILLED = re.compile(r"(?:^|\.)(?:head_dist\w*|dist_head\w*)\.")
_DISTILLED_TOKEN = re.compile(r"(?:^|\.)dist_token$")


def composition(model: nn.Module) -> dict[str, int]:
    """How many of a model's parameters are of which kind; the kinds overlap.

    Returns:
        ``auxiliary`` (of classifiers that only training uses), ``classifier``, ``classes`` (no
        parameters: what it tells apart, 0 where that is not plain), ``convolutions`` (transposed
        and derived ones too), ``distillation`` (of the head that learns from a teacher),
        ``distillation_token`` (its token, and that token's position), ``folded`` (what goes away
        where each norm after a convolution or a linear layer becomes part of it), ``linear`` (of
        linear layers), ``loose`` (held by a module that is made of others, where counters that go
        over layers don't look), ``norms``, ``positions`` (tables of positions, and tokens) and
        ``scales`` (factors of residual branches).
    """
    found = dict.fromkeys(
        ("auxiliary", "convolutions", "distillation", "distillation_token", "linear", "loose",
         "norms", "positions", "scales"),
        0,
    )  # fmt: skip
    for name, owner, parameter in _owned(model):
        size = parameter.numel()
        norm, convolution, linear = _is_norm(owner), _is_convolution(owner), _is_linear(owner)
        kinds = {
            "auxiliary": bool(_AUXILIARY.search(name)),
            "convolutions": convolution,
            "distillation": bool(_DISTILLED.search(name)),
            "linear": linear,
            "loose": not (norm or convolution or linear) and any(True for _ in owner.children()),
            "norms": norm,
            "positions": bool(_POSITION.search(name)),
            "scales": not norm and bool(_SCALE.search(name)),
        }
        for kind, holds in kinds.items():
            found[kind] += size * holds
        if _DISTILLED_TOKEN.search(name):
            found["distillation_token"] += 2 * size
    return {**found, **_classifier(model), "folded": _folded(model)}


def _owned(model: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Each parameter once, with its name and the module that holds it."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield (f"{path}.{name}" if path else name, module, parameter)


def _is_norm(module: nn.Module) -> bool:
    """Whether a module holds what norms do: factors and offsets, under a class of that name."""
    named = any("norm" in kind.__name__.lower() for kind in type(module).__mro__)
    return named and all(p.dim() == 1 for p in module.parameters(recurse=False))


def _is_convolution(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(
        module,
        nn.Conv1d
        | nn.Conv2d
        | nn.Conv3d
        | nn.ConvTranspose1d
        | nn.ConvTranspose2d
        | nn.ConvTranspose3d,
    )


def _is_linear(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Linear)


def _classifier(model: nn.Module) -> dict[str, int]:
    """The layer that makes the logits, which is the last, with the one for distillation."""
    beside = [
        (path, module)
        for path, module in model.named_modules()
        if (_is_convolution(module) or _is_linear(module)) and not _AUXILIARY.search(path)
    ]
    distilled = [m for path, m in beside if _DISTILLED.search(f"{path}.")]
    layers = [m for _, m in beside if m not in distilled]
    last = layers[-1] if layers else None
    if last is None or set(getattr(last, "kernel_size", ())) - {1}:
        return {"classifier": 0, "classes": 0}
    own = sum(p.numel() for head in (last, *distilled) for p in head.parameters())
    return {"classifier": own, "classes": int(last.weight.shape[0])}


def _folded(model: nn.Module) -> int:
    """The parameters that go away where norms over batches become part of the layer before."""
    from torch.nn.modules.batchnorm import _BatchNorm

    gone = 0
    before: nn.Module | None = None
    for module in model.modules():
        if _is_convolution(module) or _is_linear(module):
            before = module
        elif isinstance(module, _BatchNorm) and before is not None:
            own = sum(p.numel() for p in module.parameters(recurse=False))
            if _outputs(before) == module.num_features and own:
                # The layer before gets a bias, unless it has one.
                gone += own - (module.num_features if before.bias is None else 0)
            before = None
    return gone


def _outputs(layer: nn.Module) -> object:
    return getattr(layer, "out_channels", getattr(layer, "out_features", None))
