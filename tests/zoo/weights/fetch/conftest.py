"""A cache of its own per test, and real processes that fetch."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.weights.cache import Cache
from zoo.weights.fetch import fetch_all
from zoo.weights.retry import RetryPolicy
from zoo.weights.sources import locate
from zoo.weights.types import Fetched, NotFetched

CHILD = """
import json, os, signal, sys
from pathlib import Path
from zoo.weights.cache import Cache
from zoo.weights.fetch import fetch_all
from zoo.weights.retry import RetryPolicy
from zoo.weights.sources import locate

plan = json.loads(sys.argv[1])
exec(plan["before"])
print("ready", flush=True)
sources = [locate(url, index_dir=None) for url in plan["urls"]]
outcomes = fetch_all(sources, cache=Cache(Path(plan["hub"])), policy=RetryPolicy(**plan["policy"]))
for outcome in outcomes.values():
    fields = ("path", "size", "sha256", "origin", "cause", "why")
    print(json.dumps({f: str(getattr(outcome, f)) for f in fields if hasattr(outcome, f)}))
"""


@pytest.fixture
def data():
    """Bytes that no two runs of a wrong program would make by chance: 300,000 of them."""
    return random.Random(7).randbytes(300_000)


@pytest.fixture
def named():
    """A file name that carries the hash of these bytes."""
    return lambda content: f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"


@pytest.fixture
def hub(tmp_path):
    return tmp_path / "hub"


@pytest.fixture
def impatient():
    return RetryPolicy(
        connect_s=2.0,
        stall_s=1.0,
        attempts=3,
        backoff_s=0.01,
        backoff_max_s=0.05,
        total_s=20.0,
        mark_bytes=16 << 10,
    )


@pytest.fixture
def fetch(hub, impatient):
    """Fetch one URL into the test's cache."""

    def run(url, *, policy=impatient, source=None, **options):
        place = locate(url, index_dir=None, **(source or {}))
        return fetch_all([place], cache=Cache(hub), policy=policy, **options)[place]

    return run


@pytest.fixture
def left(hub):
    """Everything under the final names: name -> bytes."""
    folder = hub / "checkpoints"

    def look():
        return (
            {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
        )

    return look


@pytest.fixture
def fails(fetch, left):
    """Fetch a URL in vain: the cause, words of the message, nothing under a final name."""

    def run(url, cause, *words, **options):
        outcome = fetch(url, **options)
        assert isinstance(outcome, NotFetched), outcome
        assert outcome.cause == cause, outcome
        assert all(word in outcome.why for word in words), outcome.why
        assert left() == {}
        return outcome

    return run


@pytest.fixture
def works(fetch, left):
    """Fetch a URL: these bytes are there under its name, and nothing else."""

    def run(url, content, **options):
        outcome = fetch(url, **options)
        assert isinstance(outcome, Fetched), outcome
        assert left() == {url.rpartition("/")[2]: content}
        return outcome

    return run


@pytest.fixture
def parts(hub):
    """The names of all partial files, sidecars and scratch files."""
    folder = hub / "zoo-parts" / "parts"
    return lambda: sorted(os.listdir(folder)) if folder.exists() else []


@pytest.fixture
def start(hub, tmp_path):
    """Start a process that fetches URLs; ``before`` is Python that it runs first."""
    running: list[subprocess.Popen[str]] = []

    def launch(*urls, before="", hub=hub, python=(), **policy):
        plan = {"urls": urls, "hub": str(hub), "before": before, "policy": policy}
        root = Path(__file__).parents[4]
        process = subprocess.Popen(
            [*(python or (sys.executable,)), "-c", CHILD, json.dumps(plan)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        running.append(process)
        return process

    yield launch
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def outcome_of():
    """Wait for such a process; its (last) outcome."""

    def wait(process):
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        result: dict[str, str] = json.loads(out.splitlines()[-1])
        return result

    return wait


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory):
    """A certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=zoo"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return certificate, key
