"""What a checkpoint file holds, held against the tensors of a built model.

The file is read without running anything in it (see `zoo.weights.checkpoint`). Whether the model
can use it is decided where it is loaded (see `zoo.weights.load.examine`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import MismatchedCheckpointError
from zoo.weights.checkpoint import CheckpointInfo
from zoo.weights.checkpoint.safetensors import KEPT
from zoo.weights.load import examine, examine_header
from zoo.weights.match import explain_size, recognise, specs_of

if TYPE_CHECKING:
    from torch import nn


def inspect(
    model: nn.Module, path: Path, siblings: Iterable[tuple[str, Callable[[], nn.Module]]]
) -> dict[str, Any]:
    """Reads a checkpoint and matches its tensors with those of the model.

    Args:
        model: the variant, built anywhere; the meta device will do.
        path: the file, or the kept header of one on a server (see `zoo.weights.headers`), which
            shows all but the values.
        siblings: other variants that the file may turn out to hold, with what builds them; they
            are built only where the file is not this variant's.

    Returns:
        ``refused``, the cause why no model loads the file (``weights.unsafe``,
        ``weights.unreadable``, ``weights.not-finite``) or None, and ``why``. Where the file can be
        described also ``tensors`` (count), ``fits``, ``misfit`` (the kind of difference, see
        `zoo.weights.match.Match.misfit`), ``sentence`` (what differs, for a person), ``notes``
        (unusual and not wrong), ``half`` (the half-precision type of all weights or of some, or
        None), ``reasons`` (what makes the file larger or smaller than the model, with bytes),
        ``entry`` and ``others`` (which state dict of the file this is about, and those of the same
        network that it is not about) and ``holds`` (names of the siblings whose tensors these are
        exactly), ``all_zero`` (whether every weight of a layer is 0) and
        ``odd_layout`` (whether any tensor is sparse, quantized or the like).
    """
    by_header = path.suffix == KEPT
    found = (examine_header if by_header else examine)(model, path)
    contents, result, error = found.contents, found.match, found.error
    refused, why = None, ""
    if error is not None and not isinstance(error, MismatchedCheckpointError):
        refused, why = error.cause, str(error).removeprefix(f"{path}: ")
    if contents is None or result is None:
        return {"refused": refused, "why": why}
    known = {} if result.fits else {name: specs_of(build()) for name, build in siblings}
    return {
        "refused": refused,
        "why": why,
        "tensors": len(contents.tensors),
        "fits": result.fits,
        "misfit": result.misfit,
        "sentence": result.sentence(),
        "notes": [*_wrapping(contents), *result.notes()],
        "half": result.half or result.partly_half,
        "entry": contents.container,
        "others": list(contents.others),
        "reasons": explain_size(contents, result),
        "holds": list(recognise(contents.tensors, known)),
        "all_zero": found.all_zero,
        "by_header": by_header,
        "odd_layout": any(tensor.layout != "strided" for tensor in contents.tensors),
    }


def _wrapping(contents: CheckpointInfo) -> list[str]:
    """What had to be taken off before the tensors had a model's names."""
    notes = []
    if contents.container:
        notes.append(f"the state dict is the entry {contents.container!r} of the file")
    if contents.others:
        notes.append(
            f"{' and '.join(map(repr, contents.others))} beside it "
            f"{'holds' if len(contents.others) == 1 else 'hold'} the same network with other "
            "weights and was not compared: say on the page which of them it documents"
        )
    if contents.prefixes:
        notes.append(f"every name in the file begins with {''.join(contents.prefixes)!r}")
    return notes
