"""Real pages: the zoo's own index against the page it comes from, and other zoos' indexes."""

from __future__ import annotations

import pytest

from zoo.index import load_index


def seed_rows(page):
    """The lines of the page's model-index comment; each ends in a bar, indentation is lost."""
    lines = [
        line.rstrip().removesuffix("|").strip() for line in page.read_text("utf-8").splitlines()
    ]
    rows = lines[lines.index("<!--") + 1 : lines.index("-->")]
    return [row for row in rows if row][1:]  # less the Type


@pytest.fixture
def seed(repository):
    page = repository.parent / "shared" / "seed" / "resnest-page.txt"
    if not page.is_file():
        pytest.skip("the page that the index was taken from is not beside the checkout")
    return seed_rows(page)


def test_the_index_says_what_its_page_says_line_by_line(seed_index, seed):
    lines = seed_index.read_text("utf-8").splitlines()
    assert [line.strip() for line in lines] == seed


def test_the_index_is_read_as_the_page_means_it(seed_index, seed):
    index = load_index([seed_index])
    documented: list[tuple[str, str]] = []
    for row in seed[seed.index("Models:") + 1 :]:
        key, colon, value = row.removeprefix("- ").partition(": ")
        if colon:
            documented.append((key, value.strip("'")))
        elif not row.endswith(":"):
            name, items = documented.pop() if documented else ("", "")
            documented.append((name, f"{items}, {key}" if items else key))
        elif key not in ("Metadata:", "Results:", "Metrics:"):
            documented.append((key[:-1], ""))
    read = [(c.field, c.raw) for variant in index.variants for c in variant.claims]
    assert read == documented
    assert len(index.variants) == 8
    assert all(c.value is not None for v in index.variants for c in v.claims)
    assert {(p.severity, p.cause) for p in index.problems} == {("note", "schema.quoted-number")}


def test_pages_of_timm(shared_corpus):
    pages = sorted((shared_corpus / "timm-docs").glob("*.mdx"))
    index = load_index([shared_corpus / "timm-docs"])
    assert len(pages) == len(index.files) == len(index.collections) == 14
    # What the pages say at the place that a claim names, read without any YAML.
    texts = {str(page): page.read_text("utf-8").splitlines() for page in pages}
    assert len(index.variants) == sum(
        line.startswith("- Name: ") for lines in texts.values() for line in lines
    ) - len(pages)
    for variant in index.variants:
        assert variant.collection is not None
        for claim in variant.claims:
            if claim.unit != "list":
                where = claim.location
                line = texts[where.file][where.line - 1]
                assert line[where.column - 1 :].strip("'") == claim.raw
                assert line.lstrip(" -").startswith(f"{claim.field}: ")
    assert not [str(p) for p in index.problems if p.severity == "error"]


def test_the_tree_of_mmpretrain(shared_corpus):
    index = load_index([shared_corpus / "mmpretrain"])
    files = sorted((shared_corpus / "mmpretrain").rglob("metafile.yml"))
    count = sum(
        line.startswith("  - Name: ")
        for file in files
        for line in file.read_text("utf-8").splitlines()
    )
    assert len(index.variants) == count - len(files)
    assert len(index.files) == len(files) + 1
    assert [str(p) for p in index.problems] == []
    assert index.variants == load_index([shared_corpus / "mmpretrain" / "model-index.yml"]).variants
