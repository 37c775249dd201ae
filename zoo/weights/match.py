"""A checkpoint's tensors against those of a model: what is missing, extra, or of another shape.

Nothing here reads a file or imports torch: the left side comes from
`zoo.weights.checkpoint.read_checkpoint`, the right side from `specs_of` a model on the meta device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoo._util.text import plural
from zoo.weights.checkpoint.types import CheckpointInfo, TensorInfo
from zoo.weights.summary import list_groups, summarise

if TYPE_CHECKING:
    from torch import nn

Misfit = Literal["classes", "classifier", "extra", "names", "types", "other"]

_HALF = frozenset({"float16", "bfloat16"})
# Types that torch converts into each other when it loads a state dict, number for number. Quantized
# ones need their scales, and float4 holds two numbers in an element.
_FLOATS = _HALF | {"float32", "float64"}
_FLOATS |= {"float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"}
_INTEGERS = frozenset({"int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"})
_AUXILIARY = ("aux", "auxlogits", "aux1", "aux2", "aux_logits", "aux_classifier", "aux_head")
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a model expects of one tensor; ``dtype`` is torch's name without ``torch.``."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """A tensor of another shape or element type than the model's, both in words."""

    name: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.found} instead of {self.expected}"


@dataclass(frozen=True, slots=True)
class Match:
    """How a checkpoint's tensors fit a model.

    Attributes:
        matched: tensors of the same name and shape.
        missing: names that the model has and the file lacks.
        extra: names that the file has and the model lacks, without those in ``auxiliary``.
        auxiliary: extra names of an auxiliary head, which a model drops after training.
        reshaped: of another shape.
        retyped: of another kind of type, such as integers for floating-point numbers.
        recast: of another type of the same kind, such as float64 for float32, which loading
            converts.
        uncounted: absent ``num_batches_tracked``, which checkpoints before torch 0.4.1 lack.
        prefix: what was taken off every name of the file so that they fit, ``""`` for nothing.
        half: ``float16`` or ``bfloat16`` where all floating tensors of the file are that, and
            the model's are not.
        renamed: the missing and the extra tensors have the same shapes and types, each as often:
            the model's under other names.
        headless: what is missing is the model's last layer, its classifier, and nothing else
            differs.
        other_classes: (the model's classes, the file's) where only the classifier's first
            dimension differs: a model fine-tuned on another data set.
    """

    matched: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    reshaped: tuple[TensorDifference, ...] = ()
    retyped: tuple[TensorDifference, ...] = ()
    uncounted: tuple[str, ...] = ()
    prefix: str = ""
    recast: tuple[TensorDifference, ...] = ()
    half: str | None = None
    renamed: bool = False
    headless: bool = False
    other_classes: tuple[int, int] | None = None

    @property
    def fits(self) -> bool:
        """Whether the model can load the file and be the model that was trained."""
        return not (self.missing or self.extra or self.reshaped or self.retyped)

    @property
    def misfit(self) -> Misfit | None:
        """What kind of difference keeps the file from fitting: each has its own remedy."""
        if self.fits:
            return None
        differing = [self.missing, self.extra, self.reshaped, self.retyped]
        kinds: tuple[tuple[Misfit, bool], ...] = (
            ("classes", self.other_classes is not None),
            ("classifier", self.headless),
            ("names", self.renamed),
            ("extra", differing == [(), self.extra, (), ()]),
            ("types", differing == [(), (), (), self.retyped]),
        )
        return next((kind for kind, holds in kinds if holds), "other")

    @property
    def partly_half(self) -> str | None:
        """The half-precision type of some of the weights, where others are not."""
        types = (r.found for r in self._uneven() if r.found in _HALF)
        return next(types, None)

    def lines(self, limit: int = 12) -> list[str]:
        """What differs: a line for each kind, with at most ``limit`` groups of names in it."""
        if self.other_classes is not None:
            mine, theirs = self.other_classes
            return [f"the file's classifier has {theirs} classes, the model's {mine}"]
        kinds = {
            "missing": dict.fromkeys(self.missing, ""),
            "extra": dict.fromkeys(self.extra, ""),
            "of another shape": {each.name: str(each) for each in self.reshaped},
            "of another type": {each.name: str(each) for each in self.retyped},
        }
        return [
            f"{len(names)} {kind}: {', '.join(list_groups(names, limit))}"
            for kind, names in kinds.items()
            if names
        ]

    def notes(self) -> list[str]:
        """What is unusual about a file without being wrong with it."""
        out: list[str] = []
        if self.prefix:
            out.append(f"every name in the file begins with {self.prefix!r}")
        if self.half is not None:
            out.append(f"the weights are at half precision ({self.half})")
        casts = Counter((r.found, r.expected) for r in self._uneven())
        for (found, expected), count in casts.items():
            are = "tensor of the file is" if count == 1 else "tensors of the file are"
            out.append(f"{count} {are} {found}, where the model has {expected}")
        if self.auxiliary:
            out.append(f"the file has an auxiliary head: {', '.join(summarise(self.auxiliary, 3))}")
        if self.uncounted:
            tensors = plural(len(self.uncounted), "tensor")
            out.append(f"the file lacks {_COUNTER} ({tensors}), as old ones do")
        return out

    def sentence(self) -> str:
        """The match in one sentence."""
        if self.fits:
            return "the one tensor fits" if self.matched == 1 else f"all {self.matched} tensors fit"
        if self.other_classes is not None:
            return self.lines()[0]
        fitting = "1 tensor fits" if self.matched == 1 else f"{self.matched} tensors fit"
        return "; ".join((fitting, *self.lines(3)))

    def _uneven(self) -> list[TensorDifference]:
        """The tensors of another type but for what ``half`` says of all of them."""
        return [r for r in self.recast if r.found != self.half]


