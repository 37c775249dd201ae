"""The addresses of an index's lines in the repository that it is in.

The branch is ``HEAD``, which the hosts resolve: a report that is committed does not change with
each commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from urllib.parse import quote, urlsplit

from harness.report import Options
from harness.report.sentences import in_repository
from zoo._util.git import ask_git

# Of a file as the index names it: the address of its lines, with ``{line}`` in it.
Linker = Callable[[str], str | None]

_SCP = re.compile(r"(?:[\w.+-]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//)/?(.+)")
# By a part of the host's name: what follows the repository's own address.
_HOSTS = {
    "github": "blob/HEAD/{path}#L{line}",
    "gitlab": "-/blob/HEAD/{path}#L{line}",
    "bitbucket": "src/HEAD/{path}#lines-{line}",
    "huggingface": "blob/main/{path}#L{line}",
    "sr.ht": "tree/HEAD/item/{path}#L{line}",
}


def no_link(_: str) -> None:
    """Of a report whose repository is not known."""


def linker(address: str | None) -> Linker:
    """The addresses of files in the working folder's repository; None for any other file.

    Args:
        address: of ``--source-url``, as `template` takes it; None for what git's remote says.
    """
    top = _git("rev-parse", "--show-toplevel") or ""
    remote = None if address or not top else _git("remote", "get-url", "origin")
    pattern = template(address) if address else repository(remote) if remote else None
    here = os.path.realpath(os.curdir)
    top = os.path.realpath(top or here)
    if pattern is None:
        return no_link
    folder = os.path.relpath(here, top).replace(os.sep, "/")
    options = Options(top=top, folder=folder)

    @cache
    def link(file: str) -> str | None:
        within = in_repository(file, options)
        if within.startswith(("/", "..")) or not os.path.isfile(file):
            return None
        path = quote(within.encode("utf-8", "surrogatepass"), safe="/")
        return pattern.replace("{path}", path)

    return link


def commit(beside: str) -> str | None:
    """What is checked out in the working folder, with ``+`` where tracked files were changed.

    A runner that hides the repository says it in a variable. None where nothing does.

    Args:
        beside: a folder whose own files don't count: that of the report.
    """
    head = _git("rev-parse", "--verify", "HEAD")
    if head is None:
        return os.environ.get("GITHUB_SHA") or os.environ.get("CI_COMMIT_SHA") or None
    top = _git("rev-parse", "--show-toplevel") or os.curdir
    own = os.path.relpath(os.path.realpath(beside), os.path.realpath(top))
    without = [] if own.startswith("..") or own == "." else [f":(exclude,literal){own}"]
    words = ("status", "--porcelain", "--untracked-files=no", "--", ".", *without)
    return head + "+" * bool(ask_git(*words, folder=top))


def template(address: str) -> str:
    """An address with ``{path}`` and ``{line}`` in it, of one that a user wrote.

    Args:
        address: such a pattern, a repository on a known host, or the folder of its files.

    Raises:
        ValueError: it is no address that a page may lead to; says what would be right.
    """
    parts = _parts(address)
    if parts is None:
        raise ValueError(
            f"{address!r} is not the address of a repository; write one such as "
            "https://github.com/owner/name, or a pattern with {path} and {line} in it"
        )
    if "{path}" in address:
        return parts
    is_repository = len(urlsplit(parts).path.strip("/").split("/")) == 2
    known = repository(parts) if is_repository else None
    return known or f"{parts.rstrip('/')}/{{path}}#L{{line}}"


def web_address(address: str) -> str:
    """An address that a card may lead to, of one that a user wrote.

    Raises:
        ValueError: it is none; says what would be right.
    """
    found = _parts(address)
    if found is None:
        raise ValueError(
            f"{address!r} is no address of a page; write one such as https://host/path"
        )
    return found


def repository(remote: str) -> str | None:
    """The pattern of a remote of git, whose host is known; None for any other."""
    copied = _SCP.fullmatch(remote)
    if copied and "://" not in remote:
        remote = f"https://{copied[1]}/{copied[2]}"
    remote = re.sub(r"^(?:git\+)?(?:ssh|git)://(.*?)(?::\d+)?(?=/|$)", r"https://\1", remote)
    parts = _parts(remote)
    if parts is None:
        return None
    host = urlsplit(parts).hostname or ""
    tail = next((tail for name, tail in _HOSTS.items() if name in host), None)
    return tail and f"{re.sub(r'(?:[.]git)?/*$', '', parts)}/{tail}"


def _parts(address: str) -> str | None:
    """The address without a user, a password and what hides; None where it leads nowhere safe."""
    if not address.isprintable() or re.search(r"[\s\"'<>\\`]", address):
        return None
    try:
        found = urlsplit(address)
        host, port = found.hostname, found.port
    except ValueError:
        return None
    if found.scheme not in ("http", "https") or not host:
        return None
    end = f"?{found.query}" * bool(found.query) + f"#{found.fragment}" * bool(found.fragment)
    return f"{found.scheme}://{host}{f':{port}' if port else ''}{found.path}{end}"


def _git(*words: str) -> str | None:
    """What git says in the working folder; None where there is no git, or no repository."""
    return os.fsdecode(ask_git(*words) or b"").strip() or None
