"""Text of an index can't steer a terminal or Markdown (a Markdown parser is the judge)."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from zoo._util.text import (
    for_markdown,
    for_terminal,
    human_bytes,
    is_slip,
    nearest,
    plural,
    printable,
    truncate,
    without_secrets,
)
from zoo.errors import UnknownModelError
from zoo.preprocessing import package_variant

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
# Text that is made of what means something to Markdown or to a terminal is tried more often.
PIECES = [
    *"|`*_[]()<>\\#@!~&$:.-+=\"' \n\r\t\x1b\x00\x7f\x9b\u202e\u2028\u200b\ud800",
    *("](", "http://", "https://x.org", "www.", "&amp;", "&#124;", "<b>", "<!--", "-->", "``"),
    *("\\|", "[red]", "\x1b]8;;http://x\x1b\\", "\x1b[2J", "@me", "#12", "GH-3", "a@b.co", "{{"),
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.sampled_from("ab1"), max_size=12).map("".join)


@given(ANY_TEXT | HOSTILE)
def test_terminal_text_is_one_line_of_printable_characters(text):
    safe = for_terminal(text)
    assert len(safe.splitlines()) <= 1
    bad = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
    assert not [char for char in safe if unicodedata.category(char) in bad]


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_printable_text_is_left_as_it_is(text):
    assert for_terminal(text) == text


def test_what_is_written_out():
    for text, safe in {
        "a\x1b[31mb": r"a\x1b[31mb",
        "\x9b31m": r"\x9b31m",
        "a\nb\tc\r": r"a\nb\tc\r",
        "\u202eabc": r"\u202eabc",
        "\U000e0041": r"\U000e0041",
        "\udc80": r"\udc80",
        "é ü 模型": "é ü 模型",
    }.items():
        assert for_terminal(text) == printable(text) == safe
    # A space that can't be told from another is shown in a path, and left in a name.
    assert printable("a\xa0b") == r"a\xa0b"
    assert for_terminal("a\xa0b") == "a\xa0b"


PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown_in_a_cell(markdown):
    """The texts of the cells of the one row under a table's head, and every token's type."""
    tokens = PARSER.parse(f"| a | b |\n|---|---|\n| {markdown} | end |\n")
    cells = []
    kinds = set()
    for before, token in itertools.pairwise(tokens):
        if before.type == "td_open":
            cells.append("".join(child.content for child in token.children or []))
            kinds |= {child.type for child in token.children or []}
    return cells, kinds, [token.type for token in tokens]


@given(ANY_TEXT | HOSTILE)
@example("\\|")
@example("\\")
@example("a|b\\")
@example("00:/0@")
def test_markdown_shows_the_text_and_nothing_else(text):
    cells, kinds, tokens = shown_in_a_cell(for_markdown(text))
    assert tokens.count("tr_open") == 2
    assert len(cells) == 2
    assert cells[1] == "end"
    assert kinds <= {"text", "text_special"}
    assert cells[0].replace("\u200b", "").strip() == for_terminal(without_secrets(text)).strip()


@given(HOSTILE)
def test_markdown_holds_no_reference_that_a_forge_would_link(text):
    safe = for_markdown(text)
    assert "\n" not in safe
    cells, _, _ = shown_in_a_cell(safe)
    assert not re.search(r"[@#]\w|GH-\d", cells[0], re.IGNORECASE)
    # Bare addresses are linked where they stand in the source.
    assert "://" not in safe
    assert not re.search(r"www\.", safe, re.IGNORECASE)


def test_shorten():
    assert truncate("abc", 3) == "abc"
    assert truncate("abcd", 3) == "ab…"


def test_counts_and_sizes():
    assert [plural(n, "error") for n in (0, 1, 2)] == ["0 errors", "1 error", "2 errors"]
    assert plural(1200, "class", ",") == "1,200 classes"
    sizes = {
        999: "999 bytes",
        1000: "1.0 kB",
        25_600_000: "25.6 MB",
        2_500_000_000_000: "2500.0 GB",
    }
    assert {n: human_bytes(n) for n in sizes} == sizes


def test_capitals_make_no_difference():
    assert nearest("RESNEST50D", ["resnest50d", "resnest14d"], n=1) == ["resnest50d"]
    assert nearest("jsno", ["JSON", "html"], n=1) == ["JSON"]
    assert nearest("bicubik", ["BICUBIC", "bilinear"], n=1) == ["BICUBIC"]
    assert nearest("xyz", ["JSON", "html"]) == []
    with pytest.raises(UnknownModelError, match="did you mean 'resnest50d'"):
        package_variant("RESNEST50D")


def test_a_slip_is_a_letter_or_two():
    slips = (("Paramters", "Parameters"), ("crop_pct", "Crop Pct"), ("Weigths", "Weights"))
    assert all(is_slip(word, meant) for word, meant in slips)
    others = (("Location", "Citation"), ("NME", "Mean"), ("PKD", "ID"), ("Layouts", "Layers"))
    assert not any(is_slip(word, meant) for word, meant in others)
