"""Images from a real server that misbehaves."""

from __future__ import annotations

import threading
import time

import pytest

from zoo.images import Web
from zoo.weights.retry import RetryPolicy

DATA = bytes(range(256)) * 400
QUICK = RetryPolicy(connect_s=2, stall_s=0.4, attempts=3, backoff_s=0.01, total_s=1.6)


@pytest.fixture
def web():
    with Web(policy=QUICK, max_bytes=1 << 20) as web:
        yield web


def test_a_image_comes_whole(server, web):
    url = server.on("cat.jpg", lambda handler, count: handler.good(DATA))
    assert web.read(url) == DATA


def test_what_fails_for_a_moment_is_asked_again(server, web):
    def behave(handler, count):
        if count == 1:
            handler.head(503, 0)
        elif count == 2:
            handler.good(DATA, stop_after=1000)
        else:
            handler.good(DATA)

    assert web.read(server.on("cat.jpg", behave)) == DATA
    assert len(server.requests) == 3


def endless(handler, count):
    handler.head(200, None)
    while True:
        handler.send(bytes(1 << 16))


def silent(handler, count):
    handler.head(200, len(DATA))
    handler.send(DATA[:10])
    time.sleep(1)


def trickle(handler, count):
    handler.head(200, len(DATA))
    for byte in DATA:
        handler.send(bytes([byte]))
        time.sleep(0.05)


def elsewhere(handler, count):
    handler.head(302, 0, Location="http://example.org/cat.jpg")


def in_a_circle(handler, count):
    handler.head(302, 0, Location=handler.path)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (lambda handler, count: handler.head(404, 0), "404"),
        (lambda handler, count: handler.head(500, 0), "500"),
        (lambda handler, count: handler.good(DATA, stop_after=500), "the connection broke"),
        (lambda handler, count: handler.good(DATA, Content_Encoding="gzip"), "not asked for"),
        (lambda handler, count: handler.head(200, 2 << 20), "the limit is 1048576"),
        (endless, "the limit is 1048576"),
        (silent, "next to nothing"),
        (trickle, "next to nothing"),
        (elsewhere, "not followed"),
        (in_a_circle, "redirects"),
    ],
)
def test_what_goes_wrong_is_one_line_and_takes_no_longer_than_allowed(
    server, web, behaviour, words
):
    url = server.on("cat.jpg", behaviour)
    begun = time.monotonic()
    with pytest.raises(OSError, match=words) as caught:
        web.read(url)
    assert time.monotonic() - begun < 60  # It would go on for an hour.
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/cat.jpg", "use https, or --allow-http"),
        ("https://user:secret@example.org/cat.jpg", "user name or password"),
        ("https://example.org/a\nb.jpg", "blanks or control characters"),
        ("http://127.0.0.1:1/cat.jpg", "can't be reached"),
    ],
)
def test_urls_that_are_refused(web, url, words):
    with pytest.raises(OSError, match=words):
        web.read(url)


def test_a_server_that_is_always_silent_is_not_waited_for_again(server, web):
    first, second = (server.on(name, silent) for name in ("cat.jpg", "dog.jpg"))
    with pytest.raises(OSError, match=r"next to nothing.* \(3 attempts\)"):
        web.read(first)
    asked = len(server.requests)
    with pytest.raises(OSError, match=r"^127\.0\.0\.1:\d+ did not answer before$"):
        web.read(second)
    assert len(server.requests) == asked == 3


def test_a_server_that_was_silent_once_is_asked_again(server, web):
    def behave(handler, count):
        (silent if count == 1 else lambda handler, count: handler.good(DATA))(handler, count)

    first, second = (server.on(name, behave) for name in ("cat.jpg", "dog.jpg"))
    assert web.read(first) == web.read(second) == DATA


def test_a_server_that_answers_that_it_can_not_is_asked_for_other_images(server, web):
    bad = server.on("cat.jpg", lambda handler, count: handler.head(500, 0))
    good = server.on("dog.jpg", lambda handler, count: handler.good(DATA))
    with pytest.raises(OSError, match="500"):
        web.read(bad)
    assert web.read(good) == DATA


def test_offline_asks_nobody(server):
    url = server.on("cat.jpg", lambda handler, count: handler.good(DATA))
    with Web(offline=True) as web, pytest.raises(OSError, match="--offline makes no requests"):
        web.read(url)
    assert server.requests == []


def test_closing_ends_a_thread_that_waits(server):
    hold = threading.Event()

    def wait(handler, count):
        handler.head(200, 10)
        hold.wait(300)

    web = Web()
    url = server.on("cat.jpg", wait)
    ended = []

    def read():
        with pytest.raises(OSError, match="run was ended"):
            web.read(url)
        ended.append(True)

    thread = threading.Thread(target=read)
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    time.sleep(0.1)
    web.close()
    thread.join(120)
    hold.set()
    assert ended
