"""The deployed form of a network that is re-parameterised: branches and norms folded together.

RepVGG, MobileOne, LeViT and their like train several branches, or norms behind their layers, that
are one layer when they are put to use. Libraries give such modules a method that folds them. It
computes weights, of which the meta device has the shapes alone: those are what is asked here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

# ``fuse`` gives another module in place of the old one; the others change their own.
_REPLACING = "fuse"
_IN_PLACE = ("reparameterize", "switch_to_deploy")


def is_foldable(model: nn.Module) -> bool:
    """Whether any module below the model has a way to fold itself."""
    return any(_way(module) is not None for module in model.modules() if module is not model)


def fold(model: nn.Module) -> None:
    """Folds, in place, every module that has a way to fold itself.

    Args:
        model: a model on the meta device, not traced before.

    Raises:
        Exception: whatever a module raises that can't be folded there.
    """
    import torch

    with torch.no_grad(), torch.device("meta"):
        _fold_below(model)
    model.eval()


def _fold_below(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        way = _way(child)
        if way is None:
            _fold_below(child)
            continue
        folded = way()
        if way.__name__ == _REPLACING:
            setattr(module, name, folded)
            _fold_below(folded)
        else:
            _fold_below(child)


def _way(module: nn.Module) -> Callable[[], Any] | None:
    for name in (_REPLACING, *_IN_PLACE):
        way = getattr(type(module), name, None)
        if callable(way):
            bound: Callable[[], Any] = getattr(module, name)
            return bound
    return None
