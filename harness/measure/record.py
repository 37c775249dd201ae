"""What one forward pass of a model did: module calls and the operators under them, by shape.

The record is a tree. A `ModuleCall` holds, in order, what ran inside the module's ``__call__``:
further module calls and `Op` nodes. It is made without arithmetic (see `harness.measure.trace`),
and every figure that a FLOP counter would print is a pure function of it (see
`harness.measure.flops`). Nodes are immutable and may be shared: a repeated block is one
object that stands in several places, so a fold over the record should remember its results by
node identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One operator call as the dispatcher sees it before autograd, e.g. ``aten.conv2d``.

    Attributes:
        name: namespace and operator without its overload; or the full name of a function of torch
            that was called by it, see `harness.measure.functional_hooks`.
        inputs: the shape of each tensor argument in the order of the schema; None for an optional
            tensor that was not given. A list of tensors (``einsum``, ``cat``) is flattened.
        outputs: the shape of each tensor that came out.
        attributes: the non-tensor arguments that some convention needs, by schema name.
        parts: the operators that a composite operator is made of, where it was opened.
    """

    name: str
    inputs: tuple[Shape | None, ...]
    outputs: tuple[Shape, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    parts: tuple[Op, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ModuleCall:
    """One call of a module.

    Attributes:
        name: its path relative to the calling module (``conv1``, ``layer1.0``); the model itself
            is the empty string. A module called from outside its own parent carries its absolute
            path with a leading dot.
        type: the qualified name of its exact class.
        bases: the qualified names of its ``torch.nn`` base classes, nearest first, without
            ``torch.nn.Module``: what a counter sees that tests with ``isinstance``.
        inputs, outputs: shapes of the tensors that went in and came out.
        parameters: shapes of the module's own parameters by name (children excluded).
        calls: what ran inside, in order.
        held: by how many ways down the tree of modules it is reached: a counter that goes through
            the children of children meets a module once for each that holds it.
        leaf: it has no child modules, or empty containers alone.
        settings: what it holds of the attributes that some convention needs.
    """

    name: str
    type: str
    bases: tuple[str, ...]
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    parameters: Mapping[str, Shape]
    calls: tuple[ModuleCall | Op, ...]
    held: int = 1
    leaf: bool = True
    settings: Mapping[str, object] = field(default_factory=dict)


def join(parent: str, name: str) -> str:
    """The absolute path of a module that was called as ``name`` from ``parent``."""
    if name.startswith("."):
        return name[1:]
    return f"{parent}.{name}" if parent and name else parent or name


def walk(call: ModuleCall, path: str = "") -> Iterator[tuple[str, ModuleCall]]:
    """Every module call with its absolute path, callers before what they call."""
    waiting = [(path, call)]
    while waiting:
        path, call = waiting.pop()
        yield path, call
        inner = [each for each in call.calls if isinstance(each, ModuleCall)]
        waiting += [(join(path, each.name), each) for each in reversed(inner)]


def classifier_path(record: ModuleCall, calls: Iterable[tuple[str, ModuleCall]] = ()) -> str | None:
    """The path of the module that makes the model's logits, None where there is none.

    It is the last Linear, or convolution of kernel size 1, whose output has as many elements as
    the model's output: what a counter leaves out that looks at the features only.
    """
    if len(record.outputs) != 1:
        return None
    logits = _elements(record.outputs[0])
    found = None
    for path, call in calls or walk(record):
        weight = call.parameters.get("weight")
        if weight is None or len(weight) not in (2, 4) or any(n != 1 for n in weight[2:]):
            continue
        if len(call.outputs) == 1 and _elements(call.outputs[0]) == logits:
            found = path
    return found


def _elements(shape: Shape) -> int:
    count = 1
    for n in shape:
        count *= n
    return count
