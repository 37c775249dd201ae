"""The parts that the page is made of: its template, styles and scripts, and plotly's script."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from harness.report.palette import DARK, LIGHT, Theme

if TYPE_CHECKING:
    from jinja2 import Template

_STYLES = ("page.css", "tables.css", "panel.css")
# In this order they make one script: each may use what stands before it.
_SCRIPTS = (
    "dom.js",
    "data.js",
    "route.js",
    "theme.js",
    "table.js",
    "filters.js",
    "findings.js",
    "comparison.js",
    "plots.js",
    "panel.js",
    "main.js",
)


@dataclass(frozen=True, slots=True)
class Assets:
    """Texts to be put into the page as they are.

    Attributes:
        style, script: of the page itself.
        plotly: plotly's script.
        reserved: ids of style elements that plotly would make for maps, which the page has none of.
        policy: the Content-Security-Policy under which these, and nothing else, may run.
    """

    style: str
    script: str
    plotly: str
    reserved: tuple[str, ...]
    policy: str


@cache
def template() -> Template:
    """The page's template, which escapes what it is given."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made = environment.from_string(_read("page.html.j2"))
    assets = load()
    made.globals.update(
        policy=assets.policy,
        style=Markup(assets.style),
        script=Markup(assets.script),
        plotly=Markup(assets.plotly),
        reserved=assets.reserved,
        icon=f"data:image/svg+xml;base64,{base64.b64encode(_read('icon.svg').encode()).decode()}",
    )
    return made


@cache
def load() -> Assets:
    """Reads them, once in a process.

    Raises:
        ValueError: plotly's script can't stand inside an HTML page.
    """
    # Read as a file of the package: importing plotly would take a second, and is not needed.
    plotly = files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    plotly = plotly.replace("\r\n", "\n")
    if re.search(r"</script|<!--", plotly, re.IGNORECASE):
        raise ValueError("plotly's script holds what would end the element around it")
    style = "\n".join((_colours(), *map(_read, _STYLES)))
    script = '(() => {\n"use strict";\n' + "\n".join(map(_read, _SCRIPTS)) + "})();\n"
    # Plotly styles by a sheet of its own, which it makes empty and fills rule by rule.
    styles = " ".join(map(_hash, (style, "")))
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"script-src {_hash(script)} {_hash(plotly)}; style-src {styles}"
    )
    reserved = re.findall(r'getElementById\("([0-9a-f]{40,})"\)', plotly)
    return Assets(style, script, plotly, tuple(dict.fromkeys(reserved)), policy)


def _read(name: str) -> str:
    text = (files("harness.report.page") / "assets" / name).read_text(encoding="utf-8")
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
    named = {
        "background": theme.background,
        "surface": theme.surface,
        "text": theme.text,
        "muted": theme.muted,
        "grid": theme.grid,
        "frontier": theme.frontier,
        **theme.status,
    }
    listed = "; ".join(f"--{name}: {colour}" for name, colour in named.items())
    return f"color-scheme: {scheme}; {listed};"
