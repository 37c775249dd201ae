"""Apply several edits to one file; an edit whose result does not read back as meant is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise

from harness.check.compare import agrees
from harness.edit.spelling import in_place_of, spellings
from harness.edit.yaml_edit import (
    EditRefused,
    KeyNode,
    Replacement,
    YamlFile,
    apply_replacements,
    insert_key,
    replace_sides,
    replace_value,
)
from harness.explain.flops_messages import UNSAID
from harness.types import Edit, Finding
from zoo._util.text import shown
from zoo.index.entries import IndexContents
from zoo.index.nodes import Scalar
from zoo.index.nodes import Sequence as ListNode
from zoo.index.schema import FIELDS, canonical
from zoo.index.types import Claim, Collection, Location, Value, Variant
from zoo.index.values import Wrong, read_value, with_unit

Edits = tuple[Edit, ...]
_TWO_KEYS = "two figures ask for different values of one key"
_TWO_VALUES = "two findings ask for different values of it"


@dataclass(frozen=True)
class Expected:
    """What a changed text has to say.

    Attributes:
        replaced: where a value stood -> the claim as it is to be read now.
        added: where the value stands below which keys are added -> field -> value.
    """

    replaced: dict[Location, Claim] = field(default_factory=dict)
    added: dict[Location, dict[str, Value]] = field(default_factory=dict)


@dataclass(frozen=True)
class EditUnit:
    """Edits that are made together or not at all, for the findings that ask for them."""

    findings: tuple[Finding, ...]
    replacements: tuple[Replacement, ...]
    expected: Expected


@dataclass(frozen=True)
class Draft:
    """A file's new text, and the units that are in it."""

    text: str
    units: tuple[EditUnit, ...] = ()
    replacements: tuple[Replacement, ...] = ()


