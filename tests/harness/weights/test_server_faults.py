"""What a server can do to a file, as `zoo verify` reports it: the finding, its field, its cause."""

from __future__ import annotations

import hashlib
import socket
from types import SimpleNamespace

import pytest
from fault_server import running
from loops import each

NAME = "efficientnet_lite0"
LIMIT = 25_000_000

# Case -> (status, cause) on Weights, and what its message has to say.
REFUSED = {
    "gone404": ("mismatch", "weights.missing", "404"),
    "gone410": ("mismatch", "weights.missing", "410"),
    "page": ("mismatch", "weights.unreadable", "an HTML page"),
    "empty": ("mismatch", "weights.unreadable", "an empty file"),
    "cut": ("mismatch", "weights.unreadable", "ended the file after 1000000 of"),
    "cut-no-length": ("mismatch", "weights.unreadable", "doesn't say how long the file is"),
    "length-too-long": ("mismatch", "weights.unreadable", "ended the file after"),
    "length-too-short": ("mismatch", "weights.hash-mismatch", "the server sends"),
    "wrong-hash": ("mismatch", "weights.hash-mismatch", "its name says SHA-256"),
    "too-large": ("unverified", "weights.unreachable", f"the limit is {LIMIT}"),
    "to-file": ("mismatch", "weights.unsafe", "file:///etc/hostname"),
    "to-plain-http": ("mismatch", "weights.unsafe", "http://192.0.2.1/net.pth"),
    "loop": ("unverified", "weights.unreachable", "more than 5 redirects"),
    "forbidden": ("unverified", "weights.unreachable", "403"),
    "closed-port": ("unverified", "weights.unreachable", "can't be reached"),
}
# What passes, with the ranges that were asked for: the file arrives, whole.
HEALED = {
    "cut-once": [None, "bytes=1000000-"],
    "reset-once": [None, "bytes=1000000-"],
    "cut-once-no-ranges": [None, "bytes=1000000-"],
    "cut-once-changed": [None, "bytes=1000000-"],
    "error-once": [None, None],
    "busy-once": [None, None],
    "wrong-hash-once": [None, None],
    "redirected": [None],
}


class Site:
    """Paths of the server, each with a fault that its downloads meet."""

    def __init__(self, server, data):
        self.server = server
        self.data = data

    def add(self, name, fault, *, size=None):
        """A path whose size can be asked for, and whose n-th download is answered by ``fault``."""

        def answer(handler, _):
            if handler.command == "HEAD":
                handler.head(200, len(self.data) if size is None else size, ETag='"v1"')
            else:
                fault(handler, len(self.ranges(name)))

        return self.server.on(name, answer)

    def ranges(self, name):
        """The range of each download of that path."""
        return [r for m, p, r in self.server.requests if (m, p) == ("GET", f"/{name}")]


def _faults(site, free_port):
    """Every case's URL."""
    data = site.data
    good = f"net-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    other = data[:-1] + b"?"
    cut = 1_000_000

    def redirect(target):
        return lambda h, n: h.head(302, 0, Location=target)

    def reset_once(handler, count):
        if count > 1:
            handler.good(data)
            return
        handler.head(200, len(data), ETag='"v1"')
        handler.send(data[:cut])
        handler.reset()

    def cut_without_length(handler, _):
        handler.head(200, None, Connection="close")
        handler.send(data[:cut])
        handler.hang_up()

    def lie(difference):
        def answer(handler, _):
            handler.head(200, len(data) + difference)
            handler.send(data)
            handler.hang_up()

        return answer

    page = b"<!DOCTYPE html><html>Sign in</html>"
    loop = site.server.on("loop.pth", lambda h, n: h.head(302, 0, Location="/loop.pth"))
    whole = site.add("elsewhere.pth", lambda h, n: h.good(data))
    return {
        "gone404": site.server.on("gone404.pth", lambda h, n: h.head(404, 0)),
        "gone410": site.server.on("gone410.pth", lambda h, n: h.head(410, 0)),
        "page": site.server.on("page.pth", lambda h, n: h.good(page, Content_Type="text/html")),
        "empty": site.add("empty.pth", lambda h, n: h.good(b"")),
        "cut": site.add("cut.pth", lambda h, n: h.good(data, etag=None, stop_after=cut)),
        "cut-no-length": site.add("cut-no-length.pth", cut_without_length),
        "length-too-long": site.add("length-too-long.pth", lie(500)),
        "length-too-short": site.add(f"short/{good}", lie(-500)),
        "wrong-hash": site.add("wrong-hash-00000000.pth", lambda h, n: h.good(data)),
        "too-large": site.add("too-large.pth", lambda h, n: h.good(data * 2), size=100),
        "to-file": site.add("to-file.pth", redirect("file:///etc/hostname")),
        "to-plain-http": site.add("to-plain-http.pth", redirect("http://192.0.2.1/net.pth")),
        "loop": loop,
        "forbidden": site.server.on("forbidden.pth", lambda h, n: h.head(403, 0)),
        "closed-port": f"http://127.0.0.1:{free_port}/net.pth",
        "cut-once": site.add(
            "cut-once.pth", lambda h, n: h.good(data, stop_after=cut if n == 1 else None)
        ),
        "reset-once": site.add("reset-once.pth", reset_once),
        "cut-once-no-ranges": site.add(
            "cut-once-no-ranges.pth",
            lambda h, n: h.good(data, ranges=False, stop_after=cut if n == 1 else None),
        ),
        "cut-once-changed": site.add(
            "cut-once-changed.pth",
            lambda h, n: (
                h.good(other, etag='"v0"', stop_after=cut) if n == 1 else h.good(data, etag='"v1"')
            ),
        ),
        "error-once": site.add(
            "error-once.pth", lambda h, n: h.head(500, 0) if n == 1 else h.good(data)
        ),
        "busy-once": site.add(
            "busy-once.pth",
            lambda h, n: h.head(429, 0, Retry_After="1") if n == 1 else h.good(data),
        ),
        "wrong-hash-once": site.add(f"once/{good}", lambda h, n: h.good(other if n == 1 else data)),
        "redirected": site.add("redirected.pth", redirect(whole)),
    }


