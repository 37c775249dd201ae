"""Calls of torch's functions by name: what a counter sees that puts its own in their place.

``x + y`` and ``torch.add(x, y)`` are one operator to the dispatcher, but the second alone goes
through a name that can be replaced. So each such call is recorded beside the operators, as an
`Op` of the function's full name, before what it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from harness.measure.record import Op, Shape

FUNCTIONAL = "torch.nn.functional."
_DIMENSIONS = (1, 2, 3)
_ELEMENTWISE = (
    *("relu", "prelu", "elu", "relu6", "gelu", "silu", "softmax"),
    *(f"{kind}_pool{n}d" for kind in ("avg", "max") for n in _DIMENSIONS),
    *(f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in _DIMENSIONS),
)
PER_ELEMENT = tuple(FUNCTIONAL + name for name in _ELEMENTWISE)
"""Functions of which counters take one operation for each element."""
_FUNCTIONS = (
    *("linear", "scaled_dot_product_attention", "upsample", "interpolate"),
    *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in _DIMENSIONS),
    *_ELEMENTWISE,
)
_METHODS = ("matmul", "mm", "bmm", "addmm", "mul", "add")


def methods(*names: str) -> tuple[str, ...]:
    """The full names of functions that are methods of tensors, too."""
    return tuple(owner + name for owner in ("torch.", "torch.Tensor.") for name in names)


@contextmanager
def functional_calls(add: Callable[[Op], None]) -> Iterator[None]:
    """Within the block, pass every call by one of the names to ``add``."""
    import torch
    from torch.nn import functional

    owners: list[tuple[Any, str, tuple[str, ...]]] = [
        (functional, FUNCTIONAL, _FUNCTIONS),
        (torch, "torch.", (*_METHODS, "baddbmm")),
        (torch.Tensor, "torch.Tensor.", (*_METHODS, "__matmul__")),
    ]
    kept: list[tuple[Any, str, bool, Any]] = []
    try:
        for owner, prefix, names in owners:
            for name in names:
                original = getattr(owner, name)
                kept.append((owner, name, name in vars(owner), original))
                setattr(owner, name, _noted(original, prefix + name, add))
        yield
    finally:
        for owner, name, own, original in reversed(kept):
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)


def _noted(original: Any, name: str, add: Callable[[Op], None]) -> Callable[..., Any]:
    attributes = _ATTRIBUTES.get(name.rpartition(".")[2], _none)

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        add(Op(name, _shapes(args, kwargs), (), attributes(args, kwargs)))
        return original(*args, **kwargs)

    return call


def _shapes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Shape | None, ...]:
    """Of each positional argument, None where it is no tensor, and of the tensors by keyword."""
    import torch

    tensor = torch.Tensor
    shapes: list[Shape | None] = [tuple(a.shape) if isinstance(a, tensor) else None for a in args]
    shapes += [tuple(a.shape) for a in kwargs.values() if isinstance(a, tensor)]
    return tuple(shapes)


def _none(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, object]:
    return {}


def _resized(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, object]:
    given = dict(zip(("input", "size", "scale_factor"), args, strict=False)) | kwargs
    return {name: given.get(name) for name in ("size", "scale_factor")}


def _added(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, object]:
    return {"beta": kwargs.get("beta", 1)}


_ATTRIBUTES: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], dict[str, object]]] = {
    "upsample": _resized,
    "interpolate": _resized,
    "addmm": _added,
    "baddbmm": _added,
}
