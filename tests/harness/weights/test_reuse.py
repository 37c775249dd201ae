"""A second run uses what the first one made: no request, no measuring, no heavy import."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from cli import run_python, run_zoo
from fault_server import running

NAME = "efficientnet_lite0"
HEAVY = ["torch", "httpx", "pandas", "matplotlib", "numpy"]

# The command as the console script runs it, and then what is loaded.
IN_PROCESS = f"""
import io, json, sys
from contextlib import redirect_stdout
from harness.cli import main
with redirect_stdout(io.StringIO()) as out:
    status = main(json.loads(sys.argv[1]))
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([status, loaded, json.loads(out.getvalue())]))
"""


@pytest.fixture(scope="module")
def first(new_place, lite0):
    """A place where one run over one fetched file has been."""
    data = lite0.read_bytes()
    place = new_place()
    with running() as server:
        url = server.on("net.pth", lambda h, n: h.good(data))
        place.add("net", NAME, url, File_Size=len(data))
        run = place.verify()
        yield SimpleNamespace(place=place, run=run, server=server, data=data)


def _again(place):
    arguments = ["verify", "--all", "--checks", "weights", "--format", "json"]
    arguments += ["--index", str(place.index)]
    done = run_python(
        ["-c", IN_PROCESS, json.dumps(arguments)],
        env=place.environment,
        cwd=place.folder,
        check=True,
        timeout=300,
    )
    status, loaded, document = json.loads(done.stdout)
    return status, loaded, document, done.stderr


def _timeless(document):
    return {key: value for key, value in document.items() if key != "environment"}


def test_a_second_run_asks_nobody_and_imports_nothing_heavy(first):
    assert first.run.status == 0
    assert first.run.verdicts("net", "Weights") == [("match", None)]
    assert [method for method, *_ in first.server.requests] == ["HEAD", "GET"]
    status, loaded, document, err = _again(first.place)
    assert status == 0
    assert loaded == []
    assert len(first.server.requests) == 2
    assert _timeless(document) == _timeless(first.run.document)
    assert "nothing to build" in err
    assert "no files to fetch (1 here)" in err


def test_what_is_measured_is_seen_by_that_test(place, lite0, server):
    # The first run of a place does import what the second one must not.
    data = lite0.read_bytes()
    place.add("net", NAME, server.on("net.pth", lambda h, n: h.good(data)))
    assert "httpx" in _again(place)[1]


def test_a_file_that_changed_is_read_and_measured_again(place, state, lite0):
    import torch

    path = place.index / "net.pth"
    path.write_bytes(lite0.read_bytes())
    place.add("net", NAME, path.name)
    assert place.verify().verdicts("net", "Weights") == [("match", None)]
    torch.save(state(NAME, num_classes=7), path)
    run = place.verify()
    assert run.verdicts("net", "Weights") == [("mismatch", "weights.tensors-differ")]
    assert run.document["variants"][0]["measurements"]["file_size"] == path.stat().st_size


def test_a_file_with_another_time_is_measured_again(place, lite0):
    """Same bytes, same size, other time: what is stored is not trusted, nor is it any different."""
    path = place.index / "net.pth"
    path.write_bytes(lite0.read_bytes())
    place.add("net", NAME, path.name)
    before = place.verify()
    assert _kept(place) == {"structure": 1, "checkpoint": 1}
    os.utime(path, (1, 1))
    after = place.verify()
    assert _kept(place) == {"structure": 1, "checkpoint": 2}
    assert after.document["findings"] == before.document["findings"]


def test_new_names_in_the_index_are_recognised_in_a_known_file(place, state):
    import torch

    torch.save(state("efficientnet_lite0"), place.index / "net.pth")
    place.add("net", "efficientnet_lite1", "net.pth")
    (finding,) = place.verify().of("net", "Weights")
    assert finding["message"].startswith("the file's tensors are not this model's: ")
    place.add("sibling", "efficientnet_lite0")
    (finding,) = place.verify().of("net", "Weights")
    assert finding["message"].startswith("this file holds efficientnet_lite0: ")


def test_the_same_url_is_fetched_once_for_all_its_variants(place, server, lite0):
    data = lite0.read_bytes()
    url = server.on("net.pth", lambda h, n: h.good(data, rate=60e6))
    for case, name in enumerate([NAME, NAME, "efficientnet_lite1"]):
        place.add(f"case{case}", name, url if case != 1 else f"{url}#again")
    run = place.verify()
    assert run.err.startswith("3 variants of index ")
    assert "1 file to fetch, 18.8 MB" in run.err
    assert server.bodies == 1
    assert run.verdicts("case0", "Weights") == run.verdicts("case1", "Weights")
    assert run.verdicts("case2", "Weights") == [("mismatch", "weights.tensors-differ")]


def _kept(place):
    """How many measurements of each kind the store holds, as ``zoo cache info`` says."""
    done = run_zoo(["cache", "info"], cwd=place.folder, environment=place.environment)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    return {kind.rstrip(":"): int(count) for kind, count in rows}
