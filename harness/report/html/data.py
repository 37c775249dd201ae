"""The report as the compact JSON that the page's script reads.

A page of 300 variants holds some 3,000 findings and as many claims and facts, and repeats many
texts: each is written once, and named by its number everywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.causes import CAUSES
from harness.report import Options
from harness.report.groups import RuleGroup, arrange
from harness.report.history_file import History
from harness.report.html.answers import PageAnswers
from harness.report.html.changes import Changes, key, over_time
from harness.report.pareto import plain_data
from harness.report.rows import STATUSES, Row, rows, standing
from harness.report.sentences import alike, measured, messages, place
from harness.report.source import Linker
from harness.report.speeds import environment_words, setting_words
from harness.report.view import foreign_texts, numbered
from harness.types import Fact, Finding, Measurement, Report, Unmeasured, VariantReport
from zoo._util.text import bounded, for_terminal, foreign, truncate, without_secrets
from zoo.index.speeds import conditions_of
from zoo.index.types import Claim

# A model of many top-level modules (a thousand, in some) would bury what is read.
_STAGES = 60
_LONGEST = 2000
# The columns of a row that are texts.
_TEXTS = (
    *("name", "collection", "builder", "dataset"),
    *("flops_convention_claimed", "images_per_second_device"),
)


class PageTexts:
    """Every text of the page, once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str | None, *, ours: bool = False) -> int:
        """The number of a text that is shown, cut where it is not ``ours``; -1 for none.

        Characters that would not be seen, or that turn others around, are written out.
        """
        if text is None:
            return -1
        shown = for_terminal(truncate(text, _LONGEST)) if ours else foreign(text)
        return self._number(shown)

    def patch(self, text: str | None) -> int:
        """The number of a patch, which keeps its lines; -1 for none."""
        if text is None:
            return -1
        return self._number("\n".join(map(foreign, truncate(text, _LONGEST).split("\n"))))

    def _number(self, shown: str) -> int:
        if shown not in self._numbers:
            self._numbers[shown] = len(self.all)
            self.all.append(shown)
        return self._numbers[shown]


def page_data(report: Report, changes: Changes, link: Linker, past: History | None = None) -> str:
    """The JSON text, safe inside a script element of HTML."""
    texts = PageTexts()
    answers = PageAnswers(texts)
    table = rows(report)
    names = unique_names(table)
    variants = [
        _variant(texts, name, row, variant) | {"answers": [*map(answers, variant.answers)]}
        for name, row, variant in zip(names, table, report.variants, strict=True)
    ]
    collections = {v.name: v.collection for v in report.variants}
    gravest = sorted(report.findings, key=lambda finding: STATUSES.index(standing(finding)))
    states = [(f, "new" if key(f) in changes.new else "") for f in gravest]
    states += [(f, "fixed") for f in changes.fixed]
    states += [(f, "unseen") for f in changes.unseen]
    groups, group_of = _groups(texts, report)
    findings = [
        [*_finding(texts, f, collections, state), group_of.get(id(f), -1)] for f, state in states
    ]
    claims = (claim.location for variant in report.variants for claim in variant.claims)
    places = (*(f.location for f, _ in states), *(v.location for v in report.variants), *claims)
    files = sorted({at.file for at in places if at is not None})
    causes = {finding.cause for finding, _ in states if finding.cause in CAUSES}
    return for_script(
        {
            "variants": variants,
            "findings": findings,
            "groups": groups,
            "classes": answers.classes,
            "thumbnails": answers.thumbnails,
            "sources": {foreign(file): at for file in files if (at := link(file))},
            "causes": {
                texts(cause.id): texts(cause.remedy.replace("`", ""), ours=True)
                for cause in map(CAUSES.__getitem__, sorted(filter(None, causes)))
            },
            "plots": plain_data(table),
            "history": over_time(past, report.variants, texts),
            "texts": texts.all,
        }
    )


