"""Hugging Face's Hub as a place of checkpoints: names, tokens, its cache, and its refusals.

Requests are made by `zoo.weights.http`, as to any server. huggingface_hub (extra ``hub``) is asked
for what the user has set up with it: a token, and files in its cache. Without it public
repositories are reached all the same.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from zoo._util.install import install_command
from zoo._util.text import FOREIGN, truncate
from zoo.weights.types import MISSING, UNREACHABLE

# What a repository's checkpoint is called where none is named, in the order of timm.
USUAL_FILES = ("model.safetensors", "pytorch_model.bin")
_ENDPOINT = "https://huggingface.co"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_SHORT = re.compile(rf"hf[-_]hub:(?://)?({_NAME}/{_NAME})(?:@([^/@]+))?(?:/(.+))?")
_PAGE = re.compile(rf"/({_NAME}/{_NAME})/resolve/([^/]+)/(.+)")
_SHOWN = re.compile(
    rf"/((?:(?:datasets|spaces)/)?{_NAME}/{_NAME})(?:/(blob|tree)/([^/]+)(?:/(.+))?)?/?"
)
_NO_OWNERS = frozenset({"docs", "papers", "blog", "collections", "learn", "posts"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository on the Hub.

    Attributes:
        repo: ``ORG/NAME``.
        revision: a branch, a tag or a commit, as the index writes it; ``main`` where it says none.
        path: of the file in the repository.
        named: the index names the file; else it is one of `USUAL_FILES`.
        endpoint: the server, without a slash at its end.
    """

    repo: str
    revision: str
    path: str
    named: bool
    endpoint: str

    @property
    def url(self) -> str:
        """Where the file is asked for."""
        revision = quote(self.revision, safe="")
        return f"{self.endpoint}/{self.repo}/resolve/{revision}/{quote(self.path)}"

    @property
    def moves(self) -> bool:
        """The revision may stand for another commit tomorrow."""
        return _COMMIT.fullmatch(self.revision) is None

    def is_at(self, url: str) -> bool:
        """The URL is one of the Hub's own host, which may see the user's token."""
        own, other = urlsplit(self.endpoint), urlsplit(url)
        return (own.scheme, own.netloc) == (other.scheme, other.netloc)

    def authorization(self, url: str) -> dict[str, str]:
        """The header that opens gated repositories; for the Hub's own host alone.

        Raises:
            PermanentError: the user's token can be no token.
        """
        token = _token() if self.is_at(url) else None
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            from zoo.weights.retry import PermanentError

            why = "the token of HF_TOKEN or of the login holds characters that no token has"
            raise PermanentError(UNREACHABLE, why)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def cached(self) -> Path | None:
        """The file in huggingface_hub's cache, None where it isn't there."""
        if not installed():
            return None
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repo, self.path, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def refusal(self, status: int, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """The cause and the reason of an answer that is no file, None where it says nothing."""
        code = headers.get("X-Error-Code", "")
        files = self.path if self.named else " or ".join(USUAL_FILES)
        refused = truncate(headers.get("X-Error-Message", ""), FOREIGN)
        # Without a token the Hub answers 401 for what is private and for what isn't there, so that
        # nobody can probe for names.
        answers = {
            (404, "EntryNotFound"): f"{self.repo} has no {files} at revision {self.revision}",
            (404, "RevisionNotFound"): f"{self.repo} has no revision {self.revision}",
            (404, "RepoNotFound"): f"there is no repository {self.repo} that the token may see",
        }
        if (status, code) in answers:
            return MISSING, answers[status, code]
        why = None
        if code == "GatedRepo":
            why = f"{self.repo} is gated: accept its terms on its page, and {_how_to_log_in()}"
        elif status == 401:
            why = f"{self.repo} is private, or there is no such repository: {_how_to_log_in()}"
        elif status == 403:
            why = f"the Hub refuses {self.repo}: {refused or 'the token may not read it'}"
        return None if why is None else (UNREACHABLE, why)


def endpoint() -> str:
    """The Hub's address: ``HF_ENDPOINT``, or huggingface.co."""
    return (os.getenv("HF_ENDPOINT") or _ENDPOINT).rstrip("/")


def offline() -> bool:
    """Whether the user has set ``HF_HUB_OFFLINE`` (as huggingface_hub reads it)."""
    return os.getenv("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def installed() -> bool:
    """Whether huggingface_hub can be imported."""
    return importlib.util.find_spec("huggingface_hub") is not None


def short(text: str) -> HubFile | None:
    """The file that ``hf-hub:ORG/NAME[@REV][/FILE]`` names; None for a text of another form.

    Raises:
        ValueError: it begins with ``hf-hub:`` and is not of that form.
    """
    if not text.lower().startswith(("hf-hub:", "hf_hub:")):
        return None
    match = _SHORT.fullmatch(text)
    if match is None or ".." in match[1] or match[2] in (".", ".."):
        raise ValueError("write hf-hub:ORG/NAME, hf-hub:ORG/NAME@REVISION or .../FILE behind it")
    repo, revision, path = match.groups()
    file = unquote(path or USUAL_FILES[0], errors="strict")
    if {"", ".", ".."} & {*file.split("/")}:
        raise ValueError(f"{file!r} is no path of a file in a repository")
    named = unquote(revision or "main", errors="strict")
    return HubFile(repo, named, file, path is not None, endpoint())


def of_url(url: str) -> HubFile | None:
    """The file that a URL of the Hub's own host names, None for any other URL."""
    own, parts = urlsplit(endpoint()), urlsplit(url)
    match = _PAGE.fullmatch(parts.path)
    if match is None or (own.scheme, own.netloc) != (parts.scheme, parts.netloc):
        return None
    repo, revision, path = match.groups()
    return HubFile(repo, unquote(revision), unquote(path), True, endpoint())


def page(text: str) -> str | None:
    """The page of the repository that ``hf-hub:`` names, as a browser opens it; None for others."""
    match = _SHORT.fullmatch(text)
    return f"{_ENDPOINT}/{match[1]}" if match is not None else None


def file_of_page(url: str) -> str | None:
    """What to write for the file that a page of the Hub shows; None for a URL of anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    match = _SHOWN.fullmatch(parts.path)
    if match is None or parts.netloc not in {
        "huggingface.co",
        "hf.co",
        urlsplit(endpoint()).netloc,
    }:
        return None
    repo, kind, revision, path = match.groups()
    if kind == "blob" and path:
        return f"{parts.scheme}://{parts.netloc}/{repo}/resolve/{revision}/{path}"
    if repo.partition("/")[0] in {*_NO_OWNERS, "datasets", "spaces"} or kind == "blob" or path:
        return None
    return f"hf-hub:{repo}{f'@{revision}' if revision else ''}"


def of_repository(name: str) -> str:
    """A repository's name, as ``Hub`` has it, as a ``Weights`` value."""
    return name if name.lower().startswith(("hf-hub:", "hf_hub:")) else f"hf-hub:{name}"


def address(text: str) -> str:
    """A ``Weights`` value as the URL that it stands for: one text for one file and revision."""
    try:
        file = short(text) or of_url(text)
    except ValueError:
        return text
    return text if file is None else file.url


def repo_of(text: str) -> str | None:
    """``ORG/NAME`` of a ``Weights`` value on the Hub, None for any other."""
    match = _SHORT.fullmatch(text) or _PAGE.fullmatch(urlsplit(text).path)
    return None if match is None else match[1]


def pinned(text: str, commit: str) -> str | None:
    """A ``Weights`` value with the commit in place of its revision; None where it has no place."""
    match = _SHORT.fullmatch(text)
    if match is not None:
        repo, _, path = match.groups()
        return f"hf-hub:{repo}@{commit}{f'/{path}' if path else ''}"
    page = _PAGE.fullmatch(urlsplit(text).path)
    if page is None:
        return None
    repo, revision, path = page.groups()
    return text.replace(f"/{repo}/resolve/{revision}/", f"/{repo}/resolve/{commit}/", 1)


def sha256_of(tag: str | None) -> str | None:
    """The SHA-256 that an ``X-Linked-Etag`` is, for files that the Hub keeps by their content."""
    digits = (tag or "").strip().removeprefix("W/").strip('"')
    return digits if _SHA256.fullmatch(digits) else None


def commit_of(text: str | None) -> str | None:
    """The commit that ``X-Repo-Commit`` names, None where it is none."""
    return text if text and _COMMIT.fullmatch(text) else None


def _token() -> str | None:
    if not installed():
        return os.getenv("HF_TOKEN") or None
    from huggingface_hub import get_token

    return get_token()


def _how_to_log_in() -> str:
    if _token():
        return "check that your token may read it"
    if installed():
        return "set HF_TOKEN, or log in with hf auth login"
    return f"set HF_TOKEN, or {install_command('hub')} and log in with hf auth login"
