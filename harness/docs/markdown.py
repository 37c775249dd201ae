"""Pieces of Markdown around text of an index."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from zoo._util.text import for_markdown, for_terminal, without_secrets

_PLAIN = re.compile(r"[\w.:/@+=%, -]*[\w/%-]")
# What starts a list, a heading or a rule at the beginning of a line; the rest `for_markdown` does.
_START = re.compile(r"(?P<number>\d+)(?P<dot>[.)])|(?P<sign>[-+#=:])")
_LONGEST_NAME = 60


class Markdown(str):
    """Text that is Markdown already, to be put on a page as it is; other text is escaped."""

    __slots__ = ()


def escaped(value: object) -> Markdown:
    """Anything as Markdown that shows just that, inside of a line."""
    return value if isinstance(value, Markdown) else Markdown(for_markdown(str(value)))


def paragraphs(text: str) -> Markdown:
    """Paragraphs of plain text, which blank lines part; nothing in them is markup."""
    lines = "\n".join(_line(line.strip()) for line in text.strip().split("\n"))
    return Markdown(re.sub(r"\n{3,}", "\n\n", lines))


def _line(line: str) -> str:
    start = _START.match(line)
    if start is None:
        return for_markdown(line)
    rest = for_markdown(line[start.end() :])
    if start["sign"]:
        return f"\\{start['sign']}{rest}"
    return f"{start['number']}\\{start['dot']}{rest}"


def code(text: str) -> Markdown:
    """A code span, in a table's cell as well; plain text where that could not show it."""
    return Markdown(f"`{text}`") if _PLAIN.fullmatch(text) else escaped(text)


def typed(text: str) -> Markdown | str:
    """What is typed letter by letter, as code in a table's cell; nothing for nothing."""
    return Markdown(f"`{text}`".replace("|", "\\|")) if text else ""


def link(label: str, url: str) -> Markdown:
    """A link to a URL that the index reader accepted, or to a relative path."""
    target = without_secrets(url).replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E")
    # A bar would end the cell of a table, a backslash escape what follows it.
    target = target.replace("|", "%7C").replace("\\", "%5C")
    return Markdown(f"[{for_markdown(label)}](<{for_terminal(target)}>)")


def fenced(text: str, language: str) -> Markdown:
    """A block of code; its fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}{language}\n{text}\n{fence}")


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    lines = (headings, ["---"] * len(headings), *rows)
    return Markdown("\n".join(f"| {' | '.join(map(escaped, line))} |" for line in lines))


def plain_lines(text: str) -> str:
    """The lines of a text without anything that a terminal could obey, tabs as spaces."""
    return "\n".join(for_terminal(line.rstrip()) for line in text.expandtabs(4).split("\n"))


def slug(name: str) -> str:
    """A file's name for any name: small ASCII letters, digits and hyphens, never empty.

    A name that has nothing of these, or too many, has its digest in the slug.
    """
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    short = "-".join(re.findall("[a-z0-9]+", ascii_only))
    if short and len(short) <= _LONGEST_NAME:
        return short
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{short[:_LONGEST_NAME].strip('-') or 'collection'}-{digest}"
