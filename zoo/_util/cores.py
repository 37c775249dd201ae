"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """By the machine, this process's affinity, and the quotas of its control groups; at least 1.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Not on every system.
        cores = os.cpu_count() or 1
    # A part of a core is worth a process.
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The cores that the process's group, and each around it, may use, where that is limited."""
    groups = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:  # Version 2, which a hybrid system has beside version 1.
            tops = (groups, groups / "unified")
        elif "cpu" in controllers.split(","):
            tops = (groups / "cpu", groups / controllers)
        else:
            continue
        inside = PurePosixPath(path.lstrip("/"))
        for top in tops:
            # A container may see its group's path from the host's top, and not its folder.
            for place in (top / inside, *(top / each for each in inside.parents)):
                words = _text(place / "cpu.max").split() or [
                    *_text(place / "cpu.cfs_quota_us").split(),
                    *_text(place / "cpu.cfs_period_us").split(),
                ]
                # "max", and -1, are no limit.
                if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):
                    yield int(words[0]) / int(words[1])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
