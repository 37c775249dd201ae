"""Compare the claims of variants that share a file: which contradict that it is one file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from harness.check.compare import grouped, number, senses
from zoo.index.types import SETTINGS, Claim, Value, Variant
from zoo.index.units import NotANumber, OutOfRange, parse_number
from zoo.labels import same_data

_COUNTED = ("Parameters", "File Size")
# Ways to evaluate one checkpoint that stand in a name: a number of examples for each of some
# classes, and boxes to track that a benchmark gives to all or that the model finds itself.
_PROTOCOLS = (
    re.compile(r"(?<!\d)\d+[-_ ]?way[-_ ]?\d+[-_ ]?shot", re.IGNORECASE),
    re.compile(r"(?<![a-z])(?:public|private)(?![a-z])", re.IGNORECASE),
)
# ``82.9 (+0.3)``, ``82.9 ± 0.1``: what stands behind a metric's number.
_BEHIND = re.compile(r"[(±\[]|\+/-")
_DIGIT = re.compile(r"[+-]?[0-9]")
# Numbers that don't contradict each other are the same one but for their digits: there are few.
_MOST_COMPARED = 50

_Key = tuple[str, ...]


class _Said(NamedTuple):
    """One number: its value, one unit of its last digit, and whether it has a percent sign.

    ``others`` are the values and steps that it has in the other senses of its unit.
    """

    value: Decimal
    step: Decimal
    percent: bool = False
    others: tuple[tuple[Decimal, Decimal], ...] = ()


_Values = frozenset[_Said]
_Stated = tuple[tuple[str, Value], ...]
# What an accuracy depends on beside the weights, by the keys of `SETTINGS`. Where two variants
# document it differently, one checkpoint gives two accuracies.
_Setting = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A number that two variants document differently, and the sentence that says it."""

    one: Variant
    other: Variant
    words: str


@dataclass(frozen=True, slots=True)
class _Entry:
    variant: Variant
    setting: _Setting
    values: _Values
    raw: str
    label: str
    dataset: str = ""


class Documented:
    """The numbers that some variants document, each different one once.

    A number is compared with every other of the same field, a metric's with those of the same
    name, task and dataset. Equal ones are kept once, so that many variants take little longer.

    Args:
        built: the number of parameters of variants that were built, by identity, in place of the
            documented one.
        fields: those compared, all where there are none.
    """

    def __init__(
        self, built: Mapping[int, int] | None = None, fields: tuple[str, ...] | None = None
    ) -> None:
        self._built = built or {}
        self._fields = fields
        self._known: dict[_Key, dict[tuple[_Setting, _Values], list[_Entry]]] = {}

    def add(self, variant: Variant) -> Conflict | None:
        """Takes in a variant's numbers; what contradicts those that are known, if anything does."""
        found = None
        for key, entry in self._entries(variant):
            known = self._known.setdefault(key, {})
            same = known.setdefault((entry.setting, entry.values), [])
            if not same:
                found = found or self._against(key, entry)
            # The entries of one name are one model's, and are not compared: two names are kept.
            if len(same) < 2 and all(e.variant.name != variant.name for e in same):
                same.append(entry)
        return found

    def conflict(self, variant: Variant) -> Conflict | None:
        """What contradicts the known numbers in those of a variant."""
        entries = self._entries(variant)
        return next((c for key, entry in entries if (c := self._against(key, entry))), None)

    def _against(self, key: _Key, entry: _Entry) -> Conflict | None:
        for (setting, values), same in islice(self._known.get(key, {}).items(), _MOST_COMPARED):
            if values == entry.values or _is_other_setting(entry.setting, setting):
                continue
            alike = "" if key[0] != "metric" else entry.variant.name
            other = next((e for e in same if e.variant.name != alike), None)
            if other is None:
                continue
            if _lacks(entry, other) and _lacks(other, entry):
                first, second = sorted((entry, other), key=lambda e: e.variant.location)
                return Conflict(first.variant, second.variant, _words(key, first, second))
        return None

    def _entries(self, variant: Variant) -> Iterator[tuple[_Key, _Entry]]:
        for field in _COUNTED:
            if self._fields is not None and field not in self._fields:
                continue
            if field == "Parameters" and id(variant) in self._built:
                count = Decimal(self._built[id(variant)])
                values = frozenset({_Said(count, Decimal(1))})
                yield (field,), _Entry(variant, (), values, grouped(count), "built")
                continue
            claims = [c for c in variant.claims_of(field) if number(c) is not None]
            if claims:
                said = frozenset(map(_counted, claims))
                raw = grouped(number(claims[0]) or Decimal(0))
                yield (field,), _Entry(variant, (), said, raw, field)
        if self._fields is None:
            yield from _metrics(variant)


def conflict_among(variants: Iterable[Variant], documented: Documented) -> Conflict | None:
    """The first contradiction among variants, whose numbers ``documented`` then holds."""
    return next((c for v in variants if (c := documented.add(v))), None)


