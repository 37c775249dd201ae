"""Whether the builder has the variant at all, could build it, and built what is documented."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import log10

from harness.causes import severity_of
from harness.check.base import Evidence, Need, mismatched, replaced, unverified
from harness.check.compare import agrees, digits, grouped, number, senses
from harness.check.schema import UNREADABLE
from harness.types import ANOTHER_ARCHITECTURE, Fact, Finding, Measurement, Slot, Unmeasured
from zoo.index.types import Claim, Location, Variant

ALIAS = "parameters.alias"

_COUNT = "Parameters"

# A float32 checkpoint holds four bytes per parameter and little else.
_FLOAT32 = 4
_LEAST_SIZE, _MOST_SIZE = 0.995, 1.02
# Causes that follow from the built model, not from the variant's own files.
_OF_THE_MODEL = frozenset(
    {"flops.differs", "activations.differs", "layers.differs"}
    | {"size.impossible", "size.larger", "size.half-precision"}
)
_UNEXPLAINED = frozenset({"flops.differs", "parameters.differs"})
# So many digits of a count are not equal by chance.
_ENOUGH_DIGITS = 4
_SAME_FILE = 0.005
# What is said of a number that another entry's model gives, and the fewest digits that say so.
_ELSEWHERE = "a count of another entry's model"
_LONG = 5
# Of the counts above and below a built one, so many are compared with it.
_MOST_COMPARED = 100
_WORD = re.compile(r"[a-z0-9]+")


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding, on the variant's Name, where no fact could be made of it."""
    name = evidence.variant.claim("Name")
    if name is None:
        return
    made = [fact for (kind, _), fact in evidence.facts.items() if not _beside(kind, fact)]
    failures = [f for f in made if isinstance(f, Unmeasured)]
    if any(f.cause == UNREADABLE for f in failures):
        return  # Nothing was built, for a reason that is not the builder's.
    if failures and len(failures) == len(made):
        first = failures[0]
        if severity_of(first.cause) == "error":
            yield mismatched(name, evidence.variant, "build", first.cause, None, first.why)
        else:
            yield unverified(name, evidence.variant, "build", first.cause, first.why)


def _beside(kind: str, fact: Fact) -> bool:
    """Whether the fact is made without building: a file, or what a library states of weights."""
    return kind == "file" or (kind == "preprocess" and isinstance(fact, Measurement))


def apply_alias_findings(
    findings: Iterable[Finding], variants: Sequence[Variant], names: Mapping[str, str]
) -> list[Finding]:
    """A run's findings, a count's with the reason where the builder has another model of that name.

    Libraries give old names to new architectures. Then the documentation is right about a model
    that this builder doesn't build, and to write the built model's count would spoil it; the
    variant's other numbers are not checked. It takes more than the count to conclude that.
    ``names`` gives the name that the builder builds a variant under.
    """
    findings = [_of_another(f) for f in findings]
    # A count whose rule is known is this model's own.
    wrong = {f.location for f in findings if _is_unexplained(f)}
    if not wrong and all(f.cause != ALIAS for f in findings):
        return findings
    by_place = {c.location: v for v in variants for c in v.claims_of(_COUNT)}
    # A count that is wrong itself says nothing of another variant.
    right = [v for v in variants if not any(c.location in wrong for c in v.claims_of(_COUNT))]
    # Whose FLOPs are the built model's is that model, and its count is only wrong.
    same = {f.variant for f in findings if f.field == "FLOPs" and f.status == "match"}
    counts, sizes = _Counts(right), _names_by_size(variants)
    applied = [
        _with_alias(f, by_place, counts, sizes, names)
        if _is_unexplained(f) and f.variant not in same
        else f
        for f in findings
    ]
    aliases = {f.variant for f in applied if f.cause == ALIAS}
    return [_left_open(f) if f.variant in aliases else f for f in applied]


def _of_another(finding: Finding) -> Finding:
    """A count that the builder itself gives another model, which the entry's config should build.

    Then it is the config that is wrong, and no number beside it.
    """
    words, measured = next(iter(finding.rules), ""), finding.measured
    differs = finding.cause == "parameters.differs" and isinstance(measured, int)
    if not differs or not words.endswith(ANOTHER_ARCHITECTURE):
        return finding
    message = (
        f"another model is built under this name, with {measured:,} parameters: "
        f"{finding.documented} is {words}; correct the entry's config, and not the number"
    )
    severity = severity_of(ALIAS)
    return replace(finding, cause=ALIAS, severity=severity, message=message, edits=())


