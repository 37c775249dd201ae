"""The command in real processes, an index of cases, and a checkpoint cache of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli import run_zoo, said

ROOT = Path(__file__).parents[3]
# Variables that would change what a terminal shows, or who is asked for a file.
_UNSET = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "ZOO_DEBUG", "HTTP_PROXY", "http_proxy")


@dataclass(frozen=True)
class Run:
    """A command that has ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def document(self):
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    def of(self, case, field=None):
        """The findings on one case, and on one field of it."""
        return [
            finding
            for finding in self.document["findings"]
            if Path(finding["location"]["file"]).stem == case and field in (None, finding["field"])
        ]

    def verdicts(self, case, field):
        """Status and cause of each finding on that field."""
        return [(finding["status"], finding["cause"]) for finding in self.of(case, field)]


class Workplace:
    """A folder with an index whose every entry is a file, and the caches of its own.

    An entry is called a case: cases may name the same variant, their findings are told apart by
    the file that they point at.
    """

    def __init__(self, folder):
        self.folder = folder
        self.index = folder / "index"
        self.index.mkdir(parents=True)
        self.torch_home = folder / "torch"
        self.environment = {k: v for k, v in os.environ.items() if k not in _UNSET} | {
            "PYTHONPATH": str(ROOT),
            "TORCH_HOME": str(self.torch_home),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "OMP_NUM_THREADS": "2",
            "TERM": "xterm-256color",
        }

    @property
    def checkpoints(self):
        return self.torch_home / "hub" / "checkpoints"

    @property
    def parts(self):
        folder = self.torch_home / "hub" / "zoo-parts" / "parts"
        return sorted(os.listdir(folder)) if folder.is_dir() else []

    def held(self):
        """Everything under the final names: name -> bytes."""
        if not self.checkpoints.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in self.checkpoints.iterdir()}

    def add(self, case, variant, weights=None, **metadata):
        """Write an entry; ``File_Size=...`` stands for ``File Size``. The text goes in as JSON."""
        entry: dict[str, Any] = {"Name": variant}
        if metadata:
            entry["Metadata"] = {k.replace("_", " "): v for k, v in metadata.items()}
        if weights is not None:
            entry["Weights"] = weights
        (self.index / f"{case}.yml").write_text(json.dumps({"Models": [entry]}, indent=1))

    def zoo(self, *arguments, timeout=300):
        """Run the command on the index, its output in pipes."""
        begun = time.monotonic()
        index = () if "--index" in arguments else ("--index", str(self.index))
        words = [*arguments, *index]
        done = run_zoo(words, cwd=self.folder, environment=self.environment, timeout=timeout)
        return Run(done.returncode, done.stdout, said(done.stderr), time.monotonic() - begun)

    def verify(self, *arguments):
        """Check the weights alone, and report them as JSON."""
        names = () if any(not a.startswith("-") for a in arguments[:1]) else ("--all",)
        return self.zoo("verify", *names, *arguments, "--checks", "weights", "--format", "json")

    def start(self, *arguments, **options):
        """Start the command, on this index unless it names another."""
        index = () if "--index" in arguments else ("--index", str(self.index))
        command = [sys.executable, "-m", "zoo", *arguments, *index]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, **(pipes | options)
        )


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path / "work")


@pytest.fixture(scope="module")
def new_place(tmp_path_factory):
    """Makes workplaces that a module's tests share; their checkpoints are removed at its end."""
    made: list[Path] = []

    def make():
        made.append(tmp_path_factory.mktemp("place"))
        return Workplace(made[-1])

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def state():
    """The state dict of a native model with random weights."""
    import torch

    import zoo

    def build(name, **options):
        torch.manual_seed(1)
        return dict(zoo.create_model(name, **options).state_dict())

    return build


@pytest.fixture(scope="session")
def lite0(state, tmp_path_factory):
    """A checkpoint of efficientnet_lite0, as torch.save writes it: 19 MB, random weights."""
    import torch

    path = tmp_path_factory.mktemp("lite0") / "lite0.pth"
    torch.save(state("efficientnet_lite0"), path)
    yield path
    path.unlink()
