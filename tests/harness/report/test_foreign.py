"""Texts of servers, builders and files in every format: cut, visible, and commanding nothing."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

from hostile import COMMANDS, is_visible, report_of
from loops import each

from harness.report import formats
from harness.report.html import render
from harness.report.html.changes import Changes
from harness.report.view import presentable
from harness.types import Report
from zoo._util.text import FOREIGN, CommandBreaker, ForeignOutput, bounded, foreign, json_text

# Long texts as a server, a builder or a file may have them, and a mark in what is beyond the cut.
BEYOND = "Zanzibar"
LONG = {
    "one word": "n" * 300 + BEYOND,
    "words": "word " * 100 + BEYOND,
    "a URL": f"https://example.org/{'path/' * 60}?{BEYOND}=1",
    "controls": "\x1b[2J" * 100 + BEYOND,
    "directions": "\u202eabc\u2066" * 80 + BEYOND,
    "lines": "line\n" * 80 + BEYOND,
    "markup": "<b>&amp;</b>|`*" * 30 + BEYOND,
    "another script": "模型" * 150 + BEYOND,
    "surrogates": "\ud800" * 250 + BEYOND,
    "commands": "::error::x ##[warning] " * 20 + BEYOND,
    "a name of 50,000 letters": "x" * 50_000 + BEYOND,
}
OPTIONS = ({}, {"width": 80}, {"verbose": True})


def quoting(text: str) -> Report:
    """A report whose findings quote the text in messages of ours, as checks do."""
    report = report_of(text)
    found = [
        replace(f, message=f"the file has {text}; write 5", cause="flops.differs", check="flops")
        for f in report.findings
    ]
    return replace(report, findings=tuple(found), cut_short=f"no answer: {text[:100]}")


@each("what", LONG)
@each("name", formats())
def test_what_is_foreign_is_cut_in_every_format(what, name, shown):
    for options in OPTIONS:
        written = shown(name, quoting(LONG[what]), **options)
        assert is_visible(written.replace("\u25a1", "")), (what, options)
        if name == "json":
            # What identifies is kept whole for programs; what is for people is not.
            document = json.loads(written)
            messages = [finding["message"] for finding in document["findings"]]
            written = "\n".join([*messages, *map(str, document["environment"].values())])
            assert document["findings"][0]["documented"] == LONG[what]
        elif name == "sarif":
            written = without_patches_and_places(written)
        # Programs find a file by its whole path.
        elif name == "junit":
            written = re.sub(r'file="[^"]*"', "", written)
        elif name == "github":
            written = re.sub(r"file=[^,]*,", "", written)
        elif name == "csv":
            written = "\n".join(row["message"] for row in csv.DictReader(written.splitlines()))
        assert BEYOND not in written, (what, options)


def without_patches_and_places(written):
    run = json.loads(written)["runs"][0]
    for result in run["results"]:
        del result["properties"]["fix"]
        for location in result["locations"]:
            del location["physicalLocation"]
    return json.dumps(run)


@each("what", LONG)
def test_what_is_foreign_is_cut_on_the_page(what):
    page = render(quoting(LONG[what]), Changes())
    begin = page.index('type="application/json"')
    texts = json.loads(page[page.index(">", begin) + 1 : page.index("</script>", begin)])["texts"]
    # A patch keeps its lines, each of them cut.
    assert not [text for text in texts if BEYOND in text and "\n" not in text], what
    assert max(map(len, texts)) <= 10 * FOREIGN
    plain = page[page.index("<noscript") : page.rindex("</noscript")]
    assert BEYOND not in plain


def test_two_long_names_stay_two(shown):
    names = ["n" * 300 + end for end in ("a", "b", "c")]
    report = presentable(report_of(*names), names=True)
    short = [variant.name for variant in report.variants]
    assert len({*short}) == 3
    assert max(map(len, short)) <= FOREIGN
    assert [f.variant for f in report.findings[::5]] == short
    assert [v.name for v in presentable(report_of(*names), names=False).variants] == names


def test_a_message_of_ours_is_not_cut():
    ours = "The model has 5 layers, and the index says 6. " * 20
    assert bounded(ours) == ours
    assert foreign("a" * FOREIGN) == "a" * FOREIGN
    assert len(foreign("\x1b" * FOREIGN)) == FOREIGN


# -- commands of a workflow's log -----------------------------------------------------------

LINES = (
    *("::error::x", "  ::error file=a::x", "\t::add-mask::x", "a\r::error::x", "##[error]x"),
    *("a ##[group]x", "###[error]", "##[##[##[a]", "##vso[task.setvariable variable=a]b"),
    *("\u3000::debug::", "\u00a0::debug::", "\ufeff::debug::", "\x1d::x", "\n\n::set-output::"),
    *(":::", "\u2028::stop-commands::a", "a\x85::x", "::", *COMMANDS),
)
OLD = re.compile(r"##\w*\[")


def obeyed(text):
    """The lines that a runner would obey: GitHub's of either form, and Azure's."""
    lines = [line.lstrip("\ufeff \t").strip() for line in text.splitlines()]
    return [line for line in lines if line.startswith("::") or OLD.search(line)]


@each("line", LINES)
def test_no_command_is_left_however_it_is_cut(line):
    assert obeyed(line) or "::" in line
    for size in range(1, len(line) + 1):
        breaker = CommandBreaker()
        parts = [breaker(line[at : at + size]) for at in range(0, len(line), size)]
        assert obeyed("".join(parts)) == [], size
        assert "".join(parts).replace(" ", "") == line.replace(" ", "")


def test_what_is_no_command_is_not_changed():
    for text in ("a::b\n", "std::vector<int>\n", "# [x]\n", "a ## b\n", "[::1]:80\n", "2::3", ""):
        assert CommandBreaker()(text) == text


@each("name", formats())
def test_no_format_prints_a_foreign_command(name, shown):
    for text in LINES:
        for options in OPTIONS:
            written = shown(name, report_of(text), **options)
            if name in ("json", "sarif", "junit"):
                assert obeyed(written) == [], (text, options)
            elif name == "github":
                lines = {line.split()[0] for line in obeyed(written)}
                assert lines <= {"::error", "::warning", "::notice"}, (text, options)


def test_a_document_is_the_same_data_though_its_commands_are_broken(shown):
    for text in LINES:
        document = json.loads(shown("json", report_of(text)))
        assert document["findings"][0]["documented"] == text
        assert json.loads(json_text({text: [text]})) == {text: [text]}


def test_what_others_print_is_visible_wherever_it_is_cut():
    printed = "a\x1b[2Jb\tc\r\nd\re\u202ef 模型 \x07\n".encode() + b"\xff\n"
    expected = "a\\x1b[2Jb\tc\nd\ne\\u202ef 模型 \\x07\n\\xff\n"
    for size in range(1, len(printed)):
        shown = ForeignOutput()
        parts = [shown(printed[at : at + size]) for at in range(0, len(printed), size)]
        assert "".join([*parts, shown(b"", last=True)]) == expected, size
