"""No server holds a plan, a download or an image longer than its clock lasts, whatever it does."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo.images import Web
from zoo.weights.cache import Cache
from zoo.weights.fetch import Fetcher
from zoo.weights.retry import RetryPolicy
from zoo.weights.sources import locate
from zoo.weights.types import NotFetched

STEP = 0.05  # between two bytes: far below any time limit
LIMIT = 0.6
POLICY = RetryPolicy(
    connect_s=LIMIT, stall_s=LIMIT, plan_s=LIMIT, attempts=1, total_s=3 * LIMIT, grace_s=0.1
)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED = OK + b"Content-Length: 100000\r\n\r\n"


def drip(text, *, head=b"", size=1):
    """Send ``head``, then the text for ever, a few bytes at a time."""

    def answer(connection):
        connection.sendall(head)
        endless = itertools.cycle([text[k : k + size] for k in range(0, len(text), size)])
        for piece in endless:
            connection.sendall(piece)
            time.sleep(STEP)

    return answer


def burst(text):
    """Send the text for ever, as fast as it is taken."""

    def answer(connection):
        while True:
            connection.sendall(text * 50)

    return answer


def redirect(seconds):
    """A chain of redirects without an end, each after so many seconds."""

    def answer(connection):
        time.sleep(seconds)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /net.pth\r\nContent-Length: 0\r\n")
        connection.sendall(b"Connection: close\r\n\r\n")

    return answer


# Before the head of the answer is whole: these hold HEAD as well as GET.
HEADS = {
    "silence": lambda connection: time.sleep(30),
    "the status line": drip(b"HTTP/1.1 200 " + b"O" * 1000),
    "a header's name": drip(b"x", head=OK),
    "a header's value": drip(b"y", head=OK + b"X-Long: "),
    "one header after another": drip(b"X-More: 1\r\n", head=OK, size=11),
    "102 without end": drip(b"HTTP/1.1 102 Processing\r\n\r\n", size=27),
    "100 byte by byte": drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 at full speed": burst(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "blank lines": drip(b"\r\n", size=2),
    "slow redirects": redirect(LIMIT * 0.7),
    "a slow redirect's head": drip(b"z", head=b"HTTP/1.1 302 Found\r\nLocation: /"),
}
BODIES = {
    "no body": lambda c: (c.sendall(SIZED), time.sleep(30)),
    "a byte at a time": drip(b"x", head=SIZED),
    "without a length": drip(b"x", head=OK + b"Connection: close\r\n\r\n"),
    "chunks of one byte": drip(b"1\r\nx\r\n", head=CHUNKED, size=6),
    "a chunk's extension": drip(b"e", head=CHUNKED + b"5;"),
    "a chunk's size": drip(b"0", head=CHUNKED),
    "a burst, then a chunk's extension": drip(
        b"e", head=CHUNKED + b"800\r\n%b\r\n5;" % bytes(2048)
    ),
    "trailers": drip(b"t", head=CHUNKED + b"1\r\nx\r\n0\r\nX-Trailer: "),
    "a byte, then silence": lambda c: (c.sendall(SIZED + b"x"), time.sleep(30)),
}
# In the handshake: a record's header, then its content byte by byte.
SHAKES = {
    "no handshake": lambda connection: time.sleep(30),
    "a slow handshake": drip(b"\x00", head=b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03"),
    "a record's header": drip(b"\x16\x03\x03\x00\x00"),
}


@contextlib.contextmanager
def served(answer):
    """A server that answers every connection so; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(connection):
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                answer(connection)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=[listener.accept()[0]], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def seconds_of(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def plan(url, folder):
    with Fetcher(cache=Cache(folder), policy=POLICY) as fetcher:
        fetcher.plan([locate(url, index_dir=None)])


def fetch(url, folder):
    with Fetcher(cache=Cache(folder), policy=POLICY) as fetcher:
        ((_, outcome),) = fetcher.fetch([locate(url, index_dir=None)])
    assert isinstance(outcome, NotFetched)
    assert outcome.cause in {"weights.unreachable", "weights.unreadable"}, outcome
    assert "\n" not in outcome.why


def image(url, _folder):
    with Web(policy=POLICY) as web, pytest.raises(OSError, match=r"\w"):
        web.read(url)


CASES = [
    (name, scheme, answer, ask)
    for scheme, answers, asks in (
        ("http", HEADS, (plan, fetch, image)),
        ("http", BODIES, (fetch, image)),
        ("https", SHAKES, (plan, fetch, image)),
    )
    for name, answer in answers.items()
    for ask in asks
]


def test_every_wait_ends_with_its_clock(tmp_path):
    import httpx  # noqa: F401 - its import is nobody's wait

    def run(number, name, scheme, answer, ask):
        with served(answer) as port:
            url = f"{scheme}://127.0.0.1:{port}/net.pth"
            took = seconds_of(lambda: ask(url, tmp_path / str(number)))
        return f"{ask.__name__}, {name}", took

    with ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(run, number, *case) for number, case in enumerate(CASES)]
        took = dict(each.result() for each in runs)
    # A plan may wait for HEAD and GET together no longer than that; the rest is the machine's.
    assert {what: seconds for what, seconds in took.items() if seconds > LIMIT + 20} == {}


