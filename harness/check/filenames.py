"""How well the name of a weights file fits the name of a variant."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from posixpath import basename, splitext
from urllib.parse import unquote, urlsplit

# A hash at the end of a file's name, torch.hub's convention.
_HASH = re.compile(r"[-_][0-9a-f]{8,64}$")
_PIECE = re.compile(r"[a-z]+[0-9]*|[0-9]+")
# So much of a name has to be in a file's name for the file to be called by it.
_WHOLE = 2 / 3
# A single letter of a name (``resnest101e``, ``efficientnet_b3a``) is often left out.
_LETTER = 0.25


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file's name fits a variant's.

    Attributes:
        missing: the weight of the words and numbers of the name that the file's lacks.
        matched: the weight of those that it has.
    """

    missing: float
    matched: float

    @property
    def score(self) -> float:
        """The greater, the better: a longer name that fits is better than a shorter one."""
        return self.matched - 2 * self.missing

    @property
    def whole(self) -> bool:
        """Whether nearly the whole name is in the file's."""
        return self.matched >= _WHOLE * (self.missing + self.matched) > 0


def file_name(url: str) -> str:
    """The last step of a URL's path, as the file is called."""
    return basename(unquote(urlsplit(url).path))


@lru_cache(maxsize=4096)
def stem(file: str) -> str:
    """A file's name without its ending and without the hash that it carries."""
    return _HASH.sub("", splitext(file)[0].lower())


def squeezed(name: str) -> str:
    """Letters and digits; two numbers stay two, so ``resnet18_8xb16`` is no ``resnet188``."""
    joined = re.sub(r"[^a-z0-9]+", "_", name.lower())
    return re.sub(r"(?<!\d)_|_(?!\d)", "", joined)


def fit(name: str, file: str) -> Fit:
    """How the words and numbers of a variant's name are met in a file's, in whatever order."""
    pieces, theirs = _pieces(name), _Words.of(stem(file))
    left = Counter(theirs.pieces)
    missing = matched = 0.0
    for i, piece in enumerate(pieces):
        is_letter = i > 0 and len(piece) == 1 and piece.isalpha()
        weight = _LETTER if is_letter else 1.0
        if left[piece]:
            left[piece] -= 1
            matched += weight
        elif not is_letter and theirs.has(piece):
            matched += weight
        else:
            missing += weight
    return Fit(missing, matched)


@lru_cache(maxsize=65536)
def _pieces(name: str) -> tuple[str, ...]:
    """A word with the number behind it is one piece: ``vit_base_p16`` -> vit, base, p16."""
    return tuple(_PIECE.findall(name.lower()))


@dataclass(frozen=True, slots=True)
class _Words:
    """A file's name in pieces, and as one word, since some write ``mobilenet_v2`` as one."""

    pieces: tuple[str, ...]
    joined: str

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(text: str) -> _Words:
        return _Words(_pieces(text), squeezed(text))

    def has(self, piece: str) -> bool:
        """Whether a piece is there, written together with its neighbours."""
        if piece.isdigit():  # ``384`` in ``ft384``; a short number is in too many
            ends = (re.sub(r"^[a-z]+", "", other) for other in self.pieces)
            return len(piece) > 2 and piece in ends
        if piece[-1].isdigit() and any(other.endswith(piece) for other in self.pieces):
            return True
        return len(piece) > 3 and re.search(re.escape(piece) + r"(?!\d)", self.joined) is not None
