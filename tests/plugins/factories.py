"""Values that tests of several folders start from."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import Finding
from zoo.index.types import Location

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def finding(**changes: object) -> Finding:
    """A finding like any other, but for what is given."""
    values: dict[str, object] = {
        "variant": "net50",
        "field": "FLOPs",
        "check": "flops",
        "status": "mismatch",
        "severity": "error",
        "cause": "flops.differs",
        "documented": "6973972864",
        "measured": 5399965376,
        "message": "The model has 5399965376 FLOPs; write that.",
        "location": Location("model-index/net.yml", 12, 7),
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


class Payload:
    """Unpickled, it would leave a file."""

    def __init__(self, marker: Path | str) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self._marker}",)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of an image's file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def assert_same_outputs(ours: Tensor, theirs: Tensor) -> None:
    """Equal up to rounding, and not because both hardly vary."""
    import torch

    assert theirs.isfinite().all()
    assert theirs.std() > 0.01, "the outputs hardly vary, so that equality shows nothing"
    scale = max(1.0, theirs.abs().max().item())
    torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=1e-5)
