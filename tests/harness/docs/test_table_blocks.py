"""`zoo table`, and the tables that `zoo docs` writes into pages that people write."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path

import pytest
from hostile import TEXTS

from harness.report.comparison import COLUMNS, comparison_table
from harness.report.rows import Row
from zoo._util.text import for_terminal

INDEX = """\
Models:
- Name: resnest50d
  Metadata: {Parameters: 27480000, Image Size: 224}
- Name: resnest14d
  Metadata: {Parameters: 10610000, Image Size: 224}
"""
PAGE = """\
# Mine\t
<!-- zoo:table columns=variant,parameters-claimed,parameters -->
old
<!-- /zoo:table -->
```md
<!-- zoo:table nonsense -->
```
  trailing  """


@pytest.fixture
def page(tmp_path) -> Path:
    (tmp_path / "model-index.yml").write_text(INDEX)
    (tmp_path / "reports").mkdir()
    measured = {"parameters": 27_483_240, "image_size": None, "flops": {}}
    variant = {"name": "resnest50d", "collection": None, "builder": "zoo", "measurements": measured}
    document = {"schema": 1, "environment": {}, "variants": [variant], "findings": []}
    (tmp_path / "reports/report.json").write_text(json.dumps(document))
    path = tmp_path / "README.md"
    path.write_text(PAGE)
    return path


def test_a_block_is_written_checked_and_nothing_else_is_touched(zoo, page):
    checked = zoo("docs", "--check")
    assert checked.returncode == 1
    assert "README.md:2: the table is not up to date; run zoo docs" in checked.stdout
    named = zoo("docs", "--check", "--page", "README.md").stdout
    assert "README.md:2: the table is not up to date; run zoo docs --page README.md\n" in named
    assert page.read_text() == PAGE
    assert "README.md\n" in zoo("docs").stdout
    table = (
        "\n| Variant | Parameters, documented | Parameters, measured |\n| --- | ---: | ---: |\n"
        "| resnest50d | 27.48 M | 27.48 M |\n| resnest14d | 10.61 M | - |\n\n"
    )
    assert page.read_text() == PAGE.replace("old\n", table)
    assert zoo("docs", "--check").returncode == 0
    printed = zoo(
        "table", "--report", "reports", "--columns", "variant,parameters-claimed,parameters"
    )
    assert printed.stdout.strip() == table.strip()
    # A checkout may have other line ends, and what is measured may change.
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    assert zoo("docs", "--check").returncode == 0
    report = page.parent / "reports/report.json"
    report.write_text(report.read_text().replace("27483240", "27990000"))
    assert zoo("docs", "--check").returncode == 1
    zoo("docs")
    assert b"| 27.99 M |\r\n" in page.read_bytes()
    assert page.read_bytes().count(b"\n") == page.read_bytes().count(b"\r\n")


@pytest.mark.slow
def test_a_block_that_is_wrong_is_one_line_and_nothing_is_written(zoo, page):
    for words, line in {
        "<!-- zoo:table -->": "README.md:1: this zoo:table has no end; write <!-- /zoo:table -->",
        "<!-- /zoo:table -->": "README.md:1: <!-- /zoo:table --> ends nothing; remove it",
        "<!-- zoo:table": "README.md:1: this zoo:table is not closed; end its line with -->",
        "<!-- zoo:table column=variant -->\n<!-- /zoo:table -->": "did you mean columns?",
        "<!-- zoo:table columns -->\n<!-- /zoo:table -->": "'columns' has no value",
        "<!-- zoo:table columns=top -->\n<!-- /zoo:table -->": "'top' is not a column",
        "<!-- zoo:table columns='a -->\n<!-- /zoo:table -->": "a quote is not closed",
        "<!-- zoo:table format=csv -->\n<!-- /zoo:table -->": "'csv' is no format of a page",
        "<!-- zoo:table variants=nonet -->\n<!-- /zoo:table -->": "README.md:1: 'nonet' names",
        "<!-- zoo:table report=gone -->\n<!-- /zoo:table -->": "README.md:1: gone/report.json:",
        "<!-- zoo:table format=html format=html -->\n<!-- /zoo:table -->": "is there twice",
        "<!-- zoo:table -->\n<!-- zoo:table -->": "README.md:1: this zoo:table has no end",
    }.items():
        page.write_text(f"{words}\n")
        done = zoo("docs")
        assert (done.returncode, done.stdout) == (2, ""), words
        told = re.sub(r"\nhint: ", "; ", done.stderr.replace("error: ", ""))
        assert line in told, (words, told)
        assert not (page.parent / "docs").exists()
    assert zoo("docs", "--page", "gone.md").returncode == 2


def test_what_is_not_a_block_of_a_page_of_ours_stays(zoo, page):
    """Code by indentation, a word in a line, what is not text, what zoo docs itself writes."""
    text = "    <!-- zoo:table x -->\nsee <!-- zoo:table x --> here\n~~~\n<!-- zoo:table x\n~~~\n"
    page.write_text(text)
    (page.parent / "docs/models").mkdir(parents=True)
    (page.parent / "docs/latin.md").write_bytes(b"caf\xe9\n")
    (page.parent / "docs/models/own.md").write_text("<!-- zoo:table x -->\n")
    assert zoo("docs").returncode == 0
    assert page.read_text() == text
    (page.parent / "docs/latin.md").write_bytes(b"caf\xe9\n<!-- zoo:table -->\n")
    done = zoo("docs")
    assert (done.returncode, "docs/latin.md: can't be read: it is not UTF-8" in done.stderr) == (
        2,
        True,
    )


def test_nothing_measured_is_said_and_shown_as_such(zoo, tmp_path):
    (tmp_path / "model-index.yml").write_text(INDEX)
    done = zoo("table", "--columns", "variant,parameters,parameters-claimed", "--format", "csv")
    assert done.stdout.splitlines()[1:] == ["resnest50d,,27480000", "resnest14d,,10610000"]
    assert "nothing is measured of these yet; zoo verify --all measures them" in done.stderr
    assert zoo("verify", "resnest14d", "--checks", "parameters").returncode == 0
    printed = zoo(
        "table", "resnest14d", "--columns", "variant,parameters", "--format", "csv"
    ).stdout
    assert printed == "variant,parameters\nresnest14d,10611688\n"
    assert zoo("table", "--report", "gone").returncode == 2
    variant = {"name": "resnest50d", "collection": None, "builder": "zoo"}
    odd = {"digest": "", "of": 0, "images": 0.5, "top1": 50, "top5": 60}
    for measured, status in (
        (3, 3),
        ({"parameters": 10**40}, 3),
        ({"evaluations": [{**odd, "images": 0}]}, 3),
        ({"parameters": 5.5, "image_size": [1, 2.5], "evaluations": [odd]}, 0),
        ({"evaluations": [{**odd, "of": -3, "images": 7, "dataset": "x"}]}, 3),
        ({"evaluations": [{**odd, "of": 3, "images": 7, "dataset": "x"}]}, 0),
    ):
        entry = {**variant, "measurements": measured}
        document = {"schema": 1, "environment": {"zoo": 3}, "variants": [entry], "findings": []}
        (tmp_path / "report.json").write_text(json.dumps(document))
        done = zoo("table", "--report", "report.json")
        assert done.returncode == status, (measured, done.stderr)
        assert ("report.json: is no report" in done.stderr) == bool(status)
        done = zoo("cards", "--report", "report.json", "--output", "c")
        assert (done.returncode, "internal" in done.stderr) == (status, False)


def test_text_of_an_index_stays_text_in_every_format():
    columns = ("variant", "collection")
    for text in TEXTS:
        rows = [Row(text, text, "zoo", "match")] * 2
        shown = for_terminal(text) if len(text) <= 80 else for_terminal(text[:79] + "…")
        made = {f: comparison_table(rows, columns, f) for f in ("markdown", "csv", "latex", "html")}
        body = made["html"].partition("<tbody>")[2]
        cells = re.findall("<td>(.*?)</td>", body)
        assert [*map(html.unescape, cells)] == [shown or "-"] * 4
        assert set(re.findall(r"<[^>]*>", body)) == {
            "<tr>",
            "</tr>",
            "<td>",
            "</td>",
            "</tbody>",
            "</table>",
        }
        assert [line.count("|") for line in made["markdown"].splitlines()] == [3] * 4
        assert len([*csv.reader(io.StringIO(made["csv"]))]) == 3
        lines = made["latex"].splitlines()
        assert len(lines) == 8
        for line in lines[4:6]:
            bare = re.sub(r"\\[&%$#_{}]|\\text[a-z]+\{\}", "", line.removesuffix(" \\\\"))
            assert bare.count("&") == 1
            assert not re.search(r"[\\%$#_~^<>|]", bare), line
            assert not line.startswith(("  [", "  *"))


def test_columns_that_say_of_each_number_what_it_is():
    for name, column in COLUMNS.items():
        if not column.is_text and name not in ("input", "images"):
            assert column.heading.endswith((", documented", ", measured", ", interval"))
            assert column.heading.endswith(", documented") == name.endswith("-claimed")
