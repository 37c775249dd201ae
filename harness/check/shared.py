"""The checks of shared Weights URLs, equal files and equal File Sizes: they make the findings.

`contradiction` says whether the sharers' other claims allow one file; `owners` says whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from os.path import dirname
from urllib.parse import urlsplit, urlunsplit

from harness.check.base import IndexCheck, matched, mismatched
from harness.check.compare import grouped, number
from harness.check.contradiction import Conflict, Documented, conflict_among, named
from harness.check.owners import Facts, built_counts, measured, owners_of, weights_of
from harness.types import Finding
from zoo.index.advice import SHA256_DIGITS
from zoo.index.types import Claim, Index, Variant
from zoo.weights.hub import address
from zoo.weights.sources import file_name, name_hash

_URL, _SIZE = "weights-url-unique", "file-size-unique"
_NOTHING: Facts = {}
# Two resolutions of one network may differ in what holds a place for each patch, and in no more.
_MOST_OF_POSITIONS = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class _Group:
    """What several variants document alike.

    Attributes:
        sharers: the variants, in the order of the index.
        conflict: a contradiction between two of them, None where there is none.
        owners: those whose own it is, by identity, with what tells that.
        own: the numbers of the owners; of all sharers where nothing tells.
        owner: the first of the owners.
    """

    sharers: Sequence[Variant]
    conflict: Conflict | None
    owners: Mapping[int, str]
    own: Documented
    owner: Variant | None = None

    def conflict_of(self, variant: Variant) -> Conflict | None:
        """In what a variant contradicts the owners, or, where there are none, another one."""
        if self.conflict is None:
            return None
        return self.own.conflict(variant) or (None if self.owners else self.conflict)


def _judged(
    sharers: Sequence[Variant],
    size: Decimal | None,
    facts: Facts,
    fields: tuple[str, ...] | None = None,
) -> _Group:
    """Compares the sharers once, each different number with the others."""
    built = built_counts(facts, sharers)
    everything = Documented(built, fields)
    conflicts = [everything.add(v) for v in sharers]
    conflict = next((c for c in conflicts if c is not None), None)
    if conflict is None:
        return _Group(sharers, None, {}, everything)
    owners = owners_of(sharers, size, facts, fields)
    if not owners:
        return _Group(sharers, conflict, {}, everything)
    own = Documented(built, fields)
    theirs = [v for v in sharers if id(v) in owners]
    conflict_among(theirs, own)
    return _Group(sharers, conflict, owners, own, theirs[0])


def find_urls(
    index: Index, variants: Sequence[Variant], facts: Facts = _NOTHING
) -> Iterable[Finding]:
    """One finding per variant whose weights file is another variant's too.

    It is the same file by its URL, or by its SHA-256: as measured, as documented, or as the file's
    name says it. It is an error where two sharers contradict each other: in Parameters, in File
    Size, or in a metric of the same task and dataset. Else one checkpoint may well serve several
    entries. Where something tells whose the file is, only the others are wrong.
    """
    told: set[int] = set()
    places = {id(v): _place(v) for v in index.variants}
    for variant, group in _groups(index, variants, lambda v: places[id(v)], facts):
        same = f"{_who(variant, group, 'list')} the same Weights URL"
        finding = _of_file(variant, group, same)
        if finding.severity == "error":
            told.add(id(variant))
        yield finding
    hashes = hashes_of(index, facts)
    elsewhere: dict[int, dict[Hashable, list[Variant]]] = {}
    for variant, group in _groups(index, variants, lambda v: hashes.get(id(v)), facts):
        if id(group) not in elsewhere:
            elsewhere[id(group)] = _by_place(group, places)
        beside = elsewhere[id(group)]
        count = len(group.sharers) - len(beside[places[id(variant)]])
        if count and id(variant) not in told:
            others = (v for p, at in beside.items() if p != places[id(variant)] for v in at)
            who = _listed(variant, list(islice(others, 4)), count)
            verb = "have" if count > 1 else "has"
            digits = hashes[id(variant)]
            # Of a head nobody knows how the whole goes on.
            what = (
                f"the same SHA-256 ({digits[:16]}...) under another URL"
                if len(digits) == SHA256_DIGITS
                else f"a SHA-256 that begins alike ({digits}) under another URL"
            )
            yield _of_file(variant, group, f"{who} {verb} {what}")


def _of_file(variant: Variant, group: _Group, same: str) -> Finding:
    """The finding on a variant whose file is others' too, as ``same`` says it."""
    claim = _claim_of_file(variant)
    conflict = group.conflict_of(variant)
    if id(variant) in group.owners:
        message = f"the file is this variant's own, by {group.owners[id(variant)]}; {same}"
        return matched(claim, variant, _URL, None, message)
    if conflict is None:
        message = (
            f"{same}, and no number of Parameters, File Size or a metric that both document for "
            "the same input contradicts it; if one checkpoint serves them all, nothing needs to "
            "change"
        )
        cause = "weights.shared-checkpoint"
        return mismatched(claim, variant, _URL, cause, None, message)
    if group.owner is not None:
        message = (
            f"{same}, and the file is {named(group.owner, variant)}'s: {conflict.words}; write the "
            "URL of this variant's own checkpoint"
        )
    else:
        message = (
            f"{same}, but {conflict.words}: one file can't be the checkpoint of both; give each "
            "variant the URL of its own checkpoint"
        )
    return mismatched(claim, variant, _URL, "weights.shared-url", None, message)


