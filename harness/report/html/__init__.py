"""The report as one page: a single HTML file that opens from a disk, without a network.

Text of an index is hostile. It reaches the page in two ways: through the template, which escapes
all of it, and as JSON in a data block, which a script turns into text nodes. A policy in the page
names the hashes of its own scripts and styles, so that nothing else could run in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from harness.causes import CAUSES
from harness.report import Options
from harness.report.groups import RuleGroup, arrange
from harness.report.html.changes import Changes, key
from harness.report.html.data import page_data, unique_names, with_samples
from harness.report.rows import STATUSES, standing
from harness.report.sentences import STATES, cut_short, measured, place, summary, value
from harness.report.source import Linker, no_link
from harness.report.style import DARK, LIGHT, Theme
from harness.report.view import presentable
from harness.types import Finding, Report
from zoo._util.text import for_terminal, foreign, plural, truncate

if TYPE_CHECKING:
    from jinja2 import Template

    from harness.report.history_file import History

_STYLES = ("page.css", "tables.css", "panel.css", "history.css")
# In this order they make one script: each may use what stands before it.
_SCRIPTS = (
    *("dom.js", "data.js", "route.js", "theme.js", "table.js", "filters.js"),
    *(
        "findings.js",
        "comparison.js",
        "plot.js",
        "plots.js",
        "history.js",
        "panel.js",
        "answers.js",
        "main.js",
    ),
)

# Of the table for browsers without script, which is a second copy of what the script shows.
_PLAIN = 300
_LISTED = 8
_WORST = 6
WORDS = {status: STATES[status] for status in STATUSES}


def render(
    report: Report, changes: Changes, link: Linker = no_link, past: History | None = None
) -> str:
    """The whole page.

    Args:
        report: what to show.
        changes: what is new and what is fixed since the previous report.
        link: the address of an index's file, for links to its lines.
        past: the figures of earlier runs and of this one, None where they are not kept.

    Returns:
        HTML text to be written as UTF-8.
    """
    report = with_samples(presentable(report, names=False))
    data = page_data(report, changes, link, past)
    page = overview(report, changes, link) | {"history": past is not None and len(past) > 0}
    return _template().render(page=page, data=data)


@cache
def _template() -> Template:
    """The page's template, which escapes what it is given, with its styles and scripts."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = "\n".join((_colours(), *map(_read, _STYLES)))
    script = '(() => {\n"use strict";\n' + "\n".join(map(_read, _SCRIPTS)) + "})();\n"
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made = environment.from_string(_read("page.html.j2"))
    made.globals.update(
        policy="default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"script-src {_hash(script)}; style-src {_hash(style)}",
        style=Markup(style),
        script=Markup(script),
        icon=f"data:image/svg+xml;base64,{base64.b64encode(_read('icon.svg').encode()).decode()}",
    )
    return made


def _read(name: str) -> str:
    text = (files("harness.report.html") / "assets" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _colours() -> str:
    """The palette as CSS: the light one, and the dark one where the system or the reader asks."""
    light, dark = _properties(LIGHT, "light"), _properties(DARK, "dark")
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme]) {{ {dark} }} }}\n"
        f':root[data-theme="dark"] {{ {dark} }}\n'
        # Paper is white, whatever the screen was.
        f"@media print {{ :root:root, :root[data-theme] {{ {light} }} }}\n"
    )


def _properties(theme: Theme, scheme: str) -> str:
    names = ("background", "surface", "text", "muted", "grid", "line")
    colours = {name: getattr(theme, name) for name in names} | theme.status
    listed = "; ".join(f"--{name}: {colour}" for name, colour in colours.items())
    return f"color-scheme: {scheme}; {listed};"


# -- the beginning of the page, and what a browser without script shows ---------------------
# Every text of it is safe to look at, and none is escaped yet.


def overview(report: Report, changes: Changes, link: Linker) -> dict[str, Any]:
    """The values that the template names."""
    layout = arrange(report, Options())
    listed = [*layout.full, *(finding for alike in layout.alike for finding in alike)]
    listed.sort(key=lambda finding: STATUSES.index(standing(finding)))
    # Where no baseline accepts anything, nothing on the page speaks of it.
    accepts = any(finding.accepted is not None for finding in report.findings)
    statuses = [status for status in STATUSES if accepts or status != "accepted"]
    counts = _counts(report.findings, statuses)
    environment = {name: report.environment.get(name) for name in ("zoo", "torch", "python")}
    keys: dict[str, str] = {}
    for variant, name in zip(report.variants, unique_names(report.variants), strict=True):
        keys.setdefault(variant.name, name)
    lines = partial(_listed, keys=keys, link=link)
    return {
        "headline": _headline(counts, len(report.variants)),
        "sentence": summary(report),
        "cut_short": for_terminal(cut_short(report) or ""),
        "variants": len(report.variants),
        "counts": counts,
        "words": WORDS,
        "bar": _bar(counts),
        "worst": lines(_worst(report), _WORST),
        "differ": counts["error"] + counts["warning"],
        "checked": _checked(counts),
        "environment": [(n, for_terminal(str(v))) for n, v in environment.items() if v is not None],
        "causes": _by_cause(report, statuses),
        "collections": _by_collection(report, statuses),
        "problem": for_terminal(changes.problem or ""),
        "new": lines([f for f in listed if key(f) in changes.new], _LISTED),
        "fixed": lines(changes.fixed, _LISTED),
        "unseen": len(changes.unseen),
        "plain": lines(listed, _PLAIN),
    }


