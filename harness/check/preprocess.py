"""Preprocessing against what the builder's library states for the same weights.

Only builders that know of it are asked; a native model's preprocessing is documented by the index
alone, so there is nothing to compare it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_measured,
    not_read,
    replaced,
)
from harness.check.compare import number
from harness.types import Edit, Finding
from zoo.index.types import Claim, Variant

_NEED = Need("preprocess")
_NATIVE = "zoo"

# A crop is written with two or three decimals and works out to a whole number of pixels.
_CROP_SLACK = 0.01
_SAME_RESIZE = 0.5
# 127/255 and 128/255 are written as 0.5, and make no image another one.
_CHANNEL_SLACK = 0.005


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding per documented setting that the builder has a word on, or that can't be read."""
    stated = [c for field in _FIELDS if (c := evidence.variant.effective(field)) is not None]
    claims = [claim for claim in stated if claim.value is not None]
    unread = (c for c in stated if c.value is None and c.field not in _AT_TEST)
    yield from (not_read(c, evidence.variant, "preprocess") for c in unread)
    if not claims or evidence.recipe.builder == _NATIVE:
        return
    if evidence.unmeasured("preprocess") is not None:
        yield from (not_measured(evidence, c, "preprocess", "preprocess") for c in claims)
        return
    fact = evidence.measurement("preprocess")
    if fact is None:
        yield _NEED
        return
    known = _likely([c for c in claims if c.field not in _AT_TEST], fact.value)
    for claim in claims:
        finding = _compare(evidence, claim, known)
        if finding is not None:
            yield finding


def _likely(claims: Sequence[Claim], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """What to compare with: of unidentified weights, those that all claims fit, if any."""
    if known["chosen"] != "default":
        return known
    for settings in (*known["settings"], *known["others"]):
        if all(_fits(claim, settings) for claim in claims):
            return {"chosen": "alike", "settings": [settings]}
    return known


def _fits(claim: Claim, settings: Mapping[str, Any]) -> bool:
    key, agrees, _ = _FIELDS[claim.field]
    return settings[key] is None or agrees(claim, settings)


def _compare(evidence: Evidence, claim: Claim, known: Mapping[str, Any]) -> Finding | None:
    key, agrees, words = _FIELDS[claim.field]
    settings = _tested(known) if claim.field in _AT_TEST else known["settings"]
    stated = [s for s in settings if s[key] is not None]
    if not stated:
        return None
    values = list(dict.fromkeys(words(s[key]) for s in stated))
    measured = " or ".join(values)
    whose = _whose(evidence, known, stated)
    variant = evidence.variant
    if any(agrees(claim, s) for s in stated):
        message = f"as {whose} states"
        return matched(claim, variant, "preprocess", measured, message)
    edits = _edits(variant, claim, known, [s[key] for s in stated])
    advice = f"write {measured}" if edits else _advice(known, measured)
    message = f"{whose} states {measured}, not {claim.raw}; {advice}"
    return mismatched(
        claim,
        variant,
        "preprocess",
        "preprocess.differs",
        measured,
        message,
        edits=edits,
    )


def _tested(known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings of the test, where the builder has them of all weights that these may be."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for settings in known["settings"]:
        found.setdefault(settings["weights"], []).append(settings)
    if known["chosen"] == "default" or any(len(each) < 2 for each in found.values()):
        return []
    return [settings for each in found.values() for settings in each[1:]]


def _whose(
    evidence: Evidence, known: Mapping[str, Any], stated: Sequence[Mapping[str, Any]]
) -> str:
    names = " or ".join(dict.fromkeys(s["weights"] for s in stated))
    builder = evidence.recipe.builder
    if known["chosen"] == "url":
        return f"{builder} (for {names}, whose weights these are)"
    if known["chosen"] == "name":
        return f"{builder} (for {names}, which is what the name means)"
    whose = "its default" if known["chosen"] == "default" else "which all that is documented fits"
    return f"{builder} (for {names}, {whose}; it does not say which weights the URL gives)"


def _advice(known: Mapping[str, Any], measured: str) -> str:
    if known["chosen"] == "default":
        return "write the setting that these weights were evaluated with"
    return f"write {measured} if the weights were evaluated so"


def _edits(
    variant: Variant, claim: Claim, known: Mapping[str, Any], values: Sequence[Any]
) -> tuple[Edit, ...]:
    """What to write: only where the builder knows the URL's weights, and has one setting.

    A documented accuracy may well have been measured with the documented setting: another one
    would make that number wrong, so beside an accuracy nothing is written.
    """
    if known["chosen"] != "url" or any(value != values[0] for value in values):
        return ()
    if any(variant.claims_of("Top 1 Accuracy", "Top 5 Accuracy")):
        return ()
    if claim.field == "Image Size":
        return (replaced(claim, (values[0][0], values[0][1])),)
    if claim.field in ("Crop Pct", "Crop Mode", "Interpolation"):
        return (replaced(claim, values[0]),)
    return ()


def _same_size(claim: Claim, settings: Mapping[str, Any]) -> bool:
    return claim.value == tuple(settings["image_size"])


def _same_crop(claim: Claim, settings: Mapping[str, Any]) -> bool:
    """Equal as written, to two decimals or more, or the same resize of the same image."""
    documented, stated = number(claim), settings["crop_pct"]
    if not documented:
        return False
    if abs(float(documented) - stated) < min(float(claim.step or 1), _CROP_SLACK):
        return True
    side = min(settings["image_size"] or (0,))
    return bool(side and abs(side / float(documented) - side / stated) < _SAME_RESIZE)


def _same_word(key: str) -> Callable[[Claim, Mapping[str, Any]], bool]:
    return lambda claim, settings: str(claim.value).lower() == str(settings[key]).lower()


def _same_channels(key: str) -> Callable[[Claim, Mapping[str, Any]], bool]:
    def same(claim: Claim, settings: Mapping[str, Any]) -> bool:
        stated = settings[key]
        if not isinstance(claim.value, tuple):
            return False
        documented = [float(value) for value in claim.value]
        if len(documented) == 1:  # One number is meant for every channel.
            documented *= len(stated)
        return len(documented) == len(stated) and all(
            abs(a - b) < _CHANNEL_SLACK for a, b in zip(documented, stated, strict=True)
        )

    return same


def _size_words(size: Sequence[int]) -> str:
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def _channel_words(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"


# Field -> the key of the builder's settings, when they agree, and how a value is written.
_FIELDS: Mapping[
    str, tuple[str, Callable[[Claim, Mapping[str, Any]], bool], Callable[[Any], str]]
] = {
    "Image Size": ("image_size", _same_size, _size_words),
    "Crop Pct": ("crop_pct", _same_crop, "{:.4g}".format),
    "Interpolation": ("interpolation", _same_word("interpolation"), str),
    "Mean": ("mean", _same_channels("mean"), _channel_words),
    "Std": ("std", _same_channels("std"), _channel_words),
    "Crop Mode": ("crop_mode", _same_word("crop_mode"), str),
    "Test Image Size": ("image_size", _same_size, _size_words),
    "Test Crop Pct": ("crop_pct", _same_crop, "{:.4g}".format),
}
_AT_TEST = ("Test Image Size", "Test Crop Pct")


# It needs nothing to start from: whether anything is asked depends on the builder.
CHECK = VariantCheck("preprocess", "preprocess", lambda size: (), find)
