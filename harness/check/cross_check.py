"""Hold our count of fvcore's operators against fvcore itself: `zoo verify --cross-check fvcore`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.check.base import Evidence, Need, VariantCheck
from harness.check.compare import grouped
from harness.types import Finding, Size, Status

ID = "flops-cross-check"
CAUSE = "flops.cross-check"


def _needs(size: Size) -> tuple[Need, ...]:
    return (Need("flops", (size,)), Need("fvcore", (size,)))


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding: all operators agree, or which differ, or why fvcore could not be run."""
    size = evidence.size
    ours, theirs = evidence.measurement("flops", size), evidence.measurement("fvcore", size)
    if ours is None or theirs is None:
        lacking = evidence.unmeasured("flops", size) or evidence.unmeasured("fvcore", size)
        if lacking is not None:
            message = f"not cross-checked with fvcore: {lacking.why}"
            yield _finding(evidence, "unverified", lacking.cause, None, message)
        return
    who = f"fvcore {theirs.versions['fvcore']}"
    mine, real = ours.value["by_operator"], theirs.value["by_operator"]
    differing = [name for name in sorted({*mine, *real}) if mine.get(name, 0) != real.get(name, 0)]
    total = sum(real.values())
    at = f"{size[0]}x{size[1]}"
    if not differing:
        operators = "operator" if len(real) == 1 else "operators"
        message = f"{who}, run at {at}, counts the same for each of {len(real)} {operators}"
        yield _finding(evidence, "match", None, total, message)
        return
    message = (
        f"{who}, run at {at}, counts {_figures(real, differing)}, and zoo's fvcore convention "
        f"{_figures(mine, differing)}; go by fvcore, and report it as a bug of zoo"
    )
    yield _finding(evidence, "mismatch", CAUSE, total, message)


def _figures(counts: Mapping[str, float], names: Iterable[str]) -> str:
    return ", ".join(f"{name} {grouped(counts.get(name, 0))}" for name in names)


def _finding(
    evidence: Evidence, status: Status, cause: str | None, measured: float | None, message: str
) -> Finding:
    """About the variant's FLOPs, and about no claim: nothing documented is held against it."""
    claim = evidence.variant.claim("FLOPs")
    return Finding(
        variant=evidence.variant.name,
        field="FLOPs",
        check=ID,
        status=status,
        severity="error" if status == "mismatch" else None,
        cause=cause,
        documented=None,
        measured=measured,
        message=message,
        location=evidence.variant.location if claim is None else claim.location,
    )


CHECK = VariantCheck(ID, "flops", _needs, find)