def _is_unexplained(finding: Finding) -> bool:
    return finding.cause == "parameters.differs" and not finding.rules


def _with_alias(
    finding: Finding,
    by_place: Mapping[Location, Variant],
    counts: _Counts,
    sizes: Mapping[Decimal, set[str]],
    names: Mapping[str, str],
) -> Finding:
    variant = None if finding.location is None else by_place.get(finding.location)
    if variant is None or not isinstance(finding.measured, int):
        return finding
    claim = next(c for c in variant.claims_of(_COUNT) if c.location == finding.location)
    if _is_beside(claim, finding.measured):
        return finding
    reason = _other_documented(variant, finding.measured, counts)
    reason = reason and (counts.copied(variant) or reason)
    if reason is None:
        reason = _size_agrees(variant, claim, finding.measured, sizes)
    if reason is None:
        return finding
    today = names.get(variant.name, variant.name)
    what = f"{today} is built" if today != variant.name else "another model is built"
    message = (
        f"{what} under this name, with {grouped(finding.measured)} parameters, not {claim.raw}: "
        f"{reason}; name the variant as this builder does, or choose the builder that has it"
    )
    return replace(finding, cause=ALIAS, message=message, edits=(), annotate_edits=())


def _is_beside(claim: Claim, measured: int) -> bool:
    """Whether a long number misses the count by its last digit: no other model is so near."""
    written, step = number(claim), claim.step or Decimal(1)
    return written is not None and digits(claim) >= 4 and abs(written - measured) < 2 * step


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
        cause=ALIAS,
        measured=None,
        message=message,
        edits=(),
        annotate_edits=(),
        rules=(),
    )


def apply_other_entries(
    findings: Iterable[Finding],
    variants: Sequence[Variant],
    facts: Mapping[int, Mapping[Slot, Fact]],
) -> list[Finding]:
    """A run's findings, a count that nothing explains with the entry whose model gives it.

    Rows are copied and exchanged. A number that is too short to say so is left as it is.
    """
    findings = list(findings)
    is_open = {f.location for f in findings if f.cause in _UNEXPLAINED and not f.rules}
    held = {f.location for f in findings if f.status == "match"}
    by_place, rows = dict[Location, tuple[Variant, Claim]](), dict[tuple[object, ...], Variant]()
    for variant in variants:
        claims = _pair(variant)
        if any(c.location in is_open for c in claims):
            by_place |= {c.location: (variant, c) for c in claims}
        elif len({c.field for c in claims}) > 1 and all(c.location in held for c in claims):
            rows.setdefault(tuple(c.value for c in claims), variant)
    if not by_place:
        return findings
    given = {field: sorted(_given(variants, facts, field)) for field in (_COUNT, "FLOPs")}
    distinct = {field: len({value for value, *_ in counts}) for field, counts in given.items()}

    def told(finding: Finding) -> Finding:
        found = None if finding.location is None else by_place.get(finding.location)
        if found is None or finding.cause not in _UNEXPLAINED:
            return finding
        variant, claim = found
        head = finding.message.partition("; ")[0]
        remedy = finding.message[finding.message.rindex("write ") :]
        claims = _pair(variant)
        row = rows.get(tuple(c.value for c in claims))
        if row and sum(map(digits, claims)) >= max(_LONG, 2 + log10(len(rows))):
            both = " and ".join(c.raw for c in claims)
            what = f"{both} stand at {row.name} as well, whose model has them"
            message = f"{head}; {what}; {remedy.partition(', or ')[0]}"
            edits = finding.edits or (replaced(claim, finding.measured or 0),)
            severity = severity_of(finding.cause)
            finding = replace(finding, message=message, severity=severity, edits=edits)
            return replace(finding, rules=(_ELSEWHERE,))
        counts, value, step = given[claim.field], number(claim), claim.step or Decimal(1)
        enough = max(_LONG, 2 + log10(distinct[claim.field] or 1))
        if finding.rules or value is None or digits(claim) < enough:
            return finding
        near = counts[bisect_left(counts, (value - step,)) : bisect_left(counts, (value + step,))]
        others = [
            (variants[place].collection is not variant.collection, changed, place, words)
            for count, changed, place, words in near
            if agrees(claim, count) and variants[place].name != variant.name
        ]
        if not others:
            return finding
        message = f"{head}; {claim.raw} is {min(others)[-1]}; {remedy}"
        return replace(finding, message=message, rules=(_ELSEWHERE,))

    return [told(f) for f in findings]


