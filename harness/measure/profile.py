"""Measuring one variant: build it without values, pass shapes through it, write down the facts.

This is what a worker process runs. It sees a `Recipe` and input geometries; no claim reaches it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import cache, cached_property, partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.builders import builder_of, preprocessing_of, resolved
from harness.measure.cuda import on_device
from harness.measure.derive import derived, lane
from harness.measure.flops import (
    Count,
    Pass,
    counts,
    distinct,
    fvcore_activations,
    fvcore_by_operator,
    macs,
)
from harness.measure.meta import build_on_meta, deployed_form, describe_error, other_forms
from harness.measure.record import ModuleCall, walk
from harness.types import (
    PUT_OUT,
    Fact,
    Measurement,
    Recipe,
    Size,
    Unmeasured,
    slots_of,
    unmeasured,
)

if TYPE_CHECKING:
    from torch import nn

    from harness.measure.trace import Tracer

_COLOURS = 3


class Profiler:
    """Measures variants, and keeps the last one built for further geometries."""

    def __init__(self) -> None:
        self._built: tuple[tuple[object, ...], _BuiltVariant] | None = None

    def measure(
        self,
        recipe: Recipe,
        kinds: Sequence[str],
        sizes: Sequence[Size],
        checkpoint: str | None = None,
        siblings: Sequence[str] = (),
    ) -> list[Fact]:
        """Make the facts of these kinds.

        Args:
            recipe: the variant.
            kinds: ``structure``, ``interface``, ``preprocess`` and ``checkpoint``, made once, and
                ``flops``, ``profile``, ``runs`` and ``fvcore``, made at each size; ``derived`` is
                ``flops`` that may be derived from passes at other sizes.
            sizes: input geometries, (height, width) in pixels.
            checkpoint: the file to match, for ``checkpoint``.
            siblings: other variants of the builder that the file may turn out to hold.

        Returns:
            One fact per kind, and per size where size matters; an `Unmeasured` one where the
            variant can't be built or run.
        """
        # What a library imports and a model is made of stays: it is no garbage to look through.
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._measured(recipe, kinds, sizes, checkpoint, siblings)
        finally:
            if collects:
                gc.enable()

    def _measured(
        self,
        recipe: Recipe,
        kinds: Sequence[str],
        sizes: Sequence[Size],
        checkpoint: str | None,
        siblings: Sequence[str],
    ) -> list[Fact]:
        facts = [_preprocess(recipe)] if "preprocess" in kinds else []
        at = [(k, size) for k in kinds if k != "preprocess" for size in slots_of(k, sizes)]
        if not at:
            return facts
        try:
            built = self._variant(recipe)
        except Exception as error:  # noqa: BLE001 - whatever a builder raises is a finding
            why = f"{recipe.builder} can't build {recipe.name}: {describe_error(error)}"
            return facts + [_not_made(kind, recipe, why, size) for kind, size in at]
        known = _derived(built, [size for kind, size in at if kind == "derived" and size])
        for kind, size in at:
            if kind == "derived" and size in known:
                facts.append(
                    replace(_measurement(kind, recipe, known[size], size), method=_DERIVED)
                )
                continue
            if size is None:
                if kind == "structure":
                    value = built.structure()
                elif kind == "interface":
                    value = _interface(built.model, recipe.modules)
                else:
                    value = built.checkpoint(checkpoint, siblings)
                facts.append(_measurement(kind, recipe, value, None))
                continue
            facts.append(_at_size(built, recipe, kind, size))
        return facts

    def _variant(self, recipe: Recipe) -> _BuiltVariant:
        key = (recipe.builder, recipe.name, recipe.base, recipe.classes)
        if self._built is None or self._built[0] != key:
            self._built = None  # the old model goes before the new one comes
            self._built = (key, _BuiltVariant(recipe))
        return self._built[1]


class _BuiltVariant:
    """A variant on the meta device, with its deployed form, to be measured."""

    def __init__(self, recipe: Recipe) -> None:
        self._builder = builder_of(recipe)
        self._name = recipe.name
        self.model = build_on_meta(self._builder, recipe.name)
        self.passes: dict[Size, ModuleCall] = {}
        self._tracer: Tracer | None = None
        self._deployed_tracer: Tracer | None = None

    @cached_property
    def _deployed(self) -> nn.Module | str | None:
        """The deployed form, why it could not be made, or None where there is no other form."""
        try:
            return deployed_form(self._builder, self._name, self.model)
        except Exception as error:  # noqa: BLE001 - the model itself is built
            return describe_error(error)

    def trace(self, size: Size) -> ModuleCall:
        """The record of one image going through, see `_pass`."""
        from harness.measure.trace import Tracer

        if self._tracer is None:
            self._tracer = Tracer(self.model)
        if size not in self.passes:
            self.passes[size] = _pass(self._tracer, size)
        return self.passes[size]

    def trace_deployed(self, size: Size) -> ModuleCall | None:
        """The same of the deployed form; None where it can't be run or there is no other form."""
        from harness.measure.trace import Tracer

        if self._deployed_tracer is None:
            deployed = self._deployed
            if deployed is None or isinstance(deployed, str):
                return None
            self._deployed_tracer = Tracer(deployed)
        with suppress(Exception):
            return _pass(self._deployed_tracer, size)
        return None

    def structure(self) -> dict[str, Any]:
        """See `harness.measure.structure.structure`; with ``built_as``, the builder's own name,
        ``no_forms``: why other forms could not be made, empty where they could, and ``left_out``:
        what of the model the builder has not built, as the model's attribute of that name says.
        """
        from harness.measure.structure import structure

        forms, failure = {}, ""
        try:
            forms = other_forms(self._builder, self._name, self.model)
        except Exception as error:  # noqa: BLE001 - the model itself is built
            failure = describe_error(error)
        if isinstance(self._deployed, str):
            failure = self._deployed
        elif self._deployed is not None:
            forms = {"deployed": self._deployed, **forms}
        value = structure(self.model, forms)
        left_out = str(getattr(self.model, "left_out", ""))
        built_as = resolved(self._builder, self._name)
        return {**value, "built_as": built_as, "no_forms": failure, "left_out": left_out}

    def checkpoint(self, path: str | None, siblings: Sequence[str]) -> dict[str, Any]:
        """See `harness.measure.checkpoint.inspect`."""
        from harness.measure.checkpoint import inspect

        assert path is not None
        others = [
            (name, partial(build_on_meta, self._builder, name))
            for name in siblings
            if name != self._name and self._builder.knows(name)
        ]
        return inspect(self.model, Path(path), others)


