"""One checkpoint, or one architecture, in several zoos: what they document of it differently.

Two entries are of one checkpoint where they name one file (by its address or its SHA-256), or where
both have one name with a tag, as timm and torchvision call their weights. They are of one
architecture where their files hold tensors of the same names, shapes and types, or where their
names have the same letters and digits. No likeness of names is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations, islice, product
from typing import Literal

from harness.check.base import matched, mismatched
from harness.check.compare import alike, alike_values, number
from harness.check.owners import squeezed, weights_of
from harness.check.shared import normal
from harness.types import Beside, Finding
from zoo.index.advice import SHA256_DIGITS
from zoo.index.types import SETTINGS, Claim, Severity, Value, Variant
from zoo.labels import same_data
from zoo.variants import IMAGENET_CLASSES, base_name
from zoo.weights.hub import of_repository

_ID = "across"
Level = Literal["checkpoint", "tensors", "architecture"]
_CONTRADICTED, _OTHER_NETWORK = "across.contradicted", "across.architecture"
_DIFFERS = "across.differs"
_TAGGED = re.compile(r"([^.]*[A-Za-z][^.]*)\.([A-Za-z]\S*)")
# Tags of weights for more classes than ImageNet's, unless they were trained on for these.
_MORE_CLASSES = re.compile(r"(?:in|net)-?(?:21|22|12)k|laion|openai|dino|mae|clip", re.IGNORECASE)
_FOR_IMAGENET = re.compile(r"in1k(?![^_-])|imagenet1k", re.IGNORECASE)
_VERSION = re.compile(r"v\d+(?:\.\d+)*", re.IGNORECASE)  # Of a network, and no tag of weights.
# What an accuracy depends on: where all is stated, and alike, two numbers can't both be right.
_EVALUATED = ("Image Size", "Crop Pct", "Interpolation")
_POINTS = Decimal("0.1")
_TEST = {"Image Size": "Test Image Size", "Crop Pct": "Test Crop Pct"}
# Entries of one key that say different things: there are few, unless somebody means harm.
_MOST = 50
_FILE, _NAME, _OTHERWISE = "the same file", "the same name of weights", "evaluated with another "
_Settings = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Zoo:
    """One of the indexes that are held side by side: as it was named, and its variants."""

    name: str
    variants: Sequence[Variant]


@dataclass(frozen=True, slots=True)
class Across:
    """What several zoos have in common.

    Attributes:
        findings: agreements as well.
        checkpoints, architectures: how many are in more than one of them.
    """

    findings: tuple[Finding, ...]
    checkpoints: int
    architectures: int


@dataclass(frozen=True, slots=True)
class _Row:
    """Two claims of one thing: the severity, None where they agree, and why it is so."""

    one: Claim
    other: Claim
    severity: Severity | None = None
    why: str = ""


def find(zoos: Sequence[Zoo], hashes: Mapping[int, str], tensors: Mapping[int, str]) -> Across:
    """Hold the entries of each two zoos against each other.

    Args:
        zoos: at least two.
        hashes: what is known of the SHA-256 of variants' files, by the variant's identity; of a
            file that a name gives the first digits of, these.
        tensors: the same, of the digest of the tensors' names, shapes and types.
    """
    found: dict[object, Finding] = {}
    met: set[tuple[int, int]] = set()
    counts = {"checkpoint": 0, "tensors": 0, "architecture": 0}

    def compare(key: Callable[[Variant], Iterable[Hashable]], level: Level, same: str) -> None:
        for group in _groups(zoos, key):
            new = False
            for (_, ours), (there, theirs) in combinations(group.items(), 2):
                for one in _different(ours, level):
                    others = [o for o in _different(theirs, level) if (id(one), id(o)) not in met]
                    for row, other in _rows(one, others, level, same, hashes):
                        if row.one.field != "Weights":
                            met.add((id(one), id(other)))
                            new = True
                        why = row.why if row.severity else ""
                        beside = Beside(zoos[there].name, other.name, row.other, same, why)
                        at = (row.one.field, row.one.location, row.other.location)
                        found.setdefault(at, _finding(row, one, beside, level))
            counts[level] += new

    compare(_addresses, "checkpoint", _FILE)
    whole = {key: digits for key, digits in hashes.items() if len(digits) == SHA256_DIGITS}
    heads = {key: digits for key, digits in hashes.items() if key not in whole}
    for known, same in ((whole, "the same SHA-256"), (heads, "the same digits of the SHA-256")):
        compare(lambda v, of=known: filter(None, [of.get(id(v))]), "checkpoint", same)  # type: ignore[misc]
    compare(_tagged, "checkpoint", _NAME)
    compare(lambda v: filter(None, [tensors.get(id(v))]), "tensors", "the same tensors")
    compare(_architecture, "architecture", "the same architecture by its name")
    return Across(
        tuple(found.values()), counts["checkpoint"], counts["tensors"] + counts["architecture"]
    )


def _groups(
    zoos: Sequence[Zoo], key: Callable[[Variant], Iterable[Hashable]]
) -> Iterator[dict[int, list[Variant]]]:
    """The variants of one key that more than one zoo has, by the zoo's number."""
    groups: dict[Hashable, dict[int, list[Variant]]] = {}
    for place, zoo in enumerate(zoos):
        for variant in zoo.variants:
            for each in key(variant):
                groups.setdefault(each, {}).setdefault(place, []).append(variant)
    yield from (group for group in groups.values() if len(group) > 1)


