"""Distributions of other people, installed for a test as pip would leave them."""

from __future__ import annotations

import os
from pathlib import Path


def install(
    site: Path, entry: str, source: str, *, group: str = "zoo.builders", distribution: str = ""
) -> Path:
    """Install a distribution of one module, replacing the one of that name.

    Args:
        site: the folder that is a place of packages, made where it is missing.
        entry: its entry point, such as ``mine = my_builder:Kind``.
        source: the module's text.
        group: of the entry point.
        distribution: its name; the module's where it isn't given.

    Returns:
        The folder of its metadata.
    """
    module = entry.partition("=")[2].strip().partition(":")[0]
    name = distribution or module.replace("_", "-")
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (site / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    return info


def python_path(*folders: Path) -> str:
    """A PYTHONPATH of these folders, and of those that it has already."""
    return os.pathsep.join(filter(None, [*map(str, folders), os.environ.get("PYTHONPATH")]))
