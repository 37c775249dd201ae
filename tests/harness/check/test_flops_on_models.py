"""FLOPs that real counters print for real models: none is accused, each is told for what it is."""

from __future__ import annotations

import pytest
import torch

from harness.check.flops import CHECK
from harness.measure.meta import without_initialisation

timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")

WITH_ATTENTION = {
    "test_vit": 160,
    "vit_tiny_patch16_224": 224,
    "swin_tiny_patch4_window7_224": 224,
    "xcit_nano_12_p16_224": 224,
}


@pytest.fixture
def told(load, answered):
    """The finding about a timm model's FLOPs, all facts measured that the check asks for."""

    def find(name, size, claim, convention=None):
        lines = ["Models:", "- Name: net", "  Metadata:"]
        lines += [f"    FLOPs: {claim}", f"    Image Size: {size}"]
        lines += [f"    FLOPs Convention: {convention}"] if convention else []
        index = load("\n".join(lines) + "\n")
        (finding,) = answered(CHECK, index, "timm", name, "flops", size)
        return finding

    return find


@pytest.fixture
def unfused(fvcore_run):
    """What the real fvcore counts where timm's attention is made of products."""
    from timm.layers import set_fused_attn

    def count(name, size):
        set_fused_attn(False)
        try:
            with without_initialisation():
                model = timm.create_model(name)
        finally:
            set_fused_attn(True)
        return int(sum(fvcore_run(zeroed(model), (1, 3, size, size)).values()))

    return count


def zeroed(model):
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model


@pytest.mark.parametrize("name", WITH_ATTENTION)
def test_attention_counted_by_fvcore_is_right(name, told, unfused, torch_macs, on_meta):
    size = WITH_ATTENTION[name]
    theirs = unfused(name, size)
    macs = torch_macs(on_meta(timm.create_model, name), (1, 3, size, size))
    for claim in (theirs, f"{theirs / 1e9:.2f} G", f"{theirs / 1e9:.3f} G"):
        for convention in (None, "fvcore"):
            finding = told(name, size, claim, convention)
            assert (finding.status, finding.edits) == ("match", ()), finding.message
    assert told(name, size, macs).status == "match"
    wrong = told(name, size, theirs + 10**6 + 7)
    assert wrong.cause == "flops.differs"
    if name in ("swin_tiny_patch4_window7_224", "xcit_nano_12_p16_224"):
        # Of these fvcore misses nothing, or a part in a thousand.
        assert wrong.measured / theirs == pytest.approx(1, abs=1e-3)
        return
    assert wrong.measured == macs
    assert "fvcore leaves out" in wrong.message
    assert {edit.field: edit.value for edit in wrong.edits} == {
        "FLOPs": macs,
        "FLOPs Convention": "macs",
    }
    claimed = told(name, size, theirs + 10**6 + 7, "fvcore")
    assert claimed.measured == theirs
    assert [edit.field for edit in claimed.edits] == ["FLOPs"]


def test_fused_attention_is_no_reference_but_what_it_prints_holds(told):
    """The very number that fvcore prints stays, with a word on what it does not see."""
    finding = told("vit_tiny_patch16_224", 224, 1079579328)
    assert finding.status == "match"
    assert "leaves out 14% of the multiply-accumulates" in finding.message
    finding = told("vit_tiny_patch16_224", 224, 1258411200, "macs")
    assert finding.cause == "flops.convention"
    assert "keep the number with FLOPs Convention: fvcore" in finding.message
    assert [(e.field, e.value) for e in finding.annotate_edits] == [("FLOPs Convention", "fvcore")]


def test_padding_by_word_is_seen_by_others(told, on_meta, torch_macs, built):
    """fvcore has no rule for convolutions padded ``same``; who counts them counts them all."""
    name = "convmixer_768_32"
    macs = torch_macs(on_meta(timm.create_model, name), (1, 3, 224, 224))
    finding = told(name, 224, macs + 5)
    assert finding.measured == macs
    (fact,) = built("timm", name, "flops", 224)
    plain, full = (
        next(
            c["value"]
            for c in fact.value["counts"]
            if (c["convention"], c["variation"]) == ("fvcore", words)
        )
        for words in ("", "with the operators that it does not know")
    )
    assert plain < macs < full
    assert told(name, 224, full).status == "match"


