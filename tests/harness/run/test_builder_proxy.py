"""Other people's builders, asked what they have: what goes wrong there is one clear line."""

from __future__ import annotations

import json
import os
import re
import sys
import time

import pytest
from cli import said
from distributions import install, python_path

import harness
from harness.config import UsageError
from harness.measure import builders
from harness.measure.builders import BuilderError
from harness.run import builder_proxy, keys

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

    def install_as(source, name="mine", module="my_builder", kind="Kind"):
        site = tmp_path / "site"
        install(site, f"{name} = {module}:{kind}", source, distribution="my-builder")
        monkeypatch.setenv("PYTHONPATH", python_path(site))
        return site

    return install_as


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
        "class Kind: pass": "has no method knows or names or build",
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
    assert f"zoo: --builder: the builder mine {words}" in f"zoo: {said(done.stderr)}"
    assert "Traceback" not in said(done.stderr)


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
    asked = opened()
    monkeypatch.setattr(builder_proxy, "_ANSWER_SECONDS", 1.0)
    started = time.monotonic()
    with pytest.raises(UsageError, match="did not answer within 1 seconds"):
        asked.knows("tiny")
    assert time.monotonic() - started < 60


def test_what_a_builder_imports_and_prints_stays_outside(installed, capfd):
    installed("import wave\nprint('hello')\n" + GOOD)
    mine = opened()
    assert mine.knows("tiny")
    assert not mine.knows("huge")
    assert (mine.names(), mine.identity("tiny")) == (["tiny"], "mine 1.0")
    assert not {"wave", "my_builder"} & sys.modules.keys()
    assert capfd.readouterr().out == ""


BUILDER = """
class Kind:
    def knows(self, name): return name == "tiny"
    def names(self): return ["tiny"]
    def build(self, name):
        from my_models.nets import net
        return net()
"""
NET = """
def net():
    from torch import nn
    open(__file__ + ".log", "a").write("built")
    return nn.Linear(10, {})
"""


@pytest.fixture
def editable(tmp_path, monkeypatch):
    """The folder of a project whose package is installed as ``pip install -e`` does it."""
    project, site = tmp_path / "project", tmp_path / "site"
    info = site / "my_zoo-1.0.dist-info"
    for folder in (project / "my_zoo", project / "my_models", info):
        folder.mkdir(parents=True)
    (project / "my_zoo" / "__init__.py").write_text("")
    (project / "my_zoo" / "builder.py").write_text(BUILDER)
    (project / "my_models" / "__init__.py").write_text("")
    (project / "my_models" / "nets.py").write_text(NET.format(12))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo.builders]\nmine = my_zoo.builder:Kind\n")
    (info / "RECORD").write_text("_my_zoo.pth,,\nmy_zoo-1.0.dist-info/METADATA,,\n")
    monkeypatch.setenv("PYTHONPATH", python_path(project, site))
    return project


@pytest.mark.slow
def test_a_changed_model_under_an_unchanged_builder_is_measured_anew(
    editable, index_of, store_home
):
    index, seen = index_of(["tiny"], "Parameters: 132"), []
    for width in (12, 12, 13):
        (editable / "my_models" / "nets.py").write_text(NET.format(width))
        builder_proxy.open_builder.cache_clear()
        keys.identity_of.cache_clear()
        report = harness.verify(index, builder="mine", checks=["parameters"])
        (found,) = [f for f in report.findings if f.field == "Parameters"]
        log = editable / "my_models" / "nets.py.log"
        seen.append((found.status, found.measured, log.exists()))
        log.unlink(missing_ok=True)
    builder_proxy.open_builder.cache_clear()
    keys.identity_of.cache_clear()
    assert seen == [("match", 132, True), ("match", 132, False), ("mismatch", 143, True)]


@pytest.mark.slow
def test_who_a_builder_is_by_default(editable, tmp_path):
    """Each change of what decides a model is another text, and no other change is."""
    asked = opened().identity("tiny")
    assert (asked.startswith("source:"), opened().identity("tiny")) == (True, asked)
    same = ("my_models/README.md", "other.py", "my_zoo/.git/config.py", "my_zoo/x.pyc")
    others = ("my_models/nets.py", "my_zoo/builder.py", "my_zoo/sizes.json", "my_models/new.py")
    for name in (*same, *others):
        path = editable / name
        path.parent.mkdir(exist_ok=True)
        before = path.read_text() if path.exists() else ""
        path.write_text(before + "\n# changed\n")
        assert (opened().identity("tiny") != asked) == (name in others), name
        path.write_text(before) if before else path.unlink()
    # Installed as it is: its record lists the package.
    info = tmp_path / "site" / "my_zoo-1.0.dist-info"
    listed = [f"../project/my_zoo/{name}" for name in ("__init__.py", "builder.py")]
    records = [f"{listed[0]},,\n{listed[1]},sha256={digest},9\n" for digest in ("a", "b")]
    identities = []
    for record in (records[0], records[1], records[0]):
        (info / "RECORD").write_text(record)
        identities.append(opened().identity("tiny"))
    assert identities[0] == identities[2] != identities[1]
    (editable / "my_zoo" / "builder.py").write_text(BUILDER + "\n")  # Its record tells, not it.
    assert opened().identity("tiny") == identities[0]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-zoo\nVersion: 1.1\n")
    later = opened().identity("tiny")
    assert (later not in identities, later.endswith(" with my-zoo 1.1")) == (True, True)


@pytest.mark.slow
def test_an_unknown_variant_names_the_builders_that_have_it(index_of, store_home, monkeypatch):
    import timm
    import torchvision

    import zoo

    names = ("resnet18", "resnest50d", "resnet50.a1_in1k", "vgg16.IMAGENET1K_V1", "efficientnet_b9")
    has = {
        "zoo": set(zoo.list_models()),
        "timm": {*timm.list_models(), *timm.list_pretrained()},
        "torchvision": {*torchvision.models.list_models(), "vgg16.IMAGENET1K_V1"},
    }
    unknown = {builder: [name for name in names if name not in has[builder]] for builder in has}

    def told(builder):
        index = index_of(unknown[builder])
        report = harness.verify(index, builder=builder, checks=["parameters"], offline=True)
        found = [f for f in report.findings if f.field == "Name" and f.cause == "build.unknown"]
        return {f.variant: f.message for f in found}

    for builder, left in unknown.items():
        messages = told(builder)
        assert list(messages) == left
        for name, message in messages.items():
            others = set(re.findall(r"; (\w+) has it: --builder \1\b", message))
            assert others == {other for other in has if name in has[other]}, message
    assert "; the nearest zoo has: resnest" in told("zoo")["resnet18"]
    # One that is not installed has nothing.
    monkeypatch.setattr(builders, "_BUILT_IN", builders._BUILT_IN | {"timm": absent})
    assert "timm has it" not in told("zoo")["resnet18"]


def absent():
    raise BuilderError("timm is not installed")


@pytest.mark.slow
def test_the_builder_of_the_page_works_as_it_is_shown(repository, installed, zoo, index_of):
    """Its class and its entry point, installed as a distribution of two files."""
    text = (repository / "docs" / "builders.md").read_text("utf-8")
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
