"""What an index claims of a collection, as the tables of a page and as BibTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from harness.docs.markdown import Markdown, code, escaped, link, plain_lines, slug, table
from zoo._util.text import few, for_latex, truncate, without_secrets
from zoo.index.schema import LinkError, check_link
from zoo.index.types import Claim, Variant
from zoo.weights import hub

_PREFIXES = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))
_NOT_METRICS = frozenset({"Task", "Dataset", "Images"})
_MOST_METRICS = 8
UNUSABLE = "(can't be right)"
_MOST_NAMES = 5
# What an index may say of how the variants were trained, in the order of a recipe.
_RECIPE = (
    "Training Data", "Training Techniques", "Epochs", "Batch Size", "LR", "LR Step Size",
    "LR Gamma", "Momentum", "Weight Decay", "Dropout", "Label Smoothing",
    "Stochastic Depth Survival", "BatchNorm Momentum", "RMSProp Decay", "Training Resources",
    "Training Time",
)  # fmt: skip

ClaimOf = Callable[[str], Claim | None]
_Column = tuple[str, Callable[[Variant], object | None]]  # a heading, and what is under it


def comparison(variants: Sequence[Variant]) -> Markdown:
    """One row per variant, by its claimed parameters; columns without any claim are left out."""
    columns: list[_Column] = [
        ("image size", _image_size),
        ("parameters", lambda v: _amount(v.effective("Parameters"))),
        ("FLOPs", _flops),
        ("file size", lambda v: _amount(v.effective("File Size"), "B")),
        *_metrics(variants),
        ("weights", _weights),
        *([("code", _code)] if common_code(variants) is None else []),
    ]
    ordered = sorted(variants, key=parameters)
    # Not by their headings: an index may have a metric of any name.
    made = [(heading, [cell(variant) for variant in ordered]) for heading, cell in columns]
    used = [column for column in made if any(cell is not None for cell in column[1])]
    rows = zip(map(code, (v.name for v in ordered)), *(cells for _, cells in used), strict=True)
    return table(
        ["variant", *(heading for heading, _ in used)],
        (["-" if cell is None else cell for cell in row] for row in rows),
    )


def common_code(variants: Sequence[Variant]) -> Markdown | None:
    """The one link to the code of all variants; None where they differ or have none."""
    found = {_code(variant) for variant in variants}
    return found.pop() if len(found) == 1 else None


def parameters(variant: Variant) -> float:
    """The claimed number of parameters, to sort by; infinite where there is none."""
    claim = variant.effective("Parameters")
    return claim.value if claim is not None and isinstance(claim.value, int) else float("inf")


def recipe(variants: Sequence[Variant]) -> list[Markdown]:
    """What is claimed of the training, one line a setting; variants that differ are named."""
    lines = []
    for field in _RECIPE:
        named: dict[str, list[str]] = {}
        for variant in variants:
            claim = variant.effective(field)
            if claim is not None:
                named.setdefault(_as_written(claim), []).append(variant.name)
        if len(named) == 1 and len(next(iter(named.values()))) == len(variants):
            lines.append(Markdown(f"{field}: {escaped(next(iter(named)))}"))
        elif named:
            parts = (f"{escaped(raw)} ({some(names)})" for raw, names in named.items())
            lines.append(Markdown(f"{field}: {'; '.join(parts)}"))
    return lines


def shared(variants: Sequence[Variant], field: str) -> str | None:
    """What all variants claim alike, as written; None where they differ, or one has no claim."""
    raws = {None if c is None else c.raw for c in (v.effective(field) for v in variants)}
    return raws.pop() if len(raws) == 1 else None


def some(names: Sequence[str]) -> Markdown:
    """The first few of many names."""
    return Markdown(few([*map(code, names)], _MOST_NAMES))


def _image_size(variant: Variant) -> str | None:
    claim = variant.effective("Image Size")
    return None if claim is None else _pixels(claim)


def _pixels(claim: Claim) -> str:
    size = claim.value
    if isinstance(size, tuple) and len(size) == 2:
        return f"{size[0]}x{size[1]}"
    return _as_written(claim)


def _amount(claim: Claim | None, unit: str = "") -> str | None:
    """A whole number in four digits: ``48.28 M``, ``193.8 MB``."""
    if claim is None:
        return None
    if not isinstance(claim.value, int):
        return _as_written(claim)
    for prefix, size in _PREFIXES:
        if claim.value >= size:
            digits = f"{Decimal(f'{Decimal(claim.value) / size:.4g}'):f}"
            return f"{digits} {prefix}{unit}"
    return f"{claim.value} {unit}".rstrip()


def unusable(variants: Iterable[Variant]) -> Iterator[Claim]:
    """The claims in the tables that can't be true, or can't be read."""
    for variant in variants:
        fields = ("Image Size", "FLOPs Input", "Parameters", "FLOPs", "File Size", *_RECIPE)
        claims = [*map(variant.effective, fields), *filter(_is_metric, variant.claims)]
        yield from (claim for claim in claims if claim is not None and claim.value is None)


def _as_written(claim: Claim, width: int | None = None) -> str:
    """The text of a claim, with a mark where it can't be right."""
    raw = truncate(claim.raw) if width is None else truncate(claim.raw, width)
    return raw if claim.value is not None else f"{raw} {UNUSABLE}"


