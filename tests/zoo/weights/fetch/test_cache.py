"""The shared cache: what is used, what is not, and that a good file is never lost."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

import pytest

from zoo.weights.cache import Cache, hub_dir
from zoo.weights.fetch import Fetcher, fetch_all
from zoo.weights.sources import locate
from zoo.weights.types import Fetched, NotFetched, ServerFile


@pytest.fixture
def put(hub):
    """Put a file into the cache as torch.hub or the user would."""

    def write(name, content):
        path = hub / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_hub_dir_is_torchs(monkeypatch):
    import torch.hub

    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    for environment in (
        {"TORCH_HOME": "~/t"},
        {"XDG_CACHE_HOME": "/x/cache"},
        {},
        {"TORCH_HOME": "", "HOME": "/h"},
        {"TORCH_HOME": "/t/", "XDG_CACHE_HOME": "/x/cache"},
    ):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        theirs = os.path.normpath(torch.hub.get_dir())
        with monkeypatch.context() as hidden:
            hidden.delitem(sys.modules, "torch.hub")
            assert str(hub_dir()) == theirs


def test_found_file_with_right_hash_is_used(server, fetch, put, data, named):
    path = put(named(data), data)
    outcome = fetch(server.on(named(data), lambda h, n: h.good(data)))
    assert isinstance(outcome, Fetched)
    assert (outcome.path, outcome.origin) == (path, "found")
    assert outcome.sha256 == hashlib.sha256(data).hexdigest()
    assert server.requests == []


def test_corrupt_file_is_replaced_by_a_good_one(server, fetch, put, left, data, named):
    put(named(data), data[:1000])
    seen = []

    def look(handler, count):
        seen.append(left()[named(data)])
        handler.good(data)

    assert isinstance(fetch(server.on(named(data), look)), Fetched)
    assert seen == [data[:1000]]  # it stays until the good one is whole
    assert left() == {named(data): data}


@pytest.mark.parametrize("fault", ["404", "wrong", "offline", "unreachable"])
def test_corrupt_file_stays_if_no_good_one_comes(server, fetch, put, left, data, named, fault):
    put(named(data), b"old")
    behaviour = (lambda h, n: h.head(404, 0)) if fault == "404" else (lambda h, n: h.good(b"bad"))
    url = server.on(named(data), behaviour)
    if fault == "unreachable":
        server.server_close()
    outcome = fetch(url, offline=fault == "offline")
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.hash-mismatch"
    assert left() == {named(data): b"old"}


def test_two_urls_with_one_name(server, fetch, left, data):
    contents = {"a/model.bin": data, "b/model.bin": data[::-1]}
    first = {url: fetch(server.on(url, lambda h, n, d=d: h.good(d))) for url, d in contents.items()}
    assert [outcome.path.read_bytes() for outcome in first.values()] == [*contents.values()]
    one, two = (outcome.path.name for outcome in first.values())
    assert one == "model.bin"
    assert two.endswith("_model.bin")
    assert len(left()) == 2
    for url, wanted in first.items():
        again = fetch(server.on(url, lambda h, n: h.head(500, 0)))
        assert (again.path, again.sha256) == (wanted.path, wanted.sha256)


def test_found_file_without_hash_serves_one_url(server, fetch, put, left, data):
    put("model.bin", data)
    assert fetch(server.on("a/model.bin", lambda h, n: h.good(b"other"))).origin == "found"
    two = fetch(server.on("b/model.bin", lambda h, n: h.good(data[::-1])))
    assert two.path.read_bytes() == data[::-1]
    assert left()["model.bin"] == data


def test_record_of_a_replaced_file_does_not_count(server, fetch, put, data, named):
    url = server.on(named(data), lambda h, n: h.good(data))
    fetch(url)
    put(named(data), b"someone else wrote this")
    assert fetch(url).path.read_bytes() == data


def test_rehash_finds_silent_damage(server, fetch, left, data):
    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = fetch(url)
    assert isinstance(outcome, Fetched)
    with outcome.path.open("r+b") as file:
        file.write(b"rot")
    os.utime(outcome.path, ns=(outcome.stat[1], outcome.stat[1]))
    assert isinstance(fetch(url), Fetched)
    assert left()["net.pth"] != data
    assert isinstance(fetch(url, rehash=True), Fetched)
    assert left()["net.pth"] == data


def test_symlink_out_of_the_cache_is_refused(server, fetch, put, tmp_path, data, named):
    secret = tmp_path / "secret"
    secret.write_bytes(data)
    link = put(named(data), b"")
    link.unlink()
    link.symlink_to(secret)
    outcome = fetch(server.on(named(data), lambda h, n: h.good(data)))
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unsafe"
    assert str(secret) in outcome.why
    assert secret.read_bytes() == data
    assert link.is_symlink()


def test_what_is_no_file_is_refused(server, fetch, hub, data):
    (hub / "checkpoints" / "folder.pth").mkdir(parents=True)
    os.mkfifo(hub / "checkpoints" / "pipe.pth")
    for name in ("folder.pth", "pipe.pth"):
        outcome = fetch(server.on(name, lambda h, n: h.good(data)))
        assert outcome.cause == "weights.unsafe"
        assert "not a regular file" in outcome.why


def test_part_is_not_written_through_a_symlink(server, fetch, hub, tmp_path, data, impatient):
    from dataclasses import replace

    url = server.on("net.pth", lambda h, n: h.good(data, stop_after=1000))
    fetch(url, policy=replace(impatient, attempts=1))
    (part,) = (hub / "zoo-parts" / "parts").glob("*.part")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    part.unlink()
    part.symlink_to(victim)
    assert isinstance(fetch(url), NotFetched)
    assert victim.read_bytes() == b"precious"


def test_offline_asks_nobody(server, fetch, left, data):
    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = fetch(url, offline=True)
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unreachable"
    assert server.requests == []
    fetch(url)
    server.server_close()
    assert isinstance(fetch(url, offline=True), Fetched)


def test_no_download_asks_for_the_size(server, fetch, left, data):
    def answer(head):
        def to_both(handler, _):
            if handler.command == "HEAD" and head.isdigit():
                handler.head(int(head), 0)
            elif handler.command == "HEAD" and head == "no length":
                handler.head(200, None, Connection="close")
                handler.hang_up()
            else:
                handler.good(data)

        return to_both

    for head in ("length", "405", "501", "no length"):
        outcome = fetch(server.on("net.pth", answer(head)), no_download=True)
        assert outcome == ServerFile(outcome.url, len(data))
    assert left() == {}
    assert server.full_bodies == 0
    server.requests.clear()
    gone = fetch(server.on("net.pth", lambda h, n: h.head(404, 0)), no_download=True)
    assert gone.cause == "weights.missing"
    assert len(server.requests) == 1


def test_plan_counts_what_is_to_come(server, hub, fetch, data, impatient):
    here = server.on("here.pth", lambda h, n: h.good(data))
    fetch(here)
    server.requests.clear()
    urls = [
        here,
        server.on("one.pth", lambda h, n: h.good(data)),
        server.on("one.pth", lambda h, n: h.good(data)) + "#again",
        server.on("two.pth", lambda h, n: h.good(data[:1000])),
        server.on("gone.pth", lambda h, n: h.head(404, 0)),
        "ftp://host/x.pth",
    ]
    sources = [locate(url, index_dir=None) for url in urls]
    with Fetcher(cache=Cache(hub), policy=impatient) as fetcher:
        plan = fetcher.plan(sources)
    assert (plan.files, plan.bytes, plan.unknown, plan.present) == (2, 301_000, 0, 1)
    assert {refused.cause for refused in plan.refused.values()} == {
        "weights.missing",
        "weights.unsafe",
    }
    assert sorted(path for _, path, _ in server.requests) == ["/gone.pth", "/one.pth", "/two.pth"]


def test_same_url_is_fetched_once(server, hub, data, impatient):
    url = server.on("net.pth", lambda h, n: h.good(data, rate=1_000_000))
    sources = [locate(url + end, index_dir=None) for end in ("", "#a", "#b", "")]
    outcomes = fetch_all(sources, cache=Cache(hub), policy=impatient, workers=4)
    assert [outcome.url for outcome in outcomes.values()] == [url, url + "#a", url + "#b"]
    assert all(isinstance(outcome, Fetched) for outcome in outcomes.values())
    assert len(server.requests) == 1


def test_progress_is_told(server, fetch, data):
    told: list[tuple[Any, ...]] = []

    class Watcher:
        def start(self, url, total):
            told.append(("start", url, total))

        def advance(self, url, count):
            told.append(("advance", url, count))

        def done(self, url, outcome):
            told.append(("done", url, outcome))

    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = fetch(url, progress=Watcher())
    assert told[0] == ("start", url, len(data))
    assert sum(count for what, _, count in told if what == "advance") == len(data)
    assert told[-1] == ("done", url, outcome)


def test_a_changed_record_gives_no_other_hash_and_no_other_file(server, fetch, hub, data):
    """With every value of a record changed in every way, and whole records in others' places."""
    other = data[::-1]
    contents = {"a": data, "b": other}
    urls = {
        key: server.on(f"{key}/net.pth", lambda h, n, body=body: h.good(body))
        for key, body in contents.items()
    }
    right = {key: hashlib.sha256(body).hexdigest() for key, body in contents.items()}
    assert fetch(urls["a"]).sha256 == right["a"]
    assert fetch(urls["b"]).sha256 == right["b"]
    folder = hub / "zoo-parts" / "records"
    kept = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert len(kept) == 2
    files = {path: path.read_bytes() for path in (hub / "checkpoints").iterdir()}
    deep: object = []
    for _ in range(900):
        deep = [deep]
    text = next(iter(kept.values()))
    texts = [b"", b"null", b"[]", b"{}", b"\xff", text[:40], text + b"}", text.swapcase()]
    texts += [bytes([*text[:n], text[n] ^ 1, *text[n + 1 :]]) for n in range(3, len(text), 61)]
    for key in json.loads(text):
        for value in (None, 5, 10**400, float("nan"), "0" * 64, [], {}, deep, True):
            texts.append(json.dumps({**json.loads(text), key: value}).encode())
    one, two = kept
    for first, second in [(t, kept[two]) for t in texts] + [(kept[two], kept[one])]:
        # Earlier changes may have sent a file to another place: each begins with the same.
        for each in (hub / "checkpoints").iterdir():
            if each not in files:
                each.unlink()
        one.write_bytes(first)
        two.write_bytes(second)
        for name, url in urls.items():
            found = fetch(url)
            assert isinstance(found, Fetched), (name, first[:80])
            assert found.sha256 == right[name], (name, first[:80])
            assert found.path.read_bytes() == contents[name]


def test_a_record_without_a_digest_says_whose_the_file_is(server, fetch, hub, data):
    url = server.on("a/net.pth", lambda h, n: h.good(data))
    other = server.on("b/net.pth", lambda h, n: h.good(data[::-1]))
    fetch(url)
    (path,) = (hub / "zoo-parts" / "records").glob("*.json")
    record = json.loads(path.read_bytes())
    del record["digest"]
    for sha256 in (record["sha256"], "0" * 64):
        path.write_text(json.dumps({**record, "sha256": sha256}))
        before = len(server.requests)
        assert fetch(other).sha256 == hashlib.sha256(data[::-1]).hexdigest()
        assert fetch(url).sha256 == hashlib.sha256(data).hexdigest()
        assert len(server.requests) - before <= 1  # of the other one, the first time
        assert "digest" in json.loads(path.read_bytes())
    for key in record:
        for value in ([], {}, None, 5, 10**400):
            path.write_text(json.dumps({**record, key: value}))
            assert fetch(url).sha256 == hashlib.sha256(data).hexdigest()
