"""CUDA as this process has it: which devices it sees, which is current, whether one has failed.

Some errors of a kernel end CUDA for the process: every later call reports the same one. What is
measured after such an error says nothing of a model, so it is remembered here.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from harness.measure.devices import DeviceError, refuse_beyond
from harness.measure.machine import gpus
from zoo._util.memory import is_out_of_memory
from zoo._util.text import foreign

if TYPE_CHECKING:
    import torch

VISIBLE = "CUDA_VISIBLE_DEVICES"

_MIG = "MIG-"
# In the words of CUDA, cuBLAS, cuDNN, Triton and their like for AMD. Out of memory is none.
_ENDING = re.compile(
    r"\b(CUDA|HIP)( runtime| driver)? error\b|\b(cuda|hip)Error[A-Z]|\bTriton Error \[(CUDA|HIP)\]"
    r"|CU(DNN|BLAS)_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)"
    r"|device-side assert|illegal memory access|illegal instruction was|unspecified launch failure"
    r"|uncorrectable (ECC|NVLink) error",
    re.IGNORECASE,
)
# Of a graph that can't be recorded, which ends the recording alone.
_OF_CAPTURE = re.compile(r"captur", re.IGNORECASE)


def refuse_absent(word: str) -> None:
    """Refuse a device of CUDA that its driver doesn't have, without importing torch.

    Raises:
        DeviceError: there is no such device here.
    """
    seen = visible() if word.startswith("cuda") else None
    if seen is not None:
        refuse_beyond(len(seen), word)


def visible() -> tuple[str, ...] | None:
    """The devices of this process, each as ``CUDA_VISIBLE_DEVICES`` names it alone.

    Of a list that the user set it is the names that CUDA heeds, those before the first wrong one.
    It shows one MIG slice to a process, whatever the list holds; another process may have another.

    Returns:
        None where it is AMD's driver to say.
    """
    count = _count()
    given = os.environ.get(VISIBLE)
    if count is None:
        return None
    if given is None:
        return tuple(map(str, range(count)))
    names = [name.strip() for name in given.split(",")]
    if count and all(name.startswith(_MIG) for name in names):
        return tuple(dict.fromkeys(names))
    return tuple(names[:count])


def _count() -> int | None:
    """How many devices CUDA's driver shows to this process; None where there may be AMD's."""
    # Which torch calls by the same name.
    return len(gpus()) or (None if os.path.exists("/dev/kfd") else 0)


class _Process:
    """What has ended CUDA in this process: the first line of the error, empty for nothing."""

    failure = ""


def failure() -> str:
    """The first line of the error that ended CUDA in this process; empty if none has."""
    return _Process.failure


def notice(error: BaseException) -> None:
    """Remember an error that no later call of CUDA survives, or one that it led to."""
    _Process.failure = _Process.failure or ending(error)


def ending(error: BaseException | None) -> str:
    """The first line of the error that ends CUDA, if that is one or was raised for one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, RuntimeError):
            with suppress(Exception):  # Other people's error classes may fail to print.
                if line := _ending_line(error):
                    return foreign(" ".join(line.split()))
        error = error.__cause__ or error.__context__
    return ""


def _ending_line(error: RuntimeError) -> str:
    if is_out_of_memory(error):
        return ""
    lines = [line for line in str(error).splitlines() if line.strip()]
    name = "AcceleratorError"  # Of newer versions of torch, whatever it says.
    first = (lines or [name])[0] if name in (each.__name__ for each in type(error).__mro__) else ""
    line = next(filter(_ENDING.search, lines), first)
    return "" if _OF_CAPTURE.search(line) else line


def probe() -> None:
    """Notice an error that model code has kept to itself."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        try:
            torch.cuda.synchronize()
        except RuntimeError as error:
            notice(error)


@contextmanager
def on_device(device: torch.device | None = None) -> Iterator[None]:
    """Work of this thread on a device: it is the current one, so that events, streams and pinned
    memory are its own, and an error that ends CUDA is noticed.

    Args:
        device: None for work that may use any, as that of a constructor.

    Raises:
        DeviceError: CUDA has ended in this process.
    """
    import torch

    on_cuda = device is not None and device.type == "cuda"
    if on_cuda and _Process.failure:
        raise DeviceError(
            f"CUDA has ended in this process, start a new one; its error was: {_Process.failure}"
        )
    with torch.cuda.device(device) if on_cuda else nullcontext():
        try:
            yield
        except Exception as error:
            notice(error)
            raise


def refuse_decoding(device: torch.device) -> None:
    """Refuse to decode images on a device that can't, as a tiny one tells.

    Raises:
        DeviceError: it can't.
    """
    import io

    import torch
    from PIL import Image

    if device.type != "cuda":
        raise DeviceError("decode 'gpu': models are run on the CPU here; choose pillow or fast")
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG")
    try:
        from torchvision.io import decode_jpeg

        with on_device(device), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of its deprecation.
            data = torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)
            decode_jpeg(data, device=device)
    except (ImportError, RuntimeError) as error:
        why = foreign(" ".join(str(error).split()))
        raise DeviceError(f"decode 'gpu': torchvision can't decode on {device}: {why}") from error
