"""Where an index is: in the working folder, at the top of its project, or in this package."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = "model-index"
# In the order in which they are looked for; the first that is there is the index.
NAMES = (FOLDER, "model-index.yml", "model-index.yaml", "model-index.md")
_TOP = "pyproject.toml"


def local_index() -> Path | None:
    """The index of the working folder, else of the project that it is in; None if neither has one.

    The top of the project is the nearest folder upwards that holds a pyproject.toml. The path is
    relative to the working folder.
    """
    here = Path.cwd()
    top = next((f for f in (here, *here.parents) if (f / _TOP).is_file()), here)
    for folder in dict.fromkeys((here, top)):
        for name in NAMES:
            path = folder / name
            if path.is_dir() if name == FOLDER else path.is_file():
                return Path(os.path.relpath(path, here))
    return None


def default_index() -> Path:
    """The index of the working folder or of its project if there is one, else the package's.

    For those who look a model up. Who judges an index takes `local_index` alone: the package's
    would stand for one that the user never wrote.
    """
    return local_index() or package_index()


def package_index() -> Path:
    """The index that ships with this package, as installed or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_index"
    return installed if installed.is_dir() else package.parent / "model-index"
