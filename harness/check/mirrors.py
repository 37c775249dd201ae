"""Mirrors: whether each is there, and serves the file that Weights names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.check.base import Evidence, matched, mismatched, not_read, unverified
from harness.check.owners import file_name
from harness.types import Finding, Measurement
from zoo.index.types import Claim
from zoo.weights.sources import name_hash

_MIRROR = "weights-mirror"
_NO_WEIGHTS = "not compared: there are no Weights that this would be a mirror of"
_NOT_DOWNLOADED = "not compared: the file is on the server, and was not downloaded"


def find_in_mirrors(evidence: Evidence, weights: Sequence[Claim]) -> Iterator[Finding]:
    """One finding per mirror that was asked for: absent, another file, or the same.

    It is held against the files of ``weights`` as they are; where none of them could be had,
    against the SHA-256 that is stated, or that is in the name of the file.
    """
    variant = evidence.variant
    originals = [fact for claim in weights if (fact := _file(evidence, claim)) is not None]
    for claim in variant.claims_of("Mirrors"):
        if not isinstance(claim.value, str):
            yield not_read(claim, variant, _MIRROR)
            continue
        if not weights:
            cause = "schema.unreadable-dependency"
            yield unverified(claim, variant, _MIRROR, cause, f"{_NO_WEIGHTS}; write it as Weights")
            continue
        fact = _file(evidence, claim)
        if fact is not None:
            yield _compared(evidence, claim, fact, originals, weights)


def _file(evidence: Evidence, claim: Claim) -> Measurement | None:
    return evidence.measurement("file", claim.value if isinstance(claim.value, str) else None)


def _compared(
    evidence: Evidence,
    claim: Claim,
    fact: Measurement,
    originals: Sequence[Measurement],
    weights: Sequence[Claim],
) -> Finding:
    variant, size, sha256 = evidence.variant, fact.value["size"], fact.value["sha256"]
    sizes = {each.value["size"] for each in originals}
    hashes = [each.value["sha256"] for each in originals]
    if sha256 is None or (originals and None in hashes):
        if originals and None not in sizes and size is not None and size not in sizes:
            whole = " or ".join(f"{each:,}" for each in sorted(sizes))
            what = f"has {size:,} bytes, and that of Weights {whole}"
            return _differs(evidence, claim, size, what)
        return unverified(claim, variant, _MIRROR, "weights.unreachable", _NOT_DOWNLOADED)
    if sha256 in hashes:
        return matched(claim, variant, _MIRROR, sha256, "serves the file that Weights names")
    said = [str(each.value) for each in variant.claims_of("SHA256") if isinstance(each.value, str)]
    whose = "that the index states"
    if not said and not originals:
        whose = "that the name of the file says"
        said = list(filter(None, (name_hash(file_name(str(each.value))) for each in weights)))
    if any(sha256.startswith(digits) for digits in said):
        return matched(claim, variant, _MIRROR, sha256, f"serves the file of the SHA-256 {whose}")
    if originals or said:
        other = f"that of Weights {' or '.join(hashes)}"
        if not originals:
            other = f"not the one {whose}, {' or '.join(said)}"
        return _differs(evidence, claim, sha256, f"has the SHA-256 {sha256}, and {other}")
    why = "not compared: the file of Weights could not be had, and no SHA256 of it is stated"
    return unverified(claim, variant, _MIRROR, "weights.unreachable", why, sha256)


def _differs(evidence: Evidence, claim: Claim, measured: int | str, what: str) -> Finding:
    message = (
        f"this mirror serves another file than Weights: it {what}; upload the same file there, or "
        "take the mirror out"
    )
    cause = "weights.mirror-differs"
    return mismatched(claim, evidence.variant, _MIRROR, cause, measured, message)
