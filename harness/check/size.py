"""File Size against the file itself, or, without it, what a checkpoint of the model can weigh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_measured,
    not_read,
    replaced,
)
from harness.check.compare import agrees, byte_unit, digits, grouped, number, senses, written
from harness.check.numbers import STRUCTURE
from harness.types import Finding
from zoo.index.types import Claim, Severity
from zoo.index.units import BYTE_UNITS, NotANumber, OutOfRange, parse_number

# A checkpoint spends this many bytes per tensor on names, headers and alignment.
OVERHEAD = (40, 400)
# Names and headers of an unusual length take so much at most; a number of values takes more.
_LITTLE_MORE = 0.02
# Units that are taken for another one, the usual ones first.
_UNITS = ("MB", "MiB", "kB", "KiB", "GB", "GiB", "B")


@dataclass(frozen=True, slots=True)
class Window:
    """The sizes, in bytes, that a checkpoint with this many bytes per value can have."""

    low: int
    high: int


def window(state: Mapping[str, int], bytes_per_value: int) -> Window:
    """What a state dict weighs: its values, its integer buffers, and the overhead per tensor.

    Files in half precision often keep norms and biases in float32, and torch writes the path of
    each module beside its version: the largest size has room for both.

    Args:
        state: as `harness.measure.structure.state_layout` gives it.
        bytes_per_value: 4 for float32, 2 for half precision.
    """
    low, high = OVERHEAD
    body = bytes_per_value * state["float_elements"] + state["other_bytes"]
    kept = (4 - bytes_per_value) * state["vector_elements"]
    return Window(
        body + low * state["tensors"], body + kept + high * state["tensors"] + state["path_bytes"]
    )


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """Whether a checkpoint of this model, in float32 or half precision, can have that size."""
    variant, check = evidence.variant, "file-size"
    for claim in variant.claims_of("File Size"):
        documented = number(claim)
        if documented is None:
            yield not_read(claim, variant, check)
            continue
        file = evidence.measurement("file")
        if file is not None and file.value["size"] is not None:
            yield _against_the_file(evidence, claim, int(file.value["size"]))
            continue
        fact = evidence.measurement("structure")
        if fact is None:
            yield not_measured(evidence, claim, check, "structure")
            continue
        yield _against_the_model(evidence, claim, fact.value)


def _against_the_model(evidence: Evidence, claim: Claim, structure: Mapping[str, Any]) -> Finding:
    """Whether a checkpoint of the built model can have the size, in either sense of its unit."""
    variant, check = evidence.variant, "file-size"
    documented = number(claim)
    assert documented is not None
    full, half = window(structure["state"], 4), window(structure["state"], 2)
    trained, words = _with_auxiliary(structure, full), "a float32 checkpoint of this model"
    if trained and any(_fits(sense, trained) for sense in senses(claim)):
        full, words = trained, f"{words} with its auxiliary classifiers"
    read, *binary = senses(claim)
    if _fits(read, full):
        message = (
            f"{words} takes {grouped(full.low)} to "
            f"{grouped(full.high)} bytes, and this is one of those sizes"
        )
        return matched(claim, variant, check, None, message)
    if any(_fits(sense, full) for sense in binary):
        message = (
            f"{words} takes {grouped(full.low)} to {grouped(full.high)} bytes: {_in_binary(claim)}"
        )
        return mismatched(claim, variant, check, "size.binary-unit", None, message)
    if any(_fits(sense, half) for sense in (read, *binary)):
        message = (
            f"a half-precision checkpoint of this model takes {grouped(half.low)} to "
            f"{grouped(half.high)} bytes; say in the index that the weights are in half "
            f"precision{'' if _fits(read, half) else f'; {_in_binary(claim)}'}"
        )
        return mismatched(claim, variant, check, "size.half-precision", None, message)
    headless = _without_head(structure)
    if headless and any(_fits(sense, headless) for sense in (read, *binary)):
        message = (
            f"a float32 checkpoint of this model without its last part, "
            f"{structure['head']['name']}, takes {grouped(headless.low)} to "
            f"{grouped(headless.high)} bytes, and with it at least {grouped(full.low)}: the "
            "file can't hold the classifier; write the size of this variant's own file"
        )
        return mismatched(claim, variant, check, "size.impossible", None, message)
    severity: Severity | None = None
    more = int(documented) - full.high
    if other := _in_another_unit(claim, full):
        message = (
            f"a float32 checkpoint of this model takes {grouped(full.low)} to {grouped(full.high)} "
            f"bytes: the number is right in {other.rpartition(' ')[2]}; write {other}"
        )
    elif documented < full.low:
        each = documented / max(1, structure["parameters"])
        message = (
            f"{grouped(documented)} bytes are {each:.2f} for each of the "
            f"{grouped(structure['parameters'])} parameters: a float32 checkpoint of this "
            f"model takes at least {grouped(full.low)} and a half-precision one at most "
            f"{grouped(half.high)}; write the size of this variant's own file"
        )
    else:
        message = (
            f"a float32 checkpoint of this model takes at most {grouped(full.high)} bytes; "
            f"the file holds some {grouped(more // 4)} values more than the model needs, or the "
            "size is another file's: open the file to tell"
        )
        severity = "note" if more < _LITTLE_MORE * full.high else None
    cause = "size.impossible" if documented < full.low else "size.larger"
    return mismatched(claim, variant, check, cause, None, message, severity)


def _fits(claim: Claim, sizes: Window) -> bool:
    """Whether the size is one of these; a rounded one may stand for any that rounds to it."""
    documented, slack = number(claim), (claim.step or 1) - 1
    return documented is not None and (
        documented - slack <= sizes.high and documented + slack >= sizes.low
    )


def _with_auxiliary(structure: Mapping[str, Any], full: Window) -> Window | None:
    """What a checkpoint weighs that has the auxiliary classifiers of the model's other form."""
    form = structure["forms"].get("auxiliary")
    more = 4 * (form["parameters"] - structure["parameters"]) if form else 0
    # Beside the parameters there are the statistics of norms.
    return Window(full.low + more, int(full.high + 1.01 * more)) if more > 0 else None


