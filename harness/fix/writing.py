"""Puts a proposed text in the place of a file that nobody else has changed meanwhile."""

from __future__ import annotations

import os

from harness.fix.page import Refused
from harness.fix.proposal import Rewrite
from zoo._util.files import replace_file


def write(rewrite: Rewrite) -> None:
    """Put a file's new text in its place; a link stays a link, permissions stay as they are.

    Raises:
        Refused: the file changed since it was read, or can't be written; it is left as it is.
    """
    path = rewrite.page.path
    real = os.path.realpath(path)
    try:
        before = os.stat(real)
        # Its owner may replace a file that is write-protected; the protection says not to.
        if not before.st_mode & 0o222 or not os.access(real, os.W_OK):
            raise Refused(f"{path} is read-only")
        _check_unchanged(rewrite, real)
        # Once more right before the end: writing may have taken its time.
        replace_file(real, rewrite.data, lambda: _check_unchanged(rewrite, real))
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror or error}") from error


def _check_unchanged(rewrite: Rewrite, real: str) -> None:
    with open(real, "rb") as file:
        if file.read(len(rewrite.page.data) + 1) != rewrite.page.data:
            raise Refused(f"{rewrite.page.path} has changed since it was read")
