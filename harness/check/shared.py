"""Weights URLs and file sizes that several variants document: which of them can't all be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from harness.check.base import IndexCheck, mismatched
from harness.check.compare import can_be_equal, grouped, number
from harness.types import Finding
from zoo.index.types import Claim, Index, Variant
from zoo.labels import same_data

# Bytes per parameter of a float32 checkpoint, buffers and names included: as they are as a rule,
# and as they can be at all.
_FITS = (3.98, 4.12)
_MAY_FIT = (3.9, 4.4)


def find_urls(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One finding per variant whose Weights URL stands at another variant too.

    It is an error where two sharers contradict each other: in Parameters, in File Size, or in a
    metric of the same task and dataset. Else one checkpoint may well serve several entries.
    """
    for claim, variant, sharers in _sharers(index, variants, "Weights", _url):
        others = [v for v in sharers if v is not variant]
        contradiction = next(
            (c for a, b in combinations(sharers, 2) if (c := _contradiction(a, b))), None
        )
        names = f"{_listed(v.name for v in others)} {'list' if len(others) > 1 else 'lists'}"
        if contradiction is None:
            message = (
                f"{names} this Weights URL too, and nothing documented contradicts it; "
                "if one checkpoint serves them all, nothing needs to change"
            )
            yield mismatched(
                claim, variant, "weights-url-unique", "weights.shared-checkpoint", None, message
            )
            continue
        message = (
            f"{names} the same Weights URL, but {contradiction}: one file can't be the "
            "checkpoint of both; give each variant the URL of its own checkpoint"
        )
        yield mismatched(claim, variant, "weights-url-unique", "weights.shared-url", None, message)


def find_sizes(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One finding per variant whose File Size another variant with other Parameters has too.

    Checkpoints of different models are never of exactly the same size.
    """
    for claim, variant, sharers in _sharers(index, variants, "File Size", _size):
        other = next((v for v in sharers if _differ(variant, v, "Parameters")), None)
        if other is None:
            continue
        message = (
            f"{other.name} documents the same File Size with {_said(other, 'Parameters')} "
            f"Parameters, and this variant has {_said(variant, 'Parameters')}: "
            f"{_whose(variant, other)}"
        )
        yield mismatched(claim, variant, "file-size-unique", "size.shared", None, message)


def _whose(variant: Variant, other: Variant) -> str:
    """Which of two variants a size is of, where their documented Parameters tell that."""
    mine, theirs = _bytes_each(variant), _bytes_each(other)
    if _FITS[0] <= mine <= _FITS[1] and not _MAY_FIT[0] <= theirs <= _MAY_FIT[1]:
        return (
            f"at four bytes for each it is the size of this variant, so write {other.name}'s own "
            "size there"
        )
    if _FITS[0] <= theirs <= _FITS[1] and not _MAY_FIT[0] <= mine <= _MAY_FIT[1]:
        return (
            f"at four bytes for each it is the size of {other.name}, so write this variant's own "
            "size here"
        )
    return "write the size of each variant's own checkpoint"


def _bytes_each(variant: Variant) -> float:
    """Bytes of the documented File Size for each of the documented Parameters."""
    size, count = variant.claim("File Size"), variant.claim("Parameters")
    a = None if size is None else number(size)
    b = None if count is None else number(count)
    return float(a / b) if a and b else 0.0


def _sharers(
    index: Index, variants: Sequence[Variant], field: str, key: Callable[[Claim], str | None]
) -> Iterable[tuple[Claim, Variant, list[Variant]]]:
    """The claims of that field, in the variants asked about, whose value others claim too."""
    owners: dict[str, list[Variant]] = {}
    for variant in index.variants:
        claim = variant.claim(field)
        if claim is not None and (value := key(claim)) is not None:
            owners.setdefault(value, []).append(variant)
    for variant in variants:
        claim = variant.claim(field)
        if claim is None or (value := key(claim)) is None or len(owners.get(value, ())) < 2:
            continue
        yield claim, variant, owners[value]


def _url(claim: Claim) -> str | None:
    return claim.value if isinstance(claim.value, str) else None


def _size(claim: Claim) -> str | None:
    # A size written in rounded units is shared by chance; one written to the byte is not.
    value = number(claim)
    return None if value is None or (claim.step or 1) > 1 else str(value)


def _contradiction(a: Variant, b: Variant) -> str | None:
    """In what two variants that share a checkpoint contradict each other, None in nothing."""
    for field in ("Parameters", "File Size"):
        if _differ(a, b, field):
            return (
                f"{a.name} documents {_said(a, field)} {field} and {b.name} {_said(b, field)}"
                if field == "Parameters"
                else f"{a.name} documents a {field} of {_said(a, field)} and {b.name} of "
                f"{_said(b, field)}"
            )
    theirs: dict[tuple[str, str | None, str | None], list[Claim]] = {}
    for claim in _metrics(b):
        theirs.setdefault((claim.field, claim.task, same_data(claim.dataset)), []).append(claim)
    for claim in _metrics(a):
        # A variant may state several results on one data set, one for each way to crop, say.
        others = theirs.get((claim.field, claim.task, same_data(claim.dataset)), [])
        if others and all(_values_differ(claim, other) for other in others):
            return (
                f"{a.name} documents a {claim.field} of {claim.raw} and {b.name} of "
                f"{others[0].raw} on {claim.dataset or 'the same data'}"
            )
    return None


def _metrics(variant: Variant) -> Iterable[Claim]:
    return (c for c in variant.claims if c.unit == "percent" and c.dataset is not None)


def _differ(a: Variant, b: Variant, field: str) -> bool:
    one, other = a.claim(field), b.claim(field)
    return one is not None and other is not None and _values_differ(one, other)


def _values_differ(one: Claim, other: Claim) -> bool:
    """Whether no value can be meant by both, each at the precision it was written with."""
    return not can_be_equal(one, other)


def _said(variant: Variant, field: str) -> str:
    claim = variant.claim(field)
    value = None if claim is None else number(claim)
    return "no" if value is None else grouped(value)


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    if len(most) > 3:
        return f"{', '.join(most[:3])} and {len(most) - 2} more"
    return f"{', '.join(most)} and {last}" if most else last


URL_CHECK = IndexCheck("weights-url-unique", "metadata", find_urls)
SIZE_CHECK = IndexCheck("file-size-unique", "metadata", find_sizes)
