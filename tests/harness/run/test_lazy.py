"""What a run imports, and what it must never import."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from cli import run_python
from shipped import real_weights

HEAVY = ("torch", "pandas", "httpx", "matplotlib", "torchvision", "numpy")

ROOT = Path(__file__).parents[3]
OWN_INDEX = ROOT / "model-index"
KNOWN = ROOT / "known-findings.yml"

SCRIPT = f"""
import json, sys
from harness.cli import main

status = main(sys.argv[1:])
modules = {{name.partition(".")[0] for name in sys.modules}}
print(json.dumps([status, sorted(modules & set({HEAVY!r}))]), file=sys.stderr)
"""

WARM = ("verify", "--all", "--offline", "--format", "json")


@pytest.fixture
def imported(environment, tmp_path):
    """The status of a command, and which of the heavy packages it imported."""

    def run(*arguments):
        done = run_python(
            ["-c", SCRIPT, *arguments],
            cwd=tmp_path,
            env=environment | {"TORCH_HOME": str(tmp_path / "torch")},
            check=True,
        )
        return json.loads(done.stderr.splitlines()[-1])

    return run


@pytest.mark.slow
def test_a_warm_run_imports_nothing_heavy(imported, seed_index):
    arguments = (*WARM, "--index", str(seed_index))
    status, _ = imported(*arguments)
    assert status == 1
    assert imported(*arguments) == [1, []]
    for name in ("junit", "sarif", "github", "markdown", "table"):
        assert imported(*arguments, "--format", name) == [1, []]
    # A fix is made of the same measurements.
    assert imported("fix", "--offline", "--index", str(seed_index)) == [0, []]


@pytest.mark.parametrize(
    "command", ["--help", "list", "audit", "show", "cache", "cite", "docs", "baseline"]
)
def test_light_commands_import_nothing_heavy(imported, seed_index, command):
    arguments = {
        "--help": ["--help"],
        "list": ["list", "--index", str(seed_index)],
        "audit": ["audit", "--index", str(seed_index), "--fail-on", "never"],
        "show": ["show", "resnest50d", "--index", str(seed_index)],
        "cache": ["cache", "info"],
        "cite": ["cite", "resnest50d", "--index", str(OWN_INDEX)],
        "docs": ["docs", "--index", str(OWN_INDEX)],
        "baseline": ["audit", "--index", str(OWN_INDEX), "--baseline", str(KNOWN)],
    }[command]
    assert imported(*arguments) == [0, []]


def test_who_has_an_unknown_variant_is_told_without_importing_a_library(imported, tmp_path):
    index = tmp_path / "index.yml"
    index.write_text("Models:\n- Name: resnet18\n  Metadata:\n    Parameters: 11689512\n")
    arguments = (*WARM, "--checks", "parameters", "--index", str(index))
    assert imported(*arguments) == [1, []]


MODULES = ("json", "torch", "numpy", "sqlite3", "typing", "harness", "zoo", "sitecustomize")


@pytest.mark.slow
def test_the_working_folder_is_no_place_for_modules(environment, tmp_path, seed_index):
    """Neither the command as installed nor its workers run what lies where it was called."""
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in MODULES:
        path = trap / f"{name}.py"
        path.write_text(f"open({str(tmp_path / 'sprung')!r}, 'a').write({name!r} + ' ')\n")
    (trap / "model-index").mkdir()
    (trap / "model-index" / "index.yml").write_text(
        "Models:\n- Name: resnest14d\n  Metadata:\n    Parameters: 10610000\n"
    )
    # As the script that an installer makes: its own folder comes first, not the working folder.
    script = tmp_path / "bin" / "zoo-command"
    script.parent.mkdir()
    script.write_text("from zoo.__main__ import main\n\nmain()\n")
    done = run_python(
        [str(script), "verify", "--all", "--checks", "parameters"], cwd=trap, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()


def _seconds(environment: dict[str, str], *command: str) -> float:
    """What a process takes of the processor, at its quicker of two."""
    taken = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken)


@pytest.mark.slow
def test_one_image_is_classified_nearly_as_soon_as_torch_is_there(imported, environment):
    """The three seconds of a quiet machine, most of which torch's own import takes."""
    real_weights()
    images = pytest.importorskip("foolbox").__path__[0] + "/data"
    image = next(str(path) for path in Path(images).glob("imagenet_*.jpg"))
    words = ("classify", "efficientnet_lite0", image)
    assert imported(*words) == [0, ["numpy", "torch"]]
    alone = environment | {"OMP_NUM_THREADS": "1"}  # Threads that wait for others count, too.
    assert _seconds(alone, "-m", "zoo", *words) < _seconds(alone, "-c", "import torch") + 1.0
