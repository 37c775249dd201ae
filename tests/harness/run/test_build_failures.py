"""Builders that can't import, can't build without values, or download: a line each, and no more."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.request

import pytest
from distributions import install, python_path

from harness.run.engine import LocalEngine
from harness.run.jobs import Job, dump_job, load_job
from harness.run.offline import OfflineError, network_refused
from harness.types import Measurement, Recipe, Unmeasured

# What stands in a library's file, and what is to be said of a variant that needs the library.
BROKEN = {
    "no_driver": ("raise ImportError('libodd.so.3: cannot open\\nshared object')", "libodd.so.3"),
    "no_operator": (
        "import torch\n"
        "lib = torch.library.Library('odd_ops_of_a_test', 'DEF')\n"
        "raise RuntimeError('operator odd::nms does not exist')",
        "operator odd::nms does not exist",
    ),
    "no_file": ("open('/nowhere/odd.json')", "FileNotFoundError"),
    "no_more": ("import sys\nsys.exit('odd needs\\n a licence')", "odd needs a licence"),
    "no_syntax": ("def broken(", "SyntaxError"),
    "no_module": ("import a_library_that_nobody_has", "a_library_that_nobody_has"),
    "no_heart": ("import asyncio\nraise asyncio.CancelledError('gone')", "CancelledError: gone"),
}

BUILDER = """
import importlib
import socket
import urllib.request

import torch
from torch import nn


class Values(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate
        self.layer = nn.Linear(4, 4)


class Plain(nn.Module):
    # Holds tensors that are neither parameters nor buffers, and needs a value to be built.

    def __init__(self):
        super().__init__()
        self.count = int(torch.ones(2).sum())
        self.scale = torch.ones(3, 1, 1)
        self.shifts = [torch.zeros(3, 1, 1)]
        self.pair = (torch.zeros(1),)
        self.tables = {"a": torch.ones(1)}
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x * self.scale + self.shifts[0] + self.pair[0]) * self.tables["a"]
        return x.mean((2, 3))