@pytest.fixture(scope="module")
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def faulty(new_place, lite0, free_port):
    """One run over all faults."""
    data = lite0.read_bytes()
    place = new_place()
    with running() as server:
        site = Site(server, data)
        urls = _faults(site, free_port)
        claims = {"File_Size": len(data), "SHA256": hashlib.sha256(data).hexdigest()}
        for case, url in urls.items():
            place.add(case, NAME, url, **claims)
        run = place.verify("--max-bytes", str(LIMIT))
        yield SimpleNamespace(run=run, place=place, site=site, urls=urls, data=data)


@each("case", REFUSED)
def test_a_fault_is_a_finding_on_the_weights(faulty, case):
    status, cause, said = REFUSED[case]
    (finding,) = faulty.run.of(case, "Weights")
    assert (finding["status"], finding["cause"]) == (status, cause)
    assert finding["severity"] == ("error" if status == "mismatch" else None)
    assert said in finding["message"]
    assert finding["documented"] == faulty.urls[case]
    # What the index says of the file's hash was not checked, and is not called wrong.
    (hashed,) = faulty.run.of(case, "SHA256")
    assert (hashed["status"], hashed["cause"]) == ("unverified", cause)
    # It repeats why, which may well name a hash: that of a file which was not kept.
    assert hashed["message"] == f"not compared: {finding['message'].removeprefix('not compared: ')}"


@each("case", HEALED)
def test_a_fault_that_passes_leaves_the_whole_file(faulty, case):
    verdicts = faulty.run.verdicts(case, "Weights")
    assert verdicts == [("match", None)] * len(verdicts)
    assert verdicts
    assert faulty.run.verdicts(case, "SHA256") == [("match", None)]
    assert faulty.run.verdicts(case, "File Size") == [("match", None)]
    name = faulty.urls[case].partition("//")[2].partition("/")[2]
    assert faulty.site.ranges(name) == HEALED[case]


def test_only_whole_files_are_under_their_names(faulty):
    held = faulty.place.held()
    assert sorted(name.rpartition("_")[2] for name in held) == sorted(
        faulty.urls[case].rpartition("/")[2] for case in HEALED
    )
    assert {content == faulty.data for content in held.values()} == {True}
    # A part is kept only where a later run may go on with it.
    assert faulty.place.parts == []


def test_bad_bytes_are_asked_for_twice_and_missing_files_once(faulty):
    assert faulty.site.ranges("wrong-hash-00000000.pth") == [None, None]
    assert faulty.site.ranges("gone404.pth") == [None]


def test_the_run_says_what_it_will_do_and_exits_with_its_findings(faulty):
    assert faulty.run.status == 1
    first = faulty.run.err.splitlines()[0]
    assert first.startswith(f"{len(REFUSED) + len(HEALED)} variants of index ")
    # 404, 410, 403, the loop and the closed port are known beforehand.
    assert " 18 files to fetch, " in first
    assert "(5 not allowed or out of reach)" in first
    assert faulty.run.document["summary"]["mismatch"] == len(
        [case for case, (status, *_) in REFUSED.items() if status == "mismatch"]
    )


def test_offline_asks_nobody_and_uses_what_is_there(faulty):
    before = len(faulty.site.server.requests)
    run = faulty.place.verify("--offline", "--max-bytes", str(LIMIT))
    assert len(faulty.site.server.requests) == before
    assert run.status == 0
    for case in HEALED:
        assert ("match", None) in run.verdicts(case, "Weights")
    for case in REFUSED:
        (finding,) = run.of(case, "Weights")
        assert (finding["status"], finding["cause"]) == ("unverified", "weights.unreachable")
        assert "--offline" in finding["message"]


def test_many_urls_on_a_host_that_does_not_answer_take_seconds(place):
    # A full queue of connections: the system answers no further one, as a host without a route.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        for k in range(120):
            place.add(f"case{k}", NAME, f"http://127.0.0.1:{port}/net{k}.pth")
        run = place.verify()
        for filler in fillers:
            filler.close()
    assert run.status == 0
    assert {(f["status"], f["cause"]) for f in run.document["findings"]} == {
        ("unverified", "weights.unreachable")
    }
    assert len(run.document["findings"]) == 120
    # Five seconds for the one attempt to connect, and what the processes take to start.
    assert 4 < run.seconds < 60
