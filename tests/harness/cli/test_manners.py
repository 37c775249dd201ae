"""What people expect of every command: its help, its errors, and the options that all have."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import typer
from cli import run_python, said

from harness.cli import output
from harness.cli.app import app
from harness.config import resolve
from harness.config.commands import COMMANDS, OWN
from harness.config.examples import EXAMPLES
from harness.config.options import GENERAL, GROUPS, SHARED

LEAVES = [name for name in COMMANDS if not any(n.startswith(f"{name} ") for n in COMMANDS)]

# For each command what can't be done, by mistakes of every kind: a variant, a device, a file, a
# format, a number, a builder that there is not, and options that contradict each other.
MISTAKES = {
    "audit": "nosuch.yml|''|--format x|--baseline nosuch.yml|model-index gone/|--index gone.yml",
    "verify": "nosuch|--all --device gpu|--all --device cuda:99|--all --format x|nosuch.yml"
    "|--all --baseline nosuch.yml|--all --data nowhere|--all resnest14d|--all --builder nosuch"
    "|--all --output afile|--all --checks x|--all --samples 5|--all --strict --fail-on never"
    "|--all -q -v|--all --log-file nowhere/x|--all --max-bytes x|--all --timeout x|--all --amp x"
    "|--all --max-memory 5|nosuch --builder timm|--all --address x",
    "validate": "nosuch --data sample|resnest14d|resnest14d --data nowhere|resnest14d --data afile",
    "predictions": "nosuch --data sample|resnest14d|resnest14d --data nowhere|",
    "bench": "nosuch||resnest14d --batch 0|resnest14d --seconds 0|resnest14d --device cuda:99",
    "report": "nosuch|--output afile|--data nowhere|--device cuda:99|--all resnest14d",
    "fix": "nosuch|--all x|--data nowhere|--device cuda:99",
    "fetch": "nosuch||--all --max-bytes 0|nosuch.yml",
    "init": "|nosuch|x --builder nosuch|--from package:x|--image-size x",
    "train": "nosuch --data images|resnest14d|resnest14d --data nowhere|resnest14d --data afile"
    "|resnest14d --data images"
    "|resnest14d --data images --freeze|resnest14d --data images --device cuda:99"
    "|resnest14d --data images --val nowhere|resnest14d --data images --output afile"
    "|resnest14d --data images --lr 0",
    "docs": "--output afile|--index nosuch.yml|here|--page gone.md",
    "table": "nosuch|--format x|--columns x|--report gone|--all resnest14d",
    "cards": "nosuch --output c||--output afile|--output c --report gone|--output c --report-url x",
    "dataset": "|gone|afile|gone --format x",
    "history": "|net|net --report nowhere|net --report afile|net FLOPs --format x",
    "diff": "|gone|gone afile|afile gone|afile afile|images images|@HEAD gone|'' afile"
    "|afile afile --format x|afile afile --fail-on x|afile afile --fail-on note",
    "manifest": "nosuch|--all resnest14d|nosuch.yml|--index gone.yml|--format csv|--max-bytes x",
    "cite": "nosuch|",
    "classify": "nosuch x.jpg|resnest14d|'resnest*' x.jpg|resnest14d - -|resnest14d x.jpg --top 0"
    "|resnest14d x.jpg --device cuda:99|resnest14d gone.jpg gone/",
    "features": "nosuch x.jpg -o a.npy|resnest14d x.jpg|resnest14d x.jpg -o a.txt"
    "|resnest14d afile -o nowhere/a.npy|resnest14d afile -o a.npy --stage 9"
    "|resnest14d gone.jpg -o a.npy",
    "add": "|gone.pth|gone.pth --from resnest14d|afile --from nosuch|afile --from resnest14d"
    "|afile --from resnest14d --data nowhere|afile --from resnest14d --device cuda:99",
    "list": "nosuch|--format x|nosuch.yml",
    "show": "nosuch||resnest14d --depth 2|resnest14d --profile --device cuda:99",
    "explain": "nosuch FLOPs|resnest14d Nosuch|resnest14d|--all",
    "schema": "x",
    "rule": "nosuch|--all flops.differs|--format x",
    "cache info": "x|--nosuch",
    "cache check": "x",
    "cache clear": "--kind x --yes|--variant= --yes|--older-than x --yes|",
}
WATCHED = """
import json, shlex, socket, sys, io, contextlib
asked = []
def ask(*words, **more):
    asked.append(words)
    raise OSError("no network here")
