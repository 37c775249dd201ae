"""Known findings: those that a project lives with for now, each with its reason.

A run that is given a baseline marks what the baseline accepts and fails for what is new. What a
baseline accepts is one value of one field for one cause: another wrong value is a new finding.
"""

from __future__ import annotations

from harness.baseline.apply import apply
from harness.baseline.read import read
from harness.baseline.types import DEFAULT, Baseline, Entry
from harness.baseline.write import BaselineFileError, Written, write

__all__ = ["DEFAULT", "Baseline", "BaselineFileError", "Entry", "Written", "apply", "read", "write"]
