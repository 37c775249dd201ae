"""Loading a checkpoint for real, after `read_checkpoint` has described it.

The tensors are made from that description: each is a view of the file's bytes, mapped into
memory. No second parser sees the file, so what was checked is what is loaded, and a format that
torch.load reads into memory twice over (the legacy one) costs nothing more than a zip file.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from zoo._util.files import file_stat
from zoo.errors import (
    CheckpointError,
    MismatchedCheckpointError,
    NotFiniteCheckpointError,
    UnreadableCheckpointError,
    UnsafeCheckpointError,
)
from zoo.weights.checkpoint import (
    CheckpointInfo,
    StorageInfo,
    TensorInfo,
    UnsafeCheckpoint,
    read_checkpoint,
    read_safetensors_header,
)
from zoo.weights.checkpoint.safetensors import read_header
from zoo.weights.checkpoint.torchfile import inflate
from zoo.weights.checkpoint.types import ITEM_SIZES, Rejection, printable, unreadable
from zoo.weights.match import Match, TensorSpec, match, specs_of
from zoo.weights.values import ValueCheck

if TYPE_CHECKING:
    import torch
    from torch import nn

# Covers the largest element, two doubles.
_ALIGNMENT = 16
# torch compresses nothing; what inflates to much more than the model is no model's.
_MOST_INFLATED = 1 << 26


@dataclass(frozen=True, slots=True)
class Examination:
    """Whether a model can use a file.

    Attributes:
        contents: what the file holds; None where it can't be described.
        match: how its tensors fit; None where it can't be described.
        error: what loading it would raise; None where it can be loaded.
        all_zero: every weight of a layer is 0.
    """

    contents: CheckpointInfo | None
    match: Match | None
    error: CheckpointError | None
    all_zero: bool = False


def examine(
    model: nn.Module, path: Path, *, within: Path | None = None, entry: str | None = None
) -> Examination:
    """Decide whether `load_into` would load a file, and whether the model could compute with it.

    Arguments are those of `load_into`; the model may be on the meta device, and is left as it is.
    Peak memory is the largest storage of the file.
    """
    contents = result = None
    try:
        with _reading(path, within, mapped=False, keep=False, entry=entry) as opened:
            contents, storages = opened
            result = match(contents.tensors, specs_of(model))
            all_zero = _check_usable(model, path, result, storages)
    except CheckpointError as error:
        return Examination(contents, result, error)
    return Examination(contents, result, None, all_zero)


def examine_header(model: nn.Module, path: Path) -> Examination:
    """Decide as `examine` does by a kept header (see `zoo.weights.headers`): values aside."""
    header = read_header(path)
    if header is None:
        error = UnreadableCheckpointError(f"{path}: the kept header is damaged; run it again")
        return Examination(None, None, error)
    contents = read_safetensors_header(header.data, header.size)
    if isinstance(contents, UnsafeCheckpoint):
        return Examination(None, None, UnsafeCheckpointError(f"{path}: {contents}"))
    if not isinstance(contents, CheckpointInfo):
        return Examination(None, None, UnreadableCheckpointError(f"{path}: {contents}"))
    return Examination(contents, match(contents.tensors, specs_of(model)), None)


def load_tensors(
    path: Path, *, device: str = "cpu", within: Path | None = None
) -> dict[str, torch.Tensor]:
    """The state dict of a checkpoint, unwrapped and under the names that `read_checkpoint` gives.

    On the CPU the tensors are views of the file, which is mapped privately: writing to them
    doesn't change it. The file must stay as it is while they are used; clone them to be free of it.

    Args:
        path: the file.
        device: where to put the tensors.
        within: a folder that the file must lie in.

    Raises:
        UnsafeCheckpointError: the file asks for more than tensors.
        UnreadableCheckpointError: it is no checkpoint, a damaged one, or of a layout (sparse,
            quantized) that isn't a model's weights.
    """
    with _reading(path, within, mapped=True) as (contents, storages):
        _check_layouts(path, contents.tensors)
        tensors = {t.name: storages.tensor(t).to(device) for t in contents.tensors}
    return _as_state_dict(contents, tensors)


def load_into(model: nn.Module, path: Path, *, entry: str | None = None) -> Match:
    """Load a checkpoint into a model, which must expect just these tensors.

    Weights of any floating type are cast to the model's types. An auxiliary head that the model
    doesn't have is left out. Peak memory is the weights, once: a model on the meta device gets
    tensors of its own, any other is written in place out of the mapped file.

    Args:
        model: what to load into.
        path: the file.
        entry: which of the file's state dicts, see `read_checkpoint`.

    Raises:
        MismatchedCheckpointError: names or shapes differ.
        NotFiniteCheckpointError: the model can't compute with its numbers.
        UnsafeCheckpointError, UnreadableCheckpointError: as `load_tensors`.
    """
    import torch

    expected = specs_of(model)
    on_meta = any(t.is_meta for t in model.state_dict().values() if isinstance(t, torch.Tensor))
    with _reading(path, None, mapped=not on_meta, entry=entry) as (contents, storages):
        result = match(contents.tensors, expected)
        _check_usable(model, path, result, storages)
        cut = len(result.prefix)
        infos = _used(contents, result, expected)
        if on_meta:
            wanted = _own(infos, expected, storages)
        else:
            wanted = {name: storages.tensor(info) for name, info in infos.items()}
        for name in result.uncounted:
            wanted[name] = torch.tensor(0, dtype=torch.long)
        state = _as_state_dict(contents, wanted, cut)
        model.load_state_dict(state, strict=True, assign=on_meta)
    return result


def _used(
    contents: CheckpointInfo, result: Match, expected: Mapping[str, TensorSpec]
) -> dict[str, TensorInfo]:
    """The file's tensors that the model takes, by the model's names."""
    cut = len(result.prefix)
    return {t.name[cut:]: t for t in contents.tensors if t.name[cut:] in expected}


def _check_usable(model: nn.Module, path: Path, result: Match, storages: _Bytes) -> bool:
    """The one decision whether a model can use a file; whether all weights are 0.

    Raises:
        CheckpointError: it can't.
    """
    import torch

    contents, expected = storages.contents, specs_of(model)
    infos = _used(contents, result, expected)
    _check_layouts(path, infos.values())
    if not result.fits:
        raise MismatchedCheckpointError(f"{path}: {result.sentence()}", result)
    wanted = sum(info.nbytes for info in infos.values())
    for key in {info.storage for info in infos.values()}:
        storage = contents.storages[key]
        if storage.deflated is not None and storage.nbytes > 2 * wanted + _MOST_INFLATED:
            raise UnreadableCheckpointError(
                f"{path}: storage {printable(key)} inflates to {storage.nbytes:,} bytes, and its "
                f"tensors have {wanted:,}"
            )
    values = ValueCheck(model)
    for name, info in sorted(infos.items(), key=lambda item: item[1].storage):
        values.add(name, storages.tensor(info), getattr(torch, expected[name].dtype))
    fault = values.fault()
    if fault is not None:
        raise NotFiniteCheckpointError(f"{path}: {fault}")
    return values.all_zero


def _check_layouts(path: Path, infos: Iterable[TensorInfo]) -> None:
    odd = next((t for t in infos if t.layout != "strided"), None)
    if odd is not None:
        raise UnreadableCheckpointError(
            f"{path}: {printable(odd.name)} is a {odd.layout} tensor, and only dense ones are "
            "loaded"
        )


def _own(
    infos: Mapping[str, TensorInfo], expected: Mapping[str, TensorSpec], storages: _Bytes
) -> dict[str, torch.Tensor]:
    """Tensors in the expected types that don't depend on the file; tied ones stay tied."""
    import torch

    copies: dict[tuple[object, ...], torch.Tensor] = {}
    owned: dict[str, torch.Tensor] = {}
    for name, info in infos.items():
        dtype = getattr(torch, expected[name].dtype)
        place = (info.storage, info.offset, info.shape, info.stride, info.dtype, info.flags, dtype)
        if place not in copies:
            tensor = storages.tensor(info).to(dtype)
            # A parameter whose elements share memory, as an expanded one's do, can't be trained.
            overlaps = _reach(info) < tensor.numel()
            copies[place] = tensor.contiguous() if overlaps else tensor
        owned[name] = copies[place]
    return owned


