"""A documented SHA-256 against the digits that the file's name carries; no file is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from posixpath import basename, splitext
from urllib.parse import unquote, urlsplit

from harness.check.base import IndexCheck, mismatched
from harness.types import Finding
from zoo.index.types import Index, Variant

_WHOLE = re.compile(r"[0-9a-f]{64}")
_ID = "weights-sha256"


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One error per SHA256 that begins otherwise than the name of the file behind Weights says."""
    for variant in variants:
        weights = variant.claim("Weights")
        if weights is None or not isinstance(weights.value, str):
            continue
        head = _in_name(weights.value)
        if head is None:
            continue
        for claim in variant.claims_of("SHA256"):
            stated = claim.value
            if not isinstance(stated, str) or _begins_alike(stated, head):
                continue
            message = (
                f"begins with {stated[: len(head)]}, and the file's name in Weights says that its "
                f"SHA-256 begins with {head}: one of the two is another file's; write the SHA-256 "
                "of this variant's file, or the URL that was meant"
            )
            yield mismatched(claim, variant, _ID, "weights.hash-mismatch", head, message)


def _in_name(url: str) -> str | None:
    """The digits of a SHA-256 in a file's name: behind its last hyphen, or all of it."""
    from zoo.weights.sources import name_hash

    name = basename(unquote(urlsplit(url).path))
    stem = splitext(name)[0]
    return name_hash(name) or (stem if _WHOLE.fullmatch(stem) else None)


def _begins_alike(one: str, other: str) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


CHECK = IndexCheck(_ID, "metadata", find)
