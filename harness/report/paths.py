"""Paths in a report: from the repository's top, as URIs, and without the user's home folder."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from harness.report import Options
from harness.types import Fact, Finding, Report, Unmeasured
from zoo.index.types import Location


def in_repository(file: str, options: Options) -> str:
    """A file named from the working folder, as named from the top of the repository.

    Args:
        file: the name; an absolute one stays as it is where it lies outside the repository.
        options: the repository's top, and the working folder in it.
    """
    if not posixpath.isabs(file) or not options.top:
        return posixpath.normpath(posixpath.join(options.folder, file))
    # As it is written, then as it is: a checkout may be named through a link, a file be one.
    folder = os.path.realpath(os.path.dirname(file))
    for path in (posixpath.normpath(file), posixpath.join(folder, posixpath.basename(file))):
        if path.startswith(options.top.rstrip("/") + "/"):
            return posixpath.relpath(path, options.top)
    return posixpath.normpath(file)


def uri(path: str) -> str:
    """The path as a URI (RFC 3986): relative, or ``file:`` where the path is absolute."""
    encoded = quote(path.encode("utf-8", "surrogatepass"), safe="/")
    return f"file://{encoded}" if path.startswith("/") else encoded


def locator(report: Report) -> Callable[[Finding], Location | None]:
    """For formats that insist on a place: the claim's, else the variant's, else the first one's."""
    known = {v.name: v.location for v in reversed(report.variants) if v.location is not None}
    first = next((v.location for v in report.variants if v.location is not None), None)
    return lambda finding: finding.location or known.get(finding.variant or "", first)


def redact_home(report: Report) -> Report:
    """The report with ``~`` for the user's home folder in what this program writes.

    That is messages, methods, and why something was not measured or came to its end early, such as
    the place of a cached checkpoint. What an index says is quoted as it stands.
    """
    shorten = _shortener(os.path.expanduser("~"))

    def fact(each: Fact) -> Fact:
        if isinstance(each, Unmeasured):
            return replace(each, why=shorten(each.why))
        return replace(each, method=shorten(each.method))

    return replace(
        report,
        variants=tuple(replace(v, facts=tuple(map(fact, v.facts))) for v in report.variants),
        findings=tuple(replace(f, message=shorten(f.message)) for f in report.findings),
        cut_short=None if report.cut_short is None else shorten(report.cut_short),
    )


def _shortener(home: str) -> Callable[[str], str]:
    folder = home.rstrip("/\\")
    if not os.path.isabs(folder):  # there is none, or it is the root
        return lambda text: text
    # The whole path, not the middle of another, nor the beginning of a longer name.
    pattern = re.compile(rf"(?<![\w./\\-]){re.escape(folder)}(?!\.?[\w-])")
    return lambda text: pattern.sub("~", text)
