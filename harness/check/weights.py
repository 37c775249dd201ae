"""The weights file: that it is there, is what its name and the index say, and holds this model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.causes import severity_of
from harness.check import unreadable
from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_measured,
    not_read,
    replaced,
    unverified,
)
from harness.check.several_files import find_several
from harness.check.unreadable import missing_for
from harness.types import Finding, Measurement, Size
from zoo.index.types import Claim
from zoo.weights.types import INSECURE

CHECKPOINT = Need("checkpoint")

# What to do about a file that was not loaded, by the cause.
_REFUSED = {
    "weights.unsafe": "save the state dict alone, with torch.save or as safetensors, and upload "
    "that",
    "weights.unreadable": "upload the whole file again, as torch.save or safetensors wrote it",
}
# What to do about a file that holds other tensors, by what differs. Every way out has its words,
# for the maintainer may have meant the file or the entry.
_MISFIT = {
    "classes": "write the URL of a checkpoint that was trained on this model's classes",
    "classifier": "the file lacks the model's classifier: upload the checkpoint with it, or write "
    "the URL of one that has it",
    "extra": "upload a checkpoint without the extra tensors, or name the variant that has them",
    "names": "as many tensors of the same shapes have other names: rename those in the file, or "
    "name the builder that uses them",
    "types": "upload the tensors in the model's types",
    "other": "write the URL of this variant's own checkpoint",
}


def _needs(size: Size) -> tuple[Need, ...]:
    # The run fetches the files of all variants before any check is asked.
    return ()


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """Findings on Weights and SHA256, from the fetched file and from what it holds."""
    claim = evidence.variant.claim("Weights")
    for stated in evidence.variant.claims_of("SHA256"):
        if not isinstance(stated.value, str):
            yield not_read(stated, evidence.variant, "weights-sha256")
    if claim is None:
        return
    claims = list(evidence.variant.claims_of("Weights"))
    if len(claims) > 1:
        yield from find_several(evidence, claims)
        return
    if not isinstance(claim.value, str):
        yield not_read(claim, evidence.variant, "weights-file")
        why = missing_for(evidence.variant, "hash")
        yield from _unhashed(evidence, unreadable.CAUSE, f"not compared: {why}")
        return
    file = evidence.measurement("file")
    if file is None:
        yield from _absent(evidence, claim)
        return
    yield from _hashes(evidence, claim, file)
    if file.value["path"] is None:
        # The same words for both claims: a reader is told once of all files that were not wanted.
        message = "not compared: the file is on the server, and was not downloaded"
        cause = "weights.unreachable"
        yield unverified(claim, evidence.variant, "weights-tensors", cause, message)
        yield from _unhashed(evidence, cause, message)
        return
    if ("checkpoint", None) not in evidence.facts:
        yield CHECKPOINT
        return
    yield from _contents(evidence, claim)


def _absent(evidence: Evidence, claim: Claim) -> Iterator[Finding]:
    missing = evidence.unmeasured("file")
    if missing is None:
        return
    variant = evidence.variant
    message = f"not compared: {missing.why}"
    # Of an address that may be right a warning tells; here nothing was fetched to be compared.
    if severity_of(missing.cause) is None or missing.cause == INSECURE:
        yield unverified(claim, variant, "weights-file", missing.cause, message)
    else:
        yield mismatched(claim, variant, "weights-file", missing.cause, None, missing.why)
    yield from _unhashed(evidence, missing.cause, message)


def _unhashed(evidence: Evidence, cause: str, message: str) -> Iterator[Finding]:
    """A claimed SHA-256 that no file could be held against is not passed over."""
    for stated in evidence.variant.claims_of("SHA256"):
        if isinstance(stated.value, str):
            yield unverified(stated, evidence.variant, "weights-sha256", cause, message)


def _hashes(evidence: Evidence, claim: Claim, file: Measurement) -> Iterator[Finding]:
    """The whole SHA-256 where one is claimed; its head is in the name of many files."""
    sha256, head = file.value["sha256"], file.value["name_hash"]
    if sha256 is None:
        return
    variant = evidence.variant
    if head is not None:
        if sha256.startswith(head):
            message = f"the SHA-256 of the file begins with {head}, as its name says"
            yield matched(claim, variant, "weights-hash", sha256, message)
        else:
            message = (
                f"the SHA-256 of the file is {sha256}, and its name says that it begins with "
                f"{head}: the file is another one, or damaged; upload the right one"
            )
            cause = "weights.hash-mismatch"
            yield mismatched(claim, variant, "weights-hash", cause, sha256, message)
    for stated in variant.claims_of("SHA256"):
        if not isinstance(stated.value, str):
            continue
        if sha256.startswith(stated.value):
            missing = len(sha256) - len(stated.value)
            message = "the file has this SHA-256"
            if missing:
                message = (
                    f"the file's SHA-256 begins with these digits; write all {len(sha256)}: "
                    f"{sha256}"
                )
            yield matched(stated, variant, "weights-sha256", sha256, message)
        else:
            message = (
                f"the file behind Weights has the SHA-256 {sha256}; write it, or upload the file "
                "that was meant"
            )
            cause = "weights.hash-mismatch"
            edits = (replaced(stated, sha256),)
            yield mismatched(stated, variant, "weights-sha256", cause, sha256, message, edits=edits)


def _contents(evidence: Evidence, claim: Claim) -> Iterator[Finding]:
    variant, check = evidence.variant, "weights-tensors"
    fact = evidence.measurement("checkpoint")
    if fact is None:
        yield not_measured(evidence, claim, check, "checkpoint", verb="compared")
        return
    value = fact.value
    if value["refused"] is not None:
        message = f"the file is not loaded: {value['why']}; {_REFUSED[value['refused']]}"
        yield mismatched(claim, variant, check, value["refused"], None, message)
        return
    if value["fits"]:
        message = "; ".join((f"{value['sentence']} the model", *value["notes"]))
        yield matched(claim, variant, check, value["tensors"], message)
        return
    holds = [name for name in value["holds"] if name != variant.name]
    if holds:
        what, remedy = f"this file holds {' or '.join(holds)}", _MISFIT["other"]
    else:
        what, remedy = "the file's tensors are not this model's", _MISFIT[value["misfit"]]
    entry = _entry(value)
    message = f"{what}{entry}: {value['sentence']}; {remedy}"
    yield mismatched(claim, variant, check, "weights.tensors-differ", value["tensors"], message)


def _entry(value: Mapping[str, Any]) -> str:
    """Which of several state dicts was compared, empty where the file has only one."""
    others = value["others"]
    if not others:
        return ""
    return f" (compared was its entry {value['entry']!r}, and not {' or '.join(map(repr, others))})"


CHECK = VariantCheck("weights", "weights", _needs, find)
