"""An entry of a model-index as text: its name, its classes, what it claims; and a first index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from harness.check.base import Evidence, Need, VariantCheck
from harness.check.flops import figure, recommended
from harness.edit.add_measure import Accuracy, Facts, NotAdded, classes_of, percent, preparation
from harness.edit.spelling import as_yaml
from harness.types import USUAL_SIZE, Finding, Size
from zoo._util.text import plural
from zoo.index.entries import read_documents
from zoo.index.nodes import UnreadableIndex
from zoo.index.readers import YamlReader
from zoo.index.schema import INTERPOLATIONS, LinkError, check_weights
from zoo.index.types import Collection, SourceText, Variant
from zoo.labels import are_of_imagenet
from zoo.preprocessing import CLAIMS
from zoo.variants import IMAGENET_CLASSES, class_count, class_names

_OF_GLOBS = "*?[]"


@dataclass(frozen=True)
class NewEntry:
    """What is to be written of one variant.

    Attributes:
        name: of the variant.
        collection: which one of the file's it belongs to.
        metadata: key -> normalised value, as an index's reader gives it.
        weights: their URL, or the checkpoint's path from the index's folder, as a URL has it.
        result: key -> normalised value, of the one result.
    """

    name: str
    collection: str | None
    metadata: Mapping[str, Any]
    weights: str | None
    result: Mapping[str, Any]

    @property
    def claims(self) -> dict[str, Any]:
        """All keys with the values that they are to be read as."""
        belongs = {} if self.collection is None else {"In Collection": self.collection}
        return {
            "Name": self.name,
            **belongs,
            **self.metadata,
            **({} if self.weights is None else {"Weights": self.weights}),
            **self.result,
        }

    def lines(self) -> Iterator[str]:
        """The entry as an item of a list, its dash in the first column."""
        yield f"- Name: {as_yaml(self.name)}"
        if self.collection is not None:
            yield f"  In Collection: {as_yaml(self.collection)}"
        yield "  Metadata:"
        for key, value in self.metadata.items():
            if isinstance(value, tuple) and any(isinstance(item, str) for item in value):
                yield f"    {key}:"
                yield from (f"    - {as_yaml(item)}" for item in value)
            else:
                yield f"    {key}: {_scalar(value)}"
        if self.weights is not None:
            yield f"  Weights: {as_yaml(self.weights)}"
        if not self.result:
            return
        yield "  Results:"
        yield f"  - Task: {as_yaml(self.result['Task'])}"
        yield f"    Dataset: {as_yaml(self.result['Dataset'])}"
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
    collection: Collection | None = None,
    classes: tuple[str, ...] = (),
    accuracy: Accuracy | None = None,
    elsewhere: bool = False,
) -> NewEntry:
    """The entry of what was measured.

    What the collection would say in its place, it says itself, and who builds it where the index
    names another (``elsewhere``).

    Raises:
        NotAdded: its thousand classes have no names, and would be taken for ImageNet's.
    """
    recipe = facts.recipe
    if recipe.classes == IMAGENET_CLASSES and not classes:
        raise NotAdded(
            f"{base.name} has 1,000 classes of its own, and so has the checkpoint; name them with "
            "--class-names"
        )

    def inherits(key: str) -> bool:
        return collection is not None and collection.claim(key) is not None

    metadata: dict[str, Any] = {"Builder": recipe.builder} if elsewhere else {}
    metadata["Base"] = recipe.architecture
    if recipe.classes is not None or inherits("Classes"):
        metadata["Classes"] = facts.outputs
    if classes:
        metadata["Class Names"] = classes
    metadata["FLOPs"] = facts.flops
    metadata["FLOPs Convention"] = facts.convention
    if inherits("FLOPs Input"):
        metadata["FLOPs Input"] = facts.image_size
    metadata["Parameters"] = facts.parameters
    metadata["File Size"] = facts.size
    metadata["SHA256"] = facts.sha256
    if facts.layers is not None:
        metadata["Layers"] = facts.layers
    metadata["Image Size"] = facts.image_size
    metadata |= _prepared(facts, base, inherits)
    result = {} if accuracy is None else _result(accuracy, facts.outputs)
    name = None if collection is None else collection.name
    return NewEntry(recipe.name, name, metadata, weights, result)


def _prepared(facts: Facts, base: Variant, inherits: Callable[[str], bool]) -> dict[str, Any]:
    """How images are prepared, which is no measurement: as they were for the base.

    What the base leaves to the field's usual settings is left to them, unless the collection would
    say something else.
    """
    said: dict[str, Any] = {}
    for setting, key in CLAIMS.items():
        if setting == "image_size":  # It was measured at one.
            continue
        claim = base.effective(key)
        if claim is not None and claim.value is not None:
            said[key] = claim.value
        elif inherits(key):
            used = getattr(preparation(facts), setting)
            said[key] = Decimal(repr(used)) if isinstance(used, float) else used
    return said


def _result(accuracy: Accuracy, outputs: int) -> dict[str, Any]:
    counted = {"Top 1 Accuracy": accuracy.top1}
    if outputs > 5:  # Of five classes every answer is among the first five.
        counted["Top 5 Accuracy"] = accuracy.top5
    return {
        "Task": "Image Classification",
        "Dataset": accuracy.dataset,
        "Images": accuracy.images,
        **{key: percent(right, accuracy.images) for key, right in counted.items()},
    }


def _scalar(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return as_yaml(value) if isinstance(value, str) else str(value)


def name_objection(name: str) -> str:
    """Why a variant can't be called so, to follow the name; empty where it can."""
    if name.startswith("-"):
        return "begins with a dash, as options do"
    if any(character in name for character in _OF_GLOBS):
        return f"holds one of {' '.join(_OF_GLOBS)}, by which commands name several variants"
    text = f"Models:\n- Name: {as_yaml(name)}\n"
    try:
        contents = read_documents(SourceText("", text), YamlReader().read(text))
    except UnreadableIndex:
        return "holds a character that no index can have"
    if contents.problems:
        return contents.problems[0].message
    if [variant.name for variant in contents.variants] != [name]:
        return "would be read as another one"
    return ""


