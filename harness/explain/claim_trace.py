"""Trace one claim (what is documented, measured, tried), and a profile as a tree of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.check.base import Evidence
from harness.check.compare import agrees, digits, grouped, number
from harness.check.flops import accepted_conventions, measured_counts
from harness.explain.flops import (
    PLAIN,
    Candidate,
    candidates,
    explain,
    geometries,
    usual_geometries,
)
from harness.types import Finding, is_about
from zoo._util.text import without_secrets
from zoo.index.speeds import conditions_of
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
class ClaimTrace:
    """How a claim was checked, for a reader who doubts it."""

    title: str
    sections: tuple[Section, ...]


def trace_claim(evidence: Evidence, findings: Sequence[Finding], claim: Claim) -> ClaimTrace:
    """Trace a claim, by the variant's facts after all checks and by what was found."""
    names = (evidence.variant.name, None)  # None: of its collection
    about = [
        f
        for f in findings
        if f.variant in names and f.location == claim.location and is_about(f, claim)
    ]
    said = (_documented(claim), conditions_of(claim))
    sections = [Section("documented", tuple(filter(None, said)))]
    sections += _flops(evidence, claim) if claim.field == "FLOPs" else _structure(evidence, claim)
    for finding in about:
        heading = finding.status if finding.cause is None else f"{finding.status} {finding.cause}"
        accepted = (f"accepted: {finding.accepted}",) if finding.accepted is not None else ()
        sections.append(Section(heading, (finding.message, *accepted)))
    if not about:
        sections.append(
            Section("unverified", ("no check measures this field, and none speaks against it",))
        )
    title = f"{evidence.variant.name}  {claim.field}  {claim.location}"
    return ClaimTrace(title, tuple(sections))


def _documented(claim: Claim) -> str:
    value = number(claim)
    if value is None or claim.unit not in ("count", "bytes"):
        return without_secrets(claim.raw)
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
    if found is None or not found.certain:  # As the check goes on; what fits alone is shown.
        more = [*asked, *usual_geometries(asked)]
        among = candidates(more, measured_counts(evidence, more))
        beyond = explain(claim, among)
        if beyond is not None and beyond.candidate.geometry not in asked:
            asked, tries, found = [*asked, beyond.candidate.geometry], among, beyond
            counts = measured_counts(evidence, asked)
    rows: list[tuple[str, ...]] = [("input", *_COLUMNS)]
    for geometry in (g for g in asked if g.size in counts):
        here = (c for c in tries if c.geometry is geometry and c.scale is PLAIN)
        plain = {c.convention: c for c in here if not c.variation}
        rows.append((str(geometry), *(_cell(plain.get(name), claim) for name in _COLUMNS)))
    legend = [f"{g}: {g.words}" for g in asked if g.size in counts]
    variations = sorted({c.variation for c in tries if c.variation})
    if variations:
        legend += ["tried as well, at each input:", *(f"  {each}" for each in variations)]
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
        chance = f"{digits(claim)} digits are {need} to tell it from {found.tried} figures tried"
        yield Section("what fits", (*fits, chance))
    yield Section("beside it", (f"activations: {grouped(fact.value['activations'])} elements",))


def _cell(candidate: Candidate | None, claim: Claim) -> str:
    if candidate is None:
        return "-"
    mark = "= " if agrees(claim, candidate.value) else ""
    return f"{mark}{grouped(candidate.value)}"


def module_tree(profile: Mapping[str, Any], depth: int | None) -> list[tuple[str, ...]]:
    """Rows of a table: module, class, output shape, parameters and MACs with their share.

    One row per module call of a ``profile`` measurement's value, indented by its level, ``depth``
    levels below the model or all; parameters and MACs include what is inside. A module that is
    called twice has two rows, and its parameters in both. One that is never called, but holds
    modules that are, has a row where the first of them stands.
    """
    return [
        (
            "  " * row["level"] + (row["module"].rpartition(".")[2] or "(model)"),
            row["class"],
            "x".join(map(str, row["output"])) or "-",
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            f"{row['share']:.1%}",
        )
        for row in module_rows(profile, depth)
    ]


def module_rows(profile: Mapping[str, Any], depth: int | None) -> list[dict[str, Any]]:
    """The same rows as plain data: the module by its path, and the share of 1."""
    root = _placed(profile)
    inside = _parameters_inside(profile)
    return [
        {
            "module": node.path,
            "level": level,
            "class": node.kind,
            "output": list(node.output),
            "parameters": inside[node.path],
            "macs": node.macs,
            "share": node.macs / (root.macs or 1),
        }
        for node, level in _walk(root, 0, depth)
    ]


@dataclass(slots=True)
class _Node:
    """A call of a module, or a module that is never called; ``parts`` is in order of the calls."""

    path: str
    kind: str
    macs: int = 0
    output: tuple[int, ...] = ()
    called: bool = True
    parts: list[_Node] = field(default_factory=list)
    latest: dict[str, _Node] = field(default_factory=dict)

    def add(self, name: str, part: _Node) -> None:
        self.parts.append(part)
        self.latest[name] = part


def _placed(profile: Mapping[str, Any]) -> _Node:
    """The calls as a tree of their paths: each in the latest call of what the path names above.

    The caller of a module and its parent can differ: a list of blocks is never called.
    """
    first, *calls = profile["modules"]
    root = _Node("", first["class"], first["macs"], tuple(first["output"] or ()))
    kinds = {module["path"]: module["class"] for module in profile["uncalled"]}
    for call in calls:
        *above, name = call["path"].split(".")
        node = root
        uncalled: list[_Node] = []  # what stands between the call and the call that it is inside
        for i, part in enumerate(above):
            if part not in node.latest:
                path = ".".join(above[: i + 1])
                node.add(part, _Node(path, kinds.get(path, "-"), called=False))
            node = node.latest[part]
            uncalled = [] if node.called else [*uncalled, node]
        for container in uncalled:
            container.macs += call["macs"]
        output = tuple(call["output"] or ())
        node.add(name, _Node(call["path"], call["class"], call["macs"], output))
    return root


def _walk(node: _Node, level: int, depth: int | None) -> Iterator[tuple[_Node, int]]:
    yield node, level
    if depth is None or level < depth:
        for part in node.parts:
            yield from _walk(part, level + 1, depth)


def _parameters_inside(profile: Mapping[str, Any]) -> dict[str, int]:
    """Path -> parameters of the module and of all modules below it, each counted once."""
    modules = [*profile["modules"], *profile["uncalled"]]
    own = {m["path"]: m["parameters"] for m in modules}
    inside = dict.fromkeys(own, 0)
    for path, count in own.items():
        inside[""] += count
        parts = path.split(".") if path else []
        for i in range(1, len(parts) + 1):
            above = ".".join(parts[:i])
            if above in inside:
                inside[above] += count
    return inside
