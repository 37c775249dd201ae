"""What the headers of tables mean, and the datasets that their files and headings name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from zoo.index.cells import CellTable
from zoo.index.nodes import Mapping as Pairs
from zoo.index.nodes import Node, Scalar, pair
from zoo.index.schema import FIELDS, canonical
from zoo.index.units import measured_key
from zoo.known_datasets import known_dataset

NAME, DATASET, WEIGHTS = "Name", "Dataset", "Weights"
ACCURACIES = ("Top 1 Accuracy", "Top 5 Accuracy")
ERRORS = {"Top 1 Error": ACCURACIES[0], "Top 5 Error": ACCURACIES[1]}
SIZE, COUNTED_AT, BATCH = "Image Size", "FLOPs Input", "Batch Size"
SPEEDS = ("Throughput", "Latency")
# Header, in small letters -> the key of an index, with its unit; None for what is nobody's claim.
_BUILT_IN: dict[str, str | None] = {
    # Who a row is about.
    **dict.fromkeys(("model", "name", "model name", "variant", "arch", "architecture"), NAME),
    **dict.fromkeys(("network", "weight", "models", "net", "networks", "architectures"), NAME),
    # timm's results and benchmarks.
    "param count": "Parameters (M)",
    **dict.fromkeys(
        ("img size", "resolution", "input size", "input resolution", "image resolution"), SIZE
    ),
    **dict.fromkeys(("crop ratio", "crop fraction"), "Crop Pct"),
    "interp": "Interpolation",
    # A benchmark runs at any size, and says nothing of how the weights are evaluated.
    "infer img size": COUNTED_AT,
    "infer gmacs": "GMACs",
    "infer macts": "Activations (M)",
    "macts": "Activations (M)",
    **dict.fromkeys(
        ("infer samples per sec", "img/s", "images/s", "img per sec", "samples / sec"), "Throughput"
    ),
    "infer step time": "Latency",
    "infer batch size": BATCH,
    **dict.fromkeys(("top1 diff", "top5 diff", "rank diff"), None),
    **dict.fromkeys(
        ("train img size", "train samples per sec", "train step time", "train batch size"), None
    ),
    # mmpretrain's pages and torchvision's documentation.
    **dict.fromkeys(("download", "checkpoint", "ckpt", "url", "link"), WEIGHTS),
    **dict.fromkeys(("weights url", "weight url", "model url", "checkpoint url"), WEIGHTS),
    **dict.fromkeys(
        ("pretrain", "config", "recipe", "paper", "code", "notes", "description"), None
    ),
}
_ERROR = re.compile(r"top[- ]?([15])[- ]?err(?:or)?\.?(?: rate)?(?: ?\(%\))?")
# ``FLOPs (G) @ 384``, ``ImageNet-V2 top-1``: what a header says beside its key.
_AT = re.compile(
    r"(.+?)\s*(?:\(?\s*(?:@|\bat\b)|\(\s*(?=\d{3}))\s*(\d{2,4}(?:\s*[x\u00d7]\s*\d{2,4})?)"
    r"\s*(?:px|pixels|\u00b2|\^2)?\s*\)?(\s*\([^()]{1,9}\))?",
    re.I,
)
_OF = re.compile(r"(.+?)[\s:,(-]*((?:top[- ]?[15]|acc(?:uracy)?\b).*?)\)?", re.I)
_ON = re.compile(r"(.+?)\s*(?:\bon\b|\()\s*(.+?)\)?", re.I)
# What cells are like under a ``Size`` or a ``Method``.
_SIZE = re.compile(r"(?:model )?size(?:(?: ?\((?:in )?|, | in )([kmg]i?b)\)?)?")
_CHANGED = re.compile(
    r"quant|\bu?int\d|\bbits?\b|prun|compress|spars|onnx|tflite|core ?ml|tensorrt", re.I
)
_BYTES = re.compile(r"\d[\d.,]*\s*[kKMG]i?B")
_SIDES = re.compile(r"\d{3}(?:\s*[x\u00d7]\s*\d{3})?(?:\s*px|\u00b2|\^2)?")
_CODE = re.compile(r"(?=[^\W_]*[\d_])[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*")
_SAID = re.compile(r"@|\bat\b|px|pixels|\u00b2|\^2", re.I)
# Sides of images, of which none is a usual number of epochs as well.
_INPUTS = frozenset({128, 160, 176, 192, 224, 240, 256, 288, 299, 320, 336, 380, 384, 448, 512})
_LONGEST = 100  # characters of such a header
_WITH_UNIT = re.compile(r"\d[\d.,]*\s*[KMGBT][A-Za-z]{0,5}")
_BOTH = re.compile(r"\s*[/&|]\s*")
# Words around the name of a dataset in that of a file.
_NEUTRAL = frozenset({"results", "result", "benchmark", "eval", "table", "accuracy", "val", "timm"})
_OTHER_DATASETS = {"sketch": "imagenet-sketch"}


@dataclass(frozen=True, slots=True)
class Column:
    """What a column says: the key of an index as its author might write it.

    Attributes:
        place: of the column in its table.
        key: the key, with its unit.
        field: the schema's spelling of it.
        at: the input that its numbers are of, where the header names one.
        dataset: the same of a dataset.
        part: which of several numbers of a cell it is.
        parts: how many a cell has.
    """

    place: int
    key: str
    field: str
    at: str = ""
    dataset: str = ""
    part: int = 0
    parts: int = 1

    @property
    def says(self) -> str:
        """What no table says twice of a row."""
        return "|".join(filter(None, (self.field, self.at, self.dataset)))


def columns_of(
    place: int, header: str, own: Mapping[str, str], texts: Sequence[str], alone: list[Column]
) -> list[Column]:
    """The columns that a header with several keys is, or one that names an input or a dataset.

    It has to have units itself where the cells, of these texts, have none. ``alone`` is what it is
    where it has not two keys.
    """
    if len(header) > _LONGEST:
        return alone
    parts = [part for text in texts for part in _BOTH.split(text)]
    has_units = bool(parts) and all(map(_WITH_UNIT.fullmatch, parts))
    header = " ".join(header.split())
    halves = _BOTH.split(header)
    keys = [meaning(half, own) for half in halves]
    if len(keys) == 2 and all(keys) and (has_units or not any(map(has_no_unit, halves))):
        fields = [field_of(key) for key in keys if key]
        return [
            Column(place, key or "", field, part=n, parts=2)
            for n, (key, field) in enumerate(zip(keys, fields, strict=True))
            if len({*fields} - {NAME, DATASET, WEIGHTS}) == 2
        ] or alone
    if alone:
        return alone
    at, of, on = _AT.fullmatch(header), _OF.fullmatch(header), _ON.fullmatch(header)
    said = at[1] + (at[3] or "") if at is not None else ""
    if at is not None and (has_units or not has_no_unit(said)):
        key = meaning(said, own) or ""
        # ``Top-1 (300)`` may be of so many epochs: the input changes no other number of theirs.
        is_input = _SAID.search(header) or not at[2].isdigit() or int(at[2]) in _INPUTS
        if field_of(key) == "FLOPs" or (field_of(key) in ACCURACIES and is_input):
            return [Column(place, key, field_of(key), at=at[2].strip())]
    for name, said in (of.groups() if of else ("", ""), on.groups()[::-1] if on else ("", "")):
        key, dataset = meaning(said, own) or "", _known(name) if name else None
        if dataset and field_of(key) in ACCURACIES:
            return [Column(place, key, field_of(key), dataset=dataset)]
    return []


def result_of(
    metrics: list[tuple[Node, Node]], dataset: Node | None, at: int, size: str = ""
) -> Node:
    """Accuracies as a result on a dataset, at an input of their own where one is said."""
    about = [pair("Task", Scalar("Image Classification", True, at, at), at)]
    about += [pair(DATASET, dataset, at)] if dataset is not None else []
    about += [pair(SIZE, Scalar(size, False, at, at), at)] if size else []
    return Pairs([*about, pair("Metrics", Pairs(metrics, at, at), at)], at, at)


def field_of(key: str) -> str:
    """The schema's spelling of a key of a table."""
    return key if key in ERRORS else canonical(key)