def _pair(variant: Variant) -> list[Claim]:
    """What a variant documents of its parameters, and then of its FLOPs."""
    return [*variant.claims_of(_COUNT), *variant.claims_of("FLOPs")]


def _given(
    variants: Sequence[Variant], facts: Mapping[int, Mapping[Slot, Fact]], field: str
) -> Iterator[tuple[int, int, int, str]]:
    """What each entry's model gives: a count, how far it is from plain, of whom, in words."""
    for place, variant in enumerate(variants):
        for (kind, size), fact in facts.get(id(variant), {}).items():
            if not isinstance(fact, Measurement):
                continue
            if field == _COUNT and kind == "structure":
                words = f"the number of parameters of {variant.name}"
                yield int(fact.value["parameters"]), 0, place, words
            elif field != _COUNT and kind == "flops" and isinstance(size, tuple):
                # The plainest first: several counters have one figure.
                ordered = sorted(fact.value["counts"], key=lambda c: bool(c["variation"]))
                for rank, count in enumerate(ordered):
                    how = " ".join(filter(None, (count["convention"], count["variation"])))
                    words = f"what {how} counts of {variant.name} at {size[0]}x{size[1]}"
                    yield int(count["value"]), rank, place, words


class _Counts:
    """The counts that variants document, for those that agree with a built one.

    Those next to it in their order are looked at: a model has few that are as near.
    """

    def __init__(self, variants: Sequence[Variant]) -> None:
        self._rows = {row: v for v in reversed(variants) if (row := _row(v)) is not None}
        found = ((v.claim(_COUNT), place, v) for place, v in enumerate(variants))
        self._sorted = sorted(
            (number(c) or Decimal(0), place, c, v)
            for c, place, v in found
            if c is not None and digits(c) >= _ENOUGH_DIGITS
        )

    def copied(self, variant: Variant) -> str | None:
        """All that is counted of the variant is what stands at another one, whose count is right.

        A name that a library has given to another network since was documented with its old one's.
        """
        other = self._rows.get(_row(variant) or ())
        if other is None or other.name == variant.name:
            return None
        return f"all its counts are those documented for {other.name}"

    def agreeing(self, built: int) -> list[Variant]:
        """The variants with such a count, in the order of the index."""
        at = bisect_left(self._sorted, (Decimal(built),))
        near = self._sorted[max(0, at - _MOST_COMPARED) : at + _MOST_COMPARED]
        return [v for _, v in sorted((place, v) for _, place, c, v in near if agrees(c, built))]


def _row(variant: Variant) -> tuple[object, ...] | None:
    """What a variant documents of its counts and their input; None where it is less than that."""
    claims = [variant.claim(field) for field in (_COUNT, "FLOPs", "Activations", "Image Size")]
    values = tuple(None if claim is None else claim.value for claim in claims)
    return values if values.count(None) < 2 and None not in values[:2] else None


def _names_by_size(variants: Iterable[Variant]) -> dict[Decimal, set[str]]:
    """File Size -> the names of the variants that document it, two where there are more."""
    found: dict[Decimal, set[str]] = {}
    for variant in variants:
        claim = variant.claim("File Size")
        size = None if claim is None else number(claim)
        if size is not None and len(names := found.setdefault(size, set())) < 2:
            names.add(variant.name)
    return found


def _other_documented(variant: Variant, built: int, counts: _Counts) -> str | None:
    """The built count is documented for another variant, which is not documented as alike."""
    for other in counts.agreeing(built):
        if not _alike(variant, other) and not _of_one_name(variant.name, other.name):
            return f"that is the count documented for {other.name}"
    return None


def _size_agrees(
    variant: Variant, claim: Claim, built: int, sizes: Mapping[Decimal, set[str]]
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
    if sizes.get(bytes_, set()) - {variant.name}:
        return None  # A size that stands twice may have been copied from there.
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