def specs_of(module: nn.Module) -> dict[str, TensorSpec]:
    """What a model's state dict holds; a model on the meta device is enough."""
    return {
        name: TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in module.state_dict().items()
        if hasattr(tensor, "shape")
    }


def match(tensors: Iterable[TensorInfo], expected: Mapping[str, TensorSpec]) -> Match:
    """Hold a file's tensors against a model's.

    A prefix that every name of the file has is taken off where more names fit without it.
    """
    found = {t.name: t for t in tensors}
    prefix = _best_prefix(found, expected)
    found = {name[len(prefix) :]: t for name, t in found.items()}
    common = [name for name in expected if name in found]
    absent = [name for name in expected if name not in found]
    surplus = [name for name in found if name not in expected]
    half = _half(found.values(), expected.values())
    bent = [name for name in common if expected[name].shape != found[name].shape]
    reshaped = tuple(
        TensorDifference(name, _size(expected[name].shape), _size(found[name].shape))
        for name in bent
    )
    typed = [
        TensorDifference(name, expected[name].dtype, found[name].dtype)
        for name in common
        if expected[name].dtype != found[name].dtype
    ]
    retyped = tuple(r for r in typed if _kind(r.expected) != _kind(r.found))
    missing = tuple(n for n in absent if not _is_counter(n))
    extra = tuple(n for n in surplus if not _is_auxiliary(n) and not _is_counter(n))
    other_classes = None
    if bent and not (missing or extra or retyped):
        other_classes = _other_classes(
            {n: (expected[n].shape, found[n].shape) for n in bent}, list(expected)
        )
    in_place = not (reshaped or retyped)
    return Match(
        matched=len(common) - len(reshaped),
        missing=missing,
        extra=extra,
        auxiliary=tuple(n for n in surplus if _is_auxiliary(n)),
        reshaped=reshaped,
        retyped=retyped,
        uncounted=tuple(n for n in absent if _is_counter(n)),
        prefix=prefix,
        recast=tuple(r for r in typed if _kind(r.expected) == _kind(r.found)),
        half=half,
        renamed=in_place
        and bool(missing)
        and Counter((expected[n].shape, _kind(expected[n].dtype)) for n in missing)
        == Counter((found[n].shape, _kind(found[n].dtype)) for n in extra),
        headless=in_place and not extra and _is_classifier(missing, list(expected)),
        other_classes=other_classes,
    )


def recognise(
    tensors: Iterable[TensorInfo], known: Mapping[str, Mapping[str, TensorSpec]]
) -> tuple[str, ...]:
    """The known variants whose names, shapes and kinds of types the file has; several may.

    Args:
        tensors: of the file.
        known: variant -> its model's tensors.
    """
    found = {t.name: t for t in tensors}
    names = {n for n in found if not _is_counter(n)}
    fitting: list[str] = []
    for variant, expected in known.items():
        wanted = {n for n in expected if not _is_counter(n)}
        surplus = len(names) - len(wanted)
        if surplus < 0 or not wanted:
            continue
        prefix = _best_prefix(found, expected)
        here = {n[len(prefix) :] for n in names}
        named = wanted <= here and all(_is_auxiliary(n) for n in here - wanted)
        if named and all(_is_like(found[prefix + n], expected[n]) for n in wanted):
            fitting.append(variant)
    return tuple(fitting)


