"""Pareto plots as files: top-1 accuracy against what it costs, as SVG and PNG.

Text in the SVG stays text, so that a reader can search and copy it. The same rows give the same
bytes with the same version of matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.report import pareto
from harness.report.palette import Series
from harness.report.pareto import METRICS, Cloud
from harness.report.plots.picture import draw
from harness.report.rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = tuple(f"pareto-{metric.key}.{kind}" for metric in METRICS for kind in ("svg", "png"))

# What matplotlib would write about itself, and when.
_UNSAID = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


def files(
    rows: Sequence[Row], tell: Callable[[str], object] | None = None
) -> Iterator[tuple[str, bytes]]:
    """``pareto-macs.svg``, ``pareto-macs.png`` ...: (name, content), for each axis with data.

    Matplotlib's settings are its own while a picture is drawn, whatever the user's are; no other
    thread should draw meanwhile.

    Args:
        rows: of the comparison.
        tell: is told, in a sentence, which picture there is no data for, and how many variants a
            picture leaves out, and why.
    """
    styles = pareto.series(rows)
    for metric in METRICS:
        cloud = pareto.cloud(rows, metric)
        for note in cloud.notes:
            if tell is not None:
                tell(note)
        if cloud.points:
            for kind, content in _drawn(cloud, styles).items():
                yield f"pareto-{metric.key}.{kind}", content


def _drawn(cloud: Cloud, styles: Mapping[str | None, Series]) -> dict[str, bytes]:
    import matplotlib as mpl

    # Beyond matplotlib's defaults: ids in the SVG that are the same each time, and text as text.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "zoo", "svg.fonttype": "none"})
        figure = draw(cloud, styles)
        return {kind: _saved(figure, kind) for kind in ("svg", "png")}


def _saved(figure: Figure, kind: str) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=kind, metadata=_UNSAID[kind])
    return out.getvalue()