class Drafter:
    """Drafts the edits of one file, in which ``fields`` change or get others below them."""

    def __init__(self, file: YamlFile, fields: Iterable[str]) -> None:
        self._file = file
        self._nodes = file.key_nodes(fields)
        entries: list[Variant | Collection] = [*file.contents.variants, *file.contents.collections]
        self._claims = {(c.location, c.field): c for entry in entries for c in entry.claims}
        self._names: dict[Location, set[str]] = {}
        for entry in entries:
            for claim in entry.claims:
                self._names.setdefault(claim.location, set()).add(entry.name)
        self._steps: dict[str, Counter[Decimal]] = {}

    def unit(self, edits: Edits, findings: Sequence[Finding]) -> EditUnit:
        """The replacements that some edits come to.

        Raises:
            EditRefused: one of them can't be made in this text.
        """
        changes: list[Replacement] = []
        expected = Expected()
        for edit in edits:
            here = self._nodes.get(edit.location, ())
            if edit.added and self._file.contents.is_table and edit.value in UNSAID:
                continue
            if edit.added:
                below = [node for node in here if canonical(node.key.text) == findings[0].field]
                changes += [insert_key(self._file, n, edit.field, _plain(edit)) for n in below]
                expected.added.setdefault(edit.location, {})[edit.field] = edit.value
                continue
            node = next((n for n in here if canonical(n.key.text) == edit.field), None)
            claim = self._claims.get((edit.location, edit.field))
            if node is None or claim is None:
                raise EditRefused("its place in the text is not found")
            made, expected.replaced[edit.location] = self._replaced(node, claim, edit)
            changes += made
        return EditUnit(tuple(findings), tuple(changes), expected)

    def _replaced(self, at: KeyNode, claim: Claim, edit: Edit) -> tuple[list[Replacement], Claim]:
        """The replacements that write the value, and the claim as it is to be read then."""
        node = at.value
        row = FIELDS[edit.field]
        if isinstance(node, ListNode) and isinstance(edit.value, tuple):
            changes = replace_sides(self._file, node, edit.value)
            texts = [item.text for item in node.items[:-2] if isinstance(item, Scalar)]
            raw = ", ".join([*texts, *map(str, edit.value)])
            return changes, replace(claim, raw=raw, value=edit.value)
        if not isinstance(node, Scalar):
            raise EditRefused("it is not written as one value")
        for new in spellings(node.text, row, edit, self._step(claim), claim.scale):
            try:
                whole, raw = with_unit(replace(node, text=new), new, claim.scale, row)
                value, step, quoted = read_value(whole, row, new)
            except Wrong:
                continue
            text = new if node.written is None else in_place_of(node.written, node.text, new)
            raw = text if raw == new else raw
            written = replace(claim, raw=raw, value=value, step=step, quoted=quoted)
            if _holds(written, edit):
                return [replace_value(self._file, node, text)], written
        raise EditRefused(f"{edit.value} can't be written as this page writes {edit.field}")

    def _step(self, claim: Claim) -> Decimal | None:
        """What integers of that field are rounded to on the page, where this one may be.

        The last zeros of a single number may be there by chance, those of most numbers are not: the
        page's usual rounding wins where it is the finer one.
        """
        if claim.step is None or not claim.raw.strip().isdigit():
            return claim.step
        if claim.field not in self._steps:
            self._steps[claim.field] = Counter(
                each.step
                for (_, name), each in self._claims.items()
                if name == claim.field and each.step is not None and each.raw.strip().isdigit()
            )
        others = self._steps[claim.field] - Counter([claim.step])
        usual = min(others, key=lambda step: (-others[step], step), default=claim.step)
        return min(claim.step, usual)

    def draft(self, units: Sequence[EditUnit]) -> tuple[Draft, list[tuple[EditUnit, str]]]:
        """The file with all units in it that can be, and those that can't, each with why."""
        tried = tuple(units)
        draft, why, _ = self._tried(tried)
        if not why:
            return draft, []
        refused: list[tuple[EditUnit, str]] = []
        kept = self._by_turns(tried, refused)
        if kept is not None:
            draft, why, _ = self._tried(kept)
            if not why:
                return draft, refused
        refused = []
        return self._halved(tried, refused), refused

    def _by_turns(
        self, units: tuple[EditUnit, ...], refused: list[tuple[EditUnit, str]]
    ) -> tuple[EditUnit, ...] | None:
        """The units that can be made, one of each entry tried at a time; None where that fails.

        So the text is read as often as one entry has units, however many entries there are. It
        fails where a fault of the text is no entry's.
        """
        kept: list[EditUnit] = []
        waiting = self._by_entry(units)
        while waiting:
            turn = [group.pop() for group in waiting]
            waiting = [group for group in waiting if group]
            _, why, blamed = self._tried((*kept, *turn))
            if why and not blamed:
                return None
            for unit in turn:
                reason = next((blamed[n] for n in self._touched(unit) if n in blamed), None)
                if reason is None:
                    kept.append(unit)
                else:
                    refused.append((unit, reason))
        place = {id(unit): number for number, unit in enumerate(units)}
        return tuple(sorted(kept, key=lambda unit: place[id(unit)]))

    def _touched(self, unit: EditUnit) -> set[str]:
        """The names of the entries that a unit changes."""
        places = (*unit.expected.replaced, *unit.expected.added)
        return {name for place in places for name in self._names.get(place, ())}

    def _by_entry(self, units: tuple[EditUnit, ...]) -> list[list[EditUnit]]:
        """The units of each entry, the first at the end; those of entries that share one as one."""
        groups: dict[str, tuple[set[str], list[EditUnit]]] = {}
        for unit in reversed(units):
            names, together = self._touched(unit), [unit]
            for known, others in {id(g): g for n in names if (g := groups.get(n))}.values():
                names, together = names | known, [*others, *together]
            groups |= dict.fromkeys(names, (names, together))
        return list({id(found): found for _, found in groups.values()}.values())

    def _halved(self, units: tuple[EditUnit, ...], refused: list[tuple[EditUnit, str]]) -> Draft:
        """Find the units that spoil the text by trying halves, as nearly always none does."""
        if not units:
            return Draft(self._file.text)
        draft, why, _ = self._tried(units)
        if not why:
            return draft
        if len(units) == 1:
            refused.append((units[0], why))
            return Draft(self._file.text)
        middle = len(units) // 2
        left = self._halved(units[:middle], refused)
        right = self._halved(units[middle:], refused)
        if not left.units or not right.units:
            return left if left.units else right
        draft, why, _ = self._tried(left.units + right.units)
        if not why:
            return draft
        refused += [(unit, why) for unit in right.units]
        return left

    def _tried(self, units: tuple[EditUnit, ...]) -> tuple[Draft, str, dict[str, str]]:
        """The file with these units in it, what is wrong with the text then, and in which entry.

        Of units that clash the first in the text is right, and the others' entries are to blame.
        """
        file = self._file
        changes: dict[tuple[int, int, str], tuple[Replacement, EditUnit]] = {}
        additions: dict[tuple[int, str], Replacement] = {}
        expected, blamed = Expected(), dict[str, str]()
        for unit in units:
            expected.replaced.update(unit.expected.replaced)
            expected.added.update(unit.expected.added)
            for change in unit.replacements:
                first = change
                if change.adds is not None:
                    # A figure that stands twice in one entry gets one key that explains it.
                    first = additions.setdefault(change.adds, change)
                    if first.text.strip() != change.text.strip():
                        blamed |= dict.fromkeys(self._touched(unit), _TWO_KEYS)
                changes.setdefault((first.start, first.end, first.text), (first, unit))
        made = sorted(changes.values(), key=lambda c: (c[0].start, c[0].end))
        for (one, _), (other, unit) in pairwise(made):
            if one.end > other.start:
                blamed |= dict.fromkeys(self._touched(unit), _TWO_VALUES)
        if blamed:
            return Draft(file.text), next(iter(blamed.values())), blamed
        ordered = tuple(change for change, _ in made)
        text = apply_replacements(file.text, ordered)
        try:
            why, blamed = _objections(file.contents, file.with_text(text).contents, expected)
        except EditRefused as error:
            why = str(error)
        return Draft(text, units, ordered), why, blamed


