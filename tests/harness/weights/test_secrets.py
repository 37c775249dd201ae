"""What a URL carries beside its place is neither shown nor kept: queries, users, passwords."""

from __future__ import annotations

import os
import stat

import pytest
from cli import run_zoo

from zoo._util.text import without_users

NAME = "efficientnet_lite0"
SECRETS = ("tok3n", "s1gned", "passw0rd", "fragm3nt")


def _holding(folder):
    """Files below a folder whose bytes hold one of the secrets."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(word.encode() in path.read_bytes() for word in SECRETS)
    ]


@pytest.fixture
def odd(place, server):
    """Cases that succeed, fail, stall half-way or redirect; the names of those that say why."""
    data = os.urandom(200_000)
    signed = "?sig=s1gned#fragm3nt"

    def cut(handler, _):
        handler.good(data, stop_after=100_000)

    def to(target):
        return lambda h, n: h.head(302, 0, Location=target)

    routes = {
        "good": lambda h, n: h.good(data),
        "redirected": to(f"/good.pth{signed}"),
        "gone": to(f"/nowhere.pth{signed}"),
        "nowhere": lambda h, n: h.head(404, 0),
        "forbidden": lambda h, n: h.head(403, 0),
        "page": lambda h, n: h.good(b"<html>"),
        "cut": cut,
        "packed": lambda h, n: h.good(data, Content_Encoding="gzip"),
        "loop": to(f"/loop.pth{signed}"),
        "user": to(f"http://me:passw0rd@127.0.0.1:{server.server_address[1]}/good.pth"),
        "user-alone": to("//passw0rd@127.0.0.1/good.pth"),
        "elsewhere": to(f"ftp://me:passw0rd@h/x.pth{signed}"),
        "broken": to("http://me:passw0rd@[broken/x?s1gned"),
        "odd-00000000": lambda h, n: h.good(data),
    }
    for case, answer in routes.items():
        place.add(case, NAME, server.on(f"{case}.pth", answer) + "?token=tok3n")
    return place


def test_no_secret_of_a_url_is_shown_or_kept(odd, server):
    fetched = odd.zoo("fetch", "--all")
    for word in SECRETS:
        assert word not in fetched.out + fetched.err
    # What an index says is documented as it is written; all else is without.
    run = odd.verify()
    for finding in run.document["findings"]:
        assert not any(word in finding["message"] for word in SECRETS), finding
    for case, cause in {
        "user": "unsafe", "user-alone": "unsafe", "elsewhere": "unsafe", "broken": "unsafe",
        "gone": "missing", "forbidden": "unreachable", "page": "unreadable",
    }.items():  # fmt: skip
        assert run.verdicts(case, "Weights")[0][1] == f"weights.{cause}", case
    shown = odd.zoo("verify", "--all", "--checks", "weights").out
    assert not any(word in shown for word in SECRETS[1:])
    assert _holding(odd.folder / "torch") == []
    # By no request did a user name reach a server.
    assert {path for _, path, _ in server.requests} >= {"/good.pth", "/user.pth"}
    kept = [*(odd.folder / "torch").rglob("*.json")]
    assert kept
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_what_an_index_must_not_hold_is_not_repeated(place):
    for case, url in {
        "user": "https://me:passw0rd@h.example/x.pth",
        "blank": "https://me:passw0rd@h.example/a b.pth?tok3n",
        "file": "file://me:passw0rd@h/x.pth",
        "control": "https://me:passw0rd@h.example/a\u0007.pth",
        "port": "https://me:passw0rd@h:port/x.pth",
        "ftp": "ftp://me:passw0rd@h/x.pth",
        "bracket": "https://me:passw0rd@[broken/x.pth",
    }.items():
        place.add(case, NAME, url)
    for form in ("table", "json", "markdown", "junit", "sarif", "github"):
        run = place.zoo("verify", "--all", "--checks", "metadata,weights", "--format", form)
        assert "passw0rd" not in run.out + run.err, form
        assert "h.example" in run.out
    audited = place.zoo("audit", "--format", "json")
    assert "passw0rd" not in audited.out + audited.err
    fetched = place.zoo("fetch", "--all")
    assert "passw0rd" not in fetched.out + fetched.err


def test_a_record_without_the_query_still_tells_two_urls_apart(place, server):
    for version in "12":
        url = server.on("net.pth", lambda h, n: h.good(h.path.encode() * 100))
        place.add(f"v{version}", NAME, f"{url}?v={version}")
    for asked in (2, 0):
        before = len(server.requests)
        place.zoo("fetch", "--all", "--quiet")
        downloads = [m for m, *_ in server.requests[before:] if m == "GET"]
        assert len(downloads) == asked
    assert sorted(place.held().values()) == [f"/net.pth?v={v}".encode() * 100 for v in "12"]


def test_no_command_that_reads_an_index_shows_a_password(tmp_path, repository):
    where = "https://me:passw0rd@h.example/x"
    (tmp_path / "a.yml").write_text(
        f"Models:\n- Name: resnet18\n  Weights: {where}.pth\n  Mirrors: [{where}2.pth]\n"
        f"  README: {where}\n  Code: {where}.py\n  Paper: {{URL: '{where}.pdf', Title: t}}\n"
        f"- Name: other\n  Weights: //me:passw0rd@h.example/x.pth\n  Image Size: {where}\n"
    )
    (tmp_path / "b.yml").write_text((tmp_path / "a.yml").read_text().replace("x.pth", "y.pth"))
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    show = [["show", "resnet18", "other", "--format", f] for f in ("table", "json", "csv")]
    explain = [["explain", "resnet18", field, "--offline"] for field in ("Weights", "Code")]
    for words in (
        *show, *explain, ["show", "resnet18", "--format", "concise"], ["list"],
        ["cite", "resnet18"], ["audit", "--across", "--index", "b.yml", "--format", "json"],
        ["audit"], ["manifest", "--offline"], ["fix", "--all", "--checks", "schema"],
        ["verify", "resnet18", "--index", f"{where}.yml"], ["add", where, "--from", "resnet18"],
    ):  # fmt: skip
        result = run_zoo([*words, "--index", "a.yml"], cwd=tmp_path, environment=environment)
        assert "passw0rd" not in result.stdout + result.stderr, words
    page = "see https://medium.com/@me, me@h.example and a//b@2x.png"
    assert without_users(page) == page