def test_a_plan_asks_a_slow_host_once(tmp_path):
    connections = []

    def answer(connection):
        connections.append(1)
        HEADS["a header's name"](connection)

    with served(answer) as port:
        urls = [f"http://127.0.0.1:{port}/n{k}.pth" for k in range(30)]
        sources = [locate(url, index_dir=None) for url in urls]
        with Fetcher(cache=Cache(tmp_path), policy=POLICY, workers=4) as fetcher:
            fetcher.plan(sources)
            first = len(connections)
            planned = fetcher.plan(sources)
    assert 0 < first <= 8  # at once, by four workers, with HEAD and GET
    assert len(connections) == first
    assert (planned.files, planned.unknown, planned.refused) == (30, 30, {})


def test_redirects_over_many_hosts_have_one_clock(tmp_path):
    """Each hop is another server, which has never been connected to before."""
    reached = []
    with contextlib.ExitStack() as servers:
        target = 9
        for hop in range(5):
            head = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{target}/net.pth\r\n"

            def answer(connection, head=head, hop=hop):
                reached.append(5 - hop)
                time.sleep(LIMIT * 0.8)
                connection.sendall(head.encode() + b"Content-Length: 0\r\n\r\n")

            target = servers.enter_context(served(answer))
        for ask in (plan, fetch, image):
            url = f"http://127.0.0.1:{target}/net.pth"
            ask(url, tmp_path / ask.__name__)
            assert max(reached) <= 2  # The third is asked when the time is over.


def test_a_slow_disk_is_not_the_servers_fault(server, works, data, monkeypatch):
    from zoo.weights.partial import PartialFile

    real = PartialFile.write

    def slow(part, block):
        time.sleep(LIMIT * 0.4)
        real(part, block)

    monkeypatch.setattr(PartialFile, "write", slow)
    content = data[:200_000]
    url = server.on("net.pth", lambda h, n: h.good(content))
    works(url, content, policy=RetryPolicy(stall_s=LIMIT / 2, attempts=1, low_rate=1 << 20))


def test_a_byte_an_answer_is_no_progress(server, fails):
    """Each request brings the file further, by next to nothing: that is a failed attempt."""

    def answer(handler, count):
        handler.head(
            200 if count == 1 else 206,
            100_000 if count == 1 else 1,
            ETag='"v1"',
            Content_Range=f"bytes {count - 1}-{count - 1}/100000",
        )
        handler.send(b"x")
        handler.hang_up()

    fails(server.on("net.pth", answer), "weights.unreadable", "3 attempts")
    assert len(server.requests) == 3


def test_a_body_at_a_fair_pace_is_taken_however_long_it_lasts(server, works, data):
    """Many stretches, the bytes of each in its first half: the pace counts, not one pause."""

    def answer(handler, _):
        handler.head(200, len(data), ETag='"v1"')
        for start in range(0, len(data), 60_000):
            handler.send(data[start : start + 60_000])
            time.sleep(LIMIT * 0.7)

    works(server.on("net.pth", answer), data, policy=RetryPolicy(stall_s=LIMIT, attempts=1))
