"""Where a claim stands, for readers that start at the top of a repository."""

from __future__ import annotations

import posixpath
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


def nearest(finding: Finding, report: Report) -> Location | None:
    """Where the claim stands, else its variant, else the first variant: some readers insist."""
    own = [variant.location for variant in report.variants if variant.name == finding.variant]
    first = [variant.location for variant in report.variants[:1]]
    return next((place for place in (finding.location, *own, *first) if place is not None), None)
