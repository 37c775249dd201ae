"""What all tests share: where this repository is, and the pages beside it that only CI has."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytest_plugins = ["fault_server", "hub_server", "ray_cluster", "warm_workers"]

# Several of pytest's workers share the cores: a torch that takes all of them slows the others.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A runner in the background may ignore interrupts and hangups, and every process under it then does
# so too: the tests that send one would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Where it is set, commands reach public hosts alone; the tests' servers are on this machine.
os.environ.pop("CI", None)

ROOT = Path(__file__).resolve().parents[1]
# Begun last, one of these would run on alone while the other worker has nothing left.
LONGEST = {"training", "validation", "docs", "inference", "add", "fetch", "cli", "run"}
# Folders and files that build many models, run whole commands in processes, or wait for clocks.
SLOW = (
    "browser",
    "harness/check/test_flops_on_models.py",
    "harness/check/test_parameter_readings.py",
    "harness/cli/test_ci.py",
    "harness/cli/test_interrupts.py",
    "harness/cli/test_training.py",
    "harness/datasets/test_decoded_processes.py",
    "harness/edit/add",
    "harness/edit/fix/test_command.py",
    "harness/inference",
    "harness/measure/test_conventions_on_models.py",
    "harness/measure/test_counters_on_models.py",
    "harness/measure/test_forward_cache.py",
    "harness/measure/test_structure.py",
    "harness/measure_accuracy",
    "harness/measure/test_speed.py",
    "harness/report/test_causes_examples.py",
    "harness/report/test_plots.py",
    "harness/run/test_build_failures.py",
    "harness/run/test_engine.py",
    "harness/run/test_limits.py",
    "harness/validation",
    "harness/weights",
    "test_mutation.py",
    "zoo/models",
    "zoo/training",
    "zoo/weights/fetch",
)
# Those whose subject is a process: how it starts, what it imports, how it is limited and ends.
PROCESSES = (
    "harness/cli/test_interrupts.py",
    "harness/datasets/test_decoded_processes.py",
    "harness/run/test_engine.py",
    "harness/run/test_lazy.py",
    "harness/run/test_limits.py",
    "harness/validation/test_kills.py",
    "zoo/training/test_distributed.py",
    "zoo/weights/fetch/test_processes.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks them by where they are; the longest first, for pytest's workers to end together."""
    for item in items:
        place = item.path.relative_to(ROOT / "tests").as_posix()
        for mark, places in (("slow", SLOW), ("process", PROCESSES), ("browser", ("browser",))):
            if place.startswith(places):
                item.add_marker(mark)
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.relative_to(ROOT).parts))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return ROOT


@pytest.fixture(scope="session")
def seed_index(repository: Path) -> Path:
    """The ResNeSt family as its public page documents it, mistakes included."""
    return repository / "tests" / "fixtures" / "seed" / "resnest.yml"


@pytest.fixture(scope="session")
def shared_corpus(repository: Path) -> Path:
    """Real pages of other zoos; they are nobody's to copy, so they lie beside the checkout."""
    folder = repository.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip(f"the corpus of real pages is not here: {folder.name} beside the checkout")
    return folder
