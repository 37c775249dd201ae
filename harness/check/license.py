"""Licenses: whether they are stated, are known ones, and are the same wherever they are stated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.check.base import Evidence, IndexCheck, Need, VariantCheck, matched, mismatched
from harness.check.links import page_of
from harness.check.owners import weights_of
from harness.types import Fact, Finding, Measurement, Slot
from zoo._util.text import few, nearest, plural, shown
from zoo.index.types import Claim, Index, Location, Variant
from zoo.licenses import License, both, read_license, states_none

_ID, _OF_BUILDER = "license", "license-builder"
_NATIVE = "zoo"
_FIELDS = ("License", "License.Name")
# torchvision states no license of its weights: who documents them has none to write.
_WITHOUT_LICENSES = frozenset({"torchvision"})
_NAMED = 5  # variants in a message
# Those that a slip most likely meant.
_USUAL = (
    "Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "CC-BY-4.0", "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0", "GPL-3.0", "openrail", "other",
)  # fmt: skip


def license_claim(variant: Variant) -> Claim | None:
    """The first claim that states a variant's license; None where none does, or as unknown."""
    return next(iter(_stating(variant)), None)


def stated_license(variant: Variant) -> License | None:
    """The license that a variant states, of several all; None where one is not known."""
    return both(claim.raw for claim in _stating(variant))


def _stating(variant: Variant) -> list[Claim]:
    own = [claim for claim in variant.claims if claim.field in _FIELDS]
    claims = own or [claim for claim in variant.inherited() if claim.field in _FIELDS]
    return [c for c in claims if isinstance(c.value, str) and not states_none(c.value)]


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One note on all that state none; unknown ones, each once; entries that contradict."""
    yield from _missing(variants)
    told: set[Location] = set()
    for variant in variants:
        for claim in _stating(variant):
            if read_license(claim.raw) is None and claim.location not in told:
                told.add(claim.location)
                why = _unknown(claim)
                finding = mismatched(claim, variant, _ID, "license.unknown", None, why)
                yield finding if claim in variant.claims else replace(finding, variant=None)
    yield from _contradicting(index, variants)


def find_measured(
    index: Index, variants: Sequence[Variant], facts: Mapping[int, Mapping[Slot, Fact]]
) -> Iterator[Finding]:
    """The same, and where a README here states another license in its front matter."""
    yield from find(index, variants)
    told: set[Location] = set()
    for variant in variants:
        page, claim = page_of(variant), license_claim(variant)
        fact = facts.get(id(variant), {}).get(("page", "" if page is None else str(page.value)))
        if page is None or claim is None or not isinstance(fact, Measurement):
            continue
        stated, here = read_license(fact.value["license"]), stated_license(variant)
        if stated is None or here is None or not here.contradicts(stated):
            continue
        if claim.location not in told:
            told.add(claim.location)
            text = str(fact.value["license"])
            message = (
                f"{shown(page.raw)} states {shown(text)}, not {shown(claim.raw)}; correct the "
                "wrong one of the two"
            )
            cause = "license.contradicted"
            finding = mismatched(claim, variant, _ID, cause, text, message)
            yield finding if claim in variant.claims else replace(finding, variant=None)


def _missing(variants: Sequence[Variant]) -> Iterator[Finding]:
    """Of variants with weights: a license is of these. What can't be read may state one."""
    asked = [
        v
        for v in variants
        if any(v.claims_of("Weights", "Hub")) and _builder(v) not in _WITHOUT_LICENSES
    ]
    without = [v for v in asked if not _stating(v) and not _may_state(v)]
    if not without:
        return
    names = few([shown(v.name) for v in without], _NAMED)
    message = (
        f"is not stated for {len(without):,} of {plural(len(asked), 'variant')} ({names}); "
        "write the license of the weights, such as Apache-2.0"
    )
    yield Finding(
        variant=None,
        field="License",
        check=_ID,
        status="mismatch",
        severity="note",
        cause="license.missing",
        documented=None,
        measured=None,
        message=message,
        location=without[0].location,
    )