def _plain(edit: Edit) -> str:
    """The value of an added key: a word, or a size as HxW."""
    value = edit.value
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def _holds(claim: Claim, edit: Edit) -> bool:
    """Whether a claim says what was measured, at the precision that it is written with."""
    if isinstance(edit.value, str | tuple):
        return edit.value in (claim.value, claim.raw)  # Of a number its text, with its unit.
    return agrees(claim, edit.value)


def objection(old: IndexContents, new: IndexContents, expected: Expected) -> str:
    """What a changed text would say that it should not; empty where all else is as before."""
    return _objections(old, new, expected)[0]


def _objections(
    old: IndexContents, new: IndexContents, expected: Expected
) -> tuple[str, dict[str, str]]:
    """The first objection, and, where each is one entry's, the first of each by its name."""
    if [c.name for c in old.collections] != [c.name for c in new.collections] or [
        v.name for v in old.variants
    ] != [v.name for v in new.variants]:
        return "the page would no longer list the same entries", {}
    if [target for target, _ in old.imports] != [target for target, _ in new.imports]:
        return "the page would no longer import the same files", {}
    entries: Iterable[tuple[Variant | Collection, Variant | Collection]] = (
        *zip(old.collections, new.collections, strict=True),
        *zip(old.variants, new.variants, strict=True),
    )
    found: dict[str, str] = {}
    for before, after in entries:
        why = _changed(before.claims, after.claims, expected)
        if why:
            found.setdefault(before.name, f"{shown(before.name)} would {why}")
    problems = Counter((p.cause, p.variant, p.field) for p in new.problems)
    problems.subtract((p.cause, p.variant, p.field) for p in old.problems)
    for (cause, variant, name), count in problems.items():
        if count > 0:
            why = f"{shown(name or 'the page')} would be wrong ({cause})"
            if variant is None:
                return next(iter(found.values()), why), {}
            found.setdefault(variant, why)
    return next(iter(found.values()), ""), found


def _changed(before: Sequence[Claim], after: Sequence[Claim], expected: Expected) -> str:
    wanted: dict[str, Value] = {}
    claims = []
    for claim in before:
        new = expected.replaced.get(claim.location)
        claims.append(claim if new is None or new.field != claim.field else new)
        wanted |= expected.added.get(claim.location, {})
    if not wanted and list(map(claim_text, claims)) == list(map(claim_text, after)):
        return ""
    left = Counter(map(claim_text, after))
    left.subtract(map(claim_text, claims))
    for (name, _, value, *_), count in left.items():
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


def claim_text(claim: Claim) -> tuple[str, ...]:
    """All that a claim says but for where it stands, in a form that can be counted."""
    return (
        claim.field,
        claim.raw,
        str(claim.value),
        claim.unit,
        str(claim.step),
        str(claim.quoted),
        str(claim.result),
    )
