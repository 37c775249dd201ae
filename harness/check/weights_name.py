"""A weights file whose name is another variant's, or says another hash; a URL that can change."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from posixpath import splitext
from urllib.parse import urlsplit

from harness.check.base import IndexCheck, mismatched
from harness.check.contradiction import Documented, conflict_among
from harness.check.owners import Facts, fit, measured, squeezed, stem, weights_of
from harness.types import Finding
from zoo.index.types import Index, Variant
from zoo.weights.sources import file_name, is_loopback, name_hash

# A word begins where no letter is before it: tried at each of its letters, a long one takes long.
_NUMBER = re.compile(r"(?<![a-z])([a-z]*)(\d+)")
# Of many siblings of one beginning, those are compared that stand next to the file's name in the
# order of the alphabet.
_MOST_COMPARED = 12
_WHOLE = re.compile(r"[0-9a-f]{64}")


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One warning per variant whose file is named like a sibling, and not like itself.

    Names are free, so little is concluded from them. The file must say, behind a word of the
    variant's own name, another number (``resnest101`` for ``resnest200e``); with that number it
    must begin like another variant of the index; and the whole name of that one must fit the file,
    and better than the variant's own. Where a word is another one (``convnext_small`` for
    ``convnext_tiny``), the file must be called as the sibling is, to the last word. A sibling that
    lists the same file is meant to share it, unless its numbers say otherwise.
    """
    whole = {_tokens(each.name): each for each in index.variants}
    called: dict[str, list[tuple[str, Variant]]] = {}
    for each in index.variants:
        name = squeezed(each.name)
        for head in _heads(name).values():
            called.setdefault(head, []).append((name, each))
    for bucket in called.values():
        bucket.sort(key=lambda item: item[0])
    for variant in variants:
        weights = weights_of(variant)
        if weights is None or len(weights[1]) > 1:
            continue
        claim, (url,) = weights
        file = file_name(url)
        named = _named_like(variant, file, called) or _named_exactly(variant, file, whole)
        if named is None or (named.sibling is not None and _shares(variant, named.sibling, url)):
            continue
        message = f"the file {file} {named.words}: write the URL of this variant's own checkpoint"
        yield mismatched(claim, variant, "weights-name", "weights.name-mismatch", file, message)


def find_published(index: Index, variants: Sequence[Variant], facts: Facts) -> Iterable[Finding]:
    """The same, and where the builder's library publishes the file as another model's."""
    found = list(find(index, variants))
    yield from found
    told = {finding.location for finding in found}
    for variant in variants:
        fact, weights = measured(facts, variant, "preprocess"), weights_of(variant)
        owners = () if fact is None else fact.value.get("owners", ())[:2]
        if fact is None or weights is None or not owners or weights[0].location in told:
            continue
        file = file_name(weights[1][0])
        message = (
            f"{fact.builder} publishes the file {file} as that of {' and '.join(owners)}: write "
            "the URL of this variant's own checkpoint"
        )
        cause = "weights.name-mismatch"
        yield mismatched(weights[0], variant, "weights-name", cause, file, message)


@dataclass(frozen=True, slots=True)
class _Named:
    """Whose name a file has: a sibling's, or the variant's own but for one number."""

    words: str
    sibling: Variant | None = None


def _named_like(
    variant: Variant, file: str, called: dict[str, list[tuple[str, Variant]]]
) -> _Named | None:
    """The sibling whose whole name fits a file best, where the variant's own fits it less."""
    own, text = squeezed(variant.name), squeezed(stem(file))
    if own in text:
        return None
    said = _numbers(text)
    for word, head in _heads(own).items():
        number = said.get(word)
        if not word or number is None or head.endswith(word + number):
            continue
        start = head[: head.rindex(word) + len(word)]
        siblings = [v for v in _nearest(called.get(start + number, []), text) if v is not variant]
        best = max(siblings, key=lambda v: fit(v.name, file).score, default=None)
        if best is None:
            return None
        theirs, mine = fit(best.name, file), fit(variant.name, file)
        if theirs.whole and theirs.missing < mine.missing:
            return _Named(f"is named like {best.name}, not like this variant", best)
        return _named_but_for(variant.name, word, head[len(start) :], number, file)
    return None


