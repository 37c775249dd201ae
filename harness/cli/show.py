"""`zoo show`: what is claimed of a variant, or what each of its modules costs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from harness.cli.errors import Failure
from harness.cli.options import MEASURING, command, variant
from harness.cli.output import aligned, columns, emit
from harness.cli.selection import look_up
from harness.config import RunConfig, UsageError
from harness.run.session import Session
from zoo._util.text import for_terminal, truncate
from zoo.index.types import Claim, Variant

_HEADINGS = ("module", "class", "output", "parameters", "MACs", "share")


@command(*MEASURING)
def show(
    config: RunConfig,
    variant: Annotated[str, variant("A name, or a glob.")],
    *,
    profile: bool,
    depth: int | None,
) -> None:
    """The options that say how to measure have a meaning with --profile."""
    if depth is not None and not profile:
        raise UsageError("zoo show: --depth goes with --profile")
    session = look_up(config, variant, announce=True)
    if profile:
        emit("\n".join(_profile(session, each, depth) for each in session.variants))
    else:
        emit("\n".join(map(_claims, session.variants)))


def _profile(session: Session, variant: Variant, depth: int | None) -> str:
    """What each module of a variant costs, as a tree."""
    from harness.explain.claim_trace import module_tree
    from harness.types import Unmeasured

    fact = session.profile(variant)
    if isinstance(fact, Unmeasured):
        raise Failure(fact.why)
    assert fact.image_size is not None
    height, width = fact.image_size
    heading = f"{for_terminal(variant.name)} at {height}x{width}: {fact.method}\n"
    rows = [_HEADINGS, *module_tree(fact.value, depth)]
    return heading + "".join(f"{line}\n" for line in columns(rows, left=2))


def _claims(variant: Variant) -> str:
    """Everything that the index claims of a variant, and where each claim stands."""
    text = f"{for_terminal(variant.name)}  {for_terminal(str(variant.location))}\n"
    text += _located(variant.claims)
    collection = variant.collection
    if collection is not None:
        taken = {claim.field for claim in variant.claims}
        text += f"\nof the collection {for_terminal(collection.name)}  "
        text += for_terminal(str(collection.location)) + "\n"
        text += _located(claim for claim in collection.claims if claim.field not in taken)
    return text


def _located(claims: Iterable[Claim]) -> str:
    rows = [(_name(claim), _first_line(claim.raw), str(claim.location)) for claim in claims]
    return "".join(f"  {line}\n" for line in aligned(rows))


def _first_line(raw: str) -> str:
    """A text as written, or the beginning of one that has several lines."""
    first, *rest = raw.strip().splitlines() or [""]
    return raw if not rest else truncate(first, 60).removesuffix("…") + "…"


def _name(claim: Claim) -> str:
    return f"{claim.field} ({claim.dataset})" if claim.dataset else claim.field
