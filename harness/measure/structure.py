"""What a built model is made of: parameters of each kind, buffers, state-dict tensors, depth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    _Owned = tuple[str, nn.Module, nn.Parameter]

# Factors per channel on the branch of a residual block.
_SCALE = re.compile(r"(?:^|\.)(?:gamma\w*|(?:layer_?scale|res_?scale|ls)\w*(?:\.\w+)?)$")
# Tables of positions, and the tokens that go with the patches of a picture.
_POSITION = re.compile(
    r"pos(?:ition)?_?emb|rel(?:ative)?_?pos|attention_bias|(?:cls|class|dist|reg|register)_token"
)
_TABLE = re.compile(r"(?:^|\.)pos(?:ition)?_?emb\w*$")
_AUXILIARY = re.compile(r"(?:^|\.)aux", re.IGNORECASE)
_DISTILLED = re.compile(r"(?:^|\.)(?:head_dist\w*|dist_head\w*)\.")
_DISTILLED_TOKEN = re.compile(r"(?:^|\.)dist_token$")
_STAGE = re.compile(r"layer\d+")
_MAIN_PATH = re.compile(r"conv\w*")
# What a block may hold beside its convolutions in a row: the projection of its shortcut, and an
# attention over channels or places.
_BESIDE = re.compile(r"downsample\w*|shortcut\w*|proj\w*|se\w*|eca\w*|cbam\w*|attn\w*|gc\w*")
# A deep stem has three convolutions in place of one, and may have a fourth in place of pooling.
_DEEPEST_STEM = 4


def structure(
    model: nn.Module, forms: Mapping[str, nn.Module] = MappingProxyType({})
) -> dict[str, Any]:
    """The facts of a model that don't depend on its input.

    Args:
        model: the model.
        forms: others that the same name may mean, see `harness.measure.meta.other_forms`.

    Returns:
        ``parameters`` and ``trainable`` (counts), ``by_stage`` (parameters per top-level module,
        in order), ``kinds`` (see `_composition`), ``buffers`` (elements of buffers that the state
        dict holds), ``state`` and ``head`` (see `state_layout`; the latter of the last top-level
        module with parameters, by ``name``), ``layers`` (see `depth`; None where no counting rule
        fits) and ``forms`` (``parameters`` and ``kinds`` of each).
    """
    by_stage: dict[str, int] = {}
    owned = _owned(model)
    for name, _, parameter in owned:
        stage = name.partition(".")[0]
        by_stage[stage] = by_stage.get(stage, 0) + parameter.numel()
    state = model.state_dict()
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    paths = [path for path, _ in model.named_modules()]
    last = next(reversed(by_stage), "")
    return {
        "buffers": sum(t.numel() for name, t in state.items() if name not in parameters),
        "head": {"name": last, **_layout(state, paths, last)},
        "forms": {name: _counts(form, _owned(form)) for name, form in forms.items()},
        **_counts(model, owned),
        "trainable": sum(p.numel() for _, _, p in owned if p.requires_grad),
        "by_stage": by_stage,
        "state": _layout(state, paths),
        "layers": depth(model),
    }


def _counts(model: nn.Module, owned: Sequence[_Owned]) -> dict[str, Any]:
    return {
        "parameters": sum(parameter.numel() for _, _, parameter in owned),
        "kinds": _composition(model, owned),
    }


def state_layout(model: nn.Module) -> dict[str, int]:
    """What a model's state dict holds, as a checkpoint stores it.

    Returns:
        ``tensors`` (count), ``float_elements`` (elements of floating-point tensors, parameters
        included), ``vector_elements`` (those of them in tensors of at most one dimension: norms
        and biases), ``other_bytes`` (bytes of the integer and boolean tensors) and ``path_bytes``
        (of the paths of modules: torch writes each beside the version of its module).
    """
    return _layout(model.state_dict(), [path for path, _ in model.named_modules()])


def _layout(
    state: Mapping[str, Tensor], paths: Iterable[str], stage: str | None = None
) -> dict[str, int]:
    """See `state_layout`; ``stage`` is a top-level module, to describe its part alone."""
    layout = dict.fromkeys(
        ("tensors", "float_elements", "vector_elements", "other_bytes", "path_bytes"), 0
    )
    for name, tensor in state.items():
        if stage is not None and name.partition(".")[0] != stage:
            continue
        layout["tensors"] += 1
        if not tensor.is_floating_point():
            layout["other_bytes"] += tensor.numel() * tensor.element_size()
            continue
        layout["float_elements"] += tensor.numel()
        if tensor.dim() <= 1:
            layout["vector_elements"] += tensor.numel()
    for path in paths:
        if stage is None or path.partition(".")[0] == stage:
            layout["path_bytes"] += len(path.encode())
    return layout


def _composition(model: nn.Module, owned: Sequence[_Owned]) -> dict[str, int]:
    """How many of a model's parameters are of which kind; the kinds overlap.

    Returns:
        ``auxiliary`` (of classifiers that only training uses), ``classifier``, ``classes`` (no
        parameters: how many, 0 where that is not plain), ``convolutions`` (transposed
        and derived ones too), ``distillation`` (of the head that learns from a teacher),
        ``distillation_token`` (its token, and that token's position), ``folded`` (what goes away
        where each norm after a convolution or a linear layer becomes part of it), ``last_norm``
        (of the last norm), ``linear`` (of linear layers), ``loose`` (held by a module that is made
        of others, where counters that go over layers don't look), ``norms``, ``positions``
        (tables of positions, and tokens), ``scales`` (factors of residual branches), and, of what
        has one table of positions for the patches of an image, ``rows`` and ``width`` of that
        table and ``patch``, the pixels on a patch's side (no parameters: 0 where there is none).
    """
    found = dict.fromkeys(
        ("auxiliary", "convolutions", "distillation", "distillation_token", "last_norm", "linear",
         "loose", "norms", "positions", "scales"),
        0,
    )  # fmt: skip
    sorts: dict[nn.Module, tuple[bool, bool, bool]] = {}
    tables = []
    for name, owner, parameter in owned:
        size = parameter.numel()
        if _TABLE.search(name):
            tables.append(tuple(parameter.shape))
        if owner not in sorts:
            sorts[owner] = _is_norm(owner), _is_convolution(owner), _is_linear(owner)
        norm, convolution, linear = sorts[owner]
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
        if norm:
            found["last_norm"] = sum(p.numel() for p in owner.parameters(recurse=False))
        if _DISTILLED_TOKEN.search(name):
            found["distillation_token"] += 2 * size
    found |= _classifier(model) | _table(model, tables)
    return {**found, "folded": _folded(model)}


def _table(model: nn.Module, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The table of positions, and the convolution that makes as wide rows of whole patches."""
    shape = shapes[0] if len(shapes) == 1 else ()
    layers: Iterable[Any] = model.modules() if len(shape) == 3 and shape[0] == 1 else ()
    for layer in layers:
        if _is_convolution(layer) and layer.out_channels == shape[2]:
            patch = int(layer.stride[0])
            whole = {*layer.kernel_size, *layer.stride} == {patch}
            return {"rows": shape[1], "width": shape[2], "patch": patch if whole else 0}
    return {"rows": 0, "width": 0, "patch": 0}


def _owned(model: nn.Module) -> list[_Owned]:
    """Each parameter once, with its name and the module that holds it."""
    found: dict[int, _Owned] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in found:
                found[id(parameter)] = (f"{path}.{name}" if path else name, module, parameter)
    return list(found.values())


def _is_norm(module: nn.Module) -> bool:
    """Whether a module holds what norms do: factors and offsets, under a class of that name."""
    named = any("norm" in kind.__name__.lower() for kind in type(module).__mro__)
    return named and all(p.dim() == 1 for p in module.parameters(recurse=False))


def _is_convolution(module: nn.Module) -> bool:
    from torch import nn

    plain = nn.Conv1d | nn.Conv2d | nn.Conv3d
    transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
    return isinstance(module, plain | transposed)


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
    return [
        m for m in module.modules() if any(_is_matrix(p.shape) for p in m.parameters(recurse=False))
    ]


def _is_matrix(shape: tuple[int, ...]) -> bool:
    return sum(side > 1 for side in shape) > 1