def find_sizes(
    index: Index, variants: Sequence[Variant], facts: Facts = _NOTHING
) -> Iterable[Finding]:
    """One finding per variant whose File Size another variant with other Parameters has too.

    Checkpoints of different models are never of exactly the same size. Where the parameters, or
    the models that were built, tell whose size it is, only the others are wrong.
    """
    fields = ("Parameters",)
    for variant, group in _groups(index, variants, _size, facts, fields):
        claim = variant.claim("File Size")
        if claim is None or group.conflict is None:
            continue
        if id(variant) in group.owners:
            who = _who(variant, group, "document")
            message = (
                f"the size is this variant's own, by {group.owners[id(variant)]}; {who} it too"
            )
            yield matched(claim, variant, _SIZE, None, message)
            continue
        conflict = group.own.conflict(variant)
        if conflict is None:
            continue
        other = conflict.one if conflict.one is not variant else conflict.other
        start = f"{named(other, variant)} documents the same File Size"
        if _is_same_network(variant, other) and not group.owners:
            message = (
                f"{start}, and is the same network at another resolution by its name; that is "
                f"right, but {conflict.words}, and one of the two is wrong: a count of both says "
                "which"
            )
            yield mismatched(claim, variant, _SIZE, "size.shared", None, message, "note")
            continue
        remedy = (
            f"it is the size of {other.name}, so write this variant's own size here"
            if group.owners
            else "write the size of each variant's own checkpoint"
        )
        message = f"{start}, but {conflict.words}: {remedy}"
        yield mismatched(claim, variant, _SIZE, "size.shared", None, message)


def _groups(
    index: Index,
    variants: Sequence[Variant],
    key: Callable[[Variant], Hashable | None],
    facts: Facts,
    fields: tuple[str, ...] | None = None,
) -> Iterable[tuple[Variant, _Group]]:
    """The variants asked about whose key others have too, each with its group, judged once."""
    sharers: dict[Hashable, list[Variant]] = {}
    for variant in index.variants:
        if (value := key(variant)) is not None:
            sharers.setdefault(value, []).append(variant)
    judged: dict[Hashable, _Group] = {}
    for variant in variants:
        value = key(variant)
        if value is None or len(sharers.get(value, ())) < 2:
            continue
        if value not in judged:
            group = sharers[value]
            size = value if isinstance(value, Decimal) else _size_of_file(group, facts)
            judged[value] = _judged(group, size, facts, fields)
        yield variant, judged[value]


def _by_place(group: _Group, places: Mapping[int, Hashable]) -> dict[Hashable, list[Variant]]:
    found: dict[Hashable, list[Variant]] = {}
    for variant in group.sharers:
        found.setdefault(places[id(variant)], []).append(variant)
    return found


def _place(variant: Variant) -> Hashable | None:
    """Where a variant's weights are: equal for two variants only if it is the same place."""
    weights = weights_of(variant)
    if weights is None:
        return None
    # A file may be a part of several variants: a detector of two trackers. All parts are compared.
    claim, urls = weights
    return tuple(sorted(normal(url, claim.location.file) for url in urls))


