"""Whether a build changed its process, so that the next model built there would measure otherwise.

A worker is used for many variants, and a build may leave it changed: a patched class, a hook on all
modules, another default dtype. A `ProcessState` notes what code can see once the builder is loaded,
and what a small model measures then; `ProcessState.difference` says what isn't so any more. It
finds mishaps, and is no wall against code that means to hide.
A builder may count and keep: where its own values changed, `ProcessState.own` says so.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import re
import signal
import sys
from argparse import Namespace
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from itertools import chain
from operator import attrgetter, is_, itemgetter, methodcaller
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any

# Large, and nothing that a model is built or measured by.
_LEFT_OUT = frozenset(
    (
        *("sympy", "mpmath", "networkx", "matplotlib", "pandas", "logging", "tqdm"),
        *("__main__", "__mp_main__"),
    )
)
_PARTS_LEFT_OUT = (
    *("torch._inductor", "torch.distributed", "torch._C._distributed", "torch.testing"),
    "torch.onnx",
)
# Where plain values and tables count as well.
_OURS = ("harness", "zoo")
_TABLES = (*_OURS, "torch.nn", "torch.overrides", "torch._decomp", "copyreg", "json")
_HOOKS = "_global_"
# What shows errors and warnings to people.
_SHOWS = frozenset({"excepthook", "displayhook", "showwarning", "formatwarning"})
# What Python itself writes to a class.
_CACHES = frozenset(
    {"__annotations__", "__doc__", "__slotnames__", "__abstractmethods__", "_abc_impl"}
)
_CODE = (
    *(FunctionType, BuiltinFunctionType, MethodType, ModuleType, type, partial, property),
    *(staticmethod, classmethod, GetSetDescriptorType, MemberDescriptorType),
    *(MethodDescriptorType, WrapperDescriptorType),
)
_PLAIN_TABLES = (dict, list, OrderedDict, defaultdict)
_HOLDERS = (SimpleNamespace, Namespace)
_PLAIN = (bool, int, float, str, bytes, tuple, frozenset)
_PLACES = frozenset(sys.path)
# Variables that decide what libraries load, and from where.
_STEERING = ("TORCH", "PYTORCH", "HF_", "HUGGINGFACE", "XDG_", "HOME", "CUDA_VISIBLE")
_SHOWN = 3
_LONGEST = 200

_Path = tuple[str, str]


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


_MISSING = _Missing()


class ProcessState:
    """What this process is like, to be compared later."""

    def __init__(self, builders: Collection[str] = ()) -> None:
        """Note it; ``builders`` are the packages that build models."""
        self.own: str | None = None
        self._builders = frozenset(builders)
        import_module("harness.measure.profile")  # It measures, and is to be compared as well.
        self._measured = _measure_canary()
        gc.freeze()  # What is there stays there: it need not be looked through for garbage.
        self._modules = {
            name: module
            for name, module in sys.modules.items()
            if issubclass(type(module), ModuleType)
            and name.partition(".")[0] not in _LEFT_OUT
            and not name.startswith(_PARTS_LEFT_OUT)
        }
        self._spaces = dict(self._found_spaces())
        self._functions = list({id(f): f for f in self._found_functions()}.values())
        self._codes = [list(map(read, self._functions)) for read in _CODES]
        self._settings = _settings()
        self._threads = set(sys._current_frames())
        self._noisy: dict[_Path, set[Any]] = {}
        self._note()

    def difference(self) -> str:
        """What has changed that may change another variant's numbers; empty if nothing has.

        Afterwards ``own`` is None where the builder's own values are as they were, `GROWN` where
        some came or went or were first used, and `REPLACED` where one took another's place.
        """
        self.own = None
        try:
            changes = [
                *self._changed_values(),
                *self._changed_functions(),
                *self._changed_settings(),
            ]
            if not changes and not self.measures_alike():
                changes = ["what the layers of torch measure"]
        except Exception as error:  # noqa: BLE001 - what it calls may have been replaced
            changes = [f"Python itself ({type(error).__name__})"]
        shown = ", ".join(changes[:_SHOWN])[:_LONGEST]
        return f"{shown} and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else shown

    def measures_alike(self) -> bool:
        """Whether a small model measures what it measured at first."""
        try:
            return _measure_canary() == self._measured
        except BaseException:  # noqa: BLE001 - whatever the replaced code raises
            return False

    def has_more_threads(self) -> bool:
        """Whether threads were left that may change something at any time."""
        return not self._threads.issuperset(sys._current_frames())

    def _note(self) -> None:
        """Note the values of all spaces, one after the other in one list."""
        self._length = sum(map(len, self._spaces.values()))
        self._keys: list[Any] = []
        self._ends: list[int] = []
        self._readers: list[Callable[[], Any]] = []
        for path, space in self._spaces.items():
            keys: Any = space if isinstance(space, Mapping) else range(len(space))
            reader = space.values if isinstance(space, Mapping) else space.__iter__
            if path in self._noisy and isinstance(space, Mapping):
                keys = [key for key in space if key not in self._noisy[path]]
                reader = partial(_several(keys), space)
            self._keys += keys
            self._ends.append(len(self._keys))
            self._readers.append(reader)
        self._values = list(chain.from_iterable(map(_CALL, self._readers)))

    def _found_spaces(self) -> Iterator[tuple[_Path, Any]]:
        """Modules, their classes, and the tables of those that build and measure."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            yield ("module", name), vars(module)
            for key, value in list(vars(module).items()):
                if id(value) in seen:
                    continue
                if issubclass(type(value), type):
                    seen.add(id(value))
                    whole = f"{value.__module__}.{value.__qualname__}"
                    yield ("class", whole), vars(value)
                    if self._is_own(whole):
                        for inner, each in list(vars(value).items()):
                            yield from _tables(f"{whole}.{inner}", each, seen)
                elif self._is_own(name) and not key.startswith("__"):
                    yield from _tables(f"{name}.{key}", value, seen)
                elif (
                    type(value) in (dict, list, OrderedDict)
                    and name.startswith(_TABLES)
                    and not key.startswith("__")
                ):
                    seen.add(id(value))
                    yield ("table", f"{name}.{key}"), value

    def _found_functions(self) -> Iterator[FunctionType]:
        for (_, name), space in self._spaces.items():
            if name.startswith("torch.") and not name.startswith(_BUILT_BY):
                continue
            for value in list(space.values() if isinstance(space, Mapping) else space):
                kind = type(value)
                inner = value.__func__ if kind in (staticmethod, classmethod) else value
                inner = value.fget if kind is property else inner
                if type(inner) is FunctionType:
                    yield inner

    def _changed_values(self) -> list[str]:
        modules = [
            f"the module {name}"
            for name, module in self._modules.items()
            if sys.modules.get(name) is not module
        ]
        if modules or self._is_same():
            return modules
        found = []
        for path, key, old, new in self._changes():
            own = self._is_own(path[1])
            if (
                isinstance(old, _CODE)
                if own and path[0] == "table"
                else _matters(path, key, old, new)
            ):
                found.append(f"{path[1]}.{key}")
            elif own and not (str(key).startswith("__") or _is_equal(old, new)):
                self.own = REPLACED if _is_setting(old) else self.own or GROWN
            elif old is not _MISSING and not _is_code(old):
                self._noisy.setdefault(path, set()).add(key)
        if not found:
            self._note()
        return found

    def _is_own(self, name: str) -> bool:
        return name.partition(".")[0] in self._builders

    def _changes(self) -> Iterator[tuple[_Path, Any, Any, Any]]:
        """Each value that is another object, with its place: before and now."""
        begin = 0
        for (path, space), end in zip(self._spaces.items(), self._ends, strict=True):
            keys, kept = self._keys[begin:end], self._values[begin:end]
            begin = end
            items = dict(space.items() if isinstance(space, Mapping) else enumerate(space))
            if len(items) == len(kept) and all(map(is_, items.values(), kept)):
                continue
            before = dict(zip(keys, kept, strict=True))
            ignored = self._noisy.get(path, ())
            for key in {**before, **items}:
                old, new = before.get(key, _MISSING), items.get(key, _MISSING)
                if old is not new and key not in ignored:
                    yield path, key, old, new

    def _is_same(self) -> bool:
        """Whether every value is the same object, those aside that change all the time."""
        try:
            now = chain.from_iterable(map(_CALL, self._readers))
            return self._length == sum(map(len, self._spaces.values())) and all(
                map(is_, now, self._values)
            )
        except LookupError:
            return False

    def _changed_functions(self) -> Iterator[str]:
        for read, codes in zip(_CODES, self._codes, strict=True):
            now = list(map(read, self._functions))
            if not all(map(is_, now, codes)):
                for function, new, old in zip(self._functions, now, codes, strict=True):
                    if new is not old:
                        yield f"{function.__module__}.{function.__qualname__}"

    def _changed_settings(self) -> Iterator[str]:
        for name, value in _settings().items():
            if value != self._settings[name]:
                shown = f" ({self._settings[name]} before, {value} now)"
                yield f"{name}{shown if type(value).__name__ in _SHORT else ''}"


