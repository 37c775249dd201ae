"""Text for each place that shows it: escaped, truncated, counted, and compared with known words.

A name or a URL of an index or of a file may be hostile. Printed raw, it could clear a screen, hide
a line, reverse the reading order, or put a link and an image into a comment.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import json
import os
import re
import sys
import threading
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

# Controls (C0, C1, DEL), formatting (bidirectional overrides, zero width, tags), lone surrogates,
# line and paragraph separators, and private use characters, which have no agreed look.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;", '"': "&quot;"}
_BACKSLASHED = frozenset("`*_[]~$!")
_ZERO_WIDTH_SPACE = "&#8203;"
# What GitHub and its kin turn into links: mentions, issue numbers, and addresses. A reference
# alone does not stop the first two, as they are searched for after references are resolved.
_REFERENCE = re.compile(r"[@#](?=\w)|GH-(?=\d)", re.IGNORECASE)
_ADDRESS = re.compile(r":(?=/)|(?<=www)\.", re.IGNORECASE)
# Stand-ins that cannot come from the text, because its control characters are written out before.
_MARKS = {"\0": _ZERO_WIDTH_SPACE, "\1": "&#58;", "\2": "&#46;"}

# What stands between the slashes, of which a path keeps one, and the last "@" of a URL's host part.
_USER = re.compile(r"((?<=\w\w:)//?|(?<![^\s'\"(<])//)[^/?#\s'\"]{1,512}@")
# A parameter of a URL, whose value may end in what a sentence or Markdown puts behind a URL.
_PARAMETER = re.compile(
    r"(?<=[?&;#])([\w.%[\]-]{1,64})=([^\s&#'\"<>|`]+?(?=[)\]},.;:]{0,4}(?:[\s&#'\"<>|`]|$)))"
)
# What lets its reader in: by name, and all that Amazon's and Google's storage signs a URL with.
_SECRET = re.compile(
    r"(?i:x-(?:amz|goog)-.*|(?:.*[_.-])?(?:sig|pwd|auth|pass|jwt|sas|policy|key-pair-id|awsaccesskeyid)"
    r"|.*(?:token|secret|signature|password|passwd|passphrase|credentials?|authorization|key)\]?)"
)
FOREIGN = 200
"""So many characters are shown of a text that a server, a builder or a file has a say in."""

_SHOWN = 80  # characters of a value that a message quotes
_COMPARED = 80  # characters of a word that are compared


def for_terminal(text: str) -> str:
    r"""Escape everything that a terminal could obey, as in ``\x1b``, to one printable line.

    The result is no markup of any kind: print it as it is.
    """
    if text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def printable(text: str) -> str:
    """Escape every character that Python counts as not printable, unusual spaces included."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


def for_markdown(text: str) -> str:
    """Escape text for the middle of a Markdown paragraph or a table's cell.

    Nothing in it starts a tag, a link, an emphasis, a code span, a mention or another cell. A lone
    ``-`` or ``1.`` at the start of a line would still be a list.
    """
    marked = _REFERENCE.sub(lambda m: m[0] + "\0", for_terminal(without_secrets(text)))
    marked = _ADDRESS.sub(lambda m: "\1" if m[0] == ":" else "\2", marked)
    return "".join(
        "\\" + c if c in _BACKSLASHED else _ENTITIES.get(c) or _MARKS.get(c, c) for c in marked
    )


_TEX = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def for_latex(text: str) -> str:
    """Escape text for a line, or a cell, of LaTeX: no command, no cell and no comment begins in it.

    A ``[`` or a ``*`` at its start would still be read as the option of a row's end before it.
    """
    escaped = "".join(_TEX.get(c, c) for c in for_terminal(text))
    return re.sub("-(?=-)", "-{}", escaped)


def shown(text: str) -> str:
    """Quote a value in a message: one short printable line, its middle left out where long."""
    return printable(truncate_middle(text))


def foreign(text: object, limit: int = FOREIGN) -> str:
    """Show a text of a server, a builder or a file: one visible line of at most ``limit``."""
    return truncate(for_terminal(truncate(str(text), limit)), limit)


