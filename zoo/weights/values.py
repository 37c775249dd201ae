"""What the numbers of a checkpoint do to a model: whether it can compute with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zoo.weights.checkpoint.types import printable

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_MOST_NAMED = 3
_EPSILON = 1e-5  # of a norm that doesn't say


class ValueCheck:
    """Look at a model's tensors one by one, as a file has them.

    NaN anywhere, and infinity in a parameter or in a norm's mean, make outputs NaN; so does a
    negative variance. An infinite variance makes them 0, and other buffers may be masks of
    attention, of minus infinity: those are fine.

    Args:
        model: anywhere; the meta device will do.

    Attributes:
        all_zero: every weight of a layer that was looked at is 0: the model answers alike to all
            images.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        self._faults: dict[str, str] = {}
        self._weights = self._zero = 0

    @property
    def all_zero(self) -> bool:
        """Whether all weights of layers are 0."""
        return 0 < self._weights == self._zero

    def add(self, name: str, tensor: Tensor, expected: torch.dtype) -> None:
        """Look at one tensor; ``expected`` is the type that the model converts it to."""
        import torch

        if not tensor.numel():
            return
        if tensor.is_complex():
            tensor = torch.view_as_real(tensor.resolve_conj())
        if not tensor.is_floating_point():
            self._count(name, tensor.ndim, zero=not tensor.any())
            return
        if tensor.element_size() == 1:
            tensor = tensor.float()  # There is no arithmetic of 8 bits.
        least, most = (value.item() for value in torch.aminmax(tensor))
        self._count(name, tensor.ndim, zero=least == most == 0)
        fault = self._fault(name, least, most)
        if fault is None and expected.is_floating_point:
            cast = torch.tensor([least, most], dtype=torch.float64).to(expected)
            if self._fault(name, *cast.tolist()) is not None:
                fault = f"numbers too large for {str(expected).removeprefix('torch.')}"
        if fault is not None:
            self._faults[name] = fault

    def fault(self) -> str | None:
        """What the model can't compute with, in one clause; the model's first tensors first."""
        if not self._faults:
            return None
        first = [name for name in self._model.state_dict() if name in self._faults][:_MOST_NAMED]
        named = ", ".join(f"{printable(name)} holds {self._faults[name]}" for name in first)
        more = len(self._faults) - _MOST_NAMED
        return f"{named} and {more} more tensors do" if more > 0 else named

    def _count(self, name: str, dimensions: int, *, zero: bool) -> None:
        if name in self._parameters and dimensions > 1:
            self._weights += 1
            self._zero += zero

    def _fault(self, name: str, least: float, most: float) -> str | None:
        if math.isnan(least) or math.isnan(most):
            return "NaN"
        path, _, leaf = name.rpartition(".")
        if leaf == "running_var":
            epsilon = getattr(self._model.get_submodule(path), "eps", None)
            smallest = least + (epsilon if isinstance(epsilon, float) else _EPSILON)
            return "a negative variance" if smallest < 0 else None
        computed = name in self._parameters or leaf == "running_mean"
        return "infinity" if computed and math.isinf(max(abs(least), abs(most))) else None