def for_script(data: Any) -> str:
    r"""JSON in which nothing ends, or comments out, the script element that holds it.

    It holds ASCII alone, so that line separators (U+2028) and lone surrogates are escaped as well.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def with_samples(report: Report) -> Report:
    """The report with ``18/20`` in place of an accuracy, where that is one of a few images."""
    samples = {
        (row.name, f"Top {k} Accuracy"): (getattr(row, f"top{k}"), f"{row.right(k)}/{row.images}")
        for row in rows(report)
        for k in (1, 5)
        if row.is_sample(k)
    }

    def shown(finding: Finding) -> Finding:
        percent, counted = samples.get((finding.variant or "", finding.field), (None, ""))
        is_it = percent is not None and finding.measured == percent
        return replace(finding, measured=counted) if is_it else finding

    return replace(report, findings=tuple(map(shown, report.findings))) if samples else report


def _groups(texts: PageTexts, report: Report) -> tuple[list[list[Any]], dict[int, int]]:
    """The findings as a terminal groups them: kind, heading and words of each, and who is in it.

    What a terminal only counts, such as what matches, is in none.
    """
    layout = arrange(report, Options(), join=True)
    groups: list[list[Any]] = []
    group_of: dict[int, int] = {}

    def add(kind: str, heading: str, said: str, found: Iterable[Finding]) -> None:
        group_of.update(dict.fromkeys(map(id, found), len(groups)))
        groups.append([kind, texts(heading), texts(said, ours=True)])

    for block in layout.blocks:
        found = tuple(finding for told in block.values for finding in told.all)
        if isinstance(block, RuleGroup):
            add("rule", block.collection or "no collection", block.sentence or "", found)
        else:
            names = " / ".join(filter(None, (block.collection, block.variant)))
            add("variant", names or "The index", "", found)
    for found in layout.alike:
        add("alike", alike(found), "; ".join(messages(found)), found)
    return groups, group_of


def unique_names(table: Iterable[Row | VariantReport]) -> list[str]:
    """What a link calls each variant: its name, with a number where several have the same."""
    return numbered(foreign(row.name) for row in table)


def _finding(
    texts: PageTexts, finding: Finding, collections: Mapping[str, str | None], change: str
) -> list[int | str]:
    """The order is the one in which ``data.js`` takes it apart."""
    return [
        texts(finding.variant),
        texts(collections.get(finding.variant or "")),
        texts(finding.field),
        texts(finding.check),
        finding.status,
        finding.severity or "",
        texts(finding.cause),
        texts(finding.documented),
        texts(None if finding.measured is None else measured(finding)),
        texts(finding.message, ours=True),
        texts(None if finding.location is None else place(finding)),
        texts.patch(finding.fix),
        change,
        texts(finding.accepted),
    ]


def _variant(texts: PageTexts, name: str, row: Row, variant: VariantReport) -> dict[str, Any]:
    values = {k: v for k, v in asdict(row).items() if v is not None}
    samples = {k: f"{row.right(k)}/{row.images}" for k in (1, 5) if row.is_sample(k)}
    return {
        **values,
        "key": name,
        "samples": samples,
        **{name: texts(getattr(row, name)) for name in _TEXTS},
        "place": texts(None if variant.location is None else str(variant.location)),
        "claims": [_claim(texts, claim) for claim in variant.claims],
        "facts": [
            _block(texts, block, [*foreign_texts(variant)]) for block in blocks(variant.facts)
        ],
    }


def _claim(texts: PageTexts, claim: Claim) -> list[int]:
    about = ", ".join(filter(None, (claim.task, claim.dataset, conditions_of(claim))))
    raw, place = without_secrets(claim.raw), str(claim.location)
    return [texts(claim.field), texts(raw), texts(place), texts(about or None)]


def _block(texts: PageTexts, block: Block, quoted: Iterable[str]) -> list[Any]:
    return [
        texts(block.title),
        [[texts(name), texts(bounded(value, quoted), ours=True)] for name, value in block.lines],
        [texts(name) for name in block.head],
        [[texts(cell) for cell in cells] for cells in block.rows],
        -1 if block.share is None else block.share,
        texts(block.provenance or None),
    ]


# -- what was measured, with its provenance, as blocks of text ------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, lines of a name and a value, a table, and their provenance.

    ``share`` is the column of the table that holds a percentage, to be drawn as a bar as well.
    """

    title: str
    lines: tuple[tuple[str, str], ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    share: int | None = None
    provenance: str = ""


def blocks(facts: Iterable[Fact]) -> Iterator[Block]:
    """Each fact as blocks. Shards of an accuracy are added up: there can be hundreds of them."""
    # In an order of their own: a run makes them as it comes.
    facts = sorted(facts, key=lambda fact: (*_order(fact), str(fact.slot)))
    counted: dict[tuple[str, ...], list[Measurement]] = {}
    missing: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        if isinstance(fact, Unmeasured):
            # Why it could not be built is stated once, for all that was to be measured on it.
            missing.setdefault((fact.cause, fact.why), []).append(_title(fact.kind))
        elif fact.kind == "accuracy":
            # A tag that tells the datasets of one run apart may stand in front.
            way = (fact.part or "").rpartition("@")[0].rpartition("]")[2]
            about = [str(fact.value.get(key, "")) for key in ("dataset", "of", "digest")]
            counted.setdefault((way, *about, fact.method, _where(fact)), []).append(fact)
        else:
            yield from _KINDS.get(fact.kind, _other)(fact)
    for (way, *_), shards in counted.items():
        yield _accuracy(way, shards)
    for (cause, why), kinds in missing.items():
        names = ", ".join(dict.fromkeys(kinds))
        yield Block(f"Not measured: {names}", (("Cause", cause), ("Why", why)))


def _order(fact: Fact) -> tuple[int, str]:
    kinds = (*_KINDS, "accuracy")
    return (kinds.index(fact.kind) if fact.kind in kinds else len(kinds), fact.kind)


def _structure(fact: Measurement) -> Iterator[Block]:
    value = fact.value
    names = {"Parameters": "parameters", "Trainable": "trainable", "Layers": "layers"}
    of_state = {"State-dict tensors": "tensors", "State-dict floats": "float_elements"}
    lines = _lines(value, names) + _lines(_mapping(value.get("state")), of_state)
    yield Block("Structure", lines, provenance=_provenance(fact))
    stages = _mapping(value.get("by_stage"))
    total = sum(count for count in stages.values() if isinstance(count, int)) or 1
    rows = tuple(
        (name, _number(count), f"{100 * count / total:.1f}%")
        for name, count in list(stages.items())[:_STAGES]
    )
    rest = len(stages) - len(rows)
    if rows:
        more = (("Further stages", _number(rest)),) if rest else ()
        head = ("Stage", "Parameters", "Share")
        yield Block("Profile: parameters by stage", more, head, rows, share=2)


def _flops(fact: Measurement) -> Iterator[Block]:
    counts = [entry for entry in _sequence(fact.value.get("counts")) if isinstance(entry, Mapping)]
    plain = (c for c in counts if not c.get("variation"))
    whole = next((c["value"] for c in plain if c.get("convention") == "macs"), None)
    size = f" at {fact.image_size[0]}x{fact.image_size[1]}" if fact.image_size else ""
    yield Block(
        f"Profile: operations by convention{size}",
        _lines(fact.value, {"Activations": "activations"}),
        ("Convention", "Count", "MACs covered"),
        tuple(
            (
                " ".join(filter(None, (str(c.get("convention")), str(c.get("variation") or "")))),
                _number(c.get("value")),
                f"{100 * c['covered'] / whole:.1f}%" if whole and c.get("covered") else "-",
            )
            for c in counts
        ),
        share=2,
        provenance=_provenance(fact),
    )


def _checkpoint(fact: Measurement) -> Iterator[Block]:
    value = fact.value
    fits = {"fits": None if value.get("fits") is None else "yes" if value["fits"] else "no"}
    texts = {
        "Refused": "refused",
        "Misfit": "misfit",
        "Notes": "notes",
        "Why it is larger": "reasons",
        "Also holds": "holds",
    }
    lines = (
        *_lines(value, {"Result": "sentence"}, _text),
        *_lines(value, {"Tensors": "tensors"}),
        *_lines(fits, {"Fits the model": "fits"}, _text),
        *_lines(value, texts, _text),
    )
    yield Block("Checkpoint", lines, provenance=_provenance(fact))


def _file(fact: Measurement) -> Iterator[Block]:
    # Its path is left out: it means something on the machine that measured alone.
    texts = {"SHA-256": "sha256", "Hash in its name": "name_hash", "Redirected to": "final_url"}
    lines = _lines(fact.value, {"Bytes": "size"}) + _lines(fact.value, texts, _text)
    yield Block("File", lines, provenance=_provenance(fact))


_IMAGES = {"Dataset": "dataset", "Images given": "of", "Digest of names and sizes": "digest"}


def _accuracy(way: str, shards: Sequence[Measurement]) -> Block:
    images, top1, top5 = (
        sum(s.value.get(k) or 0 for s in shards) for k in ("images", "top1", "top5")
    )
    lines = [("Images counted", _number(images)), *_lines(shards[0].value, _IMAGES, _text)]
    if images:
        lines += [
            (f"Top-{k}", f"{right}/{images}" if images < 1000 else _share(right, images))
            for k, right in ((1, top1), (5, top5))
        ]
    title = f"Accuracy, preprocessed otherwise: {way}" if way else "Accuracy"
    if precision := way.partition("precision=")[2]:
        title = f"Accuracy in {precision}"
    return Block(title, tuple(lines), provenance=_provenance(shards[-1]))


def _share(right: int, images: int) -> str:
    return f"{_number(right)} right, {100 * right / images:.3f}%"


def _speed(fact: Measurement) -> Iterator[Block]:
    head = ("Batch", "Precision", "Images/s", "Latency p50 / p90 / p99, ms", "Peak memory")
    timings = _sequence(fact.value.get("timings"))
    rows = tuple(map(_timing, timings))
    lines = tuple(
        ("Measured on", words) for words in dict.fromkeys(map(environment_words, timings))
    )
    yield Block("Speed", lines, head, rows, provenance=_provenance(fact))


def _timing(timing: Mapping[str, Any]) -> tuple[str, ...]:
    first = (_number(timing.get("batch")), setting_words(timing))
    if timing.get("failed"):
        return (*first, str(timing["failed"]), "-", "-")
    latency, memory = _mapping(timing.get("latency_ms")), timing.get("peak_memory")
    return (
        *first,
        _number(timing.get("images_per_second"), 1),
        " / ".join(_number(latency.get(p), 2) for p in ("p50", "p90", "p99")),
        "-" if memory is None else f"{memory / 1e6:,.0f} MB",
    )


def _other(fact: Measurement) -> Iterator[Block]:
    """A kind that a later version may add: its plain values, by their own names."""
    lines = _lines(fact.value, {str(name): name for name in fact.value}, _text)
    yield Block(_title(fact.kind), lines, provenance=_provenance(fact))


_KINDS = {
    "structure": _structure,
    "flops": _flops,
    "derived": _flops,
    "checkpoint": _checkpoint,
    "file": _file,
    "speed": _speed,
}


def _title(kind: str) -> str:
    return {"flops": "operations", "derived": "operations, derived"}.get(kind, kind)


def _provenance(fact: Measurement) -> str:
    return " · ".join(filter(None, (fact.method, _where(fact))))


def _where(fact: Measurement) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in fact.versions.items())
    return " · ".join(filter(None, (versions, fact.device)))


def _number(value: Any, digits: int = 0) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def _lines(
    value: Mapping[str, Any], keys: Mapping[str, str], show: Callable[[Any], str] = _number
) -> tuple[tuple[str, str], ...]:
    """Titles with the values of these keys; missing ones are left out."""
    shown = ((title, show(value.get(key))) for title, key in keys.items())
    return tuple(line for line in shown if line[1] != "-")


def _text(value: Any) -> str:
    if value is None or value in ("", [], ()):
        return "-"
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()
