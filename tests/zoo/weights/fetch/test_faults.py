"""Each way a server can fail: the right file whole or nothing under its name, and the cause."""

from __future__ import annotations

import gzip
import hashlib
import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from zoo.weights.types import Fetched, NotFetched


def test_good_file(server, fetch, left, parts, data):
    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = fetch(url)
    assert isinstance(outcome, Fetched)
    assert left() == {"net.pth": data}
    assert outcome.sha256 == hashlib.sha256(data).hexdigest()
    status = outcome.path.stat()
    assert outcome.stat == (len(data), status.st_mtime_ns, status.st_ino)
    assert (outcome.origin, outcome.etag, outcome.final_url) == ("fetched", '"v1"', url)
    assert parts() == []
    again = fetch(url)
    assert isinstance(again, Fetched)
    assert again.from_cache
    assert (again.sha256, again.etag) == (outcome.sha256, '"v1"')
    assert len(server.requests) == 1


@pytest.mark.parametrize("with_hash", [True, False])
def test_truncated_without_length(server, fails, parts, data, named, with_hash):
    def cut(handler, count):
        handler.head(200, None, Connection="close")
        handler.send(data[:100_000])
        handler.hang_up()

    fails(
        server.on(named(data) if with_hash else "net.pth", cut),
        ("weights.hash-mismatch" if with_hash else "weights.unreadable"),
    )
    assert parts() == []


def test_no_length_but_hash(server, works, data, named):
    def whole(handler, count):
        handler.head(200, None, Connection="close")
        handler.send(data)
        handler.hang_up()

    works(server.on(named(data), whole), data)


@pytest.mark.parametrize("cut_off", [False, True])
def test_chunked(server, fetch, left, data, cut_off):
    def chunked(handler, count):
        handler.head(200, None, Transfer_Encoding="chunked")
        handler.send(b"%x\r\n%s\r\n" % (len(data), data))
        if cut_off:
            handler.hang_up()
        else:
            handler.send(b"0\r\n\r\n")

    outcome = fetch(server.on("net.pth", chunked))
    if cut_off:
        assert isinstance(outcome, NotFetched)
        assert outcome.cause == "weights.unreadable"
        assert left() == {}
    else:
        assert isinstance(outcome, Fetched)
        assert left() == {"net.pth": data}


def test_stall_then_resumed(server, fetch, left, data):
    def stall(handler, count):
        if count == 1:
            handler.head(200, len(data), ETag='"v1"')
            handler.send(data[:50_000])
            time.sleep(3)
            handler.hang_up()
        else:
            handler.good(data)

    begun = time.monotonic()
    assert isinstance(fetch(server.on("net.pth", stall)), Fetched)
    assert time.monotonic() - begun < 2.5
    assert left() == {"net.pth": data}
    assert server.ranges()[1] == "bytes=50000-"


def test_dribble_is_a_stall(server, fetch, left, impatient):
    def dribble(handler, count):
        handler.head(200, 100_000)
        for _ in range(100):
            handler.send(b"x")
            time.sleep(0.05)

    begun = time.monotonic()
    outcome = fetch(server.on("net.pth", dribble), policy=replace(impatient, attempts=2))
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unreachable"
    assert "next to nothing" in outcome.why
    assert time.monotonic() - begun < 4
    assert left() == {}


@pytest.mark.parametrize("always", [False, True])
def test_reset_in_the_middle(server, fetch, left, data, always):
    def reset(handler, count):
        if count > 1 and not always:
            handler.good(data)
            return
        handler.head(200, len(data), ETag='"v1"')
        handler.send(data[:120_000])
        handler.reset()

    outcome = fetch(server.on("net.pth", reset))
    if always:
        assert isinstance(outcome, NotFetched)
        assert outcome.cause == "weights.unreachable"
        assert left() == {}
    else:
        assert isinstance(outcome, Fetched)
        assert left() == {"net.pth": data}


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
def test_error_then_good(server, works, data, status):
    url = server.on("net.pth", lambda h, n: h.head(status, 0) if n == 1 else h.good(data))
    works(url, data)