def _builder(variant: Variant) -> str:
    claim = variant.effective("Builder")
    return "" if claim is None else claim.raw


def _may_state(variant: Variant) -> bool:
    unread = any(c.value is None for c in variant.in_effect() if c.field in _FIELDS)
    return unread or (variant.collection is None and any(variant.claims_of("In Collection")))


def _unknown(claim: Claim) -> str:
    """What to write in place of a text that names no license."""
    close = nearest(claim.raw[:80], _USUAL, n=1, cutoff=0.75)
    meant = f"did you mean {close[0]}" if close else "write one such as Apache-2.0"
    return (
        "is no SPDX expression, and no license that the Hub knows; "
        f"{meant}, or LicenseRef-NAME for a license of its own"
    )


def _contradicting(index: Index, variants: Sequence[Variant]) -> Iterator[Finding]:
    """Entries of one name, or of one weights file, under licenses that have nothing in common."""
    groups: dict[tuple[str, str], list[tuple[Variant, Claim, License]]] = {}
    for variant in index.variants:
        claim = license_claim(variant)
        license = stated_license(variant)
        if claim is None or license is None:
            continue
        weights = weights_of(variant)
        files = weights[1] if weights is not None else ()
        for key in (("name", variant.name), *(("file", url) for url in files)):
            groups.setdefault(key, []).append((variant, claim, license))
    asked = set(map(id, variants))
    told: set[object] = set()
    for (kind, _), sharers in groups.items():
        for variant, claim, license in sharers:
            if id(variant) not in asked or (id(variant), claim.location) in told:
                continue
            other = next((o for o in sharers if license.contradicts(o[2])), None)
            if other is None:
                continue
            told.add((id(variant), claim.location))
            same = "is the same variant" if kind == "name" else "has the same weights file"
            whose = f"{shown(other[0].name)} ({other[1].location})"
            message = (
                f"{whose} {same} under {shown(other[1].raw)}, not {shown(claim.raw)}; correct the "
                "wrong one of the two"
            )
            cause = "license.contradicted"
            yield mismatched(claim, variant, _ID, cause, other[1].raw, message)


def find_of_builder(evidence: Evidence) -> Iterable[Finding | Need]:
    """The license beside what the builder's library states for the same weights."""
    claim = license_claim(evidence.variant)
    license = stated_license(evidence.variant)
    if claim is None or license is None or evidence.recipe.builder == _NATIVE:
        return
    if evidence.unmeasured("preprocess") is not None:
        return  # said of the settings that the same fact is about
    fact = evidence.measurement("preprocess")
    if fact is None:
        yield Need("preprocess")
        return
    value = fact.value
    unsure = value["others"] if value["chosen"] == "default" else ()
    all_settings = [s for s in (*value["settings"], *unsure) if s.get("license")]
    known = [(s, found) for s in all_settings if (found := read_license(s["license"])) is not None]
    if not known or len(known) < len(all_settings):
        return
    texts = " or ".join(dict.fromkeys(s["license"] for s, _ in known))
    names = " or ".join(list(dict.fromkeys(s["weights"] for s, _ in known))[:_NAMED])
    whose = f"{evidence.recipe.builder} (for {names})"
    if all(license.contradicts(found) for _, found in known):
        message = (
            f"{whose} states {texts}, not {shown(claim.raw)}; correct the wrong one of the two"
        )
        cause = "license.contradicted"
        yield mismatched(claim, evidence.variant, _OF_BUILDER, cause, texts, message)
    elif all(license.ids & found.ids for _, found in known):
        yield matched(claim, evidence.variant, _OF_BUILDER, texts, f"as {whose} states")


CHECK = IndexCheck(_ID, "metadata", find, find_measured)
# It needs nothing to start from: whether anything is asked depends on the claim and the builder.
OF_BUILDER = VariantCheck(_OF_BUILDER, "preprocess", lambda size: (), find_of_builder)
