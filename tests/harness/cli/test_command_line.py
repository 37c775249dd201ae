"""The command without a run: help, wrong use, accidents."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys

import jsonschema
import pytest
from cli import run_python, said
from distributions import install

from harness.cli import main
from harness.config.commands import COMMANDS
from harness.config.examples import EXAMPLES
from harness.report.document import json_schema
from harness.run.session import Session

HEAVY = ("torch", "pandas", "httpx", "matplotlib", "torchvision")


def test_help_names_every_command(zoo):
    done = zoo("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for command in ("list", "show", "audit", "verify", "cache"):
        assert f"\n  {command} " in done.stdout


def test_help_cuts_no_sentence_off(zoo):
    lines = zoo("--help", COLUMNS="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines[1:] if line.endswith("...")]
    shown = " ".join(" ".join(lines).split())
    assert (
        " audit Check an index by itself, without building or measuring anything. verify " in shown
    )


def test_version(zoo):
    from zoo import __version__

    for option in ("--version", "-V"):
        done = zoo(option)
        assert (done.returncode, done.stdout, said(done.stderr)) == (0, f"zoo {__version__}\n", "")


def test_no_command_shows_the_help_and_is_no_success(zoo):
    for words in ([], ["cache"]):
        done = zoo(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert said(done.stderr) == zoo(*words, "--help").stdout
        assert "..." not in said(done.stderr).partition("Commands:")[2]


WRONG = [
    ("-x", "zoo has no option -x; see zoo --help"),
    (
        "cache cler",
        "zoo cache has no command 'cler'; did you mean clear?",
    ),
    ("verfy", "zoo has no command 'verfy'; did you mean verify?"),
    ("verify", "zoo verify is given no variant; name variants, globs or collections, or"),
    ("verify --all resnest50d", "zoo verify is given both --all and names; leave out one"),
    ("fix --all resnest50d", "zoo fix is given both --all and names; leave out one"),
    ("show", "zoo show is given no variant; name variants, globs or"),
    ("train resnest50d", "zoo train is given no --data; write --data DIR"),
    ("list --frmat json", "zoo list has no option --frmat; did you mean --format?"),
    ("list --foo", "zoo list has no option --foo; see zoo list --help"),
    ("verify --all=3", "--all takes no value; leave it out, or see zoo verify --help"),
    ("docs here", "zoo docs takes no further word, and is given 'here'; leave it out, or"),
    (
        "explain resnest50d",
        "zoo explain is given no variant; name variants, globs or collections be",
    ),
    (
        "classify resnest50d",
        "zoo classify is given no IMAGE; write one, or see zoo classify --help",
    ),
    ("cache clear -qv --yes", "--quiet: is the contrary of --verbose; leave out one"),
    ("-qv audit", "--quiet: is the contrary of --verbose; leave out one"),
    ("init --all resnest50d", "zoo init is given both --all and names; leave out one"),
    (
        "list --format xml",
        "--format: 'xml' is not a format here; write table, json, csv or concise",
    ),
    ("bench resnest50d --batch 1,0", "--batch: '1,0' is not a list of sizes; write one such as"),
    ("bench resnest50d --seconds 0", "--seconds: '0' is not a time from 0.1 seconds; write one"),
    ("verify --all --checks flop", "--checks: there are no checks 'flop'; did you"),
    ("verify --all --device gpu", "--device: 'gpu' is not a device; write auto,"),
    ("verify --all --samples 0", "--samples: 0 is not a whole number from 1; write one"),
    ("verify --all --max-bytes x", "--max-bytes: 'x' is not a size; write one such as 500MB"),
    ("verify --all --fail-on x", "--fail-on: 'x' is not a severity; write"),
    ("verify --all --format x", "--format: there is no format 'x'; there are table"),
    ("audit --index ''", "--index: [''] is not a path; write a path"),
    ("list --index ''", "--index: [''] is not a path; write a path"),
    ("explain resnest50d Layer --index ''", "--index: [''] is not a path; write a path"),
    ("audit --index", "--index is followed by no value; write --index PATH, or see zoo audit"),
]


@pytest.mark.slow
def test_an_example_of_another_zoo_has_variants(zoo):
    pytest.importorskip("torchvision")
    lines = [
        line
        for examples in EXAMPLES.values()
        for line, _ in examples
        if "--index pa" in line and "--across" not in line
    ]
    assert lines
    for line in lines:
        assert zoo(*shlex.split(line), "--offline", "--dry-run").returncode == 0, line


def test_wrong_use_is_one_line_and_2(zoo):
    for arguments, line in WRONG:
        done = zoo(*shlex.split(arguments))
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert said(done.stderr).startswith(line)
        assert said(done.stderr).count("\n") == 1
    done = zoo("audit", ZOO_FAIL_ON="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        said(done.stderr)
        == "ZOO_FAIL_ON: 'x' is not a severity; write error, warning, note, unverified or never\n"
    )


def test_wrong_use_has_a_document_where_one_is_asked_for(zoo):
    for arguments in (
        "verify nosuch",
        "verify",
        "verify --all --device gpu",
        "verify --all --builder nosuch",
        "validate resnest50d",
        "validate nosuch --data sample",
        "audit --fail-on x",
        "audit --index ''",
    ):
        words = shlex.split(arguments)
        # The environment may ask for it as well.
        for done in (zoo(*words, "--format", "json"), zoo(*words, ZOO_FORMAT="json")):
            assert done.returncode == 2, arguments
            assert said(done.stderr).count("\n") == 1
            document = json.loads(done.stdout)
            jsonschema.validate(document, json_schema())
            assert (document["variants"], document["findings"]) == ([], [])
            assert document["environment"]["python"] == platform.python_version()


def test_settings_ask_for_a_document_too_and_only_of_reports(zoo, folder):
    (folder / "pyproject.toml").write_text('[tool.zoo]\nformat = "json"\n')
    done = zoo("verify", "nosuch")
    assert (done.returncode, json.loads(done.stdout)["variants"]) == (2, [])
    for command in ("bench", "fetch"):
        done = zoo(command, "nosuch")
        assert (done.returncode, done.stdout) == (2, "")


def test_a_wrong_setting_is_one_line_and_2(zoo, folder):
    (folder / "pyproject.toml").write_text('[tool.zoo]\nformat = "xml"\n')
    done = zoo("audit")
    assert done.returncode == 2
    assert done.stdout == ""
    assert said(done.stderr).startswith(
        "pyproject.toml: [tool.zoo] format: there is no format 'xml'"
    )
    assert said(done.stderr).count("\n") == 1
    assert zoo("--help").returncode == 0


def test_help_imports_nothing_that_is_slow(environment):
    code = (
        "import sys; sys.argv = ['zoo', 'verify', '--help']\n"
        "from zoo.__main__ import main\n"
        "try: main()\n"
        f"finally: print(sorted({{*{(*HEAVY, 'rich', 'yaml')!r}}} & {{*sys.modules}}))"
    )
    done = run_python(["-c", code], env=environment)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert done.stderr == ""


OWN_ARGUMENTS = {
    "add": "a.pth --from resnest14d", "classify": "resnest14d a.jpg",
    "dataset": "a", "predictions": "a --data sample",
    "features": "resnest14d a.jpg -o a.npy", "train": "resnest14d --data a",
    "validate": "a --data sample", "explain": "a FLOPs", "verify": "--all", "fetch": "--all",
    **dict.fromkeys(("show", "bench", "cite"), "resnest14d"),
}  # fmt: skip


def test_a_working_folder_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys, repository):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    line = "error: the working folder is gone\nhint: change to one that is there\n"
    for name in {name for name in COMMANDS if " " not in name} - {
        "cache",
        "rule",
        "schema",
        "dataset",
        "diff",
        "history",
    }:
        for more in ([], ["--index", str(repository / "model-index")]):
            assert main([name, *OWN_ARGUMENTS.get(name, "").split(), *more]) == 3
            assert capsys.readouterr() == ("", line), name
    for command in (["verify", "--all"], ["audit"], ["validate", "a", "--data", "sample"]):
        assert main([*command, "--format", "json"]) == 3
        out, err = capsys.readouterr()
        assert (json.loads(out)["findings"], err) == ([], line)
    for arguments in (["--version"], ["--help"], ["verify", "--help"], ["cache", "info"]):
        assert main(arguments) == 0, arguments


def test_a_folder_that_goes_while_it_measures_costs_no_finding(zoo, folder, tmp_path, monkeypatch):
    import torch

    torch.ones(9, 9) @ torch.ones(9, 9)  # Intel's library ends a process that loads it without one.
    index = tmp_path / "net.yml"
    index.write_text("Models:\n- Name: resnest14d\n  Metadata:\n    Parameters: 10610001\n")
    verify = Session.verify

    def go(session, progress):
        shutil.rmtree(folder)
        return verify(session, progress)

    monkeypatch.setattr(Session, "verify", go)
    for name, status in {"json": 1, "github": 1, "sarif": 1, "table": 1}.items():
        folder.mkdir(exist_ok=True)
        done = zoo("verify", "--all", "--index", str(index), "--format", name)
        assert done.returncode == status, done.stderr
        assert "parameters.differs" in done.stdout
    folder.mkdir()
    assert "+    Parameters: 1061" in zoo("fix", "--index", str(index)).stdout


# An accident inside, made by a format of a third party that fails as it is told.
BROKEN = """
def render(report, *, out, options):
    raise RuntimeError("sixty\\x1b[31m four")
