"""Whether a count differs because the builder has another model under that name.

Libraries give old names to new architectures. Then the documentation is right about a model that
this builder doesn't build, and to write the built model's count would spoil it. That is said only
where something besides the count shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.check.compare import agrees, digits, grouped, number, senses
from harness.types import Finding
from zoo.index.types import Claim, Location, Variant

CAUSE = "parameters.alias"

_COUNT = "Parameters"

# A float32 checkpoint holds four bytes per parameter and little else.
_FLOAT32 = 4
_LEAST_SIZE, _MOST_SIZE = 0.995, 1.02
# What else is said of a variant by the model that was built, not by its own files.
_OF_THE_MODEL = frozenset(
    {"flops.differs", "layers.differs", "size.impossible", "size.larger", "size.half-precision"}
)
# So many digits of a count are not equal by chance.
_ENOUGH_DIGITS = 4
_SAME_FILE = 0.005
_WORD = re.compile(r"[a-z0-9]+")


def told_apart(
    findings: Iterable[Finding], variants: Sequence[Variant], names: Mapping[str, str]
) -> list[Finding]:
    """The findings, those of a count that differs with the reason where another model is built.

    Then the model says nothing about the variant's other numbers, which are not checked.

    Args:
        findings: of a whole run.
        variants: all that the index documents.
        names: variant -> the name that its builder builds it under.
    """
    findings = list(findings)
    # A count whose rule is known is this model's own.
    wrong = {f.location for f in findings if _is_unexplained(f)}
    if not wrong:
        return findings
    by_place = {c.location: v for v in variants for c in v.claims_of(_COUNT)}
    # A count that is wrong itself says nothing of another variant.
    right = [v for v in variants if not any(c.location in wrong for c in v.claims_of(_COUNT))]
    # Whose FLOPs are the built model's is that model, and its count is only wrong.
    same = {f.variant for f in findings if f.field == "FLOPs" and f.status == "match"}
    told = [
        _told(f, by_place, variants, right, names)
        if _is_unexplained(f) and f.variant not in same
        else f
        for f in findings
    ]
    aliases = {f.variant for f in told if f.cause == CAUSE}
    return [_left_open(f) if f.variant in aliases else f for f in told]


def _is_unexplained(finding: Finding) -> bool:
    return finding.cause == "parameters.differs" and not finding.rules


def _told(
    finding: Finding,
    by_place: Mapping[Location, Variant],
    variants: Sequence[Variant],
    right: Sequence[Variant],
    names: Mapping[str, str],
) -> Finding:
    variant = None if finding.location is None else by_place.get(finding.location)
    if variant is None or not isinstance(finding.measured, int):
        return finding
    claim = next(c for c in variant.claims_of(_COUNT) if c.location == finding.location)
    reason = _other_documented(variant, finding.measured, right)
    if reason is None:
        others = [v for v in variants if v.name != variant.name]
        reason = _size_agrees(variant, claim, finding.measured, others)
    if reason is None:
        return finding
    today = names.get(variant.name, variant.name)
    what = f"{today} is built" if today != variant.name else "another model is built"
    message = (
        f"{what} under this name, with {grouped(finding.measured)} parameters, not {claim.raw}: "
        f"{reason}; name the variant as this builder does, or choose the builder that has it"
    )
    return replace(finding, cause=CAUSE, message=message, edits=(), annotate_edits=())


def _left_open(finding: Finding) -> Finding:
    """A finding about a variant that was not built: what another model's number says of it."""
    # What was read off the file itself has a measured size, and holds.
    of_file = finding.field == "File Size" and finding.measured is not None
    if finding.cause not in _OF_THE_MODEL or of_file:
        return finding
    message = f"not measured: another model is built under this name, see its {_COUNT}"
    return replace(
        finding,
        status="unverified",
        severity=None,
        cause=CAUSE,
        measured=None,
        message=message,
        edits=(),
        annotate_edits=(),
        rules=(),
    )


def _other_documented(variant: Variant, built: int, others: Iterable[Variant]) -> str | None:
    """The built count is documented for another variant, which is not documented as alike."""
    for other in others:
        count = other.claim(_COUNT)
        if count is None or digits(count) < _ENOUGH_DIGITS or not agrees(count, built):
            continue
        if not _alike(variant, other) and not _of_one_name(variant.name, other.name):
            return f"that is the count documented for {other.name}"
    return None


def _size_agrees(
    variant: Variant, claim: Claim, built: int, others: Iterable[Variant]
) -> str | None:
    """The documented File Size is that of the documented count, and not of the built one."""
    size, count = variant.claim("File Size"), number(claim)
    bytes_ = None if size is None else number(size)
    if size is None or not bytes_ or not count:
        return None
    read = [float(number(sense) or 0) for sense in senses(size)]
    if not any(_holds(each, float(count)) for each in read):
        return None
    if any(_holds(each, float(built)) for each in read):
        return None
    for other in others:  # A size that stands twice may have been copied from there.
        their_size = other.claim("File Size")
        if their_size is not None and number(their_size) == bytes_:
            return None
    return f"the documented File Size, {size.raw}, is that of {claim.raw} parameters as well"


def _holds(size: float, parameters: float) -> bool:
    return _LEAST_SIZE <= size / (_FLOAT32 * parameters) <= _MOST_SIZE if parameters else False


def _alike(one: Variant, other: Variant) -> bool:
    """Whether two variants may be one architecture: their files or their FLOPs are the same."""
    for field, slack in (("File Size", _SAME_FILE), ("FLOPs", 0.0)):
        first, second = one.claim(field), other.claim(field)
        a = None if first is None else number(first)
        b = None if second is None else number(second)
        if a and b and abs(float(a / b) - 1) <= slack:
            return True
    return False


def _of_one_name(one: str, other: str) -> bool:
    """Whether all words of one name stand in the other: resnet50 and ssl_resnet50 are one model."""
    first, second = (set(_WORD.findall(name.partition(".")[0].lower())) for name in (one, other))
    return bool(first) and (first <= second or second <= first)
