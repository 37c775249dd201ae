"""Recording a forward pass on the meta device: shapes alone, no arithmetic.

Under inference mode the dispatcher hands composite operators (``aten.linear``,
``aten.adaptive_avg_pool2d``, ``aten.scaled_dot_product_attention``) to a dispatch mode before
they fall apart, which is the level at which `torch.jit` traces, and so fvcore, see them.

Repeated blocks are run once. Two modules are taken for equal when their classes, their own
attributes, their parameters' and buffers' shapes and, recursively, their children are equal;
then an equal input gives an equal record, since nothing else can steer a pass without values.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.measure.record import ModuleCall, Op, Shape
from harness.measure.shapes import Rule, output_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import nn

# Non-tensor arguments that a convention reads; the others are not kept.
_KEPT_ARGUMENTS = frozenset({"transposed", "equation", "training", "groups", "stride"})

# Configuration that counters working on modules read.
_KEPT_CONFIGURATION = (
    "in_channels",
    "out_channels",
    "in_features",
    "out_features",
    "kernel_size",
    "groups",
    "transposed",
    "affine",
    "num_features",
)

# Composite operators that conventions count whole: they are not opened.
_WHOLE = frozenset(
    {
        "aten.conv1d",
        "aten.conv2d",
        "aten.conv3d",
        "aten.linear",
        "aten.batch_norm",
        "aten.reshape",
        "aten.flatten",
        "aten.contiguous",
        "aten.adaptive_avg_pool2d",
        "aten.max_pool2d",
        "aten.softmax",
        "aten.dropout",
        "aten.to",
    }
)


def trace(model: nn.Module, inputs: Iterable[torch.Tensor]) -> ModuleCall:
    """Runs the model once on meta tensors and records what it did.

    Args:
        model: a model on the meta device, in the mode (train or eval) to be recorded. It may be
            traced again, but is good for nothing else afterwards: repeated blocks lose their own
            ``forward``.
        inputs: its inputs, on the meta device.

    Returns:
        The call of the model itself.

    Raises:
        Exception: whatever the model raises on such an input.
    """
    import torch

    recorder = _Recorder(model)
    with (
        torch.inference_mode(),
        _without_fused_attention(),
        recorder.hooked(),
        _dispatch_mode(recorder),
    ):
        model(*inputs)
    return recorder.result()


class _Recorder:
    """Collects nodes; a stack holds the calls that have begun and not ended."""

    def __init__(self, model: nn.Module) -> None:
        self.paths = {module: path for path, module in model.named_modules()}
        self.root = model
        self.stack: list[tuple[str, list[ModuleCall | Op]]] = []
        self.done: ModuleCall | None = None
        self.described: dict[nn.Module, tuple[Any, ...]] = {}
        _share_repeated_blocks(self, model)

    def result(self) -> ModuleCall:
        if self.done is None:
            raise RuntimeError("the model's own forward never returned")
        return self.done

    def add(self, node: ModuleCall | Op) -> None:
        if self.stack:
            self.stack[-1][1].append(node)

    @contextmanager
    def hooked(self) -> Iterator[None]:
        from torch.nn.modules import module as hooks

        before = hooks.register_module_forward_pre_hook(self._enter)
        after = hooks.register_module_forward_hook(self._leave)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        self.stack.append((self.paths.get(module, ""), []))

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        path, calls = self.stack.pop()
        parent = self.stack[-1][0] if self.stack else ""
        kind, bases, parameters, attributes = self._describe(module)
        shared = _Shared.of(module)
        node = ModuleCall(
            name=_relative(path, parent, bool(self.stack)),
            type=kind,
            bases=bases,
            inputs=tuple(_shapes(args)),
            outputs=tuple(_shapes(output)),
            parameters=parameters,
            attributes=attributes,
            calls=tuple(calls) if shared is None else shared.settle(tuple(calls)),
        )
        if module is self.root and not self.stack:
            self.done = node
        else:
            self.add(node)

    def _describe(self, module: nn.Module) -> tuple[Any, ...]:
        known = self.described.get(module)
        if known is None:
            known = self.described[module] = (
                _qualified(type(module)),
                tuple(
                    _qualified(base)
                    for base in type(module).__mro__[1:]
                    if base.__module__.startswith("torch.nn.modules.")
                    and base.__name__ not in ("Module",)
                ),
                {name: tuple(p.shape) for name, p in module._parameters.items() if p is not None},
                {
                    name: value
                    for name in _KEPT_CONFIGURATION
                    if isinstance(value := getattr(module, name, None), int | tuple | bool)
                },
            )
        return known


def _relative(path: str, parent: str, has_caller: bool) -> str:
    if not has_caller:
        return ""
    if not parent:
        return path
    if path.startswith(parent + "."):
        return path[len(parent) + 1 :]
    return "." + path


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _dispatch_mode(recorder: _Recorder) -> Any:
    """The dispatch mode that records; made here because its base class needs torch."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    # What an operator's name, schema and openness are does not change during a pass.
    facts: dict[Any, tuple[str, list[str], bool, Rule | None]] = {}

    class RecordOps(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            # Otherwise the base class wraps the method below so that its first call imports
            # torch._dynamo, which takes longer than all the tracing. Nothing is compiled here.
            return False

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.sinks: list[list[Op]] = []

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            known = facts.get(func)
            if known is None:
                name = func._schema.name.replace("::", ".")
                rule = output_of(name)
                opens = rule is None and name not in _WHOLE and func._can_decompose()
                known = (name, [a.name for a in func._schema.arguments], opens, rule)
                facts[func] = known
            name, arguments, opens, rule = known
            parts: tuple[Op, ...] = ()
            output = NotImplemented
            if opens:
                sink: list[Op] = []
                self.sinks.append(sink)
                try:
                    with self:
                        output = func.decompose(*args, **kwargs)
                finally:
                    self.sinks.pop()
                parts = tuple(sink)
            if output is NotImplemented and rule is not None and not kwargs:
                with torch.utils._python_dispatch._disable_current_modes():
                    output = rule(*args)
                if output is None:
                    output = NotImplemented
            if output is NotImplemented:
                output = func(*args, **kwargs)
            op = Op(
                name,
                tuple(_argument_shapes(args)),
                tuple(_shapes(output)),
                _kept(arguments, args, kwargs),
                parts,
            )
            if self.sinks:
                self.sinks[-1].append(op)
            else:
                recorder.add(op)
            return output

    assert torch.is_inference_mode_enabled()
    return RecordOps()


def _kept(names: list[str], args: Any, kwargs: dict[str, Any]) -> dict[str, object]:
    kept = {
        name: value for name, value in zip(names, args, strict=False) if name in _KEPT_ARGUMENTS
    }
    kept.update((name, value) for name, value in kwargs.items() if name in _KEPT_ARGUMENTS)
    return kept


def _argument_shapes(args: Iterable[Any]) -> Iterator[Shape | None]:
    import torch

    for value in args:
        if isinstance(value, torch.Tensor):
            yield tuple(value.shape)
        elif value is None:
            yield None
        elif isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
            yield from (tuple(v.shape) for v in value)


def _shapes(value: Any) -> Iterator[Shape]:
    import torch

    if isinstance(value, torch.Tensor):
        yield tuple(value.shape)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _shapes(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _shapes(inner)


@contextmanager
def _without_fused_attention() -> Iterator[None]:
    """Keeps ``nn.MultiheadAttention`` on its plain path: the fused one hides its products."""
    import torch

    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


class _Shared:
    """What the modules of one structure have in common: the passes they have already made.

    It stands in for each module's ``forward``. The first call with some input shapes runs the
    module; later ones return new meta tensors of the same shapes and the same record.
    """

    def __init__(self) -> None:
        self.results: dict[Any, tuple[tuple[ModuleCall | Op, ...], Any]] = {}
        self.pending: tuple[Any, Any] | None = None
        self.replayed: tuple[ModuleCall | Op, ...] | None = None

    @staticmethod
    def of(module: nn.Module) -> _Shared | None:
        return getattr(module.__dict__.get("forward"), "shared", None)

    def forward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        import torch

        def forward(*args: Any, **kwargs: Any) -> Any:
            key = _key_of_inputs(args, kwargs)
            if key is None:
                return original(*args, **kwargs)
            known = self.results.get(key)
            if known is None:
                output = original(*args, **kwargs)
                if isinstance(output, torch.Tensor):
                    self.pending = (key, _likeness(output))
                return output
            self.replayed = known[0]
            shape, stride, dtype = known[1]
            # Not seen by the recorder: the mode is off while this allocation runs.
            with torch.utils._python_dispatch._disable_current_modes():
                return torch.empty_strided(shape, stride, dtype=dtype, device="meta")

        forward.shared = self  # type: ignore[attr-defined]
        return forward

    def settle(self, calls: tuple[ModuleCall | Op, ...]) -> tuple[ModuleCall | Op, ...]:
        """Called when a module's call ends: remembers a new pass, or hands over a known one."""
        if self.replayed is not None:
            calls, self.replayed = self.replayed, None
        elif self.pending is not None:
            key, output = self.pending
            self.pending = None
            if _is_self_contained(calls):
                self.results[key] = (calls, output)
        return calls


def _is_self_contained(calls: Iterable[ModuleCall | Op]) -> bool:
    """Whether all modules called are the caller's own: only then can the record move."""
    return all(
        not call.name.startswith(".") and _is_self_contained(call.calls)
        for call in calls
        if isinstance(call, ModuleCall)
    )


def _likeness(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _key_of_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A key that equal calls share, None where an argument is not understood."""
    import torch

    key: list[Any] = []
    for name, value in [*enumerate(args), *sorted(kwargs.items())]:
        if isinstance(value, torch.Tensor):
            key.append((name, *_likeness(value)))
        elif value is None or isinstance(value, int | float | str | bool):
            key.append((name, value))
        else:
            return None
    return tuple(key)


def _share_repeated_blocks(recorder: _Recorder, model: nn.Module) -> None:
    """Gives the modules that are repeated, and hold others, one shared memory of their passes."""
    signatures: dict[nn.Module, Any] = {}
    numbers: dict[Any, int] = {}
    groups: dict[int, list[nn.Module]] = {}
    for module in recorder.paths:
        number = _signature(module, signatures, numbers)
        if number is not None and module._modules:
            groups.setdefault(number, []).append(module)
    for modules in groups.values():
        if len(modules) > 1:
            shared = _Shared()
            for module in modules:
                module.forward = shared.forward(module.forward)


def _signature(
    module: nn.Module, known: dict[nn.Module, int | None], numbers: dict[Any, int]
) -> int | None:
    """A number that structurally equal modules share, None where equality can't be told."""
    if module in known:
        return known[module]
    known[module] = None  # a module that holds itself is never taken for another
    parts: list[Any] = [type(module)]
    usable = not any(
        module.__dict__.get(name)
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    )
    for name, value in module.__dict__.items():
        if name in ("_modules", "_parameters", "_buffers") or name in _BOOKKEEPING:
            continue
        simple = _plain(value)
        if simple is None:
            usable = False
            break
        parts.append((name, simple))
    for tensors in (module._parameters, module._buffers):
        parts.extend(
            (name, None if t is None else (tuple(t.shape), t.dtype)) for name, t in tensors.items()
        )
    for name, child in module._modules.items():
        number = None if child is None else _signature(child, known, numbers)
        usable = usable and (child is None or number is not None)
        parts.append((name, number))
    if not usable:
        return None
    number = numbers.setdefault(tuple(parts), len(numbers))
    known[module] = number
    return number


# Attributes of every nn.Module that hold hooks and the like; the hooks that can change a pass
# are looked at by name above.
_BOOKKEEPING = frozenset(
    {
        "_backward_pre_hooks",
        "_backward_hooks",
        "_is_full_backward_hook",
        "_forward_hooks",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
        "_non_persistent_buffers_set",
    }
)


def _plain(value: Any) -> Any:
    """A hashable form of an attribute's value, None where it has none that equality can trust."""
    import torch

    if value is None or isinstance(value, bool | int | float | str | bytes):
        return (type(value), value)
    if isinstance(value, tuple | list):
        inner = tuple(_plain(v) for v in value)
        return None if None in inner else (type(value), inner)
    if isinstance(value, torch.dtype | torch.Size | torch.device):
        return (type(value), str(value))
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return (type(value), id(value))
    return None
