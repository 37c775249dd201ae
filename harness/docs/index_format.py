"""The page about the format of a model-index, made from the table of its fields."""

from __future__ import annotations

from collections.abc import Iterable

from harness.check.schema import groups_reading
from harness.docs.index_schema import MEANINGS
from harness.docs.markdown import Markdown, table, typed
from zoo.index.schema import FIELDS, NESTED, Field
from zoo.index.speeds import SPEEDS
from zoo.index.types import SETTINGS
from zoo.index.units import COUNT_UNITS
from zoo.index.values import EXPECTED

_HEAD = """\
# The model-index

A model-index says what a zoo publishes of its variants: YAML files, or the same YAML in a comment
or the front matter of a Markdown page. This page is made from the reader's own table by
`python -m harness.docs.reference`.

Without `--index`, `model-index/` (a folder of such files) or `model-index.yml`, `.yaml` or `.md` is
read: of the working folder, or of the folder upwards that holds the `pyproject.toml`. `zoo init`
writes a first one; `zoo audit` says where a file is wrong, `zoo verify` what does not hold.

## A minimal index

A name is enough. What is claimed beside it is checked:

```yaml
Models:
- Name: resnest50d
  Metadata:
    Parameters: 27483240
    FLOPs: 5399965376
    FLOPs Convention: fvcore
    Image Size: 224
```

A number claims the digits that it is written with: `27.48M` claims four, `82.9%` one decimal.
Trailing zeros of Parameters and FLOPs claim nothing. A key of a variant may stand in its `Metadata`
or beside it. What is in no table below is kept as text, and noted.

## Collections, and who builds

What a collection says holds for each of its variants that says nothing itself. `Builder` names who
builds the models: in a variant, its collection, or the index, in this order. `--builder` overrides
all of them; where none of them says anything, `[tool.zoo] builder` counts, and then `zoo`.

```yaml
Builder: timm
Collections:
- Name: ResNet-D
  Paper:
    Title: Bag of Tricks for Image Classification
    URL: https://arxiv.org/abs/1812.01187
  Metadata:
    Image Size: 224
    Interpolation: bicubic
    Mean: [0.485, 0.456, 0.406]
    Std: [0.229, 0.224, 0.225]
Models:
- Name: resnet18d
  In Collection: ResNet-D
  Metadata:
    Parameters: 11.71M
- Name: resnest14d
  Builder: zoo
  Metadata:
    Parameters: 10611688
```

A builder of your own is a class in your package, named by an entry point:
[builders.md](builders.md) has an example.

## Tables

A CSV file that `--index` names, or a Markdown page without a model-index, is read by its tables:
each row is a variant, and each cell under a known header a claim. Known are the headers of timm's
results and benchmarks, of torchvision's documentation and of mmpretrain's pages, and every key
below with its unit (`Params (M)`, `GMACs`, `Top-1 (%)`). The dataset of accuracies is that of the
file's name (`results-imagenet-real.csv`) or of the heading above the table, unless its own header
names one (`ImageNet-V2 top-1`), as it may name an input (`FLOPs (G) @ 384`) or two accuracies
(`Acc@1 / Acc@5`). `Size (MB)` is of files, unless a table speaks of quantized ones; `Size` is of
files where each cell has such a unit, and of images where all are usual sides of these. `Method`
names models where no other column does and all are called as in code. In a folder, and where a
pattern matches, tables are read if no file holds a model-index.
Marks of footnotes, LaTeX and HTML around a word are no part of a name or a number, and
`11 689 512`, `4.1 × 10^9` and a whole table's decimal commas are read. A row without a name is of
the model above it. A cell that is not one number (`76.5 ± 0.1`, `81-82`, `>95`), a column of no
known meaning and a second column of one key are noted and not verified. Headers of your own are
said in the `pyproject.toml`, for all files or for those that a pattern fits:

```toml
[tool.zoo.tables]
"Our net" = "Name"
size_m = "Parameters (M)"
remarks = ""  # no claim

[tool.zoo.tables."pets-*.csv"]
dataset = "Oxford Pets"
right = "Top 1 Accuracy"
```

## Variants of your own

A variant with a classifier of its own names the architecture that it has, how many classes it tells
apart, and what they are called. `zoo add` measures a checkpoint and writes such an entry.

```yaml
Models:
- Name: petals
  Metadata:
    Base: efficientnet_lite0
    Classes: 3
    Class Names: [daisy, rose, tulip]
    Parameters: 3374851
  Weights: checkpoints/petals.pth
  License: CC-BY-4.0
```

`Weights` is a URL, or a path from the folder of the index; several files are a list.
`Mirrors` beside it, or `Weights: {URL: ..., Mirrors: [...]}`, are other places of the same file.
They are tried in their order where it can't be had; `zoo verify` fetches and compares all of them,
and `zoo manifest` lists what each of them served.

`License` is an SPDX expression, such as `Apache-2.0` or `MIT OR Apache-2.0`; ids of the Hub and
usual names (`Apache License, Version 2.0`) are understood, and
`LicenseRef-NAME` is one of the model's own.

## Results

One result for each dataset. `Images` says how many images it speaks of, where these are not all.
Accuracies are checked with `--data`, each on images of its own `Dataset`: ImageNet, ImageNet-V2,
-A, -R, Sketch and ReaL are known in any usual spelling ([accuracy](accuracy.md) names them). Other
metrics are kept, and not judged. A result that was evaluated at another size, or cropped otherwise,
says so itself.

```yaml
Models:
- Name: efficientnet_lite0
  Results:
  - Task: Image Classification
    Dataset: ImageNet
    Metrics:
      Top 1 Accuracy: 74.83%
      Top 5 Accuracy: 92.18%
  - Task: Image Classification
    Dataset: ImageNet-V2 matched frequency
    Image Size: 256
    Crop Pct: 1.0
    Crop Mode: squash
    Metrics:
      Top 1 Accuracy: 62.1%
  - Task: Image Classification
    Dataset: petals
    Images: 300
    Metrics:
      Top 1 Accuracy: 97.3%
```

## Speeds

A speed is a figure of one machine: `zoo verify --checks speed` compares it only with a bench on
that device, with that batch size, precision and layout ([checks](checks.md#speed)). So it is
written with its conditions, as one mapping or a list of them; `precision`, `amp`, `tf32`, `layout`
and `compile` take the words of `zoo bench`, `device` is the whole name of a GPU or processor. What
OpenMMLab's metafiles call `hardware`, `mode` and `resolution` is understood.

```yaml
Models:
- Name: resnest50d
  Metadata:
    Throughput:
    - value: 1250 images/s
      device: NVIDIA A100-SXM4-80GB
      batch size: 256
      precision: bf16
      layout: channels_last
      reference: resnest26d
    Latency: {value: 41.3 ms, device: Intel Xeon Platinum 8488C, threads: 4, batch size: 1}
    Memory: {value: 1.9 GB, device: NVIDIA A100-SXM4-80GB, batch size: 256, amp: bf16}
```

`reference` names a variant of the index: where devices differ, the ratio to it is shown as claimed
and as measured.

## Several files

A folder is read with all that is in it. A file may name others, from its own folder, and with
patterns; they are built by its `Builder` unless they name one. A variant may have its collection in
another file.

```text
Import:
- resnest.yml
- families/*.yml
```

## In an editor

`zoo schema > model-index.schema.json` writes a JSON Schema. This first line of an index lets
VS Code (with its YAML extension) and other clients of yaml-language-server complete and check it:

```text
# yaml-language-server: $schema=./model-index.schema.json
```

The schema refuses nothing that `zoo` reads, and finds less than `zoo audit` does.

## Keys

Capitals don't matter. *Read by* names the groups of [`--checks`](commands.md#zoo-verify) that use a
key, and commands beside them; each key's value is also checked for its type and range, by the group
`metadata`.
"""