def test_error_always(server, fetch, left):
    outcome = fetch(server.on("net.pth", lambda h, n: h.head(503, 0)))
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unreachable"
    assert not outcome.permanent
    assert "503" in outcome.why
    assert len(server.requests) == 3
    assert left() == {}


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_kept_to(server, fetch, data, as_date):
    times: list[float] = []

    def busy(handler, count):
        times.append(time.monotonic())
        if count > 1:
            handler.good(data)
        else:
            wait = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
            handler.head(429, 0, Retry_After=wait)

    assert isinstance(fetch(server.on("net.pth", busy)), Fetched)
    assert 0.9 < times[1] - times[0] < 3  # a date has whole seconds


def test_retry_after_too_long_ends_it(server, fetch):
    url = server.on("net.pth", lambda h, n: h.head(429, 0, Retry_After="3600"))
    outcome = fetch(url)
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unreachable"
    assert "3600 s" in outcome.why
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "cause"),
    [(404, "weights.missing"), (410, "weights.missing"), (403, "weights.unreachable")],
)
def test_final_answers_are_not_retried(server, fetch, left, parts, status, cause):
    outcome = fetch(server.on("net.pth", lambda h, n: h.head(status, 0)))
    assert isinstance(outcome, NotFetched)
    assert (outcome.cause, outcome.permanent) == (cause, True)
    assert str(status) in outcome.why
    assert len(server.requests) == 1
    assert left() == {}
    assert parts() == []


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", "text/html; charset=utf-8"),
        (b"\xef\xbb\xbf \n<HTML>no</HTML>", "application/octet-stream"),
        (b"rate limit exceeded", "text/html"),
    ],
)
def test_html_page_with_200(server, fails, parts, page, kind):
    fails(
        server.on("net.pth", lambda h, n: h.good(page, Content_Type=kind)),
        "weights.unreadable",
        "an HTML page",
    )
    assert len(server.requests) == 1
    assert parts() == []


def test_checkpoint_called_html_is_taken(server, fetch, data):
    body = b"PK\x03\x04" + data
    url = server.on("net.pth", lambda h, n: h.good(body, Content_Type="text/html"))
    assert isinstance(fetch(url), Fetched)


def test_wrong_hash_always(server, fails, parts, hub, data, named):
    bad = data[:-1] + b"?"
    fails(
        server.on(named(data), lambda h, n: h.good(bad)),
        "weights.hash-mismatch",
        hashlib.sha256(bad).hexdigest()[:16],
    )
    assert len(server.requests) == 2
    assert parts() == []
    kept = list((hub / "zoo-parts" / "quarantine").iterdir())
    assert [path.read_bytes() for path in kept] == [bad]


def test_quarantine_is_bounded(server, fetch, hub, impatient):
    policy = replace(impatient, quarantined=2)
    for k in range(5):
        fetch(server.on(f"net-0000000{k}.pth", lambda h, n: h.good(b"bytes")), policy=policy)
    names = sorted(path.name for path in (hub / "zoo-parts" / "quarantine").iterdir())
    assert [name[17:] for name in sorted(names, key=lambda name: name[17:])] == [
        "net-00000003.pth",
        "net-00000004.pth",
    ]


def test_compressed_answer(server, fails, data):
    body = gzip.compress(data)
    fails(
        server.on("net.pth", lambda h, n: h.good(body, Content_Encoding="gzip")),
        "weights.unreadable",
        "gzip",
    )


@pytest.mark.parametrize("declared", [True, False])
def test_max_bytes(server, fetch, left, parts, data, declared):
    sent = []

    def big(handler, count):
        if declared:
            handler.good(data)
            return
        handler.head(200, None, Transfer_Encoding="chunked")
        for _ in range(200):
            handler.send(b"%x\r\n%s\r\n" % (len(data), data))
            sent.append(len(data))

    outcome = fetch(server.on("net.pth", big), max_bytes=200_000)
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unreachable"
    assert "200000" in outcome.why
    assert sum(sent) < 200 * len(data)
    assert left() == {}
    assert parts() == []


def test_total_time_is_bounded(server, fetch, left, data, impatient):
    url = server.on("net.pth", lambda h, n: h.good(data, rate=100_000))
    begun = time.monotonic()
    outcome = fetch(url, policy=replace(impatient, total_s=0.5, low_rate=0))
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unreachable"
    assert time.monotonic() - begun < 2
    assert left() == {}
    assert isinstance(fetch(url), Fetched)  # and the next run goes on from there
    assert server.ranges()[1] is not None
    assert left() == {"net.pth": data}
