"""Where a claim stands, for readers that start at the top of a repository."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from urllib.parse import quote

from harness.report.options import Options
from harness.types import Finding, Report
from zoo.index.types import Location


def in_repository(file: str, options: Options) -> str:
    """A file named from the working folder, as named from the top of the repository.

    Args:
        file: the name; an absolute one stays as it is where it lies outside the repository.
        options: say where the repository's top is, and the working folder in it.
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
    """For readers that insist on a place: the claim's, else the variant's, else the first one's."""
    known = {v.name: v.location for v in reversed(report.variants) if v.location is not None}
    first = next((v.location for v in report.variants if v.location is not None), None)

    def locate(finding: Finding) -> Location | None:
        return finding.location or known.get(finding.variant or "", first)

    return locate
