"""What documented parameters count, on real models: the numbers are those of other libraries."""

from __future__ import annotations

import pytest

from harness.check.build import apply_alias_findings
from harness.check.numbers import PARAMETERS


@pytest.fixture
def found(load, answered):
    """The only finding about documented lines of a model, as a run tells it."""

    def find(builder, name, *lines):
        text = "".join(f"    {line}\n" for line in lines)
        index = load(f"Models:\n- Name: net\n  Metadata:\n{text}")
        findings = answered(PARAMETERS, index, builder, name, "structure")
        (finding,) = apply_alias_findings(findings, index.variants, {})
        return finding

    return find


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def assert_read(finding, words, severity="warning"):
    assert (finding.status, finding.cause) == ("mismatch", "parameters.differs"), finding
    assert words in finding.message, finding.message
    assert finding.severity == severity
    assert str(finding.measured) in finding.message
    assert finding.rules


def test_the_deployed_form(found, on_meta):
    """As timm's benchmarks run these models: counted after timm has put their branches together."""
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    from timm.utils.model import reparameterize_model

    known = {
        "repvgg_a0": 8309384,
        "mobileone_s0": None,
        "levit_128s": None,
        "repghostnet_050": None,
    }
    for name, count in known.items():
        deployed = parameters(on_meta(lambda n=name: reparameterize_model(timm.create_model(n))))
        assert count in (None, deployed)
        for written in (deployed, f"{deployed / 1e6:.2f}M", f"{deployed / 1e6:.1f}M"):
            finding = found("timm", name, f"Parameters: {written}")
            if finding.status == "match":  # Few digits, which are those of both forms.
                assert written != deployed
                continue
            assert_read(finding, "the deployed form")
            # The number is right for what is deployed, and no edit takes it away.
            assert not finding.edits


def test_batch_norms_folded_into_convolutions(found, on_meta):
    """As torch.fx folds them; OpenVINO's zoo has resnet18 with 11.68 M and the like."""
    from torch.fx.experimental.optimization import fuse
    from torchvision.models import get_model

    for name in ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5"):
        model = on_meta(get_model, name)
        folded = parameters(fuse(model))
        assert name != "resnet18" or folded == 11684712
        assert_read(found("torchvision", name, f"Parameters: {folded}"), "batch norms folded")


def test_without_norms_and_layer_scales(found, on_meta):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    from torch import nn

    for name, count in (
        ("convnext_tiny", 28566184),
        ("poolformer_s12", None),
        ("cait_xxs24_224", None),
    ):
        model = on_meta(timm.create_model, name)
        norms = sum(
            parameters(m) for m in model.modules() if isinstance(m, nn.LayerNorm | nn.GroupNorm)
        )
        scales = sum(
            p.numel()
            for path, p in model.named_parameters()
            if "gamma" in path or "layer_scale" in path
        )
        assert min(norms, scales) > 0
        bare = parameters(model) - norms - scales
        assert count in (None, bare)
        finding = found("timm", name, f"Parameters: {bare}")
        assert_read(finding, "without those of norms and layer scales")
        finding = found("timm", name, f"Parameters: {parameters(model) - norms}")
        assert_read(finding, "without those of norms")
        finding = found("timm", name, f"Parameters: {parameters(model) - scales}")
        assert_read(finding, "without layer scales")


def test_less_the_classifier_and_the_backbone_alone(found, on_meta):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    for name in (
        "resnet50",
        "vit_tiny_patch16_224",
        "efficientnet_b0",
        "convnext_tiny",
        "mixnet_s",
    ):
        bare = parameters(on_meta(timm.create_model, name, num_classes=0))
        for written in (bare, f"{bare / 1e6:.2f}M"):
            assert_read(found("timm", name, f"Parameters: {written}"), "the parameters without the")
    # A backbone that hands on its last map of features has no norm behind it, either.
    vit = on_meta(timm.create_model, "vit_tiny_patch16_224", num_classes=0)
    left = parameters(vit) - parameters(vit.norm)
    assert_read(found("timm", "vit_tiny_patch16_224", f"Parameters: {left}"), "norm and head")