class Kind:
    def knows(self, name):
        return True

    def names(self):
        return []

    def identity(self, name):
        return "1"

    def build(self, name):
        if name.startswith("no_"):
            importlib.import_module(name)
        return getattr(self, name, self.good)()

    def good(self):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def item(self):
        return Values([rate.item() for rate in torch.linspace(0, 0.1, 3)])

    def numpy(self):
        return Values(torch.ones(3).numpy())

    def asserted(self):
        rates = torch.linspace(0, 1, 3)
        assert rates.device.type == "cpu", "a table of rates"
        return Values(rates)

    def looked_up(self):
        return Values({"cpu": 1}[str(torch.ones(1).device)])

    def plain(self):
        return Plain()

    def url(self):
        urllib.request.urlopen("https://weights.example.org/a.pth", timeout=5)
        return self.good()

    def hub(self):
        torch.hub.load_state_dict_from_url("https://hub.example.org/odd-01234567.pth")
        return self.good()

    def address(self):
        socket.create_connection(("192.0.2.1", 80), timeout=5)
        return self.good()

    def local(self):
        a, b = socket.socketpair()
        a.sendall(b"x")
        return self.good()
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The builder ``mine``, and the broken libraries that some of its variants import."""
    site = tmp_path / "site"
    install(site, "mine = my_builder_of_failures:Kind", BUILDER)
    for name, (source, _) in BROKEN.items():
        (site / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", python_path(site))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return site


HOSTS = {"url": "weights.example.org", "hub": "hub.example.org", "address": "192.0.2.1"}
# They are built on the CPU; the last two raise what no missing value raises by itself.
VALUES = ("item", "numpy", "asserted", "looked_up")


@pytest.mark.slow
def test_what_a_builder_can_not_do_is_one_line_and_the_others_go_on(mine, capfd):
    """One worker and an offline run for all of them."""
    answers = {}
    names = [*BROKEN, *VALUES, *HOSTS, "good", "local"]
    jobs = [Job(Recipe(name, "mine"), ("structure",), (), offline=True) for name in names]
    jobs.append(Job(Recipe("plain", "mine"), ("flops", "structure"), ((8, 8),)))

    def react(done, facts):
        answers[done.recipe.name] = facts
        return []

    LocalEngine(1, 60).run(jobs, react)
    words = {name: words for name, (_, words) in BROKEN.items()}
    words |= {
        name: f"building needs {host}, and this run is offline" for name, host in HOSTS.items()
    }
    for name, said in words.items():
        (fact,) = answers.pop(name)
        assert isinstance(fact, Unmeasured), name
        assert fact.cause == "build.failed"
        assert said in fact.why
        assert name in fact.why
        assert "\n" not in fact.why
    for name, facts in answers.items():
        assert all(isinstance(fact, Measurement) for fact in facts), (name, facts)
        assert name not in VALUES or facts[0].value["parameters"] == 20
    (macs,) = {c["value"] for c in answers["plain"][0].value["counts"] if c["convention"] == "macs"}
    assert macs == 6 * 6 * 4 * 27
    assert "Traceback" not in capfd.readouterr().err


def test_a_connection_is_refused_while_the_run_is_offline_and_not_after(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # Else it would stay set.
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with network_refused():
        with pytest.raises(OfflineError, match=r"needs 127\.0\.0\.1"):
            socket.create_connection(("127.0.0.1", port))
        with pytest.raises(OSError, match=r"needs example\.org"):
            urllib.request.urlopen("http://example.org/")
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with datagram:
            for ask in (
                lambda: datagram.sendto(b"x", ("127.0.0.1", port)),
                lambda: datagram.sendmsg([b"x"], [], 0, ("127.0.0.1", port)),
                lambda: socket.gethostbyaddr("127.0.0.1"),
                lambda: socket.gethostbyname_ex("localhost"),
                lambda: socket.getnameinfo(("127.0.0.1", 80), 0),
            ):
                with pytest.raises(OfflineError):
                    ask()
    with socket.create_connection(("127.0.0.1", port)):
        server.close()
    job = Job(Recipe("a"), ("structure",), (), offline=True)
    assert load_job(dump_job(job)) == job


def test_private_hosts_alone_are_refused_where_public_ones_are_let_through(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = server.getsockname()
        with network_refused(but_public=True):
            for host in ("127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254"):
                refused = pytest.raises(OfflineError, match=f"needs {host}, which is not a public")
                with socket.socket() as own, refused:
                    own.connect((host, here[1]))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
                with contextlib.suppress(OSError):  # of a machine without a route
                    datagram.connect(("8.8.8.8", 53))
                for host in ("127.0.0.1", "", "<broadcast>", bytearray(b"127.0.0.1")):
                    for send in (
                        lambda there: datagram.sendto(b"x", there),
                        lambda there: datagram.sendmsg([b"x"], [], 0, there),
                        datagram.connect,
                    ):
                        with pytest.raises(OfflineError):
                            send((host, here[1]))
            # A proxy is the user's own choice.
            monkeypatch.setenv("HTTP_PROXY", f"http://localhost:{here[1]}")
            socket.create_connection(here).close()
    job = Job(Recipe("a"), ("structure",), (), public_hosts_only=True)
    assert load_job(dump_job(job)) == job


@pytest.mark.slow
def test_the_command_says_each_in_a_line(mine, zoo, index_of):
    names = ["no_operator", "item", "url", "good"]
    index = str(index_of(names, "Parameters: 112"))
    arguments = ("--all", "--builder", "mine", "--checks", "parameters", "--format", "json")
    done = zoo("verify", "--index", index, *arguments, "--offline")
    assert "Traceback" not in done.stderr
    findings = json.loads(done.stdout)["findings"]
    failed = [f["variant"] for f in findings if f["field"] == "Name"]
    assert failed == ["no_operator", "url"]
    assert {f["cause"] for f in findings if f["field"] == "Name"} == {"build.failed"}
    held = {f["variant"]: f["status"] for f in findings if f["field"] == "Parameters"}
    assert held == {
        "no_operator": "unverified",
        "item": "mismatch",
        "url": "unverified",
        "good": "match",
    }
