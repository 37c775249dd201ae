"""A changed text, read again: it must say what was to be changed, and all else as before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zoo._util.text import shown
from zoo.index.structure import Contents
from zoo.index.types import Claim, Collection, Location, Value, Variant


@dataclass(frozen=True)
class Expected:
    """What a changed text has to say.

    Attributes:
        replaced: where a value stood -> the claim as it is to be read now.
        added: where the value stands below which keys are added -> field -> value.
    """

    replaced: dict[Location, Claim] = field(default_factory=dict)
    added: dict[Location, dict[str, Value]] = field(default_factory=dict)

    def include(self, other: Expected) -> None:
        """Expect what another one expects as well."""
        self.replaced.update(other.replaced)
        self.added.update(other.added)


def objection(old: Contents, new: Contents, expected: Expected) -> str:
    """What a text would say that it should not; empty where it says what it should."""
    if [c.name for c in old.collections] != [c.name for c in new.collections] or [
        v.name for v in old.variants
    ] != [v.name for v in new.variants]:
        return "the page would no longer list the same entries"
    if [target for target, _ in old.imports] != [target for target, _ in new.imports]:
        return "the page would no longer import the same files"
    entries: Iterable[tuple[Variant | Collection, Variant | Collection]] = (
        *zip(old.collections, new.collections, strict=True),
        *zip(old.variants, new.variants, strict=True),
    )
    for before, after in entries:
        why = _changed(before.claims, after.claims, expected)
        if why:
            return f"{shown(before.name)} would {why}"
    problems = Counter((p.cause, p.variant, p.field) for p in new.problems)
    problems.subtract((p.cause, p.variant, p.field) for p in old.problems)
    for (cause, _, name), count in problems.items():
        if count > 0:
            return f"{shown(name or 'the page')} would be wrong ({cause})"
    return ""


def _changed(before: Sequence[Claim], after: Sequence[Claim], expected: Expected) -> str:
    wanted: dict[str, Value] = {}
    claims = []
    for claim in before:
        new = expected.replaced.get(claim.location)
        claims.append(claim if new is None or new.field != claim.field else new)
        wanted |= expected.added.get(claim.location, {})
    if not wanted and len(claims) == len(after) and all(map(_same, claims, after)):
        return ""
    left = Counter(map(_said, after))
    left.subtract(map(_said, claims))
    for said, count in left.items():
        name, value = said[0], said[2]
        if count < 0:
            return f"lose what it says of {shown(name)}"
        if count and not (name in wanted and str(wanted[name]) == value):
            return f"say something new of {shown(name)}"
    for name, needed in wanted.items():
        # The first claim of a field is the one that counts.
        found = next((c for c in after if c.field == name), None)
        if found is None or found.value != needed:
            return f"not say {shown(name)}"
    return ""


def _said(claim: Claim) -> tuple[str, ...]:
    """All that a claim says but for where it stands, in a form that can be counted."""
    return (
        claim.field,
        claim.raw,
        str(claim.value),
        claim.unit,
        str(claim.step),
        str(claim.quoted),
        str((claim.task, claim.dataset, claim.images)),
    )


def _same(one: Claim, other: Claim) -> bool:
    return one.field == other.field and one.raw == other.raw and _said(one) == _said(other)
