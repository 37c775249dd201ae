"""Every command takes time in proportion to what it reads, whatever there is much of.

Each dimension of an index is measured at a size and at four times as much, in processor time:
doubling it may take two and a half times as long, so that four times as much takes 6.25 times.
What is quadratic takes sixteen times. A noisy machine only makes single runs slower, so that the
best of several counts.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import time

import cli
import pytest
from cli import run_zoo

TIMES, SLACK_S, TRIES = 2.5**2, 0.06, 4
URL = "https://example.org/"
RESULT = (
    "  Results:\n  - Task: Image Classification\n    Dataset: {}\n"
    "    Metrics:\n      Top 1 Accuracy: {}%\n"
)
HEAD = "Collections:\n- Name: C\n"


def model(i, url="net{i}-{i:08x}.pth", parameters=25_000_000, meta="", results=None, head=""):
    """An entry with everything that checks compare."""
    weights = f"  Weights: {URL}{url.format(i=i)}\n" if url else ""
    results = RESULT.format("ImageNet", "80.1") if results is None else results
    return (
        f"- Name: net{i}\n{head}{weights}  Metadata:\n    Parameters: {parameters}\n"
        f"    FLOPs: 4000000000\n{meta}{results}"
    )


def index(entries, head=""):
    return f"{head}Models:\n{''.join(entries)}"


def several(make, head=""):
    """A dimension: so many entries."""
    return lambda n, folder: index(map(make, range(n)), head)


def inside(make, before="", after="", head=""):
    """A dimension: so many lines in one entry, beside a second entry that is plain."""

    def text(n, folder):
        meta = before + "".join(make(i) for i in range(n)) + after
        return index([model(0, meta=meta), model(1)], head)

    return text


def listed(make):
    """A dimension: so many lines of results in each of two entries that share a file."""

    def text(n, folder):
        results = "  Results:\n" + "".join(make(i) for i in range(n))
        return index([model(i, "one.pth", 1_000_000, "", results) for i in range(2)])

    return text


def result(dataset, value):
    return RESULT.format(dataset, value).removeprefix("  Results:\n")


def field(pattern):
    """A dimension: the length of one value, in every field that reads values in its own way."""
    fields = (
        "Weights", "Code", "SHA256", "FLOPs", "File Size", "Layers", "Crop Pct", "Image Size",
        "Mean", "Interpolation", "Architecture", "Paper", "In Collection", "Base", "Odd Key",
    )  # fmt: skip

    def text(n, folder):
        long = pattern * (n // len(pattern))
        entries = [f"- Name: '{long}'\n  Weights: {URL}a1.pth\n"]
        entries += [f"- Name: f{i}\n  {key}: '{long}'\n" for i, key in enumerate(fields)]
        entries += [f"- Name: g{i}\n  {key}: '1{long}x'\n" for i, key in enumerate(fields)]
        return index([*entries, model(1)])

    return text


def metrics_of(pattern):
    """A dimension: the length of a metric's text, and of a name with an accuracy."""

    def text(n, folder):
        long = pattern * (n // len(pattern))
        entries = [f"- Name: '{long}'\n  Weights: {URL}one.pth\n{RESULT.format('D', 80)}"]
        for k in range(2):
            results = RESULT.format(f"'{long}'", 80)
            results += f"      A: '{long}'\n      B: '1{long}'\n      C: '{long}: 1'\n"
            entries.append(model(k, "one.pth", results=results))
        return index(entries)

    return text


def page(make):
    """A dimension of a Markdown page, before its model-index."""
    return lambda n, folder: f"{make(n)}\n<!--\nType: model-index\n{index([model(0)], HEAD)}-->\n"


def imported(entry, lines=lambda n: "".join(f"- m{i}.yml\n" for i in range(n))):
    """A dimension: so many files."""

    def text(n, folder):
        for i in range(n):
            (folder / f"m{i}.yml").write_text(entry(i), encoding="utf-8")
        return f"Import:\n{lines(n)}"

    return text


def anchored(n, folder):
    """Entries that share their values by an alias."""
    shared = [f"- Name: net{i}\n  Weights: {URL}one.pth\n  Metadata: *m\n" for i in range(1, n)]
    first = "- Name: net0\n  Weights: {}one.pth\n  Metadata: &m\n    Parameters: 1000000\n"
    return index([first.format(URL), *shared])


# Name -> (size, the text of that size).
MANY = {
    "variants": (60, several(lambda i: model(i, parameters=25_000_000 + i))),
    "one URL": (60, several(lambda i: model(i, "one.pth", 1_000_000 + i))),
    "one URL, two counts": (60, several(lambda i: model(i, "one.pth", 1_000_000 + i % 2))),
    "one URL, own inputs": (
        60,
        several(
            lambda i: model(
                i, "one.pth", 1_000_000, f"    Image Size: {i + 8}\n", RESULT.format("D", 60 + i)
            )
        ),
    ),
    "seven URLs": (60, several(lambda i: model(i, f"{i % 7}.pth", 1_000_000 + i))),
    "one owner": (60, several(lambda i: model(i, "net5.pth", 1_000_000 + i))),
    "aliases": (60, several(lambda i: model(i, "one.pth", 1_000_000))),
    "anchored": (120, anchored),
    "one size": (
        60,
        several(lambda i: model(i, parameters=1_000_000 + i, meta="    File Size: 4000123\n")),
    ),
    "one hash": (60, several(lambda i: model(i, meta=f"    SHA256: {'ab' * 32}\n"))),
    "one head of hashes": (60, several(lambda i: model(i, meta=f"    SHA256: {i:064x}\n"))),
    "one name": (60, several(lambda i: model(1, parameters=1_000_000 + i))),
    "collections": (
        60,
        lambda n, folder: index(
            (model(i, head=f"  In Collection: C{i}\n") for i in range(n)),
            "Collections:\n" + "".join(f"- Name: C{i}\n" for i in range(n)),
        ),
    ),
    "unknown collections": (
        60, several(lambda i: model(i, head=f"  In Collection: X{i}\n"), HEAD),
    ),
    "faults": (
        60,
        several(lambda i: model(i, meta=f"    K{i}y: 1\n    Interpolation: w{i}\n    Layers: x\n")),
    ),
    "members": (60, several(lambda i: model(i, head="  In Collection: C\n"), HEAD)),
    "files": (
        30,
        imported(
            lambda i: index(
                [model(i, head=f"  In Collection: C{i}\n")], f"Collections:\n- Name: C{i}\n"
            )
        ),
    ),
    "results": (60, listed(lambda i: result(f"D{i}", 80))),
    "results of one data set": (60, listed(lambda i: result("D", f"{60 + i / 100}"))),
    "metrics": (
        120,
        lambda n, folder: index(
            model(k, "one.pth", results=RESULT.format("D", 80 + k))
            + "".join(f"      M{i}: {80 + k}\n" for i in range(n))
            for k in range(2)
        ),
    ),
    "keys": (120, inside(lambda i: f"    Key {i}: 1\n")),
    "one key": (120, inside(lambda i: f"    Layers: {i + 1}\n")),
}  # fmt: skip
# What only reading meets.
READ = {
    "imports by one pattern": (
        30, imported(lambda i: index([model(i)]), lambda n: "- m*.yml\n" * n)
    ),
    "imports that are missing": (
        120, lambda n, folder: "Import:\n" + "".join(f"- x{i}.yml\n" for i in range(n))
        + index([model(0)]),
    ),
    "class names": (
        500, inside(lambda i: f"    - class {i}\n", "    Classes: 3\n    Class Names:\n")
    ),
    "anchors": (250, inside(lambda i: f"    K{i}: &a{i} 1\n    L{i}: *a{i}\n")),
    "merges": (250, inside(lambda i: "*x, ", "    X: &x {Layers: 5}\n    <<: [", "]\n")),
    "directives": (
        2000,
        lambda n, folder: "".join(f"%TAG !a{i}! x\n" for i in range(n)) + "---\nModels: []\n",
    ),
    "documents": (
        100, lambda n, folder: "---\n".join(index([model(i)]) for i in range(n))
    ),
    "brackets": (2000, lambda n, folder: f"Models: {'[' * n}"),
    "dashes": (2000, lambda n, folder: f"Models:\n{'- ' * n}"),
    "blank lines": (8000, inside(lambda i: "\n")),
    "comments": (8000, inside(lambda i: "# x\n")),
    "blanks": (20_000, inside(lambda i: " ", "    Layers: ", "5\n")),
    "lines of a text": (
        2000, inside(lambda i: "      word\n", "    Description: |\n")
    ),
    "a list": (1000, inside(lambda i: "1, ", "    Mean: [", "1]\n")),
    "a text of letters": (8000, field("a")),
    "of digits": (8000, field("1")),
    "of both": (8000, field("a1")),
    "of blanks": (8000, field(" ")),
    "of words": (8000, field("net ")),
    "of signs": (8000, field("+-")),
    "of brackets": (8000, field("([<")),
    "of URLs": (8000, field("(http://")),
    "of sizes": (8000, field("1x ")),
    "of commas": (8000, field("1, ")),
    "of slashes": (8000, field("a/")),
    "of underscores": (8000, field("1_")),
    **{
        f"a metric of {pattern!r}": (4000, metrics_of(pattern))
        for pattern in ("a", "1", " ", "(", "a: 1, ", "1, ", "a:", "1 (", "+/-", "1way")
    },
}  # fmt: skip
PAGE = {
    "an opening and blanks": (8000, page(lambda n: "<!--" + " " * n)),
    "openings and blanks": (2000, page(lambda n: "<!--  \t" * n)),
    "openings and lines": (2000, page(lambda n: "<!--\n" * n)),
    "an opening and lines": (8000, page(lambda n: "<!--" + " \n" * n + "x")),
    "fences": (2000, page(lambda n: "```\n" * n + "```\n" * n)),
    "fences of many lengths": (
        2000, page(lambda n: "".join(f"{'`' * (3 + i % 40)}\n" * 2 for i in range(n)))
    ),
    "ticks": (8000, page(lambda n: "x" + "`" * n)),
    "lines": (8000, page(lambda n: "text\n" * n)),
    "returns": (8000, page(lambda n: "\r" * n)),
    "front matter": (8000, page(lambda n: "---\nmodel-index\n" + "---  x\n" * n)),
    "blocks": (
        50,
        lambda n, folder: "".join(
            f"<!--\nType: model-index\n{index([model(i)])}-->\n" for i in range(n)
        ),
    ),
    "a card's results": (
        120,
        lambda n, folder: "---\nmodel-index:\n- name: net0\n  results:\n"
        + "  - task: {type: image-classification}\n    dataset: {name: D, type: d}\n"
        "    metrics:\n    - {type: accuracy, value: 0.5}\n" * n + "---\n",
    ),
}  # fmt: skip
BASE = "    Base: resnest14d\n    Image Size: 224\n"


def built(i, parameters=10_611_688, **more):
    """An entry that is built, and whose facts are in the store."""
    # A figure that has to be explained takes much longer than all that is to be seen here.
    return model(i, parameters=parameters, meta=BASE, **more).replace("4000000000", "2764157888")


BUILT = {
    "that hold": (30, several(built)),
    "that are wrong": (30, several(lambda i: built(i, 20_000_000 + i))),
    "half of them right": (30, several(lambda i: built(i, 10_611_688 + i % 2 * (9_000_000 + i)))),
    "of one URL": (30, several(lambda i: built(i, 20_000_000 + i, url="one.pth"))),
    "of one name": (30, several(lambda i: built(1, 20_000_000 + i))),
    "results": (60, lambda n, folder: index([
        built(0, results="  Results:\n" + "".join(result(f"D{i}", 80) for i in range(n)))
    ])),
    "results of one data set": (60, lambda n, folder: index([
        built(0, results="  Results:\n" + "".join(result("D", 60 + i / 100) for i in range(n)))
    ])),
    "counts": (50, inside(lambda i: f"    Parameters: {20_000_000 + i}\n", BASE)),
    "anchored": (
        30,
        lambda n, folder: anchored(n, folder).replace("    Param", f"{BASE}    Param", 1),
    ),
    "files": (20, imported(lambda i: index([built(i, 20_000_000 + i)]))),
}  # fmt: skip


@pytest.fixture
def seconds(tmp_path, monkeypatch):
    """The processor time of a command on a text of some size."""
    numbers = iter(range(10**6))

    def run(words, size, text, file="index.yml"):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        monkeypatch.chdir(folder)
        (folder / file).write_text(text(size, folder), encoding="utf-8", newline="")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ZOO_")
        }
        environment |= {"XDG_CACHE_HOME": str(folder / "cache"), "TORCH_HOME": str(folder / "t")}
        gc.collect()
        begin = time.process_time()
        done = run_zoo([*words, "--index", file], cwd=folder, environment=environment)
        taken = time.process_time() - begin
        assert "Traceback" not in done.stderr
        return taken, done

    return run


