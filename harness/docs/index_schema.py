"""The JSON Schema of a model-index, for editors, made from the table of fields.

It refuses no value that `zoo` reads. What it can't say (a range behind a unit, a name that is there
twice, a collection that is not) it leaves to ``zoo audit``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from zoo.index.claims import NOTHING
from zoo.index.schema import CHECKED, FIELDS, NESTED, Field
from zoo.index.speeds import CONDITIONS
from zoo.index.types import SETTINGS
from zoo.index.values import longest
from zoo.known_datasets import ACCURACIES

Schema = dict[str, Any]
_NUMBER = (
    r"[+-]?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?:_[0-9]{3})+|[1-9][0-9]*|)"
    r"(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?"
)
_NAMES = ("Name", "name", "NAME")
_OF_A_MODEL = ("In Collection", "Metadata", "Results", "Weights")
_OF_RESULTS = ("Task", "Dataset", "Images", *SETTINGS)


def index_schema() -> Schema:
    """The schema: draft 7, which editors read."""
    words = "|".join(map(_any_case, sorted(NOTHING)))
    definitions: Schema = {
        "nothing": {
            "description": "A word that says that there is no value.",
            "type": "string",
            "pattern": f"^\\s*(?:{words})?\\s*$",
        }
    }
    for foreign in (False, True):
        prefix = "foreign " if foreign else ""
        values = {
            key: _of(field, foreign=foreign)
            for key, field in FIELDS.items()
            if key in CHECKED or key == "Builder" or not foreign
        }
        definitions |= {f"{prefix}{key}": value for key, value in values.items()}
        definitions |= _structure(prefix, foreign=foreign)
    metafile = {
        "required": ["Models"],
        "properties": {"Models": {"type": "array", "contains": _has_config()}},
    }
    index = {"if": metafile, "then": _ref("foreign index"), "else": _ref("index")}
    model = {
        "allOf": [
            {"required": ["Name"]},
            {"anyOf": [{"required": [key]} for key in _OF_A_MODEL]},
        ]
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "model-index",
        "description": "What a model zoo documents of its variants; zoo audit checks the rest.",
        "type": ["object", "array", "null"],
        "if": {"type": "object"},
        "then": {
            "if": {"anyOf": [{"required": [key]} for key in ("Collections", "Models", "Import")]},
            "then": index,
            "else": {"if": model, "then": _ref("model")},
        },
        "else": {"if": {"contains": {"type": "object", **model}}, "then": _ref("models")},
        "definitions": definitions,
    }


def _structure(prefix: str, *, foreign: bool) -> Schema:
    """What holds the fields: index, collection, model, metadata, result, metrics."""

    def ref(key: str) -> Schema:
        return _ref(f"{prefix}{key}")

    def keys(names: Iterable[str], **more: Schema) -> Schema:
        described = {
            key: ref(key) if foreign else _described(key, ref(key))
            for key in names
            if key in CHECKED or not foreign
        }
        return {"type": "object", "properties": {**described, **more}}

    fields = [key for key in FIELDS if key not in NESTED]
    nested = {} if foreign else {key: _described(key, _nested(key, ref)) for key in NESTED}
    entry = keys(fields, **nested)["properties"]
    results: list[Schema] = [{"type": "array", "items": ref("result")}, {"type": "null"}]
    metrics: list[Schema] = [ref("metrics")]
    if foreign:
        results += [ref("result"), _nothing()]
        metrics += [{"type": "array", "items": ref("metrics")}, {"type": "null"}, _nothing()]
    own = {"Metadata": ref("metadata"), "Results": {"anyOf": results}}
    metadata: Schema = {"type": "object", "properties": {**entry, **own}}
    if foreign:
        metadata = {"anyOf": [metadata, {"type": "null"}, _nothing()]}
    named: Schema = {
        "type": "object",
        "properties": {**entry, **own},
        "anyOf": [{"required": [name]} for name in _NAMES],
    }
    top = {
        "Type": {"description": "A word that says what the file is, such as model-index."},
        "Builder": _described("Builder", ref("Builder")),
        "Import": {"type": "array", "items": {"type": "string"}, "description": _IMPORT},
        "Collections": {
            "anyOf": [{"type": "array", "items": ref("entry")}, {"type": "null"}],
            "description": _COLLECTIONS,
        },
        "Models": {**ref("models"), "description": _MODELS},
    }
    made = {
        "index": {"type": "object", "properties": top},
        "entry": named,
        "model": named,
        "models": {
            "type": "array",
            "items": {"anyOf": [ref("model"), {"type": "string", "pattern": r"\.(ya?ml|mdx?)$"}]},
        },
        "metadata": metadata,
        "result": keys(_OF_RESULTS, Metrics={"anyOf": metrics}),
        "metrics": keys(ACCURACIES),
    }
    return {f"{prefix}{key}": value for key, value in made.items()}


_IMPORT = "Other files of the index, as paths from this one; patterns such as b/*.yml are followed."
_COLLECTIONS = "Families of variants; what one says holds for its variants that say nothing."
_MODELS = "The variants; each may also be the path of a file that has it."


def _nested(key: str, ref: Any) -> Schema:
    """A key that holds a text, or a mapping of others."""
    text = ref(key) if key in FIELDS else _text(Field(key, "text", ""))
    inner = {name: _of(field) for name, field in NESTED[key].items()}
    return {"anyOf": [text, {"type": "object", "properties": inner, "minProperties": 1}]}


def _described(key: str, schema: Schema) -> Schema:
    """With what the key means; beside a reference, draft 7 reads nothing else."""
    about = {"description": MEANINGS[key]}
    if key in FIELDS and FIELDS[key].words:
        about["description"] += f" One of {', '.join(FIELDS[key].words)}."
    return {"allOf": [schema], **about} if "$ref" in schema else {**schema, **about}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name.replace(' ', '%20').replace('/', '~1')}"}


def _has_config() -> Schema:
    """OpenMMLab's models, whose keys are read as theirs."""
    config = {"type": "string", "pattern": r"\.py$"}
    return {"type": "object", "required": ["Config"], "properties": {"Config": config}}


