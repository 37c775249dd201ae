"""The report as a person sees it."""

from __future__ import annotations

import re

import pytest
from hostile import TEXTS, is_visible, report_of
from loops import each

from zoo.index.types import Location

SGR = re.compile(r"\x1b\[[0-9;]*m")
LONG = "This sentence says at length what is wrong and what would be right. " * 4


@pytest.fixture
def mixed(make_finding, make_report):
    """One error, one warning, a match, and sixteen alike that must not drown them."""
    unverified = [
        make_finding(
            variant=f"net{number}",
            field="Top 1 Accuracy",
            status="unverified",
            severity=None,
            cause="accuracy.no-data",
            measured=None,
            message="No images were given.",
            location=Location("model-index/net.yml", 100 + number, 1),
        )
        for number in range(16)
    ]
    match = make_finding(status="match", severity=None, cause=None, field="Layers")
    warning = make_finding(severity="warning", cause="flops.convention", message=LONG.strip())
    error = make_finding(field="Weights", cause="weights.shared-url")
    return make_report(*unverified, match, warning, error)


@each("width", [40, 80, 200])
def test_a_page_keeps_to_the_width_and_loses_no_word(width, mixed, shown):
    text = shown("table", mixed, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert LONG.strip() in " ".join(text.split())
    assert "model-index/net.yml:12:7" in text
    assert "Net / net50" in text


def test_the_summary_comes_first_then_the_worst(mixed, shown):
    text = shown("table", mixed, width=100)
    summary = "1 variant: 1 error, 1 warning, 0 notes, 1 held, 16 not checked, 0 accepted"
    lead = [
        "  error   Weights of net50, at model-index/net.yml:12:7 weights.shared-url",
        "  warning FLOPs of net50, at model-index/net.yml:12:7 flops.convention",
    ]
    assert text.splitlines()[:4] == [summary, *lead, ""]
    # What scrolled away is said again; in a pipe nothing has.
    assert text.splitlines()[-1] == summary
    assert shown("table", mixed).splitlines()[0] == summary
    assert shown("table", mixed).count(summary) == 1
    order = ["error       Weights", "warning     FLOPs", "Not checked", "What to do"]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert text.count("No images were given.") == 1
    assert "Layers" not in text
    assert "Give each variant the URL of its own checkpoint." in text


def test_verbose_shows_each_and_the_matches(mixed, shown):
    text = shown("table", mixed, width=100, verbose=True)
    assert text.count("No images were given.") == 16
    assert "Layers" in text


def test_quiet_shows_errors_and_warnings_and_the_summary(mixed, shown):
    text = shown("table", mixed, quiet=True)
    assert [line.split(": ")[1] for line in text.splitlines()[1:]] == ["error", "warning"]
    assert "16 not checked" in text.splitlines()[0]


def test_a_pipe_gets_one_line_per_finding(mixed, shown):
    lines = shown("table", mixed).splitlines()
    assert len(lines) == 4
    assert lines[1] == (
        "model-index/net.yml:12:7: error: net50: Weights: The model has 5399965376 FLOPs; write "
        "that. (documented 6973972864, measured 5399965376) [weights.shared-url]"
    )
    assert LONG.strip() in lines[2]
    assert lines[3].startswith("model-index/net.yml:100:1: unverified: 16 findings on Top 1")


@each("width", [None, 80])
def test_colour_only_where_it_is_allowed(width, mixed, shown):
    plain = shown("table", mixed, width=width)
    colored = shown("table", mixed, width=width, color=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31merror" in colored
    assert SGR.sub("", colored) == plain


def test_nothing_in_an_index_steers_the_terminal(shown):
    """Rich's own codes are all that is left: bold, dim, and the eight colours."""
    codes = {f"\x1b[{code}m" for code in ("0", "1", "2", "1;31", "1;33", "34", "35", "36", "32")}
    for text in TEXTS:
        for options in ({}, {"width": 80}, {"width": 80, "color": True}):
            page = shown("table", report_of(text), verbose=True, **options)
            assert is_visible(SGR.sub("", page)), text
            assert set(SGR.findall(page)) <= (codes if "color" in options else set()), text
            assert "[red]" not in text or text in page


def test_the_options_alone_say_what_the_terminal_is(mixed, shown, monkeypatch):
    before = [shown("table", mixed, width=150, color=color) for color in (False, True)]
    for name, value in {"TERM": "dumb", "COLUMNS": "20", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert [shown("table", mixed, width=150, color=color) for color in (False, True)] == before


@pytest.fixture
def unreachable(make_finding):
    """Makes claims that could not be checked, one for each of these messages."""

    def make(*messages):
        return [
            make_finding(
                field="Weights",
                status="unverified",
                severity=None,
                cause="weights.unreachable",
                measured=None,
                message=message,
            )
            for message in messages
        ]

    return make


@each("options", [{}, {"width": 100}])
def test_notes_of_one_cause_say_their_own_words(options, make_finding, make_report, shown):
    for number, told, rest in ((4, 4, 0), (5, 3, 2), (40, 3, 37)):
        words = [f"Reason {each}." for each in range(number)]
        notes = [
            make_finding(severity="note", cause="schema.quoted-number", message=each)
            for each in (*words, words[-1])
        ]
        text = shown("table", make_report(*notes), **options)
        assert text.count(f"{number + 1} findings on FLOPs of net50") == 1
        assert text.count(": Reason ") == told, number
        assert f"2 findings: {words[-1]}" in text
        assert (f"{rest} findings with {rest} other messages" in text) == bool(rest)


@each("options", [{}, {"width": 100}])
def test_one_reason_is_said_once(options, unreachable, make_report, shown):
    found = unreachable("The disk is full.", "The limit is 9 bytes.", "The limit is 9 bytes.")
    text = " ".join(shown("table", make_report(*found), **options).split())
    assert text.count("The limit is 9 bytes. (and 1 other reason)") == 1
    # The cause's own sentence speaks of a server, and none was asked.
    assert "server" not in text


@each(
    "held, known, others, said",
    [
        (1, 198, 1, "of 200 claims 1 hold, 198 are explained to the digit, and 1 are not: 99 %"),
        (0, 3, 0, "of 3 claims 0 hold, 3 are explained to the digit, and 0 are not: 100 %"),
        (3, 0, 0, None),
        (0, 1, 1, None),
    ],
)
def test_the_share_of_flops_that_are_explained(
    held, known, others, said, make_finding, make_report, shown
):
    flops = {"field": "FLOPs", "check": "flops", "severity": "warning"}
    findings = [
        *[make_finding(**flops, status="mismatch", rules=("x",)) for _ in range(known)],
        *[make_finding(**flops, status="mismatch", cause="flops.differs") for _ in range(others)],
        *[make_finding(**flops | {"severity": None}, status="match") for _ in range(held)],
        make_finding(**flops | {"severity": None}, status="unverified"),
    ]
    text = shown("table", make_report(*findings), width=None)
    if said is None:
        assert "explained to the digit" not in text
    else:
        assert f"FLOPs: {said} hold or are explained" in text
