"""Looking at one variant closely: the story of a claim, the cost of each module."""

from __future__ import annotations

import difflib
from dataclasses import replace

from harness.cli.status import Failure
from harness.cli.stories import claim_trace, columns
from harness.explain.claim_trace import module_tree
from harness.run.request import Progress, Request, UsageError
from harness.run.session import Session
from harness.run.sources import index_options
from harness.types import Unmeasured
from zoo._util.text import for_terminal
from zoo.index.schema import canonical
from zoo.index.types import Claim, Variant

_WITHOUT_IMAGES = ("flops", "parameters", "layers", "file size")
_HEADINGS = ("module", "class", "output", "parameters", "MACs", "share")


def profile(session: Session, variant: Variant, depth: int | None) -> str:
    """What each module of a variant costs, as a tree."""
    fact = session.profile(variant)
    if isinstance(fact, Unmeasured):
        raise Failure(fact.why)
    assert fact.image_size is not None
    height, width = fact.image_size
    heading = f"{for_terminal(variant.name)} at {height}x{width}: {fact.method}\n"
    rows = [_HEADINGS, *module_tree(fact.value, depth)]
    return heading + "".join(f"{line}\n" for line in columns(rows, left=2))


def narrowed(request: Request, field: str) -> Request:
    """The request without what can't tell of that field, and may take hours."""
    no_images = canonical(field).lower() in _WITHOUT_IMAGES
    return replace(request, data=None) if no_images else request


def explain(session: Session, field: str, width: int | None) -> str:
    """The story of each claim in that field of the chosen variants, or of their collections."""
    asked = [(v, c) for v in session.variants for c in _effective(v) if _is_meant(c.field, field)]
    if not asked:
        raise UsageError(_no_such_field(session, field))
    report = session.verify(Progress())
    if report.cut_short is not None:
        raise Failure(report.cut_short)
    return "\n".join(claim_trace(session.story(report, v, c), width) for v, c in asked)


def _effective(variant: Variant) -> list[Claim]:
    """The variant's own claims, and those of its collection in the fields that it leaves out."""
    own = {claim.field for claim in variant.claims}
    inherited = variant.collection.claims if variant.collection is not None else ()
    return [*variant.claims, *(claim for claim in inherited if claim.field not in own)]


def _is_meant(field: str, asked: str) -> bool:
    """Whether somebody who writes ``asked`` means that field, or the whole that it is a part of."""
    return canonical(asked).lower() in (field.lower(), field.partition(".")[0].lower())


def _no_such_field(session: Session, field: str) -> str:
    names = {c.field.lower(): c.field for v in session.variants for c in _effective(v)}
    shower = f"zoo show {session.variants[0].name}{index_options(session.request.index)}"
    near = difflib.get_close_matches(field.lower(), names, n=1, cutoff=0.4)
    advice = f"did you mean {names[near[0]]!r}?" if near else f"{shower} lists what is claimed"
    return f"{session.variants[0].name} claims no {field!r}; {advice}"