_LONG_WORD = re.compile(rf"\S{{{FOREIGN + 1},}}")
_LONGEST_MESSAGE = 10 * FOREIGN


def bounded(message: str, texts: Iterable[str] = ()) -> str:
    """Cut what is foreign and long in a message that is ours, and make all of it visible.

    ``texts`` are those that it may quote; a word that is too long is foreign whatever it is.
    """
    if len(message) <= FOREIGN and message.isprintable():
        return message
    for text in texts:
        for form in {text, text.strip(), " ".join(text.split()), for_terminal(text)}:
            if len(form) > FOREIGN:
                message = message.replace(form, truncate(form, FOREIGN))
    message = _LONG_WORD.sub(lambda found: truncate(found[0], FOREIGN), for_terminal(message))
    return truncate(message, _LONGEST_MESSAGE)


def json_text(data: Any, indent: int = 2) -> str:
    """JSON of ASCII alone, in which no log reads a command: it is the same data however spelt."""
    text = json.dumps(data, indent=indent, allow_nan=False)
    return re.sub(r"#(?=#)", r"\\u0023", text)


# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), full width included.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[-+]?[0-9]+([.][0-9]+)?%?")


def for_spreadsheet(text: str) -> str:
    """The text, with an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_text(
    columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, verbatim: str = ""
) -> str:
    """RFC 4180 but for the line ends: a line of names, then one for each row; None is empty, and
    a list, such as a size, is written ``224x285``.

    Args:
        columns: the keys of the rows, in their order.
        rows: what is to be written.
        verbatim: of one column, the name: its text begins as no formula can.
    """

    def cell(name: str, value: object) -> object:
        if not isinstance(value, str):
            return "x".join(map(str, value)) if isinstance(value, list | tuple) else value
        text = "\n".join(map(for_terminal, value.split("\n")))
        return text if name == verbatim or _NUMBER.fullmatch(text) else for_spreadsheet(text)

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(name, row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def quoted(text: str) -> str:
    """A value in quotes, ``empty`` where there is none."""
    return repr(shown(text)) if text.strip() else "empty"


def without_secrets(text: str) -> str:
    """Text whose URLs have three asterisks in place of a user, a password, a token, a signature."""
    if "@" in text:
        text = _USER.sub(r"\1***@", text)
    return _PARAMETER.sub(_masked, text) if "=" in text else text


def _masked(parameter: re.Match[str]) -> str:
    name, value = parameter.groups()
    return f"{name}=***" if _SECRET.fullmatch(unquote(name)) else f"{name}={value}"


def truncate(text: str, limit: int = 300) -> str:
    """Cut text to ``limit`` characters, the last of them an ellipsis.

    What is cut has no secrets before: they are not recognized by their ends alone.
    """
    if len(text) > limit:
        text = without_secrets(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def truncate_middle(text: str) -> str:
    """Leave out the middle of a long text, and its secrets."""
    half, text = (_SHOWN - 3) // 2, without_secrets(text)
    return text if len(text) <= _SHOWN else f"{text[:half]}...{text[-half:]}"


def columns(rows: Sequence[Sequence[str]], left: int = 1, widest: int | None = None) -> list[str]:
    """Rows with their cells in columns: the first ones flush left, numbers flush right.

    A cell of more than ``widest`` characters pushes its own line alone.
    """
    safe = [[foreign(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    fits = [str.ljust if i < left else str.rjust for i in range(len(widths))]
    room = [min(n, widest or n) for n in widths]
    return [
        "  ".join(fit(cell, n) for fit, cell, n in zip(fits, row, room, strict=True)).rstrip()
        for row in safe
    ]


def plural(number: int, noun: str, form: str = "") -> str:
    """``1 error``, ``2 errors``, ``3 classes``; ``form`` is how the number is written."""
    end = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number:{form}} {noun}{end}"


def few(texts: Sequence[str], most: int) -> str:
    """The first of many in a sentence: ``a, b and 5 more``."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + f" and {more:,} more" * (more > 0)


