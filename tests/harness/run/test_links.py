"""Links: asked of real servers that misbehave, and looked up in a real repository."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest
from cli import run_zoo
from fault_server import FaultServer, running

from harness.run import links


class Place:
    """A folder with an index; what `zoo audit` finds of its links, by the link."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, urls, field="README"):
        models = [{"Name": f"net{n}", field: url} for n, url in enumerate(urls)]
        (self.folder / "model-index.yml").write_text(json.dumps({"Models": models}))

    def audit(self, *words, **changes):
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache"), **changes}
        words = ("audit", "--format", "json", *words)
        done = run_zoo(words, cwd=self.folder, environment=environment)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)["findings"]

    def said(self, *words):
        return {f["documented"]: (f["status"], f["cause"]) for f in self.audit(*words)}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(links, "_STALL_S", 2.0)
    monkeypatch.setattr(links, "_WAIT_S", 2.0)
    return Place(tmp_path)


def status(code, **headers):
    return lambda handler, count: handler.head(code, 0, **headers)


def by_method(head, get):
    """Answers HEAD with one status, and GET with another."""
    return lambda handler, count: handler.head(head if handler.command == "HEAD" else get, 0)


def hang(handler, count):
    time.sleep(5)
    handler.hang_up()


def refuses_head(handler, count):
    handler.reset() if handler.command == "HEAD" else handler.head(200, 0)


def busy(handler, count):
    handler.head(*((429, 0) if count == 1 else (200, 0)), Retry_After="1")


MATCH, GONE = ("match", None), ("mismatch", "links.missing")
OPEN = ("unverified", "links.unreachable")
ANSWERS = {
    "page": (status(200), MATCH),
    "no-head": (by_method(405, 200), MATCH),
    "no-head-501": (by_method(501, 200), MATCH),
    "head-says-404": (by_method(404, 200), MATCH),
    "head-says-403": (by_method(403, 404), GONE),
    "reset-on-head": (refuses_head, MATCH),
    "missing": (status(404), GONE),
    "gone": (status(410), GONE),
    "forbidden": (status(403), OPEN),
    "unavailable": (status(503), OPEN),
    "busy": (busy, MATCH),
    "busy-for-long": (status(429, Retry_After="3600"), OPEN),
    "hangs": (hang, OPEN),
    "moved": (status(301, Location="/page"), MATCH),
    "moved-to-nothing": (status(302, Location="/missing"), GONE),
    "moved-for-ever": (status(302, Location="/moved-for-ever"), OPEN),
    "moved-to-a-file": (status(302, Location="file:///etc/passwd"), OPEN),
}


@pytest.mark.slow
def test_what_servers_answer_is_told_from_what_they_do_not(place, server):
    urls = {server.on(name, behaviour): want for name, (behaviour, want) in ANSWERS.items()}
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        urls[f"http://127.0.0.1:{closed.getsockname()[1]}/page"] = OPEN
        urls["http://no-such-host.invalid/page"] = OPEN
        place.write(urls)
        found = place.said("--links")
    names = {url: url.rpartition("/")[2] for url in urls}
    assert {names[u]: v for u, v in found.items()} == {names[u]: v for u, v in urls.items()}
    assert not server.bodies


def test_no_server_is_asked_without_the_option_or_offline(place, server):
    url = server.on("page", status(404))
    place.write([url])
    assert place.said() == {}
    assert place.said("--links", "--offline") == {url: OPEN}
    assert server.requests == []


@pytest.mark.slow
def test_a_host_is_asked_one_thing_at_a_time_and_once_for_each_page(place):
    guard, active, most = threading.Lock(), [0, 0], [0, 0]

    def slowly(which):
        def answer(handler, count):
            with guard:
                active[which] += 1
                most[which] = max(most[which], active[which])
            time.sleep(0.05)
            with guard:
                active[which] -= 1
            handler.head(200, 0)

        return answer

    with running() as one, running() as other:
        servers = tuple(enumerate((one, other)))
        urls = [server.on(f"{n}", slowly(k)) for n in range(6) for k, server in servers]
        # A redirect from one host to the other takes its turn there.
        there = other.on("there", slowly(1))
        urls[:0] = [one.on(f"moved{n}", status(302, Location=there)) for n in range(4)]
        place.write([*urls, *(f"{url}#part" for url in urls)])
        found = place.said("--links")
        assert set(found.values()) == {MATCH}
        assert len(found) == 2 * len(urls)
        assert most == [1, 1]
        assert len(one.requests) == 10
        assert len(other.requests) == 10


