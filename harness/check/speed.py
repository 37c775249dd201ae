"""Throughput, latency and memory: held against a bench that was made under the same conditions.

A speed is a figure of one machine, so a claim is compared only where device, batch size, precision
and layout are those of a bench, and the input and the compilation, too. What the claim leaves open,
such as its layout, can confirm it and can't contradict it. Anything else is
``speed.other-device``, with the ratio to another variant where the claim names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from harness.check.base import IndexCheck, matched, mismatched, not_read, unverified
from harness.check.compare import number
from harness.check.schema import is_unreadable
from harness.types import Fact, Finding, Slot, Unmeasured, timings_of
from zoo._util.text import plural
from zoo.index.speeds import SPEEDS
from zoo.index.types import Claim, Index, Variant

_ID = "speed"
OTHER, DIFFERS, UNDECIDED = "speed.other-device", "speed.differs", "speed.undecided"
# So many times faster or slower than all repeats of a bench a claim may be. Between the two
# nothing is said: other work on the machine, its temperature and versions make such differences.
HELD = 1.1
OFF_ON_GPU = 1.5
OFF_ON_CPU = 2.0
# What other programs count as this one's memory, such as CUDA's own.
_OVERHEAD = 1_000_000_000
_UNITS = {"Throughput": "images/s", "Latency": "ms", "inference time (ms/im)": "ms per image"}
# Words of a device's name that tell none from another.
_NEUTRAL = frozenset(
    {"nvidia", "geforce", "tesla", "quadro", "amd", "radeon", "intel", "r", "tm", "c", "core"}
    | {"cpu", "gpu", "gpus", "processor", "graphics", "gen", "with", "family", "1x", "apple"}
)
# Of two devices of one name: their form, power and memory. A claim may leave them open.
_FORM = re.compile(r"sxm\d*|pcie|pci|nvl|oam|hbm\d*e?|\d+gb|ghz")
# Names of processors that many have: of a family, an architecture, a virtual machine.
_FAMILY = re.compile(
    r"\D*|(x ?86|amd|intel|aarch|arm|ppc|riscv|s)v?[ \d]+\w{0,2}|i\d86|.*\b(qemu|kvm|virtual"
    r"|stepping|\w+\dxx)\b.*"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A claim beside one timing of a bench.

    Attributes:
        differs: the conditions that are others, in words.
        open: those that the claim says nothing of.
    """

    timing: Mapping[str, Any]
    differs: tuple[str, ...]
    open: tuple[str, ...]


def find_measured(
    index: Index, variants: Sequence[Variant], facts: Mapping[int, Mapping[Slot, Fact]]
) -> Iterator[Finding]:
    """What was timed of each variant beside what its index claims."""
    timed = {v.name: list(timings_of(facts.get(id(v), {}).values())) for v in reversed(variants)}
    by_name = {v.name: v for v in reversed(variants)}
    for variant in variants:
        own = facts.get(id(variant), {})
        for claim in variant.claims_of(*sorted(SPEEDS)):
            if is_unreadable(claim) or number(claim) is None:
                yield not_read(claim, variant, _ID)
            elif found := list(timings_of(own.values())):
                yield _finding(claim, variant, found, _Ratios(by_name, timed))
            elif why := next(iter(_failures(own)), None):
                yield unverified(claim, variant, _ID, why.cause, f"not timed: {why.why}")


def _failures(facts: Mapping[Slot, Fact]) -> Iterator[Unmeasured]:
    for fact in facts.values():
        if isinstance(fact, Unmeasured) and fact.kind == "speed":
            yield fact


