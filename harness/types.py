"""The nouns of the auditor: recipe, measurement, finding, report.

A `Measurement` is made from a `Recipe`, which holds no claim to be tested; a `Finding` is made
from claims and measurements; a `Report` holds both for a reader. None of them does anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from zoo._util.text import without_secrets
from zoo.index.types import Claim, Location, Severity

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["match", "mismatch", "unverified"]
Size = tuple[int, int]
# Where neither an index nor the builder says otherwise.
USUAL_SIZE: Size = (224, 224)
# Which fact of a variant: its kind, with the input size or the part where one matters.
Slot = tuple[str, Size | str | None]

# Variations of a count that checks know by name. Two complete fvcore's: fused attention, and all
# operators that it has no rule for. The third is another form of the same network.
WITH_PRODUCTS = "with attention products"
WITH_UNKNOWN = "with the operators that it does not know"
ANOTHER_ARCHITECTURE = "builds another architecture"
"""How the words end of a form that is the model meant, where the builder's own is another one."""

DEPLOYED = "of the deployed form"
PUT_OUT = ("fvcore", "with_products", "deployed", "deployed_with_products")
"""Counts of activations: as fvcore counts, and what that becomes with attention products; the same
of the deployed form, None where there is no other form."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to rebuild and feed a variant: all that measuring may know of it.

    Attributes:
        name, builder: which variant, and who builds it.
        image_size: (height, width) in pixels, or None for the builder's own default.
        crop_pct, interpolation, mean, std, crop_mode: how an image becomes its input.
        weights: as the index writes it.
        base: the variant of the builder whose architecture this one has, None for its own.
        classes: what its classifier tells apart, None for as many as the builder gives it.
        modules: paths of modules of its that are looked at.
    """

    name: str
    builder: str = "zoo"
    image_size: Size | None = None
    crop_pct: float | None = None
    interpolation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    weights: str | None = None
    base: str | None = None
    classes: int | None = None
    crop_mode: str | None = None
    modules: tuple[str, ...] = ()

    @property
    def architecture(self) -> str:
        """The name under which the builder knows it."""
        return self.base or self.name


@dataclass(frozen=True, slots=True)
class EvalImages:
    """The images that a run may use for accuracies.

    Attributes:
        spec: what was asked for: a path, or ``sample``.
        fingerprint: a text that changes when the images or their labels do.
        count: how many there are.
        limit: how many of them a run may look at.
        sample: a handful that ships with a package, no validation set.
        classes: how many classes they are of.
        own: they are labelled by classes of the variant's own, and not by ImageNet's.
        shard_size: so many are counted, and kept, at a time.
        over: the time for them is over: no more may be asked for.
        dataset: the set that they are known or stated to be of, by its name in
            `zoo.known_datasets`, empty where unknown. It means nothing for those that are labelled
            by classes of the variant's own.
        identity: what that rests on, or what speaks against it; it follows upon "the images".
        other: they were recognised as of another set than ImageNet's validation set.
        family: they are of one of the sets with that family's name, and nothing tells which.
        subset: only images of these classes count, and answers are scored over these alone: see
            `KnownDataset.subset`; empty for all.
        truth: the file of labels that replace those of the images, `harness.datasets.members`.
        digest: of their names and sizes.
        tag: begins the names of the parts that they are counted in, see `harness.check.shards`.
        chance: the share of right answers where labels and images have nothing to do with one
            another.
        stating: the options that say of which dataset they are, beside others that were given, with
            ``{}`` for its name.
        made_of: the images of the run that these are some of, scored otherwise: what was answered
            for those settles these; None where they are all of theirs.
    """

    spec: str
    fingerprint: str
    count: int
    limit: int
    sample: bool = False
    classes: int = 1000
    own: bool = False
    shard_size: int = 500
    over: bool = False
    dataset: str = "imagenet-1k"
    identity: str = ""
    other: bool = False
    family: str = ""
    subset: str = ""
    truth: str = ""
    digest: str = ""
    tag: str = ""
    chance: float = 0.001
    stating: str = "--dataset {}"
    made_of: EvalImages | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One fact with its provenance.

    Attributes:
        kind: what was measured: ``structure`` (parameters, buffers, layers), ``flops`` ...
        name, builder: the variant it was measured on.
        value: the fact, as plain JSON data; each kind documents its own keys.
        image_size: the input geometry (height, width), None where none matters.
        method: how, in a few words.
        versions: distribution -> version of what the fact depends on.
        device: where it ran, ``meta`` for an analysis without arithmetic.
        made: when, ISO 8601 in UTC.
        part: of facts that are made in parts, which part it is.
    """

    kind: str
    name: str
    builder: str
    value: Mapping[str, Any]
    image_size: Size | None
    method: str
    versions: Mapping[str, str]
    device: str
    made: str
    part: str | None = None

    @property
    def slot(self) -> Slot:
        return (self.kind, self.part or self.image_size)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Why a fact is missing: a type of its own, so that nothing is silently skipped.

    ``cause`` is a stable id such as ``build.failed``; ``why`` one line for a person.
    """

    kind: str
    name: str
    builder: str
    cause: str
    why: str
    image_size: Size | None = None
    part: str | None = None

    @property
    def slot(self) -> Slot:
        return (self.kind, self.part or self.image_size)


