"""Jobs on a Ray cluster: the limits hold, and what the cluster does is no fact about a variant."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.run.engine import EngineError, LocalEngine
from harness.run.engine_ray import RayEngine
from harness.run.jobs import Job
from harness.run.ray_address import check_address
from harness.types import Measurement, Recipe, Unmeasured

pytest.importorskip("ray", reason="ray is not installed (extra: ray)")
# What a server of HTTP/2 says first, and of a call that it does not know: an end without data.
GREETING, REFUSAL = bytes(3) + b"\4" + bytes(5), b"\0\0\1\1\5\0\0\0\1\x88"
LIMITS = {"timeout": 5.0, "max_memory": 2**30}


def jobs(names):
    return [Job(Recipe(name, "hostile"), ("structure",), ()) for name in names]


def run(engine, names, on_fact=lambda answers: None):
    """Name -> its one fact, and why the run was cut short, None where it was not."""
    answers = {}

    def react(done, facts):
        assert done.recipe.name not in answers
        (answers[done.recipe.name],) = facts
        on_fact(answers)
        return []

    why = None
    try:
        engine.run(jobs(names), react)
    except EngineError as error:
        why = str(error)
    assert why is None or "\n" not in why
    return answers, why


def said(fact):
    return fact.why if isinstance(fact, Unmeasured) else fact.value


def all_right(answers):
    return all(isinstance(fact, Measurement) for fact in answers.values())


def listening(behave):
    """A port, and what ``behave(connection)`` does with who comes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        kept = []
        while True:
            kept.append(server.accept()[0])
            behave(kept[-1])

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


@pytest.mark.slow
def test_a_wrong_address_is_one_line_within_seconds(monkeypatch):
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    ports = {
        "there is no Ray cluster (no answer)": [
            listening(lambda peer: None),
            listening(lambda peer: peer.sendall(b"\0\0")),
        ],
        "there is no Ray cluster (another service listens there)": [
            web.server_port,
            listening(lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")),
            listening(lambda peer: peer.sendall(b"220 mail.example.org ESMTP Postfix\r\n")),
            # HTTP/2 that knows no such method: it greets, and refuses.
            listening(lambda peer: peer.sendall(GREETING + REFUSAL)),
        ],
        "there is no Ray cluster (": [1, listening(lambda peer: peer.close())],
    }  # fmt: skip
    wrong = [(f"127.0.0.1:{port}", words) for words, some in ports.items() for port in some]
    wrong += [(f"ray://{address}", "there is no Ray cluster (") for address, _ in wrong[:3]]
    wrong += [("nowhere.invalid:6379", "there is no Ray cluster ("), ("[::1]:1", "no Ray cluster")]
    wrong += [(f"{'x' * 200}:6379", "there is no Ray cluster (")]
    for text in ("x", ":6379", "host:", "host:0", "host:65536", "1.2.3.4", "http://x:1", "a b:3",
                 "ray://:1", "a\nb:1", "x" * 10_000, "1.2.3.4:6379/", "1.2.3.4:６379"):  # fmt: skip
        wrong.append((text, "is no address of a Ray cluster"))

    def refusal(address):
        begun = time.monotonic()
        with pytest.raises(EngineError) as caught:
            check_address(address)
        return str(caught.value), time.monotonic() - begun

    with ThreadPoolExecutor(len(wrong)) as pool:
        found = pool.map(refusal, [address for address, _ in wrong])
    for (address, words), (line, seconds) in zip(wrong, found, strict=True):
        assert seconds < 5, address
        assert words in line, address
        assert "\n" not in line
        assert len(line) < 400
    for address in (None, "auto", "local"):
        check_address(address)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_leaves_the_report(hostile, zoo, index_of, monkeypatch):
    arguments = ["--index", str(index_of(["good"])), "--all", "--builder", "hostile"]
    arguments += ["--checks", "parameters", "--engine", "ray", "--format", "json"]
    for address in ("auto", "127.0.0.1:1"):
        done = zoo("verify", *arguments, "--address", address)
        assert done.returncode == 3
        assert '"findings"' in done.stdout
        (line,) = [line for line in done.stderr.splitlines() if "The run failed" in line]
        assert "Ray" in line


@pytest.mark.slow
def test_ray_here_has_the_same_facts_within_the_same_limits(
    hostile, ray_folder, monkeypatch, capfd
):
    names = ["good-1", "hangs", "eats", "exits", "raises", "prints", "writes", "good-2", "sleeps"]
    expected, _ = run(LocalEngine(1, **LIMITS), names)
    capfd.readouterr()
    monkeypatch.setenv("RAY_TMPDIR", ray_folder)
    found, why = run(RayEngine(**LIMITS), names)
    assert why is None
    assert {name: said(fact) for name, fact in found.items()} == {
        name: said(fact) for name, fact in expected.items()
    }
    assert "more than 5 seconds and was ended" in found["hangs"].why
    assert "more than 1 GiB of memory and was ended" in found["eats"].why
    assert capfd.readouterr() == ("", "")  # Neither Ray's words nor a model's.


@pytest.mark.slow
def test_nodes_that_die_cost_nothing_while_one_is_left(
    hostile, environment, ray_cluster, monkeypatch, capfd
):
    cluster = ray_cluster(environment)
    names = [f"sleeps-{n}" for n in range(8)]

    def kill(answers):
        if len(answers) == 2:
            cluster.kill()

    found, why = run(RayEngine(cluster.address), names, kill)
    assert why is None
    assert set(found) == set(names)
    assert all_right(found)

    # The last one: what was measured is kept, nothing is blamed on a variant.
    def kill_last(answers):
        if len(answers) == 1:
            cluster.kill()

    found, why = run(RayEngine(cluster.address), names, kill_last)
    assert why is not None
    assert "no node that could run a job is left" in why
    assert 1 <= len(found) < len(names)
    assert all_right(found)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("program", ["gcs_server", "driver"])
def test_a_ray_that_ends_cuts_the_run_short(hostile, ray_folder, monkeypatch, capfd, program):
    from ray_cluster import of_ray

    monkeypatch.setenv("RAY_TMPDIR", ray_folder)
    names = [f"sleeps-{n}" for n in range(40)]
    begun = []

    def kill(answers):
        if len(answers) == 2:
            begun.append(time.monotonic())
            if program == "driver":
                children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
                os.kill(int(children.split()[-1]), signal.SIGKILL)
                return
            for process in of_ray(ray_folder, f"/{program}"):
                os.kill(process, signal.SIGKILL)

    found, why = run(RayEngine(), names, kill)
    assert why is not None
    assert begun, why
    assert time.monotonic() - begun[0] < 60
    assert all_right(found)
    assert not any(isinstance(fact, Unmeasured) for fact in found.values())
    assert capfd.readouterr() == ("", "")
