"""Reading takes time and memory in proportion to what is read."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest

from zoo.index import load_index

MODEL = """- Name: big_{n}
  In Collection: Big
  Metadata:
    FLOPs: {n}7919
    Parameters: {n}1013
    Architecture: [Convolution, ReLU]
    Crop Pct: '0.875'
    Image Size: 224
    Odd Key {n}: 5
  Weights: https://example.org/big_{n}-{n:08x}.pth
  Results:
  - {{Task: Image Classification, Dataset: ImageNet, Metrics: {{Top 1 Accuracy: 80.96%}}}}
"""


def seconds(folder: Path, count: int) -> float:
    """The processor's time for reading an index of so many variants, the best of two."""
    path = folder / f"{count}.yml"
    path.write_text(
        "Collections:\n- Name: Big\nModels:\n"
        + "".join(MODEL.format(n=n + 1) for n in range(count))
    )
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        index = load_index([path])
        best = min(best, time.process_time() - start)
        assert len(index.variants) == count
        assert len(index.problems) == 2 * count
    return best


def test_eight_times_the_variants_take_about_eight_times_as_long(tmp_path: Path) -> None:
    seconds(tmp_path, 50)
    assert seconds(tmp_path, 2400) < 20 * seconds(tmp_path, 300)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_search_for_cycles_is_left_as_it_was(tmp_path: Path, enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        load_index([tmp_path / "none.yml"])
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
