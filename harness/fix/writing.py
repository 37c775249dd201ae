"""A file replaced at once: readers see the old text or the new one, whatever happens between."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress

from harness.fix.page import Refused
from harness.fix.proposal import Rewrite


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
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(real), prefix=".zoo-fix-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(rewrite.data)
                file.flush()
                os.fsync(file.fileno())
            _take_over(temporary, before)
            # Once more: writing may have taken its time.
            _check_unchanged(rewrite, real)
            os.replace(temporary, real)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror or error}") from error
    _sync_folder(os.path.dirname(real))


def _check_unchanged(rewrite: Rewrite, real: str) -> None:
    with open(real, "rb") as file:
        if file.read(len(rewrite.page.data) + 1) != rewrite.page.data:
            raise Refused(f"{rewrite.page.path} has changed since it was read")


def _take_over(path: str, before: os.stat_result) -> None:
    """Give a new file the owner and the permissions of the one that it replaces."""
    if hasattr(os, "chown"):
        # Only an administrator may give a file away; anybody else owns both.
        with suppress(PermissionError):
            os.chown(path, before.st_uid, before.st_gid)
    os.chmod(path, stat.S_IMODE(before.st_mode))


def _sync_folder(folder: str) -> None:
    """Make the new name last through a loss of power, where a folder can be opened for that."""
    with suppress(OSError):
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
