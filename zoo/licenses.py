"""What a ``License`` says: an SPDX expression, by its id, by a usual name, or by its address.

The ids of SPDX are those of `packaging`; those of the Hub that SPDX doesn't have, and licenses that
a model has for its own, are ``LicenseRef-...``, as SPDX writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

# Ids of the Hub (docs/hub/repositories-licenses.md of its documentation) that name a family of
# licenses, or none: nothing contradicts them.
_FAMILIES = frozenset({
    "openrail", "bsd", "cc", "gfdl", "gpl", "lgpl", "odc-by", "odbl", "pddl", "other",
})  # fmt: skip
# Those that are a license of their own and not in SPDX's list.
_OF_THE_HUB = frozenset({
    "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m", "openrail++", "c-uda", "cdla-permissive-1.0", "cdla-permissive-2.0",
    "cdla-sharing-1.0", "etalab-2.0", "lgpl-lr", "deepfloyd-if-license", "llama2", "llama3",
    "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "grok2-community", "apple-ascl",
    "apple-amlr", "h-research", "intel-research", "open-mdw", "openmdw-1.0", "dinov3-license",
    "fair-noncommercial-research-license",
})  # fmt: skip
# ``dinov3-license``, ``fair-noncommercial-research-license``, ``qwen-community-1.0``.
_OF_ITS_OWN = re.compile(
    r"[a-z0-9][a-z0-9.+]*(?:-[a-z0-9.+]+)*-(?:licen[sc]e|community)(?:-v?[\d.]+)?"
)
_LLAMA = re.compile(r"llama-?([\d.]+)-community(?:-license)?(?:-agreement)?")
_NONE = frozenset({
    "unknown", "none", "null", "n/a", "na", "-", "--", "?", "tbd", "tba", "todo", "not available",
    "not stated", "noassertion", "unspecified", "not specified", "unlicensed", "no license",
})  # fmt: skip
_REFERENCE = "licenseref-"
_MOST = 300  # characters of a name; what is longer is a license's text
_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:(?:opensource\.org|spdx\.org|choosealicense\.com|apache\.org|gnu\.org)"
    r"/licenses?/(?:old-licenses/)?(?P<id>[^?#]+?)(?:\.[a-z]{2}(?:-[a-z]{2})?(?=\.html))?"
    r"|creativecommons\.org/licenses/(?P<cc>[a-z-]+/[0-9.]+)[^?#]*"
    r"|creativecommons\.org/publicdomain/(?P<zero>zero)/1\.0[^?#]*)(?:\.html|\.txt|\.php)?/?",
    re.I,
)
# Words of a full name -> those of its id, in this order.
_PHRASES: tuple[tuple[str, str], ...] = (
    (r"\([^()]*\)", " "),
    (r"\blicen[cs]e[ds]?\b", " "),
    (r"\bcreative commons\b", "cc"),
    (r"\bzero\b", "0"),
    (r"\battribution\b", "by"),
    (r"\bnon[- ]?commercial\b", "nc"),
    (r"\bshare[- ]?alike\b", "sa"),
    (r"\bno[- ]?deriv(?:ative)?s?(?: works)?\b", "nd"),
    (r"^(cc\b.*) public(?= *$)", r"\1"),
    (r"\bgnu (?=[al]?gpl)", ""),
    (r"\bgnu affero general public\b|\baffero general public\b|\bgnu agpl\b", "agpl"),
    (r"\bgnu lesser general public\b|\blesser general public\b|\bgnu lgpl\b", "lgpl"),
    (r"\bgnu general public\b|\bgnu gpl\b", "gpl"),
    (r"\bmozilla public\b", "mpl"),
    (r"\beclipse public\b", "epl"),
    (r"\bboost software\b|\bboost\b", "bsl"),
    (r"\bapache software\b|\basl\b", "apache"),
    (r"\bacademic free\b", "afl"),
    (r"\b(?:sil )?open font\b", "ofl"),
    (r"\beuropean union public\b", "eupl"),
    (r"\bor (?:any )?later\b|\+", "-or-later"),
    (
        r"\b(?:the|version|v|unported|international|generic|software|universal"
        r"|public domain)\b",
        " ",
    ),
    (r"\bv\.?(?=\d)|(?<=[a-z])v(?=\d)", " "),
)
# Names that no rule gives, by the words that are left of them.
_NAMES: Mapping[str, str] = {
    "bsd-3": "bsd-3-clause", "3-clause-bsd": "bsd-3-clause", "new-bsd": "bsd-3-clause",
    "modified-bsd": "bsd-3-clause", "revised-bsd": "bsd-3-clause", "bsd-new": "bsd-3-clause",
    "bsd-3-clause-new-or-revised": "bsd-3-clause", "bsd-2": "bsd-2-clause",
    "bsd-three-clause": "bsd-3-clause", "bsd-two-clause": "bsd-2-clause",
    "2-clause-bsd": "bsd-2-clause", "simplified-bsd": "bsd-2-clause",
    "bsd-2-clause-simplified": "bsd-2-clause", "cc-0": "cc0-1.0", "cc-0-1.0": "cc0-1.0",
    "expat": "mit", "expat-mit": "mit", "mit-expat": "mit", "mit-no-by": "mit-0",
    "al-2": "apache-2.0", "mulan-psl-2": "mulanpsl-2.0",
    "do-what-the-fuck-you-want-to-public": "wtfpl",
}  # fmt: skip
_WORD = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class License:
    """A license that is known.

    Attributes:
        expression: as SPDX writes it; None for a family, of which it is unclear which one is meant.
        ids: the licenses in it, in lower case.
    """

    expression: str | None
    ids: frozenset[str] = frozenset()

    def contradicts(self, other: License) -> bool:
        """Whether no license is in both; a family contradicts nothing.

        Nor does a name that a zoo coined contradict another one that SPDX does not have.
        """
        if not (self.ids and other.ids) or self.ids & other.ids:
            return False
        named = [[i for i in each.ids if i.startswith(_REFERENCE)] for each in (self, other)]
        return not (all(named) and any(map(_is_coined, (*named[0], *named[1]))))


def _is_coined(id: str) -> bool:
    """Whether it is no id of the Hub, and no name in the form that the Hub's cards have."""
    name = id.removeprefix(_REFERENCE).replace("-plus-plus", "++")
    return name not in _OF_THE_HUB and not _OF_ITS_OWN.fullmatch(name)


