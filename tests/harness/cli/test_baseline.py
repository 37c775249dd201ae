"""`--baseline` and `--write-baseline` of the real command, in real processes."""

from __future__ import annotations

import json

import pytest
from cli import run_python, said

from harness.report.document import json_schema

INDEX = """\
Models:
- Name: resnest14d
  Metadata:
    Parameters: 20610000
    Layers: 15
  Weights: https://zoo.example/a-11111111.pth
- Name: resnest26d
  Metadata:
    Parameters: 17070000
  Weights: https://zoo.example/a-11111111.pth
"""
VERIFY = ("verify", "--all", "--checks", "metadata,parameters,layers")


@pytest.fixture
def wrong(folder):
    """The folder, with an index of five errors: three claims of two variants."""
    (folder / "model-index" / "net.yml").write_text(INDEX)
    return folder


def findings(done, **wanted):
    found = json.loads(done.stdout)["findings"]
    return [f for f in found if all(f.get(key) == value for key, value in wanted.items())]


def test_a_baseline_is_written_and_the_next_run_passes(zoo, wrong):
    assert zoo(*VERIFY).returncode == 1
    made = zoo(*VERIFY, "--write-baseline", "--format", "json")
    assert made.returncode == 0, made.stderr
    assert "known-findings.yml: 4 entries, 4 new, 0 removed" in made.stderr
    again = zoo(*VERIFY, "--baseline", "known-findings.yml", "--format", "json")
    assert again.returncode == 0
    for done in (made, again):
        document = json.loads(done.stdout)
        assert document["summary"]["errors"] == 0
        assert document["summary"]["accepted"] == 4
        accepted = findings(done, severity="error")
        assert len(accepted) == 4
        assert all("known when this entry was written" in f["accepted"] for f in accepted)


def test_the_document_keeps_its_schema(zoo, wrong):
    import jsonschema

    validator = jsonschema.Draft202012Validator(json_schema())
    without = zoo("audit", "--format", "json")
    assert not any("accepted" in finding for finding in findings(without))
    assert "accepted" not in json.loads(without.stdout)["summary"]
    zoo(*VERIFY, "--write-baseline")
    with_one = zoo("audit", "--format", "json", "--baseline", "known-findings.yml")
    assert findings(with_one, cause="weights.shared-url")[0]["accepted"]
    for done in (without, with_one):
        validator.validate(json.loads(done.stdout))


def test_a_changed_wrong_claim_is_new(zoo, wrong):
    zoo(*VERIFY, "--write-baseline", "mine.yml")
    (wrong / "model-index" / "net.yml").write_text(INDEX.replace("Layers: 15", "Layers: 16"))
    done = zoo(*VERIFY, "--baseline", "mine.yml", "--format", "json")
    assert done.returncode == 1
    assert [f["field"] for f in findings(done, severity="error") if "accepted" not in f] == [
        "Layers"
    ]
    (stale,) = findings(done, cause="baseline.stale")
    assert stale["location"]["file"] == "mine.yml"
    line = (wrong / "mine.yml").read_text().splitlines()[stale["location"]["line"] - 1]
    assert line == "- variant: resnest14d"


def test_a_mended_claim_is_stale_and_goes_with_the_next_writing(zoo, wrong):
    zoo(*VERIFY, "--write-baseline")
    path = wrong / "known-findings.yml"
    path.write_text(path.read_text().replace("- variant", "# mine\n- variant", 1))
    (wrong / "model-index" / "net.yml").write_text(INDEX.replace("Layers: 15", "Layers: 14"))
    done = zoo(*VERIFY, "--baseline", "known-findings.yml")
    assert done.returncode == 0
    assert "note: resnest14d: Layers: the baseline accepts layers.differs here" in done.stdout
    # One variant, or other checks, say nothing of the rest.
    assert "baseline.stale" not in zoo("audit", "--baseline", "known-findings.yml").stdout
    one = zoo("verify", "resnest26d", "--checks", "layers", "--baseline", "known-findings.yml")
    assert "baseline.stale" not in one.stdout
    done = zoo(*VERIFY, "--write-baseline")
    assert "3 entries, 0 new, 1 removed" in said(done.stderr)
    assert "# mine\n" in path.read_text()
    assert "baseline.stale" not in zoo(*VERIFY, "--baseline", "known-findings.yml").stdout