@lru_cache(maxsize=4096)
def normal(url: str, index: str) -> str:
    """Where a file is, so that equal texts are one place; a path starts at its index's folder."""
    try:
        parts = urlsplit(address(url))
    except ValueError:
        return url
    if not parts.scheme:  # A relative path starts at the folder of its index.
        return f"{dirname(index)}/{url.removeprefix('./')}"
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path, parts.query, ""))


def _size(variant: Variant) -> Hashable | None:
    # A size written in rounded units is shared by chance; one written to the byte is not.
    claim = variant.claim("File Size")
    value = None if claim is None else number(claim)
    return None if claim is None or value is None or (claim.step or 1) > 1 else value


def _size_of_file(sharers: Sequence[Variant], facts: Facts) -> Decimal | None:
    """The bytes of the file that variants share: measured, or as all document it who do."""
    for variant in sharers:
        fact = measured(facts, variant, "file")
        if fact is not None and fact.value["size"] is not None:
            return Decimal(int(fact.value["size"]))
    sizes = {number(c) for v in sharers for c in v.claims_of("File Size")} - {None}
    return sizes.pop() if len(sizes) == 1 else None


def hashes_of(index: Index, facts: Facts) -> dict[int, str]:
    """What is known of the SHA-256 of the variants' files, so that equal texts mean equal files.

    A file's name gives the first digits; they are taken for the whole where one whole begins so.
    """
    known: dict[int, str] = {}
    for variant in index.variants:
        if (digits := _hash_of(variant, facts)) is not None:
            known[id(variant)] = digits
    # All known digits have to agree: the first eight alone might by chance. In their order, a head
    # stands right before what begins with it.
    whole: dict[str, str] = {}
    after = ""
    for digits in sorted(set(known.values()), reverse=True):
        whole[digits] = whole[after] if after.startswith(digits) else digits
        after = digits
    return {key: whole[digits] for key, digits in known.items()}


def _hash_of(variant: Variant, facts: Facts) -> str | None:
    file = measured(facts, variant, "file")
    if file is not None and file.value["sha256"] is not None:
        return str(file.value["sha256"])
    weights = weights_of(variant)
    if weights is not None and len(weights[1]) > 1:
        return None
    stated = variant.claim("SHA256")
    if stated is not None and isinstance(stated.value, str) and len(stated.value) >= 8:
        return stated.value.lower()
    return None if weights is None else name_hash(file_name(weights[1][0]))


def _claim_of_file(variant: Variant) -> Claim:
    weights = weights_of(variant)
    claim = variant.claim("SHA256") if weights is None else weights[0]
    assert claim is not None
    return claim


def _is_same_network(one: Variant, other: Variant) -> bool:
    """Whether two are one network at two resolutions by their names, as their counts can't be."""
    counts = [c and number(c) for c in (one.claim("Parameters"), other.claim("Parameters"))]
    if not counts[0] or not counts[1] or _without_resolution(one) != _without_resolution(other):
        return False
    return abs(counts[0] / counts[1] - 1) > _MOST_OF_POSITIONS


def _without_resolution(variant: Variant) -> tuple[str, ...]:
    size = variant.effective("Image Size")
    said = size.value if size is not None and isinstance(size.value, tuple) else ()
    words = variant.name.lower().replace("-", "_").split("_")
    return tuple(word for word in words if word not in {str(side) for side in said})


def _who(variant: Variant, group: _Group, verb: str) -> str:
    count = len(group.sharers) - 1
    first = [v for v in group.sharers[:5] if v is not variant]
    return f"{_listed(variant, first, count)} {verb if count > 1 else verb + 's'}"


def _listed(variant: Variant, others: Sequence[Variant], count: int) -> str:
    names = [named(v, variant) for v in others[:4]]
    if count > 4 or len(names) < count:
        return f"{', '.join(names[:3])} and {grouped(count - 3)} more"
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


URL_CHECK = IndexCheck(_URL, "metadata", find_urls, find_urls)
SIZE_CHECK = IndexCheck(_SIZE, "metadata", find_sizes, find_sizes)
