"""What is wrong and where, at a glance: told once, grouped, within five lines."""

from __future__ import annotations

import re
from dataclasses import replace

from loops import each

from harness.types import VariantReport
from zoo.index.types import Location

WIDTHS = [{}, {"width": 60}, {"width": 200}]


def of(make_report, findings, collection="Net"):
    """A report of the variants that the findings are of."""
    names = dict.fromkeys(f.variant for f in findings)
    variants = tuple(VariantReport(name, collection, "zoo", {}) for name in names)
    return replace(make_report(*findings), variants=variants)


def spaced(text):
    return " ".join(text.split())


@each("options", WIDTHS)
def test_five_lines_say_what_is_wrong_and_where(options, make_finding, make_report, shown):
    """The one error among a thousand rows of notes, warnings and matches, wherever it stands."""
    rows = []
    for number in range(1000):
        at = Location("docs/table.yml", number + 1, 3)
        kind = {"variant": f"net{number}", "location": at}
        rows.append(make_finding(**kind, status="match", severity=None, cause=None))
        rows.append(make_finding(**kind, severity="note", cause="schema.quoted-number"))
        if number % 3 == 0:
            rows.append(make_finding(**kind, severity="warning", cause="flops.convention"))
    at = Location("docs/table.yml", 744, 9)
    for place in (0, 700, len(rows)):
        error = make_finding(variant="odd", field="File Size", cause="size.differs", location=at)
        text = shown("table", of(make_report, [*rows[:place], error, *rows[place:]]), **options)
        first = spaced(" ".join(text.splitlines()[:5]))
        assert "1 error, 334 warnings, 1000 notes, 1000 held, 0 not checked, 0 accepted" in first
        assert re.search(r"error:? File Size of odd, (at docs/)?table.yml:744", first), first
        assert "FLOPs of 334 variants" in first


def test_a_narrow_terminal_cuts_no_name_in_its_middle(make_finding, make_report, shown):
    at = Location("model-index/a-long-name-of-a-file.yml", 744, 9)
    errors = [make_finding(variant=f"deeplab{n}", field="File Size", location=at) for n in (1, 2)]
    for width in (36, 40, 49):
        lead = shown("table", of(make_report, errors), width=width).partition("\n\n")[0]
        assert re.search(r"^  error +File Size of 2 variants[^…]*$", lead, re.M), lead
        assert "..." not in lead


def test_each_error_of_the_summary_is_in_the_lines_below_it(make_finding, make_report, shown):
    """A value with two causes is two errors, whatever room there is for its place."""
    for file in ("i.yml", f"{'a-folder/' * 8}index.yml"):
        at = Location(file, 744, 9)
        causes = ("size.shared", "size.impossible", "size.differs")
        errors = [make_finding(field="File Size", cause=cause, location=at) for cause in causes]
        for width in (60, 80, 100, 120):
            lead = shown("table", of(make_report, errors), width=width).partition("\n\n")[0]
            assert "3 errors" in lead
            named = sum(cause in lead for cause in causes)
            assert named + sum(map(int, re.findall(r" \+(\d)", lead))) == 3, (width, lead)


@each("options", [{}, {"width": 100}])
def test_a_value_that_several_files_repeat_is_told_once(options, make_finding, make_report, shown):
    places = [Location("index.yml", 4, 9), Location("README.md", 30, 3), Location("t.yml", 2, 1)]
    written = ["6973972864", "6,973,972,864", "6973972864"]
    told = [
        make_finding(location=at, documented=as_, message=f"In {at.file}.")
        for at, as_ in zip(places, written, strict=True)
    ]
    text = spaced(shown("table", make_report(*told), **options))
    same = "the same stands at README.md:30:3 (as 6,973,972,864), t.yml:2:1"
    assert text.count(same) == 1
    assert "3 errors" in text
    assert "In README.md." not in text
    # Another number, another field and another cause are other faults.
    for change in (
        {"documented": "6973972865"},
        {"field": "Parameters"},
        {"cause": "flops.convention"},
        {"variant": "net51"},
    ):
        other = replace(told[1], **change)
        text = shown("table", make_report(told[0], other), **options)
        assert "the same stands" not in text, change
        assert text.count("README.md:30:3") >= 1
    # All of them where all is asked for.
    text = shown("table", make_report(*told), verbose=True, **options)
    assert all(f"In {at.file}." in text for at in places)


@each("options", [{}, {"width": 100}])
def test_a_claim_that_several_checks_see_is_told_once(options, make_finding, make_report, shown):
    seen = [
        make_finding(cause="size.shared", message="It is another's.", measured=None),
        make_finding(cause="size.impossible", message="It is too small.", measured=None),
        make_finding(cause="weights.name-mismatch", severity="warning", message="Odd name."),
    ]
    text = shown("table", make_report(*seen), **options)
    for words in ("It is another's.", "It is too small.", "warning: Odd name."):
        assert text.count(words) == 1
    for words in ("documented 6973972864", "measured 5399965376"):
        assert text.count(words) == 1, text
    assert "2 errors, 1 warning" in text
    assert all(finding.cause in text for finding in seen)


