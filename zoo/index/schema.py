"""The known fields of a model-index: one table, with kind, range and other spellings.

Keys outside the table are kept as text claims and noted. To teach the reader a field, add a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from zoo._util.text import is_slip
from zoo._util.text import nearest as nearest_words
from zoo.index.units import (
    BYTE_UNITS,
    COUNT_UNITS,
    OPERATION_UNITS,
    PIXEL_UNITS,
    RATE_UNITS,
    TIME_UNITS,
    measured_key,
)
from zoo.weights import hub

Kind = Literal[
    "count",  # a whole number
    "rounded-count",  # a whole number whose trailing zeros claim nothing
    "bytes",  # a whole number of bytes, or one with a unit
    "percent",  # 0 to 100, with or without the sign
    "ratio",  # a fraction of one, or a quotient of two numbers
    "number",  # a decimal number
    "pixels",  # a height and a width
    "numbers",  # a list of numbers, one per channel
    "speed",  # a number, or several, each with what it was measured under
    "word",  # one of a few words
    "text",  # a line of text
    "texts",  # a list of texts
    "text-or-texts",  # a list of texts, or one text
    "link",  # an http or https URL
    "weights",  # an http, https, file or package URL, an hf-hub: name, or a relative path
    "hash",  # a SHA-256 in hexadecimal
]

CROP_MODES = ("center", "squash", "border")
INTERPOLATIONS = (
    "nearest", "nearest-exact", "bilinear", "bicubic", "lanczos", "box", "hamming", "area", "random"
)  # fmt: skip
CONVENTIONS = (
    "macs", "flops", "fvcore", "thop-2020", "thop", "ptflops", "mmcv", "deepspeed", "torchinfo",
    "torchvision",
)  # fmt: skip

_UNITS: dict[str, dict[str, Decimal]] = {
    "rounded-count": COUNT_UNITS, "bytes": BYTE_UNITS, "percent": {"%": Decimal(1)},
    "pixels": PIXEL_UNITS, "FLOPs": OPERATION_UNITS, "Throughput": RATE_UNITS,
    "Latency": TIME_UNITS, "inference time (ms/im)": TIME_UNITS, "Memory": BYTE_UNITS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One known field.

    Attributes:
        key: the key as an index writes it.
        kind: how its value is read.
        low, high: the range of a number, both inclusive unless ``above`` or ``below`` is set.
        above, below: ``low``, ``high`` are excluded.
        words: the words that a ``word`` can be.
        example: a right value, for remedies.
    """

    key: str
    kind: Kind
    example: str
    low: Decimal | None = None
    high: Decimal | None = None
    above: bool = False
    below: bool = False
    words: tuple[str, ...] = ()

    def holds(self, value: Decimal) -> bool:
        """Whether a number lies in the field's range."""
        low, high = self.low, self.high
        if low is not None and (value < low or (self.above and value == low)):
            return False
        return high is None or not (value > high or (self.below and value == high))

    @property
    def units(self) -> dict[str, Decimal]:
        """The units that may stand beside a number of this field, with their factors."""
        return _UNITS.get(self.key) or _UNITS.get(self.kind, {})

    @property
    def range(self) -> str:
        """The range in words: ``above 0 up to 1``."""
        low = f"{'above' if self.above else 'from'} {_plain(self.low)}"
        if self.high is None:
            return low
        return f"{low} {'to below' if self.below else 'up to'} {_plain(self.high)}"


def _plain(value: Decimal | None) -> str:
    return "any number" if value is None else f"{value.normalize():,f}"


def _whole(key: str, example: str, high: str, kind: Kind = "count") -> Field:
    return Field(key, kind, example, Decimal(1), Decimal(high))


def _share(key: str, example: str, above: bool = False, below: bool = False) -> Field:
    return Field(key, "ratio", example, Decimal(0), Decimal(1), above, below)


def _number(key: str, example: str, high: str, above: bool = True) -> Field:
    return Field(key, "number", example, Decimal(0), Decimal(high), above)


def _percent(key: str, example: str) -> Field:
    return Field(key, "percent", example, Decimal(0), Decimal(100), above=True)


def _pixels(key: str, example: str) -> Field:
    return Field(key, "pixels", example, Decimal(8), Decimal(16384))


def _speed(key: str, example: str, low: int = 0, high: str = "1e9") -> Field:
    return Field(key, "speed", example, Decimal(low), Decimal(high), above=True)


def _text(*rows: tuple[str, str]) -> tuple[Field, ...]:
    return tuple(Field(key, "text", example) for key, example in rows)


