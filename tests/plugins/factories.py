"""Values that tests of several folders start from."""

from __future__ import annotations

from harness.types import Finding
from zoo.index.types import Location


def finding(**changes: object) -> Finding:
    """A finding like any other, but for what is given."""
    values: dict[str, object] = {
        "variant": "net50",
        "field": "FLOPs",
        "check": "flops",
        "status": "mismatch",
        "severity": "error",
        "cause": "flops.differs",
        "documented": "6973972864",
        "measured": 5399965376,
        "message": "The model has 5399965376 FLOPs; write that.",
        "location": Location("model-index/net.yml", 12, 7),
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]