def test_a_cause_that_hits_several_of_a_collection_is_grouped(make_finding, make_report, shown):
    def wrong(number, message="net{0} has {0}00 Parameters; write {0}00"):
        return make_finding(
            variant=f"net{number}", field="Parameters", cause="parameters.differs",
            documented=str(number), measured=number * 100, message=message.format(number),
            location=Location("net.yml", number, 5),
        )  # fmt: skip

    found = [*map(wrong, range(2, 30)), wrong(30, "net{0} is another's")]
    for options in ({}, {"width": 100}):
        text = shown("table", of(make_report, found), **options)
        assert text.count("has 200 Parameters") == 1
        assert "has 300 Parameters" not in text
        assert text.count("net30 is another's") == 1, "what is said of it alone"
        assert "29 variants" in text or "width" not in options
        assert re.search(r"net3\b.*documented 3, measured 300", text)
    # In a pipe each has its line; a terminal names some.
    assert len(shown("table", of(make_report, found)).splitlines()) == 1 + 1 + 29 + 1
    assert "and 9 more; --verbose shows each" in text
    # A remedy that is more than the value beside it is told of each.
    urls = [
        wrong(n, f"net{{0}} has another file; write {u}.pth") for n, u in ((2, "a1"), (3, "b2"))
    ]
    urls.append(wrong(4, "net{0} has another file; write b2.pth"))
    text = shown("table", of(make_report, urls))
    assert text.count("write a1.pth") == text.count("write b2.pth") == 1
    # Two with stories of their own are told one by one.
    two = [found[0], found[-1]]
    assert "net2 has 200" in shown("table", of(make_report, two), width=100)
    assert "of 2 variants\n" not in shown("table", of(make_report, two), width=100)


@each("options", [{}, {"width": 100}])
def test_what_is_accepted_is_one_line(options, make_finding, make_report, shown):
    known = [
        make_finding(variant=f"net{n}", accepted="Upstream was asked.", message="Wrong.")
        for n in range(5)
    ]
    known.append(make_finding(field="Layers", accepted="It is so."))
    report = of(make_report, known)
    text = shown("table", report, **options)
    said = "Upstream was asked., and 1 other reason; --verbose shows each"
    assert f"6 findings on FLOPs, Layers of 6 variants (flops.differs): {said}" in spaced(text)
    assert "Wrong." not in text
    assert "0 errors" in text.splitlines()[0]
    assert text.splitlines()[0].endswith(", 6 accepted")
    assert shown("table", report, verbose=True, **options).count("Wrong.") == 5
    assert "Upstream" not in shown("table", report, quiet=True, **options)


def test_reasons_and_the_commands_that_would_check(make_finding, make_report, shown):
    def missing(cause, message, number, field="Top 1 Accuracy"):
        return [
            make_finding(
                variant=f"net{n}", field=field, status="unverified", severity=None, cause=cause,
                message=message, measured=None,
            )
            for n in range(number)
        ]  # fmt: skip

    def again(without, more):
        return f"AGAIN -{','.join(without)} +{' '.join(more)}"

    offline = "it is not in the cache, and --offline allows no request"
    found = [
        *missing("weights.unreachable", f"not compared: {offline}", 3, "Weights"),
        *missing("weights.unreachable", f"no weights to evaluate: {offline}", 3),
        *missing("weights.unreachable", "not compared: no route to example.org", 1, "Weights"),
        *missing("accuracy.no-data", "measured on images, and this run was given none", 5),
        *missing("accuracy.no-data", "no weights to evaluate: the index names none", 1, "W"),
        *missing("layers.not-defined", "nobody has said", 1, "Layers"),
    ]
    lines = shown("table", of(make_report, found), again=again).splitlines()
    assert "15 not checked" not in lines[0]
    assert "14 not checked" in lines[0]
    (bare,) = (line for line in lines if "names none" in line)
    assert "names none; to check: AGAIN - +, once Weights names a file" in bare
    told = {line.rpartition(" [")[2][:-1]: line for line in lines[1:] if line != bare}
    assert [line.count("unverified: ") for line in lines[1:]] == [1, 1, 1, 1, 1]
    text = "\n".join(lines)
    first = f"6 findings on Weights, Top 1 Accuracy of 3 variants: {offline}; to check: "
    assert f"{first}AGAIN -offline +" in text
    assert "no route to example.org; to check: AGAIN - +, once it can be reached" in text
    # Without the files, images would not do.
    wanted = "to check: AGAIN -data,samples,budget,offline +--data DIR, where DIR holds images"
    assert wanted in told["accuracy.no-data"]
    assert "nothing can check it" in told["layers.not-defined"]
    page = spaced(shown("table", of(make_report, found), again=again, width=60))
    for words in (wanted, "AGAIN -offline", "Not checked 6 Weights, Top 1 Accuracy of 3 variants"):
        assert page.count(words) >= 1, words
    assert page.count("this run was given none") == 1
    for name in ("github", "markdown"):
        assert "14 not checked: 6 Weights, Top 1" in shown(name, of(make_report, found))
    assert "to check" not in shown("table", of(make_report, found), quiet=True)
    assert "not checked: " not in shown("table", make_report(make_finding()))
