"""The simulation of the accuracy rule, which the benchmark and its tests share."""

from __future__ import annotations

import importlib.util
import sys

import pytest


@pytest.fixture(scope="session")
def simulation(repository):
    """The module tests/benchmarks/accuracy_rule.py; benchmarks are scripts, not a package."""
    path = repository / "tests" / "benchmarks" / "accuracy_rule.py"
    spec = importlib.util.spec_from_file_location("accuracy_rule", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
