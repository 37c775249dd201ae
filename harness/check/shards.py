"""Shards of the images: what is counted and kept at a time, by name.

A shard is some images of the fixed order, prepared in one way: ``500-1000``, or
``crop_pct=0.9@0-500`` for another way than the documented one. Where a run has several datasets
``[imagenet-a]500-1000`` says which one's images they are: its tag stands in front.
"""

from __future__ import annotations

from dataclasses import dataclass

# Images in one shard: small enough to lose little to a kill, large enough to cost little.
SHARD_SIZE = 500


# Another state dict of the same file is looked at as another way is, under a name that begins so.
_ENTRY = "entry="
_PRECISION = "precision="

AS_DOCUMENTED = "documented"
"""Not another way, and yet no count of what is documented: predictions of more images."""

PREDICTED = ("", AS_DOCUMENTED)
"""Parts prepared as documented, of which the predictions are kept."""


@dataclass(frozen=True, slots=True)
class Span:
    """What a shard's name says: images of the fixed order, and the way they are prepared."""

    alternative: str
    begin: int
    end: int
    tag: str = ""


def shard_names(
    begin: int, end: int, alternative: str = "", size: int = SHARD_SIZE
) -> tuple[str, ...]:
    """The names of the shards, of ``size`` images at most, that these images are counted in."""
    head = f"{alternative}@" if alternative else ""
    return tuple(f"{head}{a}-{min(a + size, end)}" for a in range(begin, end, size))


def span_of(shard: str) -> Span:
    """The images that a shard of that name counts."""
    tag, shard = untagged(shard)
    head, _, numbers = shard.rpartition("@")
    begin, _, end = numbers.partition("-")
    return Span(head, int(begin), int(end), tag)


def tagged(shard: str, tag: str) -> str:
    """The name of the same shard of the dataset with that tag."""
    return f"[{tag}]{shard}" if tag else shard


def untagged(shard: str) -> tuple[str, str]:
    """The tag of a shard's name, empty for none, and the rest of the name."""
    tag, found, rest = shard.partition("]")
    return (tag[1:], rest) if found and tag.startswith("[") else ("", shard)


def with_precision(precision: str) -> str:
    """The alternative that counts the same in another precision than the run's."""
    return f"{_PRECISION}{precision}"


def precision_of(span: Span) -> str:
    """The precision that a span is counted in, empty for that of the run."""
    head, found, name = span.alternative.partition(_PRECISION)
    return name if found and not head else ""


def with_entry(name: str) -> str:
    """The alternative that counts with another state dict of the checkpoint."""
    return f"{_ENTRY}{name}"


def entry_of(span: Span) -> str | None:
    """The state dict that a span is counted with, None for the usual one."""
    head, found, name = span.alternative.partition(_ENTRY)
    return name if found and not head else None
