"""Checkpoints on the Hub, against a server that answers as it does; safetensors is the oracle."""

from __future__ import annotations

import hashlib

import huggingface_hub.constants
import pytest
from hub_server import COMMIT

from zoo.index.schema import LinkError, check_weights
from zoo.weights.cache import Cache
from zoo.weights.checkpoint import CheckpointInfo, read_safetensors_header
from zoo.weights.checkpoint.safetensors import read_header
from zoo.weights.fetch import Fetcher, fetch_all
from zoo.weights.hub import address, file_of_page, page, pinned, repo_of
from zoo.weights.sources import HttpSource, locate
from zoo.weights.types import Fetched, NotFetched, ServerFile


@pytest.fixture(scope="module")
def checkpoint():
    """A safetensors file of 200 tensors, 4 MB, and its tensors' shapes."""
    import torch
    from safetensors.torch import save

    torch.manual_seed(3)
    tensors = {f"layer{i}.weight": torch.randn(50, 100 + i % 7) for i in range(200)}
    return save(tensors), {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def test_values_that_name_the_hub(monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    host = "https://huggingface.co"
    for value, key, revision in (
        ("hf-hub:org/net", f"{host}/org/net/resolve/main/model.safetensors", "main"),
        ("hf_hub:org/net", f"{host}/org/net/resolve/main/model.safetensors", "main"),
        ("hf-hub:org/net@v1.0", f"{host}/org/net/resolve/v1.0/model.safetensors", "v1.0"),
        ("hf-hub:org/n.e-t/a/b.bin", f"{host}/org/n.e-t/resolve/main/a/b.bin", "main"),
        (f"hf-hub:org/net@{COMMIT}/x.pt", f"{host}/org/net/resolve/{COMMIT}/x.pt", COMMIT),
        (
            "hf-hub:org/net@refs%2Fpr%2F1",
            f"{host}/org/net/resolve/refs%2Fpr%2F1/model.safetensors",
            "refs/pr/1",
        ),
        (f"{host}/org/net/resolve/main/w.pth", f"{host}/org/net/resolve/main/w.pth", "main"),
    ):
        source = locate(value, index_dir=None)
        assert isinstance(source, HttpSource), source
        assert (source.url, source.key) == (value, key)
        assert source.hub is not None
        assert source.hub.revision == revision
    for other in (
        "https://example.org/org/net/resolve/main/w.pth",
        f"{host}/org/net/blob/main/w.pth",
    ):
        source = locate(other, index_dir=None)
        assert isinstance(source, HttpSource)
        assert source.hub is None, other
    for wrong in (
        "hf-hub:net",
        "hf-hub:",
        "hf-hub:org/net@",
        "hf-hub:../net",
        "hf-hub:org/net/../../x",
        "hf-hub:org/..",
        "hf-hub:org/net/",
        "hf-hub:org/net@a b",
        "hf-hub:org/net@../x.pt",
    ):
        refused = locate(wrong, index_dir=None)
        assert isinstance(refused, NotFetched), wrong
        assert refused.cause == "weights.unsafe"
        with pytest.raises(LinkError):  # so does an audit
            check_weights(wrong)
    assert pinned("hf-hub:org/net@v1/x.pt", COMMIT) == f"hf-hub:org/net@{COMMIT}/x.pt"
    assert pinned(f"{host}/org/net/resolve/main/w.pth?download=true", COMMIT) == (
        f"{host}/org/net/resolve/{COMMIT}/w.pth?download=true"
    )


def test_one_file_is_known_by_all_that_it_is_called(monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    host = "https://huggingface.co"
    one = f"{host}/org/net/resolve/main/model.safetensors"
    for text in ("hf-hub:org/net", "hf_hub:org/net@main", "hf-hub:org/net/model.safetensors", one):
        assert address(text) == one
        assert repo_of(text) == "org/net"
    assert address("hf-hub:net") == "hf-hub:net"
    assert page("hf-hub:org/net@v1/a.pt") == f"{host}/org/net"
    for shown, right in (
        (f"{host}/org/net/blob/v1/a/w.pth", f"{host}/org/net/resolve/v1/a/w.pth"),
        (f"{host}/org/net", "hf-hub:org/net"),
        (f"{host}/org/net/tree/v1", "hf-hub:org/net@v1"),
        (f"{host}/datasets/org/net/blob/main/x.zip", f"{host}/datasets/org/net/resolve/main/x.zip"),
        (one, None),
        (f"{host}/docs/timm", None),
        ("https://example.org/org/net/blob/main/w.pth", None),
    ):
        assert file_of_page(shown) == right


def test_a_usual_name_in_the_cache_is_no_repositorys_file(fetch, hub, hub_server, checkpoint):
    data, _ = checkpoint
    hub_server.add("org/net", "model.safetensors", data)
    stranger = hub / "checkpoints" / "model.safetensors"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"of another program")
    outcome = fetch("hf-hub:org/net")
    assert outcome.path.read_bytes() == data
    assert stranger.read_bytes() == b"of another program"
    assert fetch("hf-hub:org/net", offline=True).path == outcome.path


def test_offline_the_file_that_is_here_is_the_repositorys(fetch, hub_server, checkpoint):
    data, _ = checkpoint
    hub_server.add("org/old", "pytorch_model.bin", data)
    outcome = fetch("hf-hub:org/old")
    assert isinstance(outcome, Fetched)
    hub_server.hits.clear()
    assert fetch("hf-hub:org/old", offline=True).path == outcome.path
    assert hub_server.hits == []
    assert "--offline" in fetch("hf-hub:org/none", offline=True).why


def test_a_header_tells_the_tensors_without_the_file(fetch, hub_server, checkpoint, left):
    data, shapes = checkpoint
    hub_server.add("org/net", "model.safetensors", data)
    outcome = fetch("hf-hub:org/net", headers=True)
    assert isinstance(outcome, ServerFile)
    assert (outcome.size, outcome.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert outcome.commit == COMMIT
    assert outcome.header is not None
    header = read_header(outcome.header)
    assert header is not None
    contents = read_safetensors_header(header.data, header.size)
    assert isinstance(contents, CheckpointInfo)
    assert {tensor.name: tensor.shape for tensor in contents.tensors} == shapes
    assert hub_server.sent < 0.02 * len(data)
    assert left() == {}
    # One HEAD says all of a file; the host that keeps it is asked for the bytes alone.
    assert [hit[:2] for hit in hub_server.hits if hit[0] == "HEAD"] == [("HEAD", "hub")]
    # A second run asks whether the file is the same, and reads nothing again.
    asked = len(hub_server.hits)
    assert fetch("hf-hub:org/net", headers=True).header == outcome.header
    assert [hit[0] for hit in hub_server.hits[asked:]] == ["HEAD"]
    # A kept header that was damaged on the disk is not believed.
    outcome.header.write_bytes(outcome.header.read_bytes()[:-1] + b"!")
    again = fetch("hf-hub:org/net", headers=True)
    assert read_header(again.header) == header


def test_whole_files_are_downloaded_and_verified_as_from_any_server(fetch, hub_server, checkpoint):
    data, _ = checkpoint
    hub_server.add("org/net", "model.safetensors", data)
    hub_server.add("org/old", "pytorch_model.bin", data)
    for repo in ("org/net", "org/old"):
        outcome = fetch(f"hf-hub:{repo}")
        assert isinstance(outcome, Fetched), outcome
        assert outcome.path.read_bytes() == data
    none = fetch("hf-hub:org/net/other.bin")
    assert (none.cause, none.why) == (
        "weights.missing",
        "org/net has no other.bin at revision main",
    )


def test_the_token_goes_to_the_hub_alone(fetch, hub_server, checkpoint, monkeypatch):
    data, _ = checkpoint
    hub_server.add("org/gated", "model.safetensors", data)
    hub_server.gated["org/gated"] = "hf_secret"
    refused = fetch("hf-hub:org/gated")
    assert refused.cause == "weights.unreachable"
    assert "gated" in refused.why
    assert "HF_TOKEN" in refused.why
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "hf_wrong" not in fetch("hf-hub:org/gated").why
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub_server.hits.clear()
    assert isinstance(fetch("hf-hub:org/gated"), Fetched)
    tokens = {host: token for _, host, _, _, token in hub_server.hits}
    assert tokens == {"hub": "Bearer hf_secret", "store": None}


def test_what_the_user_has_set_wrongly_is_no_fault_of_the_index(fetch, hub_server, monkeypatch):
    for token in ("hf_g\u00f6\u00f6d", "hf a"):
        monkeypatch.setenv("HF_TOKEN", token)
        refused = fetch("hf-hub:org/net", headers=True)
        assert refused.cause == "weights.unreachable", refused
        assert "HF_TOKEN" in refused.why
        assert token not in refused.why
    assert hub_server.hits == []
    monkeypatch.setenv("HF_ENDPOINT", "no-server")
    refused = fetch("hf-hub:org/net")
    assert (refused.cause, "HF_ENDPOINT" in refused.why) == ("weights.unreachable", True)


def test_what_the_hub_refuses_gets_one_line(fetch, hub_server, checkpoint):
    data, _ = checkpoint
    hub_server.add("org/net", "model.safetensors", data)
    hub_server.add(
        "org/lfs",
        "model.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4\n",
    )
    hub_server.odd["org/page"] = lambda h, n: h.good(
        b"<!doctype html><p>busy", Content_Type="text/html"
    )
    hub_server.odd["org/denied"] = lambda h, n: h.head(403, 0, X_Error_Message="quota is used up")
    hub_server.odd["org/short"] = lambda h, n: (
        h.head(200, 5000) if h.command == "HEAD" else h.head(416, 0)
    )
    hub_server.odd["org/empty"] = lambda h, n: h.head(200 if h.command == "HEAD" else 416, 0)
    hub_server.odd["org/no-range"] = lambda h, n: h.head(416, 0)
    for value, cause, words in (
        ("hf-hub:org/empty", "weights.unreadable", "is an empty file"),
        (
            "hf-hub:org/no-range",
            "weights.unreadable",
            "no-range/resolve/main/model.safetensors has no ",
        ),
        ("hf-hub:org/none", "weights.unreachable", "no such repository"),
        ("hf-hub:org/net@v9", "weights.missing", "no revision v9"),
        ("hf-hub:org/page", "weights.unreadable", "HTML page"),
        ("hf-hub:org/denied", "weights.unreachable", "quota is used up"),
        ("hf-hub:org/short", "weights.unreadable", "bytes"),
    ):
        outcome = fetch(value, headers=True)
        assert isinstance(outcome, NotFetched), (value, outcome)
        assert outcome.cause == cause, outcome
        assert words in outcome.why, outcome
        assert "\n" not in outcome.why
    pointer = fetch("hf-hub:org/lfs", headers=True)
    header = read_header(pointer.header)
    assert "Git LFS pointer" in str(read_safetensors_header(header.data, header.size))


def test_a_busy_or_odd_server_is_asked_again(fetch, hub_server, checkpoint):
    data, _ = checkpoint
    hub_server.add("org/net", "model.safetensors", data)
    plain = hub_server._answer

    def busy(handler, count):
        if count <= 2:
            return handler.head(429, 0, Retry_After="0")
        del hub_server.odd["org/net"]
        plain(handler, handler.path, None, count)
        return None

    hub_server.odd["org/net"] = busy
    assert fetch("hf-hub:org/net", headers=True).header is not None


def test_a_server_without_ranges_sends_no_more_than_is_read(fetch, server, checkpoint):
    data, shapes = checkpoint
    url = server.on("w.safetensors", lambda h, n: h.good(data, ranges=False))
    outcome = fetch(url, headers=True)
    header = read_header(outcome.header)
    assert len(header.data) < 0.01 * len(data) + (48 << 10)
    assert len(read_safetensors_header(header.data, header.size).tensors) == len(shapes)
    assert (outcome.sha256, outcome.commit) == (None, None)


def test_a_header_that_lies_is_refused_by_the_reader(fetch, server, checkpoint):
    data, _ = checkpoint
    for name, bad, words in (
        ("a", (1 << 40).to_bytes(8, "little") + data[8:], "claims"),
        ("b", data[:8] + b"{" + b"[" * 5000 + data[5009:], "nests"),
        ("c", data + b"more", "follow"),
        ("d", data[: len(data) // 2], "cut off"),
    ):
        outcome = fetch(
            server.on(f"{name}.safetensors", lambda h, n, bad=bad: h.good(bad)), headers=True
        )
        header = read_header(outcome.header)
        assert words in str(read_safetensors_header(header.data, header.size)), name


def test_offline_and_the_cache_of_huggingface_hub(
    fetch, hub_server, checkpoint, tmp_path, monkeypatch
):
    data, _ = checkpoint
    hub_server.add("org/net", "model.safetensors", data)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    refused = fetch("hf-hub:org/net")
    assert (refused.cause, hub_server.hits) == ("weights.unreachable", [])
    assert "HF_HUB_OFFLINE" in refused.why
    root = tmp_path / "hf" / "models--org--net"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(data)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    found = fetch("hf-hub:org/net")
    assert isinstance(found, Fetched)
    assert (found.origin, found.sha256) == ("found", hashlib.sha256(data).hexdigest())


def test_many_are_asked_eight_at_a_time(hub, impatient, hub_server, checkpoint):
    data, _ = checkpoint
    hub_server.slow = 0.02
    for i in range(24):
        hub_server.add(f"org/net{i}", "model.safetensors", data)
    sources = [locate(f"hf-hub:org/net{i}", index_dir=None) for i in range(24)]
    with Fetcher(cache=Cache(hub), policy=impatient, headers=True, workers=8) as fetcher:
        plan = fetcher.plan(sources)
        assert plan.files == 24
        outcomes = dict(fetcher.fetch(sources))
    assert all(outcome.header for outcome in outcomes.values())
    assert 2 <= hub_server.most <= 8
    # The plan's answers serve the fetch: one HEAD a file.
    assert sum(hit[0] == "HEAD" for hit in hub_server.hits) == 24
    assert fetch_all(sources[:1], cache=Cache(hub), headers=True)
