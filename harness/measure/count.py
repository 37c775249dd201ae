"""Count any module: a copy of it without values goes through one pass, see `count_flops`."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

from harness.measure.flops import CONVENTIONS, NotCountedError, counts, itemised
from harness.measure.meta import describe_error
from harness.measure.trace import trace
from zoo._util.text import nearest

if TYPE_CHECKING:
    import torch
    from torch import nn


class CountError(ValueError):
    """The module can't be counted so; one line says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Counts:
    """One forward pass of a module, counted under one convention.

    Attributes:
        convention: its name, one of `harness.measure.flops.CONVENTIONS`.
    """

    convention: str
    _total: int
    _modules: Mapping[str, int]
    _operators: Mapping[str, int]

    def total(self) -> int:
        """The figure of the whole module, as the convention's own counter gives it."""
        return self._total

    def by_module(self) -> dict[str, int]:
        """Path -> count, what a module holds included; the module itself is the empty path.

        Every module has its row: 0 for one that was not called, or is not looked at. One that is
        held in several places counts in the first of them.
        """
        return dict(self._modules)

    def by_operator(self) -> dict[str, int]:
        """Operator -> count, the largest first; what counts nothing is left out.

        Operators have the names of the counter (``conv`` for fvcore, ``aten.conv2d`` for products);
        of counters that look modules up by class, the class (``Conv2d``).
        """
        return dict(self._operators)


def count_flops(module: nn.Module, input_shape_or_inputs: Any, convention: str = "macs") -> Counts:
    """Count one forward pass of a module in evaluation mode, without arithmetic.

    The module is not touched: a copy without values, on the meta device, goes through the pass.
    Hooks that others have put on it are not run; those of torch (weight norm) and of the module
    itself are.

    Args:
        module: any module.
        input_shape_or_inputs: a shape, batch included, such as ``(1, 3, 224, 224)``; several
            shapes; a tensor; a tuple or list of inputs; or a mapping from the names of arguments to
            shapes or inputs. Of tensors, shape and type count.
        convention: ``macs`` (multiply-accumulates), ``flops`` (two for each), ``fvcore``,
            ``torchvision`` (MACs; its pages print them in billions), ``thop``, ``thop-2020``,
            ``ptflops`` (of one sample), ``mmcv``, ``deepspeed`` (its MACs) or ``torchinfo``.

    Raises:
        CountError: there is no such convention, its counter gives up on the module, or the module
            can't run on such inputs or without values.
    """
    if convention not in CONVENTIONS:
        near = nearest(str(convention), CONVENTIONS, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(CONVENTIONS)}"
        raise CountError(f"there is no convention {convention!r}; {advice}")
    plain, name = _plain(module), type(module).__name__
    try:
        clone = meta_copy(plain)
    except Exception as error:
        raise CountError(f"{name} can't be copied: {describe_error(error)}") from error
    inputs, keywords = _inputs(input_shape_or_inputs, clone)
    try:
        record = trace(clone, inputs, keywords)
    except Exception as error:
        raise CountError(
            f"{name} can't run on {_shapes(inputs, keywords)} without values: "
            f"{describe_error(error)}; a shape includes the batch, such as (1, 3, 224, 224)"
        ) from error
    try:
        items = itemised(record, convention)
    except NotCountedError as error:
        raise CountError(f"{convention} can't count {name}: {error}") from error
    wanted = (convention, "")
    found = (c.value for c in counts(record) if (c.convention, c.variation) == wanted)
    total = next(found, sum(count for *_, count in items))  # mmcv's pages are OpenMMLab's alone.
    modules = Counter({path: 0 for path, _ in clone.named_modules()})
    operators = Counter[str]()
    for path, operator, count in items:
        operators[operator] += count
        modules.update(dict.fromkeys(_holders(path), count))
    operators = Counter({operator: n for operator, n in operators.most_common() if n})
    return Counts(convention, total, {**modules, "": total}, operators)


