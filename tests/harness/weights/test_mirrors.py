"""Mirrors of weights: tried in order, verified alike, listed by `zoo manifest` as measured."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from zoo.errors import WeightsError
from zoo.index import load_index
from zoo.weights import variant_weights

DATA, OTHER = b"\x80these are the weights" * 9000, b"\x80these are other ones" * 9000
SHA256, DIFFERENT = (hashlib.sha256(data).hexdigest() for data in (DATA, OTHER))
NAME = f"net-{SHA256[:8]}.pth"


def good(data):
    return lambda handler, count: handler.good(data)


def gone(handler, count):
    handler.head(404, 0)


def cut(handler, count):
    """The first answer ends in the middle."""
    handler.good(DATA, stop_after=None if handler.headers.get("Range") else 100_000)


def write(place, weights, mirrors, **more):
    entry = {"Name": "resnest14d", "Weights": weights, "Mirrors": mirrors, **more}
    (place.index / "net.yml").write_text(json.dumps({"Models": [entry]}))


def verdicts(place, field):
    found = place.verify("--no-store").document["findings"]
    return [(f["status"], f["cause"]) for f in found if f["field"] == field]


def test_mirrors_are_held_against_the_file_that_weights_names(place, server):
    served = (good(DATA), good(DATA), good(OTHER), good(OTHER[:-1]), gone, cut)
    urls = [server.on(f"{n}/net.pth", behaviour) for n, behaviour in enumerate(served)]
    write(place, urls[0], urls[1:])
    differs = ("mismatch", "weights.mirror-differs")
    missing, same = ("mismatch", "weights.missing"), ("match", None)
    wanted = sorted([missing, same, differs, differs, same], key=str)
    assert sorted(verdicts(place, "Mirrors"), key=str) == wanted
    assert ("GET", "/5/net.pth", "bytes=100000-") in server.requests
    # As one mapping it says the same, and a server's word alone decides by the size.
    entry = {"Name": "resnest14d", "Weights": {"URL": urls[0], "Mirrors": [urls[3]]}}
    (place.index / "net.yml").write_text(json.dumps({"Models": [entry]}))
    place.torch_home.rename(place.folder / "elsewhere")
    assert ("mismatch", "weights.mirror-differs") in [
        (f["status"], f["cause"])
        for f in place.verify("--no-store", "--no-download").document["findings"]
    ]
    assert place.held() == {}


def test_a_stated_hash_tells_which_is_the_file(place, server):
    weights = server.on("a/net.pth", good(OTHER))
    write(place, weights, [server.on("b/net.pth", good(DATA))], SHA256=SHA256)
    assert verdicts(place, "Mirrors") == [("match", None)]
    assert verdicts(place, "SHA256") == [("mismatch", "weights.hash-mismatch")]
    write(place, server.on("c/net.pth", gone), [weights], SHA256=SHA256)
    assert verdicts(place, "Mirrors") == [("mismatch", "weights.mirror-differs")]
    # Without any word on the file, the mirror is not judged.
    write(place, server.on("c/net.pth", gone), [weights])
    assert verdicts(place, "Mirrors") == [("unverified", "weights.unreachable")]
    assert ("mismatch", "weights.missing") in verdicts(place, "Weights")


def test_the_first_place_that_has_it_is_taken(place, server):
    weights = server.on(NAME, gone)
    mirrors = [
        server.on(f"wrong/{NAME}", good(OTHER)),
        server.on(f"right/{NAME}", cut),
        server.on(f"never/{NAME}", good(DATA)),
    ]
    write(place, weights, mirrors)
    done = place.zoo("fetch", "--all")
    assert done.status == 0
    assert done.out.split()[0::2] == ["resnest14d", SHA256]
    assert f"its Weights could not be had; this is {mirrors[1]}" in done.err
    assert not [path for _, path, _ in server.requests if "never" in path]
    write(place, weights, mirrors[:1])
    done = place.zoo("fetch", "--all")
    assert (done.status, done.out) == (1, "")
    assert "[weights.missing]" in done.err
    assert "[weights.hash-mismatch]" in done.err


def test_a_mirror_of_another_name_is_held_to_the_name_of_weights(place, server):
    mirrors = [server.on("other.pth", good(OTHER)), server.on("net.pth", good(DATA))]
    write(place, server.on(NAME, gone), mirrors)
    done = place.zoo("fetch", "--all")
    assert (done.status, done.out.split()[2]) == (0, SHA256)
    assert f"its Weights could not be had; this is {mirrors[1]}" in done.err
    write(place, server.on(NAME, gone), mirrors[:1])
    for command in (("fetch", "--all"), ("manifest", "--format", "sha256sum")):
        done = place.zoo(*command)
        assert (done.status, "[weights.mirror-differs]" in done.err) == (1, True), command
    assert place.zoo("fetch", "--all").out == ""
    told = place.verify("--no-store").document["findings"]
    assert not [f for f in told if f["field"] == "Weights" and "other.pth" in f["message"]]


def test_the_library_takes_a_mirror_too(place, server, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(place.torch_home))
    (place.index / "other.pth").write_bytes(OTHER)
    (place.index / "right.pth").write_bytes(DATA)
    write(place, server.on("net.pth", gone), ["other.pth", "right.pth"], SHA256=SHA256)
    (variant,) = load_index([place.index]).variants
    assert variant_weights(variant) == place.index / "right.pth"
    (place.index / "right.pth").unlink()
    with pytest.raises(WeightsError, match="404"):
        variant_weights(variant)


def test_a_manifest_is_what_sha256sum_reads(place, server):
    (place.index / "a b \u00e9.pth").write_bytes(OTHER)
    write(place, server.on(NAME, good(DATA)), ["a%20b%20%C3%A9.pth", server.on("gone.pth", gone)])
    done = place.zoo("manifest", "--format", "sha256sum")
    assert done.status == 1
    assert [line.split()[0] for line in done.out.splitlines()] == [SHA256, DIFFERENT]
    check = subprocess.run(
        ["sha256sum", "-c", "--strict"], input=done.out, capture_output=True, text=True, check=True
    )
    assert check.stdout.count(": OK") == 2
    assert "[weights.mirror-differs]" in done.err
    document = json.loads(place.zoo("manifest", "--all").out)
    assert [(f["role"], f["size"], f["sha256"]) for f in document["files"]] == [
        ("weights", len(DATA), SHA256),
        ("mirror", len(OTHER), DIFFERENT),
    ]
    (left,) = document["left_out"]
    assert (left["role"], left["cause"]) == ("mirror", "weights.missing")
    assert f": mirror {left['url']}: " in done.err


def test_what_is_not_at_hand_has_no_line_and_no_claimed_hash(place, server):
    write(place, server.on("net.pth", good(DATA)), [], SHA256=SHA256)
    done = place.zoo("manifest", "--offline")
    assert done.status == 3
    assert SHA256 not in done.out
    assert json.loads(done.out)["files"] == []
    done = place.zoo("manifest", "--offline", "--format", "sha256sum")
    assert (done.status, done.out) == (3, "")
    assert "--offline allows no request [weights.unreachable]" in done.err
    assert server.requests == []