def human_bytes(count: int) -> str:
    """``1.1 GB``: a size in powers of ten, as file sizes are published."""
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def nearest(word: str, words: Iterable[str], *, n: int = 3, cutoff: float = 0.6) -> list[str]:
    """The words, ``n`` at most, that ``word`` may be a misspelling of, best first, in any case.

    ``cutoff`` says how alike they have to be, 0 to 1.
    """
    folded: dict[str, list[str]] = {}
    for each in words:
        folded.setdefault(each.lower(), []).append(each)
    close = difflib.get_close_matches(word[:_COMPARED].lower(), folded, n=n, cutoff=cutoff)
    return [each for key in close for each in folded[key]][:n]


def is_slip(word: str, meant: str) -> bool:
    """Whether ``word`` can be a misspelt ``meant``: one wrong letter in a short word, two in a long
    one. Case, spaces, hyphens and underscores make no difference.
    """
    a, b = (re.sub("[ _-]", "", text[:_COMPARED].lower()) for text in (word, meant))
    allowed = 2 if min(len(a), len(b)) > 5 else 1
    return abs(len(a) - len(b)) <= allowed and _distance(a, b) <= allowed


def _distance(a: str, b: str) -> int:
    """The number of letters added, left out, replaced, or exchanged with their neighbours."""
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


# -- logs of continuous integration ---------------------------------------------------------

# What may stand before a command in its line: spaces, and more that is not seen.
_LEAD = re.compile(r"[\s\x00-\x1f\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]*")
# Obeyed wherever it stands: ``##[error]``, ``##vso[task.x]`` and their like.
_ANYWHERE = re.compile(r"(##\w{0,16})\[")
_REMEMBERED = 20


class CommandBreaker:
    """Puts a space into what a workflow's runner would obey in a log, and changes nothing else.

    A line whose first characters are ``::`` is a command, and so is ``##[`` anywhere in one. What
    is written in several parts is read as the one line that it becomes. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The end of the line so far, for a command may begin in it.
        self._before = ""

    def __call__(self, text: str) -> str:
        with self._lock:
            whole, kept = self._before + text, len(self._before)
            lines = whole.splitlines(keepends=True) or [""]
            if "::" in whole or "##" in whole:
                lines = [*map(_broken, lines)]
            ended = lines[-1].splitlines() != [lines[-1]]
            self._before = "" if ended else _end(lines[-1])
            return "".join(lines)[kept:]


def _broken(line: str) -> str:
    lead = _LEAD.match(line)
    at = 0 if lead is None else lead.end()
    if line.startswith("::", at):
        line = f"{line[:at]}: {line[at + 1 :]}"
    return _ANYWHERE.sub(r"\1 [", line)


def _end(line: str) -> str:
    """As much of an unfinished line as says whether a command is about to begin in it."""
    lead = _LEAD.match(line)
    rest = line if lead is None else line[lead.end() :]
    # Anything visible at all stands for a line that has begun.
    return rest if rest in ("", ":") else "x" + rest[-_REMEMBERED:]


def for_workflow_log(text: str) -> str:
    """One printable line in which a workflow's runner reads no command."""
    return CommandBreaker()(for_terminal(text))


def in_workflow() -> bool:
    """Whether a runner reads for commands what this process prints: GitHub's or Azure's."""
    return any(map(os.environ.get, ("GITHUB_ACTIONS", "TF_BUILD")))


class ForeignOutput:
    """What another program prints, as text for our own standard error.

    Its bytes may be cut anywhere. Colours, cursor movements and other controls are written out, and
    a carriage return, with which a line could be written over, is a line break.
    """

    def __init__(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)

    def __call__(self, data: bytes, *, last: bool = False) -> str:
        lines = self._decoder.decode(data, last).split("\n")
        return "\n".join("\t".join(map(for_terminal, line.split("\t"))) for line in lines)


_PRINTED = CommandBreaker()


def pass_on(text: str) -> None:
    """Write what another program printed to standard error, where it commands no workflow."""
    if in_workflow():
        text = _PRINTED(text)
    # The reader may be gone.
    with suppress(OSError, AttributeError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
