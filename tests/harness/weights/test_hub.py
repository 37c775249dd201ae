"""`zoo verify --headers` and checkpoints on the Hub, as a user runs it."""

from __future__ import annotations

import hashlib

import pytest
from hub_server import COMMIT
from safetensors.torch import save


@pytest.fixture(scope="module")
def net(state):
    return save({name: tensor.contiguous() for name, tensor in state("resnest14d").items()})


@pytest.fixture
def at_hub(place, hub_server):
    """The workplace's command asks the local Hub."""
    for name in ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE"):
        import os

        place.environment[name] = os.environ[name]
    return place


@pytest.mark.slow
def test_headers_verify_what_a_download_would(at_hub, hub_server, net, state):
    place, sha256 = at_hub, hashlib.sha256(net).hexdigest()
    other = save({k: v.contiguous() for k, v in state("efficientnet_lite0").items()})
    half = save({k: v.half().contiguous() for k, v in state("resnest14d").items()})
    for repo, data in (("org/right", net), ("org/other", other), ("org/half", half)):
        hub_server.add(repo, "model.safetensors", data)
    place.add(
        "right", "resnest14d", f"hf-hub:org/right@{COMMIT}", File_Size=len(net), SHA256=sha256
    )
    place.add("moving", "resnest14d", "hf-hub:org/right", File_Size=len(net) + 4096)
    place.add("wrong", "resnest14d", f"hf-hub:org/other@{COMMIT}", SHA256=sha256)
    place.add("half", "resnest14d", f"hf-hub:org/half@{COMMIT}", File_Size=len(half))
    place.add("gone", "resnest14d", "hf-hub:org/none")
    plan = place.zoo("verify", "--all", "--checks", "weights", "--headers", "--dry-run")
    assert "files to ask about" in plan.out + plan.err
    run = place.verify("--headers")
    assert {f["status"] for f in run.of("right")} == {"match"}
    assert {f["check"] for f in run.of("right")} >= {
        "weights-tensors",
        "weights-sha256",
        "file-size",
    }
    (tensors,) = (f for f in run.of("right") if f["check"] == "weights-tensors")
    assert "header" in tensors["message"]
    causes = {f["cause"] for f in run.of("moving") if f["status"] == "mismatch"}
    assert causes == {"weights.moving-revision", "size.differs"}
    assert {f["cause"] for f in run.of("wrong") if f["status"] == "mismatch"} == {
        "weights.tensors-differ",
        "weights.hash-mismatch",
    }
    assert ("mismatch", "size.half-precision") in run.verdicts("half", "File Size")
    assert [f["cause"] for f in run.of("gone")] == ["weights.unreachable"]
    total = sum(len(data) for data in (net, other, half))
    assert hub_server.sent < 0.02 * total
    assert place.held() == {}
    # The verdicts of the tensors are those of a whole download.
    whole = place.verify()
    for case in ("right", "wrong", "half"):
        pairs = [
            {(f["check"], f["status"], f["cause"]) for f in each.of(case)} for each in (run, whole)
        ]
        assert pairs[0] == pairs[1], case


@pytest.mark.slow
def test_fix_pins_the_commit_that_was_checked(at_hub, hub_server, net):
    hub_server.add("org/net", "model.safetensors", net)
    at_hub.add("net", "resnest14d", "hf-hub:org/net")
    at_hub.zoo("fix", "--checks", "weights", "--headers", "--write")
    text = (at_hub.index / "net.yml").read_text()
    assert f"hf-hub:org/net@{COMMIT}" in text