@pytest.fixture
def linear(seconds):
    """Asserts that a command takes its time in proportion; all dimensions that don't are named."""

    def check(words, dimensions, file="index.yml", statuses=(0, 1)):
        slow = {}
        first = next(iter(dimensions.values()))[1]
        seconds(words, 1, first, file)  # what is imported once
        least, _ = seconds(words, 1, first, file)
        for name, (size, text) in dimensions.items():
            small = large = float("inf")
            for _ in range(TRIES):
                taken, done = seconds(words, 4 * size, text, file)
                assert done.returncode in statuses, (name, done.stderr[-500:])
                large = min(large, taken)
                # The smaller size takes the least at the least: often it need not be run.
                if large <= TIMES * least + SLACK_S:
                    break
                small = min(small, seconds(words, size, text, file)[0])
                if large <= TIMES * small + SLACK_S:
                    break
            else:
                slow[name] = f"{small:.3f} s, four times as much: {large:.3f} s"
        assert slow == {}

    return check


@pytest.fixture
def copied_facts(monkeypatch):
    """Measure one model for all entries that are built as it is: only the rest shall take time."""
    real, known = cli._Here._made, {}

    def made(engine, job):
        key = (job.kinds, job.sizes, job.recipe.base)
        if key not in known:
            known[key] = real(engine, job)
        return [dataclasses.replace(fact, name=job.recipe.name) for fact in known[key]]

    monkeypatch.setattr(cli._Here, "_made", made)


