"""A long run says how far it is, and what an interrupt leaves; the command it names goes on."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys

CLAIM = {"Top 1 Accuracy": "80.00%"}
FAR = re.compile(
    r"efficientnet_lite0: ([\d,]+) of 1,000 images, [\d.,]+ images/s, at most [\dhms ]+ left, "
    r"top-1 [\d.]+ % \([\d.]+ to [\d.]+ %\)\n"
    r"in all: 0 of 1 variant, [\d,]+ of 1,000 images, [\d.,]+ images/s, at most [\dhms ]+ left\n"
)


def test_an_interrupted_validation_says_how_to_go_on(zoo, mixed, tiled):
    os.rename(zoo.index(CLAIM), zoo.folder / "my index.yml")
    words = ("--index", "my index.yml", "--data", mixed.place, "--format", "json")
    process = zoo.start("validate", "efficientnet_*", *words)
    said = ""
    while not FAR.search(said):
        line = process.stderr.readline()
        assert line, said
        said += line
    os.killpg(process.pid, signal.SIGINT)  # As a terminal sends it.
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 130
    kept = dict(zoo.parts())
    images = tiled(list(kept))
    assert images < len(mixed.names), "it was over before the interrupt"
    found = re.search(r"interrupted: (\d+) measurements? of 1 variant (?:is|are) stored", rest)
    assert found, rest
    assert f"with {images:,} images evaluated" in rest
    assert int(found[1]) == len(kept)
    (command,) = re.findall("^continue with: (zoo .*)$", rest, re.MULTILINE)
    assert shlex.split(command) == ["zoo", "validate", "efficientnet_*", *map(str, words)]

    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m {command}",
        shell=True,
        cwd=zoo.folder,
        env=zoo.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    (variant,) = json.loads(done.stdout)["variants"]
    assert variant["measurements"]["images"] == len(mixed.names)
    assert variant["measurements"]["top1"] == mixed.top1
    # What was kept is not counted again, and was no part of the speed.
    after = dict(zoo.parts())
    assert {part: after[part] for part in kept} == kept
    assert re.search(r"^efficientnet_lite0: 1,000 of 1,000 images, ", done.stderr, re.MULTILINE)


def test_quiet_says_nothing_of_how_far_it_is(zoo, mixed):
    index = zoo.index(CLAIM)
    done = zoo.validate(index, mixed.place, "--samples", 100, "--quiet")
    assert done.counts[2] == 100
    assert "images/s" not in done.err