def _named_exactly(
    variant: Variant, file: str, whole: dict[tuple[str, ...], Variant]
) -> _Named | None:
    """The sibling that is called as the file is, where the variant's name has one other word.

    A word that begins like the other one (``swin_t`` for ``swin_tiny``) may be short for it, and
    another first word (``tv_resnet34``) often says whose recipe it is.
    """
    said, own = _tokens(stem(file)), _tokens(variant.name)
    sibling = whole.get(said)
    # Of a name in another script no token is left.
    if not said or sibling is None or len(said) != len(own) or said[0] != own[0]:
        return None
    differ = [pair for pair in zip(said, own, strict=True) if pair[0] != pair[1]]
    if len(differ) != 1:
        return None
    ((theirs, mine),) = differ
    is_short = theirs.startswith(mine) or mine.startswith(theirs)
    if is_short or not (theirs.isalpha() and mine.isalpha()):
        return None
    return _Named(f"is named like {sibling.name}, not like this variant", sibling)


def _tokens(name: str) -> tuple[str, ...]:
    return tuple(re.findall("[a-z0-9]+", name.lower()))


def _named_but_for(name: str, word: str, ours: str, number: str, file: str) -> _Named | None:
    """Whether a variant would be called like the file if its number were the file's."""
    letters = "[^a-z0-9]*".join(word)
    place = re.search(rf"{letters}[^a-z0-9]*{ours}(?![0-9])", name.lower())
    if place is None:
        return None
    changed = f"{name[: place.end() - len(ours)]}{number}{name[place.end() :]}"
    as_changed = fit(changed, file)
    if not as_changed.whole or as_changed.missing >= fit(name, file).missing:
        return None
    said = re.split("[^a-z0-9]", place[0])[-1]
    words = f"says {said.removesuffix(ours)}{number} where this variant's name says {said}"
    return _Named(f"{words}, and is named like it otherwise")


def _shares(variant: Variant, other: Variant, url: str) -> bool:
    """Whether a sibling lists the same file, and nothing contradicts that it is both's."""
    theirs = weights_of(other)
    if theirs is None or url not in theirs[1]:
        return False
    return conflict_among((variant, other), Documented()) is None


def _numbers(name: str) -> dict[str, str]:
    """Word -> the number behind it, the first of each word: ``resnest50`` -> {resnest: 50}."""
    found: dict[str, str] = {}
    for word, digits in _NUMBER.findall(name):
        found.setdefault(word, digits)
    return found


def _heads(name: str) -> dict[str, str]:
    """Word -> the name up to the first number behind it, inclusive."""
    found: dict[str, str] = {}
    for match in _NUMBER.finditer(name):
        found.setdefault(match[1], name[: match.end()])
    return found


def _nearest(bucket: list[tuple[str, Variant]], text: str) -> list[Variant]:
    at = bisect_left(bucket, text, key=lambda item: item[0])
    first = max(0, at - _MOST_COMPARED)
    return [variant for _, variant in bucket[first : at + _MOST_COMPARED]]


def find_insecure(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One warning per variant whose weights are had over plain http."""
    for variant in variants:
        places = [c for c in variant.claims_of("Weights", "Mirrors") if isinstance(c.value, str)]
        for claim in places:
            if not _is_insecure(str(claim.value)):
                continue
            which = f" (here {claim.value})" if len(places) > 1 else ""
            message = (
                f"a file can be changed on its way over plain http{which}: write an "
                "https URL, if the server has one; a run fetches it with --allow-http alone"
            )
            cause = "weights.insecure-url"
            yield mismatched(claim, variant, "weights-url-secure", cause, None, message)
            break


def _is_insecure(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and not is_loopback(parts.hostname)
    except ValueError:
        return False


def find_in_names(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One error per SHA256 that begins otherwise than the name of the file behind Weights says."""
    for variant in variants:
        weights = variant.claim("Weights")
        if weights is None or not isinstance(weights.value, str):
            continue
        head = _hash_in_name(weights.value)
        if head is None:
            continue
        for claim in variant.claims_of("SHA256"):
            stated = claim.value
            if not isinstance(stated, str):
                continue
            shared = min(len(stated), len(head))
            if stated[:shared] == head[:shared]:
                continue
            message = (
                f"begins with {stated[: len(head)]}, and the file's name in Weights says that its "
                f"SHA-256 begins with {head}: one of the two is another file's; write the SHA-256 "
                "of this variant's file, or the URL that was meant"
            )
            yield mismatched(
                claim, variant, "weights-sha256", "weights.hash-mismatch", head, message
            )


def _hash_in_name(url: str) -> str | None:
    """The digits of a SHA-256 in a file's name: behind its last hyphen, or all of it."""
    name = file_name(url)
    stem = splitext(name)[0]
    return name_hash(name) or (stem if _WHOLE.fullmatch(stem) else None)


CHECK = IndexCheck("weights-name", "metadata", find, find_published)
HASH = IndexCheck("weights-sha256", "metadata", find_in_names)
INSECURE = IndexCheck("weights-url-secure", "metadata", find_insecure)
