"""Files of `zoo validate --predictions`: what a variant answered, image by image."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO, StringIO
from typing import Any

from zoo._util.install import install_command


class NoReader(Exception):
    """What would be needed to read the file is not installed; the message says what to do."""


def answers_name(words: str) -> str:
    """What the name of a variant's file begins with."""
    return re.sub(r"[^\w.+-]", "_", words)


def read_answers(suffix: str, data: bytes) -> Mapping[str, Sequence[Any]]:
    """The columns of such a file.

    Args:
        suffix: of its name, ``.parquet`` for one that is no CSV.
        data: its content.

    Raises:
        ValueError, csv.Error: it can't be read, or has no images.
        NoReader: pyarrow is missing.
    """
    if suffix != ".parquet":
        rows = list(csv.DictReader(StringIO(data.decode("utf-8"), newline="")))
        if not rows:
            raise ValueError("it has no images")
        return {name: [row[name] for row in rows] for name in rows[0]}
    if find_spec("pyarrow") is None:
        raise NoReader(f"pyarrow is not installed; {install_command('parquet')}")
    from pyarrow import ArrowException, parquet

    try:
        found: Mapping[str, Sequence[Any]] = parquet.read_table(BytesIO(data)).to_pydict()
    except ArrowException as error:
        raise ValueError(" ".join(str(error).split())) from error
    return found