GROWN, REPLACED = "grown", "replaced"
_SHORT = ("bool", "int", "dtype", "device")
_CALL = methodcaller("__call__")
_CODES = (attrgetter("__code__"), attrgetter("__defaults__"), attrgetter("__kwdefaults__"))
# Of torch, the functions whose inner parts are compared as well.
_BUILT_BY = (
    *("torch.nn", "torch.functional", "torch._tensor", "torch.Tensor", "torch.utils"),
    *("torch._meta_registrations", "torch._refs", "torch._prims", "torch._decomp"),
)


def _several(keys: list[Any]) -> Callable[[Any], tuple[Any, ...]]:
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda space: tuple(space[key] for key in keys)


def _tables(name: str, value: Any, seen: set[int], depth: int = 3) -> Iterator[tuple[_Path, Any]]:
    """The mappings and lists in a value of a builder's, and the attributes of its plain objects."""
    kind = type(value)
    if depth == 0 or id(value) in seen:
        return
    own = kind.__module__.partition(".")[0] == name.partition(".")[0]
    if (own or kind in _HOLDERS) and type(getattr(value, "__dict__", None)) is dict:
        value = vars(value)
    elif kind not in _PLAIN_TABLES:
        return
    seen.add(id(value))
    yield ("table", name), value
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield from _tables(f"{name}.{key}", inner, seen, depth - 1)