@pytest.mark.parametrize(
    ("name", "claim", "words"),
    [
        (
            "deit_tiny_patch16_224",
            1258219200,
            "fvcore with attention products and without the classifier",
        ),
        (
            "deit_tiny_patch16_224",
            1253683200 - 192 * 1000 - 12 * 2 * 197 * 197 * 192,
            "macs without attention products and the classifier",
        ),
        ("resnet50", 8211108352, "deepspeed in FLOPs with element-wise work"),
        (
            "convnext_tiny",
            4458240768,
            "thop-2020 with the classifier and without the global pool",
        ),
        (
            "tf_efficientnet_b0",
            420592480,
            "fvcore in training mode, with means counted as pools and without the classifier",
        ),
        ("resnet18", 3 * 1814073344, "three times what macs counts"),
        ("vit_tiny_patch16_224", 3 * 1258411200, "three times what fvcore counts"),
        ("mobilenetv3_small_100", 3 * 2 * 56510400, "three times what flops counts"),
    ],
)
def test_figures_of_other_counters_are_told(name, claim, words, told):
    finding = told(name, 224, claim)
    assert finding.cause == "flops.convention"
    tolerated = words.replace("what fvcore counts", "what fvcore with attention products counts")
    assert words in finding.message or tolerated in finding.message
    assert (finding.severity == "error") == (
        "three times" in words or "without attention products" in words
    )


def test_four_digits_assert_nothing(told):
    """Twice the counter of 2020 would be this; so would others be that are near."""
    finding = told("resnet18", 224, "3.637 G")
    assert finding.cause == "flops.differs"
    assert "too few to tell that from chance" in finding.message
    # Twice the products is a convention of its own, and the claim is no less plain for that.
    finding = told("resnet18", 224, "3.63 G")
    assert (finding.cause, finding.severity) == ("flops.convention", "warning")


@pytest.mark.parametrize("name", ["repvgg_a0", "mobileone_s0", "levit_128s", "ghostnetv3_100"])
def test_the_deployed_form_is_told(name, told, torch_macs, fvcore_run):
    from timm.utils import reparameterize_model

    with without_initialisation():
        folded = reparameterize_model(zeroed(timm.create_model(name)).eval())
    theirs = int(sum(fvcore_run(folded, (1, 3, 224, 224)).values()))
    macs = torch_macs(folded.to("meta"), (1, 3, 224, 224))
    for claim in {theirs, macs}:
        finding = told(name, 224, claim)
        if finding.status == "mismatch":  # some cost the same in both forms
            assert (finding.cause, finding.severity) == ("flops.convention", "warning")
            assert "of the deployed form counts" in finding.message
    finding = told(name, 224, f"{theirs / 1e9:.2f} G")
    assert finding.severity != "error", finding.message


@pytest.mark.parametrize(
    ("name", "claim", "parameters", "told_so"),
    [
        ("regnetx_032", "1.53 G", "3.21 M", True),
        ("mobilenetv2_100", "3.50 M", "314 M", True),
        ("resnet18", "11.7 G", "1.82 M", True),
        # The parameters are right: nothing was exchanged.
        ("resnet18", "11.7 G", "11.69 M", False),
    ],
)
def test_flops_that_stand_under_parameters_are_told(
    name, claim, parameters, told_so, load, answered
):
    index = load(
        f"Models:\n- Name: net\n  Metadata:\n    FLOPs: {claim}\n    Parameters: {parameters}\n"
        "    Image Size: 224\n"
    )
    (finding,) = answered(CHECK, index, "timm", name, "flops", 224)
    assert (finding.cause, finding.severity) == ("flops.differs", "error")
    assert ("the two were exchanged" in finding.message) == told_so
    assert "FLOPs" in {edit.field for edit in finding.edits}