def meaning(header: str, own: Mapping[str, str]) -> str | None:
    """The key that a header means; empty where none is known, None where it is no claim.

    A project maps what is no claim to an empty text.
    """
    text = " ".join(header.replace("_", " ").split()).lower()
    if header in own:
        return own[header] or None
    if text in _BUILT_IN:
        return _BUILT_IN[text]
    if error := _ERROR.fullmatch(text):
        return f"Top {error[1]} Error"
    for form in (header, text):
        key = canonical(form)
        says = measured_key(form)
        if key in FIELDS and (says is None or not says.beside or has_no_unit(form)):
            return header if form == header else key
        if says is not None and has_no_unit(form):
            return header
    return ""


def meaning_by_cells(header: str, texts: Sequence[str], table: CellTable) -> str:
    """What a header means whose cells settle it, and they alone; empty where they don't.

    A ``Size`` is that of files where each has a unit of bytes, or the header has one, and nothing
    speaks of files that were quantized or the like; it is that of images where each is a side that
    these have. A ``Method`` is a model where no other column names
    any, one counts Parameters or FLOPs, and all are called as models are in code.
    """
    text = " ".join(header.split()).lower()
    named, heads = _SIZE.fullmatch(text), [cell.text for cell in table.header]
    cells = chain(table.header, *table.rows) if named else ()
    if named and any(_CHANGED.search(each) for each in (table.title, *(c.text for c in cells))):
        return ""
    if named and named[1]:
        return f"File Size ({named[1]})"
    if named and texts and all(map(_BYTES.fullmatch, texts)):
        return "File Size"
    if text == "size" and len(texts) > 2 and all(map(_SIDES.fullmatch, texts)):
        sides = {int(side) for each in texts for side in re.findall(r"\d{3}", each)}
        return SIZE if sides <= _INPUTS | {260, 300} else ""
    if text == "method" and texts and all(map(_CODE.fullmatch, texts)):
        is_counted = any(map(measured_key, heads))
        return NAME if is_counted and all(meaning(each, {}) != NAME for each in heads) else ""
    return ""