def test_auxiliary_heads(found, on_meta):
    """Inception-v3 has 27161264 parameters with its auxiliary head and 23834568 without."""
    from torchvision.models import GoogLeNet

    googlenet = parameters(on_meta(GoogLeNet, init_weights=False))
    for builder, name, written, words in (
        ("torchvision", "inception_v3", "23834568", "without its auxiliary"),
        ("torchvision", "inception_v3", "23.8M", "without its auxiliary"),
        ("timm", "inception_v3", "27161264", "with its auxiliary"),
        ("timm", "inception_v3", "27.2M", "with its auxiliary"),
        ("torchvision", "googlenet", googlenet, "with its auxiliary"),
        ("torchvision", "googlenet", "13.0M", "with its auxiliary"),
    ):
        if builder == "timm":
            pytest.importorskip("timm", reason="timm, an extra, is not installed")
        finding = found(builder, name, f"Parameters: {written}")
        assert_read(finding, words)
        assert not finding.edits


def test_heads_for_distillation(found, on_meta):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    count = parameters(on_meta(timm.create_model, "deit_tiny_patch16_224"))
    finding = found("timm", "deit_tiny_distilled_patch16_224", f"Parameters: {count}")
    assert_read(finding, "without the head for distillation and its token")
    model = on_meta(timm.create_model, "levit_128s")
    count = parameters(model) - parameters(model.head_dist)
    finding = found("timm", "levit_128s", f"Parameters: {count}")
    assert_read(finding, "without the head for distillation")


def test_positions_and_tokens(found, on_meta):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    vit = on_meta(timm.create_model, "vit_tiny_patch16_224")
    count = parameters(vit) - vit.pos_embed.numel() - vit.cls_token.numel()
    assert_read(found("timm", "vit_tiny_patch16_224", f"Parameters: {count}"), "positions")
    swin = on_meta(timm.create_model, "swin_tiny_patch4_window7_224")
    tables = sum(p.numel() for n, p in swin.named_parameters() if "relative_position" in n)
    count = parameters(swin) - tables
    assert_read(found("timm", "swin_tiny_patch4_window7_224", f"Parameters: {count}"), "positions")


def test_a_head_of_other_classes(found, on_meta):
    """timm's benchmark tables have some models with the classes that they were pretrained on."""
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    for name, classes, written in (
        ("tiny_vit_5m_224", 1000, "5.393M"),
        ("mobilenetv2_050", 11221, "15.06M"),
        ("resnet18", 10, "11181642"),
    ):
        count = parameters(on_meta(timm.create_model, name, num_classes=classes))
        assert written in (
            str(count),
            f"{count / 1e6:.2f}M",
            f"{count / 1e6:.1f}M",
            f"{count / 1e6:.3f}M",
        )
        finding = found("timm", name, f"Parameters: {written}")
        assert_read(finding, f"with {classes} classes")
        assert not finding.edits


def test_slips(found):
    """ResNet-50 has 25557032 parameters, VGG-16 138357544, MobileNetV2 3504872."""
    mebi, wrong = "in units of 2^20", "error"
    for name, written, words, severity in (
        ("resnet50", "24.37M", mebi, "warning"),
        ("resnet50", "24.373M", mebi, "warning"),
        ("vgg16", "131.95M", mebi, "warning"),
        ("mobilenet_v2", "3.3425M", mebi, "warning"),
        ("resnet50", "255.57M", "ten times", wrong),
        ("resnet50", "2.5557M", "a tenth", wrong),
        ("vgg16", "1383.6M", "ten times", wrong),
        ("mobilenet_v2", "350487", "a tenth", wrong),
        ("resnet50", "25575032", "two digits exchanged, 57 as 75", wrong),
        ("vgg16", "138.63M", "two digits exchanged, 36 as 63", wrong),
        ("mobilenet_v2", "3054872", "two digits exchanged, 50 as 05", wrong),
    ):
        assert_read(found("torchvision", name, f"Parameters: {written}"), words, severity)


