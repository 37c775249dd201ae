"""A baseline that settings name goes with the index that they name."""

from __future__ import annotations

import json

import pytest

INDEX = "Models:\n- Name: {}\n  Metadata:\n    Crop Pct: 8.75\n"
ENTRY = """\
accepted:
- variant: {}
  field: Crop Pct
  cause: schema.out-of-range
  documented: '8.75'
  reason: upstream was asked
"""


@pytest.fixture
def place(folder):
    """An index of two files, of one fault each, one of them known; and another, of the same."""
    (folder / "model-index" / "net.yml").write_text(INDEX.format("resnest14d"))
    (folder / "model-index" / "more.yml").write_text(INDEX.format("resnest26d"))
    (folder / "other.yml").write_text(INDEX.format("resnest14d"))
    (folder / "known.yml").write_text(ENTRY.format("resnest14d"))
    (folder / "deep").mkdir()
    return folder


@pytest.fixture
def settings(place):
    def write(**values):
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
        (place / "pyproject.toml").write_text(f"[tool.zoo]\n{''.join(lines)}")

    return write


@pytest.fixture
def found(zoo):
    """How many errors are new, how many known, how many entries stale; and what is said."""

    def audit(*arguments, **environment):
        done = zoo("audit", "--format", "json", *arguments, **environment)
        findings = json.loads(done.stdout)["findings"]
        errors = [f for f in findings if f["severity"] == "error"]
        known = sum("accepted" in f for f in errors)
        stale = sum(f["cause"] == "baseline.stale" for f in findings)
        assert done.returncode == (len(errors) > known)
        return (len(errors) - known, known, stale), done.stderr

    return audit


def test_another_index_is_judged_without_it(settings, found, place):
    (place / "link").symlink_to(place / "model-index")
    (place / "linked.yml").symlink_to(place / "model-index" / "net.yml")
    for named in ({"index": "model-index"}, {"index": ["model-index"]}):
        settings(baseline="known.yml", **named)
        assert found("--index", "other.yml")[0] == (1, 0, 0)
    settings(baseline="known.yml")  # That which lies there is meant.
    for same in (
        [],
        ["model-index"],
        ["./model-index/"],
        [str(place / "model-index")],
        ["link"],
    ):
        (new, known, stale), said = found(*(w for i in same for w in ("--index", i)))
        assert (new, known, stale) == (1, 1, 0), same
        assert "known.yml" not in said
    # A part of it, by whatever name, is still of it; and what that part lacks is not stale.
    for part, counts in (
        ("model-index/net.yml", (0, 1, 0)),
        ("model-index/more.yml", (1, 0, 0)),
        ("linked.yml", (0, 1, 0)),
        ("model-index/*.yml", (1, 1, 0)),
    ):
        assert found("--index", part)[0] == counts, part
    counts, said = found("--index", "other.yml")
    assert counts == (1, 0, 0)
    first, second = said.splitlines()
    assert first.startswith("1 variant of index other.yml")
    assert "known.yml is of the index" in second
    assert "--baseline known.yml would" in second
    assert found("--index", "other.yml", "--quiet")[1] == ""
    # Beside its own, the other keeps its faults: the two errors more are of one name twice.
    (new, known, stale), said = found("--index", "model-index", "--index", "other.yml")
    assert (known, stale) == (1, 0)
    assert new >= 2
    assert "known.yml is of the index" in said


def test_one_that_is_given_goes_with_any(settings, found):
    settings(baseline="known.yml", index="model-index")
    assert found("--index", "other.yml", "--baseline", "known.yml")[0] == (0, 1, 0)
    assert found("--index", "other.yml", ZOO_BASELINE="known.yml")[0] == (0, 1, 0)
    # Variables that name both bind the one to the other, and leave the file's to itself.
    both = {"ZOO_BASELINE": "known.yml", "ZOO_INDEX": "other.yml"}
    assert found(**both)[0] == (0, 1, 0)
    assert found("--index", "model-index/net.yml", **both)[0] == (1, 0, 0)
    assert found(ZOO_INDEX="other.yml")[0] == (1, 0, 0)


def test_paths_are_seen_from_the_file(settings, zoo, place, environment):
    from cli import run_zoo

    settings(baseline="known.yml", index="model-index")
    for arguments, status in (
        ((), 1),
        (("--index", "../model-index/net.yml"), 0),
        (("--index", "../other.yml"), 1),
        (("--index", "../other.yml", "--baseline", "../known.yml"), 0),
    ):
        done = run_zoo(("audit", *arguments), cwd=place / "deep", environment=environment)
        assert done.returncode == status, arguments


def test_it_is_not_written_for_another(settings, zoo, place):
    settings(baseline="known.yml", index="model-index")
    before = (place / "known.yml").read_bytes()
    verify = ("verify", "--all", "--checks", "metadata", "--index", "other.yml", "--write-baseline")
    done = zoo(*verify)
    assert done.returncode == 2
    assert "name another file: --write-baseline FILE.yml" in done.stderr
    assert (place / "known.yml").read_bytes() == before
    assert zoo(*verify, "mine.yml").returncode == 0
    assert "resnest14d" in (place / "mine.yml").read_text()
    # Its own index may.
    done = zoo("verify", "--all", "--checks", "metadata", "--write-baseline")
    assert "known.yml: 2 entries, 1 new, 0 removed" in done.stderr


def test_a_baseline_without_an_index_goes_with_any(zoo, place, settings):
    settings(baseline="known.yml")
    for path in (place / "model-index").iterdir():
        path.unlink()
    (place / "model-index").rmdir()
    assert zoo("audit", "--index", "other.yml").returncode == 0


@pytest.mark.slow
def test_the_numbers_of_the_summary_are_those_of_the_document(place, zoo):
    """A run that has every state, counted once more from what programs read."""
    (place / "model-index" / "more.yml").write_text(
        "Models:\n- Name: resnest26d\n  Metadata:\n    Crop Pct: 7.5\n    Image Size: '224'\n"
        "    Layers: 26\n    FLOPs: 4678918720\n  Results:\n  - Task: Image Classification\n"
        "    Dataset: ImageNet\n    Metrics:\n      Top 1 Accuracy: 78%\n"
    )
    run = ("verify", "--all", "--offline", "--baseline", "known.yml")
    document = json.loads(zoo(*run, "--format", "json").stdout)
    count = dict.fromkeys(("error", "warning", "note", "held", "not checked", "accepted"), 0)
    for finding in document["findings"]:
        if "accepted" in finding:
            count["accepted"] += 1
        elif finding["severity"] is not None:
            count[finding["severity"]] += 1
        else:
            count["held" if finding["status"] == "match" else "not checked"] += 1
    assert all(count.values()), count
    said = ", ".join(
        f"{number} {state}{'s' if state in ('error', 'warning', 'note') and number != 1 else ''}"
        for state, number in count.items()
    )
    for more in ((), ("--verbose",), ("--quiet",)):
        assert zoo(*run, *more).stdout.splitlines()[0] == f"2 variants: {said}"
    summary = document["summary"]
    assert summary["errors"] == count["error"]
    assert summary["accepted"] == count["accepted"]
    assert summary["match"] == count["held"]
