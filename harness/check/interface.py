"""What goes in and comes out of a model, and which modules take it and make it.

A library that publishes weights configures where the classifier and the first convolution are, and
at which sizes the model runs: what uses the weights for other classes or channels relies on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.check.base import (
    Evidence,
    IndexCheck,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_measured,
    not_read,
    unverified,
)
from harness.types import Fact, Finding, Measurement, Size, Slot
from zoo.index.types import Claim, Index, Severity, Variant
from zoo.weights.hub import address

_ID, _SHARED = "interface", "checkpoint-settings"
_NEED = Need("interface")
_PARTS = ("Classifier", "First Conv")
_AT_A_SIZE = ("Test Image Size", "Min Image Size", "Sizes")
_POOLS = {"Pool Size": "Image Size", "Test Pool Size": "Test Image Size"}
_FIELDS = (*_PARTS, *_AT_A_SIZE, *_POOLS, "Outputs", "Channels")
# What no two names of one checkpoint can differ in: values are normalised once, outputs are there.
_SETTINGS = ("Mean", "Std", "Outputs")
_SAME_CHANNEL = 0.005
_ALIKE = ("Outputs", "Channels", "Sizes")


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding per claim about the model's input, its output, or the modules at its ends."""
    variant = evidence.variant
    stated = [c for field in _FIELDS if (c := variant.effective(field)) is not None]
    yield from (not_read(c, variant, _ID) for c in stated if c.value is None)
    claims = {c.field: c for c in stated if c.value is not None}
    if not claims:
        return
    sizes = _sizes(variant, claims)
    needs = [] if ("interface", None) in evidence.facts else [_NEED]
    missing = tuple(s for s in sizes.values() if ("runs", s) not in evidence.facts)
    needs += [Need("runs", missing)] if missing else []
    if needs:
        yield from needs
        return
    for claim in claims.values():
        if claim.field in _PARTS:
            yield _part(evidence, claim, claims)
        elif claim.field == "Channels":
            yield _channels(evidence, claim, claims)
        elif claim.field == "Outputs":
            yield _outputs(evidence, claim, claims, sizes)
        elif claim.field == "Sizes":
            yield _fixed(evidence, claim, sizes)
        elif claim.field in _POOLS:
            yield _pool(evidence, claim, sizes.get(_POOLS[claim.field]))
        else:
            yield _runs_at(evidence, claim, sizes)


def _sizes(variant: Variant, claims: Mapping[str, Claim]) -> dict[str, Size]:
    """The inputs to try, by what claims them; a model of a fixed size is not tried at others."""
    usual = variant.effective("Image Size")
    found: dict[str, Size] = {}
    if usual is not None and isinstance(usual.value, tuple) and len(usual.value) == 2:
        height, width = int(usual.value[0]), int(usual.value[1])
        found["Image Size"] = (height, width)
        if "Sizes" in claims:
            # A multiple, since patches and strides divide it as well.
            found["Sizes"] = (2 * height, 2 * width)
    if "Sizes" not in claims or claims["Sizes"].value != "fixed":
        for field in ("Test Image Size", "Min Image Size"):
            size = claims[field].value if field in claims else None
            if isinstance(size, tuple) and len(size) == 2:
                found[field] = (int(size[0]), int(size[1]))
    return found


def _part(evidence: Evidence, claim: Claim, claims: Mapping[str, Claim]) -> Finding:
    fact = evidence.measurement("interface")
    if fact is None:
        return not_measured(evidence, claim, _ID, "interface")
    variant, modules = evidence.variant, fact.value["modules"]
    paths = [str(path) for path in claim.value] if isinstance(claim.value, tuple) else []
    outputs = claims["Outputs"].value if "Outputs" in claims else None
    for path in paths:
        module = modules.get(path)
        if module is None:
            message = f"the built model has no module {path}; write the path of one"
            # Where there is nothing to classify, nothing is lost by it.
            severity: Severity | None = "warning" if outputs == 0 else None
            cause = "interface.missing-module"
            return mismatched(claim, variant, _ID, cause, None, message, severity)
        shape = module["weight"]
        if claim.field != "Classifier" or outputs is None or (outputs == 0 and shape is None):
            continue
        if shape is None:
            message = f"{path} is a {module['class']} without a weight, and no classifier"
            return mismatched(claim, variant, _ID, "interface.missing-module", None, message)
        if shape[0] != outputs:
            message = f"{path} puts out {shape[0]:,} numbers, where Outputs is {outputs:,}"
            return mismatched(claim, variant, _ID, "interface.outputs", shape[0], message)
    shapes = [modules[path]["weight"] for path in paths]
    found = ", ".join("x".join(map(str, s)) if s else "none" for s in shapes)
    return matched(claim, variant, _ID, found, f"the built model has it; its weight is {found}")


