"""The processes of one training, as torchrun starts them: torch.distributed, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.errors import BadInput, TrainingError

if TYPE_CHECKING:
    import torch
    from torch import nn

Result = TypeVar("Result")
# What each process has to know to find the others; torchrun sets all of it.
_NEEDED = ("RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the training.

    Attributes:
        rank: its number; the first, 0, writes files and speaks.
        world: how many there are.
        device: where this one computes.
    """

    rank: int
    world: int
    device: torch.device

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
        return DistributedDataParallel(model, device_ids=devices)


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
    if world == 1:
        yield Ranks(0, 1, _device(device, 0))
        return
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        raise BadInput(
            f"WORLD_SIZE is {world}, and {missing[0]} is not set: start the processes with "
            "torchrun, or unset WORLD_SIZE"
        )
    if device.startswith("cuda:"):
        raise BadInput(f"--device {device}: torchrun gives each process a GPU; write cuda")
    mine = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if mine.type == "cuda":
        torch.cuda.set_device(mine)
    torch.distributed.init_process_group("nccl" if mine.type == "cuda" else "gloo")
    try:
        yield Ranks(torch.distributed.get_rank(), world, mine)
    except RuntimeError as error:
        if isinstance(error, TrainingError) or not _is_lost(error):
            raise
        raise TrainingError(
            "another process of this training has ended; see what it said, and go on with "
            "--resume auto"
        ) from error
    finally:
        torch.distributed.destroy_process_group()


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


def _is_lost(error: RuntimeError) -> bool:
    """Whether a collective failed; gloo's errors have no class of their own."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or "gloo" in str(error).lower()


def _device(name: str, local_rank: int) -> torch.device:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (kind == "cuda" and number.isdecimal())):
        raise BadInput(f"--device {name}: write auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return torch.device("cpu")
    index, count = int(number or local_rank), torch.cuda.device_count()
    if index >= count:
        raise BadInput(f"--device {name}: torch sees {count} GPUs here, and number {index} is none")
    return torch.device("cuda", index)
