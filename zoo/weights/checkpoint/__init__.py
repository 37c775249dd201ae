"""What a checkpoint file holds, found out without torch and without running anything of it."""

from zoo.weights.checkpoint.read import read_checkpoint
from zoo.weights.checkpoint.types import (
    CheckpointInfo,
    Extra,
    ReadLimits,
    StorageInfo,
    TensorInfo,
    UnreadableCheckpoint,
    UnsafeCheckpoint,
)

__all__ = [
    "CheckpointInfo",
    "Extra",
    "ReadLimits",
    "StorageInfo",
    "TensorInfo",
    "UnreadableCheckpoint",
    "UnsafeCheckpoint",
    "read_checkpoint",
]