def test_an_expired_entry_fails_again(zoo, wrong):
    zoo(*VERIFY, "--write-baseline")
    path = wrong / "known-findings.yml"
    path.write_text(path.read_text().replace("  reason:", "  expires: 2020-02-29\n  reason:", 1))
    done = zoo(*VERIFY, "--baseline", "known-findings.yml", "--format", "json")
    assert done.returncode == 1
    assert len([f for f in findings(done, severity="error") if "accepted" not in f]) == 1
    (expired,) = findings(done, cause="baseline.expired")
    assert expired["severity"] == "warning"


def test_audit_takes_one_and_imports_no_torch(zoo, wrong, environment):

    zoo(*VERIFY, "--write-baseline")
    script = (
        "import sys; from harness.cli import main;"
        "status = main(['audit', '--baseline', 'known-findings.yml']);"
        "heavy = {'torch', 'numpy', 'pandas', 'httpx'} & set(sys.modules);"
        "print(status, sorted(heavy), file=sys.stderr)"
    )
    done = run_python(["-c", script], cwd=wrong, env=environment, check=True)
    assert said(done.stderr).splitlines()[-1] == "0 []"


def test_settings_name_one_from_any_folder(zoo, wrong):
    (wrong / "pyproject.toml").write_text(
        '[tool.zoo]\nbaseline = "ci/known.yml"\nindex = "model-index"\n'
    )
    missing = zoo("audit")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert said(missing.stderr).startswith(
        "ci/known.yml: can't be read: No such file or directory; "
    )
    (wrong / "ci").mkdir()
    assert zoo(*VERIFY, "--write-baseline").returncode == 0
    assert (wrong / "ci" / "known.yml").exists()
    assert zoo("audit").returncode == 0
    (wrong / "ci" / "known.yml").write_text("accepted: []\n")
    assert zoo("audit").returncode == 1


@pytest.mark.parametrize("command", [("audit",), VERIFY])
def test_a_mistake_is_a_line_and_status_2(command, zoo, wrong):
    (wrong / "bad.yml").write_text("accepted:\n- variant: resnest14d\n  cause: size.shared\n")
    done = zoo(*command, "--baseline", "bad.yml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.partition(": ")[0] for line in said(done.stderr).splitlines()] == [
        "bad.yml:2:3"
    ] * 2


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("--write-baseline",), "known-findings.yml"),
        (("--write-baseline", "a.yml"), "a.yml"),
        (("--write-baseline=a.yaml",), "a.yaml"),
        (("--baseline", "a.yml", "--write-baseline"), "a.yml"),
    ],
)
def test_where_it_is_written(words, path, zoo, wrong):
    assert zoo(*VERIFY, *words).returncode == 0
    assert (wrong / path).exists()


def test_a_name_after_the_flag_is_a_variant(zoo, wrong):
    done = zoo("verify", "--checks", "layers", "--write-baseline", "resnest14d")
    assert done.returncode == 0, done.stderr
    assert "known-findings.yml: 1 entry, 1 new" in said(done.stderr)


def test_a_plan_writes_nothing(zoo, wrong):
    assert zoo(*VERIFY, "--write-baseline", "--dry-run").returncode == 0
    assert not (wrong / "known-findings.yml").exists()


def test_what_can_not_be_written_is_a_failed_run_with_its_report(zoo, wrong):
    done = zoo(*VERIFY, "--write-baseline", "no/known.yml")
    assert done.returncode == 3
    assert "resnest14d: Layers" in done.stdout
    assert "no/known.yml: can't be written: No such file or directory" in done.stdout


@pytest.mark.parametrize("name", ["table", "markdown", "junit", "sarif", "github"])
def test_every_format_of_a_run_shows_what_is_accepted(name, zoo, wrong):
    zoo(*VERIFY, "--write-baseline")
    done = zoo(*VERIFY, "--baseline", "known-findings.yml", "--format", name)
    assert done.returncode == 0
    assert "known when this entry was written" in done.stdout
