"""A first model-index of variants that none documents yet: what is measured of them, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from harness.check.base import Evidence, Need, VariantCheck
from harness.check.flops import figure, recommended
from harness.edit.add_entry import NewEntry
from harness.edit.spelling import as_yaml
from harness.types import USUAL_SIZE, Finding, Size
from zoo.index.schema import INTERPOLATIONS, LinkError, check_weights

_HEAD = """\
# Written by zoo init: counts were measured here; how images are prepared and where weights are is
# taken over from what the builder states. What was not measured, such as an accuracy, is left out.
# docs/index-format.md of zoo has every key; zoo schema lets an editor complete and check them.
Builder: {builder}
Models:
"""
_EXACT = 1e-9


def wants(image_size: Size | None) -> VariantCheck:
    """Asks for all that an entry says, and finds nothing; ``image_size`` overrides what is stated.

    The input that is counted is known when the library has been asked.
    """

    def find(evidence: Evidence) -> Iterable[Finding | Need]:
        if evidence.measurement("structure") is not None:
            size = image_size or _stated(evidence).get("image_size") or USUAL_SIZE
            if ("flops", tuple(size)) not in evidence.facts:
                yield Need("flops", ((size[0], size[1]),))

    return VariantCheck("init", "init", lambda _: (Need("structure"), Need("preprocess")), find)


def _stated(evidence: Evidence) -> Mapping[str, Any]:
    """What the builder's library states of the variant's weights; empty where it states nothing."""
    fact = evidence.measurement("preprocess")
    settings = [] if fact is None else fact.value["settings"]
    return settings[0] if settings else {}


def entry_of(evidence: Evidence, image_size: Size | None) -> tuple[NewEntry | None, str]:
    """The entry of a measured variant, and why it lacks something; None where nothing is known."""
    structure = evidence.measurement("structure")
    if structure is None:
        failed = evidence.unmeasured("structure")
        return None, "it was not measured" if failed is None else failed.why
    stated = _stated(evidence)
    known = image_size or stated.get("image_size")
    size: Size = USUAL_SIZE if known is None else (known[0], known[1])
    metadata: dict[str, Any] = {}
    flops, why = evidence.measurement("flops", size), ""
    if flops is not None and (convention := recommended(flops.value, ("fvcore",))):
        metadata["FLOPs"] = int(figure(flops.value, convention))
        metadata["FLOPs Convention"] = convention
        if known is None:  # Nothing says what it is made for: this is what was counted.
            metadata["FLOPs Input"] = size
            why = f"no input size is stated, {size[0]}x{size[1]} was counted; --image-size names it"
    elif failed := evidence.unmeasured("flops", size):
        why = f"no FLOPs: {failed.why}"
        why += "" if image_size else "; name the input that it takes with --image-size"
    metadata |= {key: structure.value[key.lower()] for key in ("Parameters", "Layers")}
    # Nothing is not claimed: an index has no count of zero.
    metadata = {key: value for key, value in metadata.items() if value}
    if not {"FLOPs", "Parameters"} & metadata.keys():
        return None, why or "it has no parameters, and costs no operations"
    if known is not None:
        metadata["Image Size"] = size
    metadata |= _preprocessing(stated)
    if stated.get("license"):
        metadata["License"] = stated["license"]
    return NewEntry(evidence.variant.name, None, metadata, _weights(stated), {}), why


def _preprocessing(stated: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    crop, size = stated.get("crop_pct"), stated.get("image_size")
    if crop and size:
        # A crop of so many pixels of so many is written as such: no decimal is exactly that.
        side, whole = min(size), round(min(size) / crop)
        exact = abs(side / whole - crop) < _EXACT and len(repr(crop)) > len("0.8755")
        yield "Crop Pct", f"{side}/{whole}" if exact else Decimal(f"{crop!r}".removesuffix(".0"))
    if stated.get("interpolation") in INTERPOLATIONS:
        yield "Interpolation", stated["interpolation"]
    if stated.get("crop_mode") not in (None, "center"):
        yield "Crop Mode", stated["crop_mode"]
    for key, name in (("Mean", "mean"), ("Std", "std")):
        if stated.get(name):
            yield key, tuple(stated[name])


def _weights(stated: Mapping[str, Any]) -> str | None:
    """Where the weights are, if that is one file at an address that is to be had safely."""
    url = str(stated.get("url") or "")
    try:
        check_weights(url)
    except LinkError:
        return None
    return url if url.startswith(("https://", "hf-hub:")) else None


def text_of(builder: str, entries: Iterable[NewEntry]) -> str:
    lines = (line for entry in entries for line in entry.lines())
    return _HEAD.format(builder=as_yaml(builder)) + "".join(f"{line}\n" for line in lines)
