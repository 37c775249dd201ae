"""The models of `zoo` itself; their identity is the source text of their family.

Their preprocessing is documented by the index alone, so none is stated here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


class NativeBuilder:
    """See `harness.measure.builders.Builder`."""

    def knows(self, name: str) -> bool:
        from zoo.registry import is_model

        return is_model(name)

    def names(self) -> list[str]:
        from zoo.registry import list_models

        return list_models()

    def identity(self, name: str) -> str:
        from zoo.registry import model_source

        return "source:" + hashlib.sha256(model_source(name).encode()).hexdigest()[:16]

    def build(self, name: str) -> nn.Module:
        from zoo.registry import create_model

        return create_model(name)
