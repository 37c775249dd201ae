"""The processes of one training, as torchrun starts them: torch.distributed, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.training.errors import BadInput

if TYPE_CHECKING:
    import torch
    from torch import nn


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

    def share_buffers(self, module: nn.Module) -> None:
        """Gives every process the first one's buffers, such as the means of norms."""
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
    """Joins the processes that torchrun started; without torchrun there is this one alone.

    Args:
        device: auto, cpu, cuda or cuda:N. With torchrun each process of a machine has a GPU of its
            own, so that a number is wrong.

    Raises:
        BadInput: there is no such device, or not one for each process.
    """
    import torch

    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(0, 1, _device(device, 0))
        return
    if device.startswith("cuda:"):
        raise BadInput(f"--device {device}: torchrun gives each process a GPU; write cuda")
    mine = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if mine.type == "cuda":
        torch.cuda.set_device(mine)
    torch.distributed.init_process_group("nccl" if mine.type == "cuda" else "gloo")
    try:
        yield Ranks(torch.distributed.get_rank(), world, mine)
    finally:
        torch.distributed.destroy_process_group()


def is_first() -> bool:
    """Whether this process speaks for all, before torch is imported."""
    return os.environ.get("RANK", "0") == "0"


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
