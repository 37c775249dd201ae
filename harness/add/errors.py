"""Why a checkpoint does not become an entry."""

from __future__ import annotations


class NotAdded(Exception):
    """A checkpoint that can't become an entry; one line says why, and what would be right."""
