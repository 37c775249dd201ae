"""The weights file and its mirrors: there, as the name and the index say, and of this model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.causes import severity_of
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
from harness.check.schema import UNREADABLE, missing_for
from harness.types import Fact, Finding, Measurement, Slot
from zoo._util.text import shown
from zoo.index.types import Claim, Variant
from zoo.weights.hub import of_repository, pinned
from zoo.weights.sources import file_name, name_hash

SEVERAL = "weights.several-files"
UNDECIDED = "Weights lists several files, and which of them holds this model can't be determined"

_FILE, _HASH, _SHA256 = "weights-file", "weights-hash", "weights-sha256"
_MIRROR = "weights-mirror"
_NO_WEIGHTS = "not compared: there are no Weights that this would be a mirror of"
_NOT_DOWNLOADED = "not compared: the file is on the server, and was not downloaded"

CHECKPOINT = Need("checkpoint")

# What to do about a file that was not loaded, by the cause.
REFUSED = {
    "weights.unsafe": "save the state dict alone, with torch.save or as safetensors, and upload "
    "that",
    "weights.unreadable": "upload the whole file again, as torch.save or safetensors wrote it",
    "weights.not-finite": "upload weights from before the training diverged, or in a type that "
    "holds them",
}
_DENSE = "save its tensors dense, with to_dense() or dequantize(), and upload that"
# What to do about a file that holds other tensors, by what differs. Every way out has its words,
# for the maintainer may have meant the file or the entry.
MISFIT = {
    "classes": "write the URL of a checkpoint that was trained on this model's classes",
    "classifier": "the file lacks the model's classifier: upload the checkpoint with it, or write "
    "the URL of one that has it",
    "extra": "upload a checkpoint without the extra tensors, or name the variant that has them",
    "names": "as many tensors of the same shapes have other names: rename those in the file, or "
    "name the builder that uses them",
    "types": "upload the tensors in the model's types",
    "other": "write the URL of this variant's own checkpoint",
}


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """Findings on Weights and SHA256, from the fetched file and from what it holds."""
    variant = evidence.variant
    for stated in variant.claims_of("SHA256"):
        if not isinstance(stated.value, str):
            yield not_read(stated, variant, _SHA256)
    claims = list(variant.claims_of("Weights"))
    if len(claims) > 1:
        yield from _of_several_files(evidence, claims)
    elif claims:
        yield from _of_one_file(evidence, claims[0])
    for claim in variant.claims_of("Mirrors") if claims else ():
        if isinstance(claim.value, str) and (absent := _absent(evidence, claim, claim.value)):
            yield replace(absent, check=_MIRROR)
    yield from find_in_mirrors(evidence, claims)
    hub, part = variant.claim("Hub"), hub_part(variant)
    if hub is not None and isinstance(hub.value, str) and ("file", part) in evidence.facts:
        # Asked about by its header alone, or where the index names no other file.
        hub = replace(hub, value=of_repository(str(hub.value)))
        yield from _of_one_file(evidence, hub) if part is None else _beside(evidence, hub, part)


def hub_part(variant: Variant) -> str | None:
    """Which file of a variant the one of its ``Hub`` is: its only one, or one beside Weights."""
    claim = variant.claim("Hub")
    if claim is None or not isinstance(claim.value, str) or not any(variant.claims_of("Weights")):
        return None
    return of_repository(claim.value)


def opened_file(
    facts: Mapping[Slot, Fact], variant: Variant
) -> tuple[str | None, Measurement] | None:
    """The file whose tensors are compared, and which it is: the first that can be opened.

    That behind Weights is, unless only the one on the Hub says what it holds.
    """
    first = None
    for part in dict.fromkeys((None, hub_part(variant))):
        file = facts.get(("file", part))
        if not isinstance(file, Measurement):
            continue
        if file.value["path"] is not None or file.value.get("header") is not None:
            return part, file
        first = first or (part, file)
    return first


def _stated(evidence: Evidence) -> Iterator[tuple[Claim, str]]:
    """The SHA256 claims that can be read, with their digits."""
    for claim in evidence.variant.claims_of("SHA256"):
        if isinstance(claim.value, str):
            yield claim, claim.value


def _of_one_file(evidence: Evidence, claim: Claim) -> Iterator[Finding | Need]:
    variant = evidence.variant
    if not isinstance(claim.value, str):
        yield not_read(claim, variant, _FILE)
        why = missing_for(variant, "hash")
        yield from _unhashed(evidence, UNREADABLE, f"not compared: {why}")
        return
    file = evidence.measurement("file")
    if file is None:
        absent = _absent(evidence, claim, None)
        if absent is not None:
            yield absent
            missing = evidence.unmeasured("file")
            assert missing is not None
            yield from _unhashed(evidence, missing.cause, f"not compared: {missing.why}")
        return
    sha256, mirror = file.value["sha256"], file.value.get("mirror")
    if mirror is not None and (absent := _absent(evidence, claim, claim.value)):
        yield absent  # what follows is said of the mirror's file
    if sha256 is not None:
        if mirror is None:
            yield from _name_against_file(evidence, claim, file)
        for stated, digits in _stated(evidence):
            yield _stated_against_file(variant, stated, digits, sha256)
    yield from _tensors(evidence, claim, file, None)
    if sha256 is None:  # a header alone has none
        yield from _unhashed(evidence, "weights.unreachable", _NOT_DOWNLOADED)


def _beside(evidence: Evidence, claim: Claim, part: str) -> Iterator[Finding | Need]:
    """Findings on the file of a repository that is named beside Weights."""
    file = evidence.measurement("file", part)
    if file is not None:
        yield from _tensors(evidence, claim, file, part)
    elif absent := _absent(evidence, claim, part):
        yield absent


def _tensors(
    evidence: Evidence, claim: Claim, file: Measurement, part: str | None
) -> Iterator[Finding | Need]:
    """Whether the file stays the one that it is, and what it holds, where it can be opened."""
    mirror = file.value.get("mirror")
    if mirror is None:
        yield from _moving(evidence, claim, file, part)
    if file.value["path"] is None and file.value.get("header") is None:
        # The same message for both claims: a report groups files that were not downloaded.
        cause = "weights.unreachable"
        yield unverified(claim, evidence.variant, "weights-tensors", cause, _NOT_DOWNLOADED)
        return
    opened = opened_file(evidence.facts, evidence.variant)
    if opened is not None and opened[0] != part:
        return
    if ("checkpoint", None) not in evidence.facts:
        yield CHECKPOINT
        return
    found = _contents(evidence, claim)
    about = f"of the mirror {shown(mirror)}: " if mirror is not None else ""
    yield replace(found, message=f"{about}{found.message}")


def _moving(
    evidence: Evidence, claim: Claim, file: Measurement, part: str | None
) -> Iterator[Finding]:
    """A revision that can move, with the commit to write if what is there now is worth keeping."""
    commit = file.value.get("commit")
    moves = pinned(str(claim.value), commit) if commit is not None else None
    if moves is None or moves == claim.value:
        return
    message = (
        f"the revision can move to other files; the one that was checked is at commit {commit}"
    )
    known = file.value["sha256"] is not None or file.value.get("header") is not None
    opened, found = (
        opened_file(evidence.facts, evidence.variant),
        evidence.measurement("checkpoint"),
    )
    if opened is not None and opened[0] == part and found is not None:
        known = found.value["refused"] is None and bool(found.value.get("fits"))
    if not known:
        message = f"the revision can move to other files; commit {commit} has no checkpoint to keep"
    # The id of a repository has no place for a commit.
    edits = (replaced(claim, moves),) if known and claim.field == "Weights" else ()
    cause = "weights.moving-revision"
    yield mismatched(claim, evidence.variant, _FILE, cause, commit, message, edits=edits)


def _of_several_files(evidence: Evidence, claims: Sequence[Claim]) -> Iterator[Finding]:
    """Each file of a list is a claim of its own; none of them is taken for the model."""
    variant = evidence.variant
    hashes: list[str | None] = []
    for claim in claims:
        if not isinstance(claim.value, str):
            yield not_read(claim, variant, _FILE)
            hashes.append(None)
            continue
        file = evidence.measurement("file", claim.value)
        hashes.append(None if file is None else file.value["sha256"])
        if file is None:
            absent = _absent(evidence, claim, claim.value)
            if absent is not None:
                yield absent
        elif file.value["sha256"] is None:
            yield unverified(claim, variant, _FILE, "weights.unreachable", _NOT_DOWNLOADED)
        else:
            findings = list(_name_against_file(evidence, claim, file))
            yield from findings
            if all(f.status == "match" for f in findings):
                message = f"not compared: {UNDECIDED}"
                yield unverified(claim, variant, "weights-tensors", SEVERAL, message)
    for stated, digits in _stated(evidence):
        yield _stated_against_several(variant, stated, digits, hashes)


def _absent(evidence: Evidence, claim: Claim, url: str | None) -> Finding | None:
    """The finding on a file that could not be had; one that was not requested has none."""
    missing = evidence.unmeasured("file", url)
    if missing is None:
        return None
    variant = evidence.variant
    if severity_of(missing.cause) == "error":
        return mismatched(claim, variant, _FILE, missing.cause, None, missing.why)
    # Of an address that may be right another check warns; here there is nothing to compare.
    return unverified(claim, variant, _FILE, missing.cause, f"not compared: {missing.why}")


def _unhashed(evidence: Evidence, cause: str, message: str) -> Iterator[Finding]:
    """A claimed SHA-256 that no file could be held against is not passed over."""
    for stated, _ in _stated(evidence):
        yield unverified(stated, evidence.variant, _SHA256, cause, message)


def _name_against_file(evidence: Evidence, claim: Claim, file: Measurement) -> Iterator[Finding]:
    """The head of the SHA-256 that is in the name of many files."""
    sha256, head = file.value["sha256"], file.value["name_hash"]
    if head is None:
        return
    if sha256.startswith(head):
        message = f"the SHA-256 of the file begins with {head}, as its name says"
        yield matched(claim, evidence.variant, _HASH, sha256, message)
        return
    message = (
        f"the SHA-256 of the file is {sha256}, and its name says that it begins with {head}: the "
        "file is another one, or damaged; upload the right one"
    )
    yield mismatched(claim, evidence.variant, _HASH, "weights.hash-mismatch", sha256, message)


def _stated_against_file(variant: Variant, stated: Claim, digits: str, sha256: str) -> Finding:
    if not sha256.startswith(digits):
        message = (
            f"the file behind Weights has the SHA-256 {sha256}; write it, or upload the file that "
            "was meant"
        )
        edits, cause = (replaced(stated, sha256),), "weights.hash-mismatch"
        return mismatched(stated, variant, _SHA256, cause, sha256, message, edits=edits)
    message = "the file has this SHA-256"
    if len(sha256) > len(digits):
        message = f"the file's SHA-256 begins with these digits; write all {len(sha256)}: {sha256}"
    return matched(stated, variant, _SHA256, sha256, message)


def _stated_against_several(
    variant: Variant, stated: Claim, digits: str, hashes: Sequence[str | None]
) -> Finding:
    own = next((h for h in hashes if h is not None and h.startswith(digits.lower())), None)
    if own is not None:
        return matched(stated, variant, _SHA256, own, "one of the files has this SHA-256")
    if None in hashes:
        message = "not compared: not every file behind Weights could be hashed"
        return unverified(stated, variant, _SHA256, "weights.unreachable", message)
    message = "none of the files behind Weights has this SHA-256; write that of the one meant"
    return mismatched(stated, variant, _SHA256, "weights.hash-mismatch", None, message)


def _contents(evidence: Evidence, claim: Claim) -> Finding:
    variant, check = evidence.variant, "weights-tensors"
    fact = evidence.measurement("checkpoint")
    if fact is None:
        return not_measured(evidence, claim, check, "checkpoint", verb="compared")
    value = fact.value
    if value["refused"] is not None:
        odd = value["refused"] == "weights.unreadable" and value.get("odd_layout")
        remedy = _DENSE if odd else REFUSED[value["refused"]]
        message = f"the file is not loaded: {value['why']}; {remedy}"
        return mismatched(claim, variant, check, value["refused"], None, message)
    if value["fits"] and value.get("all_zero"):
        message = (
            "every weight of the file is 0, so that the model answers alike to all images; upload "
            "the trained ones"
        )
        cause = "weights.all-zero"
        return mismatched(claim, variant, check, cause, value["tensors"], message)
    if value["fits"]:
        unread = ["by the file's header: its values were not read"] * bool(value.get("by_header"))
        message = "; ".join((f"{value['sentence']} the model", *value["notes"], *unread))
        return matched(claim, variant, check, value["tensors"], message)
    holds = [name for name in value["holds"] if name != variant.name]
    if holds:
        what, remedy = f"this file holds {' or '.join(holds)}", MISFIT["other"]
    else:
        what, remedy = "the file's tensors are not this model's", MISFIT[value["misfit"]]
    message = f"{what}{_entry(value)}: {value['sentence']}; {remedy}"
    return mismatched(claim, variant, check, "weights.tensors-differ", value["tensors"], message)


def _entry(value: Mapping[str, Any]) -> str:
    """Which of several state dicts was compared, empty where the file has only one."""
    others = value["others"]
    if not others:
        return ""
    return f" (compared was its entry {value['entry']!r}, and not {' or '.join(map(repr, others))})"


# -- mirrors: whether each is there, and serves the file that Weights names ----------------


def find_in_mirrors(evidence: Evidence, weights: Sequence[Claim]) -> Iterator[Finding]:
    """One finding per mirror that was asked for: absent, another file, or the same.

    It is held against the files of ``weights`` as they are; where none of them could be had,
    against the SHA-256 that is stated, or that is in the name of the file.
    """
    variant = evidence.variant
    originals = [fact for claim in weights if (fact := _file_at(evidence, claim)) is not None]
    for claim in variant.claims_of("Mirrors"):
        if not isinstance(claim.value, str):
            yield not_read(claim, variant, _MIRROR)
            continue
        if not weights:
            cause = "schema.unreadable-dependency"
            yield unverified(claim, variant, _MIRROR, cause, f"{_NO_WEIGHTS}; write it as Weights")
            continue
        fact = _file_at(evidence, claim)
        if fact is not None:
            yield _mirror_compared(evidence, claim, fact, originals, weights)


def _file_at(evidence: Evidence, claim: Claim) -> Measurement | None:
    return evidence.measurement("file", claim.value if isinstance(claim.value, str) else None)


def _mirror_compared(
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
            return _mirror_differs(evidence, claim, size, what)
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
        return _mirror_differs(evidence, claim, sha256, f"has the SHA-256 {sha256}, and {other}")
    why = "not compared: the file of Weights could not be had, and no SHA256 of it is stated"
    return unverified(claim, variant, _MIRROR, "weights.unreachable", why, sha256)


def _mirror_differs(evidence: Evidence, claim: Claim, measured: int | str, what: str) -> Finding:
    message = (
        f"this mirror serves another file than Weights: it {what}; upload the same file there, or "
        "take the mirror out"
    )
    cause = "weights.mirror-differs"
    return mismatched(claim, evidence.variant, _MIRROR, cause, measured, message)


# It needs nothing to start from: the run fetches the files of all variants before any check.
CHECK = VariantCheck("weights", "weights", lambda size: (), find)
