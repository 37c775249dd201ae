"""Baselines and reports by hand."""

from __future__ import annotations

import pytest

from harness.types import Finding, Report, VariantReport
from zoo.index.types import Location


@pytest.fixture
def finding():
    def make(**changes):
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

    return make


@pytest.fixture
def report():
    def make(*findings, **changes):
        place = Location("model-index/net.yml", 3, 9)
        variants = (VariantReport("net50", "Net", "zoo", {}, location=place),)
        values: dict[str, object] = {"environment": {}, "variants": variants}
        return Report(**{**values, "findings": findings, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where a baseline may be written, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "known-findings.yml"