# From so many inputs on, the counts at most of them are derived from passes at the others.
_MANY = 8
_DERIVED = (
    "derived from passes at other inputs on the meta device, in which shapes alone differ, in "
    "evaluation mode, batch 1"
)


def _derived(built: _BuiltVariant, sizes: Sequence[Size]) -> dict[Size, dict[str, Any]]:
    """The counts at those of many inputs that can be derived from passes at a few."""
    if len(sizes) < _MANY:
        return {}
    by_area = sorted(sizes, key=prod)
    odd = next((size for size in by_area if size[0] % 2 and size[1] % 2), by_area[1])
    wide = next((size for size in by_area if size[0] != size[1]), by_area[2])
    taken = dict.fromkeys((*list(built.passes)[:2], odd, by_area[-1], wide, by_area[0]))
    rest = [size for size in sizes if size not in taken]
    try:
        passes = {size: built.trace(size) for size in taken}
        deployed = {size: built.trace_deployed(size) for size in taken}
        folded = {size: record for size, record in deployed.items() if record is not None}
        if len(folded) not in (0, len(taken)):
            return {}
        value = _flops(derived(passes, rest), derived(folded, rest) if folded else None)
        found = {size: lane(value, number) for number, size in enumerate(rest)}
    except Exception:  # noqa: BLE001 - the passes at each input say what is
        return {}
    for each in found.values():
        each["counts"] = _dumped(distinct(Count(**count) for count in each["counts"]))
    return found


