"""What to write in place of a value that can't be read, made of the value itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from zoo.index.schema import Field
from zoo.index.units import NotANumber, OutOfRange, parse_number
from zoo.weights import hub

# The numbers that Pillow gives to its filters.
_PILLOW = {
    "0": "nearest", "1": "lanczos", "2": "bilinear", "3": "bicubic", "4": "box", "5": "hamming"
}  # fmt: skip
_OTHER_WORDS = {
    "cubic": "bicubic", "linear": "bilinear", "inter_cubic": "bicubic",
    "inter_linear": "bilinear", "inter_nearest": "nearest", "inter_area": "area",
    "inter_lanczos4": "lanczos", "antialias": "lanczos",
}  # fmt: skip
_WITH_UNIT = re.compile(r"([0-9][0-9.,_]*(?:[eE][+-]?[0-9]+)?)(\s*)([^\W\d_][\w/ .-]*)")
_LETTERS = re.compile(r"[^a-z]")
_COUNTED = re.compile(
    r"(kilo|mega|giga|tera|[kmgtb])"
    r"(?:i?b(?:yte|it)?s?|(?:flop|op|mac|madd|mult|add|param|parameter)s?)?"
)
# Words for a power of ten; the first letter of others would be another one.
_MAGNITUDES = {
    "thousand": "K", "tsd": "K", "million": "M", "mio": "M", "mln": "M", "mn": "M", "mil": "M",
    "billion": "B", "bn": "B", "bln": "B", "mrd": "B", "mld": "B", "trillion": "T",
}  # fmt: skip
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)")
# A crop written as a percentage; below that it is rather a misplaced point.
_LEAST_PERCENT = 25
# Digits of an accuracy without its point: two stand before it.
_POINTLESS = 4
_COMMA = re.compile(r"([0-9]+),([0-9]+)(\s*(?:%|[A-Za-z]+)?)")
_POINTED = frozenset({"ratio", "number", "percent", "rounded-count", "bytes"})
# What stands for a number without a unit that is no whole one; so small are only those.
_USUAL = {"FLOPs": ("M", "G"), "Parameters": ("M",), "File Size": ("MB",)}
_MOST_MISSING = 100_000
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_URL_INSIDE = re.compile(r"(?:\[[^\]]*\])?[(<\[\"']+(https?://[^\s()<>\[\]\"']+)[)>\]\"']*")
_FTP = re.compile(r"(?i:s?ftps?|scp)://(?:[^/?#@\s]+@)?[^/?#@\s]+/(?:[^?#\s]*/)?([^/?#\s]+)")
_HOST = re.compile(r"(?:[\w-]+\.)+[A-Za-z]{2,}/\S+$", re.ASCII)
# What is said about a number around it: that it is no exact one, or how it was got.
_ABOUT = re.compile(r"^(?:~|\u2248|ca\.|about )\s*|\s*(?:\+/?-|\u00b1)\s*[0-9.]+\s*%?$")
_ASIDE = re.compile(r"\s*\([^()]*\)$")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:(?: [0-9]{3})+|(?:\.[0-9]{3}){2,})")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Caffe's means, over 255, are ImageNet's to two thousandths; its three deviations are closer yet.
_SLACK = {"Mean": 0.003, "Std": 0.0005}
# A longer text is no number with something around it, and no word; a URL may be longer.
_MAX_TEXT, _MAX_URL = 200, 4096
# How many hexadecimal digits a hash has, by its name.
_HASHES = {32: "an MD5", 40: "a SHA-1", 56: "a SHA-224", 96: "a SHA-384", 128: "a SHA-512"}
SHA256_DIGITS = 64


def instead_of(text: str, field: Field) -> str | None:
    """What the text would be as that field writes it; None where that is not clear."""
    text = text.strip()
    if len(text) > (_MAX_URL if field.kind in ("link", "weights") else _MAX_TEXT):
        return None
    if field.kind == "word":
        word = text.lower()
        found = _PILLOW.get(word) or _OTHER_WORDS.get(word)
        said = [part for part in _WORD.findall(word) if part in field.words]
        return found if found in field.words else said[0] if len(said) == 1 else None
    if field.kind == "numbers":
        return _per_channel(text, field)
    if field.kind in ("link", "weights"):
        on_hub = _on_hub(text) if field.kind == "weights" else None
        return on_hub or _url_in(text, field)
    if (pointed := _with_point(text, field)) is not None:
        return pointed
    found = None
    if field.kind in ("rounded-count", "bytes"):
        found = _with_known_unit(text, field)
    elif field.kind == "ratio":
        found = _as_fraction(text, field)
    elif field.kind == "percent":
        found = _without_point(text, field)
    return found if found not in (None, text) else _number_in(text, field)


def _without_point(text: str, field: Field) -> str | None:
    """``7483`` as ``74.83``: so far out of range, the point was left out."""
    found = _PERCENT.fullmatch(text)
    if found is None or not found[1].isdigit() or len(found[1]) < _POINTLESS:
        return None
    value = Decimal(f"{found[1][:2]}.{found[1][2:]}")
    return f"{value}{found[2]}" if field.holds(value) else None


def _on_hub(text: str) -> str | None:
    is_name = text.lower().startswith(("hf-hub:", "hf_hub:"))
    form = "hf-hub:ORG/NAME, with @REVISION and /FILE behind it where they are to be named"
    return form if is_name else hub.file_of_page(text)


def _url_in(text: str, field: Field) -> str | None:
    """``(https://host/file`` and ``[model](https://host/file)`` without what stands around it."""
    if found := _URL_INSIDE.fullmatch(text):
        return found[1]
    if found := _FTP.fullmatch(text):
        return f"the https URL of this file, where its server has one ({found[1]}), or of a copy"
    return f"https://{text}" if field.kind == "link" and _HOST.match(text) else None


def _number_in(text: str, field: Field) -> str | None:
    """The number in a text that says nothing else: ``300 epochs``, ``~4.1 G``, ``77.1 (top)``."""
    if field.kind not in (*_POINTED, "count"):
        return None
    is_whole = field.kind not in ("percent", "ratio", "number")
    for candidate in _shorter(text, field):
        try:
            number = parse_number(candidate, field.units)
        except (NotANumber, OutOfRange):
            continue
        if not field.holds(number.value):
            break
        if not is_whole or not number.value % 1:
            return candidate if candidate != text else None
        if number.unit:
            return f"{number.value.to_integral_value():f}"
        usual = _USUAL.get(field.key, ()) if number.value < _MOST_MISSING else ()
        return " or ".join(f"{candidate} {unit}" for unit in usual) or None
    return None


def _shorter(text: str, field: Field) -> list[str]:
    """A text as it is, without spaces or points between thousands, and without what is no number.

    A word behind a number is left out only where it is the field's own: ``90000 iterations`` are
    no epochs.
    """
    bare = _ABOUT.sub("", _ASIDE.sub("", text)).strip()
    found = [bare]
    if _GROUPED.fullmatch(bare) and field.kind in ("count", "rounded-count", "bytes"):
        found.append(re.sub("[ .]", "", bare))
    number, _, word = bare.partition(" ")
    own = {part.lower().rstrip("s") for part in field.key.split()} | {"byte"}
    if word and word.lower().rstrip("s") in own:
        found.append(number)
    return found


def _per_channel(text: str, field: Field) -> str | None:
    """``127.5`` as ``[0.5, 0.5, 0.5]``, ``0.485 0.456 0.406`` as a list."""
    parts = [part for part in re.split(r"[\s;]+", text.strip("()[]")) if part]
    try:
        values = [float(parse_number(part).value) for part in parts]
    except (NotANumber, OutOfRange):
        return None
    values = list(on_scale_of_one(values) or values) if len(values) in (1, 3) else []
    if not values or not all(field.holds(Decimal(str(value))) for value in values):
        return None
    if len(values) == 1:
        # The first number of ImageNet's is not that of the other channels.
        if abs(values[0] - (_MEAN if field.key == "Mean" else _STD)[0]) <= _SLACK[field.key]:
            return None
        values *= 3
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _with_known_unit(text: str, field: Field) -> str | None:
    """``330 MB`` as ``330 M`` under FLOPs, ``97.8 Mb`` as ``97.8 MB`` under File Size."""
    found = _WITH_UNIT.fullmatch(text)
    if found is None:
        return None
    number, space, unit = found.groups()
    word = _LETTERS.split(unit.lower(), maxsplit=1)[0]
    known = _COUNTED.fullmatch(word)
    prefix = _MAGNITUDES.get(word.removesuffix("s")) or (known and known[1][0].upper())
    if not prefix:
        return None
    if field.kind == "bytes":
        if prefix == "B":
            return None
        prefix = "kB" if prefix == "K" else f"{prefix}B"
    try:
        value = parse_number(number).value
    except (NotANumber, OutOfRange):
        return None
    return f"{number}{space}{prefix}" if value else None


def _with_point(text: str, field: Field) -> str | None:
    """``0,875`` as ``0.875``, ``4,1 G`` as ``4.1 G``: a comma before the decimals."""
    found = _COMMA.fullmatch(text)
    if found is None or field.kind not in _POINTED:
        return None
    pointed = f"{found[1]}.{found[2]}{found[3]}"
    try:
        value = parse_number(pointed, field.units).value
    except (NotANumber, OutOfRange):
        return None
    is_count = field.kind == "rounded-count"
    fits = field.holds(value) and not (is_count and value % 1)
    return pointed if fits else None


def _as_fraction(text: str, field: Field) -> str | None:
    """``87.5`` and ``87.5%`` as ``0.875``."""
    found = _PERCENT.fullmatch(text)
    if found is None:
        return None
    value = Decimal(found[1]) / 100
    # A percentage of one or less is rather a fraction with a sign too many.
    if value * 100 < (1 if found[2] else _LEAST_PERCENT):
        return None
    return f"{value.normalize():f}" if field.holds(value) else None


def on_scale_of_one(values: Sequence[float]) -> tuple[float, ...] | None:
    """Means or deviations of pixels from 0 to 255 as those of 0 to 1; None where they are these."""
    if not all(1 < value <= 255 for value in values):
        return None
    return tuple(float(f"{value / 255:.4g}") for value in values)


def in_order_of_rgb(key: str, values: Sequence[float]) -> tuple[float, ...] | None:
    """ImageNet's mean or deviation, where it is written in the order B, G, R; else None."""
    known, slack = (_MEAN if key == "Mean" else _STD), _SLACK[key]

    def near(written: Sequence[float]) -> bool:
        pairs = zip(written, known, strict=True)
        return all(abs(a - b) <= slack for a, b in pairs)

    if len(values) != len(known) or near(values) or not near(values[::-1]):
        return None
    return tuple(values[::-1])


def why_no_sha256(text: str) -> tuple[str, str]:
    """What a text is that is no SHA-256, and what to write."""
    remedy = f"write the file's SHA-256, {SHA256_DIGITS} hexadecimal digits, as sha256sum prints it"
    digits = text.strip().lower().removeprefix("0x")
    for prefix in ("sha256:", "sha256-", "sha256="):
        if digits.startswith(prefix):
            return f"begins with {prefix!r}", f"write the {SHA256_DIGITS} digits alone"
    if not re.fullmatch(r"[0-9a-f]+", digits):
        return f"is not {SHA256_DIGITS} hexadecimal digits", remedy
    if len(digits) in _HASHES:
        return f"has {len(digits)} hexadecimal digits: it is {_HASHES[len(digits)]}", remedy
    return f"has {len(digits)} hexadecimal digits, and not {SHA256_DIGITS}", remedy


def is_other_hash(digits: str) -> bool:
    """Whether these are as many hexadecimal digits as another kind of hash has."""
    return len(digits) in _HASHES
