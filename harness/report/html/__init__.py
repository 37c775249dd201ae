"""The report as one page: a single HTML file that opens from a disk, without a network.

Text of an index is hostile. It reaches the page in two ways: through the template, which escapes
all of it, and as JSON in a data block, which a script turns into text nodes. A policy in the page
names the hashes of its own scripts and styles, so that nothing else could run in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from harness.report.html.changes import compare
from harness.report.html.data import page_data
from harness.report.html.overview import overview
from harness.report.style import DARK, LIGHT, Theme
from harness.types import Report

if TYPE_CHECKING:
    from jinja2 import Template

_STYLES = ("page.css", "tables.css", "panel.css")
# In this order they make one script: each may use what stands before it.
_SCRIPTS = (
    *("dom.js", "data.js", "route.js", "theme.js", "table.js", "filters.js"),
    *("findings.js", "comparison.js", "plots.js", "panel.js", "main.js"),
)


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
