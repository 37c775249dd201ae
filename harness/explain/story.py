"""The whole story of one claim: what is documented, measured, tried, and what it should say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.check.base import Evidence
from harness.check.compare import agrees, digits, grouped, number
from harness.check.flops import accepted_conventions, measured_counts
from harness.explain.flops import PLAIN, Candidate, candidates, explain
from harness.explain.geometry import geometries
from harness.types import Finding
from zoo.index.types import Claim

# So many fits of a short number are listed.
_MOST_FITS = 5

# What a table of FLOPs shows: the conventions as they are named, without their variations.
_COLUMNS = ("macs", "fvcore", "flops", "thop-2020")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with lines, or with rows whose cells stand in columns."""

    heading: str
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """What a person reads who doubts a number."""

    title: str
    sections: tuple[Section, ...]


def tell(evidence: Evidence, findings: Sequence[Finding], claim: Claim) -> Story:
    """The story of a claim.

    Args:
        evidence: the variant and its facts, after all checks had their say.
        findings: what was found about the variant.
        claim: the claim that is asked about.
    """
    about = [f for f in findings if f.field == claim.field and f.location == claim.location]
    sections = [Section("documented", (_documented(claim),))]
    sections += _flops(evidence, claim) if claim.field == "FLOPs" else _structure(evidence, claim)
    for finding in about:
        heading = finding.status if finding.cause is None else f"{finding.status} {finding.cause}"
        sections.append(Section(heading, (finding.message,)))
    if not about:
        sections.append(Section("unverified", ("no check measures this field",)))
    title = f"{evidence.variant.name}  {claim.field}  {claim.location}"
    return Story(title, tuple(sections))


def _documented(claim: Claim) -> str:
    value = number(claim)
    if value is None or claim.unit not in ("count", "bytes"):
        return claim.raw
    step = claim.step or 1
    return (
        f"{claim.raw}, which claims {digits(claim)} digits: anything less than "
        f"{grouped(int(step))} away is the same number"
        if step > 1
        else f"{claim.raw}, which claims every digit"
    )


def _structure(evidence: Evidence, claim: Claim) -> Iterable[Section]:
    fact = evidence.measurement("structure")
    if fact is None or claim.field not in ("Parameters", "Layers", "File Size"):
        return
    state = fact.value["state"]
    rows = [
        ("parameters", grouped(fact.value["parameters"])),
        ("of them trainable", grouped(fact.value["trainable"])),
        ("state dict", f"{state['tensors']} tensors, {grouped(state['float_elements'])} values"),
        ("layers", str(fact.value["layers"] or "not defined for this network")),
    ]
    if claim.field == "Parameters":
        rows += [(f"  in {name}", grouped(n)) for name, n in fact.value["by_stage"].items()]
    yield Section(f"measured ({fact.method}; torch {fact.versions['torch']})", rows=tuple(rows))


def _flops(evidence: Evidence, claim: Claim) -> Iterable[Section]:
    fact = evidence.measurement("flops", evidence.size)
    if fact is None:
        return
    asked = geometries(evidence.size, evidence.recipe.crop_pct, evidence.recipe.image_size)
    counts = measured_counts(evidence, asked)
    tries = candidates(asked, counts)
    held = accepted_conventions(evidence.variant, claim)
    found = explain(claim, tries)
    rows: list[tuple[str, ...]] = [("input", *_COLUMNS)]
    for geometry in (g for g in asked if g.size in counts):
        here = (c for c in tries if c.geometry is geometry and c.scale is PLAIN)
        plain = {c.convention: c for c in here if not c.variation}
        rows.append((str(geometry), *(_cell(plain.get(name), claim) for name in _COLUMNS)))
    legend = [f"{g}: {g.words}" for g in asked if g.size in counts]
    variations = sorted({c.variation for c in tries if c.variation})
    if variations:
        legend.append(f"tried as well, at each input: {', '.join(variations)}")
    if found is not None and found.candidate.variation:
        legend.append(f"= {grouped(found.candidate.value)}: {found.candidate.words}")
    method = f"{fact.method}; torch {fact.versions['torch']}"
    yield Section(f"measured ({method})", rows=tuple(rows))
    yield Section("the inputs", tuple(legend))
    yield Section("a reader expects", (f"{' or '.join(held)} at {rows[1][0]}",))
    if found is not None:
        named = (found.candidate, *found.also)
        fits = tuple(f"{c.words} at {c.geometry}: {grouped(c.value)}" for c in named[:_MOST_FITS])
        need = "enough" if found.certain else "too few"
        told = f"{digits(claim)} digits are {need} to tell it from {found.tried} figures tried"
        yield Section("what fits", (*fits, told))
    yield Section("beside it", (f"activations: {grouped(fact.value['activations'])} elements",))


def _cell(candidate: Candidate | None, claim: Claim) -> str:
    if candidate is None:
        return "-"
    mark = "= " if agrees(claim, candidate.value) else ""
    return f"{mark}{grouped(candidate.value)}"