FAMILY = License(None)


def states_none(text: str) -> bool:
    """Whether a text stands where a license would, and says that there is none, or none known."""
    return not text.strip() or text.strip().lower() in _NONE


@lru_cache(maxsize=256)
def read_license(text: str) -> License | None:
    """The license that a text names; None where it is none that is known.

    Common spellings are understood: ``Apache License, Version 2.0``, ``GPLv3``, ``CC BY-NC 4.0``.
    Several may be named: ``MIT or Apache 2.0``, ``Apache-2.0, CC-BY-4.0``.
    """
    text = " ".join(text.split())
    if len(text) > _MOST:
        return None
    one = _one(text)
    if one is not None:
        return one
    for pattern, word in ((r"/| or (?!(?:any )?later)", "OR"), (r",|;|&| and ", "AND")):
        parts = [part for part in re.split(pattern, text, flags=re.I) if part.strip()]
        if len(parts) > 1:
            found = [_one(part.strip()) for part in parts]
            known = [each for each in found if each is not None]
            if len(known) < len(found):
                continue
            if any(each.expression is None for each in known):
                return FAMILY
            expression = f" {word} ".join(dict.fromkeys(str(each.expression) for each in known))
            return License(expression, frozenset().union(*(each.ids for each in known)))
    return None


def expression_of(text: str | None) -> str | None:
    """What a text names as SPDX writes it; None where that is not one license."""
    license = read_license(text) if text else None
    return None if license is None else license.expression


def both(texts: Iterable[str]) -> License | None:
    """The licenses that several texts name, together; None where one of them is not known."""
    found = [read_license(text) for text in texts]
    known = [each for each in found if each is not None]
    if not found or len(known) < len(found):
        return None
    if len(known) == 1 or any(each.expression is None for each in known):
        return known[0] if len(known) == 1 else FAMILY
    expression = " AND ".join(dict.fromkeys(str(each.expression) for each in known))
    return License(expression, frozenset().union(*(each.ids for each in known)))


def _one(text: str) -> License | None:
    """One license, or an expression as SPDX writes it."""
    written = _spdx(text)
    if written is not None:
        return License(written, frozenset(_ids(written)))
    low = text.lower()
    if low in _FAMILIES:
        return FAMILY
    joined = _LLAMA.sub(r"llama\1", re.sub(r"[\s_]+", "-", low))
    if joined in _OF_THE_HUB or _OF_ITS_OWN.fullmatch(low):
        reference = f"LicenseRef-{joined.replace('++', '-plus-plus')}"
        return License(reference, frozenset({reference.lower()}))
    for key in (joined, *_keys(low)):
        found = _spdx(_NAMES.get(key, key))
        if found is not None:
            return License(found, frozenset(_ids(found)))
    return FAMILY if any(key in _FAMILIES or key == "cc-by" for key in _keys(low)) else None


def _keys(low: str) -> Iterator[str]:
    """What the name may be looked up by."""
    address = _ADDRESS.fullmatch(low)
    if address is not None:
        low = address["id"] or (f"cc-{address['cc']}" if address["cc"] else "cc0-1.0")
        low = low.replace("/", "-").removeprefix("license-")
        low = f"apache-{low}" if low[0].isdigit() else low
    for pattern, word in _PHRASES:
        low = re.sub(pattern, word, low)
    words = _WORD.findall(low)
    words = [word for at, word in enumerate(words) if at == 0 or word != words[at - 1]]
    key = "-".join(words)
    yield key
    if words and words[-1].isdigit():
        yield f"{key}.0"
    if "or-later" in key:
        yield re.sub(r"(\d+)-or-later", r"\1.0-or-later", key)


def _spdx(text: str) -> str | None:
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        # One of another document of SPDX, which `packaging` does not read, is a reference as well.
        plain = re.sub(r"\bDocumentRef-[\w.-]+:(?=LicenseRef-)", "", text)
        return str(canonicalize_license_expression(plain))
    except InvalidLicenseExpression:
        return None


def _ids(expression: str) -> Iterator[str]:
    """The licenses in an expression; ``-only``, ``-or-later`` and ``+`` are of the same one."""
    text = re.sub(r" WITH \S+", "", expression)
    for each in re.findall(r"[^\s()]+", text):
        if each not in ("AND", "OR"):
            yield re.sub(r"(?:-only|-or-later|\+)$", "", each.lower())
