"""`--public-hosts-only`: which addresses are public, and that no other one is connected to."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from cli import run_zoo

from zoo.images import Web
from zoo.weights import network
from zoo.weights.types import Fetched, NotFetched, ServerFile

PUBLIC = """
8.8.8.8 1.1.1.1 140.82.112.3 13.33.0.1 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808
2002:808:808::1 172.15.0.1 172.32.0.1 192.167.1.1 100.63.0.1 100.128.0.1 11.0.0.1 169.253.1.1
2001:4860:4860::8888
"""
OTHERS = """
127.0.0.1 127.255.255.254 127.1.2.3 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1
172.31.255.255 192.168.0.1 169.254.169.254 169.254.0.1 100.64.0.1 100.127.255.255 192.0.2.1
198.18.0.1 198.51.100.1 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 192.0.0.1
::1 :: fe80::1 fe80::1%eth0 febf::1 fc00::1 fd00:ec2::254 fec0::1 ff02::1 2001:db8::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::ffff:0:10.0.0.1
64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::10.0.0.1 2002:7f00:1:: 2002:a00:1::1
2001:0:7f00:1::
"""


def test_what_is_public():
    assert [each for each in PUBLIC.split() if not network.is_public(each)] == []
    assert [each for each in OTHERS.split() if network.is_public(each)] == []


@pytest.mark.parametrize("ask", ["fetch", "plan", "image"])
def test_no_form_of_a_local_address_is_reached(server, fetch, data, ask):
    server.on("net.pth", lambda h, n: h.good(data))
    port = server.server_address[1]
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1",
                 "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]", "127.0.0.1."):  # fmt: skip
        url = f"http://{host}:{port}/net.pth"
        if ask == "image":
            with Web(allow_http=True, public_hosts_only=True) as web, pytest.raises(OSError):  # noqa: PT011
                web.read(url)
            continue
        outcome = fetch(
            url, public_hosts_only=True, no_download=ask == "plan", source={"allow_http": True}
        )
        assert isinstance(outcome, NotFetched), host
        assert outcome.cause == "weights.unreachable"
    assert server.requests == []
    # Unasked, the tests' own server is reached.
    assert isinstance(fetch(f"http://127.0.0.1:{port}/net.pth"), Fetched | ServerFile)


@pytest.fixture
def names(monkeypatch):
    """Name servers of our own: host -> what is answered, one answer after the other; the last
    one stays. Of 127.0.0.0/8, 127.0.0.1 alone counts as public.
    """
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host, port, *rest, **options):
        if host not in answers:
            return real(host, port, *rest, **options)
        now = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in now]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(network, "is_public", lambda address: address == "127.0.0.1")
    return answers


@pytest.fixture
def inside(server):
    """A server at 127.0.0.2, at the same port: how many have connected."""
    reached: list[object] = []
    with socket.create_server(("127.0.0.2", server.server_address[1])) as listener:

        def accept():
            try:
                while True:
                    reached.append(listener.accept())
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        yield reached


def test_what_was_checked_is_what_is_connected_to(server, fetch, names, inside, data):
    """A name server that changes its mind between two questions, and one that mixes both."""
    port = server.server_address[1]
    server.on("net.pth", lambda h, n: h.good(data))
    url = f"http://zoo.example:{port}/net.pth"
    options = {"public_hosts_only": True, "source": {"allow_http": True}}
    for answers, works in (
        ([["127.0.0.1"], ["127.0.0.2"]], False),
        ([["127.0.0.2"], ["127.0.0.1"]], False),
        ([["127.0.0.2", "127.0.0.1"]], True),
        ([["127.0.0.1", "127.0.0.2"]], True),
    ):
        names["zoo.example"] = answers
        outcome = fetch(url, **options)
        assert isinstance(outcome, Fetched) == works, (answers, outcome)
        if works:
            outcome.path.unlink()
    assert inside == []


def test_redirects_lead_to_public_addresses_alone(server, fetch, names, inside, data):
    port = server.server_address[1]
    names |= {"inside.example": [["127.0.0.2"]], "turning.example": [["127.0.0.1"], ["127.0.0.2"]]}
    server.on("final.pth", lambda h, n: h.good(data))
    options = {"public_hosts_only": True, "source": {"allow_http": True}}
    for name, (target, works) in {
        "a": (f"http://127.0.0.2:{port}/final.pth", False),
        "b": (f"http://inside.example:{port}/final.pth", False),
        "c": (f"http://turning.example:{port}/final.pth", False),
        "d": (f"//127.0.0.2:{port}/final.pth", False),
        "e": (f"http://[::ffff:127.0.0.2]:{port}/final.pth", False),
        "f": ("/final.pth", True),
    }.items():
        url = server.on(f"{name}.pth", lambda h, n, t=target: h.head(302, 0, Location=t))
        outcome = fetch(url, **options)
        if works:
            assert isinstance(outcome, Fetched), target
        else:
            assert isinstance(outcome, NotFetched), target
            assert outcome.cause == "weights.unsafe", outcome
    assert inside == []
    assert isinstance(fetch(f"http://inside.example:{port}/net.pth"), NotFetched)


def test_where_ci_is_set(server, tmp_path, data):
    """By every command that reaches hosts; an option, a variable or the project turns it off."""
    url = server.on("net.pth", lambda h, n: h.good(data))
    (tmp_path / "index.yml").write_text(f"Models:\n- Name: resnest14d\n  Weights: {url}\n")
    project = tmp_path / "pyproject.toml"

    def reached(*words, **environment):
        server.requests.clear()
        folders = {"XDG_CACHE_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path / "torch")}
        run_zoo(
            [*words, "--index", "index.yml"],
            cwd=tmp_path,
            environment=os.environ | folders | environment,
        )
        return bool(server.requests)

    plan = ("fetch", "--all", "--dry-run")
    for words in (plan, ("verify", "--all", "--dry-run", "--checks", "weights")):
        assert reached(*words)
        assert not reached(*words, CI="true")
        assert not reached(*words, "--public-hosts-only")
    for word in ("1", "woodpecker", "True"):
        assert not reached(*plan, CI=word)
    for word in ("", "false", "0"):
        assert reached(*plan, CI=word)
    assert reached(*plan, "--any-host", CI="1")
    assert reached(*plan, CI="1", ZOO_PUBLIC_HOSTS_ONLY="no")
    project.write_text("[tool.zoo]\npublic-hosts-only = false\n")
    assert reached(*plan, CI="1")
    assert not reached("fetch", "--all", CI="1", ZOO_PUBLIC_HOSTS_ONLY="1")
