"""The device that a model runs on: which, its precision, and what it reports of itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from harness.measure.machine import gpu_limits, processor, vector
from zoo._util.cores import usable_cores

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
        DeviceError: this torch does not have them there.
        ValueError: there is no such setting.
    """
    import torch

    if amp not in AMPS:
        raise ValueError(f"amp must be one of {', '.join(AMPS)}, not {amp!r}")
    if amp == "off":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if amp == "bf16" else torch.float16
    found = torch.autocast(device.type, dtype=dtype)
    if not found._enabled:  # It has only warned.
        raise DeviceError(f"{amp}: torch {torch.__version__} does not run it on a {device.type}")
    return found


# Where torch may multiply float32 in fewer bits, the general places first: one that has no word of
# its own takes theirs.
_FLOAT32 = (
    *("", "cuda.matmul", "cudnn", "cudnn.conv", "cudnn.rnn"),
    *("mkldnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn"),
)
_SWITCH = "fp32_precision"


def full_float32(*, tf32: bool = False, backends: Any = None) -> None:
    """Have float32 multiplied as float32, which CUDA's convolutions don't do by default.

    To be called once a model is built, since its builder may have set it otherwise.

    Args:
        tf32: let CUDA take TF32's 10 bits instead.
        backends: torch's, by default.
    """
    import torch

    backends = backends or torch.backends
    # The older switches as well: torch refuses to read them where the newer ones disagree.
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    backends.cuda.matmul.allow_tf32 = tf32
    backends.cudnn.allow_tf32 = tf32
    for place, holder in _float32_switches(backends):
        holder.fp32_precision = "tf32" if tf32 and place.startswith("cu") else "ieee"


def float32_settings(device: torch.device, backends: Any = None) -> dict[str, Any]:
    """How float32 is multiplied on a device now: ``tf32``, and each switch of torch's for it."""
    import torch

    backends = backends or torch.backends
    own = ("cuda", "cudnn") if device.type == "cuda" else ("mkldnn",)
    words = {place: holder.fp32_precision for place, holder in _float32_switches(backends)}
    if not words and device.type == "cuda":  # An older torch.
        old = {"cuda.matmul": backends.cuda.matmul, "cudnn": backends.cudnn}
        words = {place: "tf32" if each.allow_tf32 else "ieee" for place, each in old.items()}
    for place in list(words):  # The general ones come first.
        general = place.rpartition(".")[0]
        if words[place] == "none" and place:
            words[place] = words.get(general, words.get("", "none"))
    found = {place: word for place, word in words.items() if place.partition(".")[0] in own}
    return {"tf32": "tf32" in found.values() and device.type == "cuda", "float32": found}


def _float32_switches(backends: Any) -> list[tuple[str, Any]]:
    """The newer switches that this torch has, by their places."""
    found = []
    for place in _FLOAT32:
        holder = backends
        for name in filter(None, place.split(".")):
            holder = getattr(holder, name, None)
        if hasattr(holder, _SWITCH):
            found.append((place, holder))
    return found


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


def default_threads() -> int:
    """How many threads calculate by default: as ``OMP_NUM_THREADS`` says, else one per core."""
    word = os.environ.get("OMP_NUM_THREADS", "")
    return int(word) if word.isdigit() and int(word) > 0 else usable_cores()


def environment(device: torch.device) -> dict[str, Any]:
    """What a speed depends on besides the model: to be kept with each figure.

    Returns:
        ``device`` (its kind), ``device_name``, ``cpu``, ``cpu_model``, ``cpu_capability`` (the
        vector instructions that torch uses), ``vector`` (those that there are), ``cores``
        (usable), ``threads`` (of torch), ``torch``, ``python``, ``platform``, ``float32`` and
        ``tf32`` (see `float32_settings`); on a GPU also ``capability``, ``cuda``, ``cudnn``,
        ``cudnn_benchmark``, ``device_memory`` (bytes), and where NVML tells them ``driver``,
        ``power_limit`` (watts) and ``mig``.
    """
    import torch

    facts: dict[str, Any] = {
        "device": device.type,
        "device_name": processor()["cpu"],
        **processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "vector": vector(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **float32_settings(device),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts |= {
            "device_name": properties.name,
            "device_memory": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda or torch.version.hip,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            **gpu_limits(device.index or 0),
        }
    return facts