def _is_setting(value: Any) -> bool:
    """Whether it is a plain value that says something, and no counter or flag that was not used."""
    return isinstance(value, _PLAIN) and type(value) is not bool and bool(value)


def _is_equal(old: Any, new: Any) -> bool:
    with suppress(Exception):  # Of arrays.
        return type(old) is type(new) and isinstance(old, _PLAIN) and bool(old == new)
    return False


def _matters(path: _Path, key: Any, old: Any, new: Any) -> bool:
    """Whether a changed value may change what another model is, or what it measures."""
    kind, name = path
    if kind == "table":
        hooks = name.rpartition(".")[2].startswith(_HOOKS)
        return hooks or (old is not _MISSING and (_is_code(old) or name.startswith(_OURS)))
    if key in _CACHES or key in _SHOWS:
        return False
    if kind == "class":
        return _is_code(new) or (old is not _MISSING and _is_code(old))
    if old is _MISSING:
        # It stands before the built-in function of that name.
        return name != "builtins" and key in vars(builtins) and type(new) is not ModuleType
    if _is_code(old) or _is_code(new):
        # None is replaced when it is first used, and so is what stands for a module.
        same = isinstance(old, ModuleType) and old.__name__ == getattr(new, "__name__", None)
        return old is not None and not same
    return name.startswith(_OURS) and isinstance(old, _PLAIN) and bool(old != new)


