"""Shell completion: the script of each shell, and what it is answered."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from cli import run_python, said

from harness.config.commands import COMMANDS

LINES = {  # what is typed -> what is offered
    "zoo ": {name for name in COMMANDS if " " not in name},
    "zoo verify resnest": {"resnest50d", "resnest14d"},
    "zoo verify resnest14d resnest5": {"resnest50d"},
    "zoo explain ResN": {"ResNeSt"},
    "zoo verify --index other.yml ": {"mine"},
    "zoo verify --format js": {"json"},
    "zoo list --format ": {"table", "json", "csv", "concise"},
    "zoo verify --checks flops,la": {"flops,layers"},
    "zoo validate --time": {"--time-limit"},
    "zoo train --amp bf": {"bf16"},
    "zoo verify --index missing.yml ": set(),
    "zoo rule flops.c": {"flops.convention", "flops.cross-check"},
    "zoo cache clear --kind flops,st": {"flops,structure"},
    "zoo cache ": {"info", "check", "clear"},
}


def answer(zoo, line, shell="bash"):
    words = line.split()
    place = len(words) - (not line.endswith(" "))
    done = zoo(
        _ZOO_COMPLETE=f"complete_{shell}",
        COMP_WORDS=line,
        COMP_CWORD=str(place),
        _TYPER_COMPLETE_ARGS=line,
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert (done.returncode, said(done.stderr)) == (0, "")
    return done.stdout


def test_names_and_words_are_completed(zoo, folder):
    (folder / "other.yml").write_text("Models:\n- Name: mine\n")
    for line, offered in LINES.items():
        assert set(answer(zoo, line).split()) == offered, line
    (folder / "pyproject.toml").write_text('[tool.zoo]\nindex = "other.yml"\n')
    assert answer(zoo, "zoo verify ").split() == ["mine"]
    for shell in ("zsh", "fish"):
        assert "mine" in answer(zoo, "zoo verify mi", shell)
        assert "junit" in answer(zoo, "zoo verify --format ju", shell)


def test_each_shell_has_a_script_that_is_shown_and_installed(zoo, tmp_path):
    places = {"bash": ".bash_completions/zoo.sh", "zsh": ".zfunc/_zoo"}
    places["fish"] = ".config/fish/completions/zoo.fish"
    for shell, place in places.items():
        shown = zoo("--show-completion", shell)
        assert (shown.returncode, said(shown.stderr)) == (0, "")
        assert "_ZOO_COMPLETE=complete_" + shell in shown.stdout
        home = tmp_path / shell
        home.mkdir()
        done = zoo("--install-completion", shell, HOME=str(home))
        assert (done.returncode, done.stdout) == (0, "")
        assert said(done.stderr).startswith(f"{home / place}: completion for {shell} installed")
        assert (home / place).read_text().strip() == shown.stdout.strip()
        program = shutil.which(shell)
        if program is not None:
            subprocess.run([program, "-n", home / place], check=True, timeout=300)
    done = zoo("--show-completion", "csh")
    assert done.returncode == 2
    assert said(done.stderr).startswith("--show-completion: no completion for 'csh'; name bash, ")
    (tmp_path / "file").write_text("")
    done = zoo("--install-completion", "bash", HOME=str(tmp_path / "file"))
    assert (done.returncode, done.stdout) == (3, "")
    assert said(done.stderr).startswith("completion is not installed: ")


@pytest.mark.process
def test_bash_completes(environment, folder):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (folder / "zoo").write_text(f'#!/bin/sh\nexec {sys.executable} -m zoo "$@"\n')
    (folder / "zoo").chmod(0o755)
    script = (
        'PATH=$PWD:$PATH; eval "$(zoo --show-completion bash)"\n'
        "COMP_WORDS=(zoo show resnest1); COMP_CWORD=2\n"
        "$(complete -p zoo | sed 's/.*-F \\([^ ]*\\) .*/\\1/') zoo\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, said(done.stderr)) == ("resnest14d\n", "")


@pytest.mark.process
def test_what_completes_names_imports_nothing_heavy(environment, folder):
    heavy = "torch numpy pandas httpx rich harness.run.session"
    code = "import sys; from harness.cli import main; main(); "
    code += f"print({{*sys.modules}} & {{*'{heavy}'.split()}})"
    line = {"COMP_WORDS": "zoo verify resn", "COMP_CWORD": "2"}
    done = run_python(
        ["-c", code], cwd=folder, env=environment | line | {"_ZOO_COMPLETE": "complete_bash"}
    )
    assert done.stdout.split() == ["resnest50d", "resnest14d", "set()"]
