"""What a history costs: a year of nights for 300 variants.

    python tests/benchmarks/history.py [FOLDER]

Seventeen figures of each variant: counts, which move with a release of torch here and there; size
and hash, which move where a file was uploaded anew; accuracies; and two speeds, which are another
number every night. With FOLDER, the report with that history is left there, to be looked at.
Seconds are of the clock; those of the processor stand beside them.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from report import repeated

from harness.config import RunConfig
from harness.report import folder, history_file
from harness.report.history import HistoryRow, rows_of
from harness.run.progress import Progress
from harness.run.session import prepare
from harness.types import Report

NIGHTS, VARIANTS = 365, 300
GOAL_BYTES, GOAL_S = 5_000_000, 1.0
CONVENTIONS = (
    *("deepspeed", "flops", "fvcore", "macs", "ptflops", "thop", "thop-2020", "torchinfo"),
    "torchvision",
)
BEGIN = datetime(2025, 11, 30, 3, 17, tzinfo=timezone.utc)


def year(names: list[str], dice: random.Random) -> Iterator[HistoryRow]:
    """The rows of every night, of these variants."""
    nights = [
        (BEGIN + timedelta(days=n, seconds=dice.randrange(90))).isoformat() for n in range(NIGHTS)
    ]
    commits = [hashlib.sha1(str(n // 2).encode()).hexdigest() for n in range(NIGHTS)]
    for name in names:
        macs, speed = dice.randrange(10**8, 10**10), dice.uniform(20, 900)
        # With a release of torch, and by itself.
        moves = dice.sample(range(60, NIGHTS, 60), dice.choice((0, 0, 0, 1, 2)))
        uploads = dice.sample(range(1, NIGHTS), dice.choice((0, 0, 0, 1, 2)))
        for night, (began, commit) in enumerate(zip(nights, commits, strict=True)):
            row = HistoryRow(night + 1, began, commit, name, "", 0, None, None, versions(night))
            step = sum(night >= at for at in moves)
            for number, convention in enumerate(CONVENTIONS):
                value = macs * (number + 3) // 4 + 1000 * step
                said = f"{macs / 1e9:.2f}G" if convention == "fvcore" else None
                figure = f"flops.{convention}"
                yield replace(row, figure=figure, measured=value, documented=said, of="224x224")
            file = sum(night >= at for at in uploads)
            of = f"https://host.org/weights/{name}.pth"
            digest = hashlib.sha256(f"{name}{file}".encode()).hexdigest()
            yield replace(row, figure="parameters", measured=macs // 200, documented="25.6M")
            yield replace(row, figure="layers", measured=50, documented="50")
            yield replace(row, figure="file_size", measured=macs // 50 + file, of=of)
            yield replace(row, figure="sha256", measured=digest, of=of)
            images = "50000 images, digest 1f0e2d3c4b5a6978"
            for k in (1, 5):
                top = 70 + 4 * k + (macs % 997) / 100 + step / 500
                figure = f"top{k}.imagenet-1k"
                yield replace(row, figure=figure, measured=top, documented=f"{top:.1f}", of=images)
            # A machine that is slower from some night on, as of a new driver.
            slower = 0.7 if night > 200 and macs % 7 == 0 else 1.0
            for batch, share in ((1, 0.5), (32, 1.0)):
                value = speed * share * slower * dice.gauss(1, 0.03)
                figure = f"images_per_second.batch {batch}"
                yield replace(
                    row, figure=figure, measured=value, of="A processor, 8 cores, 8 threads"
                )


def versions(night: int) -> str:
    own = f"python 3.12.{night // 100}, timm 1.0.{night // 50}"
    return f"{own}, torch 2.{9 + night // 60}.0, zoo 0.{night // 30}.0"


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    seed = prepare(RunConfig(index=(root / "model-index",), offline=True)).verify(Progress())
    report = repeated(seed, VARIANTS, 1)
    names = [variant.name for variant in report.variants]
    with tempfile.TemporaryDirectory() as name:
        where = Path(sys.argv[1] if sys.argv[1:] else name)
        folder.prepare(where)
        past = history_file.history_of(()).joined([*year(names, random.Random(1))])
        rows = len(past)
        print(f"{NIGHTS} nights, {VARIANTS} variants, {rows:,} rows")
        path = where / history_file.PARQUET
        path.write_bytes(past.parquet())
        size = path.stat().st_size
        print(f"  {size / 1e6:.2f} MB of {GOAL_BYTES / 1e6:.0f} MB")
        timed("a night's figures added", lambda: add(report, where))
        timed("the report, with its page", lambda: folder.write(report, where, lambda _: None))
        print(f"  the page {(where / folder.PAGE).stat().st_size / 1e6:.1f} MB")
        calls = ((names[150],), (names[150], "flops.macs"), (names[7], "--format", "json"))
        took = [
            timed(f"zoo history {' '.join(call)}", partial(command, *call, where)) for call in calls
        ]
    # Other work on the machine makes seconds of the clock longer, and those of the processor less.
    opened = max(min(each) for each in took)
    print(f"goals: {size / 1e6:.2f} MB of {GOAL_BYTES / 1e6:.0f} MB")
    print(f"       opened in {opened:.2f} s, the lesser of both, of {GOAL_S:.0f} s")
    return 0 if size < GOAL_BYTES and opened < GOAL_S else 1


def timed(what: str, step: Callable[[], object]) -> tuple[float, float]:
    """The least seconds of three: of the clock, and of the processor with its children."""
    found = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), sum(os.times()[:4])
        step()
        found.append((time.perf_counter() - wall, sum(os.times()[:4]) - cpu))
    wall, cpu = (min(each) for each in zip(*found, strict=True))
    print(f"  {what}: {wall:.2f} s, of the processor {cpu:.2f} s")
    return wall, cpu


def add(report: Report, where: Path) -> None:
    """What a night with --history does to the file, but for replacing it."""
    history_file.appended(where, rows_of(report, "0" * 40))


def command(*words: str | Path) -> None:
    """Print a history as it is typed."""
    *call, where = words
    program = [Path(sys.executable).with_name("zoo"), "history", *call, "--report", where]
    subprocess.run(program, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
