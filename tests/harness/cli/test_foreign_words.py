"""What a builder prints and an index says, as the whole command shows it in a workflow's log.

The command runs in processes of its own: model code prints in them at import, when it is asked for
its names, and when it builds, with Python's streams and below them.
"""

from __future__ import annotations

import json
import os
import re
import stat

import pytest
from cli import run_python
from distributions import install

BUILDER = """
import logging, os, subprocess, sys, warnings
ATTACK = [
    "::error file=a.py::printed", "  ::stop-commands::x", "##[error]printed", "a ##[group]b",
    "\\u3000::add-mask::x", "\\r::set-output name=a::b", "\\x1b]0;title\\x07", "\\u202eetadpu",
]

def attack(where):
    for text in ATTACK:
        print(text, where)
        print(text, where, file=sys.stderr, flush=True)
        os.write(1, text.encode() + b"\\n")
        os.write(2, text.encode() + b"\\n")
    # In parts, so that no write has a command.
    for part in ("#", "#", "[error]parts\\n", " ", ":", ":error::parts\\n"):
        os.write(2, part.encode())
    warnings.warn("##[warning] warned")
    logging.warning("\\n::warning::logged")
    subprocess.run([sys.executable, "-c", "print('::error::child')"])

attack("import")

class Kind:
    def knows(self, name):
        attack("knows")
        return True
    def names(self):
        attack("names")
        return ["tiny"]
    def identity(self, name):
        attack("identity")
        return "::error::identity"
    def build(self, name):
        attack("build")
        if name.startswith("raises"):
            raise RuntimeError("\\n::error::raised ##[error] " + "long " * 200 + "beyond")
        from torch import nn
        return nn.Linear(10, 12)
"""
INDEX = """\
Collections:
- Name: "::error::collection"
  Title: "##[error]"
Models:
- Name: "::error::name ##[error]"
  In Collection: "::error::collection"
  Metadata:
    Parameters: 132
- Name: "raises\\r\\n::error::twice"
  Metadata:
    Parameters: "::error::many ##[x]"
    Crop Pct: "\\u2028::error::far ##vso[task]"
    "::error::key": 5
- Name: "raises \\u202e\\x1b[2J%s"
  Metadata:
    Parameters: 132
""" % ("long " * 100 + "beyond")
LONG = "long " * 41
OBEYED = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)
OWN = re.compile(r"^::(error|warning|notice) [^\n]*$", re.MULTILINE)


@pytest.fixture
def workflow(environment, tmp_path, folder):
    """Run the command as a step of a workflow does."""
    site = tmp_path / "site"
    install(site, "odd = odd_builder:Kind", BUILDER)
    (folder / "model-index" / "net.yml").write_text(INDEX)
    path = os.pathsep.join([str(site), environment["PYTHONPATH"]])

    def run(*arguments, **changes):
        return run_python(
            ["-m", "zoo", *arguments],
            cwd=folder,
            env=environment | {"PYTHONPATH": path, "GITHUB_ACTIONS": "true"} | changes,
        )

    return run


VERIFY = ("verify", "--all", "--builder", "odd", "--checks", "metadata,parameters")


@pytest.mark.slow
@pytest.mark.process
def test_nothing_that_others_write_commands_the_workflow(workflow):
    for name in ("table", "json", "junit", "sarif", "markdown", "github"):
        done = workflow(*VERIFY, "--format", name, "--verbose")
        assert done.returncode == 1, done.stderr
        assert OBEYED.findall(done.stderr) == [], done.stderr
        printed = OWN.sub("", done.stdout) if name == "github" else done.stdout
        assert OBEYED.findall(printed) == [], printed
        assert done.stderr.isprintable() or {c for c in done.stderr if not c.isprintable()} <= {
            *"\n\t\u3000"
        }
        # It is seen, only not obeyed.
        for where in ("import", "knows", "build"):
            assert f": :error file=a.py::printed {where}" in done.stderr
        assert ": :error::child" in done.stderr
        if name == "json":
            findings = json.loads(done.stdout)["findings"]
            assert LONG not in json.dumps([f["message"] for f in findings])
            assert "::error::name ##[error]" in {f["variant"] for f in findings}
        else:
            assert LONG not in done.stdout
    assert "\n::error " in "\n" + done.stdout


