"""What a URL carries beside its place is neither shown nor kept: queries, users, passwords."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cli import run_zoo

from harness.edit.diff import Lines, unified_diff
from harness.edit.yaml_edit import Replacement, YamlFile
from zoo._util.text import without_secrets

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
    run = odd.verify()
    assert not any(word in run.out + run.err for word in SECRETS)
    for case, cause in {
        "user": "unsafe", "user-alone": "unsafe", "elsewhere": "unsafe", "broken": "unsafe",
        "gone": "missing", "forbidden": "unreachable", "page": "unreadable",
    }.items():  # fmt: skip
        assert run.verdicts(case, "Weights")[0][1] == f"weights.{cause}", case
    shown = odd.zoo("verify", "--all", "--checks", "weights").out
    assert not any(word in shown for word in SECRETS)
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


WHERE = "https://me:passw0rd@h.example/x"
QUERY = "?download=true&X-Amz-Signature=s1gned&access_token=tok3n#fragment"


@pytest.mark.slow
def test_no_command_that_reads_an_index_shows_a_secret(tmp_path, repository):
    long = "0" * 90
    (tmp_path / "a.yml").write_text(
        f"Models:\n- Name: resnet18\n  Weights: {WHERE}.pth{QUERY}\n"
        f"  Mirrors: ['{WHERE}2.pth{QUERY}']\n  Metadata: {{Parameters: 5, Layers: 2}}\n"
        f"  README: {WHERE}{QUERY}\n  Code: {WHERE}.py{QUERY}\n  License: {WHERE}{QUERY}\n"
        f"  Description: see {WHERE}{QUERY}\n  Paper: {{URL: '{WHERE}.pdf{QUERY}', Title: t}}\n"
        f"  Results: [{{Dataset: '{WHERE}{QUERY}', Task: c, Metrics: {{Top 1 Accuracy: 70}}}}]\n"
        f"- Name: other\n  Weights: //me:passw0rd@h.example/x.pth?token=tok3n{long}tok3n\n"
        f"  Image Size: {WHERE}{long}?sig=s1gned\n"
    )
    (tmp_path / "b.yml").write_text((tmp_path / "a.yml").read_text().replace("x.pth", "y.pth"))
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    show = [["show", "resnet18", "other", "--format", f] for f in ("table", "json", "csv")]
    explain = [["explain", "resnet18", field, "--offline"] for field in ("Weights", "Code")]
    made = ["json", "table", "markdown", "html", "junit", "sarif", "github", "csv"]
    verify = ["verify", "--all", "--checks", "metadata,weights,accuracy", "--offline"]
    for words in (
        *show, *explain, ["show", "resnet18", "--format", "concise"], ["list"],
        ["cite", "resnet18"], ["audit", "--across", "--index", "b.yml", "--format", "json"],
        ["audit"], ["manifest", "--offline"], ["fix", "--all", "--checks", "schema"],
        ["verify", "resnet18", "--index", f"{WHERE}.yml"], ["add", WHERE, "--from", "resnet18"],
        *([*verify, "--format", each] for each in made),
        ["report", "--all", "--history", "--offline"], ["history", "resnet18"],
        ["cards", "--all", "--output", "cards"], ["docs", "--output", "pages"],
        ["table", "--all", "--format", "html"], ["table", "--all"],
    ):  # fmt: skip
        index = [] if words[0] == "history" else ["--index", "a.yml"]
        result = run_zoo([*words, *index], cwd=tmp_path, environment=environment)
        printed = result.stdout + result.stderr
        assert not any(word in printed for word in SECRETS), (words, printed)
        assert not re.search("has no (option|command)", printed), (words, printed)
    (tmp_path / "a.yml").unlink()
    (tmp_path / "b.yml").unlink()
    assert _holding(tmp_path) == []


def test_secrets_are_told_by_the_names_of_parameters():
    names = (
        "token access_token X-Amz-Signature X-Amz-Credential X-Goog-Signature Signature sig key "
        "api_key apiKey AWSAccessKeyId password pwd client_secret authkey tok%65n auth"
    )
    for name in names.split(" "):
        for mark in "?&#":
            said = without_secrets(
                f"see https://h/x.pth{mark}{name}=s3cr,e;t), or (a/b?{name}=s3cr)."
            )
            assert said == f"see https://h/x.pth{mark}{name}=***), or (a/b?{name}=***).", said
    for page in (
        "see https://medium.com/@me, me@h.example and a//b@2x.png",
        "https://h/x?download=true&id=5&export=1&tokenizer=bpe&design=4#L5 key=5, and token = 3",
    ):
        assert without_secrets(page) == page


def test_the_diff_of_a_fix_repeats_no_secret_and_applies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".git").mkdir()
    patch = [["patch", "-p1", "-s", "--fuzz=0"]] if shutil.which("patch") else []
    rest = ["  Image Size: 224\n", "  Crop Pct: 0.875\n", "  Top: 1\n"]
    weights, wrong = "  Weights: https://h.example/x.pth?token=tok3n\n", "  Parameters: 5\n"
    for above in range(4):
        for below in range(4):
            text = "".join(
                ["Models:\n- Name: a\n", weights, *rest[:above], wrong, *rest[:below],
                 f"  README: //me:passw0rd@h/{above}\n", *rest[below:], "  FLOPs: 5\n", "  X: 1\n"]
            )  # fmt: skip
            Path("a.yml").write_text(text)
            file = YamlFile.read("a.yml")
            places = [text.index(key) + len(key) for key in ("Parameters: ", "FLOPs: ")]
            diff = unified_diff(Lines(file), [Replacement(at, at + 1, "7") for at in places])
            assert not any(word in diff for word in SECRETS)
            bare = ["--unidiff-zero"] * diff.startswith("#")
            assert bool(bare) == (not below)
            for command in (["git", "apply", *bare], *patch):
                Path("a.yml").write_text(text)
                subprocess.run(command, input=diff, text=True, check=True)
                assert Path("a.yml").read_text() == re.sub("(Parameters|FLOPs): 5", r"\1: 7", text)
    Path("a.yml").write_text("Models: [{Name: a, Weights: 'https://h/x?sig=s1gned', FLOPs: 5}]\n")
    file = YamlFile.read("a.yml")
    diff = unified_diff(Lines(file), [Replacement(at := file.text.index("5"), at + 1, "7")])
    assert "s1gned" not in diff
    assert "+Models: [{Name: a, Weights: 'https://h/x?sig=***', FLOPs: 7}]\n" in diff
    assert diff.startswith("# a line that changes holds a secret")
