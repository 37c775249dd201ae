"""What the builders have: names read from a library's text, held against the library itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.measure.builders import BuilderError, get_builder, resolved

READ = """
import sys
from harness.measure.builders import get_builder
for name, model in (("timm", "resnet50.a1_in1k"), ("torchvision", "resnet50.IMAGENET1K_V2")):
    builder = get_builder(name)
    assert builder.knows(model), model
    assert not builder.knows(model + "x"), model
    assert len(builder.names()) > 100
    assert name in builder.identity(model)
heavy = {"torch", "timm", "torchvision", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""


def test_names_are_known_without_importing_a_library(repository):
    subprocess.run([sys.executable, "-c", READ], cwd=repository, check=True)


def test_timm_names_are_those_of_timm():
    registry = pytest.importorskip("timm.models._registry")
    builder = get_builder("timm")
    assert set(builder.names()) == set(registry._model_entrypoints)
    assert {n: resolved(builder, n) for n in registry._deprecated_models} == (
        registry._deprecated_models
    )
    assert resolved(builder, "resnet18") == "resnet18"
    tagged = {name for names in registry._model_with_tags.values() for name in names}
    assert [name for name in tagged if not builder.knows(name)] == []


@pytest.mark.parametrize(
    "name", ["", ".", "resnet50.", "resnet50.nope", ".a1_in1k", "hf-hub:timm/resnet18", "../x"]
)
@pytest.mark.parametrize("builder", ["timm", "torchvision"])
def test_what_is_no_name_is_not_known(builder, name):
    assert not get_builder(builder).knows(name)


def test_torchvision_names_are_those_of_torchvision():
    import torchvision
    from torchvision.models import get_model_weights, list_models

    models = list_models(module=torchvision.models)
    weights = {f"{model}.{w.name}" for model in models for w in get_model_weights(model)}
    assert set(get_builder("torchvision").names()) == {*models, *weights}


@pytest.mark.parametrize("name", ["timm", "torchvision"])
def test_a_library_that_is_not_installed_is_named(name, monkeypatch):
    from importlib import metadata

    from harness.measure import builders

    def missing(distribution):
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(builders, "version", missing)
    with pytest.raises(BuilderError, match=f"{name} is not installed; pip install"):
        get_builder(name)


def test_an_unknown_builder_is_told_which_there_are():
    with pytest.raises(BuilderError, match=r"'nope'; there are: .*timm.*torchvision.*zoo"):
        get_builder("nope")


def test_the_package_names_its_builders_for_other_programs(repository):
    import sys

    if sys.version_info < (3, 11):
        import tomli as tomllib
    else:
        import tomllib
    from harness.measure.builders import _BUILT_IN

    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["zoo.builders"] == _BUILT_IN
