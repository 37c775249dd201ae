"""Keep torch's compiler out of a process that compiles nothing.

Its import takes longer than tracing a family of models, and a sixth of a worker's memory. It is
imported where something is only marked as not to be compiled, which torch puts off for its own
functions until they are called. Here that is done for libraries of models as well, and torch's
shape functions are called as what they are. Who compiles imports the compiler as ever.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import wraps
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

COMPILER = "torch._dynamo"
_UTILITIES = f"{COMPILER}.utils"


def call_shape_functions_plainly() -> None:
    """Let torch's shape functions, which no compiler steps into, not ask for one to say so.

    Where this torch marks them in another way, it imports the compiler at their first call.
    """
    import torch

    mark = getattr(torch, "_disable_dynamo", None)
    codes = getattr(getattr(mark, "__code__", None), "co_consts", ())
    marked = next((each for each in codes if getattr(each, "co_name", "") == "inner"), None)
    if marked is None or "fn" not in marked.co_freevars:
        return
    modules = [vars(sys.modules[name]) for name in sys.modules if name.startswith("torch._refs")]
    found = [value for module in modules for value in module.values()]
    seen = set()
    for each in found:  # It grows meanwhile: they are wrapped several times.
        if type(each) is not FunctionType or each in seen:
            continue
        seen.add(each)
        cells = each.__closure__ or ()
        for cell in cells:
            with suppress(ValueError):  # It is empty.
                found.append(cell.cell_contents)
        if each.__code__ is marked:
            inner = cells[marked.co_freevars.index("fn")].cell_contents
            vars(inner).setdefault("__dynamo_disable", inner)  # What the mark keeps, and asks.


def imported(name: str) -> Any:
    """A library, imported without the compiler, where that is not there yet.

    It is process-wide meanwhile: only a process that builds models should do this.
    """
    import torch

    if name in sys.modules or COMPILER in sys.modules:
        return import_module(name)
    mark: Any = getattr(torch, "_disable_dynamo", None)
    own: Any = torch.compiler.disable
    utilities = _Utilities(_UTILITIES)

    def disable(fn: Any = None, recursive: bool = True, **words: Any) -> Any:
        if mark is None or type(fn) is not FunctionType or COMPILER in sys.modules:
            return own(fn, recursive, **words)
        marked = mark(fn, recursive)

        @wraps(fn)
        def call(*arguments: Any, **keywords: Any) -> Any:
            return (marked if COMPILER in sys.modules else fn)(*arguments, **keywords)

        return call

    sys.modules[_UTILITIES] = utilities
    torch.compiler.disable = disable
    try:
        return import_module(name)
    finally:
        torch.compiler.disable = own
        utilities.leave()


class _Utilities(ModuleType):
    """In the place of the compiler's own utilities, which it becomes when they are asked for."""

    def is_compile_supported(self, device: Any) -> Any:
        """What torchvision imports by name, and calls where arithmetic must be deterministic."""
        return getattr(import_module(_UTILITIES), "is_compile_supported")(device)  # noqa: B009

    def leave(self) -> None:
        if sys.modules.get(_UTILITIES) is self:
            del sys.modules[_UTILITIES]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # The import system asks whether it is a package.
            raise AttributeError(name)
        self.leave()
        return getattr(import_module(_UTILITIES), name)
