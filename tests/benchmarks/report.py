"""What a report costs, for 300 variants and for ten times as many.

    python tests/benchmarks/report.py

The variants are those of this repository's index, verified once without a network, and repeated
under other names with other numbers, so that claims, findings, profiles and provenance are as
large as they are in earnest. Seconds are of the clock; what grows is judged by the seconds of the
processor, since other work on the machine does not slow these.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.config import RunConfig
from harness.report import folder
from harness.run.progress import Progress
from harness.run.session import prepare
from harness.types import Fact, Finding, Measurement, Report, VariantReport

SIZES = (300, 1000, 3000)
GOAL_S = 20.0
# A step that does the same for each variant has a ratio of 1; noise and sorting are above it.
GOAL_RATIO = 1.5
COLLECTIONS = 25

Step = Callable[[Report, Mapping[str, Any]], object]


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    request = RunConfig(index=(root / "model-index",), offline=True)
    seed = prepare(request).verify(Progress())
    with tempfile.TemporaryDirectory() as name:
        first, again = (written(repeated(seed, SIZES[0], run), Path(name)) for run in (1, 2))
        size = sum(path.stat().st_size for path in Path(name).iterdir())
        page = (Path(name) / folder.PAGE).stat().st_size
    print(f"{SIZES[0]} variants, the whole folder")
    print(f"  first, modules not loaded yet   {first:7.2f} s")
    print(f"  again, compared with the first  {again:7.2f} s")
    print(f"  {size / 1e6:.1f} MB, of which the page {page / 1e6:.1f} MB")

    timed = {n: timings(repeated(seed, n, 2), repeated(seed, n, 1)) for n in SIZES}
    small, middle, large = SIZES
    print("seconds by step:", *(f"{n:>8}" for n in SIZES), " cost of a variant more, late / early")
    worst = 0.0
    for step in STEPS:
        wall = [timed[n][step][0] for n in SIZES]
        cpu = {n: timed[n][step][1] for n in SIZES}
        early = (cpu[middle] - cpu[small]) / (middle - small)
        late = (cpu[large] - cpu[middle]) / (large - middle)
        # What takes less than a tenth of a millisecond per variant is noise, whatever its ratio.
        ratio = late / max(early, 1e-4)
        worst = max(worst, ratio)
        print(f"  {step:14}", *(f"{seconds:8.2f}" for seconds in wall), f"  {ratio:8.2f}")
    print(f"goals: {max(first, again):.2f} s of {GOAL_S:.0f} s; ratio {worst:.2f} of {GOAL_RATIO}")
    return 0 if max(first, again) < GOAL_S and worst < GOAL_RATIO else 1


def written(report: Report, where: Path) -> float:
    """Seconds to write the folder."""
    begin = time.perf_counter()
    folder.prepare(where)
    folder.write(report, where, print)
    return time.perf_counter() - begin


def timings(report: Report, before: Report) -> dict[str, tuple[float, float]]:
    """Seconds of the clock and of the processor, for each step of writing a folder."""
    from harness.report.document import document

    previous = document(before)
    found = {}
    for name, step in STEPS.items():
        wall, cpu = time.perf_counter(), time.process_time()
        step(report, previous)
        found[name] = (time.perf_counter() - wall, time.process_time() - cpu)
    return found


def _tables(report: Report, _: Mapping[str, Any]) -> object:
    from harness.report import comparison

    return list(comparison.files(report))


def _plots(report: Report, _: Mapping[str, Any]) -> object:
    from harness.report import plots
    from harness.report.rows import rows

    return list(plots.files(rows(report)))


def _page(report: Report, previous: Mapping[str, Any]) -> object:
    from harness.report import html

    return html.render(report, previous)


def _document(report: Report, _: Mapping[str, Any]) -> object:
    from harness.report.document import document

    return json.dumps(document(report), indent=1, allow_nan=False)


STEPS: dict[str, Step] = {
    "tables": _tables,
    "plots": _plots,
    "page": _page,
    "document": _document,
}


# -- a large report -------------------------------------------------------------------------


def repeated(seed: Report, number: int, run: int) -> Report:
    """A report of so many variants, alike in kind to those of ``seed``.

    Args:
        seed: a real report.
        number: of variants.
        run: reports of other runs differ in a finding here and there.
    """
    dice = random.Random(number)
    by_variant: dict[str | None, list[Finding]] = {}
    for finding in seed.findings:
        by_variant.setdefault(finding.variant, []).append(finding)
    variants, findings = [], list(by_variant.get(None, ()))
    for i in range(number):
        like = seed.variants[i % len(seed.variants)]
        variants.append(_variant(like, f"{like.name}_v{i}", dice))
        drop = (i + run) % 10
        for at, finding in enumerate(by_variant.get(like.name, ())):
            if at != drop:
                findings.append(replace(finding, variant=variants[-1].name))
    return Report(seed.environment, tuple(variants), tuple(findings))


def _variant(like: VariantReport, name: str, dice: random.Random) -> VariantReport:
    scale, top1 = dice.lognormvariate(0, 0.8), dice.gauss(79, 4)
    counts = {
        key: None if value is None else round(value * scale)
        for key, value in (like.measurements["flops"] or {}).items()
    }
    measured = {
        **like.measurements,
        "flops": counts,
        "parameters": round((like.measurements["parameters"] or 1e7) * scale),
        "file_size": round(1e8 * scale),
        "top1": round(top1, 4),
        "top5": round(top1 + 15, 4),
        "images": 30000,
    }
    facts: list[Fact] = [replace(fact, name=name) for fact in like.facts]
    facts.append(_speed(name, like.builder, 300 / scale))
    return replace(
        like,
        name=name,
        collection=f"Collection {dice.randrange(COLLECTIONS)}",
        measurements=measured,
        facts=tuple(facts),
        intervals={"top1": (top1 - 0.5, top1 + 0.5), "top5": (top1 + 14.5, top1 + 15.5)},
    )


def _speed(name: str, builder: str, best: float) -> Measurement:
    environment = {"device": "cpu", "device_name": "A processor", "threads": 2, "torch": "2.4.0"}
    timings = [
        {
            "batch": batch,
            "precision": "off",
            "image_size": [224, 224],
            "compiled": False,
            "weights": "random",
            "environment": environment,
            "images_per_second": best * share,
            "images_per_second_range": [0.98 * best * share, 1.01 * best * share],
            "latency_ms": {"p50": 1e3 / best, "p90": 1.1e3 / best, "p99": 1.2e3 / best},
            "passes": 50,
            "peak_memory": 200 << 20,
        }
        for batch, share in ((1, 0.6), (8, 0.9), (32, 1.0))
    ]
    value = {"timings": timings}
    return Measurement("speed", name, builder, value, None, "timed", {}, "cpu", "2025-01-02")


if __name__ == "__main__":
    sys.exit(main())
