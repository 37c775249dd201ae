"""The words that somebody may have meant who wrote another one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 80  # characters of a word that are compared


def nearest(word: str, words: Iterable[str], *, n: int = 3, cutoff: float = 0.6) -> list[str]:
    """Those of ``words`` that are closest to ``word``, best first; capitals make no difference.

    Args:
        word: what was written.
        words: what there is.
        n: how many at most.
        cutoff: how alike they have to be, 0 to 1.
    """
    known: dict[str, list[str]] = {}
    for each in words:
        known.setdefault(each.lower(), []).append(each)
    close = difflib.get_close_matches(word[:_LONGEST].lower(), known, n=n, cutoff=cutoff)
    return [each for folded in close for each in known[folded]][:n]


def is_slip(word: str, meant: str) -> bool:
    """Whether ``word`` can be a misspelt ``meant``: one wrong letter in a short word, two in a long
    one. Capitals, spaces, hyphens and underscores make no difference.
    """
    a, b = ("".join(c for c in text[:_LONGEST].lower() if c not in " _-") for text in (word, meant))
    allowed = 2 if min(len(a), len(b)) > 5 else 1
    return abs(len(a) - len(b)) <= allowed and _distance(a, b) <= allowed


def _distance(a: str, b: str) -> int:
    """How many letters are added, left out, replaced, or exchanged with their neighbours."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        row = [i]
        for j, other in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
