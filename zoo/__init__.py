"""The library a model user imports: build a variant, list what there is.

``import zoo`` costs nothing: each public name is looked up when it is first used, so that listing
models does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo._version import __version__

if TYPE_CHECKING:
    from zoo.preprocessing import preprocess
    from zoo.registry import create_model, list_models
    from zoo.variants import categories

__all__ = ["__version__", "categories", "create_model", "list_models", "preprocess"]

_HOMES = {
    "categories": "zoo.variants",
    "create_model": "zoo.registry",
    "list_models": "zoo.registry",
    "preprocess": "zoo.preprocessing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # The next look-up is an ordinary one.
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