def read_class_names(path: Path, outputs: int) -> tuple[str, ...]:
    """The classes that a file lists, one a line, in the order of the outputs.

    Raises:
        NotAdded: it can't be read, or does not name each of so many classes.
    """
    try:
        # As notepads save it: a mark at its beginning is no part of the first name.
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise NotAdded(f"{path}: can't be read: {why}") from error
    names = tuple(text.removesuffix("\n").split("\n"))
    for number, name in enumerate(names, 1):
        if not name.strip():
            raise NotAdded(f"{path}:{number}: the line is empty; write one line for each class")
        if not name.isprintable():
            raise NotAdded(f"{path}:{number}: the line holds a character that can't be shown")
    if len(names) != outputs:
        raise NotAdded(
            f"{path}: it has {plural(len(names), 'line')}, and the checkpoint tells "
            f"{classes_of(outputs)} apart; write one line for each"
        )
    if are_of_imagenet(names):  # Two pairs of which are called alike.
        return names
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if first.setdefault(name, number) != number:
            raise NotAdded(f"{path}:{number}: {name!r} is the class of line {first[name]} as well")
    return names


def settle_classes(
    facts: Facts, names: tuple[str, ...], origin: Variant, collection: Collection | None
) -> tuple[Facts, tuple[str, ...]]:
    """Whether the classes are ImageNet's or the checkpoint's own, and the names of its own.

    A thousand outputs are taken for ImageNet's classes unless something says otherwise: a list of
    other names, or the origin, whose classes are others. What the collection says of classes would
    hold for the entry too.

    Raises:
        NotAdded: the collection, or the origin, speaks of other classes.
    """
    own = facts.outputs != IMAGENET_CLASSES or (bool(names) and not are_of_imagenet(names))
    if not own and not names and class_count(origin) in (None, IMAGENET_CLASSES):
        try:
            own = not are_of_imagenet(class_names(origin))
        except ValueError as error:
            raise NotAdded(f"--from: {error}") from error
    if own:
        facts = replace(facts, recipe=replace(facts.recipe, classes=facts.outputs))
    else:
        names = ()
    claim = None if collection is None else collection.claim("Class Names")
    if names or claim is None:
        return facts, names
    shared = claim.value if isinstance(claim.value, tuple) else ()
    if own and len(shared) == facts.outputs:
        return facts, tuple(map(str, shared))
    whose = f"its {classes_of(facts.outputs)}" if own else "ImageNet's"
    raise NotAdded(
        f"{claim.location}: this collection names {classes_of(len(shared))}, and the "
        f"checkpoint tells {whose} apart; name them with --class-names, or put the entry into "
        "another file"
    )


# -- a first model-index, of variants that none documents yet -------------------------------

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


def first_entry(evidence: Evidence, image_size: Size | None) -> tuple[NewEntry | None, str]:
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
