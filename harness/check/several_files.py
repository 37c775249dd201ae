"""Weights that are several files: each is a claim of its own, and none is known to be the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.causes import severity_of
from harness.check.base import Evidence, matched, mismatched, not_read, unverified
from harness.types import Finding, Measurement
from zoo.index.types import Claim

CAUSE = "weights.several-files"
UNTOLD = "Weights lists several files, and which of them holds this model can't be told"


def find_several(evidence: Evidence, claims: Sequence[Claim]) -> Iterator[Finding]:
    """Findings on each file of a list, as far as its name says what it is, and on SHA256."""
    variant = evidence.variant
    hashes: list[str | None] = []
    for claim in claims:
        if not isinstance(claim.value, str):
            yield not_read(claim, variant, "weights-file")
            hashes.append(None)
            continue
        file = evidence.measurement("file", claim.value)
        hashes.append(None if file is None else file.value["sha256"])
        yield from _one(evidence, claim, claim.value, file)
    for stated in variant.claims_of("SHA256"):
        if isinstance(stated.value, str):
            yield _stated(evidence, stated, stated.value, hashes)


def _one(evidence: Evidence, claim: Claim, url: str, file: Measurement | None) -> Iterator[Finding]:
    variant = evidence.variant
    if file is None:
        missing = evidence.unmeasured("file", url)
        if missing is None:
            return
        if severity_of(missing.cause) == "error":
            yield mismatched(claim, variant, "weights-file", missing.cause, None, missing.why)
        else:
            message = f"not compared: {missing.why}"
            yield unverified(claim, variant, "weights-file", missing.cause, message)
        return
    sha256, head = file.value["sha256"], file.value["name_hash"]
    if sha256 is None:
        message = "not compared: the file is on the server, and was not downloaded"
        yield unverified(claim, variant, "weights-file", "weights.unreachable", message)
        return
    if head is not None and not sha256.startswith(head):
        message = (
            f"the SHA-256 of the file is {sha256}, and its name says that it begins with {head}: "
            "the file is another one, or damaged; upload the right one"
        )
        yield mismatched(claim, variant, "weights-hash", "weights.hash-mismatch", sha256, message)
        return
    if head is not None:
        message = f"the SHA-256 of the file begins with {head}, as its name says"
        yield matched(claim, variant, "weights-hash", sha256, message)
    yield unverified(claim, variant, "weights-tensors", CAUSE, f"not compared: {UNTOLD}")


def _stated(
    evidence: Evidence, stated: Claim, digits: str, hashes: Sequence[str | None]
) -> Finding:
    variant, check = evidence.variant, "weights-sha256"
    own = next((h for h in hashes if h is not None and h.startswith(digits.lower())), None)
    if own is not None:
        return matched(stated, variant, check, own, "one of the files has this SHA-256")
    if None in hashes:
        message = "not compared: not every file behind Weights could be hashed"
        return unverified(stated, variant, check, "weights.unreachable", message)
    message = "none of the files behind Weights has this SHA-256; write that of the one meant"
    return mismatched(stated, variant, check, "weights.hash-mismatch", None, message)
