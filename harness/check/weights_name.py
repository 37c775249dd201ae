"""A weights file whose name is that of another variant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from posixpath import basename, splitext
from urllib.parse import unquote, urlsplit

from harness.check.base import IndexCheck, mismatched
from harness.types import Finding
from zoo.index.types import Index, Variant

# A hash at the end of a file's name, torch.hub's convention.
_HASH = re.compile(r"[-_][0-9a-f]{8,64}$")
_PIECE = re.compile(r"([a-z]*)(\d+)")


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One warning per variant whose file is named like a sibling, and not like itself.

    Names are free, so little is concluded from them. The file must say, behind a word of the
    variant's own name, another number (``resnest101`` for ``resnest200e``), and exactly that
    number must make it the name of another variant of the index.
    """
    called: dict[tuple[str, str], list[tuple[str, Variant]]] = {}
    for each in index.variants:
        name = _squeezed(each.name)
        for piece in _numbers(name).items():
            called.setdefault(piece, []).append((name, each))
    for variant in variants:
        claim = variant.claim("Weights")
        if claim is None or not isinstance(claim.value, str):
            continue
        file = _file_name(claim.value)
        stem = _squeezed(_HASH.sub("", splitext(file)[0].lower()))
        own = _squeezed(variant.name)
        if own in stem:
            continue
        said = _numbers(stem)
        conflict = next(
            (
                word
                for word, value in _numbers(own).items()
                if word and word in said and said[word] != value
            ),
            None,
        )
        if conflict is None:
            continue
        other = next(
            (
                v
                for name, v in called.get((conflict, said[conflict]), ())
                if v is not variant and _is_sibling(name, own, conflict, said[conflict])
            ),
            None,
        )
        if other is None:
            continue
        message = (
            f"the file {file} is named like {other.name}, not like this variant: write the URL of "
            "this variant's own checkpoint"
        )
        yield mismatched(claim, variant, "weights-name", "weights.name-mismatch", file, message)


def _file_name(url: str) -> str:
    return basename(unquote(urlsplit(url).path))


def _squeezed(name: str) -> str:
    """Letters and digits; two numbers stay two, so ``resnet18_8xb16`` is no ``resnet188``."""
    joined = re.sub(r"[^a-z0-9]+", "_", name.lower())
    return re.sub(r"(?<!\d)_|_(?!\d)", "", joined)


def _numbers(name: str) -> dict[str, str]:
    """Word -> the number behind it, the first of each word: ``resnest50`` -> {resnest: 50}."""
    found: dict[str, str] = {}
    for word, digits in _PIECE.findall(name):
        found.setdefault(word, digits)
    return found


def _is_sibling(name: str, own: str, word: str, value: str) -> bool:
    """Whether the names agree up to and with the word, and then have those two numbers."""
    head = own[: own.index(word) + len(word)]
    return name.startswith(head + value)


CHECK = IndexCheck("weights-name", "metadata", find)
