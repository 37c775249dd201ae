"""Our count of fvcore's operators against fvcore itself: ``--cross-check fvcore``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.check.base import Evidence, Need, VariantCheck
from harness.check.compare import grouped
from harness.types import Finding, Status
from zoo._util.text import plural

_ID = "flops-cross-check"


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding: all operators agree, or which differ, or why fvcore could not be run."""
    size = evidence.size
    ours, theirs = evidence.measurement("flops", size), evidence.measurement("fvcore", size)
    if ours is None or theirs is None:
        lacking = evidence.unmeasured("flops", size) or evidence.unmeasured("fvcore", size)
        if lacking is not None:
            message = f"not cross-checked with fvcore: {lacking.why}"
            yield _cross_checked(evidence, "unverified", lacking.cause, None, message)
        return
    who = f"fvcore {theirs.versions['fvcore']}, run at {size[0]}x{size[1]},"
    mine, real = ours.value["by_operator"], theirs.value["by_operator"]
    differing = [name for name in sorted({*mine, *real}) if mine.get(name, 0) != real.get(name, 0)]
    total = sum(real.values())
    if not differing:
        message = f"{who} counts the same for each of {plural(len(real), 'operator')}"
        yield _cross_checked(evidence, "match", None, total, message)
        return
    message = (
        f"{who} counts {_figures(real, differing)}, and zoo's fvcore "
        f"convention {_figures(mine, differing)}; go by fvcore, and report it as a bug of zoo"
    )
    yield _cross_checked(evidence, "mismatch", "flops.cross-check", total, message)


def _figures(counts: Mapping[str, float], names: Iterable[str]) -> str:
    return ", ".join(f"{name} {grouped(counts.get(name, 0))}" for name in names)


def _cross_checked(
    evidence: Evidence, status: Status, cause: str | None, measured: float | None, message: str
) -> Finding:
    """About the variant's FLOPs, and about no claim: nothing documented is held against it."""
    claim = evidence.variant.claim("FLOPs")
    return Finding(
        variant=evidence.variant.name,
        field="FLOPs",
        check=_ID,
        status=status,
        severity="error" if status == "mismatch" else None,
        cause=cause,
        documented=None,
        measured=measured,
        message=message,
        location=evidence.variant.location if claim is None else claim.location,
    )


CHECK = VariantCheck(
    _ID, "flops", lambda size: (Need("flops", (size,)), Need("fvcore", (size,))), find
)
