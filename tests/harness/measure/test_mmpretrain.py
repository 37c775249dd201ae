"""mmpretrain's models against mmpretrain, mmengine and mmcv themselves."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest
import torch

from harness.explain.parameters import explain_parameters
from harness.measure.builders import BuilderError, get_builder
from harness.measure.flops import counts
from harness.measure.meta import build_on_meta, deployed_form, other_forms
from harness.measure.structure import structure
from harness.measure.trace import trace
from zoo.index import load_index

pytestmark = [
    pytest.mark.slow,  # The library takes seconds to import.
    pytest.mark.skipif(find_spec("mmpretrain") is None, reason="mmpretrain is not installed"),
]


@pytest.fixture(scope="module")
def builder():
    return get_builder("mmpretrain")


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def figures(model, size=224, deployed=None):
    record = trace(model, [torch.empty(1, 3, size, size, device="meta")])
    form = deployed and trace(deployed, [torch.empty(1, 3, size, size, device="meta")])
    return {(c.convention, c.variation): c.value for c in counts(record, form)}


def test_mmcv_counts_as_mmcv_does(builder):
    mmcv = pytest.importorskip("mmcv.cnn")
    for name in (
        "resnet18_8xb32_in1k",
        "conformer-tiny-p16_3rdparty_in1k",
        "swin-tiny_16xb64_in1k",
    ):
        model = builder.build(name).eval()
        theirs, _ = mmcv.get_model_complexity_info(
            model, (3, 224, 224), print_per_layer_stat=False, as_strings=False
        )
        assert figures(build_on_meta(builder, name))["mmcv", ""] == theirs, name


def test_what_its_script_counts_leaves_the_head_out(builder):
    """``get_flops.py`` runs ``extract_feat`` under mmengine's counter."""
    analysis = pytest.importorskip("mmengine.analysis")
    for name in ("deit-tiny-distilled_3rdparty_in1k", "levit-128s_3rdparty_in1k"):
        model = builder.build(name).eval()
        model.forward = model.extract_feat
        counted = analysis.FlopAnalyzer(model, (torch.zeros(1, 3, 224, 224),))
        counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        found = figures(build_on_meta(builder, name))
        assert found["fvcore", "without the head"] == counted.total(), name


def test_deployed_forms_are_what_the_library_deploys(builder):
    for name in ("repvgg-A0_8xb32_in1k", "mobileone-s0_8xb32_in1k", "riformer-s12_in1k"):
        real = builder.build(name).eval()
        real.backbone.switch_to_deploy()
        form = deployed_form(builder, name, build_on_meta(builder, name))
        assert parameters(form) == parameters(real), name
    # What its metafile says of RepVGG-A0 is that, and the FLOPs are the deployed form's.
    model = build_on_meta(builder, "repvgg-A0_8xb32_in1k")
    deployed = deployed_form(builder, "repvgg-A0_8xb32_in1k", model)
    assert parameters(deployed) == 8_309_384
    found = figures(model, deployed=deployed)
    assert found["fvcore", "of the deployed form and without the classifier"] == 1_360_233_728


def test_a_config_that_builds_another_model_is_told_from_its_name(builder):
    name = "convnext-large_3rdparty_in21k"
    forms = other_forms(builder, name, build_on_meta(builder, name))
    assert 197_767_336 in [parameters(form) for form in forms.values()]


