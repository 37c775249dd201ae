"""How many claims hold, as a badge: for shields.io's endpoint, and as an image without a server."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from harness.report.rows import standing
from harness.types import Report
from zoo._util.text import json_text, plural

NAMES = ("badge.json", "badge.svg")

_COLOURS = {
    "brightgreen": "#2a7d0a",
    "green": "#4c7d16",
    "yellow": "#8a6d00",
    "red": "#c0392b",
    "lightgrey": "#6b6b6b",
}
_LABEL = "#3f3f3f"
# Widths of Verdana at 11 pixels, by what a character is like; the image is stretched to it.
_NARROW, _WIDE = frozenset("fijlrtI.,:;'|()[]! "), frozenset("mwMW%@")
_PADDING = 6


def counted(report: Report) -> tuple[int, int]:
    """How many claims hold, and how many were checked; each counts once."""
    checked: dict[Any, bool] = {}
    for finding in report.findings:
        if finding.status != "unverified" and finding.documented is not None:
            claim = (finding.variant, finding.field, finding.location)
            checked[claim] = checked.get(claim, True) and finding.status == "match"
    return sum(checked.values()), len(checked)


def endpoint(report: Report) -> Mapping[str, Any]:
    """What https://shields.io/badges/endpoint-badge reads."""
    hold, checked = counted(report)
    worst = {standing(finding) for finding in report.findings}
    if not checked:
        message, colour = "no claim checked", "lightgrey"
    else:
        message = f"{hold:,} of {plural(checked, 'claim')} {'holds' if checked == 1 else 'hold'}"
        colour = "brightgreen" if hold == checked else "green"
        colour = "red" if "error" in worst else "yellow" if "warning" in worst else colour
    label = plural(len(report.variants), "variant")
    return {"schemaVersion": 1, "label": label, "message": message, "color": colour}


def files(report: Report) -> Mapping[str, bytes]:
    """``badge.json`` and ``badge.svg``."""
    badge = endpoint(report)
    made = (f"{json_text(badge)}\n".encode("ascii"), _svg(badge).encode("utf-8"))
    return dict(zip(NAMES, made, strict=True))


def _width(text: str) -> int:
    return round(sum(4.2 if c in _NARROW else 10.3 if c in _WIDE else 7.0 for c in text))


def _svg(badge: Mapping[str, Any]) -> str:
    """The badge as an image: flat, with its text as text, and a title for who can't see it."""
    parts = (badge["label"], badge["message"])
    widths = [_width(part) + 2 * _PADDING for part in parts]
    whole = html.escape(": ".join(parts))
    texts = "".join(
        f'<text x="{left + _PADDING}" y="14" textLength="{width - 2 * _PADDING}">'
        f"{html.escape(part)}</text>"
        for part, left, width in zip(parts, (0, widths[0]), widths, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="20" role="img" '
        f'aria-label="{whole}">\n<title>{whole}</title>\n'
        f'<clipPath id="r"><rect width="{sum(widths)}" height="20" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#r)"><rect width="{widths[0]}" height="20" fill="{_LABEL}"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" '
        f'fill="{_COLOURS[badge["color"]]}"/></g>\n'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{texts}</g>\n'
        "</svg>\n"
    )