def _nothing() -> Schema:
    return {"$ref": "#/definitions/nothing"}


def _any_case(text: str) -> str:
    """A pattern of the text in capitals or not: JSON Schema has no flag for that."""
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else _plainly(c) for c in text)


def _plainly(text: str) -> str:
    """A pattern of just that, as JavaScript reads one: it knows fewer escapes than Python."""
    return re.sub(r"[.?*+()|\[\]{}^$/\\]", r"\\\g<0>", text)


def _of(field: Field, *, foreign: bool = False) -> Schema:
    """The values that a field takes."""
    forms = _KINDS[field.kind](field)
    if field.key == "License":
        forms = [forms, {"type": "array", "items": {"anyOf": [forms, {"type": "null"}]}}]
    schema: Schema = forms if isinstance(forms, dict) else {"anyOf": forms}
    absent: list[Schema] = []
    if (foreign and field.key != "Name") or field.kind == "weights" or field.key == "License":
        absent = [{"type": "null"}, _nothing()]
    elif field.kind in ("link", "hash"):
        absent = [_nothing()]
    return {"anyOf": [schema, *absent]} if absent else schema


def _range(field: Field) -> Schema:
    limits: Schema = {}
    if field.low is not None:
        limits["exclusiveMinimum" if field.above else "minimum"] = _plain(field.low)
    if field.high is not None:
        limits["exclusiveMaximum" if field.below else "maximum"] = _plain(field.high)
    return limits


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _quantity(kind: str) -> Any:
    """A number as such, or as text: with a unit, with its thousands set apart, in quotes."""

    def forms(field: Field) -> list[Schema]:
        units = "|".join(map(_plainly, sorted(field.units, key=lambda unit: (-len(unit), unit))))
        text = f"{_NUMBER} *(?:{units})?" if units else _NUMBER
        if field.kind == "ratio":
            text = f"{text}(?: */ *{_NUMBER})?"
        written = {"type": "string", "pattern": f"^ *(?=[+-]?\\.?[0-9]){text} *$"}
        return [{"type": kind, **_range(field)}, written]

    return forms