def _channels(evidence: Evidence, claim: Claim, claims: Mapping[str, Claim]) -> Finding:
    fact, variant = evidence.measurement("interface"), evidence.variant
    first = claims.get("First Conv")
    paths = first.value if first is not None and isinstance(first.value, tuple) else ()
    if fact is None:
        return not_measured(evidence, claim, _ID, "interface")
    weights = [w for p in paths if (m := fact.value["modules"].get(str(p))) and (w := m["weight"])]
    if not weights:
        why = "no First Conv says which module takes them"
        return unverified(claim, variant, _ID, "interface.unknown", f"not verified: {why}")
    # A stem may fold the pixels of a tile into channels first.
    taken = weights[0][1]
    if taken % int(str(claim.value)) == 0:
        return matched(claim, variant, _ID, taken, f"the first convolution takes {taken}")
    message = f"the first convolution takes {taken} channels, not {claim.raw}"
    return mismatched(claim, variant, _ID, "interface.outputs", taken, message)


def _outputs(
    evidence: Evidence, claim: Claim, claims: Mapping[str, Claim], sizes: Mapping[str, Size]
) -> Finding:
    run, variant = _run(evidence, sizes.get("Image Size")), evidence.variant
    parts = evidence.measurement("interface")
    if claim.value == 0 and parts is not None and "Classifier" in claims:
        names = claims["Classifier"].value
        paths = names if isinstance(names, tuple) else ()
        heads = [parts.value["modules"].get(str(path)) for path in paths]
        if heads and all(head is not None and head["weight"] is None for head in heads):
            return matched(claim, variant, _ID, 0, "the built model has no classifier")
    if run is None or run["refused"]:
        return _not_run(evidence, claim, sizes.get("Image Size"))
    shapes = [shape for shape in run["outputs"] if len(shape) == 2]
    if claim.value == 0 or not shapes:
        why = "it puts out features" if claim.value == 0 else "it puts out no row of numbers"
        return unverified(claim, variant, _ID, "interface.unknown", f"not compared: {why}")
    # Heads beside the classifier put out as many.
    if all(shape[-1] == claim.value for shape in shapes):
        return matched(claim, variant, _ID, shapes[0][-1], "so many numbers come out")
    message = f"{shapes[0][-1]:,} numbers come out of the built model, not {claim.raw}"
    return mismatched(claim, variant, _ID, "interface.outputs", shapes[0][-1], message)


def _runs_at(evidence: Evidence, claim: Claim, sizes: Mapping[str, Size]) -> Finding:
    variant, size, usual = evidence.variant, sizes.get(claim.field), sizes.get("Image Size")
    if size is None:
        why = "not tried: its Sizes are fixed, so that another size is another model"
        return unverified(claim, variant, _ID, "interface.unknown", why)
    run, other = _run(evidence, size), _run(evidence, usual)
    if run is None or usual is None or other is None or (run["refused"] and other["refused"]):
        return _not_run(evidence, claim, size)
    if not run["refused"]:
        return matched(claim, variant, _ID, _x(size), f"the built model runs at {_x(size)}")
    message = f"the built model runs at {_x(usual)} and not here: {run['refused']}"
    return mismatched(claim, variant, _ID, "interface.size", None, message)


def _fixed(evidence: Evidence, claim: Claim, sizes: Mapping[str, Size]) -> Finding:
    variant, usual, other = evidence.variant, sizes.get("Image Size"), sizes.get("Sizes")
    run, more = _run(evidence, usual), _run(evidence, other)
    if run is None or more is None or usual is None or other is None or run["refused"]:
        return _not_run(evidence, claim, usual)
    runs = not more["refused"]
    if runs == (claim.value == "any"):
        what = f"runs at {_x(other)} as well" if runs else f"does not run at {_x(other)}"
        return matched(claim, variant, _ID, None, f"the built model {what}")
    message = f"the built model runs at {_x(usual)}, and not at {_x(other)}: {more['refused']}"
    severity: Severity | None = None
    if runs:  # at more than is said, which misleads nobody into a failure
        message, severity = f"the built model runs at {_x(other)} as well as at {_x(usual)}", "note"
    return mismatched(claim, variant, _ID, "interface.sizes", None, message, severity)


