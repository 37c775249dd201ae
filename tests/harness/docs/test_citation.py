"""`zoo cite`: the entry of the index, and what is made where there is none."""

from __future__ import annotations

import re

from cli import said

OWN = "Collections:\n- Name: Net One\n{0}Models:\n- Name: a\n  In Collection: Net One\n{1}"


def fields(entry: str) -> dict[str, str]:
    """The fields of one BibTeX entry, read by counting braces."""
    kind = re.match(r"@\w+\{[^\s,{}]+,", entry)
    assert kind, entry
    found, position = {}, kind.end()
    while match := re.compile(r"\s*(\w+)\s*=\s*\{").match(entry, position):
        depth, start = 1, match.end()
        position = start
        while depth:
            if entry[position] == "\\":
                position += 1
            else:
                depth += {"{": 1, "}": -1}.get(entry[position], 0)
            position += 1
        found[match[1].lower()] = entry[start : position - 1]
        comma = re.compile(r"\s*,?").match(entry, position)
        position = comma.end() if comma else position
    assert entry[position:].strip() == "}", entry[position:]
    return found


def test_the_entries_of_this_zoo(zoo, repository):
    resnest = zoo("cite", "resnest50d", folder=repository)
    assert resnest.returncode == 0
    entry = fields(resnest.stdout)
    assert entry["eprint"] == "2004.08955"
    assert entry["year"] == "2020"
    assert entry["title"] == "{ResNeSt}: Split-Attention Networks"
    authors = " ".join(entry["author"].split()).split(" and ")
    assert (authors[0], authors[-1], len(authors)) == ("Zhang, Hang", "Smola, Alexander", 12)
    lite = fields(zoo("cite", "efficientnet_lite2", folder=repository).stdout)
    assert (lite["year"], lite["eprint"]) == ("2019", "1905.11946")
    assert lite["author"] == "Tan, Mingxing and Le, Quoc V."


def test_an_entry_of_many_variants_is_printed_once(zoo, repository):
    done = zoo("cite", "*", folder=repository)
    assert done.stdout.count("\n@") + 1 == 2
    for part in done.stdout.split("\n\n"):
        assert fields(part)
    assert done.stdout.endswith("}\n")


def test_the_page_shows_the_same_entry(zoo, repository):
    for name in ("resnest50d", "efficientnet_lite0"):
        entry = zoo("cite", name, folder=repository).stdout
        pages = (repository / "docs" / "models").glob("*.md")
        assert any(f"```bibtex\n{entry}```" in page.read_text("utf-8") for page in pages)


def test_a_paper_makes_a_small_entry(zoo, tmp_path):
    paper = "  Paper:\n    Title: '50% of {A_B} & #1 ~^'\n    URL: https://example.org/a_b%20c\n"
    (tmp_path / "i.yml").write_text(OWN.format(paper, ""))
    done = zoo("cite", "a", "--index", "i.yml")
    assert done.returncode == 0
    assert done.stdout.startswith("@misc{net-one,\n")
    assert fields(done.stdout) == {
        "title": r"{50\% of \{A\_B\} \& \#1 \textasciitilde{}\textasciicircum{}}",
        "url": "https://example.org/a_b%20c",
    }


def test_a_variants_own_citation_comes_first(zoo, tmp_path):
    ours = "  Citation: '@misc{ours, title = {Ours}}'\n"
    theirs = "  Citation: '@misc{theirs, title = {Theirs}}'\n"
    (tmp_path / "i.yml").write_text(
        OWN.format(theirs, ours) + "- Name: b\n  In Collection: Net One\n"
    )
    assert zoo("cite", "a", "--index", "i.yml").stdout == "@misc{ours, title = {Ours}}\n"
    assert zoo("cite", "b", "--index", "i.yml").stdout == "@misc{theirs, title = {Theirs}}\n"


def test_nothing_to_cite_is_wrong_use(zoo, tmp_path):
    for paper in ("", "  Paper: https://example.org/x\n", "  Paper:\n    URL: https://e.org/x\n"):
        (tmp_path / "i.yml").write_text(OWN.format(paper, ""))
        done = zoo("cite", "a", "--index", "i.yml")
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = said(done.stderr).splitlines()
        assert re.match(r"i\.yml:\d+:9: a: the index names no Citation", line)


def test_an_unknown_variant_is_wrong_use(zoo, repository):
    done = zoo("cite", "resnest51d", folder=repository)
    assert (done.returncode, done.stdout) == (2, "")
    assert "resnest50d" in said(done.stderr)


def test_a_hostile_entry_commands_no_terminal(zoo, tmp_path):
    citation = '  Citation: "@misc{a,\\n\\ttitle = {\\u200bx\\u2060}}"\n'
    (tmp_path / "i.yml").write_text(OWN.format(citation, ""))
    done = zoo("cite", "a", "--index", "i.yml")
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[0] == "@misc{a,"
