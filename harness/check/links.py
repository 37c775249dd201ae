"""Links of an index: their form, sites that are gone, lines at a commit, and what servers say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from harness.check.base import IndexCheck, matched, mismatched, unverified
from harness.types import Fact, Finding, Measurement, Slot, Unmeasured
from zoo.index.schema import LinkError, check_link
from zoo.index.types import Claim, Index, Location, Variant

_ID = "links"
_FIELDS = (
    "Code", "Code.URL", "Paper", "Paper.URL", "README", "Config", "License.URL",
    "Converted From.Code",
)  # fmt: skip
# A text that is meant as the address of a page, and not as the path of a file or as a title.
_MEANT = re.compile(r"(?:https?\b[:/]|[a-z][a-z0-9+.-]*:/|www\.)", re.I)
# The text of a file as a host of repositories shows it, at a commit.
AT_COMMIT = re.compile(
    r"https?://[^/]+/[^?#]+?/(?:-/)?(?:blob|tree|src|src/commit)/(?P<commit>[0-9a-f]{7,40})/"
    r"(?P<path>[^?#]+?)/?(?:\?[^#]*)?(?:#(?P<anchor>.*))?"
)
_LINES = re.compile(r"L(?:ines-)?(\d{1,9})(?:C\d+)?(?:[-:]L?(\d{1,9})(?:C\d+)?)?", re.I)
# Sites that have closed, and since when: none of their pages is there any more.
_GONE = {"paperswithcode.com": "Papers with Code was closed in July 2025"}
_ARXIV = re.compile(r"(?<![\d.])(\d{4}\.\d{4,5})(?:v\d+)?(?![\d.])")


def links_of(variant: Variant) -> Iterator[Claim]:
    """The claims that are links, or paths in place of them."""
    for claim in variant.in_effect():
        if claim.field in _FIELDS and isinstance(claim.value, str) and not claim.metric:
            yield claim


def page_of(variant: Variant) -> Claim | None:
    """The README of a variant."""
    claim = variant.effective("README")
    return claim if claim is not None and isinstance(claim.value, str) else None


def is_web(text: str) -> bool:
    """Whether a text is an http or https URL."""
    try:
        check_link(text)
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """What the text of the links says, each once."""
    return find_measured(index, variants, {})


def find_measured(
    index: Index, variants: Sequence[Variant], facts: Mapping[int, Mapping[Slot, Fact]]
) -> Iterator[Finding]:
    """The same, and what is known of where they lead."""
    told: set[tuple[Location, str]] = set()
    names = {variant.name for variant in index.variants}
    for variant in variants:
        own = set(map(id, variant.claims))
        known = facts.get(id(variant), {})
        for claim in links_of(variant):
            key = (claim.location, claim.field)
            if key in told:
                continue
            told.add(key)
            found = _of(claim, variant, known.get(("link", str(claim.value))), names)
            if found is not None:
                yield found if id(claim) in own else replace(found, variant=None)


def _of(claim: Claim, variant: Variant, fact: Fact | None, names: set[str]) -> Finding | None:
    text = str(claim.value)
    if site := gone(text):
        message = f"leads to a site that is gone: {site}; {_instead(claim, variant)}"
        return mismatched(claim, variant, _ID, "links.site-gone", None, message)
    if _MEANT.match(text) and not is_web(text):
        # A citation may begin so.
        why = "" if claim.field == "Paper" and " " in text.strip() else _wrong_form(text)
        found = mismatched(claim, variant, _ID, "links.form", None, f"{why}; correct the address")
        return found if why else None
    if isinstance(fact, Unmeasured):
        if fact.cause != "links.missing":
            return unverified(claim, variant, _ID, fact.cause, fact.why)
        message = f"{fact.why}; write the address that it has now"
        return mismatched(claim, variant, _ID, fact.cause, None, message)
    return None if fact is None else _of_page(claim, variant, fact, names)


def gone(text: str) -> str | None:
    """Why a link leads nowhere any more, where its site has closed."""
    host = (urlsplit(text).hostname or "") if is_web(text) else ""
    return _GONE.get(host.removeprefix("www."))


def _wrong_form(text: str) -> str:
    try:
        check_link(text)
    except LinkError as error:
        return str(error)
    return "names no host"


def _instead(claim: Claim, variant: Variant) -> str:
    """What to write: the paper's own address, where the citation beside it is of the same title."""
    collection = variant.collection
    entries = [variant.claims] if claim in variant.claims else []
    entries += [collection.claims] if collection is not None else []
    for claims in entries:
        said = {each.field: each.raw for each in claims}
        cited, title = said.get("Citation", ""), said.get("Paper.Title", "")
        if claim.field.startswith("Paper") and title and _letters(title) in _letters(cited):
            by_id = re.search(r"eprint\s*=\s*[{\"]\s*(?:arxiv:)?([\w./-]+)", cited, re.I)
            found = _ARXIV.fullmatch(by_id[1]) if by_id is not None else None
            if found is not None:
                return f"write https://arxiv.org/abs/{found[1]}, which the Citation names"
    return "write the address of the page itself, such as the paper's DOI"


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _of_page(claim: Claim, variant: Variant, fact: Measurement, names: set[str]) -> Finding:
    """What its server answers, or the line of a link against the file that the commit has."""
    text = str(claim.value)
    if "answered" in fact.value:
        end = str(fact.value["answered"])
        moved = f"; it redirects to {end}" if end != text.partition("#")[0] else ""
        return matched(claim, variant, _ID, None, f"its server has the page{moved}")
    named = AT_COMMIT.fullmatch(text)
    assert named is not None
    lines, where = fact.value["lines"], f"{named['path']} at commit {named['commit'][:12]}"
    anchor = _LINES.fullmatch(named["anchor"] or "")
    if anchor is None or lines is None:
        return matched(claim, variant, _ID, None, f"the commit has {named['path']}")
    first, last = int(anchor[1]), int(anchor[2] or anchor[1])
    cause = "links.anchor"
    if not 1 <= first <= lines or last > lines:
        message = (
            f"there is no line {last if first <= lines else first} in {where}, which has {lines}"
        )
        return mismatched(claim, variant, _ID, cause, lines, f"{message}; correct the line")
    spans = {name: (start, end) for name, start, end in fact.value["functions"]}
    inside = next((n for n, (start, end) in spans.items() if start <= first <= end), None)
    own = spans.get(variant.name)
    # Without a function of its own, a variant may well be made by another's.
    if own and inside in names and inside != variant.name and claim in variant.claims:
        message = f"line {first} of {where} is in {inside}, which is another variant"
        message += f"; {variant.name} begins at line {own[0]}"
        return mismatched(claim, variant, _ID, cause, own[0], message)
    what = f" is in {inside}" if inside is not None else " is there"
    return matched(claim, variant, _ID, None, f"line {first} of {where}{what}")


CHECK = IndexCheck(_ID, "metadata", find, find_measured)
