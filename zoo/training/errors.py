"""Why a training does not start, or stops."""

from __future__ import annotations


class TrainingError(RuntimeError):
    """A training that can't go on; the message says why and what would help."""


class BadInput(TrainingError, ValueError):
    """A training that can't start with what it was given; the message says what would be right."""
