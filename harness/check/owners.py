"""Whose a file or a size is that several variants document, and that not all can have.

What was measured tells most: the tensors of the opened file, and the size that a checkpoint of the
built model has. Without it, the file's name and the documented parameters tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from harness.check.compare import number
from harness.check.contradiction import Documented, conflict_among
from harness.check.filenames import file_name, fit
from harness.check.size import window
from harness.types import Fact, Measurement, Slot
from zoo.index.types import Claim, Variant

# The facts of the variants of a run, by the variant's identity.
Facts = Mapping[int, Mapping[Slot, Fact]]

# Bytes per parameter of a float32 checkpoint, buffers and names included: as they are as a rule,
# and as they can be at all.
_FITS = (3.98, 4.12)
_MAY_FIT = (3.9, 4.4)
# With more names of files than this, one is hardly another variant's.
_MOST_FILES = 16

# A name of a letter or two is called by many files.
_SHORTEST = 3

_Verdicts = dict[int, bool]


def measured(facts: Facts, variant: Variant, kind: str) -> Measurement | None:
    """That fact of a variant, or None where the run has not measured it."""
    fact = facts.get(id(variant), {}).get((kind, None))
    return fact if isinstance(fact, Measurement) else None


def built_counts(facts: Facts, variants: Sequence[Variant]) -> dict[int, int]:
    """The parameters of the variants that were built, by identity."""
    found = {id(v): measured(facts, v, "structure") for v in variants}
    return {k: int(fact.value["parameters"]) for k, fact in found.items() if fact is not None}


def weights_of(variant: Variant) -> tuple[Claim, tuple[str, ...]] | None:
    """The claim of a variant's weights, and the URLs there: several where it has several files."""
    claims = list(variant.claims_of("Weights"))
    urls: list[str] = []
    for claim in claims:
        if isinstance(claim.value, str):
            urls.append(claim.value)
        elif isinstance(claim.value, tuple):
            urls += [url for url in claim.value if isinstance(url, str)]
    return (claims[0], tuple(dict.fromkeys(urls))) if urls else None


def owners_of(
    sharers: Sequence[Variant],
    size: Decimal | None,
    facts: Facts,
    fields: tuple[str, ...] | None = None,
) -> dict[int, str]:
    """The variants whose own it is, by identity, with what tells it; empty where nothing does.

    Args:
        sharers: the variants that document it.
        size: the bytes of the file, where they are known.
        facts: what the run measured.
        fields: those in which owners may not contradict each other, all where there are none.
    """
    tensors = _by_tensors(sharers, facts)
    ways = [
        (tensors, "the file's tensors"),
        (
            _by_size(sharers, size, facts),
            "what a checkpoint of the built model takes"
            if built_counts(facts, sharers)
            else "the bytes for each documented parameter (about four)",
        ),
        (_by_name(sharers), "the file's name"),
    ]
    if _tells(tensors):
        ways = ways[:1]
    left = list(sharers)
    built = built_counts(facts, sharers)
    for verdicts, _ in ways:
        if not _tells({id(v): verdicts[id(v)] for v in left if id(v) in verdicts}):
            continue
        left = [v for v in left if verdicts.get(id(v)) is not False]
        if conflict_among(left, Documented(built, fields)) is None:
            break
    else:
        return {}
    found = {}
    for variant in left:
        told = [words for verdicts, words in ways if verdicts.get(id(variant))]
        if told:
            found[id(variant)] = " and ".join(told)
    named = ways[-1][0]
    # Where names and documented numbers tell of different variants, neither is to be believed.
    contrary = _tells(named) and not any(named.get(k) for k in found)
    return {} if contrary and not built and not _tells(tensors) else found


def _tells(verdicts: _Verdicts) -> bool:
    return len(set(verdicts.values())) == 2


def _by_tensors(sharers: Sequence[Variant], facts: Facts) -> _Verdicts:
    found = {}
    for variant in sharers:
        fact = measured(facts, variant, "checkpoint")
        if fact is not None and fact.value["refused"] is None:
            found[id(variant)] = bool(fact.value["fits"])
    return found


def _by_size(sharers: Sequence[Variant], size: Decimal | None, facts: Facts) -> _Verdicts:
    found: _Verdicts = {}
    if not size:
        return found
    for variant in sharers:
        structure = measured(facts, variant, "structure")
        if structure is not None:
            state = structure.value["state"]
            found[id(variant)] = any(
                w.low <= size <= w.high for w in (window(state, 4), window(state, 2))
            )
            continue
        claim = variant.claim("Parameters")
        count = None if claim is None else number(claim)
        if count:
            each = float(size / count)
            if _FITS[0] <= each <= _FITS[1]:
                found[id(variant)] = True
            elif not _MAY_FIT[0] <= each <= _MAY_FIT[1]:
                found[id(variant)] = False
    return found


def _by_name(sharers: Sequence[Variant]) -> _Verdicts:
    """Whether each one's file is named like it, or like another of them."""
    files = {}
    for variant in sharers:
        weights = weights_of(variant)
        if weights is not None and len(weights[1]) == 1:
            files[id(variant)] = file_name(weights[1][0])
    if len(set(files.values())) > _MOST_FILES:
        return {}
    best = {}
    for file in set(files.values()):
        fits = {v.name: fit(v.name, file) for v in sharers}
        most = max(f.score for f in fits.values())
        best[file] = {
            n for n, f in fits.items() if f.score == most and f.whole and len(n) >= _SHORTEST
        }
    return {id(v): v.name in best[files[id(v)]] for v in sharers if best.get(files.get(id(v), ""))}
