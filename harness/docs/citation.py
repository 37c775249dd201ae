"""The BibTeX entry of a collection or a variant."""

from __future__ import annotations

from collections.abc import Callable

from harness.docs.markdown import plain_lines, slug
from zoo.index.schema import LinkError, check_link
from zoo.index.types import Claim

ClaimOf = Callable[[str], Claim | None]

_TEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def bibtex(claim_of: ClaimOf, name: str) -> str | None:
    """How to cite what an entry of an index documents, without a line break at the end.

    It is the entry's ``Citation`` as its author wrote it. Where there is none, the title and the
    URL of its ``Paper`` make a ``@misc``: authors and year are not in an index.

    Args:
        claim_of: the claim of a field in effect, or None.
        name: of the collection or the variant, for the key of a made entry.

    Returns:
        Lines that are safe to print; None where the index names neither.
    """
    own = text_of(claim_of("Citation"))
    if own is not None:
        return plain_lines(own)
    title, url = paper(claim_of)
    if title is None:
        return None
    fields = {"title": f"{{{''.join(_TEX.get(c, c) for c in ' '.join(title.split()))}}}"}
    if url is not None:
        fields["url"] = url
    width = max(map(len, fields))
    lines = (f"  {key:<{width}} = {{{value}}}," for key, value in fields.items())
    return plain_lines("\n".join([f"@misc{{{slug(name)},", *lines, "}"]))


def paper(claim_of: ClaimOf) -> tuple[str | None, str | None]:
    """The title and the URL of the paper, each None where it is not documented."""
    title, url = text_of(claim_of("Paper.Title")), text_of(claim_of("Paper.URL"))
    plain = text_of(claim_of("Paper"))
    if plain is not None:
        try:
            check_link(plain)
        except LinkError:
            title = title or plain
        else:
            url = url or plain
    return title, url


def text_of(claim: Claim | None) -> str | None:
    """The text of a claim; None where there is none that could be read."""
    return claim.value if claim is not None and isinstance(claim.value, str) else None
