"""Recording a forward pass on the meta device: shapes alone, no arithmetic.

Under inference mode the dispatcher hands composite operators (``aten.linear``,
``aten.adaptive_avg_pool2d``, ``aten.scaled_dot_product_attention``) to a dispatch mode before
they fall apart, which is the level at which `torch.jit` traces, and so fvcore, see them.

Repeated blocks are run once (see `harness.measure.forward_cache`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.measure.fastpath import Rule, output_of
from harness.measure.forward_cache import ForwardCache, share_repeated_blocks
from harness.measure.functional_hooks import functional_calls
from harness.measure.record import ModuleCall, Op, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

# Non-tensor arguments that a convention reads; the others are not kept.
_KEPT_ARGUMENTS = frozenset(
    {
        *("transposed", "equation", "training", "padding", "dim", "dilation"),
        *("stride", "kernel_size", "ceil_mode"),  # From which other inputs' shapes are derived.
    }
)

# Attributes of modules of attention that a convention reads.
_KEPT_SETTINGS = ("num_heads", "head_dim", "batch_first")

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


def trace(
    model: nn.Module, inputs: Iterable[Any], keywords: Mapping[str, Any] | None = None
) -> ModuleCall:
    """Run a model once on meta tensors and record what it did, see `Tracer`."""
    return Tracer(model).trace(inputs, keywords)


class Tracer:
    """Records passes of a model on the meta device, in the mode (train or eval) that it is in.

    What does not depend on the input (paths, repeated blocks) is found once. The model is good for
    nothing else afterwards: repeated blocks lose their own ``forward``.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._paths = {module: path for path, module in model.named_modules()}
        self._held = _held_often(model)
        share_repeated_blocks(model)

    def trace(self, inputs: Iterable[Any], keywords: Mapping[str, Any] | None = None) -> ModuleCall:
        """Run the model once.

        Args:
            inputs: its inputs, on the meta device.
            keywords: further inputs, by name.

        Returns:
            The call of the model itself.

        Raises:
            Exception: whatever the model raises on such an input.
        """
        import torch

        recorder = _Recorder(self.model, self._paths, self._held)
        with (
            torch.inference_mode(),
            _without_fused_attention(),
            functional_calls(recorder.add_named),
            recorder.hooked(),
            _dispatch_mode(recorder),
        ):
            self.model(*inputs, **(keywords or {}))
        return recorder.result()


class _Recorder:
    """Collects nodes; a stack holds the calls that have begun and not ended."""

    def __init__(
        self, root: nn.Module, paths: dict[nn.Module, str], held: dict[nn.Module, int]
    ) -> None:
        self.root, self.paths, self.held = root, paths, held
        self.described: dict[nn.Module, tuple[Any, ...]] = {}
        self.stack: list[tuple[str, list[ModuleCall | Op]]] = []
        self.done: ModuleCall | None = None
        self.dispatching = 0

    def result(self) -> ModuleCall:
        if self.done is None:
            raise RuntimeError("the model's own forward never returned")
        return self.done

    def add(self, node: ModuleCall | Op) -> None:
        if self.stack:
            self.stack[-1][1].append(node)

    def add_named(self, op: Op) -> None:
        """Adds a call by name, unless an operator's own kernel, written in Python, makes it."""
        if not self.dispatching:
            self.add(op)

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
        if (shared := ForwardCache.of(module)) is not None:
            shared.enter()

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        path, calls = self.stack.pop()
        parent = self.stack[-1][0] if self.stack else ""
        kind, bases, parameters, leaf, settings = self._describe(module)
        shared = ForwardCache.of(module)
        node = ModuleCall(
            name=_relative(path, parent, bool(self.stack)),
            type=kind,
            bases=bases,
            inputs=tuple(_shapes(args)),
            outputs=tuple(_shapes(output)),
            parameters=parameters,
            calls=tuple(calls) if shared is None else shared.settle(tuple(calls)),
            held=self.held.get(module, 1),
            leaf=leaf,
            settings=settings,
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
                not any(module.children()),
                {n: vars(module)[n] for n in _KEPT_SETTINGS if n in vars(module)},
            )
        return known


def _held_often(model: nn.Module) -> dict[nn.Module, int]:
    """The modules that are reached by several ways from the model, and by how many."""
    holders: dict[nn.Module, list[nn.Module]] = {}
    for module in model.modules():
        for child in dict.fromkeys(module._modules.values()):
            if child is not None:
                holders.setdefault(child, []).append(module)
    if all(len(those) < 2 for those in holders.values()):
        return {}
    ways = {model: 1}

    def count(module: nn.Module) -> int:
        if module not in ways:
            ways[module] = 0  # one that holds itself is not reached again by that
            ways[module] = sum(map(count, holders[module]))
        return ways[module]

    return {module: n for module in holders if (n := count(module)) > 1}


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
    facts: dict[Any, tuple[str, list[str], dict[str, object], bool, Rule | None]] = {}

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
            recorder.dispatching += 1
            try:
                return self.record(func, args, kwargs or {})
            finally:
                recorder.dispatching -= 1

        def record(self, func: Any, args: Any, kwargs: Any) -> Any:
            known = facts.get(func)
            if known is None:
                name = func._schema.name.replace("::", ".")
                rule = output_of(name)
                opens = rule is None and name not in _WHOLE and func._can_decompose()
                schema = func._schema.arguments
                known = (name, [a.name for a in schema], _default_words(schema), opens, rule)
                facts[func] = known
            name, arguments, words, opens, rule = known
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
                {**words, **_kept(arguments, args, kwargs)},
                parts,
            )
            if self.sinks:
                self.sinks[-1].append(op)
            else:
                recorder.add(op)
            return output

    assert torch.is_inference_mode_enabled()
    return RecordOps()


def _default_words(arguments: Iterable[Any]) -> dict[str, object]:
    """Kept arguments that are a word by default: the dispatcher leaves defaults out."""
    return {
        a.name: a.default_value
        for a in arguments
        if a.name in _KEPT_ARGUMENTS and isinstance(a.default_value, str)
    }


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
