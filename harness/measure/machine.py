"""The machine that figures come from, read without torch: its processor, its GPUs, their driver.

The driver lists the GPUs that this process may use in CUDA's own order, whatever
`CUDA_VISIBLE_DEVICES` and MIG make of it; NVML, which comes with it, tells what limits them. Where
either is missing there are fewer facts, and nothing fails.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

# What a processor can calculate with, as Linux calls it on x86 and on Arm.
_VECTOR = (
    *("avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_bf16", "amx_fp16", "asimd", "asimdhp", "sve", "sve2", "bf16", "sme"),
)
# Variables by which torch and its libraries use less of it.
_STEERED_BY = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_THREADED_BY = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...


@dataclass(frozen=True, slots=True)
class Gpu:
    """One that CUDA may use here.

    Attributes:
        name: with the slice of it, where it is one of MIG's.
        capability: of its instructions, ``9.0``.
        uuid: as the driver gives it, without the word before it.
    """

    name: str
    capability: str
    uuid: str


def resolve(word: str) -> int | None:
    """CUDA's number of the device that a word of ``--device`` names; None is the CPU."""
    if word == "cpu" or (word == "auto" and not _has_cuda()):
        return None
    return int(word.partition(":")[2] or 0)


def speed_conditions(word: str, cores: int) -> dict[str, Any]:
    """What a speed on that device depends on, with that many cores, before torch is asked."""
    number = resolve(word)
    threads = [os.environ.get(name, "") for name in _THREADED_BY]
    host = {**processor(), **arithmetic("cpu"), "cores": cores, "threads": threads}
    return host if number is None else host | arithmetic(f"cuda:{number}") | gpu_limits(number)


def arithmetic(word: str) -> dict[str, Any]:
    """What the last bits of a result on that device depend on beside torch.

    A count of right answers in float32 is made not to hang on them (`accuracy.scoring`), but what
    is kept of each image does, and a GPU is not promised to count as a CPU does.
    """
    number, build = resolve(word), torch_build()
    if number is None:
        steered = [os.environ.get(name, "") for name in _STEERED_BY]
        return {"machine": platform.machine(), "vector": vector(), "steered": steered}
    if number < len(gpus()):
        # Without a number any of them may count.
        some = gpus()[number : number + 1] if ":" in word else gpus()
        about = {
            "device_name": ", ".join(dict.fromkeys(gpu.name for gpu in some)),
            "capability": ", ".join(dict.fromkeys(gpu.capability for gpu in some)),
        }
    else:  # AMD's, whose driver is another one: what it is, this host knows.
        about = {"device_name": f"GPU {number} of {platform.node()}"}
    return {**about, **{k: v for k, v in build.items() if k != "git"}, "cudnn": _cudnn(build)}


def processor() -> dict[str, Any]:
    """``cpu``, its model's name, and ``cpu_model``, its numbers, since some names are shared."""
    facts = _cpuinfo()
    numbers = ("vendor_id", "cpu family", "model", "stepping", "CPU implementer", "CPU part")
    name = facts.get("model name") or platform.processor() or platform.machine()
    return {"cpu": name, "cpu_model": " ".join(facts[each] for each in numbers if each in facts)}


def vector() -> str:
    """The vector instructions of the processor that torch has a use for; empty if unknown."""
    facts = _cpuinfo()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return " ".join(each for each in _VECTOR if each in flags)


@cache
def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor."""
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if not key.strip():
                break
            found[key.strip()] = value.strip()
    return found


@cache
def torch_build() -> dict[str, str]:
    """``cuda``, ``hip`` and ``git`` of the torch that is installed; only those that it has."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return {}
    with suppress(OSError):
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
        found = re.findall(r"^(cuda|hip|git)(?:_version)?\b[^=\n]*= '([^']+)'", text, re.MULTILINE)
        return dict(found)
    return {}


def _cudnn(build: dict[str, str]) -> str:
    """The version of cuDNN, where it is installed beside torch; empty otherwise."""
    with suppress(PackageNotFoundError):
        return version(f"nvidia-cudnn-cu{build.get('cuda', '').partition('.')[0]}")
    return ""


# -- the driver of CUDA -----------------------------------------------------------------------