"""


@pytest.fixture
def broken_format(environment, tmp_path):
    """Installs a format named `broken` where the command's process looks."""
    site = tmp_path / "site"
    install(site, "broken = broken_format:render", BROKEN, group="zoo.formats")
    return {"PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], str(site)])}


def test_an_accident_is_one_line_and_3(zoo, broken_format):
    done = zoo("audit", "--quiet", "--format", "broken", **broken_format)
    assert done.returncode == 3
    assert done.stdout == ""
    assert said(done.stderr).startswith(r"internal error: RuntimeError: sixty\x1b[31m four; please")
    assert said(done.stderr).count("\n") == 1


def test_an_accident_can_be_looked_into(zoo, broken_format):
    done = zoo("audit", "--format", "broken", ZOO_DEBUG="1", **broken_format)
    assert done.returncode == 3
    assert "Traceback" in said(done.stderr)
    assert "broken_format.py" in said(done.stderr)


def test_a_reader_that_goes_away_is_no_accident(environment, folder):
    """The reader is gone before anything is written: the pipe is broken from the start."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "list"],
        cwd=folder,
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, said(done.stderr)) == (0, "2 variants of index model-index\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said(environment, folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "list"],
            cwd=folder,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    failure = said(done.stderr).splitlines()[-1]
    assert failure == "can't write to standard output: No space left on device"


def test_an_output_that_knows_ascii_alone(zoo, folder):
    index = folder / "model-index" / "net.yml"
    index.write_text(index.read_text().replace("resnest14d", "résnest模"))
    done = zoo("list", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert r"r\xe9snest\u6a21" in done.stdout
