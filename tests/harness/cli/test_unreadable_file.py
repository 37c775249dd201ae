"""A file of the index that can't be read: a finding, with those of the other files beside it."""

from __future__ import annotations

import csv
import io
import json
import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

BROKEN = {
    "model-index/bad name, 100%.yml": b"Models: [\n",
    "model-index/latin.yml": b"Models:\n- Name: caf\xe9\n",
    "model-index/none.yml": b"Models: 3\n",
    "model-index/tabs.yml": b"Models:\n\t- Name: a\n",
}


def _places(name: str, text: str) -> set[tuple[str, str]]:
    """The file and the cause of each finding, as a reader of the format has them."""
    if name == "json":
        return {(f["location"]["file"], f["cause"]) for f in json.loads(text)["findings"]}
    if name == "sarif":
        (run,) = json.loads(text)["runs"]
        assert run["invocations"][0]["executionSuccessful"] is False
        places = [(r["locations"][0]["physicalLocation"], r["ruleId"]) for r in run["results"]]
        return {(unquote(place["artifactLocation"]["uri"]), rule) for place, rule in places}
    if name == "junit":
        cases = [c for c in ET.fromstring(text).iter("testcase") if c.find("failure") is not None]
        return {(c.get("file"), c.find("failure").get("type").split()[1]) for c in cases}
    if name == "github":
        found = re.findall(r"^::\w+ file=([^,]*),.*\((\S+)\)::", text, re.MULTILINE)
        return {(unquote(file), cause) for file, cause in found}
    if name == "csv":
        table = csv.DictReader(io.StringIO(text))
        return {(row["file"], row["cause"]) for row in table if row["status"] == "mismatch"}
    found = re.findall(r"^(.*?):\d+:\d+: (?:error: )?(\S+)", text, re.MULTILINE)
    return {(file, cause.strip("[]")) for file, cause in found}


@pytest.mark.slow
def test_an_unreadable_file_is_a_finding_beside_those_of_the_others(zoo, folder):
    """Of an audit, and of a run that measures; whatever is wrong with the file."""
    good = (
        "Models:\n- Name: resnest14d\n  Metadata:\n    Parameters: 10610001\n    Crop Pct: 8.75\n"
    )
    (folder / "model-index" / "net.yml").write_text(good)
    for file, content in BROKEN.items():
        (folder / file).write_bytes(content)
    wrong = {(f, "schema.wrong-type" if "none" in f else "schema.unreadable") for f in BROKEN}
    here = {("model-index/net.yml", "schema.out-of-range")}
    measured = here | {("model-index/net.yml", "parameters.differs")}
    for name in ("json", "sarif", "junit", "github", "csv", "concise"):
        for command, more in (
            (["audit"], here),
            (["verify", "--all", "--checks", "metadata,parameters"], measured),
        ):
            done = zoo(*command, "--format", name)
            assert done.returncode == 2, (name, command)
            assert _places(name, done.stdout) == wrong | more, (name, command)
            assert all(f"{file}:" in done.stderr for file in BROKEN)


def test_what_can_not_be_read_makes_nothing_else_wrong(zoo, folder):
    """A collection may be in it, and what a baseline accepts; a slip in a path is another thing."""
    entry = "Models:\n- Name: resnest14d\n  In Collection: Far\n  Metadata:\n    Crop Pct: 8.75\n"
    (folder / "model-index" / "net.yml").write_text(entry)
    far = folder / "model-index" / "far.yml"
    far.write_text("Collections:\n- Name: Far\nModels:\n- Name: b\n  Metadata:\n    Crop Pct: 9\n")
    (folder / "known.yml").write_text("accepted:\n")
    zoo("verify", "--all", "--checks", "metadata", "--write-baseline", "known.yml")
    assert zoo("audit", "--baseline", "known.yml").returncode == 0
    far.write_text("Collections: [\n")
    done = zoo("audit", "--baseline", "known.yml", "--format", "json")
    found = {(f["cause"], f["severity"]) for f in json.loads(done.stdout)["findings"]}
    assert found == {
        ("schema.unreadable", "error"),
        ("schema.out-of-range", "error"),
        ("schema.unreadable-dependency", None),
    }
    for more in (
        ["--index", "nowhere.yml"],
        ["--output", "out"],
        ["--write-baseline", "known.yml"],
    ):
        done = zoo("verify", "--all", "--index", "model-index/net.yml", "--index", far, *more)
        assert (done.returncode, done.stdout) == (2, ""), more
        assert not (folder / "out").exists()