def _has_cuda() -> bool:
    """Whether torch, too, would find a GPU: its build and the driver have to be fit for it."""
    build = torch_build()
    if "hip" in build:  # AMD's, which torch calls by the same name.
        return os.path.exists("/dev/kfd")
    driver = _driver()
    newest = None if driver is None else _ask(driver, "cuDriverGetVersion", ctypes.c_int)
    if newest is None or "cuda" not in build or not gpus():
        return False
    return bool(newest.value // 1000 >= int(build["cuda"].partition(".")[0]))


@cache
def gpus() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in CUDA's order; none where there is no driver."""
    driver = _driver()
    count = None if driver is None else _ask(driver, "cuDeviceGetCount", ctypes.c_int)
    return tuple(_gpu(driver, number) for number in range(0 if count is None else count.value))


def _gpu(driver: Any, number: int) -> Gpu:
    device = _ask(driver, "cuDeviceGet", ctypes.c_int, after=(number,)) or ctypes.c_int(number)
    length = 256
    name = _ask(driver, "cuDeviceGetName", ctypes.c_char * length, after=(length, device))
    levels = [
        _ask(driver, "cuDeviceGetAttribute", ctypes.c_int, after=(which, device))
        for which in (_MAJOR, _MINOR)
    ]
    raw = None
    for call in ("cuDeviceGetUuid_v2", "cuDeviceGetUuid"):
        raw = raw or _ask(driver, call, ctypes.c_byte * 16, after=(device,))
    return Gpu(
        "unknown" if name is None else name.value.decode("utf-8", "replace"),
        ".".join(str(level.value) for level in levels if level is not None),
        "" if raw is None else str(UUID(bytes=bytes(b & 0xFF for b in raw))),
    )


@cache
def _driver() -> Any:
    """CUDA's driver, ready to be asked; None where there is none."""
    library = _library("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    try:
        return library if library is not None and not library.cuInit(0) else None
    except AttributeError:
        return None


# -- NVML, the driver's library for administration --------------------------------------------


def gpu_limits(number: int) -> dict[str, Any]:
    """``driver`` (its version), ``power_limit`` (watts) and ``mig``, those that NVML answers."""
    nvml, found = _nvml(), dict[str, Any]()
    if nvml is None:
        return found
    text = _ask(nvml, "nvmlSystemGetDriverVersion", ctypes.c_char * 96, after=(96,))
    if text is not None:
        found["driver"] = text.value.decode("ascii", "replace")
    handle = _handle(nvml, number)
    if handle is None:
        return found
    limit = _ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", ctypes.c_uint, before=(handle,))
    if limit is not None:
        found["power_limit"] = limit.value / 1e3
    pending = ctypes.byref(ctypes.c_uint())
    mig = _ask(nvml, "nvmlDeviceGetMigMode", ctypes.c_uint, before=(handle,), after=(pending,))
    found["mig"] = mig is not None and bool(mig.value)
    return found


def energy(number: int) -> float | None:
    """The joules that a GPU has used since its driver was loaded; None where NVML doesn't tell.

    It is that of the whole card, so of a slice of it there is none.
    """
    nvml = _nvml()
    handle = None if nvml is None else _handle(nvml, number)
    if handle is None or gpu_limits(number).get("mig"):
        return None
    call = "nvmlDeviceGetTotalEnergyConsumption"
    used = _ask(nvml, call, ctypes.c_ulonglong, before=(handle,))
    return None if used is None else float(used.value) / 1e3


def _handle(nvml: Any, number: int) -> Any:
    """NVML's own name of a GPU, of the whole card where it is a slice; None if it has none."""
    if number >= len(gpus()) or not (uuid := gpus()[number].uuid):
        return None
    kind, call = ctypes.c_void_p, "nvmlDeviceGetHandleByUUID"
    whole = _ask(nvml, call, kind, before=(f"GPU-{uuid}".encode(),))
    if whole is not None:
        return whole
    part = _ask(nvml, call, kind, before=(f"MIG-{uuid}".encode(),))
    parent = "nvmlDeviceGetDeviceHandleFromMigDeviceHandle"
    return None if part is None else _ask(nvml, parent, kind, before=(part,))


@cache
def _nvml() -> Any:
    """NVML, ready to be asked; None where there is none."""
    library = _library("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    try:
        return library if library is not None and not library.nvmlInit_v2() else None
    except AttributeError:
        return None


def _library(name: str) -> Any:
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


def _ask(
    library: Any, call: str, kind: Any, *, before: tuple[Any, ...] = (), after: tuple[Any, ...] = ()
) -> Any:
    """What a call writes through a pointer of that kind; None where it fails or is unknown."""
    found = kind()
    try:
        failed = getattr(library, call)(*before, ctypes.byref(found), *after)
    except AttributeError:
        return None
    return None if failed else found
