"""The report as one page: a single HTML file that opens from a disk, without a network.

Text of an index is hostile. It reaches the page in two ways: through the template, which escapes
all of it, and as JSON in a data block, which a script turns into text nodes. A policy in the page
names the hashes of its own scripts and styles, so that nothing else could run in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from harness.causes import CAUSES
from harness.report import Options
from harness.report.groups import arrange
from harness.report.html.changes import Changes, compare, key
from harness.report.html.data import page_data
from harness.report.sentences import cut_short, measured, place, summary, value
from harness.report.style import DARK, LIGHT, Theme
from harness.report.view import STATUSES, presentable, standing
from harness.types import Finding, Report
from zoo._util.text import for_terminal, foreign, truncate

if TYPE_CHECKING:
    from jinja2 import Template

_STYLES = ("page.css", "tables.css", "panel.css")
# In this order they make one script: each may use what stands before it.
_SCRIPTS = (
    *("dom.js", "data.js", "route.js", "theme.js", "table.js", "filters.js"),
    *("findings.js", "comparison.js", "plots.js", "panel.js", "main.js"),
)

# Of the table for browsers without script, which is a second copy of what the script shows.
_PLAIN = 300
_LISTED = 8
_ENVIRONMENT = {
    "started": "Started",
    "seconds": "Seconds",
    "zoo": "zoo",
    "torch": "torch",
    "python": "Python",
    "platform": "Platform",
    "device": "Device",
}


def render(report: Report, previous: Mapping[str, Any] | str | None) -> str:
    """The whole page.

    Args:
        report: what to show.
        previous: the JSON document of the previous report, to show what is new and what is fixed;
            None where there is none, and the reason as a text where it can't be read. One that
            can't be used is named on the page with the reason.

    Returns:
        HTML text to be written as UTF-8. It holds plotly's script once, some 5 MB.
    """
    changes = compare(report, previous)
    report = presentable(report, names=False)
    data = page_data(report, changes)
    return _template().render(page=overview(report, changes), data=data)


@cache
def _template() -> Template:
    """The page's template, which escapes what it is given, with its styles and scripts.

    Raises:
        ValueError: plotly's script can't stand inside an HTML page.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    # Read as a file of the package: importing plotly would take a second, and is not needed.
    plotly = files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    plotly = plotly.replace("\r\n", "\n")
    if re.search(r"</script|<!--", plotly, re.IGNORECASE):
        raise ValueError("plotly's script holds what would end the element around it")
    style = "\n".join((_colours(), *map(_read, _STYLES)))
    script = '(() => {\n"use strict";\n' + "\n".join(map(_read, _SCRIPTS)) + "})();\n"
    # Plotly styles by a sheet of its own, which it makes empty and fills rule by rule.
    styles = " ".join(map(_hash, (style, "")))
    # Ids of the style elements that plotly would make for maps, which the page has none of.
    reserved = re.findall(r'getElementById\("([0-9a-f]{40,})"\)', plotly)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made = environment.from_string(_read("page.html.j2"))
    made.globals.update(
        policy="default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"script-src {_hash(script)} {_hash(plotly)}; style-src {styles}",
        style=Markup(style),
        script=Markup(script),
        plotly=Markup(plotly),
        reserved=tuple(dict.fromkeys(reserved)),
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
        f"@media print {{ :root, :root[data-theme] {{ {light} }} }}\n"
    )


def _properties(theme: Theme, scheme: str) -> str:
    names = ("background", "surface", "text", "muted", "grid", "frontier")
    colours = {name: getattr(theme, name) for name in names} | theme.status
    listed = "; ".join(f"--{name}: {colour}" for name, colour in colours.items())
    return f"color-scheme: {scheme}; {listed};"


# -- the beginning of the page, and what a browser without script shows ---------------------
# Every text of it is safe to look at, and none is escaped yet.


def overview(report: Report, changes: Changes) -> dict[str, Any]:
    """The values that the template names."""
    layout = arrange(report, Options())
    listed = [*layout.full, *(finding for alike in layout.alike for finding in alike)]
    listed.sort(key=lambda finding: STATUSES.index(standing(finding)))
    # Where no baseline accepts anything, nothing on the page speaks of it.
    accepts = any(finding.accepted is not None for finding in report.findings)
    statuses = [status for status in STATUSES if accepts or status != "accepted"]
    environment = {name: report.environment.get(key) for key, name in _ENVIRONMENT.items()}
    return {
        "sentence": summary(report),
        "cut_short": for_terminal(cut_short(report) or ""),
        "variants": len(report.variants),
        "counts": _counts(report.findings, statuses),
        "started": _when(str(report.environment.get("started") or "")),
        "environment": [(n, for_terminal(str(v))) for n, v in environment.items() if v is not None],
        "causes": _by_cause(report, statuses),
        "collections": _by_collection(report, statuses),
        "compared": changes.compared,
        "since": _when(changes.since or ""),
        "problem": for_terminal(changes.problem or ""),
        "new": _listed([f for f in listed if key(f) in changes.new], _LISTED),
        "fixed": _listed(changes.fixed, _LISTED),
        "unseen": len(changes.unseen),
        "plain": _listed(listed, _PLAIN),
    }


def _when(time: str) -> str:
    """A time as a person writes it, where it is one in UTC; else as it stands."""
    try:
        read = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return for_terminal(time)
    if read.utcoffset() != timedelta(0):
        return for_terminal(time)
    return read.strftime("%Y-%m-%d %H:%M UTC")


def _counts(findings: Iterable[Finding], statuses: Iterable[str]) -> dict[str, int]:
    found = Counter[str](map(standing, findings))
    return {status: found[status] for status in statuses}


def _line(name: str, about: str, variants: int, counts: dict[str, int], **filters: str) -> Any:
    """A line of a table of counts, with a link to the findings under these filters."""
    link = f"#findings?{urlencode(filters)}"
    return {"name": name, "about": about, "variants": variants, "counts": counts, "link": link}


def _by_cause(report: Report, statuses: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.cause is not None:
            groups.setdefault(finding.cause, []).append(finding)
    lines = []
    for cause, found in groups.items():
        about = CAUSES[cause].meaning.replace("`", "") if cause in CAUSES else ""
        variants = len({finding.variant for finding in found} - {None})
        shown = foreign(cause)
        lines.append(_line(shown, about, variants, _counts(found, statuses), cause=shown))
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
        chosen = "-" if name is None else shown
        counts = _counts(found, statuses)
        lines.append(_line(shown, "", variants[name], counts, collection=chosen))
    return lines


def _listed(findings: Sequence[Finding], most: int) -> dict[str, Any]:
    """The first findings, how many there are in all, and how many are left out."""
    lines = [_finding(finding) for finding in findings[:most]]
    return {"number": len(findings), "lines": lines, "rest": len(findings) - len(lines)}


def _finding(finding: Finding) -> dict[str, str]:
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
    message = truncate(for_terminal(finding.message))
    return {"label": standing(finding), "message": message, **shown}
