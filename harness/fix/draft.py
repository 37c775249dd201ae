"""One page with several edits made, each as far as the text that results holds what it should."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from harness.check.compare import agrees, number
from harness.fix.page import Page, Refused, Replacement, Spot, applied
from harness.fix.place import key_added, sides_replaced, value_replaced
from harness.fix.recheck import Expected, objection
from harness.fix.sharing import Edits
from harness.fix.spelling import spellings
from harness.types import Edit, Finding
from zoo.index.nodes import Scalar
from zoo.index.nodes import Sequence as Items
from zoo.index.schema import FIELDS, canonical
from zoo.index.types import Claim, Location
from zoo.index.units import with_unit
from zoo.index.values import Wrong, read_value

Spots = Mapping[Location, Sequence[Spot]]


@dataclass(frozen=True)
class Unit:
    """Edits that are made together or not at all, for the findings that ask for them."""

    findings: tuple[Finding, ...]
    replacements: tuple[Replacement, ...]
    expected: Expected


@dataclass(frozen=True)
class Draft:
    """A page's new text, and the units that are in it."""

    text: str
    units: tuple[Unit, ...] = ()
    replacements: tuple[Replacement, ...] = ()


def unit_of(page: Page, edits: Edits, findings: Sequence[Finding], spots: Spots) -> Unit:
    """The replacements that some edits come to.

    Raises:
        Refused: one of them can't be made in this text.
    """
    changes: list[Replacement] = []
    expected = Expected()
    for edit in edits:
        here = spots.get(edit.location, ())
        if edit.added:
            below = [s for s in here if _is_key(s, findings[0].field)]
            changes += [key_added(page, spot, edit.field, _plain(edit)) for spot in below]
            expected.added.setdefault(edit.location, {})[edit.field] = edit.value
        else:
            spot = next((s for s in here if _is_key(s, edit.field)), None)
            claim = page.claims.get((edit.location, edit.field))
            if spot is None or claim is None:
                raise Refused("its place in the text is not found")
            made, expected.replaced[edit.location] = _replaced(page, spot, claim, edit)
            changes += made
    return Unit(tuple(findings), tuple(changes), expected)


def drafted(page: Page, units: Sequence[Unit]) -> tuple[Draft, list[tuple[Unit, str]]]:
    """The page with all units in it that can be, and those that can't, each with why."""
    refused: list[tuple[Unit, str]] = []
    return _halved(page, tuple(units), refused), refused


def _halved(page: Page, units: tuple[Unit, ...], refused: list[tuple[Unit, str]]) -> Draft:
    """Finds the units that spoil the text by trying halves, as nearly always none does."""
    if not units:
        return Draft(page.text)
    draft, why = _tried(page, units)
    if not why:
        return draft
    if len(units) == 1:
        refused.append((units[0], why))
        return Draft(page.text)
    middle = len(units) // 2
    left = _halved(page, units[:middle], refused)
    right = _halved(page, units[middle:], refused)
    if not left.units or not right.units:
        return left if left.units else right
    draft, why = _tried(page, left.units + right.units)
    if not why:
        return draft
    refused += [(unit, why) for unit in right.units]
    return left


def _tried(page: Page, units: tuple[Unit, ...]) -> tuple[Draft, str]:
    """The page with these units in it, and what is wrong with the text then."""
    changes: dict[tuple[int, int, str], Replacement] = {}
    additions: dict[tuple[int, str], Replacement] = {}
    expected = Expected()
    for unit in units:
        expected.include(unit.expected)
        for change in unit.replacements:
            if change.adds is not None:
                # A figure that stands twice in one entry gets one key that explains it.
                known = additions.setdefault(change.adds, change)
                if known.text.strip() != change.text.strip():
                    return Draft(page.text), "two figures ask for different values of one key"
                changes[known.start, known.end, known.text] = known
            else:
                changes[change.start, change.end, change.text] = change
    ordered = tuple(sorted(changes.values(), key=lambda c: (c.start, c.end)))
    if any(a.end > b.start for a, b in pairwise(ordered)):
        return Draft(page.text), "two findings ask for different values of it"
    text = applied(page.text, ordered)
    try:
        why = objection(page.contents, page.with_text(text).contents, expected)
    except Refused as error:
        why = str(error)
    return Draft(text, units, ordered), why


def _is_key(spot: Spot, name: str) -> bool:
    return canonical(spot.key.text) == name


def _plain(edit: Edit) -> str:
    """The value of an added key: a word, or a size as HxW."""
    value = edit.value
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)


def _replaced(page: Page, spot: Spot, claim: Claim, edit: Edit) -> tuple[list[Replacement], Claim]:
    """The replacements that write the value, and the claim as it is to be read then."""
    node = spot.value
    row = FIELDS[edit.field]
    if isinstance(node, Items) and isinstance(edit.value, tuple):
        changes = sides_replaced(page, node, edit.value)
        texts = [item.text for item in node.items[:-2] if isinstance(item, Scalar)]
        raw = ", ".join([*texts, *map(str, edit.value)])
        return changes, replace(claim, raw=raw, value=edit.value)
    if not isinstance(node, Scalar):
        raise Refused("it is not written as one value")
    for new in spellings(node.text, row, edit, _step(page, claim), claim.scale):
        try:
            whole, raw = with_unit(replace(node, text=new), new, claim.scale, row)
            value, step, quoted = read_value(whole, row, new)
        except Wrong:
            continue
        written = replace(claim, raw=raw, value=value, step=step, quoted=quoted)
        if _holds(written, edit):
            return [value_replaced(page, node, new)], written
    raise Refused(f"{edit.value} can't be written as this page writes {edit.field}")


def _holds(claim: Claim, edit: Edit) -> bool:
    """Whether a claim says what was measured, at the precision that it is written with."""
    if isinstance(edit.value, str) and claim.unit == "percent":
        # A number with the digits that it is to have: 0.9217 becomes 92.17, and not 92.1700.
        return number(claim) == Decimal(edit.value.rstrip(" %"))
    if isinstance(edit.value, str | tuple):
        return claim.value == edit.value
    return agrees(claim, edit.value)


def _step(page: Page, claim: Claim) -> Decimal | None:
    """What integers of that field are rounded to on the page, where this one may be.

    The last zeros of a single number may be there by chance, those of most numbers are not: the
    page's usual rounding wins where it is the finer one.
    """
    if claim.step is None:
        return None
    if not claim.raw.strip().isdigit():
        return claim.step
    others = page.steps(claim.field) - Counter([claim.step])
    usual = min(others, key=lambda step: (-others[step], step), default=claim.step)
    return min(claim.step, usual)
