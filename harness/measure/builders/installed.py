"""The files of an installed library, found and read without importing it.

Importing a library of models imports torch, which takes seconds; its names stand in its text.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from harness.measure.builders.interface import BuilderError


def version_of(distribution: str, advice: str) -> str:
    """The version of a distribution.

    Raises:
        BuilderError: it is not installed; the message ends in the advice.
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise BuilderError(f"{distribution} is not installed; {advice}") from None


def texts(package: str, folder: str) -> Iterator[str]:
    """The text of each module in one folder of a package, subfolders left out."""
    spec = find_spec(package)  # finds the place of a top-level package, and imports nothing
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        for path in sorted(Path(place, folder).glob("*.py")):
            yield path.read_text(encoding="utf-8")
