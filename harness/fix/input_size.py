"""FLOPs where the Image Size that they are counted at is mended as well.

FLOPs without a FLOPs Input are those at the Image Size. Where that is to be another one, they would
silently become a claim about another input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.check.compare import number
from harness.fix.sharing import Wish
from harness.types import Edit, Finding
from zoo.index.types import Index, Variant

_SIZE, _INPUT, _FLOPS = "Image Size", "FLOPs Input", "FLOPs"


def kept_apart(
    wishes: Sequence[Wish], index: Index
) -> tuple[list[Wish], list[tuple[Finding, str]]]:
    """The wishes with each FLOPs and its input told as one, and those that can't be, with why.

    FLOPs that are right at the new size stay; others keep the size that they are counted at, in a
    FLOPs Input of their own.
    """
    resized = {
        finding.variant: edit
        for finding, edits in wishes
        for edit in edits
        if edit.field == _SIZE and not edit.added
    }
    affected = {v.name: v for v in index.variants if v.name in resized and _are_at_image_size(v)}
    kept: list[Wish] = []
    refused: list[tuple[Finding, str]] = []
    # Told of their own input by what mends the FLOPs themselves, or right at the new one.
    settled = {
        finding.variant
        for finding, edits in wishes
        if finding.field == _FLOPS
        and finding.variant in affected
        and (_has_input(edits) or _is_at(finding, resized[finding.variant]))
    }
    for finding, edits in wishes:
        variant = affected.get(finding.variant or "")
        if variant is None:
            kept.append((finding, edits))
        elif finding.field == _FLOPS and _is_at(finding, resized[variant.name]):
            rest = tuple(edit for edit in finding.keeping if edit.field != _INPUT)
            kept += [(finding, rest)] if rest else []
        elif any(e.field == _SIZE and not e.added for e in edits) and variant.name not in settled:
            own = variant.claim(_SIZE)
            if own is None or not isinstance(own.value, tuple):
                why = (
                    f"the {_FLOPS} of {variant.name} are counted at it; give them a {_INPUT} first"
                )
                refused.append((finding, why))
                continue
            said = Edit(_INPUT, (int(own.value[0]), int(own.value[1])), own.location, added=True)
            kept.append((finding, (*edits, said)))
        else:
            kept.append((finding, edits))
    return kept, refused


def _are_at_image_size(variant: Variant) -> bool:
    flops = variant.claim(_FLOPS)
    return flops is not None and number(flops) is not None and variant.effective(_INPUT) is None


def _has_input(edits: Iterable[Edit]) -> bool:
    return any(edit.field == _INPUT for edit in edits)


def _is_at(finding: Finding, resize: Edit) -> bool:
    """Whether the documented FLOPs are those at the size that the variant is to have."""
    return any(e.field == _INPUT and e.value == resize.value for e in finding.keeping)