def _at_size(built: _BuiltVariant, recipe: Recipe, kind: str, size: Size) -> Fact:
    """A fact of one pass, whose record is kept for others at that size."""
    try:
        record = built.trace(size)
        if kind == "fvcore":
            return _fvcore(recipe, built.model, record, size)
        if kind in ("flops", "derived"):
            value = _flops(record, built.trace_deployed(size))
        else:
            value = _runs(record) if kind == "runs" else _profile(record, built.model)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is a finding
        why = f"{recipe.name} can't run at {size[0]}x{size[1]}: {describe_error(error)}"
        if kind != "runs":
            return _not_made(kind, recipe, why, size)
        value = {"outputs": [], "features": None, "refused": why}  # what was to be known
    return _measurement(kind, recipe, value, size)


def _pass(tracer: Tracer, size: Size) -> ModuleCall:
    """The record of one image going through.

    Its channels are those that the first convolution takes, or the usual three: a stem may turn
    the pixels of a tile into channels before there is any convolution.

    Raises:
        Exception: whatever the model raises.
    """
    import torch

    first = _first_channels(tracer.model)
    if first != _COLOURS:
        with suppress(Exception), on_device():
            return tracer.trace([torch.empty(1, first, *size, device="meta")])
    with on_device():
        return tracer.trace([torch.empty(1, _COLOURS, *size, device="meta")])


def _first_channels(model: nn.Module) -> int:
    """The channels that the first convolution takes; 3 where there is none."""
    from torch import nn

    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return _COLOURS if first is None else first.in_channels


def _preprocess(recipe: Recipe) -> Fact:
    """.

    Its value: ``chosen`` (how the weights were identified, None where the library states nothing),
    ``settings``, ``others`` and ``owners``, see `harness.measure.builders.StatedPreprocessing`.
    """
    try:
        with on_device():
            known = preprocessing_of(builder_of(recipe), recipe.name, recipe.weights)
    except Exception as error:  # noqa: BLE001 - whatever a builder raises is a finding
        why = f"{recipe.builder} can't say how to prepare images: {describe_error(error)}"
        return _not_made("preprocess", recipe, why)
    value: dict[str, Any] = (
        {"chosen": None, "settings": [], "others": [], "owners": []}
        if known is None
        else asdict(known)
    )
    fact = _measurement("preprocess", recipe, value, None)
    return replace(fact, method="as the builder's library states it", device="none")


def _flops(whole: ModuleCall, folded: ModuleCall | None) -> dict[str, Any]:
    """``counts``: every figure of `harness.measure.flops`; ``activations``: elements that
    convolutions and linear layers put out, as the RegNet paper (arXiv 2003.13678) counts them;
    ``put_out``: other counts of these, by their rule; ``by_operator``: the count of ``fvcore``,
    taken apart.
    """
    record, deployed = Pass(whole), folded and Pass(folded)
    put_out = fvcore_activations(record)
    of_deployed = (None, None) if deployed is None else fvcore_activations(deployed)
    return {
        "counts": _dumped(counts(record, deployed)),
        "activations": _activations(record),
        "put_out": dict(zip(PUT_OUT, (*put_out, *of_deployed), strict=True)),
        "by_operator": {name: n for name, n in fvcore_by_operator(record).items() if n},
    }


def _fvcore(recipe: Recipe, model: nn.Module, record: ModuleCall, size: Size) -> Fact:
    """``by_operator``: what fvcore itself counts when the model is run on the CPU."""
    from importlib.metadata import version

    from harness.measure.cross_check import TooLargeError, fvcore_operators, refuse_too_large

    try:
        refuse_too_large(sum(p.numel() for p in model.parameters()), macs((record,)))
        with on_device():
            counted = fvcore_operators(builder_of(recipe), recipe.name, record.inputs)
    except TooLargeError as error:
        return unmeasured(recipe, ("fvcore", size), "flops.cross-check", str(error))
    except Exception as error:  # noqa: BLE001 - whatever a model raises is a finding
        why = f"{recipe.name} can't be run by fvcore: {describe_error(error)}"
        return unmeasured(recipe, ("fvcore", size), "flops.cross-check", why)
    fact = _measurement("fvcore", recipe, {"by_operator": counted}, size)
    versions = {**fact.versions, "fvcore": version("fvcore")}
    method = "traced on the CPU by fvcore, in evaluation mode, batch 1"
    return replace(fact, method=method, versions=versions, device="cpu")