# A variant's own keys and those of its Metadata; a field may stand in either.
_VARIANT = (
    Field("Weights", "weights", "https://example.org/resnest50-528c19ca.pth"),
    # The same file in other places, which are tried in this order where Weights can't be had.
    Field("Mirrors", "weights", "https://mirror.example.org/resnest50-528c19ca.pth"),
    Field("License", "text", "Apache-2.0"),
    Field("Code", "link", "https://example.org/resnest.py#L170"),
    Field("SHA256", "hash", "528c19ca..., 64 hexadecimal digits"),
    Field("Pretrain", "weights", "https://example.org/resnest50-528c19ca.pth"),
    # Who builds it: `zoo` itself, or what a package adds. An index may say so of all its variants.
    Field("Builder", "text", "timm"),
    # A variant whose architecture is another's, with a classifier of its own.
    Field("Base", "text", "resnest50d"),
    _whole("Classes", "10", "1e6"),
    Field("Class Names", "texts", "[cat, dog]"),
    _whole("FLOPs", "6937106336", "1e16", "rounded-count"),
    _whole("Parameters", "27480000", "1e13", "rounded-count"),
    _whole("Activations", "11110000", "1e13", "rounded-count"),
    _whole("File Size", "110273258", "1e13", "bytes"),
    _whole("Layers", "50", "10000"),
    _whole("Epochs", "270", "1e6"),
    _whole("Batch Size", "256", "1e7"),
    # Above 1 where the resized image is smaller than the input, which is padded around it.
    Field("Crop Pct", "ratio", "0.875", Decimal(0), Decimal(2), above=True, below=True),
    _share("Dropout", "0.2", below=True),
    _share("Momentum", "0.9", below=True),
    _share("Label Smoothing", "0.1", below=True),
    _share("LR Gamma", "0.1", above=True),
    _share("RMSProp Decay", "0.9"),
    _share("BatchNorm Momentum", "0.99"),
    _share("Stochastic Depth Survival", "0.8", above=True),
    _number("LR", "0.1", "100"),
    _number("LR Step Size", "30", "1e6"),
    _number("Weight Decay", "0.0001", "1", above=False),
    _pixels("Image Size", "224"),
    _pixels("FLOPs Input", "224x285"),
    _speed("Throughput", "1250"),
    _speed("Latency", "8.1"),
    _speed("Memory", "1.2 GB", 100_000, "1e15"),
    _speed("inference time (ms/im)", "64.1"),
    # What a library configures for weights, and how the model takes images.
    _pixels("Test Image Size", "288"),
    _pixels("Min Image Size", "32"),
    Field("Pool Size", "pixels", "7", Decimal(1), Decimal(16384)),
    Field("Test Pool Size", "pixels", "9", Decimal(1), Decimal(16384)),
    Field("Test Crop Pct", "ratio", "1.0", Decimal(0), Decimal(2), above=True, below=True),
    Field("Sizes", "word", "fixed", words=("fixed", "any")),
    Field("Outputs", "count", "1000", Decimal(0), Decimal(10**7)),
    _whole("Channels", "3", "1000"),
    Field("Classifier", "text-or-texts", "fc"),
    Field("First Conv", "text-or-texts", "conv1"),
    Field("Hub", "text", "timm/resnet50.a1_in1k"),
    Field("Mean", "numbers", "[0.485, 0.456, 0.406]", Decimal(0), Decimal(1)),
    Field("Std", "numbers", "[0.229, 0.224, 0.225]", Decimal(0), Decimal(1), above=True),
    Field("Interpolation", "word", "bicubic", words=INTERPOLATIONS),
    Field("Crop Mode", "word", "center", words=CROP_MODES),
    Field("FLOPs Convention", "word", "fvcore", words=CONVENTIONS),
    Field("Architecture", "texts", "[Convolution, ReLU]"),
    Field("Tasks", "texts", "[Image Classification]"),
    Field("Training Techniques", "texts", "[Mixup, Weight Decay]"),
    Field("Training Data", "text-or-texts", "[ImageNet]"),
    *_text(
        ("Training Resources", "8x NVIDIA V100 GPUs"),
        ("Training Time", "6 days"),
        ("ID", "resnest50d"),
        ("Config", "configs/resnest/resnest50.py"),
        ("README", "configs/resnest/README.md"),
        # What a page about a collection says; blank lines part the paragraphs of a description.
        ("Description", "ResNets whose blocks split the attention"),
        ("Citation", "a BibTeX entry"),
        ("Name", "resnest50d"),
        ("In Collection", "ResNeSt"),
        ("Paper", "https://arxiv.org/abs/2004.08955"),
        ("Converted From", "https://example.org/resnest50.pth"),
    ),
)
_RESULT = (
    *_text(("Task", "Image Classification"), ("Dataset", "ImageNet")),
    _percent("Top 1 Accuracy", "80.96%"),
    _percent("Top 5 Accuracy", "95.38%"),
    _whole("Images", "50000", "1e12"),
)
# What a key may hold where its value is a mapping.
_NESTED: dict[str, tuple[Field, ...]] = {
    "Paper": (
        *_text(("Title", "Split-Attention Networks")),
        Field("URL", "link", "https://arxiv.org/abs/2004.08955"),
    ),
    "Code": (
        Field("URL", "link", "https://example.org/resnest.py"),
        *_text(("Version", "v0.15.0")),
    ),
    "License": (
        *_text(("Name", "Apache-2.0")),
        Field("URL", "link", "https://www.apache.org/licenses/LICENSE-2.0"),
    ),
    "Converted From": (
        Field("Weights", "weights", "https://example.org/resnest50.pth"),
        Field("Code", "link", "https://example.org/resnest.py"),
    ),
}
_OTHER_SPELLINGS = {
    "Params": "Parameters",
    "Learning Rate": "LR",
    "Crop Percentage": "Crop Pct",
    "Filesize": "File Size",
    **dict.fromkeys(("Throughput (images/s)", "Throughput (img/s)", "Images/s"), "Throughput"),
    "Latency (ms)": "Latency",
}

