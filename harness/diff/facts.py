"""What two reports say of a variant: claims and measurements that changed, and the versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

Entry = Mapping[str, Any]
# What tells one result from another, and is said beside its figures.
_OF_RESULTS = ("Task", "Dataset")
_PLAIN = ("parameters", "layers", "image_size", "file_size", "sha256")
_GROUPS = ("checkpoint", "preprocessing")


@dataclass(frozen=True, slots=True)
class Edited:
    """A claim that changed; None is no such claim.

    Attributes:
        field, result: which claim, and of which result of the variant.
        old, new: as written.
        was: the result that it stood in before, where that is another.
    """

    field: str
    result: str
    old: str | None
    new: str | None
    was: str | None = None


@dataclass(slots=True)
class VariantPair:
    """A variant of both reports.

    Attributes:
        name: the variant's.
        old, new: its entries of the documents.
        edited: its claims that changed.
        measured: name -> what was measured before and now, where that differs.
        versions: distribution -> its version before and now, where both are known and differ.
        known: names of what both have measured.
    """

    name: str
    old: Entry
    new: Entry
    edited: list[Edited] = field(default_factory=list)
    measured: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    versions: dict[str, tuple[str, str]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    @property
    def claims(self) -> list[Entry]:
        """What the index says of it, before and now; empty where the reports are older."""
        return [c for each in (self.old, self.new) for c in each.get("claims") or ()]

    @property
    def recoded(self) -> tuple[str, str] | None:
        """What the builder said of its code before and now, where that differs."""
        old, new = (_parts(each.get("code") or "")[0] for each in (self.old, self.new))
        return (old, new) if old and new and old != new else None

    @property
    def upgraded(self) -> dict[str, tuple[str, str]]:
        """Distribution -> its version before and now, of those that differ."""
        beside = (_parts(each.get("code") or "")[1] for each in (self.old, self.new))
        return {**differing(*beside), **self.versions}


def _parts(code: str) -> tuple[str, dict[str, str]]:
    """The code itself, and the versions of what a builder that says nothing of itself is with."""
    itself, _, beside = code.partition(" with ") if code.startswith("source:") else (code, "", "")
    listed = beside.split(", ")
    named = (each.rpartition(" ") for each in (listed[:-1] if "..." in beside else listed))
    return itself, {name: version for name, _, version in named if name}


def pairs(old: Entry, new: Entry) -> tuple[list[VariantPair], list[str], list[str]]:
    """The variants of both documents, then the names of those that were added and removed.

    Of several of one name the first is the first one's, and so on.
    """
    before, now = _by_name(old["variants"]), _by_name(new["variants"])
    both = [
        VariantPair(name, before[name, n], now[name, n]) for name, n in now if (name, n) in before
    ]
    for pair in both:
        pair.edited = [*_edited(pair, old, new)]
        flat, other = (_measured(one, beside) for one, beside in _both_ways(pair))
        pair.known = frozenset(flat.keys() & other.keys())
        shared = [name for name in other if name in flat]
        pair.measured = {n: (flat[n], other[n]) for n in shared if flat[n] != other[n]}
        pair.versions = differing(pair.old.get("versions") or {}, pair.new.get("versions") or {})
    added = [name for name, n in now if (name, n) not in before]
    return both, added, [name for name, n in before if (name, n) not in now]


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What both have, and have otherwise."""
    return {
        name: (str(old[name]), str(new[name]))
        for name in old
        if old[name] is not None and new.get(name) is not None and _apart(old[name], new[name])
    }


def _apart(old: Any, new: Any) -> bool:
    """Whether two versions differ; metadata may lack the ``+cpu`` that the library itself says."""
    (first, _, of_old), (second, _, of_new) = (str(each).partition("+") for each in (old, new))
    return first != second or bool(of_old and of_new and of_old != of_new)


def _by_name(entries: Sequence[Entry]) -> dict[tuple[str, int], Entry]:
    """By the name, and which of that name it is."""
    seen = Counter[str]()
    found = {}
    for entry in entries:
        found[entry["name"], seen[entry["name"]]] = entry
        seen[entry["name"]] += 1
    return found


# -- claims ---------------------------------------------------------------------------------


def _edited(pair: VariantPair, old: Entry, new: Entry) -> Iterator[Edited]:
    """The claims that changed; where a report lists none, those that both have findings of."""
    if pair.old.get("claims") is not None and pair.new.get("claims") is not None:
        before, now = _listed(pair.old), _listed(pair.new)
    else:
        before, now = _told(pair.name, old), _told(pair.name, new)
        before, now = ({k: a[k] for k in a if k in b} for a, b in ((before, now), (now, before)))
    gone, come = [], []
    for key in dict.fromkeys((*now, *before)):
        was, has = before.get(key, []), now.get(key, [])
        left, more = Counter(was) - Counter(has), Counter(has) - Counter(was)
        changes = zip_longest(left.elements(), more.elements())
        for earlier, later in changes:
            if earlier is not None and later is not None:
                yield Edited(*key, earlier, later)
            elif later is None:
                gone.append((*key, earlier))
            else:
                come.append((*key, later))
    for name, result, text in come:  # The same figure, of what is called another result now.
        moved = next((each for each in gone if (each[0], each[2]) == (name, text)), None)
        if moved is not None:
            gone.remove(moved)
        yield Edited(name, result, moved and text, text, moved and moved[1])
    for name, result, text in gone:
        yield Edited(name, result, text, None)


def _listed(entry: Entry) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for claim in entry["claims"]:
        result = claim.get("result") or ""
        if not (result and claim["field"] in _OF_RESULTS):
            found.setdefault((claim["field"], result), []).append(claim["documented"])
    return found


def _told(name: str, document: Entry) -> dict[tuple[str, str], list[str]]:
    """What findings quote, each value once: several checks may quote the same claim."""
    found: dict[tuple[str, str], list[str]] = {}
    for finding in document["findings"]:
        text = finding["documented"]
        if finding["variant"] == name and text is not None:
            values = found.setdefault((finding["field"], ""), [])
            if text not in values:
                values.append(text)
    return found


# -- measurements ---------------------------------------------------------------------------


def _both_ways(pair: VariantPair) -> Iterator[tuple[Entry, Entry]]:
    yield pair.old, pair.new
    yield pair.new, pair.old


def _measured(entry: Entry, beside: Entry) -> dict[str, Any]:
    """What was measured, by a flat name; what was not has none.

    Of a file that both have opened, what is said of one alone is None of the other.
    """
    whole = entry["measurements"]
    found = {name: whole.get(name) for name in _PLAIN[:3]}
    found |= {f"flops.{name}": value for name, value in (whole.get("flops") or {}).items()}
    found |= {name: whole.get(name) for name in _PLAIN[3:]}
    found = {name: value for name, value in found.items() if value is not None}
    for group in _GROUPS:
        other = beside["measurements"].get(group)
        if whole.get(group) and other:
            names = dict.fromkeys((*whole[group], *other))
            found |= {f"{group}.{name}": whole[group].get(name) for name in names}
    return found
