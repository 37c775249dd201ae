"""`zoo fetch`, and what bounds `zoo verify`: plans, interrupts, kills, and what is shown."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pty
import random
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

NAMES = ["efficientnet_lite0", "efficientnet_lite1", "resnest14d", "resnest26d"]


@pytest.fixture(scope="module")
def data():
    return random.Random(11).randbytes(6_000_000)


def _gets(server):
    return [(path, span) for method, path, span in server.requests if method == "GET"]


def _wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_fetch_prints_where_each_file_is(place, server, data):
    sha256 = hashlib.sha256(data).hexdigest()
    for name in NAMES:
        place.add(name, name, server.on(f"{name}.pth", lambda h, n: h.good(data)))
    run = place.zoo("fetch", "--all")
    assert run.status == 0
    assert run.out.splitlines() == [
        f"{name}  {place.checkpoints / name}.pth  {sha256}" for name in NAMES
    ]
    said = run.err.splitlines()
    assert said[0].endswith(", 4 files to fetch, 24.0 MB")
    assert sorted(said[1:]) == [f"fetched {name}.pth, 6.0 MB" for name in sorted(NAMES)]
    asked = len(server.requests)
    again = place.zoo("fetch", "--all")
    assert (again.status, again.out) == (0, run.out)
    (line,) = again.err.splitlines()
    assert line.endswith(", no files to fetch (4 here)")
    assert len(server.requests) == asked
    quiet = place.zoo("fetch", "--all", "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, run.out, "")


def test_statuses_tell_wrong_files_from_trouble(place, server, data):
    place.add("good", NAMES[0], server.on("good.pth", lambda h, n: h.good(data)))
    place.add("gone", NAMES[1], server.on("gone.pth", lambda h, n: h.head(404, 0)))
    place.add("away", NAMES[2], server.on("away.pth", lambda h, n: h.head(403, 0)))
    place.add("none", NAMES[3])
    run = place.zoo("fetch", NAMES[0], NAMES[1])
    assert run.status == 1
    assert run.out.startswith(f"{NAMES[0]}  ")
    assert len(run.out.splitlines()) == 1
    assert re.search(rf"^{NAMES[1]}: .*404.* \[weights\.missing\]$", run.err, re.M)
    assert place.zoo("fetch", NAMES[2]).status == 3
    both = place.zoo("fetch", "--all")
    assert both.status == 3
    assert "[weights.missing]" in both.err
    assert "[weights.unreachable]" in both.err
    assert f"{NAMES[3]}: the index lists no weights for it" in both.err
    for text in ("hf-hub:/bad", "htp://x"):
        place.add("none", NAMES[3], text)
        unreadable = place.zoo("fetch", NAMES[3])
        assert unreadable.status == 1
        assert "lists no weights" not in unreadable.err
        assert "Weights can't be used" in unreadable.err
    assert place.zoo("fetch", NAMES[0]).status == 0
    for wrong in (("fetch",), ("fetch", "--all", NAMES[0]), ("fetch", "nothing-like-it")):
        refused = place.zoo(*wrong)
        assert (refused.status, refused.out) == (2, "")


def test_a_dry_run_downloads_nothing(place, server, data):
    for name in NAMES[:2]:
        place.add(name, name, server.on(f"{name}.pth", lambda h, n: h.good(data)))
    for command in (("fetch",), ("verify", "--checks", "weights")):
        run = place.zoo(*command, "--all", "--dry-run")
        assert (run.status, run.out) == (0, "")
        assert "2 files to fetch, 12.0 MB" in run.err
        assert len(run.err.splitlines()) == 1
    assert [method for method, *_ in server.requests] == ["HEAD"] * 4
    assert place.held() == {}
    offline = place.zoo("fetch", "--all", "--dry-run", "--offline")
    assert (offline.status, offline.err.count("\n")) == (0, 1)
    assert offline.err.endswith(", no files to fetch\n")
    assert len(server.requests) == 4


def test_a_plan_waits_three_seconds(place):
    """For one host that sends a header byte by byte, however many files it has."""

    def drip(listener):
        connection, _ = listener.accept()
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while True:
                connection.sendall(b"x")
                time.sleep(0.5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        for case in range(200):
            place.add(
                f"{case}", NAMES[0], f"http://127.0.0.1:{listener.getsockname()[1]}/{case}.pth"
            )
        run = place.zoo("fetch", "--all", "--dry-run")
    (line,) = run.err.splitlines()
    assert line.endswith(", 200 files to fetch, of unknown size")
    assert 2.5 < run.seconds < 60


def test_without_downloads_sizes_alone_are_asked_for(place, server, data):
    url = server.on("net.pth", lambda h, n: h.good(data))
    gone = server.on("gone.pth", lambda h, n: h.head(404, 0))
    claims = {"SHA256": "0" * 64}
    place.add("right", NAMES[0], url, File_Size=len(data), **claims)
    place.add("wrong", NAMES[0], url, File_Size=len(data) - 1)
    place.add("gone", NAMES[1], gone)
    run = place.verify("--no-download")
    assert run.status == 1
    assert {method for method, *_ in server.requests} == {"HEAD"}
    assert place.held() == {}
    assert run.verdicts("right", "File Size") == [("match", None)]
    (size,) = run.of("wrong", "File Size")
    assert (size["cause"], size["measured"]) == ("size.differs", len(data))
    assert run.verdicts("right", "Weights") == [("unverified", "weights.unreachable")]
    assert run.verdicts("right", "SHA256") == [("unverified", "weights.unreachable")]
    shown = place.zoo("verify", "--all", "--no-download", "--checks", "weights").out
    (line,) = [line for line in shown.splitlines() if "unverified: 3 findings" in line]
    assert "on Weights, SHA256 of efficientnet_lite0: the file is on the server" in line
    assert "finding:" not in line
    assert run.verdicts("gone", "Weights") == [("mismatch", "weights.missing")]


def test_plain_http_to_other_hosts_needs_leave(place):
    # .invalid is no host's name anywhere.
    place.add("net", NAMES[0], "http://host.invalid/net.pth")
    refused = place.zoo("fetch", "--all")
    assert (refused.status, refused.err.count("[weights.insecure-url]")) == (1, 1)
    assert "--allow-http" in refused.err
    allowed = place.zoo("fetch", "--all", "--allow-http")
    assert (allowed.status, allowed.err.count("[weights.unreachable]")) == (3, 1)


def test_kill_and_rerun_resumes(place, server, data):
    def answer(handler, _):
        handler.good(data, rate=2e6 if len(_gets(server)) == 1 else None)

    place.add("net", NAMES[0], server.on("net.pth", answer))
    process = place.start("fetch", "--all")
    sidecars = place.torch_home / "hub" / "zoo-parts" / "parts"

    def noted():
        """Bytes whose hash the partial file's sidecar notes: every 4 MB."""
        return max((json.loads(f.read_text())["kept"] for f in sidecars.glob("*.json")), default=0)

    _wait_for(lambda: noted() >= 4 << 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert place.held() == {}
    run = place.zoo("fetch", "--all")
    assert run.status == 0
    assert place.held() == {"net.pth": data}
    (_, first), (_, second) = _gets(server)
    assert first is None
    assert second is not None
    assert int(second.removeprefix("bytes=").rstrip("-")) >= 4 << 20
    assert place.parts == []


def _stalls(server, data):
    """Sends a megabyte, then nothing, to the first download; all to the later ones."""
    seen: set[str] = set()

    def answer(handler, _):
        if handler.command == "HEAD" or handler.path in seen:
            handler.good(data)
            return
        seen.add(handler.path)
        handler.head(200, len(data), ETag='"v1"')
        handler.send(data[:1_000_000])
        time.sleep(120)

    return answer


def test_an_interrupt_leaves_what_can_be_resumed(place, server, data):
    stall = _stalls(server, data)
    for name in NAMES[:3]:
        place.add(name, name, server.on(f"{name}.pth", stall))
    process = place.start("fetch", "--all")
    _wait_for(lambda: len(_gets(server)) == 3)
    time.sleep(0.4)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert time.monotonic() - begun < 60  # What is waited for takes twice that.
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert place.held() == {}
    assert len(place.parts) == 6
    run = place.zoo("fetch", "--all")
    assert run.status == 0
    assert [span for _, span in _gets(server)[3:]] == ["bytes=1000000-"] * 3
    assert set(place.held().values()) == {data}
    assert place.parts == []


@pytest.mark.parametrize("moment", ["plan", "fetch"])
def test_an_interrupted_verify_still_prints_its_document(place, server, data, moment):
    def answer(handler, _):
        if moment == "fetch" and handler.command == "HEAD":
            handler.good(data)
        else:
            time.sleep(120)

    place.add("net", NAMES[0], server.on("net.pth", answer))
    process = place.start("verify", "--all", "--checks", "weights", "--format", "json")
    _wait_for(lambda: len(server.requests) == (1 if moment == "plan" else 2))
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert json.loads(out)["schema"] == 1
    assert "Traceback" not in err


def test_two_at_once_download_once(place, server, data):
    place.add("net", NAMES[0], server.on("net.pth", lambda h, n: h.good(data, rate=6e6)))
    both = [place.start("fetch", "--all") for _ in range(2)]
    outs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outs[0] == outs[1] != ""
    assert (server.bodies, server.full_bodies) == (1, 1)
    assert place.held() == {"net.pth": data}


def test_a_file_that_does_not_fit_on_the_disk(place, server, data):
    def bounded():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    place.add("net", NAMES[0], server.on("net.pth", lambda h, n: h.good(data)))
    process = place.start("fetch", "--all", preexec_fn=bounded)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (3, "")
    assert "File too large" in err
    assert (place.held(), place.parts) == ({}, [])
    assert place.zoo("fetch", "--all").status == 0


def test_no_text_of_others_reaches_the_terminal_as_a_command(place, server, data):
    evil = "\x1b]0;owned\x07\x1b[2J"
    # The only controls that HTTP lets through, in the encoding that terminals of old obey.
    high = "\x9d0;owned\x9c\x9b2J"

    def reason(handler, _):
        handler.wfile.write(f"HTTP/1.1 403 {high}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
        handler.hang_up()

    def redirect(handler, _):
        handler.head(302, 0, Location=f"ftp://h/{high}")

    place.add("reason", NAMES[0], server.on("reason.pth", reason))
    place.add("redirect", NAMES[1], server.on("redirect.pth", redirect))
    url = server.on("%1b[2J.pth", lambda h, n: h.good(data))
    place.add("name", NAMES[2], url)
    place.add("good", f"net{evil}", server.on("good.pth", lambda h, n: h.good(data)))
    bidi = server.on("x.pth", lambda h, n: h.good(data)).replace("x.pth", "\u202excod.pth")
    place.add("bidi", NAMES[3], bidi)
    runs = [place.zoo("fetch", "--all")]
    runs += [
        place.zoo("verify", "--all", "--checks", "weights", "--format", form)
        for form in ("table", "json", "markdown")
    ]
    for run in runs:
        for text in (run.out, run.err):
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert runs[0].status == 3
    assert r"net\x1b]0;owned" in runs[0].out
    assert "[weights.unsafe]" in runs[0].err


def _on_a_terminal(place, *arguments):
    """Run the command with standard error on a pseudo-terminal: its status, output and screen."""
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = place.start(*arguments, stderr=inside, stdin=subprocess.DEVNULL)
    os.close(inside)
    shown = b""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if not select.select([outside], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(outside, 65536)
        except OSError:  # what Linux says when the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(outside)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out, shown.decode()


def test_a_terminal_shows_a_line_for_each_file(place, server, data):
    for name in NAMES[:2]:
        place.add(name, name, server.on(f"{name}.pth", lambda h, n: h.good(data, rate=8e6)))
    place.add("cut", NAMES[2], server.on("[2J%5B.pth", lambda h, n: h.good(data, rate=8e6)))
    status, out, shown = _on_a_terminal(place, "fetch", "--all")
    assert status == 0
    assert len(out.splitlines()) == 3
    assert "\x1b" not in out
    frames = re.split(r"\x1b\[1A|\x1b\[2K|\r", shown)
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame).strip() for frame in frames]
    for name in NAMES[:2]:
        bars = [line for line in lines if line.startswith(f"{name}.pth") and "/6.0" in line]
        assert len(bars) >= 2  # it moves
        assert sum(f"fetched {name}.pth, 6.0 MB" in line for line in lines) == 1
    # Drawn once more after a file has come, its bar is gone.
    last = shown.rindex("fetched ")
    assert not re.search(r"\d/6\.0", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown[last:]))
    # The cursor is back.
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
