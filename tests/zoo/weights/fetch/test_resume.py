"""Going on with what an earlier run left: only the same version, only bytes that are proven."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from zoo.weights.types import Fetched, NotFetched

CUT = 150_000


@pytest.fixture
def once(impatient):
    """One attempt: what fails stays as a partial file."""
    from dataclasses import replace

    return replace(impatient, attempts=1)


@pytest.fixture
def interrupted(server, fetch, data, once):
    """A first run that ended after CUT bytes; the URL."""

    def run(name="net.pth", **headers):
        url = server.on(name, lambda h, n: h.good(data, stop_after=CUT, **headers))
        assert isinstance(fetch(url, policy=once), NotFetched)
        server.requests.clear()
        return str(url)

    return run


def test_resumed_by_a_later_run(server, works, parts, data, interrupted):
    url = interrupted()
    assert len(parts()) == 2
    server.on("net.pth", lambda h, n: h.good(data))
    works(url, data)
    assert server.ranges() == [f"bytes={CUT}-"]
    assert parts() == []


def test_old_last_modified_is_a_validator(server, works, data, interrupted):
    stamp = {"Last_Modified": formatdate(time.time() - 3600, usegmt=True)}
    url = interrupted(etag=None, **stamp)
    server.on("net.pth", lambda h, n: h.good(data, etag=None, **stamp))
    works(url, data)
    assert server.ranges() == [f"bytes={CUT}-"]


@pytest.mark.parametrize("kind", ["none", "weak etag", "young date"])
def test_no_strong_validator_starts_again(server, works, data, interrupted, kind):
    headers: dict[str, Any] = {"etag": None}
    if kind == "weak etag":
        headers = {"etag": 'W/"v1"'}
    elif kind == "young date":
        headers["Last_Modified"] = formatdate(usegmt=True)
    url = interrupted(**headers)
    server.on("net.pth", lambda h, n: h.good(data, **headers))
    works(url, data)
    assert server.ranges() == [None]


def test_range_ignored(server, works, data, interrupted):
    url = interrupted()
    server.on("net.pth", lambda h, n: h.good(data, ranges=False))
    works(url, data)
    assert len(server.requests) == 1


def test_file_changed_between_two_parts(server, fetch, left, data, interrupted):
    url = interrupted()
    new = data[::-1]
    server.on("net.pth", lambda h, n: h.good(new, etag='"v2"'))
    outcome = fetch(url)
    assert isinstance(outcome, Fetched)
    assert outcome.etag == '"v2"'
    assert len(server.requests) == 1  # If-Range: the server answers with the whole new file
    assert left() == {"net.pth": new}


def test_changed_file_from_a_server_that_ignores_if_range(server, works, data, interrupted):
    url = interrupted()
    new = data[::-1]

    def careless(handler, count):
        del handler.headers["If-Range"]
        handler.good(new, etag='"v2"')

    server.on("net.pth", careless)
    works(url, new)
    assert server.ranges() == [f"bytes={CUT}-", None]


@pytest.mark.parametrize(
    "span",
    [
        "bytes 0-299999/300000",
        f"bytes {CUT}-299999/299999",
        f"bytes {CUT + 1}-299999/300000",
        "",
        "x",
    ],
)
def test_wrong_content_range_starts_again(server, works, data, interrupted, span):
    url = interrupted()

    def wrong(handler, count):
        if handler.headers.get("Range") is None:
            handler.good(data)
            return
        handler.head(206, CUT, ETag='"v1"', Content_Range=span)
        handler.send(bytes(CUT))

    server.on("net.pth", wrong)
    works(url, data)
    assert server.ranges() == [f"bytes={CUT}-", None]


def test_416_starts_again(server, works, data, interrupted):
    url = interrupted()
    server.on("net.pth", lambda h, n: h.head(416, 0) if h.headers.get("Range") else h.good(data))
    works(url, data)


def test_206_that_nobody_asked_for(server, fails, data):
    def eager(handler, count):
        handler.head(206, 100, Content_Range="bytes 0-99/300000")
        handler.send(data[:100])

    fails(server.on("net.pth", eager), "weights.unreachable")


def test_rest_in_several_answers(server, works, data, interrupted):
    """A server may send less than the range that was asked for."""
    url = interrupted()

    def piecewise(handler, count):
        first = int(handler.headers["Range"][6:-1])
        piece = data[first : first + 60_000]
        span = f"bytes {first}-{first + len(piece) - 1}/{len(data)}"
        handler.head(206, len(piece), ETag='"v1"', Content_Range=span)
        handler.send(piece)

    server.on("net.pth", piecewise)
    works(url, data)


def test_damaged_head_is_not_built_upon(server, works, hub, data, interrupted):
    url = interrupted()
    (part,) = (hub / "zoo-parts" / "parts").glob("*.part")
    with part.open("r+b") as file:
        file.seek(1000)
        file.write(b"damaged")
    server.on("net.pth", lambda h, n: h.good(data))
    works(url, data)
    assert server.ranges() == [None]


def test_bytes_behind_the_mark_are_dropped(server, works, hub, data, interrupted):
    url = interrupted()
    (part,) = (hub / "zoo-parts" / "parts").glob("*.part")
    with part.open("ab") as file:
        file.write(bytes(200_000))  # as a power cut may leave them; longer than the file
    server.on("net.pth", lambda h, n: h.good(data))
    works(url, data)
    assert server.ranges() == [f"bytes={CUT}-"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kept": 5}', "[" * 50_000, "null"])
def test_unreadable_sidecar(server, works, hub, data, interrupted, text):
    url = interrupted()
    (sidecar,) = (hub / "zoo-parts" / "parts").glob("*.json")
    sidecar.write_text(text)
    server.on("net.pth", lambda h, n: h.good(data))
    works(url, data)


def test_a_changed_sidecar_gives_no_other_file(server, works, hub, data, interrupted):
    """Whatever it says: the rest is asked for, or all of it, and the whole file is right."""
    deep: object = []
    for _ in range(900):
        deep = [deep]
    url = interrupted()
    folder = hub / "zoo-parts" / "parts"
    (part,), (sidecar,) = folder.glob("*.part"), folder.glob("*.json")
    begun, record = part.read_bytes(), json.loads(sidecar.read_text())
    server.on("net.pth", lambda h, n: h.good(data))
    for key in record:
        for value in (None, 5, -1, True, 1.5, 10**400, float("nan"), "", "0" * 64, [], {}, deep):
            for path in (hub / "checkpoints").iterdir():
                path.unlink()
            part.write_bytes(begun)
            sidecar.write_text(json.dumps({**record, key: value}))
            works(url, data)


def test_complete_part_is_confirmed_by_the_server(server, works, hub, data, interrupted):
    """A kill between the last byte and the move: one byte is asked for, the version checked."""
    import hashlib

    url = interrupted()
    folder = hub / "zoo-parts" / "parts"
    (part,), (sidecar,) = folder.glob("*.part"), folder.glob("*.json")
    part.write_bytes(data)
    record = json.loads(sidecar.read_text())
    record |= {"kept": len(data), "kept_sha256": hashlib.sha256(data).hexdigest()}
    sidecar.write_text(json.dumps(record))
    server.on("net.pth", lambda h, n: h.good(data))
    works(url, data)
    assert server.ranges() == [f"bytes={len(data) - 1}-"]
