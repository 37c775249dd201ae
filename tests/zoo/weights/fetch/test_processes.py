"""Kills, interrupts, and several processes at once."""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

from zoo.weights.cache import Cache
from zoo.weights.fetch import Fetcher
from zoo.weights.sources import locate
from zoo.weights.types import Fetched


def test_kill_at_random_moments(server, start, fetch, left, parts, hub):
    """8 times: kill -9 at some moment of a fetch, then fetch again and look.

    The name holds no hash, so that nothing but the fetching itself stands between a wrong byte
    and the file. 8 MB at 25 MB/s last 0.35 s; the moments cover start, download and end.
    """
    chance = random.Random()
    killed_midway = 0
    content = chance.randbytes(8 << 20)
    old = hub / "checkpoints" / "old.pth"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"good")
    for k in range(8):
        name = f"net{k}.pth"
        url = server.on(name, lambda h, n: h.good(content, rate=25e6 if n == 1 else None))
        process = start(url, mark_bytes=64 << 10)
        assert process.stdout.readline() == "ready\n"
        time.sleep((k + chance.random()) * 0.6 / 8)
        process.send_signal(signal.SIGKILL)
        process.wait()
        held = left()
        assert held.get(name) in {None, content}
        killed_midway += bool(parts())
        before = len(server.requests)
        outcome = fetch(url)
        assert isinstance(outcome, Fetched)
        assert left() == {"old.pth": b"good", name: content}
        asked = server.requests[before:]
        assert len(asked) <= 1
        assert parts() == []
        outcome.path.unlink()
    assert killed_midway >= 2  # else the moments are badly chosen


def test_killed_part_is_resumed(server, start, fetch, left, data):
    content = data * 20
    url = server.on("net.pth", lambda h, n: h.good(content, rate=3e6 if n == 1 else None))
    process = start(url, mark_bytes=64 << 10)
    while not server.requests:
        time.sleep(0.01)
    time.sleep(0.8)
    process.kill()
    process.wait()
    assert isinstance(fetch(url), Fetched)
    span = server.ranges()[1]
    assert span is not None
    assert int(span[6:-1]) > 1_000_000
    assert left() == {"net.pth": content}


def test_interrupt_stops_and_keeps_the_parts(server, start, fetch, left, parts, data):
    content = data * 20

    def stall(handler, count):
        if count > 1:
            handler.good(content)
            return
        handler.head(200, len(content), ETag='"v1"')
        handler.send(content[:1_000_000])
        time.sleep(600)

    urls = [server.on(f"net{k}.pth", stall) for k in range(3)]
    process = start(*urls)
    while len(parts()) < 6:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)  # What has come is written at the end.
    process.send_signal(signal.SIGINT)
    process.wait(timeout=120)
    assert "KeyboardInterrupt" in process.stderr.read()
    assert left() == {}
    assert len(parts()) == 6
    for url in urls:
        assert isinstance(fetch(url), Fetched)
    kept = [
        int(re.fullmatch(r"bytes=(\d+)-", span or "bytes=0-")[1]) for span in server.ranges()[3:]
    ]
    assert len(kept) == 3
    assert all(0 < length <= 1_000_000 for length in kept)


def test_consumer_that_leaves_stops_the_workers(server, hub, data, impatient):
    urls = [server.on("quick.pth", lambda h, n: h.good(data[:10]))]
    urls += [server.on(f"n{k}.pth", lambda h, n: h.good(data, rate=5_000)) for k in range(6)]
    sources = [locate(url, index_dir=None) for url in urls]
    begun = time.monotonic()
    with Fetcher(cache=Cache(hub), policy=impatient, workers=3) as fetcher:
        for source, _ in fetcher.fetch(sources):
            assert source == sources[0]
            break
    assert time.monotonic() - begun < 30  # Each takes a minute.
    time.sleep(0.2)
    asked = len(server.requests)
    time.sleep(0.5)
    assert len(server.requests) == asked


def test_processes_at_once_download_once(server, start, outcome_of, left, parts, data):
    content = data * 20
    url = server.on("net.pth", lambda h, n: h.good(content, rate=4e6))
    outcomes = [outcome_of(process) for process in [start(url) for _ in range(4)]]
    assert (server.bodies, server.full_bodies) == (1, 1)
    assert sorted(outcome["origin"] for outcome in outcomes) == [*["cache"] * 3, "fetched"]
    assert len({outcome["sha256"] for outcome in outcomes}) == 1
    assert left() == {"net.pth": content}
    assert parts() == []


def test_waiting_process_takes_over_from_a_killed_one(server, start, outcome_of, left, data):
    content = data * 20
    url = server.on("net.pth", lambda h, n: h.good(content, rate=3e6 if n == 1 else None))
    first = start(url, mark_bytes=64 << 10)
    while not server.requests:
        time.sleep(0.01)
    second = start(url)
    assert second.stdout.readline() == "ready\n"
    time.sleep(0.6)
    first.kill()
    assert outcome_of(second)["origin"] == "fetched"
    assert server.ranges()[1] is not None  # it goes on where the other one was killed
    assert left() == {"net.pth": content}


def test_processes_with_one_name_and_two_urls(server, start, outcome_of, left, data):
    one = server.on("a/model.bin", lambda h, n: h.good(data, rate=1e6))
    two = server.on("b/model.bin", lambda h, n: h.good(data[::-1], rate=1e6))
    paths = [outcome_of(process)["path"] for process in (start(one), start(two))]
    assert [Path(path).read_bytes() for path in paths] == [data, data[::-1]]
    assert len(left()) == 2
