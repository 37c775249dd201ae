"""Measuring one variant: build it without values, pass shapes through it, write down the facts.

This is what a worker process runs. It sees a `Recipe` and input geometries; no claim reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.build import build_on_meta, describe_error
from harness.measure.builders import Builder, builder_of, preprocessing_of, resolved
from harness.measure.conventions import counts, macs
from harness.measure.record import ModuleCall, walk
from harness.types import Fact, Measurement, Recipe, Size, Unmeasured, slots_of

if TYPE_CHECKING:
    from torch import nn

# Where neither an index nor the builder says otherwise.
USUAL_SIZE: Size = (224, 224)

_COLOURS = 3


class Profiler:
    """Measures variants, and keeps the last one built for further geometries."""

    def __init__(self) -> None:
        self._built: tuple[tuple[object, ...], nn.Module] | None = None
        self._folded: tuple[nn.Module, nn.Module | None] | None = None

    def measure(
        self,
        recipe: Recipe,
        kinds: Sequence[str],
        sizes: Sequence[Size],
        checkpoint: str | None = None,
        siblings: Sequence[str] = (),
    ) -> list[Fact]:
        """Makes the facts of these kinds.

        Args:
            recipe: the variant.
            kinds: ``structure``, ``preprocess`` and ``checkpoint``, made once, and ``flops`` and
                ``profile``, made at each size.
            sizes: input geometries, (height, width) in pixels.
            checkpoint: the file to match, for ``checkpoint``.
            siblings: other variants of the builder that the file may turn out to hold.

        Returns:
            One fact per kind, and per size where size matters; an `Unmeasured` one where the
            variant can't be built or run.
        """
        at = [(kind, size) for kind in kinds for size in slots_of(kind, sizes)]
        if "preprocess" in kinds:
            others = [kind for kind in kinds if kind != "preprocess"]
            facts = [_preprocess(recipe)]
            if others:
                facts += self.measure(recipe, others, sizes, checkpoint, siblings)
            return facts
        try:
            builder = builder_of(recipe)
            model = self._model(builder, recipe)
        except Exception as error:  # noqa: BLE001 - whatever a builder raises is a finding
            cause = "build.failed"
            why = f"{recipe.builder} can't build {recipe.name}: {describe_error(error)}"
            return [
                Unmeasured(kind, recipe.name, recipe.builder, cause, why, size) for kind, size in at
            ]
        facts = []
        records: dict[Size, ModuleCall] = {}
        for kind, size in at:
            if size is None:
                if kind == "structure":
                    value = _structure(model, builder, recipe.name)
                else:
                    value = self._checkpoint(model, recipe, builder, checkpoint, siblings)
                facts.append(_measurement(kind, recipe, value, None))
                continue
            try:
                if size not in records:
                    records[size] = _pass(model, size)
                record = records[size]
                if kind == "flops":
                    value = _flops(record, self._deployed(model, builder, recipe, size))
                else:
                    value = _profile(record, model)
            except Exception as error:  # noqa: BLE001 - whatever a model raises is a finding
                why = f"{recipe.name} can't run at {size[0]}x{size[1]}: {describe_error(error)}"
                facts.append(
                    Unmeasured(kind, recipe.name, recipe.builder, "build.failed", why, size)
                )
                continue
            facts.append(_measurement(kind, recipe, value, size))
        return facts

    def _checkpoint(
        self,
        model: nn.Module,
        recipe: Recipe,
        builder: Builder,
        path: str | None,
        siblings: Sequence[str],
    ) -> dict[str, Any]:
        from harness.measure.checkpoint import inspect

        assert path is not None
        others = [
            (name, partial(build_on_meta, builder, name))
            for name in siblings
            if name != recipe.name and builder.knows(name)
        ]
        return inspect(model, Path(path), others)

    def _deployed(
        self, model: nn.Module, builder: Builder, recipe: Recipe, size: Size
    ) -> ModuleCall | None:
        """The pass of the model's deployed form; None where it has no other, or none is known."""
        from harness.measure.build import build_on_meta
        from harness.measure.deployed import fold, is_foldable

        if self._folded is None or self._folded[0] is not model:
            folded = None
            if is_foldable(model):
                # Anew: a model that was traced is good for nothing else.
                with suppress(Exception):
                    folded = build_on_meta(builder, recipe.name)
                    fold(folded)
            self._folded = (model, folded)
        if self._folded[1] is not None:
            with suppress(Exception):
                return _pass(self._folded[1], size)
        return None

    def _model(self, builder: Builder, recipe: Recipe) -> nn.Module:
        key = (recipe.builder, recipe.name, recipe.base, recipe.classes)
        if self._built is None or self._built[0] != key:
            self._built = self._folded = None  # the old model goes before the new one comes
            self._built = (key, build_on_meta(builder, recipe.name))
        return self._built[1]