def _is_code(value: Any) -> bool:
    return issubclass(type(value), _CODE) or callable(value)


def _settings() -> dict[str, Any]:
    """What steers Python and torch beside their code."""
    import decimal
    import warnings

    import torch

    found: dict[str, Any] = {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "the inference mode": torch.is_inference_mode_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "modes of torch": (
            torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
            repr(torch._C._dispatch_tls_local_include_set()),
            repr(torch._C._dispatch_tls_local_exclude_set()),
            torch._C._functorch.maybe_current_level(),
        ),
        "kernels of torch": [hash(tuple(map(torch._C._dispatch_dump, _operators())))],
        "tracing": (sys.gettrace(), sys.getprofile()),
        "garbage collection": (gc.isenabled(), list(map(id, gc.callbacks))),
        "the places of packages": [path for path in sys.path if path in _PLACES],
        "import hooks": (list(map(id, sys.meta_path)), list(map(id, sys.path_hooks))),
        "warnings that are errors": [f for f in warnings.filters if f[0] == "error"],
        "decimal arithmetic": (decimal.getcontext().prec, decimal.getcontext().rounding),
        "signal handlers": [signal.getsignal(number) for number in _SIGNALS],
        "a timer": [signal.getitimer(which)[0] > 0 for which in _TIMERS],
    }
    with suppress(ImportError):
        import resource

        limits = ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_CPU", "RLIMIT_STACK", "RLIMIT_FSIZE")
        found["limits"] = [resource.getrlimit(getattr(resource, name)) for name in limits]
    try:
        found["the working folder"] = os.getcwd()
    except OSError:
        found["the working folder"] = "gone"
    found["environment variables"] = {
        name: value for name, value in os.environ.items() if name.startswith(_STEERING)
    }
    # Libraries raise it, which harms nobody.
    found["the recursion limit"] = min(sys.getrecursionlimit(), 1000)
    return found


# In place, into a result, backward, on lists: no forward pass has them.
_NO_LAYER = re.compile(
    r"_(\.|$)|out$|backward|foreach|fused|sparse|fft|linalg|special|nested|_copy"
)


@cache
def _operators() -> list[str]:
    """Those of torch that layers are made of, whose kernels another library may replace."""
    import torch

    found = filter(re.compile("aten::").match, torch._C._dispatch_get_all_op_names())
    return sorted(name for name in found if not _NO_LAYER.search(name))


_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGALRM", "SIGINT", "SIGTERM", "SIGUSR1", "SIGCHLD", "SIGPIPE")
    if hasattr(signal, name)
]
_TIMERS = [
    getattr(signal, name)
    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
    if hasattr(signal, name)
]


def _measure_canary() -> str:
    """What a model of the usual layers measures, as the line of JSON that a fact is sent as."""
    import torch

    from harness.measure.flops import counts
    from harness.measure.meta import without_initialisation
    from harness.measure.record import walk
    from harness.measure.structure import structure
    from harness.measure.trace import Tracer

    with without_initialisation(), torch.device("meta"):
        model = _canary().eval()
    record = Tracer(model).trace([torch.empty(1, 3, 16, 16, device="meta")])
    figures = {f"{c.convention} {c.variation}": c.value for c in counts(record, None)}
    shapes = [call.outputs for _, call in walk(record)]
    made = {"structure": structure(model), "figures": figures, "shapes": shapes}
    return json.dumps(json.loads(json.dumps(made, default=str)))


def _canary() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 1),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(2),
        nn.Linear(4, 12),
        nn.LayerNorm(12),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(192, 5),
        nn.Softmax(-1),
    )