def _in_another_unit(claim: Claim, sizes: Window) -> str | None:
    """The number with the unit that makes it one of these sizes, where it has digits to tell."""
    try:
        read = parse_number(claim.raw, BYTE_UNITS)
    except (NotANumber, OutOfRange):
        return None
    factor, own = BYTE_UNITS[read.unit or "B"], claim.step or Decimal(1)
    for unit in _UNITS if digits(claim) > 1 else ():
        value, step = (n / factor * BYTE_UNITS[unit] for n in (read.value, own))
        fits = sizes.low <= value + step and value - step <= sizes.high
        if fits and BYTE_UNITS[unit] != factor:
            return f"{read.digits} {unit}"
    return None


def _in_binary(claim: Claim) -> str:
    """What to say where only the other sense of the unit fits."""
    unit = byte_unit(claim)
    plain = claim.raw.strip().removesuffix(unit)
    return (
        f"{claim.raw} is right where {unit} is in powers of 1024; write "
        f"{plain}{unit[0].upper()}iB to say so"
    )


def _without_head(value: Mapping[str, Any]) -> Window | None:
    """What a checkpoint weighs that ends before the model's last part."""
    state, head = value["state"], value["head"]
    if head["tensors"] in (0, state["tensors"]):
        return None
    return window({key: state[key] - head[key] for key in state}, 4)


def _against_the_file(evidence: Evidence, claim: Claim, size: int) -> Finding:
    variant, check = evidence.variant, "file-size"
    opened = evidence.measurement("checkpoint")
    reasons = list(opened.value.get("reasons", ())) if opened is not None else []
    # The reasons have parentheses of their own.
    why = f": {'; '.join(reasons)}" if reasons else ""
    read, *binary = senses(claim)
    in_binary = not agrees(read, size) and any(agrees(sense, size) for sense in binary)
    if not agrees(read, size) and not in_binary:
        message = (
            f"the file behind Weights has {grouped(size)} bytes{why}; write {written(claim, size)}"
        )
        edits = (replaced(claim, size),)
        return mismatched(claim, variant, check, "size.differs", size, message, edits=edits)
    if not reasons and in_binary:
        message = f"the file behind Weights has {grouped(size)} bytes: {_in_binary(claim)}"
        return mismatched(claim, variant, check, "size.binary-unit", size, message)
    if not reasons:
        message = f"the file behind Weights has {grouped(size)} bytes, as documented"
        return matched(claim, variant, check, size, message)
    half = opened is not None and opened.value["half"] is not None
    cause = "size.half-precision" if half else "size.extra-tensors"
    # Half precision may be meant; anything else is what nobody who loads the model needs.
    remedy = "" if half else "; publish its state dict alone, such as the model.pth of zoo train"
    message = (
        f"the file has {grouped(size)} bytes, as documented, and holds something else than "
        f"the model in float32{why}{remedy}{f'; {_in_binary(claim)}' if in_binary else ''}"
    )
    return mismatched(claim, variant, check, cause, size, message)


CHECK = VariantCheck("file-size", "weights", lambda size: (STRUCTURE,), find)