@contextmanager
def _reading(
    path: Path,
    within: Path | None,
    *,
    mapped: bool,
    keep: bool = True,
    entry: str | None = None,
) -> Iterator[tuple[CheckpointInfo, _Bytes]]:
    """A checkpoint's description and bytes, or the error that says why not."""
    try:
        before = file_stat(path.stat())
    except OSError:
        before = None  # `read_checkpoint` says why
    contents = read_checkpoint(path, within=within, entry=entry)
    if isinstance(contents, UnsafeCheckpoint):
        raise UnsafeCheckpointError(f"{path}: {contents}")
    if not isinstance(contents, CheckpointInfo):
        raise UnreadableCheckpointError(f"{path}: {contents}")
    try:
        with path.open("rb") as file:
            if file_stat(os.fstat(file.fileno())) != before:
                raise unreadable("the file changed while it was read")
            yield contents, _Bytes(file, contents, mapped=mapped, keep=keep)
    except Rejection as e:
        kind = (
            UnsafeCheckpointError
            if isinstance(e.result, UnsafeCheckpoint)
            else UnreadableCheckpointError
        )
        raise kind(f"{path}: {e.result}") from e
    except OSError as e:
        why = f"the file can't be read: {e.strerror or type(e).__name__}"
        raise UnreadableCheckpointError(f"{path}: {why}") from e