def _pool(evidence: Evidence, claim: Claim, size: Size | None) -> Finding:
    variant, run = evidence.variant, _run(evidence, size)
    if run is None or size is None or run["refused"]:
        return _not_run(evidence, claim, size)
    shape = run["features"]
    if shape is None:
        why = "not compared: the model pools its features by no module of its own"
        return unverified(claim, variant, _ID, "interface.unknown", why)
    # Channels come first in most models, and last in others.
    sides = (tuple(shape[2:]), tuple(shape[1:3]))
    if claim.value in sides:
        return matched(claim, variant, _ID, _x(shape), f"so large they are at {_x(size)}")
    right = _x(sides[0] if shape[1] > shape[3] else sides[1])
    message = f"the features that are pooled at {_x(size)} are {right}, not {claim.raw}"
    return mismatched(claim, variant, _ID, "interface.pool-size", right, message)


def _run(evidence: Evidence, size: Size | None) -> Mapping[str, Any] | None:
    fact = None if size is None else evidence.measurement("runs", size)
    return None if fact is None else fact.value


def _not_run(evidence: Evidence, claim: Claim, size: Size | None) -> Finding:
    run = _run(evidence, size)
    if run is not None and run["refused"]:
        why = f"not compared: {run['refused']}"
        return unverified(claim, evidence.variant, _ID, "interface.unknown", why)
    return not_measured(evidence, claim, _ID, "runs", size)


def _x(size: Sequence[Any]) -> str:
    return "x".join(map(str, size))


def find_shared(index: Index, variants: Sequence[Variant]) -> Iterator[Finding]:
    """Names of one checkpoint that say of it what can't be true of one file."""
    first: dict[tuple[str, str], Variant] = {}
    chosen = set(map(id, variants))
    for variant in index.variants:
        for field in ("Hub", "Weights"):
            for claim in variant.claims_of(field):
                other = first.setdefault((field, address(claim.raw)), variant)
                if other is variant or id(variant) not in chosen:
                    continue
                wrong = next((f for f in _SETTINGS if _differ(variant, other, f)), None)
                if wrong is None:
                    continue
                mine, theirs = variant.effective(wrong), other.effective(wrong)
                assert mine is not None
                assert theirs is not None
                yield mismatched(
                    mine,
                    variant,
                    _SHARED,
                    "weights.shared-settings",
                    None,
                    f"{other.name} has the same checkpoint, and {wrong} {theirs.raw} at "
                    f"{theirs.location}; correct the wrong one of the two",
                )


def find_measured(
    index: Index, variants: Sequence[Variant], facts: Mapping[int, Mapping[Slot, Fact]]
) -> Iterator[Finding]:
    """The same, and weights of one architecture, alike in all that is said, of other counts."""
    yield from find_shared(index, variants)
    first: dict[tuple[object, ...], tuple[Variant, int]] = {}
    for variant in variants:
        fact, name = facts.get(id(variant), {}).get(("interface", None)), variant.claim("Name")
        if not isinstance(fact, Measurement) or name is None or "." not in variant.name:
            continue
        said = {field: c.value for field in _ALIKE if (c := variant.effective(field)) is not None}
        size = variant.effective("Image Size") if said.get("Sizes") == "fixed" else None
        key = (variant.name.partition(".")[0], *said.items(), size and size.value)
        count = int(fact.value["parameters"])
        other, theirs = first.setdefault(key, (variant, count))
        if theirs != count:
            message = f"the built model has {count:,} parameters, and {other.name}, of the same "
            message += f"architecture, outputs and input, {theirs:,}; correct the builder"
            cause = "parameters.tags-differ"
            yield mismatched(name, variant, _SHARED, cause, count, message)


def _float(value: object) -> float:
    return float(str(value))


def _differ(one: Variant, other: Variant, field: str) -> bool:
    mine, theirs = one.effective(field), other.effective(field)
    a = None if mine is None else mine.value
    b = None if theirs is None else theirs.value
    if isinstance(a, tuple) and isinstance(b, tuple):
        if len(a) != len(b):
            return min(len(a), len(b)) > 1
        return any(
            abs(x - y) >= _SAME_CHANNEL for x, y in zip(map(_float, a), map(_float, b), strict=True)
        )
    # A model without its classifier is made of the same file.
    return bool(a) and bool(b) and a != b


# It needs nothing to start from: few indexes make such claims.
CHECK = VariantCheck(_ID, "layers", lambda size: (), find)
SHARED = IndexCheck(_SHARED, "metadata", find_shared, find_measured)
