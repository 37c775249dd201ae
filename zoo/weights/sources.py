"""Where a ``Weights:`` value points: one small class per kind of place, behind one interface.

Nothing here opens a connection, imports the package that a ``package://`` names, or reads more
of a local file than its directory entry.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import ipaddress
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from zoo._util.text import truncate
from zoo.weights import hub
from zoo.weights.types import (
    INSECURE,
    MISSING,
    NOT_INSTALLED,
    UNREACHABLE,
    UNREADABLE,
    UNSAFE,
    NotFetched,
)

# File systems allow 255 bytes; the rest is for the digest that tells equal names apart.
MAX_NAME_BYTES = 200
MAX_URL_CHARS = 4096
_SHOWN = 200

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NAME_HASH = re.compile(r"-([0-9a-f]{8,64})\.")
_DATE = re.compile(r"20\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_PORTS = {"https": 443, "http": 80}


class _Insecure(ValueError):
    """The URL is right, but the file can be changed on its way."""


class _NoServer(ValueError):
    """The value is right, but what the user has set names no server."""


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """A place that a checkpoint comes from.

    Attributes:
        url: as the index writes it.
        key: equal for two sources exactly if they are the same place.
        name: the file name, safe to use in the cache's folder.
    """

    url: str
    key: str
    name: str

    @property
    def record_key(self) -> str:
        """Stands for ``key`` in files: a query, which may be a secret, by its digest alone."""
        head, mark, query = self.key.partition("?")
        digest = hashlib.sha256(query.encode()).hexdigest()[:16]
        return f"{head}?{digest}" if mark else self.key


@dataclass(frozen=True, slots=True)
class HttpSource(WeightsSource):
    """A file on a server. ``key`` is the URL that is asked: no fragment, host in lower case.

    Attributes:
        allow_http: plain http to any host.
        hub: what it is on Hugging Face's Hub; None for a file of any other server.
    """

    allow_http: bool = False
    hub: hub.HubFile | None = None

    @property
    def fallback(self) -> HttpSource | None:
        """The next file that a repository's checkpoint may be, where the index names none."""
        if self.hub is None or self.hub.named or self.hub.path == hub.USUAL_FILES[-1]:
            return None
        path = hub.USUAL_FILES[hub.USUAL_FILES.index(self.hub.path) + 1]
        other = replace(self.hub, path=path)
        return replace(self, key=other.url, name=path, hub=other)


@dataclass(frozen=True, slots=True)
class LocalSource(WeightsSource):
    """A file of this machine; with a ``root``, one that must really lie inside that folder."""

    path: Path
    root: Path | None

    def find(self) -> Path | NotFetched:
        """The file, or why not: `weights.unsafe` where symlinks lead out of ``root``."""
        try:
            real = self.path.resolve(strict=True)
            if self.root is not None and not real.is_relative_to(self.root.resolve()):
                why = f"{self.path} leads out of {self.root}, to {real}"
                return NotFetched(UNSAFE, why, self.url)
            if not stat.S_ISREG(real.stat().st_mode):
                return NotFetched(UNREADABLE, f"{self.path} is not a regular file", self.url)
        except (FileNotFoundError, NotADirectoryError):
            return NotFetched(MISSING, f"there is no file {self.path}", self.url)
        except (OSError, RuntimeError) as error:  # RuntimeError: a symlink loop, before 3.13
            return NotFetched(UNREACHABLE, f"{self.path} can't be read: {error}", self.url)
        return real


@dataclass(frozen=True, slots=True)
class PackageSource(WeightsSource):
    """A file that an installed distribution ships. The package is never imported."""

    module: str
    inner: str

    def find(self) -> Path | NotFetched:
        """The file, or `weights.not-installed`, or `weights.missing` where it isn't shipped."""
        from importlib import metadata

        wanted = f"{self.module.replace('.', '/')}/{self.inner}"
        top = self.module.partition(".")[0]
        owners: Sequence[str] = ()
        # Most distributions are called as their module: all are searched only where that fails,
        # which takes longer than all else about a local file.
        for find in (_namesake, _owners):
            owners = find(top)
            for owner in owners:
                for file in metadata.files(owner) or []:
                    if file.as_posix() == wanted:
                        path = Path(str(file.locate()))
                        if path.is_file():
                            return path
                        why = f"{owner} lists {wanted}, but {path} is not a file; install it again"
                        return NotFetched(MISSING, why, self.url)
        if not owners:
            why = f"no installed distribution provides the module {self.module}"
            return NotFetched(NOT_INSTALLED, why, self.url)
        return NotFetched(MISSING, f"{', '.join(owners)} ships no {wanted}", self.url)


def _namesake(module: str) -> Sequence[str]:
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return [metadata.distribution(module).metadata["Name"]]
    return []


def _owners(module: str) -> Sequence[str]:
    return _distributions(tuple(sys.path)).get(module, [])