def test_flops_and_parameters_exchanged(found):
    """mmpretrain gave regnetx-3.2gf 1.53 G FLOPs and 3.21 M parameters."""
    for builder, name, flops, written in (
        ("timm", "regnetx_032", "1.53G", "3.21M"),
        ("torchvision", "resnet50", "25.56M", "4.09G"),
        ("torchvision", "resnet18", "11689512", "1814073344"),
        # What fvcore counts is 4 % more than the multiply-accumulates here.
        ("torchvision", "mobilenet_v2", "3.50 M", "314 M"),
    ):
        if builder == "timm":
            pytest.importorskip("timm", reason="timm, an extra, is not installed")
        lines = (f"Parameters: {written}", f"FLOPs: {flops}")
        finding = found(builder, name, *lines)
        assert_read(finding, "the two were exchanged", "error")
        assert finding.edits


def test_the_flops_are_measured_only_where_they_may_have_been_exchanged(load, needs, built):
    def asked(*lines):
        text = "".join(f"    {line}\n" for line in lines)
        index = load(f"Models:\n- Name: net\n  Metadata:\n{text}")
        return needs(PARAMETERS, index, built("torchvision", "resnet18", "structure"))

    assert [n.kind for n in asked("Parameters: 1.81M", "FLOPs: 11.69G")] == ["flops"]
    for lines in (
        ("Parameters: 11.69M", "FLOPs: 11.69G"),  # a right count
        ("Parameters: 1.81M", "FLOPs: 1.82G"),
        ("Parameters: 2M", "FLOPs: 11.7M"),  # too few digits
        ("Parameters: 1.81M",),
    ):
        assert asked(*lines) == []


def test_few_digits_that_fit_by_chance_are_said_to(found):
    for name, written, words in (
        ("resnet50", "256M", "ten times the parameters"),
        ("resnet50", "24.4M", "units of 2^20"),
        ("resnet18", "11M", "without the last part, fc"),
    ):
        finding = found("torchvision", name, f"Parameters: {written}")
        if finding.status == "match":
            assert name == "resnet18"
            continue
        assert (finding.cause, finding.severity) == ("parameters.differs", "error")
        assert words in finding.message
        assert "too few to tell that from chance" in finding.message
        assert not finding.rules


def test_a_number_that_is_none_of_these_is_only_wrong(found):
    for name, written in (("resnet50", "29517432"), ("vgg16", "151.2M"), ("resnet18", "9.13M")):
        finding = found("torchvision", name, f"Parameters: {written}")
        assert (finding.cause, finding.severity, finding.rules) == (
            "parameters.differs", "error", (),
        )  # fmt: skip
        assert "chance" not in finding.message


def test_the_norm_that_a_network_ends_with(found, on_meta):
    """Releases differ in it; a claim without the digits to show it is not explained by it."""
    from torchvision.models import vit_b_16

    built = parameters(on_meta(vit_b_16))
    norm = 2 * 768
    for written, words in (
        (built - norm, "the parameters of the model without its last norm"),
        (built + norm, "the parameters of the model with one more norm like its last"),
        (built + 2 * norm, "the parameters of the model with two more norms like its last"),
    ):
        assert_read(found("torchvision", "vit_b_16", f"Parameters: {written}"), words)
    # 86,567,656 is 86.56 or 86.57 M: 1,536 more or fewer are no 86.55 or 86.58 M.
    for near in ("86.55M", "86.58M"):
        finding = found("torchvision", "vit_b_16", f"Parameters: {near}")
        assert finding.severity == "error"
        assert "norm" not in finding.message


def test_a_table_of_positions_for_larger_images(found):
    """torchvision's own counts of its ViTs for 384 and 512; shorter ones don't show a table."""
    from torchvision.models import ViT_B_16_Weights, ViT_L_16_Weights

    for name, weights, size, side in (
        ("vit_b_16", ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1, 384, 24),
        ("vit_l_16", ViT_L_16_Weights.IMAGENET1K_SWAG_E2E_V1, 512, 32),
    ):
        count = weights.meta["num_params"]
        words = f"for images of {size}x{size}, with {side}x{side} positions in place of 14x14"
        assert_read(found("torchvision", name, f"Parameters: {count}"), words)
    finding = found("torchvision", "vit_b_16", "Parameters: 86.86M")
    assert (finding.severity, finding.rules) == ("error", ())
