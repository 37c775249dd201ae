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
from types import SimpleNamespace

import pytest

from harness.run.engine import EngineError, LocalEngine
from harness.run.engine_ray import RayEngine, _Tasks
from harness.run.jobs import Job
from harness.run.ray_address import check_address
from harness.types import Measurement, Recipe, Unmeasured

pytest.importorskip("ray", reason="ray is not installed (extra: ray)")
# What a server of HTTP/2 says first, and of a call that it does not know: an end without data.
GREETING, REFUSAL = bytes(3) + b"\4" + bytes(5), b"\0\0\1\1\5\0\0\0\1\x88"
LIMITS = {"timeout": 12.0, "max_memory": 2**30}


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
        assert seconds < 60, address
        assert words in line, address
        assert "\n" not in line
        assert len(line) < 400
    # An identity; and a head that tells it only those whom it knows.
    identity = b"\0\0\x0a\0\1\0\0\0\1" + b"\0\0\0\0\5" + b"\x12\3abc"
    unknown = b"\1\5\0\0\0\1\x88\0\x0bgrpc-status\x0216"
    for answer in (identity, (len(unknown) - 6).to_bytes(3, "big") + unknown):
        port = listening(lambda peer, answer=answer: peer.sendall(GREETING + answer))
        check_address(f"127.0.0.1:{port}")
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
def test_what_a_cluster_does_is_no_fact_about_a_variant(
    hostile, environment, ray_cluster, monkeypatch, capfd
):
    """One cluster, from whole to headless: starting one takes the time of many tests."""
    cluster = ray_cluster(environment)
    engine = RayEngine(cluster.address, **LIMITS)
    names = ["good-1", "hangs", "eats", "exits", "raises", "prints", "writes", "good-2"]
    expected, _ = run(LocalEngine(2, **LIMITS), names)
    capfd.readouterr()
    found, why = run(engine, names)
    assert why is None
    assert {name: said(fact) for name, fact in found.items()} == {
        name: said(fact) for name, fact in expected.items()
    }
    assert "more than 12 seconds and was ended" in found["hangs"].why
    assert "more than 1 GiB of memory and was ended" in found["eats"].why

    def kill_driver():
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        os.kill(int(children.split()[-1]), signal.SIGKILL)

    sleepers = [f"sleeps-{n}" for n in range(8)]
    for act, whole in (
        (kill_driver, False),
        (cluster.kill, True),  # A node: its jobs go to the other one.
        (lambda: cluster.kill("head"), False),
    ):

        def after_two(answers, act=act):
            if len(answers) == 2:
                act()

        found, why = run(engine, sleepers, after_two)
        assert all_right(found)
        assert (why is None) == whole == (set(found) == set(sleepers)), why
        assert len(found) >= 2
        if not whole:
            assert "lost" in why
    assert capfd.readouterr() == ("", "")  # Neither Ray's words nor a model's.


def test_a_cluster_without_a_node_that_could_work_is_not_waited_for():
    whole = [{"Alive": True, "Resources": {"CPU": 2.0}}]
    ray = SimpleNamespace(
        nodes=lambda: whole,
        cluster_resources=dict,
        remote=lambda **options: lambda function: function,
    )
    tasks = _Tasks(ray, "auto", 60.0, None)
    start = time.monotonic()
    tasks._look(start + 3)
    gone = [{"Alive": False, "Resources": {"CPU": 2.0}}]
    for nodes in ([], gone, [{"Alive": True, "Resources": {}}]):
        ray.nodes = lambda nodes=nodes: nodes
        tasks._node_seen = tasks._looked = start
        tasks._look(start + 5)  # It may come back.
        with pytest.raises(RuntimeError, match="no node that could run a job is left"):
            tasks._look(start + 20)
    with pytest.raises(RuntimeError, match="--device cuda: no node of the cluster has a GPU"):
        _Tasks(ray, "cuda", 60.0, None)
