"""Cores by affinity and by the quotas of control groups, as the system's files state them."""

from __future__ import annotations

import os

import pytest

from zoo._util.cores import usable_cores
from zoo.training.plan import _workers

GROUPS = "sys/fs/cgroup"


@pytest.fixture
def cores(monkeypatch, tmp_path):
    """The cores of a process that may run on 16, where the system has these files."""

    def counted(files: dict[str, str], affinity: int = 16) -> int:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        root.mkdir()
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return usable_cores(root)

    return counted


def v2(path: str, **quotas: str) -> dict[str, str]:
    """The files of version 2, with a ``cpu.max`` for each folder, whose ``_`` stand for ``/``."""
    return {"proc/self/cgroup": f"0::{path}\n"} | {
        f"{GROUPS}/{place.strip('_').replace('_', '/')}/cpu.max": text
        for place, text in quotas.items()
    }


def v1(path: str, quota: str, period: str = "100000", *, at: str = "cpu,cpuacct") -> dict[str, str]:
    return {
        "proc/self/cgroup": f"9:memory:/other\n4:cpu,cpuacct:{path}\n0::/\n",
        f"{GROUPS}/{at}/cpu.cfs_quota_us": quota,
        f"{GROUPS}/{at}/cpu.cfs_period_us": period,
    }


def test_the_least_of_all_limits_counts(cores):
    cases = {
        "no control groups": ({}, 16),
        "no limit": (v2("/", _="max 100000\n"), 16),
        "four": (v2("/", _="400000 100000\n"), 4),
        "a part of a core": (v2("/", _="250000 100000"), 3),
        "less than one": (v2("/", _="5000 100000"), 1),
        "another period": (v2("/", _="100000 20000"), 5),
        "more than there are": (v2("/", _="6400000 100000"), 16),
        "of a group around": (v2("/a/b", a="200000 100000", a_b="max 100000"), 2),
        "the least": (v2("/a/b", _="900000 100000", a="700000 100000", a_b="800000 100000"), 7),
        "of another group": (v2("/a", b="200000 100000"), 16),
        "a path of the host": (v2("/docker/0f", _="300000 100000"), 3),
        "a path outside": (v2("/../else", _="300000 100000"), 3),
        "damaged": (v2("/", _="many\n"), 16),
        "no period": (v2("/", _="100000"), 16),
        "a period of nothing": (v2("/", _="100000 0"), 16),
        "version 1": (v1("/", "600000"), 6),
        "version 1, no limit": (v1("/", "-1"), 16),
        "version 1, inside": (v1("/job", "150000", at="cpu,cpuacct/job"), 2),
        "version 1, by its short name": (v1("/job", "200000", "50000", at="cpu"), 4),
        "both": (
            v1("/", "-1")
            | {f"{GROUPS}/unified/cpu.max": "500000 100000"},
            5,
        ),
    }  # fmt: skip
    assert {name: cores(files) for name, (files, _) in cases.items()} == {
        name: number for name, (_, number) in cases.items()
    }
    assert cores(v2("/", _="400000 100000"), affinity=3) == 3


def test_decoders_of_a_training_share_the_cores(monkeypatch):
    monkeypatch.setattr("zoo.training.plan.usable_cores", lambda: 48)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert [_workers(world, 1000) for world in (1, 4, 64)] == [48, 12, 1]
    assert _workers(1, 3) == 3  # No more than there are batches.
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")  # Of 64 processes, on several machines.
    assert _workers(64, 1000) == 6