# Keys of other zoos that are spelt right, and that nothing here reads.
_OTHERS = (
    "Alias", "Downstream", "Framework", "Frameworks", "Memory (GB)", "Modality", "Pretrained",
    "Resolution", "Training Json Log", "Training Log", "Training Memory (GB)",
    "backbone", "crop size", "iterations", "lr schd",
)  # fmt: skip
# What is measured, or needed to measure: a value here that can't be read is an error in any format.
CHECKED = frozenset({
    "Name", "In Collection", "Weights", "SHA256", "FLOPs", "FLOPs Convention", "FLOPs Input",
    "Parameters", "Activations", "File Size", "Layers", "Image Size", "Crop Pct", "Interpolation",
    "Mean", "Std", "Crop Mode", "Top 1 Accuracy", "Top 5 Accuracy", "Images",
})  # fmt: skip
_MAX_LINK = 4096
_UNSAFE = re.compile(r"[^\x21-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\"<>\\^`{|}\xa0\u2028-\u202f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HTTP = re.compile(
    r"(?i:https?)://(?:[^/?#@\s]+@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\s\[\]]+)(?::[0-9]{1,5})?(?:[/?#].*)?"
)
_PORT, _MAX_PORT = re.compile(r"(?i:https?)://[^/?#]*:([0-9]{1,5})(?:[/?#]|$)"), 65535
_PACKAGE = re.compile(r"(?i:package)://[A-Za-z_][\w.]*(?:/[^/?#]+)+")
_FILE = re.compile(r"(?i:file)://(?:localhost)?/[^?#]+")
_RELATIVE = re.compile(r"(?:[^/:?#]+/)*[^/:?#]+\.[A-Za-z][A-Za-z0-9]{0,15}")
_ACCURACY = re.compile(r"(?:top([15])(?:acc(?:uracy)?)?|acc(?:uracy)?(?:at|top)?([15]))")

FIELDS: dict[str, Field] = {f.key: f for f in (*_VARIANT, *_RESULT)}
NESTED: dict[str, dict[str, Field]] = {k: {f.key: f for f in v} for k, v in _NESTED.items()}
# Keys that hold others, and in what they hold them.
STRUCTURE = {
    "Collections": "list", "Models": "list", "Import": "list", "Metadata": "mapping",
    "Results": "list", "Metrics": "mapping",
}  # fmt: skip
_BY_SPELLING = {k.lower(): k for k in (*FIELDS, *NESTED, "Metadata", "Results", "Metrics")} | {
    other.lower(): key for other, key in _OTHER_SPELLINGS.items()
}
_OTHER_KEYS = frozenset(key.lower() for key in _OTHERS)


@lru_cache(maxsize=4096)
def canonical(key: str) -> str:
    """The table's spelling of a key: other capitals, units and usual names are understood."""
    known = _BY_SPELLING.get(key.lower()) or accuracy_key(key)
    if known is not None:
        return known
    measured = measured_key(key)
    return key if measured is None or measured.beside else measured.field


@lru_cache(maxsize=1024)
def accuracy_key(name: str) -> str | None:
    """``Top 1 Accuracy`` or ``Top 5 Accuracy`` for a metric called ``acc@1``, ``top-5`` ..."""
    found = _ACCURACY.fullmatch(re.sub(r"[ _@.()\[\]%-]", "", name[:80].lower()))
    return f"Top {found[1] or found[2]} Accuracy" if found else None


