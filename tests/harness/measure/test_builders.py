"""Builders: names held against the libraries, and models against their published figures."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from harness.measure.builders import (
    AdaptedBuilder,
    BuilderError,
    get_builder,
    module_texts,
    preprocessing_of,
    resolved,
)
from harness.measure.meta import build_on_meta
from harness.types import Recipe

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


@pytest.mark.parametrize("builder", ["timm", "torchvision"])
def test_what_is_no_name_is_not_known(builder):
    names = ("", ".", "resnet50.", "resnet50.nope", ".a1_in1k", "hf-hub:timm/resnet18", "../x")
    assert [name for name in names if get_builder(builder).knows(name)] == []


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


def parameters(builder, name):
    model = build_on_meta(get_builder(builder), name)
    assert {p.device.type for p in model.parameters()} == {"meta"}
    return sum(p.numel() for p in model.parameters())


# Those that need more than a name: a ViT's own input size, auxiliary classifiers that weights
# have or have not, a RegNet that asks for values, a classifier of no classes' names.
WEIGHTS = [
    "googlenet.IMAGENET1K_V1",
    "inception_v3.IMAGENET1K_V1",
    "regnet_y_400mf.IMAGENET1K_V2",
    "regnet_y_16gf.IMAGENET1K_SWAG_E2E_V1",
    "resnet50.IMAGENET1K_V1",
    "vgg16.IMAGENET1K_FEATURES",
    "vit_b_16.IMAGENET1K_SWAG_E2E_V1",
    "vit_b_16.IMAGENET1K_V1",
    "vit_h_14.IMAGENET1K_SWAG_E2E_V1",
]


@pytest.mark.parametrize("name", WEIGHTS)
def test_torchvision_builds_what_its_metadata_documents(name):
    from torchvision.models import get_model_weights

    model, _, weights = name.partition(".")
    meta = get_model_weights(model)[weights].meta
    assert parameters("torchvision", name) == meta["num_params"]


def test_torchvision_builds_default_weights_and_leaves_nothing_changed():
    from torch import nn
    from torchvision.models import WeightsEnum, get_model_weights

    before = (nn.Module.load_state_dict, WeightsEnum.get_state_dict)
    meta = get_model_weights("vit_h_14").DEFAULT.meta
    assert parameters("torchvision", "vit_h_14") == meta["num_params"]
    assert (nn.Module.load_state_dict, WeightsEnum.get_state_dict) == before


def test_torchvision_states_the_transforms_of_the_weights_of_a_url():
    from torchvision.models import ResNet50_Weights

    builder = get_builder("torchvision")
    for weights in ResNet50_Weights:
        known = preprocessing_of(builder, "resnet50", weights.url)
        (settings,) = known.settings
        transforms = weights.transforms()
        assert (known.chosen, settings.weights) == ("url", f"resnet50.{weights.name}")
        assert settings.image_size == (transforms.crop_size[0],) * 2
        assert settings.crop_pct == transforms.crop_size[0] / transforms.resize_size[0]
        assert settings.interpolation == "bilinear"
    unknown = preprocessing_of(builder, "resnet50", "https://example.org/other.pth")
    assert unknown.chosen == "default"
    assert [s.weights for s in unknown.settings] == ["resnet50.IMAGENET1K_V2"]
    assert [s.weights for s in unknown.others] == ["resnet50.IMAGENET1K_V1"]


@pytest.mark.parametrize(
    "name",
    ["swsl_resnet18", "tf_efficientnet_b0_ns", "ig_resnext101_32x8d", "resnetv2_50x1_bitm"],
)
def test_timm_former_names_build_what_timm_builds_for_them(name, recwarn):
    timm = pytest.importorskip("timm")
    import torch
    from timm.models._registry import get_deprecated_models

    with torch.device("meta"):
        today = timm.create_model(get_deprecated_models()[name])
    recwarn.clear()
    assert parameters("timm", name) == sum(p.numel() for p in today.parameters())
    assert not [w for w in recwarn if "deprecated" in str(w.message)]


def test_timm_knows_weights_by_their_file_by_their_name_or_not_at_all():
    pytest.importorskip("timm")
    builder = get_builder("timm")

    def chosen(name, url):
        known = preprocessing_of(builder, name, url)
        return known.chosen, {s.weights for s in known.settings}

    files = "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-rsb-weights"
    a1 = f"{files}/resnet50_a1_0-14fe96d1.pth"
    assert chosen("resnet50", a1) == ("url", {"resnet50.a1_in1k"})
    mirror = "https://example.org/mirror/resnet50_a1_0-14fe96d1.pth?download=1"
    assert chosen("resnet50", mirror) == ("url", {"resnet50.a1_in1k"})
    card = "https://huggingface.co/timm/resnet50.ra_in1k/resolve/main/model.safetensors"
    assert chosen("resnet50", card) == ("url", {"resnet50.ra_in1k"})
    for end in ("", "@main", f"@{'0' * 40}/model.safetensors", "/pytorch_model.bin"):
        known = chosen("resnet50", f"hf-hub:timm/resnet50.ra_in1k{end}")
        assert known == ("url", {"resnet50.ra_in1k"}), end
    # Two models have weights in files of the same name; those of this one are meant.
    assert chosen("resnet18", a1) == ("default", {"resnet18.a1_in1k"})
    swsl = ("name", {"resnet18.fb_swsl_ig1b_ft_in1k"})
    assert chosen("swsl_resnet18", None) == swsl
    assert chosen("swsl_resnet18", "https://example.org/x.pth") == swsl
    assert chosen("resnet18.a3_in1k", None) == ("name", {"resnet18.a3_in1k"})
    known = preprocessing_of(builder, "resnet18", None)
    assert "resnet18.tv_in1k" in {s.weights for s in known.others}


def test_a_library_whose_text_is_no_utf_8_still_has_its_names(tmp_path, monkeypatch):
    models = tmp_path / "broken_models" / "models"
    models.mkdir(parents=True)
    (models / "net.py").write_bytes(b"def net50(): ...  # \xff\xfe caf\xe9\n")
    monkeypatch.syspath_prepend(tmp_path)
    (text,) = module_texts("broken_models", "models")
    assert text.startswith("def net50()")


def test_a_variant_of_its_builder_s_own_has_its_builder_s_classes():
    """Only one that is made from another needs a classifier that can be replaced."""
    nn = pytest.importorskip("torch.nn")

    class Plain:
        names = staticmethod(lambda: ["plain"])
        knows = staticmethod(lambda name: name == "plain")
        build = staticmethod(lambda name: nn.Sequential(nn.Linear(3, 10)))

    own = Recipe(name="plain", builder="mine", classes=10)
    assert AdaptedBuilder(Plain(), own).build("plain")[0].out_features == 10
    made = replace(own, name="made", base="plain")
    with pytest.raises(BuilderError, match="can't be given 10 classes"):
        AdaptedBuilder(Plain(), made).build("made")


def test_a_library_says_whose_file_an_url_gives():
    from torchvision.models import get_model_weights

    builder = get_builder("torchvision")
    for name, whose in (
        ("efficientnet_b0", "efficientnet_b1.IMAGENET1K_V1"),
        ("resnet50.IMAGENET1K_V1", "resnet50.IMAGENET1K_V2"),
        ("vgg16", "vgg16_bn.IMAGENET1K_V1"),
    ):
        model, _, weights = whose.partition(".")
        url = get_model_weights(model)[weights].url
        assert preprocessing_of(builder, name, url).owners == (whose,)
        assert not preprocessing_of(builder, model, url).owners
        assert not preprocessing_of(builder, whose, url).owners
    pytest.importorskip("timm")
    builder = get_builder("timm")
    for name, url, whose in (
        ("resnet50.a1_in1k", "hf-hub:timm/resnet50.a2_in1k", "resnet50.a2_in1k"),
        ("resnet18", "https://x.org/resnet50_a1_0-14fe96d1.pth", "resnet50.a1_in1k"),
    ):
        assert preprocessing_of(builder, name, url).owners == (whose,)
        assert not preprocessing_of(builder, "resnet50", url).owners
        assert not preprocessing_of(builder, whose, url).owners
    assert not preprocessing_of(builder, "resnet18", "https://x.org/model.pth").owners
