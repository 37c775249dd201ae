"""The device that a model runs on: which, its precision, and what it reports of itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Amp = Literal["off", "bf16", "fp16"]
AMPS: tuple[Amp, ...] = ("off", "bf16", "fp16")


class DeviceError(ValueError):
    """The device that was asked for can't be had; one line says why."""


def choose_device(word: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one, else the CPU.

    Raises:
        DeviceError: there is no such device here.
    """
    import torch

    if word == "auto":
        word = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(word)
    except RuntimeError:
        raise DeviceError(
            f"device {word!r}: no such kind; it must be auto, cpu, cuda or cuda:N"
        ) from None
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise DeviceError(f"device {word!r}: it must be auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    refuse_beyond(count, word)
    return torch.device("cuda", device.index or 0)


def refuse_beyond(count: int, word: str) -> None:
    """Refuse a device of CUDA with a number that ``count`` devices don't have.

    Raises:
        DeviceError: it has.
    """
    if int(word.partition(":")[2] or 0) >= count:
        raise DeviceError(
            f"device {word!r}: there are {count} CUDA devices here; choose another, or write auto"
        )


def precision(device: torch.device, amp: Amp) -> AbstractContextManager[Any]:
    """Run a model in the types of ``amp``; ``off`` leaves it in its own, float32.

    Raises:
        ValueError: there is no such setting.
    """
    import torch

    if amp not in AMPS:
        raise ValueError(f"amp must be one of {', '.join(AMPS)}, not {amp!r}")
    if amp == "off":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if amp == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=dtype)


def full_float32() -> None:
    """Have CUDA multiply float32 as float32: its convolutions take TF32's 10 bits by default."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


@cache
def keep_freed_memory() -> bool:
    """Have the C library keep memory that layers free, instead of giving it back at once.

    By default glibc maps each large activation anew and the kernel fills it with zeros, which
    takes up to a third of a forward pass on a CPU; and each thread has an arena of its own, which
    can't grow to the size of an activation. Process-wide: for a process that only measures.

    Returns:
        Whether this C library allows it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8  # M_... of glibc's malloc.h
    return all(
        (mallopt(arena_max, 1), mallopt(mmap_threshold, 1 << 30), mallopt(trim_threshold, -1))
    )


def release_memory(device: torch.device) -> None:
    """Give the device's cached memory back, after an allocation failed."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """How many threads calculate by default: as ``OMP_NUM_THREADS`` says, else one per core."""
    word = os.environ.get("OMP_NUM_THREADS", "")
    return int(word) if word.isdigit() and int(word) > 0 else usable_cores()


def environment(device: torch.device) -> dict[str, Any]:
    """What a speed depends on besides the model: to be kept with each figure.

    Returns:
        ``device`` (its kind), ``device_name``, ``cpu``, ``cores`` (usable), ``threads`` (of
        torch), ``torch``, ``python``, ``platform``; on a GPU also ``cuda``, ``cudnn`` and
        ``device_memory`` (bytes).
    """
    import torch

    facts: dict[str, Any] = {
        "device": device.type,
        "device_name": cpu_name(),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts["device_name"] = properties.name
        facts["device_memory"] = properties.total_memory
        facts["cuda"] = torch.version.cuda
        facts["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return facts


@cache
def cpu_name() -> str:
    """The processor's model name, as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