def _metrics(variant: Variant) -> Iterator[tuple[_Key, _Entry]]:
    """A variant's numeric metrics; several results on one dataset, of two crops, are one set."""
    found: dict[tuple[_Key, _Stated], list[tuple[_Said, str, str, str]]] = {}
    key: _Key
    for claim in variant.claims:
        for part, said in _numbers_of(claim) if claim.metric else ():
            name = f"{claim.field} {part}" if part else claim.field
            key = ("metric", name.casefold(), claim.task or "", same_data(claim.dataset) or "")
            raw = f"{said.value}{'%' * said.percent}" if part else claim.raw
            of_it = found.setdefault((key, claim.settings), [])
            of_it.append((said, raw, name, claim.dataset or ""))
    for (key, stated), numbers in found.items():
        values = frozenset(said for said, _, _, _ in numbers)
        yield key, _Entry(variant, _setting(variant, stated), values, *numbers[0][1:])


def _numbers_of(claim: Claim) -> Iterator[tuple[str, _Said]]:
    """The numbers of a metric: of one, of a list ``70.1, 71.2``, of a mapping ``{AP50: 60.1}``."""
    value = number(claim)
    if value is not None:
        yield "", _Said(value, claim.step or Decimal(1), "%" in claim.raw)
        return
    if not isinstance(claim.value, str):
        return
    text = claim.value.strip()
    if (said := _read(text)) is not None:
        yield "", said
    elif ":" in text:
        # Of a mapping in a mapping nothing is read: whose its keys are is not seen here.
        for name, each in () if text.count("{") > 1 else _pairs(text):
            if (said := _read(each.strip())) is not None:
                yield name.strip("'\" "), said
    elif "," in text:
        parts = [_read(part.strip()) for part in text.strip("[]").split(",")]
        if all(parts):
            yield from ((str(i), said) for i, said in enumerate(parts, 1) if said is not None)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The names of a mapping's text with the numbers behind them, each up to the end of its line.

    What stands behind a colon and is no number may itself be a name.
    """
    for part in re.split("[,{}]", text):
        pieces = part.split(":")
        at = 0
        while at + 1 < len(pieces):
            name = pieces[at].rstrip().rpartition("\n")[2].strip()
            at += 1
            rest = pieces[at].lstrip()
            if not name or not _DIGIT.match(rest):
                continue
            value = [rest.partition("\n")[0]]
            while "\n" not in rest and at + 1 < len(pieces):
                at += 1
                rest = pieces[at]
                value.append(rest.partition("\n")[0])
            yield name, ":".join(value)
            pieces[at] = rest.partition("\n")[2]


def _counted(claim: Claim) -> _Said:
    """A count or a size, in each sense that its unit has."""
    found = [(number(c) or Decimal(0), c.step or Decimal(1)) for c in senses(claim)]
    return _Said(*found[0], others=tuple(found[1:]))


def _read(text: str) -> _Said | None:
    text = _BEHIND.split(text.strip("'\"~≈ "), maxsplit=1)[0].rstrip()
    try:
        found = parse_number(text.removesuffix("%"))
    except (NotANumber, OutOfRange):
        return None
    return _Said(found.value, found.step, text.endswith("%"))


def _setting(variant: Variant, stated: _Stated) -> _Setting:
    """How a result was made, by what it states of itself, else by what the variant does."""
    own = dict(stated)
    claims = {field: variant.effective(field) for field in SETTINGS}
    values = [own.get(field, None if c is None else c.value) for field, c in claims.items()]
    found = [protocol.search(variant.name) for protocol in _PROTOCOLS]
    return (*values, *(None if match is None else match[0].lower() for match in found))


def _is_other_setting(one: _Setting, other: _Setting) -> bool:
    return any(a is not None and b is not None and a != b for a, b in zip(one, other, strict=False))


def _lacks(one: _Entry, other: _Entry) -> bool:
    """Whether a number of the first is none of the second's."""
    return any(all(_differ(a, b) for b in other.values) for a in one.values)


def _differ(one: _Said, other: _Said) -> bool:
    """Whether no value can be meant by both, each at the precision it was written with.

    One of them may be a fraction of one, and the other in percent.
    """
    if _apart(one, other):
        return not any(
            not small.percent
            and abs(small.value) <= 1 > small.step
            and not _apart(_Said(100 * small.value, 100 * small.step), large)
            for small, large in ((one, other), (other, one))
        )
    return False


def _apart(one: _Said, other: _Said) -> bool:
    return all(
        abs(x - y) >= max(step, too)
        for x, step in ((one.value, one.step), *one.others)
        for y, too in ((other.value, other.step), *other.others)
    )


def _words(key: _Key, one: _Entry, other: _Entry) -> str:
    first, second = named(one.variant, other.variant), named(other.variant, one.variant)
    if key[0] == "Parameters":
        has, too = ("is built with" if e.label == "built" else "documents" for e in (one, other))
        too = "" if has == too else f"{too} "
        return f"{first} {has} {one.raw} Parameters and {second} {too}{other.raw}"
    where = f" on {one.dataset}" if one.dataset else ""
    a = "an" if one.label[:1].lower() in "aeio" else "a"
    return f"{first} documents {a} {one.label} of {one.raw} and {second} of {other.raw}{where}"


def named(variant: Variant, beside: Variant) -> str:
    """A variant's name, with its place where the other one has the same name."""
    if variant.name != beside.name:
        return variant.name
    place = variant.location
    where = f"line {place.line}" if place.file == beside.location.file else str(place)
    return f"{variant.name} ({where})"
