"""Hosts that can't be reached, and redirects that are not followed."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest

from zoo.weights.cache import Cache
from zoo.weights.fetch import Fetcher, fetch_all
from zoo.weights.sources import locate
from zoo.weights.types import Fetched, NotFetched


def sources_of(urls):
    return [locate(url, index_dir=None) for url in urls]


@pytest.fixture
def unreachable(hub, impatient):
    """Fetch these in vain, within so many seconds; the outcomes."""

    def run(urls, seconds, **options):
        begun = time.monotonic()
        options = {"cache": Cache(hub), "policy": impatient} | options
        outcomes = fetch_all(sources_of(urls), **options).values()
        assert time.monotonic() - begun < seconds
        assert {outcome.cause for outcome in outcomes} == {"weights.unreachable"}
        assert not any(outcome.permanent for outcome in outcomes)
        return outcomes

    return run


def test_closed_port(unreachable):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    unreachable([f"http://127.0.0.1:{port}/n{k}.pth" for k in range(20)], 60)


def test_silent_host_is_asked_once_per_run(hub, impatient):
    """Connecting times out: the backlog of this listener is full, and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        time.sleep(0.1)
        sources = sources_of([f"http://127.0.0.1:{address[1]}/n{k}.pth" for k in range(200)])
        begun = time.monotonic()
        policy = replace(impatient, connect_s=1.0)
        with Fetcher(cache=Cache(hub), policy=policy) as fetcher:
            plan = fetcher.plan(sources)
            outcomes = dict(fetcher.fetch(sources))
        seconds = time.monotonic() - begun
        for filler in fillers:
            filler.close()
    assert seconds < 15  # one time limit, not two hundred, nor as many per worker
    assert len(plan.refused) == 200
    assert {outcome.cause for outcome in outcomes.values()} == {"weights.unreachable"}


def test_connections_to_a_host_that_breaks_tls(unreachable):
    """Counted: a host that hangs up in the handshake is connected to once, whatever the URLs."""
    count = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            nonlocal count
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                count += 1
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        port = listener.getsockname()[1]
        unreachable([f"https://127.0.0.1:{port}/n{k}.pth" for k in range(12)], 60, workers=6)
    assert count == 1


def test_name_that_does_not_resolve(unreachable, impatient):
    urls = [f"https://no-such-host.invalid/n{k}.pth" for k in range(8)]
    outcomes = unreachable(urls, impatient.connect_s + 1)
    assert all("no-such-host.invalid" in outcome.why for outcome in outcomes)


def test_other_hosts_are_not_held_up(server, hub, data, impatient):
    good = server.on("net.pth", lambda h, n: h.good(data))
    sources = sources_of(["https://no-such-host.invalid/a.pth", good])
    outcomes = fetch_all(sources, cache=Cache(hub), policy=impatient, workers=1)
    assert [type(outcome) for outcome in outcomes.values()] == [NotFetched, Fetched]


def test_host_that_dies_midway(server, unreachable, data, impatient):
    def last_words(handler, count):
        handler.good(data, stop_after=1000)
        server.server_close()
        server.shutdown()

    urls = [server.on(f"n{k}.pth", last_words) for k in range(10)]
    policy = replace(impatient, backoff_s=0.3, backoff_max_s=0.3)
    unreachable(urls, 3, policy=policy, workers=1)  # the others don't each try for themselves


def test_redirect_is_followed_to_the_urls_own_name(server, fetch, left, data):
    final = server.on("store/0815", lambda h, n: h.good(data))
    url = server.on("net.pth", lambda h, n: h.head(302, 0, Location="/store/0815"))
    outcome = fetch(url)
    assert isinstance(outcome, Fetched)
    assert (outcome.url, outcome.final_url) == (url, final)
    assert left() == {"net.pth": data}


@pytest.mark.parametrize(("hops", "works"), [(5, True), (6, False)])
def test_five_redirects(server, fetch, data, hops, works):
    for k in range(hops):
        server.on(f"hop{k}", lambda h, n, k=k: h.head(302, 0, Location=f"/hop{k + 1}"))
    server.on(f"hop{hops}", lambda h, n: h.good(data))
    url = server.on("hop0", server.routes["/hop0"])
    assert isinstance(fetch(url), Fetched) is works


def test_redirect_loop(server, fails):
    url = server.on("net.pth", lambda h, n: h.head(302, 0, Location="/net.pth"))
    fails(url, "weights.unreachable", "redirects")
    assert len(server.requests) == 6


def test_redirect_to_a_place_that_is_refused(server, fails):
    targets = """file:///etc/passwd http://example.com/net.pth ftp://127.0.0.1/net.pth
    http://[broken/net.pth package://zoo/net.pth http://me@127.0.0.1/net.pth https://me:pw@h/x.pth
    //:pw@127.0.0.1/net.pth https://@h/net.pth data:,x javascript:x http://127.0.0.1:99999/
    http://127.0.0.1:-1/ https://h:+8/ http://127.0.0.1:\uff18/ https://xn--/ http://xn--/x"""
    for target in targets.split():
        url = server.on(
            "net.pth",
            lambda h, n, to=target: h.head(302, 0, Location=to.encode().decode("latin-1")),
        )
        fails(url, "weights.unsafe")
        assert len(server.requests) == 1, target
        server.requests.clear()


@pytest.fixture
def tls_server(server, tls_files, monkeypatch):
    """The same server behind TLS, with a certificate that the client trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls_files)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_files[0]))
    return server


def test_https(tls_server, works, data):
    cut = [100_000, None]
    url = tls_server.on("net.pth", lambda h, n: h.good(data, stop_after=cut[n - 1]))
    works(url, data)


def test_https_never_redirects_to_http(tls_server, fails):
    for target in ("http://127.0.0.1:1/net.pth", "http://example.com/net.pth"):
        url = tls_server.on("net.pth", lambda h, n, t=target: h.head(302, 0, Location=t))
        fails(url, "weights.unsafe", "from https to http")


def test_unknown_certificate_is_unreachable(tls_server, fails, data, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    url = tls_server.on("net.pth", lambda h, n: h.good(data))
    fails(url, "weights.unreachable", "certificate")
    assert tls_server.requests == []