@pytest.mark.slow
@pytest.mark.process
def test_the_other_commands_show_foreign_words_as_words(workflow):
    name = "::error::name ##[error]"
    for arguments in (
        ("list", "--index", "model-index"),
        ("show", name, "--index", "model-index"),
        ("explain", name, "Parameters", "--builder", "odd"),
        ("explain", name, "::error::field", "--builder", "odd"),
        ("audit", "--verbose", "--format", "table"),
        ("verify", "::error::none", "--builder", "odd"),
        ("verify", "--all", "--builder", "::error::builder"),
        ("audit", "--index", "\n::error::index"),
        ("audit", "--format", "\n::error::format"),
        ("fix", "--builder", "odd", "--dry-run"),
        ("::error::command",),
        ("fetch", name, "--index", "model-index"),
    ):
        done = workflow(*arguments, COLUMNS="40")
        for text in (done.stdout, done.stderr):
            assert OBEYED.findall(text) == [], (arguments, text)
            assert "Traceback" not in text, (arguments, text)
        assert done.stdout + done.stderr, arguments


@pytest.mark.slow
@pytest.mark.process
def test_outside_a_workflow_the_words_are_as_they_are(workflow):
    done = workflow(*VERIFY, "--format", "table", GITHUB_ACTIONS="")
    assert "\n::error file=a.py::printed build" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.slow
@pytest.mark.process
def test_records_are_their_users_alone(workflow, tmp_path, environment):
    """Whatever the umask is; a record that others could read before is closed to them."""
    before = os.umask(0)
    try:
        workflow(*VERIFY)
        store = tmp_path / "cache" / "zoo"
        found = [path for path in store.rglob("*") if path.is_file()]
        assert found
        assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
        for path in found:
            path.chmod(0o644)
        workflow(*VERIFY)
        found = list(store.glob("*.sqlite*"))
        assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    finally:
        os.umask(before)


_EMPTY = b"\r\nContent-Length: 0\r\n\r\n"
SERVED = {
    "403": b"403 ##[error] " + b"long " * 300 + _EMPTY,
    "404": b"404 \x1b[2J::error::" + b"long " * 300 + _EMPTY,
    "302": b"302 x\r\nLocation: ftp://h/##[error]" + b"long+" * 300 + _EMPTY,
    "coded": b"200 OK\r\nContent-Encoding: ##[a]" + b"long " * 300 + _EMPTY,
    "pickle": b"200 OK\r\nContent-Length: 542\r\n\r\nc##[a]\n::error::" + b"long " * 105 + b"\n",
}


@pytest.mark.slow
def test_what_a_server_and_its_files_say_is_cut_and_commands_nothing(zoo, folder, server):
    models = ["Models:\n"]
    for name, answer in SERVED.items():

        def behave(handler, count, answer=answer):
            handler.wfile.write(b"HTTP/1.1 " + answer)
            handler.close_connection = True

        url = server.on(f"{name}.pth", behave)
        models.append(f"- Name: resnest14d\n  Weights: {url}\n")
    (folder / "model-index" / "net.yml").write_text("".join(models))
    for name in ("table", "json", "github"):
        done = zoo(
            *("verify", "--all", "--checks", "weights", "--allow-http", "--no-store"),
            *("--format", name, "--verbose"),
            GITHUB_ACTIONS="true",
            CI="",
        )
        printed = OWN.sub("", done.stdout) if name == "github" else done.stdout
        for text in (printed, done.stderr):
            assert OBEYED.findall(text) == [], (name, text)
            assert LONG.rstrip() not in text, (name, text)
            assert "\x1b" not in text