Fact = Measurement | Unmeasured


_WITHOUT_SIZE = frozenset({"structure", "interface", "preprocess", "checkpoint", "speed"})


def slots_of(kind: str, sizes: Sequence[Size]) -> Sequence[Size | None]:
    """The sizes at which a kind of fact is made; one None where no size matters."""
    return (None,) if kind in _WITHOUT_SIZE else sizes


def unmeasured(recipe: Recipe, slot: Slot, cause: str, why: str) -> Unmeasured:
    """The fact of that slot, as one that could not be made."""
    kind, which = slot
    size, part = (None, which) if isinstance(which, str) else (which, None)
    return Unmeasured(kind, recipe.name, recipe.builder, cause, why, size, part)


def timings_of(facts: Iterable[Fact]) -> Iterator[Mapping[str, Any]]:
    """The timings among facts that came to a speed."""
    for fact in facts:
        if isinstance(fact, Measurement) and fact.kind == "speed":
            yield from (t for t in fact.value.get("timings", ()) if t.get("images_per_second"))


@dataclass(frozen=True, slots=True)
class Edit:
    """A value that an index should hold, as measured; how it is spelt is the page's affair.

    Attributes:
        field: the key whose value it is.
        value: what is right, with every digit. A `Size` is (height, width).
        location: where the value stands that it replaces; of a key to be added, where the value
            stands below which the key belongs.
        added: the key is not there yet.
    """

    field: str
    value: int | float | Decimal | str | Size
    location: Location
    added: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """The claim of another zoo that a finding holds one against.

    Attributes:
        zoo: the index as it was named.
        variant: the variant of it.
        claim: what it documents.
        same: what both have in common, in words.
        why: what follows from it, in words; empty where they agree.
    """

    zoo: str
    variant: str
    claim: Claim
    same: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim held against the measurements: what to show a maintainer, who acts on it alone.

    Attributes:
        fix: what `edits` change in the index, as a unified diff; None where nothing was measured
            that could be written instead.
        edits: what makes the claim right, empty where that was not measured.
        annotate_edits: what makes the claim right as it stands: keys that say how it was counted.
        accepted: the reason that a baseline gives for living with it: it is shown, and doesn't
            make a run fail.
        rules: what the number was found to follow, in words that are the same for every variant
            whose number follows it; the rule that the message tells first, then others that fit.
        beside: the other zoo's claim that it is held against, None where it is held against facts.
    """

    variant: str | None
    field: str
    check: str
    status: Status
    severity: Severity | None
    cause: str | None
    documented: str | None
    measured: int | float | str | None
    message: str
    location: Location | None
    fix: str | None = None
    edits: tuple[Edit, ...] = ()
    annotate_edits: tuple[Edit, ...] = ()
    accepted: str | None = None
    rules: tuple[str, ...] = ()
    beside: Beside | None = None

    def __post_init__(self) -> None:
        # A report is shown to more people than an index, and kept for longer.
        for name in ("documented", "message"):
            text = getattr(self, name)
            if text is not None and (shown := without_secrets(text)) != text:
                object.__setattr__(self, name, shown)


def is_about(finding: Finding, claim: Claim) -> bool:
    """Whether a finding at the place of a claim is about it: a reader calls a part by its key."""
    return finding.field in (claim.field, claim.field.rpartition(".")[2])


@dataclass(frozen=True, slots=True)
class Mistake:
    """An image that a variant answered wrong.

    Attributes:
        image: its name.
        labels: the classes that are right of it.
        answered: the class that was answered.
        probability: of that class, from 0 to 1; a mistake of which it isn't known is none of these.
        thumbnail: the image as a small JPEG, where it was asked for and can be read.
    """

    image: str
    labels: tuple[int, ...]
    answered: int
    probability: float
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What a variant answered for the images of one dataset, as far as it is shown.

    Attributes:
        dataset: by its name in `zoo.known_datasets`; empty where unknown.
        setting: the preprocessing that its result states; empty for the variant's own.
        images, top1, top5: how many there are, and how many of them are right.
        unreadable, not_finite: images that could not be read, or have logits that are no numbers.
        names: of all classes, in their order.
        by_class: of each class the images, and those that are right by top-1, the worst first;
            None where several classes may be right of an image.
        confused: (label, answered, images), the most images first.
        mistakes: the most confident first.
    """

    dataset: str
    setting: str
    images: int
    top1: int
    top5: int
    unreadable: int
    not_finite: int
    names: Sequence[str]
    by_class: Mapping[int, tuple[int, int]] | None
    confused: tuple[tuple[int, int, int], ...]
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class VariantReport:
    """One variant: what is documented of it, and what was measured.

    Attributes:
        name, collection, builder: which variant, and who rebuilt it.
        measurements: as the JSON document names them; None is "not measured".
        claims: those in effect: the variant's own, then its collection's that it doesn't override.
        facts: what the measurements were taken from, with its provenance, and what is missing.
        intervals: ``top1`` and ``top5`` -> (lowest, highest) percent that the images counted
            leave possible for the population that the claim speaks of.
        location: of the variant's entry in the index.
        answers: what it answered, by dataset, where the report is going to show that.
        code: what its builder says of what it builds it from, which another model changes; empty
            where nothing was built.
    """

    name: str
    collection: str | None
    builder: str
    measurements: Mapping[str, Any]
    claims: tuple[Claim, ...] = ()
    facts: tuple[Fact, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    location: Location | None = None
    answers: tuple[PredictionSummary, ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings and measurements of one run, in the order of the index.

    Attributes:
        cut_short: what ended the run early; None where nothing did.
        unread: files and folders of the index that yielded no variant, as its findings say; the
            report is about the others.
        zoos: the indexes that were held against each other, as they were named, where that is what
            the report is about.
    """

    environment: Mapping[str, Any]
    variants: tuple[VariantReport, ...]
    findings: tuple[Finding, ...]
    cut_short: str | None = field(default=None)
    unread: tuple[str, ...] = ()
    zoos: tuple[str, ...] = ()

    def summary(self) -> dict[str, int]:
        """Count by status and by severity, the keys of the JSON document's ``summary``.

        What a baseline accepts has its status, and is counted as ``accepted`` in place of its
        severity; where nothing is accepted there is no such key.
        """
        counts = {
            "match": 0,
            "mismatch": 0,
            "unverified": 0,
            "errors": 0,
            "warnings": 0,
            "notes": 0,
        }
        for finding in self.findings:
            counts[finding.status] += 1
            if finding.accepted is not None:
                counts["accepted"] = counts.get("accepted", 0) + 1
            elif finding.severity is not None:
                counts[finding.severity + "s"] += 1
        return counts

    def to_pandas(self, table: Literal["findings", "variants"] = "findings") -> pd.DataFrame:
        """One row per finding, or per variant with what was measured of it.

        Args:
            table: ``findings`` has the fields of the JSON document's findings, the location as
                ``file``, ``line`` and ``column``, and what a baseline accepts; ``variants`` the
                measurements, each FLOP convention in a column of its own, such as ``flops.macs``.

        Raises:
            ValueError: there is no such table.
        """
        import pandas as pd

        if table == "findings":
            rows = [*map(finding_row, self.findings)]
            found: pd.DataFrame = pd.DataFrame(rows, columns=FINDING_COLUMNS)
            return found
        if table != "variants":
            raise ValueError(f"there is no table {table!r}; write findings or variants")
        rows = []
        for variant in self.variants:
            row: dict[str, Any] = {name: getattr(variant, name) for name in _VARIANT}
            for key, value in variant.measurements.items():
                inner = value if isinstance(value, Mapping) else None
                row |= {key: value} if inner is None else {f"{key}.{k}": inner[k] for k in inner}
            rows.append(row)
        measured: pd.DataFrame = pd.DataFrame(rows, columns=None if rows else list(_VARIANT))
        return measured


_FINDING = (
    *("variant", "field", "check", "status", "severity", "cause"),
    *("documented", "measured", "message", "fix", "accepted"),
)
_LOCATION = ("file", "line", "column")
FINDING_COLUMNS = (*_FINDING, *_LOCATION)
_VARIANT = ("name", "collection", "builder")


def finding_row(finding: Finding) -> dict[str, Any]:
    """The finding as a row of a table: `FINDING_COLUMNS`."""
    row = {name: getattr(finding, name) for name in _FINDING}
    return row | {name: getattr(finding.location, name, None) for name in _LOCATION}