def _headline(counts: Mapping[str, int], variants: int) -> str:
    whom = f" in {plural(variants, 'variant')}" if variants else ""
    worst = [plural(counts[word], word) for word in ("error", "warning") if counts[word]]
    if worst:
        return f"{' and '.join(worst)}{whom}"
    if not _checked(counts):
        return f"Nothing was checked{whom}"
    accepted = ", but for what is accepted" if counts.get("accepted") else ""
    unchecked = f"; {counts['unverified']} not checked" if counts["unverified"] else ""
    return f"Nothing is wrong{whom}{accepted}{unchecked}"


def _checked(counts: Mapping[str, int]) -> int:
    """How many claims could be checked."""
    return sum(counts.values()) - counts["unverified"]


def _bar(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """What holds, differs, is accepted, is not checked: the parts of a bar, in percent."""
    order = ("match", "note", "accepted", "error", "warning", "unverified")
    total, at, parts = sum(counts.values()), 0.0, []
    for status in order:
        if number := counts.get(status, 0):
            width = 100 * number / total
            parts.append({"status": status, "x": f"{at:.3f}", "width": f"{width:.3f}"})
            at += width
    return parts


def _worst(report: Report) -> list[Finding]:
    """Errors and warnings, one for each wrong value, and for what many have in common."""
    told = (
        each.first
        for block in arrange(report, Options(), join=True).blocks
        for each in (block.values[:1] if isinstance(block, RuleGroup) else block.values)
    )
    wrong = (finding for finding in told if standing(finding) in ("error", "warning"))
    return sorted(wrong, key=lambda finding: STATUSES.index(standing(finding)))


def _counts(findings: Iterable[Finding], statuses: Iterable[str]) -> dict[str, int]:
    found = Counter[str](map(standing, findings))
    return {status: found[status] for status in statuses}


def _line(name: str, variants: int, counts: dict[str, int], **more: Any) -> dict[str, Any]:
    """A line of a table of counts; ``filters`` are those of the findings that it counts."""
    link = f"#findings?{urlencode(more.pop('filters'))}"
    return {"name": name, "variants": variants, "counts": counts, "link": link, **more}


def _by_cause(report: Report, statuses: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.cause is not None:
            groups.setdefault(finding.cause, []).append(finding)
    lines = []
    for cause, found in groups.items():
        variants = len({finding.variant for finding in found} - {None})
        shown = foreign(cause)
        about = asdict(CAUSES[cause]) if cause in CAUSES else {}
        about = {name: str(text).replace("`", "") for name, text in about.items()}
        counts = _counts(found, statuses)
        lines.append(_line(shown, variants, counts, filters={"cause": shown}, about=about))
    return sorted(lines, key=_gravity)


def _gravity(line: dict[str, Any]) -> tuple[int, int]:
    worst = next(i for i, count in enumerate(line["counts"].values()) if count)
    return (worst, -sum(line["counts"].values()))


def _by_collection(report: Report, statuses: Sequence[str]) -> list[dict[str, Any]]:
    collections = {variant.name: variant.collection for variant in report.variants}
    variants = Counter(variant.collection for variant in report.variants)
    groups: dict[str | None, list[Finding]] = {name: [] for name in variants}
    for finding in report.findings:
        # A finding on the index itself belongs to no collection.
        if finding.variant in collections:
            groups[collections[finding.variant]].append(finding)
    lines = []
    for name, found in groups.items():
        shown = "no collection" if name is None else foreign(name)
        chosen = {"collection": "-" if name is None else shown}
        lines.append(_line(shown, variants[name], _counts(found, statuses), filters=chosen))
    return lines


def _listed(
    findings: Sequence[Finding], most: int, *, keys: Mapping[str, str], link: Linker
) -> dict[str, Any]:
    """The first findings, how many there are in all, and how many are left out."""
    lines = [_finding(finding, keys, link) for finding in findings[:most]]
    return {"number": len(findings), "lines": lines, "rest": len(findings) - len(lines)}


def _finding(finding: Finding, keys: Mapping[str, str], link: Linker) -> dict[str, str]:
    texts = {
        "variant": finding.variant or "",
        "field": finding.field,
        "documented": value(finding.documented),
        "measured": measured(finding),
        "cause": finding.cause or "",
        "place": place(finding),
        "reason": finding.accepted or "",
    }
    shown = {name: foreign(text) for name, text in texts.items()}
    at = finding.location
    source = at and link(at.file)
    key = keys.get(finding.variant or "")
    return {
        "label": standing(finding),
        "message": truncate(for_terminal(finding.message)),
        "panel": f"#overview?{urlencode({'variant': key})}" if key else "",
        "source": source.replace("{line}", str(at.line)) if source and at else "",
        **shown,
    }