def _different(variants: Sequence[Variant], level: Level) -> list[Variant]:
    """Those of one zoo that say different things of the same."""
    fields = () if level == "checkpoint" else ("Parameters", "FLOPs", "Activations", "Outputs")
    said: dict[object, Variant] = {}
    for variant in variants:
        effective = [variant.effective(field) for field in fields]
        claims = tuple(c and c.raw for c in effective) if fields else id(variant)
        said.setdefault(claims, variant)
    return list(islice(said.values(), _MOST))


# -- what is the same ------------------------------------------------------------------------


def _addresses(variant: Variant) -> Iterator[Hashable]:
    """The places of a variant's one file; of a file that is a part of it nothing follows."""
    weights = weights_of(variant)
    if weights is not None and len(weights[1]) == 1:
        yield normal(weights[1][0], weights[0].location.file)
    for claim in variant.claims_of("Hub"):
        if isinstance(claim.value, str):
            yield normal(of_repository(claim.value), claim.location.file)


def _tagged(variant: Variant) -> Iterator[Hashable]:
    name = variant.name.removeprefix("timm/")
    if _TAGGED.fullmatch(name):
        yield name.casefold()


def _architecture(variant: Variant) -> Iterator[Hashable]:
    name = base_name(variant).removeprefix("timm/")
    match = _TAGGED.fullmatch(name)
    if same := squeezed(match[1] if match and not _VERSION.fullmatch(match[2]) else name):
        yield same


# -- what is said of it ----------------------------------------------------------------------


def _rows(
    one: Variant,
    others: Sequence[Variant],
    level: Level,
    same: str,
    hashes: Mapping[int, str],
) -> Iterator[tuple[_Row, Variant]]:
    """What a variant and those of another zoo say, each row with whom it is about."""
    kept = []
    for other in others:
        heads = [hashes.get(id(each), "") for each in (one, other)]
        length = min(map(len, heads))
        if level == "checkpoint" and heads[0][:length] != heads[1][:length] and same != _FILE:
            # One name, and two files: nothing else needs to agree.
            files = [next(each.claims_of("Weights", "SHA256"), None) for each in (one, other)]
            if files[0] is not None and files[1] is not None:
                mine, theirs = (replace(file, field="Weights") for file in files if file)
                yield _Row(mine, theirs, "note", "one name stands for two files"), other
            continue
        kept.append(other)
        if level == "checkpoint":
            rows = _file(one, other, same), _contradicting(one, other, ("Outputs", "Mean", "Std"))
            yield from ((row, other) for row in (*rows[0], *rows[1]))
        for row in _parameters(one, other, level):
            yield row, other
        for field in ("FLOPs", "Activations"):
            yield from ((row, other) for row in _counted(one, other, field, level))
    if level == "checkpoint" and kept:
        # Some zoos list a checkpoint once for each way that they evaluate it.
        yield from _settings(one, kept)
        yield from _accuracies(one, kept)


def _file(one: Variant, other: Variant, same: str) -> Iterator[_Row]:
    """What is said of the file, where it is known to be one and the same."""
    if same != _NAME:
        yield from _contradicting(one, other, ("File Size",))
    if same == _FILE:
        mine, theirs = one.claim("SHA256"), other.claim("SHA256")
        if mine and theirs and isinstance(mine.value, str) and isinstance(theirs.value, str):
            length = min(len(mine.value), len(theirs.value))
            alike = mine.value[:length].lower() == theirs.value[:length].lower()
            yield _Row(mine, theirs, None if alike else "error", "one file has one SHA-256")


