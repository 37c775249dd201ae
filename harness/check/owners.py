"""Decide which of several variants that document one file, or one size, it belongs to.

What was measured decides most: the tensors of the opened file, and the size that a checkpoint of
the built model has. Without it, the file's name and the documented parameters decide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from posixpath import splitext

from harness.check.compare import number
from harness.check.contradiction import Documented, conflict_among
from harness.check.size import window
from harness.types import Fact, Measurement, Slot
from zoo.index.types import Claim, Variant
from zoo.weights.sources import file_name

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

# No file is called by a longer name; what is behind that is not compared.
_LONGEST = 255

# A hash at the end of a file's name, torch.hub's convention.
_HASH = re.compile(r"[-_][0-9a-f]{8,64}$")
_PIECE = re.compile(r"[a-z]+[0-9]*|[0-9]+")
# So much of a name has to be in a file's name for the file to be called by it.
_WHOLE = 2 / 3
# A single letter of a name (``resnest101e``, ``efficientnet_b3a``) is often left out.
_LETTER = 0.25

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
    """The variants whose own it is, by identity, with the reason; empty where nothing decides.

    ``size`` has the bytes of the file where they are known; owners may not contradict each other in
    ``fields``, or, without any, in anything.
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
    if _divides(tensors):
        ways = ways[:1]
    left = list(sharers)
    built = built_counts(facts, sharers)
    for verdicts, _ in ways:
        if not _divides({id(v): verdicts[id(v)] for v in left if id(v) in verdicts}):
            continue
        left = [v for v in left if verdicts.get(id(v)) is not False]
        if conflict_among(left, Documented(built, fields)) is None:
            break
    else:
        return {}
    found = {}
    for variant in left:
        reasons = [words for verdicts, words in ways if verdicts.get(id(variant))]
        if reasons:
            found[id(variant)] = " and ".join(reasons)
    named = ways[-1][0]
    # Where names and documented numbers point to different variants, neither is trusted.
    contrary = _divides(named) and not any(named.get(k) for k in found)
    return {} if contrary and not built and not _divides(tensors) else found


def _divides(verdicts: _Verdicts) -> bool:
    return len(set(verdicts.values())) == 2


def _by_tensors(sharers: Sequence[Variant], facts: Facts) -> _Verdicts:
    found = {}
    for variant in sharers:
        fact = measured(facts, variant, "checkpoint")
        if fact is not None and "fits" in fact.value:
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


@dataclass(frozen=True, slots=True)
class NameFit:
    """How a file's name fits a variant's: the weight of the words and numbers of that one which it
    lacks, and which it has.
    """

    missing: float
    matched: float

    @property
    def score(self) -> float:
        """The greater, the better: a longer name that fits is better than a shorter one."""
        return self.matched - 2 * self.missing

    @property
    def whole(self) -> bool:
        """Whether nearly the whole name is in the file's."""
        return self.matched >= _WHOLE * (self.missing + self.matched) > 0


@lru_cache(maxsize=4096)
def stem(file: str) -> str:
    """A file's name without its ending and without the hash that it carries."""
    return _HASH.sub("", splitext(file)[0].lower()[-_LONGEST:])


def squeezed(name: str) -> str:
    """Letters and digits; two numbers stay two, so ``resnet18_8xb16`` is no ``resnet188``."""
    joined = re.sub(r"[^a-z0-9]+", "_", name[:_LONGEST].lower())
    return re.sub(r"(?<!\d)_|_(?!\d)", "", joined)


def fit(name: str, file: str) -> NameFit:
    """How the words and numbers of a variant's name are met in a file's, in whatever order."""
    pieces, theirs = _pieces(name), _Words.of(stem(file))
    left = Counter(theirs.pieces)
    missing = matched = 0.0
    for i, piece in enumerate(pieces):
        is_letter = i > 0 and len(piece) == 1 and piece.isalpha()
        weight = _LETTER if is_letter else 1.0
        if left[piece]:
            left[piece] -= 1
            matched += weight
        elif not is_letter and theirs.has(piece):
            matched += weight
        else:
            missing += weight
    return NameFit(missing, matched)


@lru_cache(maxsize=65536)
def _pieces(name: str) -> tuple[str, ...]:
    """A word with the number behind it is one piece: ``vit_base_p16`` -> vit, base, p16."""
    return tuple(_PIECE.findall(name[:_LONGEST].lower()))


@dataclass(frozen=True, slots=True)
class _Words:
    """A file's name in pieces, and as one word, since some write ``mobilenet_v2`` as one."""

    pieces: tuple[str, ...]
    joined: str

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(text: str) -> _Words:
        return _Words(_pieces(text), squeezed(text))

    def has(self, piece: str) -> bool:
        """Whether a piece is there, written together with its neighbours."""
        if piece.isdigit():  # ``384`` in ``ft384``; a short number is in too many
            ends = (re.sub(r"^[a-z]+", "", other) for other in self.pieces)
            return len(piece) > 2 and piece in ends
        if piece[-1].isdigit() and any(other.endswith(piece) for other in self.pieces):
            return True
        return len(piece) > 3 and re.search(re.escape(piece) + r"(?!\d)", self.joined) is not None