def explain_size(contents: CheckpointInfo, result: Match | None = None) -> list[str]:
    """Why a file is larger or smaller than the model: one clause for each reason, with bytes."""
    out: list[str] = []
    names = {
        "optimizer": "an optimizer's state",
        "ema": "a second copy of the weights, their moving average (EMA)",
        "tensors": "other tensors",
        "records": "records that no tensor uses",
    }
    for kind, said in names.items():
        of_kind = [e for e in contents.extras if e.kind == kind and e.nbytes]
        if of_kind:
            total = sum(e.nbytes for e in of_kind)
            keys = ", ".join(e.name for e in of_kind[:3]) + (", ..." if len(of_kind) > 3 else "")
            out.append(f"{said} ({keys}: {total:,} bytes)")
    if result is None:
        return out
    if result.auxiliary:
        wanted = set(result.auxiliary)
        total = sum(
            t.nbytes for t in contents.tensors if t.name.removeprefix(result.prefix) in wanted
        )
        groups = ", ".join(summarise(result.auxiliary, 3))
        out.append(f"an auxiliary head ({groups}: {total:,} bytes)")
    if result.half is not None:
        out.append(f"half precision ({result.half}: 2 bytes per parameter)")
    cast = {r.name: r.found for r in result._uneven()}
    sizes: Counter[str] = Counter()
    for t in contents.tensors:
        if t.name.removeprefix(result.prefix) in cast:
            sizes[t.dtype] += t.nbytes
    for dtype, total in sizes.items():
        count = sum(found == dtype for found in cast.values())
        what = "half precision for part of the weights" if dtype in _HALF else "another type"
        out.append(f"{what} ({dtype}: {count} of {result.matched} tensors, {total:,} bytes)")
    return out


def _best_prefix(names: Iterable[str], expected: Mapping[str, TensorSpec]) -> str:
    """The common opening, up to a dot, without which most names fit."""
    found = list(names)
    if not found:
        return ""
    first, last = min(found), max(found)
    shared = 0
    while shared < min(len(first), len(last), 200) and first[shared] == last[shared]:
        shared += 1
    parts = first[:shared].split(".")[:-1]
    best, most = "", sum(n in expected for n in found)
    for depth in range(1, len(parts) + 1):
        prefix = ".".join(parts[:depth]) + "."
        fitting = sum(n[len(prefix) :] in expected for n in found)
        if fitting > most:
            best, most = prefix, fitting
    return best


def _is_counter(name: str) -> bool:
    return name == _COUNTER or name.endswith("." + _COUNTER)


def _is_auxiliary(name: str) -> bool:
    return any(part.lower() in _AUXILIARY for part in name.split("."))


def _kind(dtype: str) -> str:
    """What a type is converted within; a type of no such kind is its own."""
    if dtype in _FLOATS:
        return "floating"
    return "integer" if dtype in _INTEGERS else dtype


def _is_like(found: TensorInfo, expected: TensorSpec) -> bool:
    return found.shape == expected.shape and _kind(found.dtype) == _kind(expected.dtype)


def _half(found: Iterable[TensorInfo], expected: Iterable[TensorSpec]) -> str | None:
    types = {t.dtype for t in found if t.dtype in _FLOATS}
    wanted = {s.dtype for s in expected if s.dtype in _FLOATS}
    if len(types) == 1 and types <= _HALF and not types & wanted:
        return next(iter(types))
    return None


def _is_classifier(missing: Sequence[str], names: Sequence[str]) -> bool:
    """Whether these are all tensors of the model's last layer, and no more."""
    if not missing:
        return False
    layer = names[-1].rpartition(".")[0]
    return bool(layer) and set(missing) == {n for n in names if n.rpartition(".")[0] == layer}


def _other_classes(
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], names: Sequence[str]
) -> tuple[int, int] | None:
    """(expected, found) where just the last layer's tensors differ, in their first dimension."""
    if {name.rpartition(".")[0] for name in shapes} != {names[-1].rpartition(".")[0]}:
        return None
    counts = {(mine[:1], theirs[:1]) for mine, theirs in shapes.values()}
    if len(counts) != 1 or any(mine[1:] != theirs[1:] for mine, theirs in shapes.values()):
        return None
    ((mine, theirs),) = counts
    return (mine[0], theirs[0]) if mine and theirs else None


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) if shape else "a scalar"