def _contradicting(one: Variant, other: Variant, fields: Iterable[str]) -> Iterator[_Row]:
    """What one checkpoint can have no two of."""
    for mine, theirs in _both(one, other, fields):
        # A model without its classifier is made of the same file.
        if mine.field == "Outputs" and not (mine.value and theirs.value):
            continue
        why = f"one checkpoint has one {mine.field}"
        yield _Row(mine, theirs, None if alike(mine, theirs) else "error", why)


def _parameters(one: Variant, other: Variant, level: Level) -> Iterator[_Row]:
    for mine, theirs in _both(one, other, ("Parameters",)):
        severity: Severity | None = None
        why = "one checkpoint has one number of parameters"
        if not alike(mine, theirs):
            severity = "error"
            if level == "architecture":
                open_ = _unlike(one, other)
                severity = "note" if open_ else "warning"
                why = open_ or "one of them is wrong, or the name stands for two networks"
        yield _Row(mine, theirs, severity, why)


def _unlike(one: Variant, other: Variant) -> str:
    """Why two of one architecture may have other counts; empty where nothing allows that."""
    mine, theirs = _classes(one), _classes(other)
    if mine is None or theirs is None:
        return "one of them may be for other classes"
    if mine != theirs:
        return f"they tell {mine:,} and {theirs:,} classes apart"
    sizes = [c.value for v in (one, other) if (c := v.effective("Image Size")) is not None]
    if len(set(sizes)) > 1:
        return "they are for images of other sizes"
    return ""


def _classes(variant: Variant) -> int | None:
    """How many classes it tells apart; None where that is not said.

    An index that says nothing means ImageNet's (`Classes`); a table has no such rule.
    """
    for field in ("Outputs", "Classes"):
        claim = variant.effective(field)
        if claim is not None:
            return claim.value if isinstance(claim.value, int) else None
    match = _TAGGED.fullmatch(variant.name)
    if _FOR_IMAGENET.search(match[2] if match else variant.name):
        return IMAGENET_CLASSES
    if match and _MORE_CLASSES.search(match[2]):
        return None
    sets = {same_data(c.dataset) or "" for c in variant.claims if c.metric or _metric(c)}
    if any(name.startswith("imagenet") and not _MORE_CLASSES.search(name) for name in sets):
        return IMAGENET_CLASSES
    # Evaluated on, or trained on, other data alone, it may have other classes.
    trained = variant.effective("Training Data")
    named = trained.value if trained is not None and isinstance(trained.value, tuple) else ()
    others = any(sets) or (named and "imagenet" not in (same_data(str(name)) for name in named))
    said = others or variant.location.file.endswith(".csv") or _MORE_CLASSES.search(variant.name)
    return None if said else IMAGENET_CLASSES


def _counted(one: Variant, other: Variant, field: str, level: Level) -> Iterator[_Row]:
    """Operations and activations, which depend on the input and on who counts."""
    for mine, theirs in _both(one, other, (field,)):
        inputs = [_input(variant) for variant in (one, other)]
        if inputs[0] is None or inputs[0] != inputs[1]:
            if level == "checkpoint" and None not in inputs and not alike(mine, theirs):
                yield _Row(mine, theirs, "note", "they are counted at other inputs")
            continue
        if alike(mine, theirs):
            yield _Row(mine, theirs)
            continue
        named = [c.value for v in (one, other) if (c := v.effective("FLOPs Convention"))]
        if field == "FLOPs" and len(named) == 2 and named[0] == named[1]:
            severity: Severity = "warning" if level == "architecture" else "error"
            yield _Row(mine, theirs, severity, f"both count as {named[0]} does, at one input")
        elif level != "architecture" or not _unlike(one, other):
            why = " and ".join(map(str, named)) if field == "FLOPs" and len(named) == 2 else ""
            why = f"they count as {why} do" if why else "no way to count is named by both"
            yield _Row(mine, theirs, "note", why)


def _input(variant: Variant) -> Value:
    claim = variant.effective("FLOPs Input") or variant.effective("Image Size")
    return None if claim is None else claim.value


