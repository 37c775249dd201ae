"""`zoo verify --headers` and checkpoints on the Hub, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from cli import run_zoo
from hub_server import COMMIT
from safetensors.torch import save

from harness.run import session
from zoo.index import loader


@pytest.fixture(scope="module")
def net(state):
    return save({name: tensor.contiguous() for name, tensor in state("resnest14d").items()})


@pytest.fixture
def at_hub(place, hub_server):
    """The workplace's command asks the local Hub."""
    for name in ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE"):
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
    # What is no checkpoint of the model is not worth keeping.
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"
    other = save({"fc.weight": torch.zeros(100, 100)})
    for name, data in (("pointer", pointer), ("other", other), ("page", b"<!doctype html>" * 99)):
        hub_server.add(f"org/{name}", "model.safetensors", data)
        at_hub.add(name, "resnest14d", f"hf-hub:org/{name}")
        for option in ("--headers", "--offline"):
            run = at_hub.zoo("fix", "--checks", "weights", option)
            assert COMMIT not in run.out, (name, option)


@pytest.mark.slow
def test_headers_verify_what_timm_has_on_the_hub(hub_server, tmp_path, repository, monkeypatch):
    timm = pytest.importorskip("timm")
    from timm.models import get_pretrained_cfg

    # Of timm's 300 files those of these models; a file of another is held against a few of them.
    stems = ("resnet", "mobilenetv3", "vision_transformer")
    files = [each for each in loader.PACKAGES["timm"]() if Path(each[0]).stem in stems]
    monkeypatch.setitem(loader.PACKAGES, "timm", lambda: files)
    monkeypatch.setattr(session, "_MOST_SIBLINGS", 3)
    right, both = "test_resnet.r160_in1k", "mobilenetv3_small_050.lamb_in1k"
    assert not get_pretrained_cfg(right).url
    assert get_pretrained_cfg(both).url  # an address beside the repository
    for name in (right, both):
        state = timm.create_model(name.partition(".")[0]).state_dict()
        hub_server.add(f"timm/{name}", "model.safetensors", save(state))
    other = timm.create_model("test_resnet").state_dict()
    hub_server.add("timm/test_vit.r160_in1k", "model.safetensors", save(other))
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    environment["TORCH_HOME"] = str(tmp_path)

    def verify(*options):
        names = (right, both, "test_vit.r160_in1k", "test_vit2.r160_in1k")
        words = ["verify", *names, "--index", "package:timm", "--checks", "weights", *options]
        words += ["--allow-local", "--format", "json", "--no-store"]
        result = run_zoo(words, cwd=tmp_path, environment=environment)
        found = json.loads(result.stdout)["findings"]
        # A run that was cut short has no findings on what it did not come to: that is no verdict.
        assert result.returncode in (0, 1), result.stderr
        return {
            name: {(f["check"], f["status"], f["cause"]) for f in found
                   if (f["variant"], f["field"]) == (name, "Hub")}
            for name in names
        }  # fmt: skip

    found = verify("--headers")
    moving = ("weights-file", "mismatch", "weights.moving-revision")
    for name in (right, both):
        assert found[name] == {moving, ("weights-tensors", "match", None)}
    wrong = ("weights-tensors", "mismatch", "weights.tensors-differ")
    assert found["test_vit.r160_in1k"] == {moving, wrong}
    assert [each[2] for each in found["test_vit2.r160_in1k"]] == ["weights.unreachable"]
    assert hub_server.hits
    # Nobody is asked without it.
    hub_server.hits.clear()
    assert set(map(len, verify("--offline").values())) == {0}
    assert set(map(len, verify("--no-download").values())) == {0}
    assert not hub_server.hits


def test_add_says_how_to_get_a_checkpoint_that_is_elsewhere(at_hub):
    for where in ("hf-hub:org/net", "https://example.org/a.pth", "s3://bucket/a.pth"):
        run = at_hub.zoo("add", where, "--from", "resnest14d")
        assert run.status == 2
        assert "measures a file of this machine" in run.err
        assert "fetch it" in run.err
        assert "No such file" not in run.err


def test_across_zoos_the_same_tensors_are_one_network(at_hub, hub_server, net, state):
    half = {k: (v + 1).contiguous() for k, v in state("resnest14d").items()}
    other = {k: v.contiguous() for k, v in state("efficientnet_lite0").items()}
    for repo, data in (("a/net", net), ("b/mine", save(half)), ("b/other", save(other))):
        hub_server.add(repo, "model.safetensors", data)
    for zoo, repo, count in (
        ("a", "a/net", 10611688),
        ("b", "b/mine", 10612999),
        ("c", "b/other", 1),
    ):
        text = f"Models:\n- Name: of-{zoo}\n  Weights: hf-hub:{repo}\n  Parameters: {count}\n"
        (at_hub.folder / f"{zoo}.yml").write_text(text)
    words = ("audit", "--across", *(w for zoo in "abc" for w in ("--index", f"{zoo}.yml")))
    words += ("--allow-local", "--format", "json")
    for options, found in (
        (("--headers",), ["across.contradicted"]),
        ((), []),
        (("--offline",), []),
    ):
        hub_server.hits.clear()
        run = at_hub.zoo(*words, *options)
        assert [f["cause"] for f in run.document["findings"]] == found
        assert bool(hub_server.hits) == bool(found)
    assert hub_server.sent < 0.1 * len(net)
    alone = at_hub.zoo("audit", "--index", "a.yml", "--headers")
    assert (alone.status, alone.out) == (2, "")
