"""Baselines and reports by hand."""

from __future__ import annotations

import factories
import pytest

from harness.types import Report, VariantReport
from zoo.index.types import Location


@pytest.fixture
def finding():
    return factories.finding


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
