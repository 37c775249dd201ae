"""The text of a model card: what was measured, what is documented beside it, how to check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.docs.claims import bibtex, linked, paper, text_of
from harness.docs.markdown import code, escaped, fenced, link, paragraphs, table
from harness.docs.measured import Evaluated
from harness.report.rows import ClaimRow, claim_rows
from harness.report.sentences import STATES, quantity, span
from harness.types import Finding, Report, VariantReport
from zoo._util.text import truncate
from zoo.index.types import Location, Variant

SIGNATURE = "Written by `zoo cards`: change the index, and run it again."

_CHECKED = ("Parameters", "FLOPs", "File Size", "SHA256", "Top 1 Accuracy", "Top 5 Accuracy")
_MOST = 40

Found = Mapping[tuple[str | None, Location | None], list[Finding]]


def card_text(
    report: Report,
    url: str | None,
    variant: Variant,
    measured: VariantReport,
    seen: Sequence[tuple[Evaluated, str]],
    found: Found,
) -> str:
    """The text of a card, below its front matter.

    Args:
        report: what was measured and found, in which versions.
        url: where it can be read, None where nowhere.
        variant: whose card it is.
        measured: what was measured of it.
        seen: what was counted on images, each with what to call these.
        found: as `found_in` has the report's findings.
    """
    parts = [
        f"<!-- {SIGNATURE} -->",
        f"# Model card for {code(truncate(variant.name))}",
        *_described(variant),
        "## Measured",
        *_measured(report, url, measured, seen, fits=not _is_refused(variant, found)),
        *_documented(variant, found),
        "## Check it",
        "`zoo verify --all --index README.md` holds this card against the model"
        f"{_builder(measured.builder)}.",
        *_cited(variant),
    ]
    return "\n\n".join([*parts, ""]).rstrip() + "\n"


def _described(variant: Variant) -> Iterator[str]:
    collection = variant.collection
    described = text_of(variant.effective("Description"))
    if described is not None:
        yield paragraphs(described)
    lines = [] if collection is None else [f"Collection: {escaped(truncate(collection.name))}"]
    title, url = paper(variant.effective)
    if url is not None:
        lines.append(f"Paper: {link(truncate(title or url), url)}")
    weights = variant.effective("Weights")
    if weights is not None and weights.value is not None:
        lines.append(f"Weights: {linked(weights.raw)}")
    if lines:
        yield "\n".join(f"- {line}" for line in lines)


def _is_refused(variant: Variant, found: Found) -> bool:
    """Whether a finding speaks against the input size that the index documents."""
    claim = variant.effective("Image Size")
    findings = found.get((variant.name, claim.location), ()) if claim is not None else ()
    return any(f.field == "Image Size" and f.status == "mismatch" for f in findings)


def _measured(
    report: Report,
    url: str | None,
    measured: VariantReport,
    seen: Sequence[tuple[Evaluated, str]],
    *,
    fits: bool,
) -> Iterator[str]:
    """What was measured; the input of the counts is in the list where it is the model's own."""
    values = measured.measurements
    counts, size = values.get("flops") or {}, values.get("image_size")
    listed = []
    if values.get("parameters") is not None:
        listed.append(f"- Parameters: {values['parameters']:,}")
    if counts.get("macs") is None:
        size = None
    if size and fits:
        listed += [f"- MACs: {counts['macs']:,}", f"- Image size: {size[0]} x {size[1]}"]
    if listed:
        yield "Counted of the model as it is built:"
        yield "\n".join(listed)
    if size and not fits:
        yield f"At {size[0]} x {size[1]} pixels it takes {counts['macs']:,} multiply-accumulates."
    if seen:
        yield "Counted on images; the interval is what these leave possible for the whole set:"
        head = ("metric", "dataset", "images", "right", "interval")
        yield table(
            head,
            (
                (
                    f"top-{k}",
                    truncate(title),
                    f"{each.images:,}",
                    _right(each, k),
                    span(*each.interval(k)),
                )
                for each, title in seen
                for k in (1, 5)
            ),
        )
    file = []
    if values.get("file_size") is not None:
        file.append(f"{values['file_size']:,} bytes ({quantity(values['file_size'], 'B')})")
    if values.get("sha256") is not None:
        file.append(f"SHA-256 {code(values['sha256'])}")
    if file:
        yield f"The file of its weights: {', '.join(file)}."
    if not (listed or size or seen or file):
        yield "Nothing has been measured yet."
        return
    versions = ", ".join(
        f"{name} {escaped(truncate(str(each)))}"
        for name in ("zoo", "torch")
        if (each := report.environment.get(name))
    )
    if versions:
        whole = f" {link('The whole report', url)}." if url else ""
        yield f"Measured with {versions}.{whole}"


def _documented(variant: Variant, found: Found) -> Iterator[str]:
    """What the index says, which is no measurement, and how it stands."""
    claims = [claim for claim in variant.in_effect() if claim.field in _CHECKED]
    if not claims:
        return
    rows = claim_rows(variant, claims[:_MOST], found)
    yield "## Documented"
    yield (
        "What the index says, as it is written there. It is no measurement; beside it stands "
        "how it was found."
    )
    yield table(
        ("", "documented", "measured", "found"),
        (
            (
                truncate(row.field),
                truncate(row.documented),
                _shown(row),
                _stands(row.finding),
            )
            for row in rows
        ),
    )


def _shown(row: ClaimRow) -> str:
    """What was measured of a claim; of what could not be decided, nothing."""
    decided = row.finding is not None and row.finding.status != "unverified"
    return (decided and row.shown) or "-"


def _stands(finding: Finding | None) -> str:
    if finding is None:
        return "not checked"
    if finding.accepted is not None:
        return "differs, and is accepted"
    if finding.cause == "accuracy.undecided":
        return "not decided"
    word = finding.status if finding.status != "mismatch" else finding.severity or finding.status
    return {"match": "holds", "unverified": "not checked", "note": "holds, with a note"}.get(
        word, f"differs: {STATES[word]}"
    )


def _right(seen: Evaluated, k: int) -> str:
    percent = seen.top1 if k == 1 else seen.top5
    right = round(percent * seen.images / 100)
    return f"{right:,} of {seen.images:,}" if seen.is_sample else f"{percent:.2f} %"


def _builder(name: str) -> str:
    return "" if name in ("", "zoo") else f", with {code(f'--builder {name}')}"


def _cited(variant: Variant) -> Iterator[str]:
    entry = bibtex(variant.effective, variant.collection_name or variant.name)
    if entry is not None:
        yield "## Citation"
        yield fenced(entry, "bibtex")