def _pixels(field: Field) -> list[Schema]:
    side: Schema = {"type": "integer", **_range(field)}
    written = {"type": "string", "pattern": "[0-9]"}
    items = {"type": ["integer", "string"]}
    several = {"type": "array", "items": items, "minItems": 1, "maxItems": 4}
    return [side, written, several]


def _numbers(field: Field) -> list[Schema]:
    written = {"type": "string", "pattern": f"^ *{_NUMBER} *$"}
    items = {"anyOf": [{"type": "number", **_range(field)}, written]}
    several = {"type": "array", "items": items, "minItems": 1, "maxItems": 4}
    return [several, {"type": "string", "pattern": ","}]


def _word(field: Field) -> list[Schema]:
    known = "|".join(map(_any_case, field.words))
    pattern = f"^\\s*(?:.*\\.)?(?:{known})\\s*$"
    return [{"enum": list(field.words)}, {"type": "string", "pattern": pattern}]


def _text(field: Field) -> Schema:
    return {"type": "string", "pattern": "\\S", "maxLength": longest(field)}


def _texts(field: Field) -> list[Schema]:
    several = {"type": "array", "items": _text(Field("", "text", ""))}
    return [several, _text(field)] if field.kind == "text-or-texts" else [several]


def _speed(field: Field) -> list[Schema]:
    numbers = _quantity("number")(field)
    stated = {
        "type": "object",
        "properties": {"value": {"anyOf": numbers}, **{name: {} for name in CONDITIONS}},
    }
    return [*numbers, stated, {"type": "array", "items": {"anyOf": [*numbers, stated]}}]


def _weights(field: Field) -> list[Schema]:
    several = {"type": "array", "items": {"anyOf": [_WEIGHTS, {"type": "null"}, _nothing()]}}
    if field.key != "Weights":
        return [_WEIGHTS, several]
    mirrored = {"URL": _WEIGHTS, "Mirrors": {"anyOf": [_WEIGHTS, several]}}
    mapping = {"type": "object", "properties": mirrored, "required": list(mirrored)}
    return [_WEIGHTS, several, mapping]


_WEIGHTS: Schema = {"type": "string", "pattern": "^[^\\s]+$"}
_LINK: Schema = {"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://[^\\s]+$"}
_HASH: Schema = {"type": "string", "pattern": "^\\s*[0-9a-fA-F]{8,64}\\s*$"}
_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("count", "rounded-count", "bytes"), _quantity("integer")),
    **dict.fromkeys(("percent", "ratio", "number"), _quantity("number")),
    "pixels": _pixels,
    "speed": _speed,
    "numbers": _numbers,
    "word": _word,
    "text": _text,
    "texts": _texts,
    "text-or-texts": _texts,
    "link": lambda field: _LINK,
    "weights": _weights,
    # YAML takes digits alone for a number, and digits around an e for another.
    "hash": lambda field: [_HASH, {"type": "number"}],
}


