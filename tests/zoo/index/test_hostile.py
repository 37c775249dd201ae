"""Files that are broken, hostile or large: one line each, in linear time, and nothing runs."""

from __future__ import annotations

import gc
import time

from cli import run_python
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loops import each

from zoo.index import load_index

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n"
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
CHAIN = "- Name: a\n  Metadata: &m0 {Layers: 3}\n" + "".join(
    f"- Name: a{i}\n  Metadata: &m{i} {{<<: *m{i - 1}}}\n" for i in range(1, 2000)
)


@each(
    "text, line",
    [
        ("[" * 100_000, 1),
        ("Models: " + "[" * 100_000 + "]" * 100_000, 1),
        ("- " * 100_000, 1),
        ("Models:\n- " + "{Metadata: " * 1000, 2),
        (LAUGHS + "Models: *j\n", 6),
        ("Models:\n" + CHAIN, None),
        ("Models:\n- &a {Name: x, Paper: *a}\n", 2),
        ("Models: *nothing\n", 1),
        ("Models:\n\t- Name: x\n", 2),
        ("Models:\n- Name: x\x00\n", 2),
        ("Models:\n- Name: x\x1b[31m\n", 2),
        ("Models:\n- Name: x\x9b31m\n", 2),
        ("Models: [{Name: 'x}]\n", None),
        ("Models:\n- Name: é\n".encode("latin-1"), 2),
        ("Models: []\n".encode("utf-16"), 1),
        (b"\xff\xfe\x00", 1),
        (b"", 1),
        ("# a remark\n", 1),
        ("--- a\n" * 2000, None),
        ("Models:\n", 1),
        ("Models: []\n", 1),
        ("Models: 5\n", 1),
        ("Collections: [{Name: C}]\n", 1),
        ("Import: []\n", 1),
        ("Hello: world\n", 1),
    ],
)
def test_a_file_of_no_use_gets_a_line(read, text, line):
    started = time.process_time()
    index = read(text)
    assert time.process_time() - started < 5
    assert (index.variants, index.unusable) == ((), ("index.yml",))
    errors = [p for p in index.problems if p.severity == "error"]
    assert len(errors) == 1
    assert line in (None, errors[0].location.line)
    assert all(str(p).isprintable() for p in index.problems)


def test_aliases_are_bounded_in_number_and_in_depth(read):
    (problem,) = read(LAUGHS + "Models: *j\n").problems
    assert "aliases expand" in problem.message
    (problem,) = read("Models:\n" + "".join(CHAIN.splitlines(keepends=True)[:200])).problems
    assert "nested" in problem.message


def test_long_texts_are_shortened_in_messages(read):
    for key in ("Parameters", "Image Size", "Interpolation", "Weights", "Crop Pct", "Mystery"):
        index = read(f"Models:\n- Name: x\n  {key}: {'1' * 10**6}\n")
        assert index.problems
        assert all(len(str(p)) < 500 and len(p.documented or "") <= 80 for p in index.problems)


@each(
    "row", ["  k{i}zz: 1\n", "  In Collection: c{i}\n", "  Interpolation: w{i}\n", "  Layers: x\n"]
)
def test_faults_by_the_thousand_are_all_reported(read, row):
    text = "Models:\n" + "".join(f"- Name: m{i}\n" + row.format(i=i) for i in range(1000))
    assert len(read(text).problems) == 1000


def test_tags_are_never_constructed(read, tmp_path):
    marker = tmp_path / "ran"
    for tag in (
        f"!!python/object/apply:os.system ['touch {marker}']",
        f"!!python/object/new:subprocess.check_call [['touch', '{marker}']]",
        f"!!python/object/apply:os.mkdir ['{marker}']",
    ):
        index = read(f"Models:\n- Name: m\n  Layers: {tag}\n  Other: {tag}\n")
        assert index.problems[0].cause == "schema.wrong-type"
    assert not marker.exists()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_to_an_index_is_survived(read, seed_index, data):
    text = seed_index.read_text(encoding="utf-8")[:3000]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    broken = text[:start] + data.draw(st.text(max_size=30)) + text[end:]
    for name in ("a.yml", "a.md"):
        whole = broken if name == "a.yml" else f"<!--\nType: model-index\n{broken}-->"
        index = read(whole.encode("utf-8", "surrogatepass"), name)
        for problem in index.problems:
            assert str(problem).isprintable()
            assert problem.location.line <= whole.count("\n") + whole.count("\r") + 1
        assert index.variants or index.problems


def test_reading_needs_no_heavy_library():
    code = (
        "import sys; from zoo.index import load_index, package_index as packaged;"
        "load_index([packaged()]);"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'pandas', 'httpx', 'matplotlib', 'pydantic', 'numpy', 'importlib.metadata'}))"
    )
    done = run_python(["-c", code], check=True)
    assert done.stdout.strip() == "[]"


@each("enabled", [True, False])
def test_the_search_for_cycles_is_left_as_it_was(tmp_path, enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        load_index([tmp_path / "none.yml"])
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