# Key, type, required, example, meaning; what they hold is in the tables below.
_TOP = (
    ("Models", "list", "yes, or Import", "see above", "The variants, or paths of files with them."),
    ("Collections", "list", "no", "see above", "Families of variants, each with a Name."),
    ("Import", "list of paths", "no", "[resnest.yml]", "Other files of the index."),
    ("Type", "text", "no", "model-index", "What the file is; it is not read."),
)
_BELOW = (
    ("Metadata", "mapping", "no", "see above", "Keys of the variant, or of the collection."),
    ("Results", "list", "no", "see above", "What was measured on datasets: keys of a result each."),
    ("Metrics", "mapping", "no", "see above", "Of a result: its metrics, each by its name."),
)
_GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Who it is", "Of a variant or a collection; `Name` is the first key of either.", (
        "Name", "In Collection", "Builder", "Base", "Classes", "Class Names", "License",
    )),
    ("What is measured", "", (
        "Parameters", "FLOPs", "FLOPs Convention", "FLOPs Input", "Layers", "Weights", "Mirrors",
        "File Size", "SHA256",
    )),
    ("How images are prepared", "What a result says itself holds for its metrics alone.", (
        *SETTINGS,
    )),
    ("Results", "Of one result; the accuracies stand in its `Metrics`.", (
        "Task", "Dataset", "Images", "Top 1 Accuracy", "Top 5 Accuracy",
    )),
    ("How fast it is", "A number, a mapping of a value and its conditions, or a list of these.", (
        *sorted(SPEEDS, key=list(FIELDS).index),
    )),
    ("How it was trained", "`zoo train` trains by the numbers among them.", (
        "Epochs", "Batch Size", "LR", "LR Step Size", "LR Gamma", "Momentum", "RMSProp Decay",
        "Weight Decay", "BatchNorm Momentum", "Dropout", "Label Smoothing",
        "Stochastic Depth Survival", "Training Techniques", "Training Data", "Training Resources",
        "Training Time", "Pretrain",
    )),
)  # fmt: skip
_PAGES = "For readers", "`zoo docs` and `zoo cite` write them into pages."
_TRAINED = frozenset({
    "Epochs", "Batch Size", "LR", "Momentum", "Weight Decay", "Dropout", "Label Smoothing",
    "Training Techniques",
})  # fmt: skip
_WRITTEN = frozenset({"Description", "Citation", "Paper", "Code", "Tasks", "Architecture"})
_PLAIN_UNITS = {"bytes": "bytes", "percent": "percent, with or without %", "pixels": "pixels"}
_NAMED_UNITS = {"FLOPs": f"{', '.join(COUNT_UNITS)}, also before FLOPs or MACs"}
_HEADINGS = ("key", "meaning", "type", "unit", "required", "example", "read by")
_Row = tuple[str | Markdown, ...]


