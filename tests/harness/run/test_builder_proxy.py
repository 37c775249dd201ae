"""Other people's builders, asked what they have: what goes wrong there is one clear line."""

from __future__ import annotations

import json
import os
import re
import textwrap
import time

import pytest

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
        info.mkdir(parents=True)
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


def test_a_small_class_is_a_builder(installed, verify):
    installed(GOOD)
    done = verify()
    assert done.returncode == 0, done.stderr
    done = verify("tony")
    assert "the nearest it has: tiny" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("raise ImportError('no such library')", "can't be used: ImportError: no such library"),
        ("import os; os._exit(4)", "ended its process (status 4) as it was loaded"),
        ("Kind = None", "can't be used: TypeError"),
        ("class Kind: pass", "has no method knows or names or identity or build"),
        ("class Kind:\n    def __init__(self):\n        1 / 0", "ZeroDivisionError"),
        ("def broken(", "SyntaxError"),
    ],
)
def test_a_builder_that_can_not_be_loaded_is_one_line(installed, verify, broken, words):
    installed(broken)
    done = verify()
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("method", ["knows", "names", "identity"])
def test_an_error_about_one_name_is_a_finding(installed, verify, method):
    installed(
        GOOD + f"\n    def {method}(self, *names):\n        raise ValueError('odd\\n name')\n"
    )
    done = verify("tony" if method == "names" else "tiny")
    assert done.returncode == 1, done.stderr
    assert "ValueError: odd name" in done.stdout + done.stderr
    assert "build.failed" in done.stdout
    assert "Traceback" not in done.stderr


def test_an_end_of_the_process_is_one_line(installed, verify):
    installed("import os\n" + GOOD + "\n    def knows(self, name):\n        os._exit(7)\n")
    done = verify()
    assert done.returncode == 2
    assert "ended its process (status 7) when asked knows('tiny')" in done.stderr


def test_a_hang_is_one_line(installed, monkeypatch):
    installed("import time\n" + GOOD + "\n    def knows(self, name):\n        time.sleep(600)\n")
    monkeypatch.setattr(builder_proxy, "_ANSWER_SECONDS", 3.0)
    asked = builder_proxy.open_builder.__wrapped__("mine")
    started = time.monotonic()
    with pytest.raises(builder_proxy.UsageError, match="did not answer within 3 seconds"):
        asked.knows("tiny")
    assert time.monotonic() - started < 10


def test_what_a_builder_imports_and_prints_stays_outside(installed, repository, environment):
    import subprocess
    import sys

    installed("import torch\nprint('hello')\n" + GOOD)
    ask = textwrap.dedent(
        """
        import sys
        from harness.run.builder_proxy import open_builder
        mine = open_builder("mine")
        assert mine.knows("tiny") and not mine.knows("huge")
        assert mine.names() == ["tiny"] and mine.identity("tiny") == "mine 1.0"
        assert "torch" not in sys.modules and "my_builder" not in sys.modules
        """
    )
    path = os.environ["PYTHONPATH"] + os.pathsep + str(repository)
    done = subprocess.run(
        [sys.executable, "-c", ask],
        env=environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


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
