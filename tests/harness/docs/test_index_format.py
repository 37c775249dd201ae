"""The page and the JSON Schema of the index format say what the reader does."""

from __future__ import annotations

import json
import os
import re

import jsonschema
import yaml
from cli import run_zoo

from harness.docs.index_format import index_format_page
from harness.docs.index_schema import MEANINGS, index_schema
from zoo.index import load_index
from zoo.index.schema import FIELDS, NESTED

SCHEMA = index_schema()
VALID = jsonschema.Draft7Validator(SCHEMA).is_valid
# What the schema leaves to zoo audit: it speaks of several values, or of other files.
BETWEEN = {"schema.duplicate-name", "schema.unknown-collection", "schema.unreadable"}
MODEL = "Models:\n- Name: a\n  Metadata:\n    {}: {}\n"


def faults(path):
    problems = load_index([path]).problems
    return [p for p in problems if p.severity == "error" and p.cause not in BETWEEN]


def documents(path):
    text = path.read_text()
    if path.suffix in (".md", ".mdx"):
        return [yaml.safe_load(t) for t in re.findall(r"<!--\s*(Type: model.*?)-->", text, re.S)]
    return list(yaml.safe_load_all(text))


def test_every_key_is_on_the_page_with_its_meaning():
    page = index_format_page()
    inner = {key for fields in NESTED.values() for key in fields}
    assert MEANINGS.keys() == FIELDS.keys() | NESTED.keys() | inner
    for key in (*MEANINGS, "Models", "Collections", "Import", "Metadata", "Results", "Metrics"):
        rows = [line for line in page.splitlines() if line.startswith(f"| `{key}` | ")]
        assert rows, key
        assert all(row.count(" | ") == 6 for row in rows), key
    for key, readers in (("Layers", "layers"), ("FLOPs Input", "flops"), ("ID", "metadata")):
        assert f" | {readers} |" in next(r for r in page.splitlines() if r.startswith(f"| `{key}`"))


def test_the_yaml_of_the_page_is_read_without_a_finding(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", index_format_page(), re.S)
    assert len(blocks) == 5
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yml"
        path.write_text(block)
        done = run_zoo(["audit", "--index", path], cwd=tmp_path, environment=os.environ)
        assert done.returncode == 0
        assert load_index([path]).problems == (), block
        assert load_index([path]).variants
        assert VALID(yaml.safe_load(block)), block
        assert "0 errors, 0 warnings, 0 notes" in done.stdout


def test_the_examples_of_the_page_are_right_values(tmp_path):
    path = tmp_path / "a.yml"
    for key, field in FIELDS.items():
        if key in ("SHA256", "Name", "Task", "Dataset", "In Collection"):
            continue
        path.write_text(MODEL.format(key, field.example))
        assert load_index([path]).problems == (), key
        assert VALID(yaml.safe_load(path.read_text())), key


VALUES = (
    "5", "0", "-1", "0.5", "1.5", "101", "99%", "1e3", "1e9", "27.48M", "4.1 GFLOPs", "97.8 MiB",
    '"12"', "1,000", "1_000", "12 apples", "224x285", "[224, 224]", "[3, 224, 224]", "224 px",
    "0.875", "224/256", "[0.5, 0.5, 0.5]", "[127, 127, 127]", "(0.5, 0.5, 0.5)", "bicubic",
    "InterpolationMode.BICUBIC", "bicubix", "fvcore", "word", '"two words"', "[a, b]", "[1, 2]",
    "{a: 1}", "null", "n/a", '""', "https://example.org/a.pth", "a/b.pth", "ftp://example.org/a",
    "[https://example.org/a.pth, b.pth]", "true", "ab" * 32, "12345678", "[]", "nan", "300000",
)  # fmt: skip


def test_the_schema_refuses_no_value_that_is_read_and_few_that_are_not(tmp_path):
    path = tmp_path / "a.yml"
    refused = overlooked = 0
    for key in (*FIELDS, "Paper", "Code", "PARAMETERS", "Params (M)", "unknown"):
        for value in VALUES:
            path.write_text(MODEL.format(key, value))
            valid, found = VALID(yaml.safe_load(path.read_text())), faults(path)
            assert valid or found, (key, value)
            refused += not valid
            overlooked += valid and bool(found)
    assert refused > 10 * overlooked / 3, (refused, overlooked)


def test_the_schema_refuses_what_an_index_can_not_be(tmp_path):
    right = "Models:\n- Name: a\n  Results:\n  - {Task: t, Metrics: {Top 1 Accuracy: 80}}\n"
    assert VALID(yaml.safe_load(right))
    for old, new in (
        ("Name: a", "Metadata: {}"),
        ("Name: a", "Name: 5"),
        ("80", "180"),
        ("{Top 1 Accuracy: 80}", "80"),
        ("- {Task: t, Metrics", "  {Task: t, Metrics"),
        ("Models:\n", "Import: {}\nModels:\n"),
        ("Models:\n", "Builder: [zoo]\nModels:\n"),
        ("Models:\n- ", "Models:\n  "),
    ):
        text = right.replace(old, new)
        (tmp_path / "a.yml").write_text(text)
        assert not VALID(yaml.safe_load(text)), new
        assert faults(tmp_path / "a.yml"), new


def test_our_own_index_names_the_schema_that_zoo_schema_prints(repository, tmp_path):
    done = run_zoo(["schema"], cwd=tmp_path, environment=os.environ)
    assert json.loads(done.stdout) == SCHEMA
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    for path in sorted((repository / "model-index").glob("*.yml")):
        named = re.fullmatch(
            r"# yaml-language-server: \$schema=(.*)", path.read_text().split("\n")[0]
        )
        assert json.loads((path.parent / named[1]).read_text()) == SCHEMA
        assert all(map(VALID, documents(path))), path


def test_the_schema_takes_what_other_zoos_have_written(shared_corpus):
    files = [*shared_corpus.rglob("*.yml"), *shared_corpus.rglob("*.mdx")]
    assert len(files) > 50
    for path in files:
        for document in documents(path):
            assert VALID(document) or faults(path), path


def test_patterns_are_of_the_kind_that_javascript_reads_too():
    text = json.dumps(SCHEMA)
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text))
    assert len(patterns) > 10
    for pattern in map(json.loads, patterns):
        # Without the escapes and groups that Python alone knows, or that differ under /u.
        assert not re.search(r"\\[^sSd.?*+()|\[\]{}^$/\\]|\(\?[^:=]", pattern), pattern
