"""Building a variant without its values: on the meta device, with initialisation skipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from harness.measure.builders import Builder


def build_on_meta(builder: Builder, name: str) -> nn.Module:
    """Builds a variant in evaluation mode on the meta device.

    A model whose constructor needs values (an ``.item()``, a NumPy round trip) can't be built
    there: it is built on the CPU, still without initialisation, and moved.

    Raises:
        Exception: whatever the builder raises on the CPU; that is the builder's own message.
    """
    import torch

    with without_initialisation():
        try:
            with torch.device("meta"):
                model = builder.build(name)
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            model = builder.build(name)
    return model.to("meta").eval()


@contextmanager
def without_initialisation() -> Iterator[None]:
    """Makes every function of ``torch.nn.init`` return its tensor untouched.

    Layers call them by way of the module, so replacing its attributes reaches all of them. It is
    process-wide: only a process that builds models for their shapes should do this.
    """
    from torch.nn import init

    def keep(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        return tensor

    kept = {
        name: value
        for name, value in vars(init).items()
        if name.endswith("_") and not name.startswith("_") and callable(value)
    }
    try:
        for name in kept:
            setattr(init, name, keep)
        yield
    finally:
        for name, value in kept.items():
            setattr(init, name, value)
