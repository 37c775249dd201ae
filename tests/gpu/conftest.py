"""The device, or why it is not here; images, checkpoints and a cache, made once for all files."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import card
import pytest
import torch
from cli import run_python
from distributions import install, python_path

from harness.measure.accuracy.validator import Validator, preprocessing_of

# Another distribution's models: each writes where it ran, and one of them indexes out of range.
BUILDER = """
import os

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong
        self.fc = nn.Linear(3, 1000)

    def forward(self, x):
        logits = self.fc(x.mean((2, 3)))
        if x.is_meta:
            return logits
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'all')} {x.device}\\n")
        if self.wrong:
            # By a tensor of indices, which CUDA checks on the device, after the call.
            logits = logits[torch.arange(len(x), device=x.device) + 10**6]
        return logits


class Builder:
    def knows(self, name):
        return True

    def names(self):
        return ["net0"]

    def identity(self, name):
        return "1"

    def build(self, name):
        return Net(name == "wrong")
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder, and skips them where the device is not here."""
    why = card.absent()
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("gpu")
            if why is not None:
                item.add_marker(pytest.mark.skip(reason=why))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds what was skipped or failed to the table; to an error that is left, its line."""
    if "ZOO_GPU_TESTS_ROWS" not in os.environ or report.passed or report.nodeid in _REPORTED:
        return
    _REPORTED.add(report.nodeid)
    words = report.longrepr
    if report.skipped:
        why = words[2] if isinstance(words, tuple) else str(words)
    else:
        crash = getattr(words, "reprcrash", None)
        why = str(words if crash is None else crash.message)
    line = " ".join(why.split())[:200].removeprefix("Skipped: ")
    name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
    os.environ["PYTEST_CURRENT_TEST"] = report.nodeid
    card.record(name, "", line, "", None if report.skipped else False)


_REPORTED: set[str] = set()


@dataclass(frozen=True)
class Given:
    """What is measured: for each variant its checkpoint, and images that it was asked about.

    Attributes:
        root: the folder of all.
        checkpoints: by variant.
        compared: by variant, a folder whose image i has the class of rank i % 7 for its label, by
            the model in float64: one in seven is right by top-1, five by top-5.
        drawn: the single files.
    """

    root: Path
    checkpoints: dict[str, Path]
    compared: dict[str, Path]
    drawn: list[Path]

    def folder(self, name: str, count: int = card.IMAGES) -> Path:
        """A dataset of so many images under names of its own, which no cache knows at first."""
        place = self.root / name
        with card.shared(place) as begun:
            if begun is not None:
                card.image_folder(begun / "val", self.drawn, count, lambda number: number % 1000)
        return place / "val"

    def count(self, validator: Validator, name: str, indices: Any = None, **how: Any) -> Any:
        """Counts the images of `compared` for a variant, by default each once."""
        recipe = card.recipe_of(name)
        folder, transform = str(self.compared[name]), preprocessing_of(recipe)
        asked = range(card.COMPARED) if indices is None else indices
        return validator.count(recipe, self.checkpoints[name], folder, transform, asked, **how)

    @staticmethod
    def right(count: int) -> tuple[int, int]:
        """How many of the first images of `compared` are right, by top-1 and by top-5."""
        return sum(i % 7 == 0 for i in range(count)), sum(i % 7 < 5 for i in range(count))


@pytest.fixture(scope="session")
def given(tmp_path_factory) -> Iterator[Given]:
    """All of it, and an environment whose caches are there."""
    named = os.environ.get("ZOO_GPU_TESTS_WORK")
    work = Path(named) if named else tmp_path_factory.mktemp("gpu")
    drawn = work / "drawn"
    with card.shared(drawn) as begun:
        if begun is not None:
            card.draw(begun, min(card.IMAGES, 256))
    paths = sorted(drawn.iterdir())[: max(32, card.COMPARED)]
    compared = work / "compared"
    with card.shared(compared) as begun:
        if begun is not None:
            for name in card.VARIANTS:
                inputs = card.pixels_of(paths, preprocessing_of(card.recipe_of(name)))
                file = card.make_checkpoint(begun / f"{name}.pth", name, inputs[:32])
                best = card.ranked(name, file, inputs[: card.COMPARED])
                card.image_folder(
                    begun / name,
                    paths,
                    card.COMPARED,
                    lambda number, best=best: best[number][number % 7],
                )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(work / "cache"))
        yield Given(
            work,
            {name: compared / f"{name}.pth" for name in card.VARIANTS},
            {name: compared / name for name in card.VARIANTS},
            sorted(drawn.iterdir()),
        )


@pytest.fixture
def synchronisations() -> Callable[[], contextmanager[list[str]]]:
    """Counts how often torch waits for the device within a block; never on the CPU.

    The mode is one of the process: other threads are counted, too. torch tells not of all waits:
    not of an event's, nor of a copy from memory that is not pinned.
    """

    @contextmanager
    def counted() -> Iterator[list[str]]:
        found: list[str] = []
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            if not card.ON_CPU:
                torch.cuda.set_sync_debug_mode("warn")
                heard.clear()  # That the mode is a prototype.
            try:
                yield found
            finally:
                if not card.ON_CPU:
                    torch.cuda.set_sync_debug_mode("default")
        found += [str(w.message) for w in heard if "called a synchronizing" in str(w.message)]

    return counted


@dataclass(frozen=True)
class Command:
    """The command in a process of its own, in a folder with a cache and an index of its own.

    Attributes:
        folder: where it runs; what models write of where they ran is in its file ``seen``.
    """

    folder: Path
    repository: Path

    def index(self, builder: str, names: tuple[str, ...], side: int, **more: Any) -> None:
        """Writes the index of these variants, at that image size."""
        models = [{"Name": name, "Metadata": {"Image Size": side}, **more} for name in names]
        text = json.dumps({"Builder": builder, "Models": models})  # YAML holds JSON.
        (self.folder / "index.yml").write_text(text)

    def validated_index(self, names: tuple[str, ...]) -> None:
        """An index of models of `BUILDER`, with weights and a claim for each."""
        install(self.folder / "site", "card = card_builders:Builder", BUILDER)
        torch.manual_seed(0)
        state = {"fc.weight": torch.randn(1000, 3), "fc.bias": torch.randn(1000)}
        torch.save(state, self.folder / "net.pth")
        result = {"Task": "Image Classification", "Dataset": "ImageNet"}
        result |= {"Metrics": {"Top 1 Accuracy": "50%"}}
        self.index("card", names, 48, Weights="net.pth", Results=[result])

    def __call__(self, word: str, *more: object) -> Any:
        """What the command prints as JSON; its standard error is passed on where it has none."""
        words = [word, "--all", "--index", "index.yml", "--format", "json", *map(str, more)]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ZOO_", "RAY_"))}
        done = run_python(
            ["-m", "zoo", *words],
            cwd=self.folder,
            env=kept
            | {
                "PYTHONPATH": python_path(self.folder / "site", self.repository),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
                "SEEN": str(self.folder / "seen"),
            },
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def command(tmp_path, repository) -> Command:
    """The command, in the test's own folder."""
    return Command(tmp_path, repository)
