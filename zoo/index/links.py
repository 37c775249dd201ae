"""What may stand where a link or the place of a checkpoint is expected. Nothing is fetched here."""

from __future__ import annotations

import re

_MAX_LINK = 4096
_UNSAFE = re.compile(r"[^\x21-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\"<>\\^`{|}\xa0\u2028-\u202f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HTTP = re.compile(
    r"(?i:https?)://(?:[^/?#@\s]+@)?(?:\[[0-9A-Fa-f:.]+\]|[^/?#@:\s\[\]]+)(?::[0-9]{1,5})?(?:[/?#].*)?"
)
_PACKAGE = re.compile(r"(?i:package)://[A-Za-z_][\w.]*(?:/[^/?#]+)+")
_FILE = re.compile(r"(?i:file)://(?:localhost)?/[^?#]+")
_RELATIVE = re.compile(r"(?:[^/:?#]+/)*[^/:?#]+\.[A-Za-z][A-Za-z0-9]{0,15}")


class LinkError(ValueError):
    """The text is no such link; the message says why, in a few words."""


def check_link(text: str) -> None:
    """Accept an http or https URL.

    Raises:
        LinkError: anything else.
    """
    _check_characters(text)
    if not _HTTP.fullmatch(text):
        raise LinkError(f"is not an http or https URL{_scheme_of(text)}")


def check_weights(text: str) -> None:
    """Accept an http, https, file or package URL, or the relative path of a file.

    Raises:
        LinkError: anything else.
    """
    _check_characters(text)
    if not any(form.fullmatch(text) for form in (_HTTP, _PACKAGE, _FILE, _RELATIVE)):
        raise LinkError(
            "is not an http, https, file or package URL, nor the relative path of a file"
            + _scheme_of(text)
        )


def _check_characters(text: str) -> None:
    if len(text) > _MAX_LINK:
        raise LinkError(f"is longer than {_MAX_LINK:,} characters")
    if _UNSAFE.search(text):
        raise LinkError("holds a space or another character that no URL has")


def _scheme_of(text: str) -> str:
    scheme = _SCHEME.match(text)
    return f" (its scheme is {scheme[1][:20]})" if scheme else ""
