"""mmpretrain's metafiles and configs, of a wheel that stands in for it: nothing of it is run."""

from __future__ import annotations

import sys

import pytest

from harness.measure.builders import BuilderError, get_builder
from harness.measure.builders import mmpretrain as builder_module
from zoo.index import load_index

METAFILE = """
Collections:
  - Name: Tiny
Models:
  - Name: tiny_in1k
    In Collection: Tiny
    Config: configs/tiny/tiny_in1k.py
    Metadata:
      Parameters: 1234
    Weights: https://example.org/tiny.pth
  - Name: 'stray'
    In Collection: Tiny
    Config: configs/../../stray.py
"""


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """An installed mmpretrain with one collection, and a config outside of its folder."""
    mim = tmp_path / "mmpretrain" / ".mim"
    (mim / "configs" / "tiny").mkdir(parents=True)
    (tmp_path / "mmpretrain" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (tmp_path / "mmpretrain" / "stray.py").write_text("raise SystemExit('executed')\n")
    (mim / "model-index.yml").write_text("Import:\n  - configs/tiny/metafile.yml\n")
    (mim / "configs" / "tiny" / "metafile.yml").write_text(METAFILE)
    for name in ("mmpretrain", "mmengine", "mmcv_lite"):
        folder = tmp_path / f"{name}-0.0.7.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.7\n")
    for name in [each for each in sys.modules if each.partition(".")[0] == "mmpretrain"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    builder_module._entries.cache_clear()
    builder_module._config.cache_clear()
    yield mim
    builder_module._entries.cache_clear()
    builder_module._config.cache_clear()


def test_the_wheel_s_metafiles_are_an_index_with_its_builder(wheel):
    index = load_index(["package:mmpretrain"])
    assert [v.name for v in index.variants] == ["tiny_in1k", "stray"]
    assert not index.problems
    first = index.variants[0]
    assert first.effective("Builder").value == "mmpretrain"
    claim = first.claim("Parameters")
    assert claim.value == 1234
    assert claim.location.file == str(wheel / "configs" / "tiny" / "metafile.yml")
    assert METAFILE.splitlines()[claim.location.line - 1].strip() == "Parameters: 1234"


def test_without_the_wheel_the_extra_that_brings_all_of_it_is_named(monkeypatch):
    monkeypatch.setattr("zoo.index.mmpretrain.package_folder", lambda name: None)
    (missing,) = load_index(["package:mmpretrain"]).problems
    assert str(missing).startswith("package:mmpretrain:1:1: is not installed; pip install ")
    assert "[mmpretrain]" in missing.remedy


def test_only_the_wheel_s_own_configs_are_executed(wheel):
    builder = get_builder("mmpretrain")
    assert builder.names() == ["stray", "tiny_in1k"]
    assert builder.knows("stray")
    assert not builder.knows("Tiny")
    assert "0.0.7" in builder.identity("tiny_in1k")
    outside = ("configs/../../stray.py", "/etc/passwd", "../stray.py", "model-index.yml", "configs")
    for named in outside:
        with pytest.raises(BuilderError, match="is not among the configs of mmpretrain"):
            builder_module._config(named)
    with pytest.raises(BuilderError, match=r"stray\.py is not among the configs"):
        builder.build("stray")
    assert "mmpretrain" not in sys.modules