def has_no_unit(header: str) -> bool:
    """Whether it speaks of Parameters or FLOPs, and not in which unit."""
    says = measured_key(header)
    if says is None or says.field not in ("Parameters", "FLOPs"):
        return False
    return says.beside == "no unit" or (not says.beside and not says.scale)


# Datasets.


def dataset_of(stem: str) -> str | None:
    """The dataset that a file's name says, as timm's do."""
    words = [word for word in re.split(r"[-_. ]+", stem.lower()) if word]
    while words and words[0] in _NEUTRAL:
        words.pop(0)
    while words and words[-1] in _NEUTRAL:
        words.pop()
    return _known(_OTHER_DATASETS.get("-".join(words), "-".join(words)))


_BENCHMARK = re.compile(r"benchmark[-_]+(?:infer[-_]+)?(.*)")
_CONDITIONS = {
    **dict.fromkeys(("amp", "fp32", "float32", "fp16", "float16", "bf16", "bfloat16"), "precision"),
    **dict.fromkeys(("nhwc", "nchw"), "layout"),
    **dict.fromkeys(("dynamo", "inductor", "compile"), "compile"),
}


def conditions_of(stem: str) -> dict[str, str]:
    """What a benchmark was made under, by its file's name, as timm writes it.

    ``benchmark-infer-amp-nhwc-pt240-cu124-rtx3090``: the precision, the layout, the version of
    PyTorch, that of CUDA, and the device.
    """
    named = _BENCHMARK.fullmatch(stem.lower())
    found, device = dict[str, str](), list[str]()
    for word in named[1].split("-") if named is not None else ():
        version = re.fullmatch(r"pt(\d)(\d{1,2}?)(\d?)", word)
        if word in _CONDITIONS:
            is_compiled = _CONDITIONS[word] == "compile"
            found[_CONDITIONS[word]] = "on" if is_compiled else word
        elif version is not None:
            found["backend"] = f"torch {version[1]}.{version[2]}"
        elif word and not re.fullmatch(r"cu\d+", word):
            device.append(re.sub(r"^(rtx|gtx|rx)(?=\d)", r"\1 ", word.replace("_", " ")))
    return found | ({"device": " ".join(device)} if device else {})


def _known(name: str) -> str | None:
    known = known_dataset(name)
    return None if known is None else known.name


def heading_dataset(title: str) -> str | None:
    """The dataset that a heading names: ``Image Classification on CIFAR-10``."""
    before, on, name = title.rpartition(" on ")
    return (name.strip() or None) if on and before else _known(title)


# What a project says of its own tables.


def own_columns(file: str) -> dict[str, str]:
    """`[tool.zoo.tables]` of the nearest pyproject.toml that has it: header -> key.

    A table inside it speaks of the files that its name fits, and has their ``dataset``.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        try:
            found = _tables(path, path.stat().st_mtime_ns)
        except OSError:
            continue
        if found is not None:
            break
    else:
        return {}
    columns = {k: v for k, v in found.items() if isinstance(v, str)}
    for pattern, inner in found.items():
        if isinstance(inner, dict) and fnmatch(file, pattern):
            columns |= {k: v for k, v in inner.items() if isinstance(v, str)}
    return columns


@lru_cache(maxsize=8)
def _tables(path: Path, _: int) -> dict[str, Any] | None:
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        tool = toml.loads(path.read_text("utf-8")).get("tool", {})
        return tool["zoo"]["tables"] if isinstance(tool["zoo"]["tables"], dict) else None
    except (ValueError, KeyError, TypeError):
        return None  # the command says what is wrong there


def mapping_faults(tables: object, where: str = "") -> Iterator[str]:
    """What is wrong in a `[tool.zoo.tables]`, a line each."""
    if not isinstance(tables, dict):
        yield f"{where}{tables!r} is not a table; write headers and the keys that they mean"
        return
    for header, key in tables.items():
        if isinstance(key, dict) and not where:
            yield from mapping_faults(key, f"{header}: ")
        elif not isinstance(key, str):
            yield f"{where}{header}: {key!r} is no key of an index; write one such as GMACs"
        elif not (where and header == "dataset") and key not in ERRORS and key:
            says = measured_key(key)
            if canonical(key) not in FIELDS or (says is not None and says.beside):
                yield f"{where}{header}: {key!r} is no key of an index; write one such as GMACs"