class _Bytes:
    """A checkpoint's storages: views of the file where that is possible, else read into memory."""

    def __init__(
        self, file: BinaryIO, contents: CheckpointInfo, *, mapped: bool, keep: bool
    ) -> None:
        import torch

        self._file = file
        self.contents = contents
        self._keep = keep
        self._whole: torch.Tensor | None = None
        if mapped:
            size = os.fstat(file.fileno()).st_size
            view = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
            self._whole = torch.frombuffer(view, dtype=torch.uint8)
        # What was read; all of it where kept, so that tensors share storages as the file says.
        self._read: dict[str, torch.Tensor] = {}

    def _storage(self, storage: StorageInfo) -> torch.Tensor:
        # Legacy files put a storage at any byte; a view of numbers has to begin at a multiple.
        aligned = storage.deflated is None and storage.position % _ALIGNMENT == 0
        if self._whole is not None and aligned:
            return self._whole[storage.position : storage.position + storage.nbytes]
        if storage.key not in self._read:
            if not self._keep:
                self._read.clear()
            self._read[storage.key] = self._fetch(storage)
        return self._read[storage.key]

    def _fetch(self, storage: StorageInfo) -> torch.Tensor:
        import torch

        self._file.seek(storage.position)
        if storage.deflated is not None:
            raw = self._file.read(storage.deflated)
            data = bytearray(inflate(raw, storage.nbytes, storage.key))
            return torch.frombuffer(data, dtype=torch.uint8)
        memory = torch.empty(storage.nbytes, dtype=torch.uint8)
        if self._file.readinto(memory.numpy()) != storage.nbytes:  # type: ignore[attr-defined]
            raise unreadable("the file was cut off while it was read")
        return memory

    def tensor(self, info: TensorInfo) -> torch.Tensor:
        """A tensor as `info` describes it."""
        import torch

        dtype: Any = getattr(torch, info.dtype)
        if not info.nbytes:
            return torch.empty(info.shape, dtype=dtype)
        item = ITEM_SIZES[info.dtype]
        data = self._storage(self.contents.storages[info.storage])
        part = data[info.offset : info.offset + _reach(info) * item]
        if self.contents.byteorder != sys.byteorder:
            # A complex number is two, each swapped by itself.
            number = item // 2 if info.dtype.startswith("complex") else item
            part = part.reshape(-1, number).flip(1).reshape(-1)
        elif info.offset % item:
            part = part.clone()
        tensor = torch.as_strided(part.view(dtype), info.shape, info.stride)
        if "conj" in info.flags:
            tensor = tensor.conj()
        return torch._neg_view(tensor) if "neg" in info.flags else tensor


def _reach(info: TensorInfo) -> int:
    """Elements of the storage from a tensor's first to its last."""
    return sum((n - 1) * step for n, step in zip(info.shape, info.stride, strict=True)) + 1


def _as_state_dict(
    contents: CheckpointInfo, tensors: Mapping[str, torch.Tensor], cut: int = 0
) -> dict[str, torch.Tensor]:
    """With the module versions, by which torch's modules tell the layout of old checkpoints."""
    state: OrderedDict[str, torch.Tensor] = OrderedDict(tensors)
    versions = {path[cut:]: {"version": v} for path, v in contents.versions.items()}
    if versions:
        state._metadata = OrderedDict(versions)  # type: ignore[attr-defined]
    return state