def test_every_entry_is_known_and_nothing_is_fetched(builder, monkeypatch):
    index = load_index(["package:mmpretrain"])
    assert {v.name for v in index.variants} == set(builder.names())
    assert len(index.variants) > 500

    def refuse(*args, **kwargs):
        raise AssertionError("asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    # Its constructor reads a teacher's weights from an address.
    model = build_on_meta(builder, "milan_vit-base-p16_16xb256-amp-coslr-400e_in1k")
    assert parameters(model) > 10**8
    assert "target generator" in model.left_out
    with pytest.raises(BuilderError, match=r"swinv2-base-w12_8xb128_in21k-192px.py can't be exec"):
        builder.build("swinv2-base-w12_3rdparty_in21k-192px")


def test_the_test_pipeline_says_how_images_are_prepared(builder):
    def settings(name):
        (found,) = builder.preprocessing(name, None).settings
        return found.image_size, found.crop_pct, found.interpolation, found.crop_mode

    assert settings("resnet50_8xb32_in1k") == ((224, 224), 224 / 256, "bilinear", "center")
    assert settings("swin-base_3rdparty_in1k-384") == ((384, 384), 1, "bicubic", "squash")
    assert settings("efficientnet-b1_3rdparty_8xb32_in1k") == (
        *((240, 240), 240 / 272, "bicubic", "center"),
    )
    assert settings("resnet18_8xb16_cifar10") == ((32, 32), None, None, None)
    # Without a pipeline that says it, the size that the backbone is for.
    assert settings("vit-base-p16_sam-pre_3rdparty_sa1b-1024px")[:2] == ((1024, 1024), None)
    (rgb,) = builder.preprocessing("resnet50_8xb32_in1k", None).settings
    assert (rgb.mean, rgb.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    (bgr,) = builder.preprocessing("regnetx-400mf_8xb128_in1k", None).settings
    assert bgr.mean is None  # Its channels are in the other order, which an index can't say.


def test_its_script_was_run_before_the_last_norm_was_there(builder):
    """What the metafile says of a ViT that was fine-tuned, in every digit."""
    found = figures(build_on_meta(builder, "vit-base-p16_mae-300e-pre_8xb128-coslr-100e_in1k"))
    words = "with attention products and without the last norm and without the head"
    assert found["fvcore", words] == 17_581_215_744


def test_what_it_counts_with_other_releases_of_torch_and_of_itself(builder):
    """Each in every digit: fused blocks that reduce late, and a class of convolutions of its own.

    The real models are changed as those releases build them, and counted by the real counters.
    """
    mmcv, analysis = pytest.importorskip("mmcv.cnn"), pytest.importorskip("mmengine.analysis")
    name, words = (
        "efficientnetv2-b0_3rdparty_in1k",
        "in training mode, with the strides of fused blocks in their second convolution and "
        "without the head",
    )
    model = builder.build(name)
    for block in model.modules():
        if type(block).__name__ == "EdgeResidual":
            first, second = block.conv1.conv, block.conv2.conv
            first.stride, second.stride = second.stride, first.stride
    model.forward = model.extract_feat
    counted = analysis.FlopAnalyzer(model, (torch.zeros(2, 3, 224, 224),))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    found = figures(build_on_meta(builder, name))["fvcore", words]
    assert 2 * found == counted.total()
    assert found == 919_843_360  # As its metafile has it.

    name = "convmixer-1024-20_3rdparty_in1k"
    words = "without convolutions of padding 'same' and without the head"
    model = builder.build(name).eval()
    for layer in model.modules():
        if getattr(layer, "padding", None) == "same":
            layer.__class__ = type("Conv2dAdaptivePadding", (torch.nn.Conv2d,), {})
    model.forward = model.extract_feat
    theirs, _ = mmcv.get_model_complexity_info(
        model, (3, 224, 224), print_per_layer_stat=False, as_strings=False
    )
    assert figures(build_on_meta(builder, name))["mmcv", words] == theirs == 5_550_112_768


def test_tokens_and_tables_of_earlier_releases(builder, tmp_path):
    """RevViT had a class token in mmcls; EVA-g is for 336x336, and its config for 224x224."""
    for name, count, words in (
        ("revvit-small_3rdparty_in1k", 22_435_432, "with a token for the class"),
        ("beit-g-p14_3rdparty-eva_30m", 1_011_596_672, "for images of 336x336"),
    ):
        (tmp_path / "index.yml").write_text(
            f"Models:\n- Name: net\n  Metadata: {{Parameters: {count}}}\n", encoding="utf-8"
        )
        claim = load_index([tmp_path / "index.yml"]).variants[0].claim("Parameters")
        fit = explain_parameters(claim, structure(build_on_meta(builder, name)))
        assert fit.certain, name
        assert words in fit.reading.words, name
