"""The processes of one training, as torchrun starts them: torch.distributed, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from zoo._util.text import plural
from zoo.errors import BadInput, TrainingError

if TYPE_CHECKING:
    import torch
    from torch import nn

Result = TypeVar("Result")
# What each process has to know to find the others; torchrun sets all of it.
_NEEDED = ("RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the training; the first, of rank 0, writes files and speaks."""

    rank: int
    world: int
    device: torch.device
    _wrappers: list[nn.Module] = field(default_factory=list)

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in each of them; changes ``values``."""
        if self.world > 1:
            import torch.distributed

            torch.distributed.all_reduce(values)
        return values

    def from_first(self, make: Callable[[], Result]) -> Result:
        """Broadcast what the first process makes; no other process calls ``make``.

        The others may be on other hosts, where the first one's files are not.

        Raises:
            TrainingError: that of the first process, in each of them.
        """
        if self.world == 1:
            return make()
        import torch.distributed

        box: list[Any] = [None, None]
        if self.first:
            try:
                box[0] = make()
            except TrainingError as error:
                box[1] = error
        on_gpu = self.device if self.device.type == "cuda" else None
        torch.distributed.broadcast_object_list(box, 0, device=on_gpu)
        if box[1] is not None:
            raise box[1]
        result: Result = box[0]
        return result

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process the first one's buffers, such as the means of norms."""
        if self.world > 1:
            import torch.distributed

            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, 0)

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are the means over all processes."""
        if self.world == 1 or not any(p.requires_grad for p in model.parameters()):
            return model
        from torch.nn.parallel import DistributedDataParallel

        devices = [self.device] if self.device.type == "cuda" else None
        self._wrappers.append(DistributedDataParallel(model, device_ids=devices))
        return self._wrappers[-1]

    def leave(self) -> None:
        """Close what leads to the other processes, although a model or an error may be kept.

        A wrapped model holds the sockets and their threads: while they are open, the others wait
        for this process.
        """
        for wrapper in self._wrappers:
            vars(wrapper).clear()


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started; without torchrun there is this one alone.

    Args:
        device: auto, cpu, cuda or cuda:N. With torchrun each process of a machine has a GPU of its
            own, so that a number is wrong.

    Raises:
        BadInput: there is no such device, or not one for each process; or the environment names
            several processes, and not where they are.
        TrainingError: another process is gone.
    """
    import torch

    world = world_size()
    if world > 1:
        _check_environment(world, device)
    mine = _device(device, world)
    # Whatever takes "the GPU", such as a thread that pins memory, takes this process's own.
    with torch.cuda.device(mine) if mine.type == "cuda" else nullcontext():
        if world == 1:
            yield Ranks(0, 1, mine)
            return
        ranks = _met(world, mine)
        end = torch.distributed.destroy_process_group
        try:
            yield ranks
        except BaseException as error:
            if mine.type == "cuda":
                # NCCL's orderly end waits for the others, who may be gone.
                end = getattr(torch.distributed.distributed_c10d, "_abort_process_group", end)
            if isinstance(error, TrainingError) or not _is_lost(error):
                raise
            raise TrainingError(
                "another process of this training has ended; see what it said, and go on with "
                "--resume auto"
            ) from error
        finally:
            ranks.leave()
            end()


def _check_environment(world: int, device: str) -> None:
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        raise BadInput(
            f"WORLD_SIZE is {world}, and {missing[0]} is not set: start the processes with "
            "torchrun, or unset WORLD_SIZE"
        )
    for name, limit in (("RANK", world), ("MASTER_PORT", 1 << 16), ("LOCAL_RANK", world)):
        text = os.environ.get(name, "0")
        if not text.isdecimal() or int(text) >= limit:
            raise BadInput(
                f"{name} is {text!r}, and should be a number below {limit}; start the processes "
                "with torchrun"
            )
    if device.startswith("cuda:"):
        raise BadInput(f"--device {device}: torchrun gives each process a GPU; write cuda")


def _met(world: int, mine: torch.device) -> Ranks:
    """This process among the others, once all are there."""
    import torch.distributed

    if not torch.distributed.is_available():
        raise BadInput("this build of torch trains in one process alone; unset WORLD_SIZE")
    backend = "nccl" if mine.type == "cuda" and torch.distributed.is_nccl_available() else "gloo"
    try:
        torch.distributed.init_process_group(backend)
    except (RuntimeError, ValueError) as error:
        where = ":".join(os.environ[name] for name in _NEEDED[1:])
        reason = str(error).partition("\n")[0]
        raise TrainingError(
            f"the {world} processes of this training can't meet at {where}: {reason}"
        ) from error
    return Ranks(torch.distributed.get_rank(), world, mine)


def is_first() -> bool:
    """Whether this process speaks for all, before torch is imported."""
    # A RANK by itself is another program's.
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    return alone or os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isdecimal() or not int(text):
        raise BadInput(f"WORLD_SIZE is {text!r}, and should be the number of processes; unset it")
    return int(text)


def _is_lost(error: BaseException) -> bool:
    """Whether a collective failed; gloo's errors have no class of their own."""
    from torch.distributed import DistError

    if not isinstance(error, RuntimeError):
        return False
    return isinstance(error, DistError) or "gloo" in str(error).lower()


def _device(name: str, world: int) -> torch.device:
    """The device of that name; of several processes, each takes the GPU of its number."""
    import torch

    found = name
    if name == "auto":
        found = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = found.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (kind == "cuda" and number.isdecimal())):
        raise BadInput(f"--device {name}: write auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    seen = f"--device {name}: torch sees {plural(count, 'GPU')} here"
    own = os.environ.get("LOCAL_RANK", "") if world > 1 else "0"
    if not own and count > 1:
        raise BadInput(f"{seen}, and LOCAL_RANK doesn't say which; start with torchrun")
    index = int(number or own or 0)
    if index >= count:
        more = "start fewer processes, or write --device cpu" if world > 1 else "choose another"
        raise BadInput(f"{seen}, and number {index} is none; {more}")
    return torch.device("cuda", index)
