"""Find the index of a run, and its name in messages."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.config import UsageError
from zoo.index import local_index
from zoo.index.readers import FOLDER

# So many of many indexes are named.
_MOST_NAMED = 3


def index_here() -> Path:
    """The index of the working folder or of its project.

    Raises:
        UsageError: there is none. The index of this package would be another one than the user's.
    """
    found = local_index()
    if found is None:
        raise UsageError(
            f"no index here: {os.getcwd()} holds neither {FOLDER}/ nor {FOLDER}.yml, .yaml or .md; "
            "name one with --index PATH, or write --index package:zoo for the one that ships with "
            "zoo"
        )
    return found


def named(index: Sequence[Path]) -> str:
    """The index in a sentence, as it was named."""
    shown = ", ".join(map(str, index[:_MOST_NAMED]))
    left = len(index) - _MOST_NAMED
    return f"{shown} and {left} more" if left > 0 else shown


def index_options(index: Sequence[Path]) -> str:
    """The options that name this index again; none where it is the one that is found anyway."""
    if len(index) == 1 and index[0] == local_index():
        return ""
    return "".join(f" --index {shlex.quote(str(path))}" for path in index)