socket.getaddrinfo = socket.socket.connect = ask
from harness.cli import main
for line in json.load(sys.stdin):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        status = main(shlex.split(line))
    heavy = sorted({"torch", "numpy", "pandas", "httpx", "matplotlib"} & {*sys.modules})
    print(json.dumps([line, status, err.getvalue(), heavy, len(asked)]))
"""


@pytest.mark.slow
def test_mistakes_are_seen_before_anything_is_imported_or_asked(environment, folder):
    assert set(MISTAKES) == set(LEAVES)
    (folder / "afile").write_text("text")
    (folder / "images" / "cat").mkdir(parents=True)
    lines = [f"{name} {rest}" for name, tries in MISTAKES.items() for rest in tries.split("|")]
    done = run_python(["-c", WATCHED], cwd=folder, env=environment, input=json.dumps(lines))
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line for line, *_ in seen] == lines
    for line, status, err, heavy, asked in seen:
        assert (heavy, asked) == ([], 0), line
        assert status == 2 or (status == 3 and line.split()[0] in ("classify", "features")), line
        # What a run is about may be said before.
        kinds = [each.partition(": ")[0] for each in err.splitlines() if "of index" not in each]
        assert kinds, line
        assert kinds[0] == "error", err
        assert set(kinds) <= {"error", "hint"}, err


def test_an_error_and_its_hint_are_lines_of_their_own():
    for messages, lines in {
        ("a; b",): ["error: a; b"],
        ("a is wrong; write b, or c",): ["error: a is wrong", "hint: write b, or c"],
        ("a; write b; or c",): ["error: a", "hint: write b; or c"],
        ("a; did you mean b?", "c"): ["error: a", "hint: did you mean b?", "error: c"],
        ("a; see x", "b; see x"): ["error: a", "error: b", "hint: see x"],
    }.items():
        assert output.mistakes(*messages) == lines


def test_no_library_speaks_of_a_wrong_file(zoo, folder):
    theirs = r"expected|did not find|could not|scanning|while |allowed in this|token|\(at line"
    (folder / "pyproject.toml").write_text("[tool.zoo\n")
    assert "line 1, column 10 is wrong" in zoo("audit").stderr
    for number, text in enumerate(
        ("a: [1", "a: {b: 1", "a: 'b", "a: b: c", "a: @b", "a: 1\n b: 2", "- a\nb: 1", 'a: "\\q"')
    ):
        (folder / "pyproject.toml").write_text(f"[tool.zoo]\nformat = {'x' * number}]\n")
        wrong = zoo("list")
        (folder / "pyproject.toml").unlink()
        (folder / "bad.yml").write_text(f"{text}\n")
        for done in (wrong, zoo("list", "bad.yml")):
            assert done.returncode == 2, text
            assert done.stderr.startswith("error: "), text
            assert not re.search(theirs, done.stderr), done.stderr


def test_help_shows_groups_defaults_and_examples_and_no_opposite(zoo):
    opposites = {each.opposite for each in SHARED.values() if each.opposite}
    for name in LEAVES:
        text = zoo(*name.split(), "--help", COLUMNS="80").stdout
        titles = re.findall(r"^(\w[\w ]*):$", text, re.M)
        assert titles == [t for t in ("Arguments", *GROUPS, "Examples") if t in titles], name
        assert "Options" in titles, name
        assert ("Examples" in titles) == (name in EXAMPLES), name
        written = set(re.findall(r"(?<!\S)--([a-z-]+)", text.partition("Examples:")[0]))
        assert not written & (opposites - {"no-store"}), name
        assert {"quiet", "verbose", "log-file", "log-level", "help"} <= written
        assert not re.search(r"\b(None|Path\(|PosixPath|\(\)|True|False)\b", text), name
        assert max(map(len, text.splitlines())) <= 80
    assert set(EXAMPLES) <= {"", *COMMANDS}
    # Where a value may be given, the help says what counts without one.
    for each in (*SHARED.values(), *(o for own in OWN.values() for o in own.values())):
        assert each.rule.is_switch or re.search("Default: .|Required|without one", each.text), each


def test_examples_are_command_lines_that_there_are(folder, monkeypatch):
    monkeypatch.chdir(folder)
    root = typer.main.get_command(app)
    for name, examples in EXAMPLES.items():
        for line, _ in examples:
            words = shlex.split(line.partition("|")[0])
            context = root.make_context("zoo", list(words))
            command, rest = root, [*context._protected_args, *context.args]
            while hasattr(command, "commands"):
                called, command, rest = command.resolve_command(context, rest)
                context = command.make_context(called, rest, parent=context)
                rest = [*getattr(context, "_protected_args", []), *context.args]
            assert command.words.startswith(name), line
            options = {**SHARED, **OWN[command.words]}
            given = {
                option: context.params[each.field]
                for option, each in options.items()
                if context.params.get(each.field) not in (None, False, ())
            }
            resolve(command.words, given, folder, {})


def test_opposites_are_accepted(zoo):
    words = "--online --eager --https-only --any-host --index-folder-only --store --download"
    done = zoo("verify", "--all", *words.split(), "--no-refresh", "--offline", "--dry-run")
    assert done.returncode == 0, done.stderr


def test_general_options_stand_before_and_behind_the_name(zoo, folder):
    loud = zoo("audit")
    assert loud.stderr
    for words in ("-q audit", "audit -q", "--quiet audit", "--log-level warning audit",
                  "audit --log-level=error", "--log-level=warning audit"):  # fmt: skip
        done = zoo(*words.split())
        assert (done.returncode, done.stdout, done.stderr) == (0, loud.stdout, ""), words
    for words in ("cache -q info", "-q cache info", "cache info -q"):
        assert zoo(*words.split()).stdout.startswith("path: ") == (
            zoo("cache", "info").stdout.startswith("path: ")
        )
    # What stands behind the name comes later, and counts.
    assert said(zoo("-q", "audit", "--no-quiet").stderr) == loud.stderr
    done = zoo("-q", "audit", "-v")
    assert (done.returncode, done.stdout) == (2, "")
    assert zoo("audit", "-v", ZOO_QUIET="1").returncode == 0


def test_a_log_has_what_was_said_and_where_an_error_came_from(zoo, folder, monkeypatch):
    for words in (
        "--log-file a.log audit",
        "audit --log-file a.log -q",
        "list nosuch --log-file a.log",
    ):
        zoo(*words.split())
    log = (folder / "a.log").read_text()
    lines = log.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z (INFO|ERROR) zoo: ", line) for line in lines)
    assert log.count("zoo audit, version") == 2
    assert log.count("read and not built") == 2
    assert "ERROR zoo: error: 'nosuch' names no variant" in log
    monkeypatch.setattr("harness.cli.show._row", lambda variant: 1 / 0)
    assert zoo("list", "--log-file", "b.log", "--log-level", "error").returncode == 3
    log = (folder / "b.log").read_text()
    assert "ZeroDivisionError" in log
    assert "Traceback" in log
    assert "INFO" not in log
    done = zoo("audit", "--log-level", "debug")
    assert done.stderr.splitlines()[-1] == "ended with 0"


def test_paths_stand_where_a_linter_takes_them(zoo, folder):
    (folder / "other").mkdir()
    (folder / "other" / "a.yml").write_text("Models:\n- Name: mine\n  Image Size: 0\n")
    (folder / "b.yml").write_text("Models:\n- Name: yours\n")
    for words, names in {
        "model-index/net.yml other/": {"resnest50d", "resnest14d", "mine"},
        "other": {"mine"},
        "other --index b.yml": {"mine", "yours"},
        "b.yml": {"yours"},
        "": {"resnest50d", "resnest14d"},
    }.items():
        document = json.loads(zoo("audit", *words.split(), "--format", "json").stdout)
        assert {each["name"] for each in document["variants"]} == names, words
    for words, names in {
        "other/": ["mine"],
        "other/a.yml model-index/net.yml resnest14d": ["resnest14d"],
        "b.yml other/a.yml --all": ["yours", "mine"],
    }.items():
        found = json.loads(zoo("list", *words.split(), "--format", "json").stdout)
        assert [each["name"] for each in found] == names, words
        assert zoo("verify", *words.split(), "--dry-run", "--builder", "zoo").returncode == 0
    (folder / "pyproject.toml").write_text('[tool.zoo]\nindex = "model-index"\n')
    for words in (["audit", "b.yml"], ["verify", "b.yml", "--dry-run"], ["list", "b.yml"]):
        done = zoo(*words)  # In place of what settings name, as an option would be.
        assert done.stderr.startswith("1 variant of index b.yml"), done.stderr
    (folder / "pyproject.toml").unlink()
    done = zoo("audit", "other", "gone/", "--format", "json")
    assert (done.returncode, "gone" in done.stderr) == (2, True)
    assert zoo("verify", "other/b.yml", "--dry-run").returncode == 2


def test_all_is_taken_wherever_variants_are_named(zoo):
    commands = [name for name in LEAVES if "all" in OWN[name] and name != "rule"]
    assert len(commands) >= 10
    more = {"validate": "--data sample --offline", "explain": "Parameters", "cards": "--output c"}
    for name in commands:
        words = [name, "--all", *more.get(name, "").split()]
        if "dry-run" in OWN[name]:
            assert zoo(*words, "--dry-run").returncode == 0, name
        if name in ("list", "show"):
            done = zoo(*words)
            assert done.returncode == 0, done.stderr
            assert {"resnest50d", "resnest14d"} <= set(re.split(r"[\s:]", done.stdout)), name
        named = zoo(name, "--all", "resnest14d", *more.get(name, "").split())
        assert named.returncode == 2
        assert "both --all and names" in named.stderr, name


def test_a_size_or_a_time_is_a_plain_number_or_has_a_unit(folder):
    for option, values in {
        "max-bytes": {"1000": 1000, "1KB": 1000, "1 KiB": 1024, "2b": 2, "1.5MB": 1_500_000},
        "max-memory": {"1073741824": 2**30, "1GiB": 2**30, "1gib": 2**30},
        "timeout": {"90": 90, "90s": 90, "1.5m": 90, "2H": 7200, " 3 m ": 180},
        "budget": {"60": 60, "1m": 60},
    }.items():
        assert re.search("a plain number is (bytes|seconds)", SHARED[option].text), option
        for text, value in values.items():
            given = {option: text, "data": "sample"}
            made = resolve("verify", given, folder, {})[0]
            assert getattr(made, option.replace("-", "_")) == value, text
    assert resolve("bench", {"seconds": "2"}, folder, {})[1]["seconds"] == 2
    assert resolve("bench", {"seconds": "1m"}, folder, {})[1]["seconds"] == 60
    assert "a plain number is seconds" in OWN["bench"]["seconds"].text
    assert "a plain number is days" in OWN["cache clear"]["older-than"].text


@pytest.mark.slow
def test_every_family_has_the_stages_that_features_takes():
    from harness.cli.classify import STAGES
    from zoo import create_model, list_models

    for name in ("resnest14d", "efficientnet_lite0"):
        assert name in list_models()
        assert len(create_model(name).feature_info) == STAGES


@pytest.mark.slow
def test_the_help_is_quick(environment, folder):
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "zoo", "--help"], env=environment, cwd=folder,
                       capture_output=True, check=True)  # fmt: skip
        after = os.times()
        seconds.append(after.children_user + after.children_system
                       - before.children_user - before.children_system)  # fmt: skip
    assert min(seconds) < 0.4  # Without torch, numpy or pandas, of which each takes longer.


def test_general_options_are_everywhere():
    assert set(GENERAL) <= set(SHARED)
    root = typer.main.get_command(app)
    for name in LEAVES:
        command = root
        for word in name.split():
            command = command.commands[word]
        assert {each.replace("-", "_") for each in GENERAL} <= {p.name for p in command.params}