def _interface(model: nn.Module, paths: Sequence[str]) -> dict[str, Any]:
    """``parameters``: how many; ``modules``: path -> the class, and the shape of the weight, None
    where the model has no such module.
    """
    known = dict(model.named_modules())
    modules: dict[str, Any] = {}
    for path in paths:
        module = known.get(path)
        weight: Any = getattr(module, "weight", None)
        shape = list(weight.shape) if hasattr(weight, "shape") else None
        modules[path] = module and {"class": type(module).__name__, "weight": shape}
    return {"parameters": sum(p.numel() for p in model.parameters()), "modules": modules}


def _runs(record: ModuleCall) -> dict[str, Any]:
    """``outputs``: the shapes that come out; ``features``: that of the maps which the last of the
    model's own parts takes and pools over all positions, None where none does; ``refused``: why
    it can't run.
    """
    features = None
    for call in record.calls:
        if isinstance(call, ModuleCall) and call.inputs and call.outputs:
            taken, made = call.inputs[0], call.outputs[0]
            pools = len(made) < 4 or prod(made) in (made[1], made[3])
            if len(taken) == 4 and prod(taken) not in (taken[1], taken[3]) and pools:
                features = list(taken)
    return {
        "outputs": [list(shape) for shape in record.outputs],
        "features": features,
        "refused": "",
    }


def _dumped(found: Iterable[Count]) -> list[dict[str, Any]]:
    """As `dataclasses.asdict`, which copies each value."""
    return [{name: getattr(count, name) for name in Count.__slots__} for count in found]


def _activations(record: Pass) -> int:
    return sum(
        times * prod(call.outputs[0])
        for call, times in record.distinct
        if "weight" in call.parameters
        and len(call.parameters["weight"]) in (2, 4)
        and len(call.outputs) == 1
    )


def _profile(record: ModuleCall, model: nn.Module) -> dict[str, Any]:
    """``modules``: path, class, MACs (children included) and output shape of each module call.

    ``uncalled``: path, class and own parameters of the modules that were never called, as a list
    of blocks isn't that the model goes through itself.
    """
    memo: dict[int, int] = {}
    called = {path for path, _ in walk(record)}
    return {
        "uncalled": [
            {
                "path": path,
                "class": type(module).__name__,
                "parameters": sum(p.numel() for p in module.parameters(recurse=False)),
            }
            for path, module in model.named_modules()
            if path not in called
        ],
        "modules": [
            {
                "path": path,
                "class": call.type.rpartition(".")[2],
                "macs": macs((call,), memo),
                "output": list(call.outputs[0]) if call.outputs else None,
                "parameters": sum(prod(shape) for shape in call.parameters.values()),
            }
            for path, call in walk(record)
        ],
    }


def _not_made(kind: str, recipe: Recipe, why: str, size: Size | None = None) -> Unmeasured:
    return Unmeasured(kind, recipe.name, recipe.builder, "build.failed", why, size)


def _measurement(
    kind: str, recipe: Recipe, value: dict[str, Any], size: Size | None
) -> Measurement:
    return Measurement(
        kind=kind,
        name=recipe.name,
        builder=recipe.builder,
        value=value,
        image_size=size,
        method="built and run on the meta device, in evaluation mode, batch 1",
        versions={"torch": _version_of_torch()},
        device="meta",
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


@cache
def _version_of_torch() -> str:
    from importlib.metadata import version

    return version("torch")
