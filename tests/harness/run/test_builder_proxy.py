"""Other people's builders, asked what they have: what goes wrong there is one clear line."""

from __future__ import annotations

import json
import os
import re
import sys
import time

import pytest

import harness
from harness.config import UsageError
from harness.measure.builders import BuilderError
from harness.run import builder_proxy

GOOD = """
class Kind:
    def knows(self, name):
        return name in self.names()

    def names(self):
        return ["tiny"]

    def identity(self, name):
        return "mine 1.0"

    def build(self, name):
        from torch import nn

        return nn.Linear(10, 12)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a distribution whose builder ``mine`` has this source."""

    def install(source, name="mine", module="my_builder", kind="Kind"):
        site = tmp_path / "site"
        info = site / "my_builder-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-builder\nVersion: 1.0\n")
        entry = f"[zoo.builders]\n{name} = {module}:{kind}\n"
        (info / "entry_points.txt").write_text(entry)
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
        monkeypatch.setenv("PYTHONPATH", path)
        return site

    return install


@pytest.fixture
def verify(zoo, index_of, repository):
    def run(name="tiny"):
        arguments = ["--all", "--builder", "mine", "--checks", "parameters"]
        index = str(index_of([name], "Parameters: 132"))
        path = os.environ["PYTHONPATH"] + os.pathsep + str(repository)
        return zoo("verify", "--index", index, *arguments, PYTHONPATH=path)

    return run


def opened():
    return builder_proxy.open_builder.__wrapped__("mine")


def test_a_builder_that_can_not_be_loaded_is_one_line(installed, verify):
    lines = {
        "raise ImportError('no such library')": "can't be used: ImportError: no such library",
        "Kind = None": "can't be used: TypeError",
        "class Kind: pass": "has no method knows or names or identity or build",
        "class Kind:\n    def __init__(self):\n        1 / 0": "ZeroDivisionError",
        "def broken(": "SyntaxError",
        "import os; os._exit(4)": "ended its process (status 4) as it was loaded",
    }
    for source, words in lines.items():
        installed(source)
        with pytest.raises((BuilderError, UsageError)) as caught:
            opened()
        assert words in str(caught.value), source
        assert "\n" not in str(caught.value)
    done = verify()
    assert done.returncode == 2, done.stdout
    assert f"zoo: --builder: the builder mine {words}" in f"zoo: {done.stderr}"
    assert "Traceback" not in done.stderr


def test_an_error_about_one_name_is_a_finding(installed, index_of, store_home):
    for method, name in (("knows", "tiny"), ("names", "tony"), ("identity", "tiny")):
        source = f"\n    def {method}(self, *names):\n        raise ValueError('odd\\n name')\n"
        installed(GOOD + source)
        builder_proxy.open_builder.cache_clear()
        report = harness.verify(index_of([name]), builder="mine", checks=["parameters"])
        (failed,) = [f for f in report.findings if f.field == "Name"]
        assert failed.cause == "build.failed"
        assert "ValueError: odd name" in failed.message
    builder_proxy.open_builder.cache_clear()


def test_an_end_of_the_process_is_one_line(installed):
    installed("import os\n" + GOOD + "\n    def knows(self, name):\n        os._exit(7)\n")
    with pytest.raises(UsageError, match=r"ended its process \(status 7\) when asked knows\('ti"):
        opened().knows("tiny")


def test_a_hang_is_one_line(installed, monkeypatch):
    installed("import time\n" + GOOD + "\n    def knows(self, name):\n        time.sleep(600)\n")
    monkeypatch.setattr(builder_proxy, "_ANSWER_SECONDS", 1.0)
    asked = opened()
    started = time.monotonic()
    with pytest.raises(UsageError, match="did not answer within 1 seconds"):
        asked.knows("tiny")
    assert time.monotonic() - started < 10


def test_what_a_builder_imports_and_prints_stays_outside(installed, capfd):
    installed("import wave\nprint('hello')\n" + GOOD)
    mine = opened()
    assert mine.knows("tiny")
    assert not mine.knows("huge")
    assert (mine.names(), mine.identity("tiny")) == (["tiny"], "mine 1.0")
    assert not {"wave", "my_builder"} & sys.modules.keys()
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_the_builder_of_the_readme_works_as_it_is_shown(repository, installed, zoo, index_of):
    """Its class and its entry point, installed as a distribution of two files."""
    text = (repository / "README.md").read_text("utf-8")
    (entry,) = re.findall(r"```toml\n(\[project\.entry-points.*?)```", text, flags=re.DOTALL)
    (source,) = re.findall(r"```python\n(class Builder:.*?)```", text, flags=re.DOTALL)
    name, module, kind = re.search(r'(\w+) = "(\w+):(\w+)"', entry).groups()
    site = installed(source, name, module, kind)
    index = index_of(["tiny", "small", "smell"], "Parameters: 30730")
    path = os.pathsep.join([str(site), str(repository)])
    arguments = ("--all", "--builder", name, "--checks", "parameters", "--format", "json")
    done = zoo("verify", "--index", str(index), *arguments, PYTHONPATH=path)
    findings = {(f["variant"], f["field"]): f for f in json.loads(done.stdout)["findings"]}
    assert findings["tiny", "Parameters"]["status"] == "match"
    assert findings["small", "Parameters"]["measured"] == 307300
    assert findings["smell", "Name"]["cause"] == "build.unknown"
    assert "the nearest it has: small" in findings["smell", "Name"]["message"]