def index_format_page() -> str:
    grouped = {key for _, _, keys in _GROUPS for key in keys}
    others = tuple(key for key in (*FIELDS, *NESTED) if key not in grouped)
    sections = [*_GROUPS, (*_PAGES, tuple(dict.fromkeys(others)))]
    parts = [_HEAD, "### Of a file\n", _table(_structural(_TOP)), "\n### In an entry\n"]
    parts.append(_table(_structural(_BELOW)))
    for heading, about, keys in sections:
        parts += [f"\n### {heading}\n", *([f"{about}\n"] if about else [])]
        parts.append(_table(_row(key) for key in keys))
    for outer, fields in NESTED.items():
        parts += [f"\n### In `{outer}`\n", "Where it is a mapping.\n"]
        parts.append(_table(_cells(field, "-") for field in fields.values()))
    return "\n".join(parts) + "\n"


def _table(rows: Iterable[_Row]) -> str:
    return table(_HEADINGS, list(rows))


def _structural(rows: Iterable[tuple[str, str, str, str, str]]) -> Iterable[_Row]:
    for key, kind, required, example, meaning in rows:
        yield typed(key), meaning, kind, "-", required, example, "-"


def _row(key: str) -> _Row:
    field = FIELDS.get(key)
    read = [group for group in groups_reading(key) if group != "metadata"]
    read += ["zoo train"] * (key in _TRAINED) + ["zoo docs"] * (key in _WRITTEN)
    read += ["zoo cite"] * (key == "Citation")
    return _cells(field or Field(key, "text", "see below"), ", ".join(read) or "metadata")


def _cells(field: Field, read: str) -> _Row:
    required = "in each variant and collection" if field.key == "Name" else "no"
    kind = Markdown(_kind(field))
    example = typed(field.example)
    return typed(field.key), MEANINGS[field.key], kind, _unit(field), required, example, read


def _kind(field: Field) -> str:
    """Type and range in words."""
    if field.words:
        return "one of " + ", ".join(f"`{word}`" for word in field.words)
    text = EXPECTED[field.kind].removeprefix("a ").removeprefix("an ")
    if field.key in NESTED:
        text += ", or a mapping"
    if field.kind == "speed":
        text += ", or as above"
    if field.kind == "weights":
        text += ", a path, or a list of them"
    if field.key == "License":
        text += ", or a list of them"
    if field.key == "Weights":
        text += ", or a mapping of URL and Mirrors"
    if field.kind == "text-or-texts":
        text += ", or one text"
    if field.kind == "ratio":
        text += ", or a quotient such as 224/256"
    if field.low is not None:
        text += f", {field.range}"
    return text


def _unit(field: Field) -> str:
    """The unit of a plain number, and those that may stand behind one."""
    plain = _PLAIN_UNITS.get(field.kind, "")
    also = _NAMED_UNITS.get(field.key) or ", ".join(unit for unit in field.units if unit != "B")
    if field.kind == "percent":
        return plain
    return (f"{plain}; or {also}" if plain else f"none; or {also}") if also else plain or "-"