def accuracy_of(name: str, task: str) -> str | None:
    """The same for a metric of a task: of an image classifier, ``acc`` alone is the top-1."""
    key = accuracy_key(name)
    if key is None and "image classification" in task.lower().replace("-", " ").replace("_", " "):
        plain = re.sub(r"[ _.()\[\]%-]", "", name[:80].lower()) in ("acc", "accuracy")
        key = "Top 1 Accuracy" if plain else None
    return key


def misspelt_accuracy(name: str, task: str) -> str | None:
    """The accuracy that a metric of a classifier is a letter or two away from; None where it isn't.

    Metrics are free: only the whole word is compared, and its first letter and digits are its own
    (``mAccuracy`` and ``Top 3 Accuracy`` are other metrics).
    """
    word = re.sub(r"[ _@.()\[\]%-]", "", name[:80].lower())
    digits = re.sub(r"[^0-9]", "", word)
    whole = f"top{digits}accuracy" if digits else "accuracy"
    meant = accuracy_of(whole, task)
    if "classification" not in task.lower() or meant is None:
        return None
    if word[:1] != whole[0] or not word.isalnum():
        return None
    if word.startswith(whole) and not re.search("accuracy[a-z]", name.lower()):
        return None  # A word of its own behind it names another set: ``Top 1 Accuracy R``.
    return meant if is_slip(word, whole) else None


def metric_name(name: str, task: str) -> str:
    """The field of a metric: an accuracy's, else its own name.

    A metric may be called as something that is no metric is: the PCK's ``Mean`` is not the mean of
    the pixels, and becomes ``Metrics.Mean``.
    """
    key = accuracy_of(name, task)
    if key is not None:
        return key
    known = canonical(name)
    return f"Metrics.{name}" if known in FIELDS or known.lower() in _BY_SPELLING else name


@lru_cache(maxsize=1024)
def nearest(word: str, *, of: tuple[str, ...]) -> str | None:
    """The word in ``of`` that is closest to a misspelt one, if any is close."""
    close = nearest_words(word, of, n=1, cutoff=0.75)
    return close[0] if close else None


@lru_cache(maxsize=1024)
def nearest_keys(word: str) -> tuple[str, ...]:
    """The known keys that are close to a misspelt one, the closest first.

    A key with other digits is another key: ``Top 3 Accuracy`` is not a misspelt ``Top 1 Accuracy``.
    """
    digits = ("", re.sub(r"[^0-9]", "", word[:80]))
    known = (*FIELDS, *NESTED, *STRUCTURE, *_OTHERS)
    same = dict.fromkeys(key for key in known if re.sub(r"[^0-9]", "", key) in digits)
    return tuple(nearest_words(word, same, cutoff=0.7))


def is_of_another_zoo(key: str) -> bool:
    """Whether other zoos have a key of that name."""
    return key.lower() in _OTHER_KEYS


class LinkError(ValueError):
    """The text is no such link; the message says why, in a few words."""


def check_link(text: str) -> None:
    """Accept an http or https URL.

    Raises:
        LinkError: anything else.
    """
    _check_characters(text)
    if not _HTTP.fullmatch(text):
        raise LinkError(f"is not an http or https URL{_scheme_of(text)}")


def check_weights(text: str) -> None:
    """Accept an http, https, file or package URL, an ``hf-hub:`` name, or a relative path.

    Raises:
        LinkError: anything else.
    """
    _check_characters(text)
    try:
        if hub.short(text) is not None:
            return
    except ValueError as error:
        raise LinkError("is no name of a file on the Hub") from error
    if hub.file_of_page(text) is not None:
        raise LinkError("is a page of the Hub that shows files, and not a file")
    if not any(form.fullmatch(text) for form in (_HTTP, _PACKAGE, _FILE, _RELATIVE)):
        raise LinkError(
            "is not an http, https, file or package URL, an hf-hub: name, nor the relative path of "
            "a file" + _scheme_of(text)
        )


def _check_characters(text: str) -> None:
    if len(text) > _MAX_LINK:
        raise LinkError(f"is longer than {_MAX_LINK:,} characters")
    if _UNSAFE.search(text):
        raise LinkError("holds a space or another character that no URL has")
    if (port := _PORT.match(text)) and int(port[1]) > _MAX_PORT:
        raise LinkError(f"names port {port[1]}, and the highest is {_MAX_PORT}")


def _scheme_of(text: str) -> str:
    scheme = _SCHEME.match(text)
    return f" (its scheme is {scheme[1][:20]})" if scheme else ""