def _settings(one: Variant, others: Sequence[Variant]) -> Iterator[tuple[_Row, Variant]]:
    """How images are prepared, at the training size or at the test size, whichever is both's."""
    pairs = [
        (other, [(a, b) for f in SETTINGS[:4] if (a := mine.get(f)) and (b := theirs.get(f))])
        for other in others
        for mine, theirs in product(_ways(one), _ways(other))
    ]
    best, claims = min(pairs, key=lambda pair: sum(not alike(a, b) for a, b in pair[1]))
    for mine, theirs in claims:
        why = "two ways to evaluate one checkpoint; either may be meant"
        yield _Row(mine, theirs, None if alike(mine, theirs) else "note", why), best


def _ways(variant: Variant) -> Iterator[dict[str, Claim]]:
    """The settings that a variant is evaluated with: its own, and those of its test size."""
    own = {f: c for f in SETTINGS if (c := variant.effective(f)) is not None and c.value}
    yield own
    test = {f: c for f, key in _TEST.items() if (c := variant.effective(key)) and c.value}
    if test:
        yield own | test


def _accuracies(one: Variant, others: Sequence[Variant]) -> Iterator[tuple[_Row, Variant]]:
    """Each accuracy beside the one that is evaluated as it is, if there is any."""
    theirs: dict[object, list[tuple[Variant, Claim]]] = {}
    for other in others:
        for claim in other.claims:
            if (key := _metric(claim)) is not None:
                theirs.setdefault(key, []).append((other, claim))
    for claim in one.claims:
        known = theirs.get(key, ()) if (key := _metric(claim)) else ()
        rows = [(_accuracy(one, claim, *each), each[0]) for each in known]
        if rows:
            yield min(rows, key=lambda pair: (pair[0].why.startswith(_OTHERWISE), _rank(pair[0])))


def _rank(row: _Row) -> int:
    return (None, "note", "warning", "error").index(row.severity)


def _metric(claim: Claim) -> tuple[str, str | None] | None:
    is_metric = claim.metric or claim.field in ("Top 1 Accuracy", "Top 5 Accuracy")
    if not is_metric or number(claim) is None or claim.is_setting:
        return None
    return claim.field.casefold(), same_data(claim.dataset)


def _accuracy(one: Variant, mine: Claim, other: Variant, theirs: Claim) -> _Row:
    if alike(mine, theirs):
        return _Row(mine, theirs)
    ways = [_evaluated(one, mine), _evaluated(other, theirs)]
    both = [field for field in SETTINGS if field in ways[0] and field in ways[1]]
    unlike = [field for field in both if not alike_values(field, ways[0][field], ways[1][field])]
    if unlike:
        return _Row(mine, theirs, "note", f"{_OTHERWISE}{' and '.join(unlike)}")
    if mine.images != theirs.images:
        return _Row(mine, theirs, "note", "evaluated on another number of images")
    apart = abs((number(mine) or Decimal(0)) - (number(theirs) or Decimal(0)))
    if mine.unit == "percent" and apart <= _POINTS:
        return _Row(mine, theirs, "note", "a tenth of a point is what decoders and versions make")
    left = [field for field in _EVALUATED if field not in both]
    if left:
        why = f"one checkpoint, and no {' and '.join(left)} of both that would tell them apart"
        return _Row(mine, theirs, "warning", why)
    return _Row(mine, theirs, "error", "one checkpoint, evaluated alike as both document it")


def _evaluated(variant: Variant, claim: Claim) -> _Settings:
    own = dict(claim.settings)
    found = {f: c.value for f in SETTINGS if (c := variant.effective(f)) is not None}
    return {field: value for field, value in (found | own).items() if value is not None}


def _both(one: Variant, other: Variant, fields: Iterable[str]) -> Iterator[tuple[Claim, Claim]]:
    for field in fields:
        mine, theirs = one.effective(field), other.effective(field)
        if mine and theirs and mine.value is not None and theirs.value is not None:
            yield mine, theirs


# -- the findings ----------------------------------------------------------------------------


def _finding(row: _Row, variant: Variant, beside: Beside, level: Level) -> Finding:
    theirs = f"{beside.variant} of {beside.zoo}"
    if row.severity is None:
        message = f"{theirs} says so too ({row.other.raw}); it is {beside.same}"
        return replace(matched(row.one, variant, _ID, None, message), beside=beside)
    message = (
        f"{theirs} says {row.other.raw} at {row.other.location}, and is {beside.same}: {row.why}"
    )
    cause = _DIFFERS
    if row.severity != "note":
        cause = _OTHER_NETWORK if level == "architecture" else _CONTRADICTED
    found = mismatched(row.one, variant, _ID, cause, None, message, row.severity)
    return replace(found, beside=beside)