def _plain(module: nn.Module) -> nn.Module:
    """The module itself, out of what torch wraps around it.

    Raises:
        CountError: it is none, or its code is hidden.
    """
    from torch import jit, nn

    if not isinstance(module, nn.Module):
        raise CountError(f"{type(module).__name__} is not a torch.nn.Module")
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return _plain(module.module)
    if type(module).__name__ == "OptimizedModule":
        return _plain(module._orig_mod)  # type: ignore[arg-type]
    if any(isinstance(part, jit.ScriptModule) for part in module.modules()):
        raise CountError(
            f"{type(module).__name__} is compiled by torch.jit, which hides its modules; "
            "count the module that it was made from"
        )
    if any(nn.parameter.is_lazy(tensor) for tensor in module.parameters()):
        raise CountError(
            f"{type(module).__name__} has lazy parameters, which have no shape yet; call it once, "
            "then count it"
        )
    return module


def meta_copy(module: nn.Module) -> nn.Module:
    """A copy on the meta device, in evaluation mode, that shares nothing with the module.

    No value is copied, so it takes no memory to speak of.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    def emptied(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)

    class Emptying(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is not torch.Tensor.__deepcopy__:
                return func(*args, **(kwargs or {}))
            tensor, memo = args
            if id(tensor) not in memo:
                with torch._C.DisableTorchFunction():
                    memo[id(tensor)] = emptied(tensor)
            return memo[id(tensor)]

    memo: dict[int, Any] = {}
    for part in module.modules():
        for parameter in part._parameters.values():
            if parameter is not None:
                made = torch.nn.Parameter(emptied(parameter), parameter.requires_grad)
                memo[id(parameter)] = made
        memo.update((id(hook), _no_hook) for hook in _hooks_of_others(part))
    with Emptying():
        return copy.deepcopy(module, memo).eval()


def _no_hook(*_: Any, **__: Any) -> None:
    """What stands in the copy for a hook that is not run."""


def _hooks_of_others(module: nn.Module) -> Iterator[Any]:
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for hook in hooks.values():
            theirs = str(getattr(hook, "__module__", "")).startswith("torch.")
            if not theirs and getattr(hook, "__self__", None) is not module:
                yield hook


def _holders(path: str) -> Iterator[str]:
    """The path, and those of the modules that it leads through, the model's empty one included."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def _inputs(given: Any, module: nn.Module) -> tuple[list[Any], dict[str, Any]]:
    """The inputs in order and by name, their tensors on the meta device."""
    import torch

    floating = (p.dtype for p in module.parameters() if p.is_floating_point())
    dtype = next(floating, torch.get_default_dtype())

    def made(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return torch.empty_like(value, device="meta")
        if isinstance(value, Mapping):
            return {key: made(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(made, value))
        return value

    def shaped(value: Any) -> Any:
        return torch.empty(tuple(value), dtype=dtype, device="meta") if _is_shape(value) else None

    if isinstance(given, Mapping):
        return [], {k: made(v) if shaped(v) is None else shaped(v) for k, v in given.items()}
    if _is_shape(given):
        return [shaped(given)], {}
    if isinstance(given, torch.Tensor):
        return [made(given)], {}
    if isinstance(given, list | tuple) and given:
        if all(map(_is_shape, given)):
            return [shaped(shape) for shape in given], {}
        if any(map(_holds_tensor, given)):
            return [made(value) for value in given], {}
    shown = " ".join(repr(given).split())[:80]
    raise CountError(
        f"{shown} is neither a shape nor inputs; write a shape with its batch, such as "
        "(1, 3, 224, 224), several of them, or tensors"
    )


def _is_shape(value: Any) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    return bool(value) and all(isinstance(n, Integral) and int(n) >= 0 for n in value)


def _holds_tensor(value: Any) -> bool:
    import torch

    inside = value.values() if isinstance(value, Mapping) else value
    if (
        isinstance(inside, torch.Tensor)
        or isinstance(value, str)
        or not isinstance(inside, Iterable)
    ):
        return isinstance(inside, torch.Tensor)
    return any(map(_holds_tensor, inside))


def _shapes(inputs: list[Any], keywords: dict[str, Any]) -> str:
    import torch

    words = ["x".join(map(str, v.shape)) for v in inputs if isinstance(v, torch.Tensor)]
    words += [
        f"{key} {'x'.join(map(str, v.shape))}"
        for key, v in keywords.items()
        if isinstance(v, torch.Tensor)
    ]
    return ", ".join(words) or "these inputs"
