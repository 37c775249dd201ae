"""Each way a server can fail: the right file whole or nothing under its name, and the cause."""

from __future__ import annotations

import gzip
import hashlib
import time
from dataclasses import replace
from email.utils import formatdate

import pytest

PAGE = {"Content_Type": "text/html; charset=utf-8"}


def lengthless(content):
    """Sends the bytes and hangs up, without having said how many they are."""

    def answer(handler, _):
        handler.head(200, None, Connection="close")
        handler.send(content)
        handler.hang_up()

    return answer


def then_good(data, *faults):
    """One fault after the other, and then a proper answer."""
    return lambda handler, count: (
        faults[count - 1](handler, count) if count <= len(faults) else handler.good(data)
    )


def test_good_file(server, fetch, works, parts, data):
    url = server.on("net.pth", lambda h, n: h.good(data))
    outcome = works(url, data)
    assert outcome.sha256 == hashlib.sha256(data).hexdigest()
    status = outcome.path.stat()
    assert outcome.stat == (len(data), status.st_mtime_ns, status.st_ino)
    assert (outcome.origin, outcome.etag, outcome.final_url) == ("fetched", '"v1"', url)
    assert parts() == []
    again = fetch(url)
    assert again.origin == "cache"
    assert (again.sha256, again.etag) == (outcome.sha256, '"v1"')
    assert len(server.requests) == 1


def test_no_length(server, fails, works, parts, data, named):
    cut = lengthless(data[:100_000])
    fails(server.on(named(data), cut), "weights.hash-mismatch")
    fails(server.on("net.pth", cut), "weights.unreadable")
    assert parts() == []
    works(server.on(named(data), lengthless(data)), data)


def test_chunked(server, fails, works, data):
    def chunked(end):
        def answer(handler, _):
            handler.head(200, None, Transfer_Encoding="chunked")
            handler.send(b"%x\r\n%s\r\n%s" % (len(data), data, end))
            handler.hang_up()

        return answer

    fails(server.on("net.pth", chunked(b"")), "weights.unreadable")
    works(server.on("net.pth", chunked(b"0\r\n\r\n")), data)


def test_stall_then_resumed(server, works, data):
    def stall(handler, _):
        handler.head(200, len(data), ETag='"v1"')
        handler.send(data[:50_000])
        time.sleep(300)
        handler.hang_up()

    begun = time.monotonic()
    works(server.on("net.pth", then_good(data, stall)), data)
    assert time.monotonic() - begun < 60
    assert server.ranges()[1] == "bytes=50000-"


def test_dribble_is_a_stall(server, fails, impatient):
    def dribble(handler, _):
        handler.head(200, 100_000)
        for _ in range(10_000):
            handler.send(b"x")
            time.sleep(0.05)

    url, policy = server.on("net.pth", dribble), replace(impatient, attempts=2)
    begun = time.monotonic()
    fails(url, "weights.unreachable", "next to nothing", policy=policy)
    assert time.monotonic() - begun < 60


def test_reset_in_the_middle(server, fails, works, data):
    def reset(handler, _):
        handler.head(200, len(data), ETag='"v1"')
        handler.send(data[:120_000])
        handler.reset()

    fails(server.on("net.pth", reset), "weights.unreachable")
    works(server.on("other.pth", then_good(data, reset)), data)


def test_errors_that_pass_are_retried(server, fails, works, data):
    for status in (500, 502, 503, 408, 429):
        fault = then_good(data, lambda h, n, status=status: h.head(status, 0))
        works(server.on("net.pth", fault), data).path.unlink()
        server.requests.clear()
    outcome = fails(server.on("net.pth", lambda h, n: h.head(503, 0)), "weights.unreachable", "503")
    assert not outcome.permanent
    assert len(server.requests) == 3


def test_retry_after_is_kept_to(server, fails, works, data):
    times: list[float] = []

    def answer(wait):
        def busy(handler, count):
            times.append(time.monotonic())
            if count == 1:
                handler.head(429, 0, Retry_After=wait())
            else:
                handler.good(data)

        return busy

    for name, wait in {
        "number.pth": lambda: "1",
        "date.pth": lambda: formatdate(time.time() + 2, usegmt=True),  # has whole seconds
    }.items():
        times.clear()
        works(server.on(name, answer(wait)), data).path.unlink()
        assert 0.9 < times[1] - times[0] < 60
    server.requests.clear()
    fails(server.on("net.pth", answer(lambda: "3600")), "weights.unreachable", "3600 s")
    assert len(server.requests) == 1


def test_final_answers_are_not_retried(server, fails, parts):
    for status, cause in ((404, "missing"), (410, "missing"), (403, "unreachable")):
        url = server.on(f"{status}.pth", lambda h, n, status=status: h.head(status, 0))
        assert fails(url, f"weights.{cause}", str(status)).permanent
    assert len(server.requests) == 3
    assert parts() == []


@pytest.mark.parametrize(
    ("page", "headers"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", PAGE),
        (b"\xef\xbb\xbf \n<HTML>no</HTML>", {}),
        (b"rate limit exceeded", PAGE),
    ],
)
def test_html_page_with_200(server, fails, parts, page, headers):
    url = server.on("net.pth", lambda h, n: h.good(page, **headers))
    fails(url, "weights.unreadable", "an HTML page")
    assert len(server.requests) == 1
    assert parts() == []


def test_checkpoint_called_html_is_taken(server, works, data):
    body = b"PK\x03\x04" + data
    works(server.on("net.pth", lambda h, n: h.good(body, **PAGE)), body)


def test_wrong_hash_always(server, fails, parts, hub, data, named):
    bad = data[:-1] + b"?"
    url = server.on(named(data), lambda h, n: h.good(bad))
    fails(url, "weights.hash-mismatch", hashlib.sha256(bad).hexdigest()[:16])
    assert len(server.requests) == 2
    assert parts() == []
    kept = list((hub / "zoo-parts" / "quarantine").iterdir())
    assert [path.read_bytes() for path in kept] == [bad]


def test_quarantine_is_bounded(server, fetch, hub, impatient):
    policy = replace(impatient, quarantined=2)
    for k in range(5):
        fetch(server.on(f"net-0000000{k}.pth", lambda h, n: h.good(b"bytes")), policy=policy)
    names = sorted(path.name[17:] for path in (hub / "zoo-parts" / "quarantine").iterdir())
    assert names == ["net-00000003.pth", "net-00000004.pth"]


def test_compressed_answer(server, fails, data):
    packed = gzip.compress(data)
    url = server.on("net.pth", lambda h, n: h.good(packed, Content_Encoding="gzip"))
    fails(url, "weights.unreadable", "gzip")


def test_max_bytes(server, fails, parts, data):
    sent = []

    def chunks(handler, _):
        handler.head(200, None, Transfer_Encoding="chunked")
        for _ in range(200):
            handler.send(b"%x\r\n%s\r\n" % (len(data), data))
            sent.append(len(data))

    for behaviour in (chunks, lambda h, n: h.good(data)):
        url = server.on("net.pth", behaviour)
        fails(url, "weights.unreachable", "200000", max_bytes=200_000)
    assert sum(sent) < 200 * len(data)
    assert parts() == []


def test_total_time_is_bounded(server, fails, works, data, impatient):
    url = server.on("net.pth", lambda h, n: h.good(data, rate=10_000 if n == 1 else None))
    policy = replace(impatient, total_s=0.5, low_rate=0)
    begun = time.monotonic()
    fails(url, "weights.unreachable", policy=policy)
    assert time.monotonic() - begun < 20
    works(url, data)  # and the next run goes on from there
    assert server.ranges()[1] is not None
