"""The auditor: what an index documents, held against what is measured.

`verify`, `audit` and `count_flops` are its Python API (docs/python.md); nothing heavy is imported
before one of them is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import CountError, Counts, Report, UsageError, audit, count_flops, verify

__all__ = ["CountError", "Counts", "Report", "UsageError", "audit", "count_flops", "verify"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import harness.api

        return getattr(harness.api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
