"""Where packages are installed, and how an extra of this one is: from a clone or an index."""

from __future__ import annotations

import importlib.util
import json
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DISTRIBUTION = "model-zoo-verify"


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, found without importing it; None where there is none."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation, fit to be pasted into a shell.

    Pip records where a distribution came from (PEP 610). A clone is named as ``.`` where the
    working folder is that clone, so that what is written there is alike on every machine.
    """
    from urllib.request import url2pathname  # With http, of which most commands have no need.

    editable, origin = _origin()
    folder = Path(url2pathname(urlsplit(origin).path)) if origin.startswith("file:") else None
    if folder is None:
        wanted = f"{DISTRIBUTION}[{extra}]" + (f" @ {origin}" if origin else "")
    elif folder == Path.cwd():
        wanted = f".[{extra}]"
    elif folder.is_dir():
        wanted = f"{folder}[{extra}]"
    else:  # a wheel, or a folder that has gone
        wanted = f"{DISTRIBUTION}[{extra}] @ {origin}"
    return f"pip install {'-e ' if editable else ''}{shlex.quote(wanted)}"


@lru_cache(maxsize=1)
def _origin() -> tuple[bool, str]:
    """Whether the installation follows a folder, and the address that it was made from, or ""."""
    # It takes a while, and few commands name an extra.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution(DISTRIBUTION).read_text("direct_url.json")
        record: Any = json.loads(text or "{}")
        address = str(record.get("url", ""))
        version = record.get("vcs_info") or {}
        if version:
            address = f"{version['vcs']}+{address}@{version['commit_id']}"
        return bool((record.get("dir_info") or {}).get("editable")), address
    except (PackageNotFoundError, ValueError, KeyError, AttributeError, TypeError):
        return False, ""  # no record that can be read: the plain name