MEANINGS: dict[str, str] = {
    "Name": "What the variant, or the collection, is called; its builder builds a variant by it.",
    "In Collection": "The collection that the variant belongs to, by its Name.",
    "Builder": "Who builds the variants: zoo, timm, torchvision, or what a package adds.",
    "Base": "The variant whose architecture this one has, with a classifier of its own.",
    "Classes": "How many classes the classifier tells apart, where they are not ImageNet's.",
    "Class Names": "The classes in the order of the outputs, where they are not ImageNet's.",
    "Weights": "Where the checkpoint is: a URL, `hf-hub:ORG/NAME[@REVISION][/FILE]`, or a path "
    "from the index's folder; or several.",
    "Mirrors": "The same file elsewhere, as Weights names it: tried in order where that can't be "
    "had.",
    "License": "Of the weights: an SPDX expression, an id of the Hub, or a usual name; or several.",
    "SHA256": "The SHA-256 of the checkpoint.",
    "File Size": "The checkpoint's size in bytes, or with a unit.",
    "Parameters": "How many parameters the model has, its classifier included.",
    "Activations": "Numbers that its convolutions and linear layers put out for one image.",
    "Throughput": "Images a second of the forward pass, with what it was measured under.",
    "Latency": "Milliseconds of one pass of one batch, with what it was measured under.",
    "Memory": "Bytes on the device at most while it runs, with what it was measured under.",
    "inference time (ms/im)": "Milliseconds for each image, as OpenMMLab's metafiles state them.",
    "Layers": "How many weighted layers deep the network is, as its name counts.",
    "FLOPs": "Operations of one forward pass of one image.",
    "FLOPs Convention": "What counts as an operation; without it, macs and fvcore are tried.",
    "FLOPs Input": "The input that FLOPs were counted on, where it is not Image Size.",
    "Test Image Size": "The input that it is evaluated at where that is another than Image Size.",
    "Test Crop Pct": "The crop at that input.",
    "Min Image Size": "The smallest input that the model takes.",
    "Pool Size": "Height and width of the features before they are pooled, at the Image Size.",
    "Test Pool Size": "The same at the Test Image Size.",
    "Sizes": "Whether the model takes images of its Image Size alone (fixed), or of any.",
    "Outputs": "How many numbers the model puts out for an image; 0 where it has no classifier.",
    "Channels": "The channels of its input.",
    "Classifier": "The module that is the classifier, by its path; or several.",
    "First Conv": "The module that takes the image's channels, by its path; or several.",
    "Hub": "The repository on the Hub that has the weights.",
    "Image Size": "The side of the model's input, or height x width.",
    "Crop Pct": "The share of the resized image's shorter side that is cropped.",
    "Interpolation": "How an image is resized for evaluation.",
    "Crop Mode": "How the crop is taken: of the center, of all of it squashed, or with a border.",
    "Mean": "What is subtracted from each channel of pixels from 0 to 1.",
    "Std": "What each channel is divided by.",
    "Task": "What the result is about.",
    "Dataset": "The dataset that the metrics were measured on.",
    "Images": "How many images the metrics speak of, where not all of the dataset's.",
    "Top 1 Accuracy": "Percent of the images whose first answer is right.",
    "Top 5 Accuracy": "Percent of the images of which one of the first five answers is right.",
    "Code": "Where the model's code is: a URL, or a mapping of URL and Version.",
    "Paper": "Where the model was published: a text, or a mapping of Title and URL.",
    "Converted From": "What the checkpoint was converted from.",
    "Pretrain": "The checkpoint that training began with.",
    "Description": "What a page says of the collection; blank lines part its paragraphs.",
    "Citation": "The BibTeX entry of the collection, or of the variant.",
    "Epochs": "Passes over the training images.",
    "Batch Size": "Images per step of the training.",
    "LR": "The highest learning rate.",
    "LR Step Size": "Epochs between two steps of the learning rate.",
    "LR Gamma": "What the learning rate is multiplied by at each step.",
    "Momentum": "Of the optimiser.",
    "RMSProp Decay": "Of the optimiser.",
    "Weight Decay": "Of the optimiser.",
    "BatchNorm Momentum": "Of the moving averages of batch normalisation.",
    "Dropout": "The share of features that are dropped before the classifier.",
    "Label Smoothing": "The share of the label that is spread over all classes.",
    "Stochastic Depth Survival": "The share of residual blocks that are kept.",
    "Architecture": "Building blocks of the network.",
    "Tasks": "What the model does.",
    "Training Techniques": "How the model was trained.",
    "Training Data": "What the model was trained on.",
    "Training Resources": "The machines that it was trained on.",
    "Training Time": "How long that took.",
    "ID": "A name for machines.",
    "Config": "The file that configures the model.",
    "README": "The page of the model.",
    "Title": "The paper's title.",
    "URL": "The address.",
    "Version": "The version of the code.",
}
