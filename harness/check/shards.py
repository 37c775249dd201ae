"""Shards of the images: what is counted and kept at a time, by name.

A shard is some images of the fixed order, prepared in one way: ``500-1000``, or
``crop_pct=0.9@0-500`` for another way than the documented one.
"""

from __future__ import annotations

from dataclasses import dataclass

# Images in one shard: small enough to lose little to a kill, large enough to cost little.
SHARD_SIZE = 500


# Another state dict of the same file is looked at as another way is, under a name that begins so.
_ENTRY = "entry="


@dataclass(frozen=True, slots=True)
class Span:
    """What a shard's name says: images of the fixed order, and the way they are prepared."""

    alternative: str
    begin: int
    end: int


def shard_names(
    begin: int, end: int, alternative: str = "", size: int = SHARD_SIZE
) -> tuple[str, ...]:
    """The names of the shards, of ``size`` images at most, that these images are counted in."""
    head = f"{alternative}@" if alternative else ""
    return tuple(f"{head}{a}-{min(a + size, end)}" for a in range(begin, end, size))


def span_of(shard: str) -> Span:
    """The images that a shard of that name counts."""
    head, _, numbers = shard.rpartition("@")
    begin, _, end = numbers.partition("-")
    return Span(head, int(begin), int(end))


def with_entry(name: str) -> str:
    """The alternative that counts with another state dict of the checkpoint."""
    return f"{_ENTRY}{name}"


def entry_of(span: Span) -> str | None:
    """The state dict that a span is counted with, None for the usual one."""
    head, found, name = span.alternative.partition(_ENTRY)
    return name if found and not head else None
