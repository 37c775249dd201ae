"""The families with few channels and blocks, where a test is of training and not of the model.

``python narrow.py train ...`` is the command with them in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from zoo.models import efficientnet_lite, resnest


def _lite0(**options: Any) -> efficientnet_lite.EfficientNetLite:
    return efficientnet_lite.EfficientNetLite(width=0.1, depth=0.1, **options)


def _resnest14d(**options: Any) -> resnest.ResNeSt:
    return resnest.ResNeSt(layers=(1, 1, 1, 1), stem_width=8, **options)


@contextmanager
def narrow() -> Iterator[None]:
    """Build efficientnet_lite0 and resnest14d with few channels."""
    with (
        patch.object(efficientnet_lite, "efficientnet_lite0", _lite0),
        patch.object(resnest, "resnest14d", _resnest14d),
        patch.object(resnest, "_PLANES", (8, 16, 32, 64)),
    ):
        yield


if __name__ == "__main__":
    from harness.cli import main

    with narrow():
        sys.exit(main(sys.argv[1:]))
