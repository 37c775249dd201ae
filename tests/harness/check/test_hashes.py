"""What an index states of a SHA-256: another hash, its head alone, another file's."""

from __future__ import annotations

import hashlib

from harness.check.base import Need
from harness.check.weights import CHECK as FILE
from harness.check.weights_name import HASH as IN_NAME
from harness.config import RunConfig
from harness.run.session import prepare

DATA = b"some weights"
SHA256 = hashlib.sha256(DATA).hexdigest()
OTHER = hashlib.sha256(b"other weights").hexdigest()
ENTRY = "Models:\n- Name: net\n  Weights: {url}\n  Metadata:\n    SHA256: '{said}'\n"
URL = "https://example.org/net.pth"


def audited(folder, url, said):
    path = folder / "index.yml"
    path.write_text(ENTRY.format(url=url, said=said))
    findings = prepare(RunConfig(index=(path,), no_store=True)).audit().findings
    return [f for f in findings if f.field == "SHA256"]


def test_another_hash_is_called_by_its_name(tmp_path):
    for algorithm, name in (
        ("md5", "MD5"), ("sha1", "SHA-1"), ("sha224", "SHA-224"), ("sha384", "SHA-384"),
        ("sha512", "SHA-512"), ("blake2b", "SHA-512"),
    ):  # fmt: skip
        digits = hashlib.new(algorithm, DATA).hexdigest()
        for said in (digits, digits.upper()):
            (finding,) = audited(tmp_path, URL, said)
            assert (finding.cause, finding.severity) == ("schema.wrong-type", "error")
            assert name in finding.message
            assert "sha256sum" in finding.message
    for said, words in (
        (SHA256[:7], "7 hexadecimal digits"), (SHA256 + "0", "65 hexadecimal digits"),
        (f"sha256:{SHA256}", "sha256:"), ("g" * 64, "not 64 hexadecimal digits"),
    ):  # fmt: skip
        (finding,) = audited(tmp_path, URL, said)
        assert (finding.cause, finding.severity) == ("schema.wrong-type", "error")
        assert words in finding.message


def test_a_head_is_a_note_and_is_compared(tmp_path, load, judge, measured):
    value = {"size": 12, "sha256": SHA256, "name_hash": None, "path": "x", "stat": [1, 2, 3]}
    for count in (8, 12, 16, 63):
        (finding,) = audited(tmp_path, URL, SHA256[:count])
        assert finding.severity == "note"
        assert f"{count} of the 64 digits" in finding.message
        assert "head" in finding.message
        index = load(ENTRY.format(url=URL, said=SHA256[:count].upper()))
        (finding,) = files(judge(FILE, index, [measured("file", value)]))
        assert finding.status == "match"
        assert SHA256 in finding.message
        index = load(ENTRY.format(url=URL, said=OTHER[:count]))
        (finding,) = files(judge(FILE, index, [measured("file", value)]))
        assert (finding.cause, finding.severity) == ("weights.hash-mismatch", "error")
        assert [edit.value for edit in finding.edits] == [SHA256]


def files(found):
    return [f for f in found if not isinstance(f, Need) and f.field == "SHA256"]


def test_the_files_name_says_it_without_the_file(tmp_path):
    for url in (
        f"https://example.org/net-{SHA256[:8]}.pth",
        f"https://example.org/a/net_v2-{SHA256[:10]}.pth.tar?download=1",
        f"https://example.org/{SHA256}.safetensors",
        f"weights/net%2D{SHA256[:16]}.pth",
    ):
        for said in (SHA256, SHA256.upper()):
            assert audited(tmp_path, url, said) == []
        (note,) = audited(tmp_path, url, SHA256[:9])
        assert note.severity == "note"
        for said in (OTHER, OTHER[:12]):
            (finding,) = [f for f in audited(tmp_path, url, said) if f.severity == "error"]
            assert finding.cause == "weights.hash-mismatch"
            assert SHA256[:8] in finding.message
            assert OTHER[:8] in finding.message
            assert not finding.edits


def test_what_is_no_hash_in_a_name_contradicts_nothing(load):
    for name in ("net-20210528.pth", "net-300e.pth", "net_abcdef12.pth", "net-deadbee.pth", "net"):
        index = load(ENTRY.format(url=f"https://example.org/{name}", said=SHA256))
        assert list(IN_NAME.find(index, index.variants)) == []
