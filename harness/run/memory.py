"""Memory of a process and its children, where the system reports it (Linux).

Only memory of their own is counted: what a file backs can be dropped and read again, and a large
checkpoint that is mapped is no reason to end anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_OWN = ("RssAnon:", "RssShmem:", "VmSwap:")
_MOST = 8 * 2**30


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs; none where the system doesn't report them."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def memory_of(pid: int) -> int:
    """Bytes that a process and its descendants hold, swap included; 0 where unknown."""
    return sum(_own_bytes(one) for one in (pid, *descendants(pid)))


@cache
def usual_limit() -> int:
    """Bytes that one worker may hold by default: 8 GiB, or half of what a smaller machine has."""
    return min(_MOST, _machine_bytes() // 2)


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
        except OSError:
            continue  # The thread has ended since.
        yield from map(int, text.split())


def _own_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return 0
    lines = (line.split() for line in text.splitlines() if line.startswith(_OWN))
    return sum(int(words[1]) * 1024 for words in lines)


def _machine_bytes() -> int:
    """The machine's memory, or what a container leaves of it."""
    limits = [_MOST * 2]
    with suppress(OSError, ValueError, AttributeError):  # One that doesn't say it is a large one.
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            continue  # No such control group, or the word "max".
    return min(limits)
