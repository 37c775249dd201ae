"""An entry of a model-index as text: what it claims, in the order that entries are written in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from harness.add.accuracy import Accuracy
from harness.add.facts import Facts
from zoo.index.types import Variant

# Read as text however YAML is read, and free of what ends a value.
_PLAIN = re.compile(r"[A-Za-z_][\w./+()-]*(?: [\w./+()-]+)*", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"})
# How pictures are prepared is no measurement: a model is used, and was measured, as its base is.
_PREPARATION = ("Crop Pct", "Interpolation", "Mean", "Std")


@dataclass(frozen=True)
class Entry:
    """What is to be written of one variant.

    Attributes:
        name: of the variant.
        collection: which one of the file's it belongs to.
        metadata: key -> normalised value, as an index's reader gives it.
        weights: the path of the checkpoint from the index's folder, as a URL has it.
        result: key -> normalised value, of the one result.
    """

    name: str
    collection: str | None
    metadata: Mapping[str, Any]
    weights: str
    result: Mapping[str, Any]

    @property
    def claims(self) -> dict[str, Any]:
        """All keys with the values that they are to be read as."""
        belongs = {} if self.collection is None else {"In Collection": self.collection}
        return {
            "Name": self.name,
            **belongs,
            **self.metadata,
            "Weights": self.weights,
            **self.result,
        }

    def lines(self) -> Iterator[str]:
        """The entry as an item of a list, its dash in the first column."""
        yield f"- Name: {_text(self.name)}"
        if self.collection is not None:
            yield f"  In Collection: {_text(self.collection)}"
        yield "  Metadata:"
        for key, value in self.metadata.items():
            if isinstance(value, tuple) and any(isinstance(item, str) for item in value):
                yield f"    {key}:"
                yield from (f"    - {_text(item)}" for item in value)
            else:
                yield f"    {key}: {_scalar(value)}"
        yield f"  Weights: {_text(self.weights)}"
        if not self.result:
            return
        yield "  Results:"
        yield f"  - Task: {_text(self.result['Task'])}"
        yield f"    Dataset: {_text(self.result['Dataset'])}"
        yield f"    Images: {self.result['Images']}"
        yield "    Metrics:"
        for key in ("Top 1 Accuracy", "Top 5 Accuracy"):
            if key in self.result:
                yield f"      {key}: {self.result[key]}%"


def entry_of(
    facts: Facts,
    base: Variant,
    weights: str,
    *,
    collection: str | None = None,
    classes: tuple[str, ...] = (),
    accuracy: Accuracy | None = None,
) -> Entry:
    """The entry of what was measured.

    Args:
        facts: of the checkpoint.
        base: the documented variant whose architecture it has.
        weights: where the checkpoint is, from the index's folder.
        collection: which one of the file's it belongs to.
        classes: the names of its outputs.
        accuracy: what was counted on pictures.
    """
    recipe = facts.recipe
    own = () if recipe.classes is None else (("Classes", recipe.classes),)
    named = (("Class Names", classes),) if classes else ()
    layers = () if facts.layers is None else (("Layers", facts.layers),)
    prepared = ((key, base.effective(key)) for key in _PREPARATION)
    metadata: dict[str, Any] = dict(
        (
            ("Base", recipe.architecture),
            *own,
            *named,
            ("FLOPs", facts.flops),
            ("FLOPs Convention", facts.convention),
            ("Parameters", facts.parameters),
            ("File Size", facts.size),
            ("SHA256", facts.sha256),
            *layers,
            ("Image Size", facts.image_size),
            *((key, claim.value) for key, claim in prepared if claim is not None),
        )
    )
    result = {} if accuracy is None else _result(accuracy, facts.outputs)
    return Entry(recipe.name, collection, metadata, weights, result)


def _result(accuracy: Accuracy, outputs: int) -> dict[str, Any]:
    counted = {"Top 1 Accuracy": accuracy.top1}
    if outputs > 5:  # Of five classes every answer is among the first five.
        counted["Top 5 Accuracy"] = accuracy.top5
    return {
        "Task": "Image Classification",
        "Dataset": accuracy.dataset,
        "Images": accuracy.images,
        **{key: _percent(right, accuracy.images) for key, right in counted.items()},
    }


def _percent(right: int, images: int) -> Decimal:
    return (Decimal(100 * right) / images).quantize(Decimal("0.01"))


def _scalar(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return _text(value) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    """A text as YAML: as it is where nobody could take it for anything else, else in quotes."""
    if (_PLAIN.fullmatch(text) and text.lower() not in _WORDS) or _is_hash(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _is_hash(text: str) -> bool:
    """64 hexadecimal digits that are no number, as ``12e34`` would be."""
    is_hexadecimal = re.fullmatch(r"[0-9a-f]{64}", text) is not None
    return is_hexadecimal and re.fullmatch(r"[0-9]+(?:e[0-9]+)?", text) is None