def _pass(model: nn.Module, size: Size) -> ModuleCall:
    """The record of one picture going through.

    Its channels are those that the first convolution takes, or the usual three: a stem may turn
    the pixels of a tile into channels before there is any convolution.

    Raises:
        Exception: whatever the model raises.
    """
    import torch

    from harness.measure.trace import trace

    first = _first_channels(model)
    if first != _COLOURS:
        with suppress(Exception):
            return trace(model, [torch.empty(1, first, *size, device="meta")])
    return trace(model, [torch.empty(1, _COLOURS, *size, device="meta")])


def _first_channels(model: nn.Module) -> int:
    """The channels that the first convolution takes; 3 where there is none."""
    from torch import nn

    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return _COLOURS if first is None else first.in_channels


def _structure(model: nn.Module, builder: Builder, name: str) -> dict[str, Any]:
    """Those of `harness.measure.structure.structure`, with ``built_as``: the builder's own name,
    and ``no_forms``: why its other forms could not be made, empty where they could.
    """
    from harness.measure.build import other_forms
    from harness.measure.structure import structure

    forms, failure = {}, ""
    try:
        forms = dict(other_forms(builder, name, model))
    except Exception as error:  # noqa: BLE001 - whatever a builder raises, the model itself is built
        failure = describe_error(error)
    value = structure(model, forms)
    return {**value, "built_as": resolved(builder, name), "no_forms": failure}


def _preprocess(recipe: Recipe) -> Fact:
    """What the builder's library knows by itself of preparing pictures, no model being built.

    Its value: ``chosen`` (how the weights were told, None where the library knows nothing),
    ``settings`` and ``others``, see `harness.measure.builders.Preprocessing`.
    """
    try:
        known = preprocessing_of(builder_of(recipe), recipe.name, recipe.weights)
    except Exception as error:  # noqa: BLE001 - whatever a builder raises is a finding
        why = f"{recipe.builder} can't say how to prepare pictures: {describe_error(error)}"
        return Unmeasured("preprocess", recipe.name, recipe.builder, "build.failed", why)
    value: dict[str, Any] = (
        {"chosen": None, "settings": [], "others": []} if known is None else asdict(known)
    )
    fact = _measurement("preprocess", recipe, value, None)
    return replace(fact, method="as the builder's library states it", device="none")


def _flops(record: ModuleCall, deployed: ModuleCall | None) -> dict[str, Any]:
    """``counts``: every figure of `harness.measure.conventions`; ``activations``: elements that
    convolutions and linear layers put out, as the RegNet paper (arXiv 2003.13678) counts them.
    """
    return {
        "counts": [asdict(c) for c in counts(record, deployed)],
        "activations": _activations(record),
    }


def _activations(record: ModuleCall) -> int:
    return sum(
        prod(call.outputs[0])
        for _, call in walk(record)
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


def _measurement(
    kind: str, recipe: Recipe, value: dict[str, Any], size: Size | None
) -> Measurement:
    from importlib.metadata import version

    return Measurement(
        kind=kind,
        name=recipe.name,
        builder=recipe.builder,
        value=value,
        image_size=size,
        method="built and run on the meta device, in evaluation mode, batch 1",
        versions={"torch": version("torch")},
        device="meta",
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