def _finding(
    claim: Claim, variant: Variant, timings: list[Mapping[str, Any]], ratios: _Ratios
) -> Finding:
    sized = variant.effective("Image Size") is not None
    compared = [compare(claim, timing, sized=sized) for timing in timings]
    same = [each for each in compared if not each.differs and figures(claim, each.timing)]
    if not same:
        nearest = min(compared, key=lambda each: len(each.differs))
        what = "; ".join(nearest.differs) or "the bench has no such figure"
        ratio = ratios.told(claim, variant.name, nearest.timing)
        message = f"not compared with the bench on {_device(nearest.timing)}: {what}{ratio}"
        return unverified(claim, variant, _ID, OTHER, message)
    best = min(same, key=lambda each: (_factor(claim, each.timing), len(each.open)))
    low, middle, high = figures(claim, best.timing) or (0.0, 0.0, 0.0)
    factor, value = _factor(claim, best.timing), round(middle, 3)
    between = " to ".join(_shown(claim, each).partition(" ")[0] for each in (low, high))
    told = f"{_shown(claim, middle)} ({between})"
    message = f"the bench has {told} on {_how(best.timing)}"
    if factor <= HELD:
        return matched(claim, variant, _ID, value, f"{message}, as documented")
    strict = [each for each in same if not each.open]
    off = OFF_ON_GPU if _on_gpu(best.timing) else OFF_ON_CPU
    is_far = min(_factor(claim, each.timing) for each in same) > off
    held_up = _held_up(best.timing) if _is_faster(claim, best.timing) else ""
    if strict and is_far and not held_up:
        message += f", not {claim.raw}; write what is measured, and what it was measured under"
        return mismatched(claim, variant, _ID, DIFFERS, value, message)
    if strict and is_far:
        why = f"{held_up} beside the bench"
    elif strict:
        why = f"within {off:g} times of it, as other versions or other work on the machine may be"
    else:
        left = " and ".join(filter(None, (", ".join(best.open[:-1]), best.open[-1])))
        why = f"the claim says nothing of its {left}, by which speeds differ"
    return unverified(claim, variant, _ID, UNDECIDED, f"{message}, not {claim.raw}: {why}", value)