@functools.cache
def _distributions(_path: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    """The distributions of each module that can be imported from the current path."""
    from importlib import metadata

    return metadata.packages_distributions()


AnySource = HttpSource | LocalSource | PackageSource


def locate(
    url: str,
    *,
    index_dir: Path | None,
    allow_http: bool = False,
    allow_local: bool = False,
) -> AnySource | NotFetched:
    """The source that a ``Weights:`` value names.

    Args:
        url: ``https://``, ``http://``, ``hf-hub:ORG/NAME[@REV][/FILE]``, ``file://``,
            ``package://MODULE/path`` or a path.
        index_dir: the folder of the index file; relative paths start there.
        allow_http: plain http to any host, not only to this machine.
        allow_local: local files outside ``index_dir`` too.

    Returns:
        The source, or a `NotFetched` that says what is refused: `weights.insecure-url` for plain
        http, else, as a rule, `weights.unsafe`.
    """
    try:
        source = _parse(url, index_dir, allow_http, allow_local)
    except _Insecure as error:
        return NotFetched(INSECURE, str(error), url)
    except _NoServer as error:
        return NotFetched(UNREACHABLE, str(error), url)
    except UnicodeDecodeError:
        return NotFetched(UNSAFE, "its percent-encoding is not UTF-8", url)
    except ValueError as error:
        return NotFetched(UNSAFE, str(error), url[:MAX_URL_CHARS])
    if isinstance(source, LocalSource):
        found = source.find()
        if isinstance(found, NotFetched) and found.cause == UNSAFE:
            return found
    return source


def name_hash(filename: str) -> str | None:
    """The head of the SHA-256 that a file name carries: ``resnet50-19c8e357.pth`` -> ``19c8e357``.

    The convention is torch.hub's: lower-case hex digits between a hyphen and a dot. At least 8
    are asked for, because shorter runs are parts of names ("-300e."). Eight digits that are a date
    of this century are taken for one ("-20210528."): a hash reads like that once in 30,000 files.
    """
    match = _NAME_HASH.search(filename)
    return match[1] if match and not _DATE.fullmatch(match[1]) else None


def file_name(url: str) -> str:
    """The last step of a URL's path, as the file is called; empty for what is no URL."""
    with contextlib.suppress(ValueError):
        return unquote(urlsplit(url).path).rpartition("/")[2]
    return ""


def shown_url(url: str) -> str:
    """A URL as a message or a record may hold it: no user, password, query or fragment."""
    head = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, slashes, rest = head.partition("//")
    host, slash, path = rest.partition("/")
    return truncate(f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}", _SHOWN)


def is_loopback(host: str | None) -> bool:
    """The host is this machine: ``localhost`` or a loopback address."""
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refused_name(name: str) -> str | None:
    """Why this file name can't be used in the cache, or None if it can."""
    if name in {"", ".", ".."}:
        return "its path ends in no file name"
    if "/" in name or "\\" in name:
        return f"the file name {name!r} holds a path separator"
    if any(_is_control(character) for character in name):
        return f"the file name {name!r} holds a control character"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"the file name has more than {MAX_NAME_BYTES} bytes"
    return None


def _is_control(character: str) -> bool:
    """Controls, invisible format characters (they reorder text on a screen) and surrogates."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _check_name(name: str) -> None:
    why = refused_name(name)
    if why is not None:
        raise ValueError(why)


def _parse(url: str, index_dir: Path | None, allow_http: bool, allow_local: bool) -> AnySource:
    """The source; a ValueError says why there is none."""
    if not url or len(url) > MAX_URL_CHARS:
        raise ValueError(f"a URL has 1 to {MAX_URL_CHARS} characters, not {len(url)}")
    if any(character.isspace() or _is_control(character) for character in url):
        raise ValueError(f"a URL has no blanks or control characters: {shown_url(url)!r}")
    on_hub = hub.short(url)
    if on_hub is not None:
        for step in on_hub.path.split("/"):
            _check_name(step)
        if not re.match("https?://[^/]", on_hub.endpoint):
            raise _NoServer(f"HF_ENDPOINT is {on_hub.endpoint[:80]!r}, which is not an https URL")
        return replace(_parse_http(on_hub.url, allow_http), url=url, hub=on_hub)
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _parse_path(url, unquote(url, errors="strict"), index_dir, allow_local)
    match scheme[1].lower():
        case "https" | "http":
            return _parse_http(url, allow_http)
        case "file":
            parts = urlsplit(url)
            if parts.netloc not in {"", "localhost"}:
                raise ValueError(f"file: names another host, {parts.netloc.rpartition('@')[2]}")
            return _parse_path(url, unquote(parts.path, errors="strict"), index_dir, allow_local)
        case "package":
            return _parse_package(url)
    raise ValueError(f"{scheme[1]}: is not fetched; use https, hf-hub, file, package or a path")


def _parse_http(url: str, allow_http: bool) -> HttpSource:
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if not host:
        raise ValueError("it names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it carries a user name or password")
    name = unquote(parts.path.rpartition("/")[2], errors="strict")
    _check_name(name)
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise _Insecure("plain http can be changed on its way; use https, or --allow-http")
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if port in {None, _PORTS[parts.scheme]} else f"{shown}:{port}"
    key = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
    return HttpSource(url, key, name, allow_http, hub.of_url(key))


def _parse_path(url: str, text: str, index_dir: Path | None, allow_local: bool) -> LocalSource:
    _check_name(text.rpartition("/")[2])
    if "\\" in text or any(_is_control(character) for character in text):
        raise ValueError(f"the path {text!r} holds a backslash or a control character")
    if index_dir is None and not (allow_local and text.startswith("/")):
        raise ValueError("a local file needs an index's folder, or --allow-local and a full path")
    path = Path(os.path.abspath((index_dir or Path()) / text))
    root = None if allow_local else index_dir
    if root is not None and not path.is_relative_to(os.path.abspath(root)):
        raise ValueError(f"{path} is outside {root}, the index's own folder; see --allow-local")
    return LocalSource(url, path.as_uri(), path.name, path, root)


def _parse_package(url: str) -> PackageSource:
    module, _, inner = unquote(url.partition("//")[2], errors="strict").partition("/")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{module!r} is not the name of a module; write package://MODULE/path")
    steps = inner.split("/")
    for step in steps:
        _check_name(step)
    return PackageSource(url, f"package://{module}/{inner}", steps[-1], module, inner)