READING = ("audit", "--format", "json")


@pytest.mark.slow
def test_thousands_of_aliases_of_one_checkpoint_are_audited_in_seconds(seconds):
    text = several(lambda i: model(i, "one.pth", 1_000_000, results=RESULT.format("D", 80)))
    taken, done = seconds(READING, 2500, text)
    assert (done.returncode, done.stdout.count('"weights.shared-checkpoint"')) == (0, 2500)
    assert taken < 10


@pytest.mark.slow
def test_an_audit(linear):
    linear(READING, MANY)


@pytest.mark.slow
def test_reading(linear):
    linear(READING, READ, statuses=(0, 1, 2))


@pytest.mark.slow
def test_a_page(linear):
    linear(READING, PAGE, "page.md")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("list",), ("variants", "collections", "one name")),
        (("show", "net*"), ("variants", "results", "keys", "anchored")),
        (("docs",), ("collections", "members", "files", "unknown collections")),
    ],
    ids=lambda each: each[0],
)
def test_what_only_reads(linear, words, chosen):
    linear(words, {name: MANY[name] for name in chosen})


@pytest.mark.slow
@pytest.mark.parametrize("form", ["table", "junit", "sarif", "github", "markdown"])
def test_every_format(linear, form):
    chosen = ("one URL", "one name", "one key")
    linear(("audit", "--format", form), {name: MANY[name] for name in chosen})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (("verify", "--all", "--format", "json"), BUILT),
        (("fix",), BUILT),
        (
            ("verify", "--all", "--baseline", "known.yml", "--write-baseline"),
            ("that are wrong", "of one name", "files"),
        ),
        (("report", "--output", "out"), ("of one name", "results")),
        (("explain", "net*", "Parameters"), ("counts", "files")),
        (("explain", "net*", "Top 1 Accuracy"), ("results", "that hold")),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_what_measures(linear, copied_facts, words, chosen):
    linear((*words, "--offline"), {name: BUILT[name] for name in chosen})