def figures(claim: Claim, timing: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """The lowest, the usual and the highest figure of a timing that a claim may be held against."""
    speed = float(timing["images_per_second"])
    slow, fast = timing.get("images_per_second_range") or (speed, speed)
    if claim.field == "Throughput":
        return slow, speed, fast
    if claim.field == "Memory":
        peak = timing.get("peak_memory")
        return (peak, peak, timing.get("peak_reserved") or peak) if peak else None
    images = timing["batch"] if claim.field == "Latency" else 1
    low, usual, high = (1e3 * images / each for each in (fast, speed, slow))
    latency = timing.get("latency_ms") or {}
    if claim.field != "Latency" or not latency:
        return low, usual, high
    return min(low, latency["p50"]), latency["p50"], max(high, latency["p90"])


def _factor(claim: Claim, timing: Mapping[str, Any]) -> float:
    """How many times the claim is above all that was timed, or below it; 1 where it is within."""
    found, value = figures(claim, timing), number(claim) or Decimal(1)
    assert found is not None
    step = claim.step or Decimal(0)
    high, low = float(value + step), float(max(value - step, value / 2))
    above = low / found[2]
    if claim.field == "Memory" and above > HELD:  # Neither the one nor the other.
        above = max((HELD + OFF_ON_GPU) / 2, low / (found[2] + _OVERHEAD))
    return max(1.0, above, found[0] / high)


def _is_faster(claim: Claim, timing: Mapping[str, Any]) -> bool:
    """Whether more speed is claimed than was timed: a machine that is busy gives less."""
    found, value = figures(claim, timing), number(claim) or Decimal(1)
    assert found is not None
    if claim.field == "Throughput":
        return float(value) > found[2]
    return claim.field != "Memory" and float(value) < found[0]


def _held_up(timing: Mapping[str, Any]) -> str:
    """What may have made a bench slow, "beside the bench"; empty for nothing."""
    environment, contended = timing.get("environment", {}), timing.get("contended")
    if not _on_gpu(timing) and environment.get("threads", 0) > environment.get("cores", 0):
        return "its threads had to share cores"
    if contended is None:
        return "nothing tells what else ran"
    return "other programs ran" * bool(contended)


def compare(claim: Claim, timing: Mapping[str, Any], *, sized: bool = True) -> Comparison:
    """Which conditions of a claim are those of a timing.

    ``sized`` says whether the variant has an input size of its own, and not the usual one.
    """
    stated, differs, left = dict(claim.settings), list[str](), list[str]()

    def check(name: str, is_same: bool | None, has: object) -> None:
        """Note a condition that is another one, or that the claim leaves open (None)."""
        if is_same is None:
            left.append("exact device" if name == "device" else name)
        elif not is_same:
            differs.append(f"it is of {name} {_words(stated[name])}, the bench of {_words(has)}")

    if "device" not in stated:
        differs.append("it names no device")
    else:
        name = _device(timing)
        same = same_device(str(stated["device"]), name)
        if same and not _on_gpu(timing) and _FAMILY.fullmatch(" ".join(_name_words(name))):
            same = None  # Of the same family, at least.
        check("device", same, name)
    batch = stated.get("batch size")
    check("batch size", None if batch is None else batch == timing["batch"], timing["batch"])
    _check_precision(stated, timing, check)
    layout = timing.get("layout", "channels_last")
    check("layout", stated["layout"] == layout if "layout" in stated else None, layout)
    size = stated.get("image size")
    if size is not None:
        check("image size", size == tuple(timing["image_size"]), timing["image_size"])
    elif not sized:
        check("image size", None, timing["image_size"])
    compiled = timing.get("compile") or ("default" if timing.get("compiled") else "off")
    stated.setdefault("compile", "off")  # A figure of PyTorch is of eager mode unless it says.
    check("compile", stated["compile"] == compiled, compiled)
    backend = str(stated.get("backend", "PyTorch")).lower()
    torch = str(timing.get("environment", {}).get("torch", ""))
    if not re.fullmatch(r"(?:py)?torch(?:[ -]?v?[\d.]+)?", backend):
        check("backend", False, "PyTorch")
    elif (version := re.search(r"\d[\d.]*", backend)) and not torch.startswith(version[0]):
        check("backend", None, torch)
    if not _on_gpu(timing):
        threads = timing.get("environment", {}).get("threads")
        check("threads", stated["threads"] == threads if "threads" in stated else None, threads)
    if claim.field == "Memory" and not _on_gpu(timing):
        left.append("sharing of memory")
    return Comparison(timing, tuple(differs), tuple(left))


def _stated_arithmetic(stated: Mapping[str, Any]) -> tuple[str, bool, str]:
    """What a claim says of its precision: the words, whether it is a mixed one, of which width."""
    words = [f"{name} {stated[name]}" for name in ("precision", "amp", "mode") if name in stated]
    said = " ".join(words).lower()
    mixed = bool(re.search(r"\bamp\b(?! off)|\bmixed\b", said))
    of = re.search(r"(bf16|bfloat16)|(fp16|float16|half)|(tf32)|(fp32|float32|32)", said)
    width = "" if of is None else ("bf16", "fp16", "tf32", "float32")[(of.lastindex or 1) - 1]
    return said, mixed, width


def _check_precision(stated: dict[str, Any], timing: Mapping[str, Any], check: Any) -> None:
    """A model that is cast, one in mixed precision, and what others call either."""
    amp, cast = _arithmetic(timing)
    has = f"amp {amp}" if amp != "off" else cast
    said, mixed, width = _stated_arithmetic(stated)
    if not said:
        check("precision", None, has)
        return
    stated["precision"] = said.removeprefix("precision ").removeprefix("mode ")
    if mixed:
        check("precision", (amp == width if width else None) if amp != "off" else False, has)
    elif width in ("bf16", "fp16"):
        is_same = None if "mode" in stated and width in (cast, amp) else cast == width
        check("precision", is_same, has)
    elif not width:
        check("precision", False, has)
    else:
        check("precision", amp == "off" and cast == "float32", has)
        used = bool(timing.get("environment", {}).get("tf32"))
        if _on_gpu(timing) and (width == "tf32" or "tf32" in stated):
            stated.setdefault("tf32", "on")
            check("tf32", (stated["tf32"] == "on") == used, "on" if used else "off")
        elif _on_gpu(timing):
            check("tf32", None, used)


def to_time(claims: Iterable[Claim], device: str, *, on_gpu: bool) -> list[dict[str, Any]]:
    """How the claims on this device say that they were measured, as `zoo bench` takes it."""
    found: list[dict[str, Any]] = []
    for claim in claims:
        stated = dict(claim.settings)
        same = same_device(str(stated.get("device", "")), device)
        if claim.field not in SPEEDS or is_unreadable(claim) or same is False:
            continue
        _, mixed, width = _stated_arithmetic(stated)
        half = width if width in ("bf16", "fp16") else "fp16" if on_gpu else "bf16"
        compiled = str(stated.get("compile", "off"))
        how = {
            "batch_sizes": (stated.get("batch size", 1),),
            "amp": half if mixed else "off",
            "precision": width if width in ("bf16", "fp16") and not mixed else "float32",
            "tf32": on_gpu and (width == "tf32" or stated.get("tf32") == "on"),
            "layout": stated.get("layout", "channels_last"),
            "compile": "" if compiled == "off" else compiled,
        }
        if how not in found:
            found.append(how)
    return found


def same_device(stated: str, found: str) -> bool | None:
    """Whether two names are of one device; None where one may be a form of the other."""
    words = [list(_name_words(each)) for each in (stated, found)]
    one, other = map(frozenset, words)
    if not one or not other:
        return False
    if one == other or len({"".join(each) for each in words}) == 1:  # RTX3090 is RTX 3090.
        return True
    # Of a name that says less, such as A100, there may be several.
    return None if one < other and all(map(_FORM.fullmatch, other - one)) else False


def _name_words(name: str) -> Iterator[str]:
    shorter = re.sub(r"@.*|\((?:r|tm|c)\)|\b\d+(?:st|nd|rd|th)\b", " ", name[:200].lower())
    for word in re.findall(r"[a-z0-9]+", shorter):
        if word not in _NEUTRAL:
            yield word


def _device(timing: Mapping[str, Any]) -> str:
    return str(timing.get("environment", {}).get("device_name", "an unknown device"))


def _on_gpu(timing: Mapping[str, Any]) -> bool:
    return not str(timing.get("environment", {}).get("device", "cpu")).startswith("cpu")


def _words(value: object) -> str:
    parts = value if isinstance(value, tuple | list) else (value,)
    return "x".join(map(str, parts))


def _arithmetic(timing: Mapping[str, Any]) -> tuple[str, str]:
    """Of what kind its mixed precision is, ``off`` for none; what the model was cast to."""
    amp, said = timing.get("amp", "off"), timing["precision"]
    return (amp, "float32" if amp != "off" or said == "off" else said)


def _how(timing: Mapping[str, Any]) -> str:
    environment, (amp, cast) = timing.get("environment", {}), _arithmetic(timing)
    parts = [
        f"batch {timing['batch']}",
        f"amp {amp}" if amp != "off" else cast,
        timing.get("layout", "channels_last"),
        "" if _on_gpu(timing) else plural(environment.get("threads", 0), "thread"),
        "compiled" if timing.get("compiled") else "",
    ]
    return f"{_device(timing)} ({', '.join(filter(None, parts))})"


def _shown(claim: Claim, value: float) -> str:
    if claim.field == "Memory":
        return f"{value / 1e9:,.2f} GB"
    return f"{value:,.{1 if value >= 100 else 2}f} {_UNITS[claim.field]}"


@dataclass(frozen=True, slots=True)
class _Ratios:
    """How variants stand to one another, in what is claimed of them and in what was timed."""

    variants: Mapping[str, Variant]
    timed: Mapping[str, Sequence[Mapping[str, Any]]]

    def told(self, claim: Claim, name: str, timing: Mapping[str, Any]) -> str:
        """What to add to a message, empty where the claim names no reference."""
        reference = dict(claim.settings).get("reference")
        if reference is None:
            return ""
        other = self.variants.get(str(reference))
        theirs = None if other is None else self._claim_like(claim, other)
        timings = self.timed.get(str(reference), ())
        beside = next((each for each in timings if _conditions(each) == _conditions(timing)), None)
        if other is None or beside is None:
            return f"; its reference {reference} was not timed in this run"
        own, found = figures(claim, timing), figures(claim, beside)
        if own is None or found is None:
            return ""
        said = f"; beside {reference} in this run it is {own[1] / found[1]:.2f} times as much"
        value, at = number(claim), None if theirs is None else number(theirs)
        if value and at:
            return f"{said}, and {value / at:.2f} times as claimed"
        return f"{said}; {reference} claims no such figure under these conditions"

    def _claim_like(self, claim: Claim, other: Variant) -> Claim | None:
        conditions = _without_reference(claim)
        return next(
            (c for c in other.claims_of(claim.field) if _without_reference(c) == conditions), None
        )


def _without_reference(claim: Claim) -> dict[str, Any]:
    return {name: value for name, value in claim.settings if name != "reference"}


def _conditions(timing: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = ("batch", "precision", "amp", "layout", "compile", "compiled")
    return (_device(timing), *(timing.get(key) for key in keys))


# Without a run there is nothing to find: a speed is no affair of the text alone.
CHECK = IndexCheck(_ID, "speed", lambda index, variants: (), find_measured)
