"""Build a variant without its values: on the meta device, with initialisation skipped.

Networks that are re-parameterised (RepVGG, MobileOne, LeViT and their like) train several branches,
or norms behind their layers, that are one layer when deployed. Libraries give such modules a method
that folds them; on the meta device it gives the shapes of the folded weights.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from harness.measure.builders import BuilderError, forms_of
from harness.measure.cuda import ending, on_device
from zoo._util.text import FOREIGN, foreign

if TYPE_CHECKING:
    from torch import Tensor, nn

    from harness.measure.builders import Builder

_LONGEST_NAME = 60


def build_on_meta(builder: Builder, name: str) -> nn.Module:
    """Build a variant in evaluation mode on the meta device.

    A model whose constructor needs values (an ``.item()``, a NumPy round trip) can't be built
    there: it is built on the CPU, still without initialisation, and moved.

    Raises:
        BuilderError: what it builds is no module.
        Exception: whatever the builder raises on the CPU; that is the builder's own message.
    """
    import torch

    with without_initialisation(), on_device():
        try:
            with torch.device("meta"):
                model = builder.build(name)
        except Exception as error:
            if ending(error) or not _may_build_on_cpu(error):
                raise
            model = builder.build(name)
    if not isinstance(model, torch.nn.Module):
        raise BuilderError(f"build() returned {type(model).__name__}, not a torch.nn.Module")
    return _moved_to_meta(model)


def all_tensors(model: nn.Module) -> Iterator[Tensor]:
    """The parameters and buffers of a model, and tensors that are plain attributes."""
    import torch

    attributes = (value for module in model.modules() for value in vars(module).values())
    plain = (value for value in attributes if isinstance(value, torch.Tensor))
    return chain(model.parameters(), model.buffers(), plain)


def describe_error(error: BaseException) -> str:
    """The class and message of an error in one line, cut where it is long."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - other people's error classes may fail to print
        text = ""
    kind = foreign(type(error).__name__, _LONGEST_NAME)
    return f"{kind}: {foreign(text, FOREIGN - len(kind) - 2)}" if text else kind


def _may_build_on_cpu(error: Exception) -> bool:
    """Whether an error may come from the meta device alone.

    A missing library, file or server is missing on the CPU, too. A module that failed as it was
    imported may fail otherwise the second time, with a message that hides the first.
    """
    if isinstance(error, (BuilderError, ImportError, OSError)):
        return False
    trace = error.__traceback__
    importing = False
    while trace is not None:
        importing = importing or trace.tb_frame.f_code.co_name == "<module>"
        trace = trace.tb_next
    return not importing or "meta" in str(error)


def _moved_to_meta(model: nn.Module) -> nn.Module:
    """Move a model in evaluation mode, and tensors beside its parameters and buffers."""
    from torch import Tensor

    def moved(value: Any) -> Any:
        return value.to("meta") if isinstance(value, Tensor) else value

    modules = list(model.modules())
    if not all(
        each is None or each.is_meta
        for module in modules
        for each in (*module._parameters.values(), *module._buffers.values())
    ):
        model = model.to("meta")
    for module in modules:
        for name, value in vars(module).items():
            if type(value) in _NO_TENSORS:
                continue
            if isinstance(value, Tensor):
                vars(module)[name] = moved(value)
            elif type(value) is list:
                value[:] = map(moved, value)
            elif type(value) is tuple:
                vars(module)[name] = tuple(map(moved, value))
            elif type(value) is dict and name not in _MOVED_BY_TORCH:
                value.update((key, moved(item)) for key, item in value.items())
    model.eval()  # Some classes return nothing from it.
    return model


_NO_TENSORS = frozenset({bool, int, float, str, type(None), set, OrderedDict})
_MOVED_BY_TORCH = ("_parameters", "_buffers", "_modules")


def other_forms(builder: Builder, name: str, model: nn.Module) -> dict[str, nn.Module]:
    """The other models that a variant's name may mean, on the meta device, see `forms_of`.

    Raises:
        Exception: whatever the builder raises.
    """
    import torch

    with without_initialisation(), on_device(), torch.device("meta"):
        found = forms_of(builder, name, model)
    return {form: _moved_to_meta(other) for form, other in found.items()}


def deployed_form(builder: Builder, name: str, model: nn.Module) -> nn.Module | None:
    """The variant built anew with its branches and norms folded; None where it has none to fold.

    Raises:
        Exception: whatever the builder raises, or a module that can't be folded on meta.
    """
    import torch

    kinds = {type(module) for module in model.modules() if module is not model}
    if not any(map(_folding, kinds)):
        return None
    deployed = build_on_meta(builder, name)
    with torch.no_grad(), torch.device("meta"):
        _fold_below(deployed)
    return _moved_to_meta(deployed)


# ``fuse`` returns another module in place of the old one; the others change their own.
_REPLACING = "fuse"
# Where a module has both of these, the last only computes what the other puts in place.
_FOLDING = (_REPLACING, "switch_to_deploy", "reparameterize")


def _folding(kind: type[nn.Module]) -> str | None:
    """The name of the method that folds a module of that class."""
    return next((name for name in _FOLDING if callable(getattr(kind, name, None))), None)


def _fold_below(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        method = _folding(type(child))
        folded = getattr(child, method)() if method is not None else child
        if method == _REPLACING:
            setattr(module, name, folded)
        _fold_below(folded if method == _REPLACING else child)


# What initialises a tensor in place: on the meta device torch takes some of it apart in Python.
_INITIALISING = ("normal_", "uniform_", "erfinv_", "clamp_", "mul_", "add_", "fill_", "zero_")


@contextmanager
def without_initialisation() -> Iterator[None]:
    """Make every function of ``torch.nn.init`` return its tensor untouched.

    Layers call them by way of the module, so replacing its attributes reaches all of them.
    Initialisers of other libraries change tensors by methods: those leave tensors on the meta
    device, which have no values, as they are. It is process-wide: only a process that builds
    models for their shapes should do this.
    """
    from torch import Tensor
    from torch.nn import init

    def keep(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        return tensor

    kept = {
        name: value
        for name, value in vars(init).items()
        if name.endswith("_") and not name.startswith("_") and callable(value)
    }
    own = {name: vars(Tensor)[name] for name in _INITIALISING if name in vars(Tensor)}
    try:
        for name in kept:
            setattr(init, name, keep)
        for name in _INITIALISING:
            setattr(Tensor, name, _unless_empty(getattr(Tensor, name)))
        yield
    finally:
        for name, value in kept.items():
            setattr(init, name, value)
        for name in _INITIALISING:
            if name in own:
                setattr(Tensor, name, own[name])
            elif name in vars(Tensor):  # It is a base class's.
                delattr(Tensor, name)


def _unless_empty(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that does nothing to a tensor without values, where it would raise no error."""
    from torch import is_grad_enabled

    def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        numbers = all(isinstance(value, int | float) for value in (*args, *kwargs.values()))
        if not (numbers and tensor.is_meta and tensor.is_floating_point()) or (
            tensor.requires_grad and is_grad_enabled()
        ):
            return method(tensor, *args, **kwargs)
        return tensor

    return call
