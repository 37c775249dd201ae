"""One value of an index, read as its field says: a claim, or the problem with it."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from zoo._util.text import shown
from zoo.index import advice
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, excerpt, kind_of, kind_of_plain
from zoo.index.schema import Field, LinkError, check_link, check_weights, nearest
from zoo.index.types import Unit, Value
from zoo.index.units import (
    NotANumber,
    Number,
    OutOfRange,
    parse_number,
    rounded_count,
    sides,
    spatial,
    whole,
)

UNITS: dict[str, Unit] = {
    "count": "count", "rounded-count": "count", "bytes": "bytes", "percent": "percent",
    "ratio": "ratio", "number": "number", "pixels": "pixels", "numbers": "number", "word": "text",
    "speed": "number", "text": "text", "texts": "list", "text-or-texts": "list", "link": "url",
    "weights": "url", "hash": "text",
}  # fmt: skip
_NUMERIC = frozenset({"count", "rounded-count", "bytes", "percent", "ratio", "number", "speed"})
EXPECTED = {
    "count": "a whole number", "rounded-count": "a whole number", "bytes": "a number of bytes",
    "percent": "a percentage", "ratio": "a fraction of one", "number": "a number",
    "pixels": "a size in pixels (height x width)", "numbers": "a list of numbers",
    "speed": "a number",
    "word": "a word", "text": "text", "texts": "a list of texts",
    "text-or-texts": "a list of texts", "link": "a URL", "weights": "a URL", "hash": "a SHA-256",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NAMES = frozenset({"Name", "ID", "In Collection", "Builder"})
_MAX_NAME = 200
_MAX_TEXT = 10_000
_BARE = re.compile(r"[+-]?[0-9][0-9.,_]*(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9]+")
_QUOTIENT_STEP = Decimal("1e-6")


class Wrong(Exception):
    """A value that its field can't have.

    Attributes:
        cause: a problem's cause id.
        what: what is wrong, to follow "KEY is VALUE, which ..." or a whole clause.
        remedy: what would be right.
        node: the exact node at fault.
    """

    def __init__(self, cause: str, what: str, remedy: str, node: Node) -> None:
        super().__init__(what)
        self.cause, self.what, self.remedy, self.node = cause, what, remedy, node


def read_value(node: Node, field: Field, text: str) -> tuple[Value, Decimal | None, bool]:
    """The normalised value of a node, its step, and whether a plain number stands in quotes.

    Raises:
        Wrong: the value is of another type, out of range, or an unknown word.
    """
    if node.tag is not None:
        raise Wrong(
            "schema.wrong-type",
            f"has the tag {shown(node.tag)}, which is never followed",
            f"write {EXPECTED[field.kind]} such as {field.example}, without a tag",
            node,
        )
    value: Value
    step: Decimal | None = None
    quoted = False
    if field.kind == "pixels":
        value, quoted = _pixels(node, field, text), is_quoted_number(node)
    elif field.kind in ("texts", "text-or-texts"):
        value = _texts(node, field, text)
    elif field.kind == "numbers":
        value, quoted = _numbers(node, field, text)
    else:
        scalar = _scalar(node, field, text)
        if field.kind in _NUMERIC:
            value, step = _quantity(scalar, field)
            quoted = is_quoted_number(scalar)
        elif field.kind == "word":
            value = _word(scalar, field)
        elif field.kind == "hash":
            value = _hash(scalar, field)
        else:
            value = _text(scalar, field)
    return value, step, quoted


def is_quoted_number(node: Node) -> bool:
    """Whether a number is written as a text in quotes."""
    return isinstance(node, Scalar) and node.quoted and kind_of_plain(node.text) == "number"


def _wrong_type(node: Node, field: Field, text: str, expected: str = "") -> Wrong:
    kind = kind_of(node)
    what = (
        "has no value" if kind == "null" else f"is {_article(kind)} {shown(excerpt(node, text))!r}"
    )
    if isinstance(node, (Mapping, Sequence)):
        what = f"is {_article(kind)}"
    expected = expected or EXPECTED[field.kind]
    quote = field.kind in ("text", "texts", "text-or-texts", "word") and isinstance(node, Scalar)
    remedy = f"write {expected} such as {field.example}"
    if field.words:
        remedy = f"write one of {', '.join(field.words)}"
    if field.kind == "weights" and (url := _only_url(node)):
        remedy = f"write {url} alone"
    if isinstance(node, Scalar) and (instead := advice.instead_of(node.text, field)):
        what = f"{what}, where {expected} is expected"
        return Wrong("schema.wrong-type", what, f"write {instead}", node)
    if quote and kind not in ("null", "text") and not field.words:
        remedy = f'put it in quotes ("{shown(node.text)}") if it is meant as text'  # type: ignore[union-attr]
    return Wrong("schema.wrong-type", f"{what}, where {expected} is expected", remedy, node)


def _only_url(node: Node) -> str | None:
    """The web address that a mapping holds, where it holds just one."""
    if not isinstance(node, Mapping):
        return None
    texts = [value.text for _, value in node.pairs if isinstance(value, Scalar)]
    urls = [each for each in texts if each.lower().startswith(("https://", "http://"))]
    return shown(urls[0]) if len(urls) == 1 else None


def _article(kind: str) -> str:
    return {"text": "the text", "null": "nothing"}.get(kind, f"a {kind}")


def _scalar(node: Node, field: Field, text: str) -> Scalar:
    """The node as a scalar of the type that the field needs."""
    kind = kind_of(node)
    if not isinstance(node, Scalar) or kind in ("null", "boolean"):
        raise _wrong_type(node, field, text)
    is_text = field.kind in ("text", "word", "link", "weights")
    if is_text and kind != "text":
        raise _wrong_type(node, field, text)
    return node


def _parse(scalar: Scalar, field: Field) -> Number:
    try:
        number = parse_number(scalar.text, field.units)
    except OutOfRange as error:
        raise _out_of_range(scalar, field, str(error)) from None
    except NotANumber as error:
        raise _not_such(scalar, field, str(error)) from None
    if not field.holds(number.value) and not (scalar.sure and number.value == 0):
        raise _out_of_range(scalar, field, "is out of range")
    return number


def _not_such(scalar: Scalar, field: Field, why: str) -> Wrong:
    instead = advice.instead_of(scalar.text, field)
    what = f"is {shown(scalar.text)!r}, which {why}" if scalar.text.strip() else "is empty"
    return Wrong(
        "schema.wrong-type",
        what,
        f"write {instead or f'{EXPECTED[field.kind]} such as {field.example}'}",
        scalar,
    )


def _out_of_range(scalar: Scalar, field: Field, why: str) -> Wrong:
    instead = advice.instead_of(scalar.text, field)
    right = f"{EXPECTED[field.kind]} {field.range}, such as {instead or field.example}"
    return Wrong(
        "schema.out-of-range",
        f"is {shown(scalar.text)}, which {why}",
        f"write {right}",
        scalar,
    )


def _quantity(scalar: Scalar, field: Field) -> tuple[int | Decimal, Decimal]:
    kind = field.kind
    if kind == "ratio" and "/" in scalar.text:
        return _quotient(scalar, field)
    number = _parse(scalar, field)
    if kind in ("percent", "ratio", "number", "speed"):
        return number.value, number.step
    try:
        if kind == "rounded-count":
            return rounded_count(number)
        if kind == "bytes" and number.unit not in ("", "B"):
            # 97.8 MiB is no whole number of bytes, and does not claim to be one.
            return int(number.value.to_integral_value()), max(Decimal(1), number.step)
        return whole(number)
    except NotANumber as error:
        raise _not_such(scalar, field, str(error)) from None


def _quotient(scalar: Scalar, field: Field) -> tuple[Decimal, Decimal]:
    """``224/256``: a crop over the size it is cut from. All digits of the quotient are claimed."""
    try:
        top, bottom = (parse_number(part) for part in scalar.text.split("/", 1))
    except OutOfRange as error:
        raise _out_of_range(scalar, field, str(error)) from None
    except NotANumber as error:
        raise _not_such(scalar, field, str(error)) from None
    if not bottom.value or not field.holds(value := top.value / bottom.value):
        raise _out_of_range(scalar, field, "is out of range")
    return value, _QUOTIENT_STEP


def _pixels(node: Node, field: Field, text: str) -> tuple[int, int]:
    """``224``, ``224x288`` or ``[224, 288]`` (height, width), or with channels, first or last."""
    if isinstance(node, Sequence):
        texts = [item.text.strip() if isinstance(item, Scalar) else "?" for item in node.items]
        found = spatial(texts)
        if found is None:
            raise _wrong_type(node, field, text)
        end = len(found)
        first = next(n for n in range(len(texts)) if texts[n : n + end] == found)
        values = [_side(side, field, text) for side in node.items[first : first + end]]
        return values[0], values[-1]
    scalar = _scalar(node, field, text)
    parts = sides(scalar.text)
    if parts is None or scalar.text.strip() == parts[0]:
        side = _side(scalar, field, text)
        return side, side
    values = [_side(Scalar(part, True, scalar.start, scalar.end), field, text) for part in parts]
    return values[0], values[-1]


def _side(node: Node, field: Field, text: str) -> int:
    scalar = _scalar(node, field, text)
    number = _parse(scalar, field)
    try:
        return whole(number)[0]
    except NotANumber as error:
        raise _not_such(scalar, field, str(error)) from None


def _numbers(node: Node, field: Field, text: str) -> tuple[tuple[float, ...], bool]:
    """``[0.485, 0.456, 0.406]``, or the same as text: ``(0.485, 0.456, 0.406)``."""
    if isinstance(node, Scalar) and "," in node.text and node.tag is None:
        inner = node.text.strip().strip("()[]").strip().removesuffix(",")
        items: list[Node] = [
            Scalar(part.strip(), False, node.start, node.end) for part in inner.split(",")
        ]
    else:
        items = list(node.items) if isinstance(node, Sequence) else []
    if not 1 <= len(items) <= 4:
        raise _wrong_type(node, field, text, "a list of one number per channel")
    scalars = [_scalar(item, field, text) for item in items]
    _check_channels(scalars, node, field)
    values = tuple(float(_parse(scalar, field).value) for scalar in scalars)
    return values, any(map(is_quoted_number, scalars))


def _check_channels(scalars: list[Scalar], node: Node, field: Field) -> None:
    """Tell what is written on another scale, or of the channels in another order."""
    try:
        values = [float(parse_number(scalar.text).value) for scalar in scalars]
    except (NotANumber, OutOfRange):
        return  # reported of the one that is wrong
    scaled = advice.on_scale_of_one(values)
    ordered = advice.in_order_of_rgb(field.key, scaled or values)
    what = []
    if scaled is not None:
        what.append("is on the scale of pixels from 0 to 255")
    if ordered is not None:
        what.append("has ImageNet's values in the order B, G, R")
    if what:
        right = ", ".join(f"{value:g}" for value in ordered or scaled or ())
        basis = "pixels from 0 to 1" if scaled else "the channels"
        raise Wrong(
            "schema.wrong-type" if scaled is None else "schema.out-of-range",
            " and ".join(what),
            f"write [{right}], for {basis} in the order R, G, B",
            node,
        )


def _texts(node: Node, field: Field, text: str) -> tuple[str, ...]:
    if isinstance(node, Sequence):
        for item in node.items:
            if item.tag is not None or not isinstance(item, Scalar) or kind_of(item) != "text":
                raise _wrong_type(item, field, text, "text in the list")
        return tuple(_text(item, field) for item in node.items if isinstance(item, Scalar))
    if field.kind == "texts" or not isinstance(node, Scalar) or kind_of(node) != "text":
        raise _wrong_type(node, field, text)
    return (_text(node, field),)


def _text(scalar: Scalar, field: Field) -> str:
    text = scalar.text.rstrip("\n")  # the end of a block scalar
    problem = None
    if not text.strip():
        problem = "is empty"
    elif len(text) > (limit := longest(field)):
        problem = f"is longer than {limit:,} characters"
    elif _CONTROL.search(text.replace("\n", " ").replace("\t", " ")) or (
        "\n" in text and field.key in _NAMES
    ):
        problem = f"is {shown(text)!r}, which holds control characters"
    if problem is not None:
        remedy = f"write {EXPECTED[field.kind]} such as {field.example}"
        raise Wrong("schema.wrong-type", problem, remedy, scalar)
    try:
        if field.kind == "link":
            check_link(text)
        elif field.kind == "weights":
            check_weights(text)
    except LinkError as error:
        raise _not_such(scalar, field, str(error)) from None
    return text


def longest(field: Field) -> int:
    """How many characters a text of that field may have."""
    return _MAX_NAME if field.key in _NAMES else _MAX_TEXT


def _word(scalar: Scalar, field: Field) -> str:
    # Python's names for the words, such as InterpolationMode.BICUBIC.
    word = scalar.text.strip().lower().rpartition(".")[2]
    if word in field.words:
        return word
    close = advice.instead_of(word, field) or nearest(word, of=field.words)
    hint = f"did you mean {close}? " if close else ""
    cause = "schema.unknown-interpolation" if field.key == "Interpolation" else "schema.wrong-type"
    raise Wrong(
        cause,
        f"is {shown(scalar.text)!r}, which is unknown" if word else "is empty",
        f"{hint}write one of {', '.join(field.words)}",
        scalar,
    )


def _hash(scalar: Scalar, field: Field) -> str:
    """The digits, in lower case: all 64, or at least the first eight of them."""
    digits = scalar.text.strip().lower()
    if is_head(digits) or re.fullmatch(r"[0-9a-f]{64}", digits):
        return digits
    what, remedy = advice.why_no_sha256(scalar.text)
    raise Wrong("schema.wrong-type", f"is {shown(scalar.text)!r}, which {what}", remedy, scalar)


def is_head(digits: str) -> bool:
    """Whether these are the first digits of a SHA-256 alone, and of no other hash."""
    return bool(re.fullmatch(r"[0-9a-f]{8,63}", digits)) and not advice.is_other_hash(digits)


def remark(field: Field, value: Value, node: Node) -> Wrong | None:
    """What is to be said of a value that is read all the same; None where it is written well."""
    if field.kind != "hash" or not isinstance(value, str) or not is_head(value):
        return None
    return Wrong(
        "schema.wrong-type",
        f"has {len(value)} of the 64 digits of a SHA-256: it is the head alone",
        "write all 64 digits, as sha256sum prints them",
        node,
    )


def with_unit(node: Node, raw: str, scale: str, field: Field) -> tuple[Node, str]:
    """A value and its text with the unit of its key; as they are where the key names none.

    Raises:
        Wrong: the value names another unit than the key.
    """
    if not scale or not isinstance(node, Scalar) or kind_of(node) == "null":
        return node, raw
    text = node.text.strip()
    if _BARE.fullmatch(text):
        said = f"{text} {scale}"
        return replace(node, text=said, written=node.written or node.text), said
    number = _BARE.match(text)
    unit = text[number.end() :].strip() if number is not None else ""
    if unit in field.units and field.units[unit] != field.units.get(scale):
        raise Wrong(
            "schema.wrong-type",
            f"is {shown(text)!r}, and its key says {scale}",
            f"write the number in {scale}, or leave the unit out of the key",
            node,
        )
    return node, raw