def _flops(variant: Variant) -> str | None:
    """The number, with its documented convention and input."""
    number = _amount(variant.effective("FLOPs"))
    if number is None:
        return None
    convention, given = variant.effective("FLOPs Convention"), variant.effective("FLOPs Input")
    details = [truncate(convention.raw)] if convention is not None else []
    details += [f"at {_pixels(given)}"] if given is not None else []
    return f"{number} ({' '.join(details)})" if details else number


def _metrics(variants: Iterable[Variant]) -> Iterator[_Column]:
    """A column for each metric on each dataset, in the order they come up."""
    found: dict[tuple[str, str | None], None] = {}
    for variant in variants:
        for claim in variant.claims:
            if _is_metric(claim):
                found[claim.field, claim.dataset] = None
    for field, dataset in list(found)[:_MOST_METRICS]:
        heading = f"{field}, {dataset}" if dataset is not None else field
        yield truncate(heading, 60), _metric_of(field, dataset)


def _is_metric(claim: Claim) -> bool:
    is_result = claim.task is not None or claim.dataset is not None
    return is_result and claim.field not in _NOT_METRICS


def _metric_of(field: str, dataset: str | None) -> Callable[[Variant], str | None]:
    def cell(variant: Variant) -> str | None:
        claims = (c for c in variant.claims_of(field) if c.dataset == dataset)
        claim = next(claims, None)
        if claim is None:
            return None
        if claim.unit == "percent" and claim.value is not None:
            return f"{claim.value}%"
        return _as_written(claim, 40)

    return cell


def _weights(variant: Variant) -> Markdown | None:
    claim = variant.effective("Weights")
    return None if claim is None or claim.value is None else linked(claim.raw)


def _code(variant: Variant) -> Markdown | None:
    claim = variant.effective("Code") or variant.effective("Code.URL")
    if claim is None or claim.value is None:
        return None
    return link("source", claim.raw)


def linked(url: str) -> Markdown:
    """A link where a browser could follow it, else the file's name."""
    url = hub.page(url) or url
    try:
        check_link(url)
    except LinkError:
        return code(truncate(PurePosixPath(urlsplit(url).path).name or url, 80))
    return link("file", url)


def bibtex(claim_of: ClaimOf, name: str) -> str | None:
    """How to cite what an entry of an index documents: safe lines, without a break at the end.

    It is the entry's ``Citation`` as its author wrote it. Where there is none, the title and the
    URL of its ``Paper`` make a ``@misc`` with a key of the name: authors and year are not in an
    index. None where it has neither. ``claim_of`` gives the claim of a field in effect, or None.
    """
    own = text_of(claim_of("Citation"))
    if own is not None:
        return plain_lines(own)
    title, url = paper(claim_of)
    if title is None:
        return None
    fields = {"title": f"{{{for_latex(' '.join(title.split()))}}}"}
    if url is not None:
        fields["url"] = url
    width = max(map(len, fields))
    lines = (f"  {key:<{width}} = {{{value}}}," for key, value in fields.items())
    return plain_lines("\n".join([f"@misc{{{slug(name)},", *lines, "}"]))


def paper(claim_of: ClaimOf) -> tuple[str | None, str | None]:
    """The title and the URL of the paper, each None where it is not documented."""
    title, url = text_of(claim_of("Paper.Title")), text_of(claim_of("Paper.URL"))
    plain = text_of(claim_of("Paper"))
    if plain is not None:
        try:
            check_link(plain)
        except LinkError:
            title = title or plain
        else:
            url = url or plain
    return title, url


def text_of(claim: Claim | None) -> str | None:
    """The text of a claim, without secrets; None where there is none that could be read."""
    if claim is None or not isinstance(claim.value, str):
        return None
    return without_secrets(claim.value)
