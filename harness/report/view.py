"""The view of a report that the formats share: what is presented, rows, the order of findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from harness.report import Options
from harness.types import Finding, Report, VariantReport
from zoo._util.text import FOREIGN, bounded, few, foreign, truncate

T = TypeVar("T", VariantReport, Finding)
_RANK = {"error": 0, "warning": 1, "note": 2, None: 3}


# -- what is presented: foreign texts are cut, messages are visible -------------------------

_IDENTITY = ("variant", "field", "check", "cause", "documented", "accepted")


# So many long texts are looked for in each message.
_FEW = 100


def presentable(report: Report, *, names: bool) -> Report:
    """Cut the texts of servers, builders and files at `FOREIGN` characters, and show what hides.

    Args:
        report: whole.
        names: cut what identifies a variant or a finding as well. A document that programs read
            keeps that: its own escapes make it visible.
    """
    short = _ShortNames() if names else str
    quoted: dict[str | None, list[str]] = {}
    for variant in report.variants:
        long = [text for text in foreign_texts(variant) if len(text) > FOREIGN]
        if long:
            quoted[variant.name] = long
    # A message may name other variants too; where nearly all have long texts, the words of a
    # message are cut alone.
    all_quoted = dict.fromkeys(text for texts in quoted.values() for text in texts)
    anywhere = tuple(all_quoted) if len(all_quoted) <= _FEW else ()
    return replace(
        report,
        environment={
            key: foreign(value) if isinstance(value, str) else value
            for key, value in report.environment.items()
        },
        variants=tuple(_presentable_variant(v, short) for v in report.variants),
        findings=tuple(
            _presentable_finding(f, short, anywhere or quoted.get(f.variant, ()))
            for f in report.findings
        ),
        cut_short=None if report.cut_short is None else bounded(report.cut_short),
    )


class _ShortNames:
    """Cuts long names, two of them never to the same."""

    def __init__(self) -> None:
        self._short: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        if len(name) <= FOREIGN:
            return name
        if name not in self._short:
            cut = truncate(name, FOREIGN - 8)
            number = self._taken[cut] = self._taken.get(cut, 0) + 1
            self._short[name] = cut if number == 1 else f"{cut} #{number}"
        return self._short[name]


def foreign_texts(variant: VariantReport) -> Iterator[str]:
    """What messages on a variant may quote, each as the index writes it."""
    yield variant.name
    yield from filter(None, (variant.collection, variant.builder))
    for claim in variant.claims:
        yield from filter(None, (claim.raw, claim.dataset, claim.task))


def numbered(names: Iterable[str]) -> list[str]:
    """The names, with a number where several are the same."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _presentable_variant(variant: VariantReport, short: Callable[[str], str]) -> VariantReport:
    texts = {"name": variant.name, "collection": variant.collection, "builder": variant.builder}
    return _changed(variant, {k: None if v is None else short(v) for k, v in texts.items()})


def _presentable_finding(
    finding: Finding, short: Callable[[str], str], texts: Sequence[str]
) -> Finding:
    long = (getattr(finding, name) for name in _IDENTITY)
    own = [text for text in long if text is not None and len(text) > FOREIGN]
    changes: dict[str, Any] = {
        name: short(text) for name in _IDENTITY if (text := getattr(finding, name)) is not None
    }
    changes["message"] = bounded(finding.message, (*own, *texts))
    if isinstance(finding.measured, str):
        changes["measured"] = foreign(finding.measured)
    return _changed(finding, changes)


def _changed(made: T, values: Mapping[str, Any]) -> T:
    """The same, where nothing in it is new: a report has many findings, and few long texts."""
    new = {name: value for name, value in values.items() if value != getattr(made, name)}
    return replace(made, **new) if new else made


# -- order ----------------------------------------------------------------------------------
def is_wanted(finding: Finding, options: Options) -> bool:
    """Whether a list of single findings has it: all but matches, more or fewer as is asked for."""
    if options.verbose:
        return True
    if options.quiet:
        return finding.accepted is None and finding.severity in ("error", "warning")
    return finding.status != "match"


def rank(finding: Finding) -> int:
    """The worst first, then what is accepted, then what matches."""
    if finding.accepted is not None:
        return len(_RANK)
    return _RANK[finding.severity] + 2 * (finding.status == "match")


# -- precisions, side by side ---------------------------------------------------------------

# So many of the images that only one precision answers right are named.
_FLIPPED = 10


def precisions(report: Report) -> tuple[list[tuple[str, ...]], list[str]]:
    """A table of the precisions that were compared, its head first, and what is to be read with it.

    Both are empty where none were.
    """
    rows, notes = [], []
    for variant in report.variants:
        evaluated = variant.measurements.get("evaluations") or ()
        compared = [(_about(found), found) for found in evaluated if "precision" in found]
        sets = {about for about, _ in compared}
        for about, found in compared:
            against = found.get("against")
            name = _called(found["precision"])
            cells = ["-"] * 6
            if against is not None:
                low, high = against["interval"]
                cells = [
                    f"{against['changed']:,}",
                    f"{against['only_other']:,}",
                    f"{against['only_this']:,}",
                    f"{against['points']:+.2f} ({low:+.2f} to {high:+.2f})",
                    f"{against['mcnemar']:.3g}",
                    against["verdict"],
                ]
                flipped, other = against["flipped"], _called(against["precision"])
                shown = few(flipped, _FLIPPED) or "none of them"
                what = f"only one of {other} and {name} is right on {shown}"
                of = f" of {about}" if len(sets) > 1 and flipped else ""
                notes.append(f"{variant.name}: {what}{of}")
            shares = (f"{found[key]:.2f}" for key in ("top1", "top5"))
            rows.append((variant.name, about, name, f"{found['images']:,}", *shares, *cells))
    head = ("variant", "images of", "precision", "images", "top-1", "top-5")
    beside = ("changed", "only the first", "only this", "points (of all)", "McNemar p", "verdict")
    return ([(*head, *beside), *rows] if rows else []), notes


def _about(found: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (found.get("dataset"), found.get("setting"))))


def _called(precision: str) -> str:
    return "float32" if precision == "off" else precision
