"""Replace several files that belong together: all of them, or none."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from errno import EISDIR
from pathlib import Path

from zoo._util.files import AtomicFile, replace_file


def replace_files(files: Mapping[Path, bytes], remove: Iterable[Path] = ()) -> None:
    """Replace the content of several files, and remove others: all of it, or nothing.

    Where the system can copy a process, a copy of this one does it: a kill of this one, or of its
    group, doesn't stop it halfway, and leaves no unfinished file behind.

    Args:
        files: what each is to hold; their folders are there.
        remove: what is not to be there afterwards; it may be gone already.

    Raises:
        OSError: a file can't be written or removed; all are as they were.
    """
    if not hasattr(os, "fork"):
        _replace_all(files, remove)
        return
    heard, told = os.pipe()
    with warnings.catch_warnings():
        # Threads of ours may run; the copy uses nothing that they could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            gc.disable()  # What is garbage here may end what the original still uses.
            os.setsid()
            _replace_all(files, remove)
            status = 0
        except OSError as error:
            os.write(told, f"{error.errno or 0} {error.strerror or error}".encode())
        finally:
            os._exit(status)
    os.close(told)
    with open(heard, "rb") as pipe:
        number, _, why = pipe.read().decode().partition(" ")
    if os.waitpid(child, 0)[1]:
        raise OSError(int(number or 0), why or "the process that wrote it was ended")


def _replace_all(files: Mapping[Path, bytes], remove: Iterable[Path]) -> None:
    remove = [path for path in remove if os.path.lexists(path)]
    for path in (*files, *remove):
        if path.is_dir():
            raise OSError(EISDIR, os.strerror(EISDIR))
    with ExitStack() as scratch:
        made = [scratch.enter_context(AtomicFile(path)) for path in files]
        for new, content in zip(made, files.values(), strict=True):
            new.file.write(content)
            new.settle()
        before = {new.path: new.path.read_bytes() if new.path.exists() else None for new in made}
        try:
            for new in made:
                new.publish()
        except OSError:
            for path, old in before.items():
                if old is None:
                    path.unlink(missing_ok=True)
                elif path.read_bytes() != old:
                    replace_file(path, old)
            raise
    for path in remove:
        path.unlink(missing_ok=True)
