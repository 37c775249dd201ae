"""Where a claim stands, for readers that start at the top of a repository."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from urllib.parse import quote

from harness.types import Finding, Report
from zoo.index.types import Location


def in_repository(file: str, folder: str) -> str:
    """A file named from the working folder, as named from the top of the repository.

    Args:
        file: the name; an absolute one stays as it is.
        folder: the working folder in the repository; empty where that is its top, or not known.
    """
    return posixpath.normpath(posixpath.join(folder, file))


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
