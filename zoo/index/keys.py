"""Keys that name a unit: ``Params (M)``, ``Flops(G)``, ``GMACs``, ``File Size (MB)``.

The unit belongs to the value. A key that says something else beside its field (``FLOPs(Backbone)``)
speaks of another quantity, and is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_OPERATIONS = r"(?:flops?|macs?|m(?:ult(?:iply)?)?adds?|multiplyaccumulates?)"
_COUNT = r"(?:params?|parameters?)"
_NOUNS = {
    "FLOPs": re.compile(rf"([kmgbt]?)({_OPERATIONS})"),
    "Parameters": re.compile(rf"([kmgbt]?)(?:(?:num(?:berof)?|n|total){_COUNT}|{_COUNT})"),
    "File Size": re.compile(r"()(?:file|checkpoint|weightsfile)size"),
}
# Without a unit they are counts as well, however they are called.
_PLAIN = re.compile(rf"{_OPERATIONS}|(?:num(?:berof)?)?parameters|(?:num(?:berof)?)?params")
_TAIL = re.compile(
    r"(?P<noun>.+?)\s*(?:[(\[]\s*(?:in\s+)?(?P<in>[^()\[\]]*?)\s*[)\]]|[,/]\s*(?P<after>[^,/()]+)"
    r"|\s+in\s+(?P<said>[^()]+)|[_ ](?P<short>[a-z]{1,2}))"
)
_PREFIXES = {"k": "K", "m": "M", "g": "G", "b": "B", "t": "T"}
_COUNT_WORDS = {
    "thousand": "K", "thousands": "K", "mio": "M", "mil": "M", "million": "M", "millions": "M",
    "mega": "M", "giga": "G", "bn": "B", "billion": "B", "billions": "B", "trillion": "T",
    "10^3": "K", "10^6": "M", "10^9": "G", "10^12": "T", "10**6": "M", "10**9": "G",
    "1e3": "K", "1e6": "M", "1e9": "G", "1e12": "T", "#": "", "count": "",
} | _PREFIXES  # fmt: skip
_BYTE_WORDS = {
    "b": "B", "byte": "B", "bytes": "B", "kb": "kB", "mb": "MB", "gb": "GB", "kib": "KiB",
    "mib": "MiB", "gib": "GiB", "k": "kB", "m": "MB", "g": "GB", "megabytes": "MB",
}  # fmt: skip
_UNIT_OF_NOUN = re.compile(rf"([kmgbt]?)\s*(?:{_OPERATIONS}|{_COUNT})")
_PIXELS = frozenset({"px", "pixel", "pixels"})


@dataclass(frozen=True, slots=True)
class MeasuredKey:
    """A key that speaks of FLOPs, Parameters, a File Size or an Image Size.

    Attributes:
        field: the known key.
        scale: the unit that the key gives to its value, as a value writes it; empty for none.
        macs: it calls operations multiply-accumulates.
        beside: what else it says, so that it can't be read as that field; empty where it can.
    """

    field: str
    scale: str = ""
    macs: bool = False
    beside: str = ""


@lru_cache(maxsize=4096)
def measured_key(key: str) -> MeasuredKey | None:
    """What a key with a unit says, or one with another usual noun; None for any other key."""
    text = key[:200].strip().lower()
    whole = _noun(text)
    if whole is not None:
        field, prefix, macs = whole
        if prefix or _PLAIN.fullmatch(_squeezed(text)):
            return MeasuredKey(field, _PREFIXES.get(prefix, ""), macs)
        return MeasuredKey(field, beside="no unit") if field != "File Size" else MeasuredKey(field)
    found = _TAIL.fullmatch(text)
    if found is not None:
        tail = next(part for part in found.groups()[1:] if part is not None)
        read = _parted(found["noun"], tail, key)
        if read is not None:
            return read
    nouns = filter(None, map(_noun, re.split(r"[^a-z]+", text)))
    return next((MeasuredKey(noun[0], beside=key.strip()) for noun in nouns), None)


def _parted(noun: str, tail: str, key: str) -> MeasuredKey | None:
    """What a key says that is a noun with something in parentheses or the like behind it."""
    inner, word = _noun(noun), _squeezed(noun)
    if inner is not None:
        return _with_tail(*inner, tail)
    if word == "imagesize" and tail in _PIXELS:
        return MeasuredKey("Image Size")
    if word in ("size", "modelsize", "weights") and tail in _BYTE_WORDS:
        return MeasuredKey("File Size", beside=key.strip())
    return None


def _with_tail(field: str, prefix: str, macs: bool, tail: str) -> MeasuredKey:
    unit: str | None
    if field == "File Size":
        unit = _BYTE_WORDS.get(tail)
    else:
        named = _UNIT_OF_NOUN.fullmatch(tail)
        unit = _PREFIXES.get(named[1], "") if named else _COUNT_WORDS.get(tail)
        macs = macs or (named is not None and "mac" in tail)
    if unit is None or (prefix and unit not in ("", _PREFIXES[prefix])):
        return MeasuredKey(field, beside=tail or "nothing")
    return MeasuredKey(field, unit or _PREFIXES.get(prefix, ""), macs)


def _noun(text: str) -> tuple[str, str, bool] | None:
    """The field that a noun means, the prefix before it, and whether it says MACs."""
    word = _squeezed(text)
    for field, pattern in _NOUNS.items():
        found = pattern.fullmatch(word)
        if found is not None:
            return field, found[1], field == "FLOPs" and "flop" not in word
    return None


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_#.\-]+", "", text)