@pytest.mark.slow
def test_a_host_that_never_answers_is_left_alone(place, server):
    urls = [server.on(f"{n}", hang) for n in range(6)]
    place.write(urls)
    assert place.said("--links") == dict.fromkeys(urls, OPEN)
    assert len(server.requests) == 4  # HEAD and GET of two


def test_a_certificate_that_is_not_trusted_is_unverified(place, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    files = [tmp_path / "key.pem", tmp_path / "cert.pem"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=zoo"]
    make += ["-keyout", str(files[0]), "-out", str(files[1])]
    subprocess.run(make, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    with FaultServer() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        place.write([server.on("page", status(200))])
        (found,) = place.audit("--links")
        server.shutdown()
    assert (found["status"], found["cause"]) == OPEN
    assert "certificate" in found["message"].lower()


def test_private_hosts_are_not_reached_where_only_public_ones_may_be(place, server):
    url = server.on("page", status(200))
    place.write([url])
    assert place.said("--links", "--public-hosts-only") == {url: OPEN}
    assert server.requests == []


SOURCE = """\
import torch


@register
def net0():
    return torch

def net1():
    return torch
"""


@pytest.fixture
def commit(place):
    """The commit of a file in the repository that the index is in."""
    (place.folder / "models.py").write_text(SOURCE)
    (place.folder / "README.md").write_text("---\nlicense: mit\n---\n# Nets\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=place.folder, check=True, capture_output=True)
    words = ["git", "rev-parse", "HEAD"]
    return subprocess.run(
        words, cwd=place.folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_line_is_looked_up_at_the_commit_that_the_link_names(place, commit):
    anchor, (line, other) = ("mismatch", "links.anchor"), ("5", "8")
    for of, path, want in (
        (commit, "models.py", MATCH),
        (commit[:9], f"models.py#L{line}", MATCH),
        (commit, f"models.py#L4-L{line}", MATCH),
        (commit, "models.py#L1", MATCH),
        (commit, f"models.py#L{other}", anchor),
        (commit, "models.py#L10", anchor),
        (commit, "models.py#L2-L99", anchor),
        (commit, "models.py#L0", anchor),
        (commit, "other.py#L1", GONE),
        ("0" * 40, "models.py#L999", None),
        ("main", "models.py#L999", None),
    ):
        url = f"https://github.com/o/n/blob/{of}/{path}"
        (place.folder / "model-index.yml").write_text(
            json.dumps({"Models": [{"Name": "net0", "Code": url}, {"Name": "net1"}]})
        )
        assert place.said() == ({} if want is None else {url: want}), path
    url = f"https://github.com/o/n/blob/{commit}/models.py#L8"
    (place.folder / "model-index.yml").write_text(
        json.dumps({"Models": [{"Name": "net0", "Code": url}, {"Name": "net1"}]})
    )
    (found,) = place.audit()
    assert "is in net1, which is another variant; net0 begins at line 4" in found["message"]
    # A variant that has no function there may be made by another's.
    (place.folder / "model-index.yml").write_text(
        json.dumps({"Models": [{"Name": "net1_fp16", "Code": url}, {"Name": "net1"}]})
    )
    assert place.said() == {url: MATCH}


def test_a_readme_here_may_state_another_license(place, commit):
    for license, contradicts in (("Apache-2.0", True), ("MIT License", False)):
        model = {"Name": "net0", "README": "README.md", "License": license}
        (place.folder / "model-index.yml").write_text(json.dumps({"Models": [model]}))
        found = [f["cause"] for f in place.audit()]
        assert found == ["license.contradicted"] * contradicts
    outside = place.folder.parent / "outside.md"
    outside.write_text("---\nlicense: gpl-3.0\n---\n")
    model = {"Name": "net0", "README": "../outside.md", "License": "MIT"}
    (place.folder / "model-index.yml").write_text(json.dumps({"Models": [model]}))
    assert place.audit() == []
