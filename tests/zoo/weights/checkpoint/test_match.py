"""Checkpoints against models: timm and torchvision build the models, torch writes the files."""

from __future__ import annotations

import copy
import functools

import pytest
import timm
import torch
import torchvision
from torch import nn

from zoo.weights.checkpoint import CheckpointInfo, TensorInfo, read_checkpoint
from zoo.weights.match import TensorSpec, explain_size, match, recognise, specs_of
from zoo.weights.summary import summarise


def on_meta(build):
    with torch.device("meta"):
        return build()


@functools.cache
def resnet(name="resnet18", **options):
    return on_meta(lambda: timm.create_model(name, **options))


def tensors_of(module):
    return [
        TensorInfo(name, tuple(t.shape), str(t.dtype).removeprefix("torch."), t.nbytes, name)
        for name, t in module.state_dict().items()
    ]


@pytest.fixture
def saved(tmp_path):
    def save(value):
        torch.save(value, tmp_path / "model.pth")
        contents = read_checkpoint(tmp_path / "model.pth")
        assert isinstance(contents, CheckpointInfo), contents
        return contents

    return save


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10))


def test_a_models_own_checkpoint_fits(saved):
    model = timm.create_model("resnet10t")
    contents = saved(model.state_dict())
    result = match(contents.tensors, specs_of(resnet("resnet10t")))
    assert result.fits
    assert result.matched == len(model.state_dict())
    assert result.lines() == []
    assert result.notes() == []


def test_what_torch_calls_missing_and_unexpected():
    """The same names as load_state_dict reports, for two models of one family."""
    mine, theirs = resnet("resnet34"), resnet("resnet50")
    result = match(tensors_of(theirs), specs_of(mine))
    with pytest.raises(RuntimeError, match="size mismatch") as error:
        mine.load_state_dict(theirs.state_dict(), strict=True)
    message = str(error.value)
    expected_missing = set(mine.state_dict()) - set(theirs.state_dict())
    expected_extra = set(theirs.state_dict()) - set(mine.state_dict())
    counters = {n for n in expected_missing | expected_extra if n.endswith("num_batches_tracked")}
    assert set(result.missing) == expected_missing - counters
    assert set(result.extra) == expected_extra - counters
    assert set(result.uncounted) == expected_missing & counters
    for reshaped in result.reshaped:
        assert f"size mismatch for {reshaped.name}:" in message
    assert message.count("size mismatch for ") == len(result.reshaped)
    assert not result.fits
    kinds = [line.split(": ")[0] for line in result.lines()]
    assert (
        kinds
        == [
            f"{len(result.missing)} missing",
            f"{len(result.extra)} extra",
            f"{len(result.reshaped)} of another shape",
        ][-len(kinds) :]
    )
    assert all(len(line.split(", ")) <= 24 for line in result.lines())


def test_a_prefix_is_taken_off_and_noted():
    infos = [
        TensorInfo(f"backbone.net.{t.name}", t.shape, t.dtype, t.nbytes, t.storage)
        for t in tensors_of(small())
    ]
    result = match(infos, specs_of(small()))
    assert result.fits
    assert result.prefix == "backbone.net."
    assert "backbone.net." in result.notes()[0]


def test_a_prefix_of_the_model_itself_stays():
    model = nn.ModuleDict({"body": small()})
    assert match(tensors_of(model), specs_of(model)).prefix == ""


def test_old_checkpoints_lack_the_batch_counters():
    infos = [t for t in tensors_of(small()) if "num_batches" not in t.name]
    result = match(infos, specs_of(small()))
    assert result.fits
    assert result.uncounted == ("1.num_batches_tracked",)
    assert "num_batches_tracked" in result.notes()[0]


def test_types():
    half = match(tensors_of(small().half()), specs_of(small()))
    assert half.fits
    assert half.half == "float16"
    assert match(tensors_of(small().bfloat16()), specs_of(small())).half == "bfloat16"


def some_at(*dtypes):
    """The state dict of `small`, its first tensors in these types."""
    state = small().state_dict()
    return state | {n: t.to(d) for (n, t), d in zip(state.items(), dtypes, strict=False)}


@pytest.mark.parametrize(
    ("state", "half", "said"),
    [
        # The first tensors have 108, 4 and 4 numbers; all floating ones together have 178.
        (some_at(torch.float16), "float16", "part of the weights (float16: 1 of 9 tensors, 216 "),
        (
            some_at(torch.float32, torch.bfloat16, torch.bfloat16),
            "bfloat16",
            "part of the weights (bfloat16: 2 of 9 tensors, 16 bytes",
        ),
        (small().double().state_dict(), None, "another type (float64: 8 of 9 tensors, 1,424 bytes"),
        (some_at(torch.float8_e4m3fn), None, "another type (float8_e4m3fn: 1 of 9 tensors, 108 "),
    ],
    ids=["mixed", "mixed-bfloat16", "double", "float8"],
)
def test_floating_types_are_noted_as_torch_converts_them(state, half, said, saved):
    contents = saved(state)
    result = match(contents.tensors, specs_of(small()))
    assert result.fits
    assert result.half is None
    assert result.partly_half == half
    assert all("where the model has float32" in note for note in result.notes())
    assert result.notes()
    (reason,) = explain_size(contents, result)
    assert said in reason
    # What is called fitting does load.
    small().load_state_dict(state, strict=True)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_other_kinds_of_types_do_not_fit(dtype, saved):
    result = match(saved(some_at(dtype)).tensors, specs_of(small()))
    assert not result.fits
    assert [r.name for r in result.retyped] == ["0.weight"]
    assert result.recast == ()
    assert result.misfit == "types"
    said = f"{str(dtype).removeprefix('torch.')} instead of float32"
    assert result.sentence() == f"9 tensors fit; 1 of another type: 0.weight: {said}"


def test_a_counter_of_another_width_is_noted(saved):
    state = small().state_dict()
    state["1.num_batches_tracked"] = state["1.num_batches_tracked"].to(torch.int32)
    result = match(saved(state).tensors, specs_of(small()))
    assert result.fits
    assert result.notes() == ["1 tensor of the file is int32, where the model has int64"]


def _without(*names):
    return [t for t in tensors_of(small()) if t.name not in names]


def _with(*infos):
    return [*tensors_of(small()), *infos]


def _renamed(old, new):
    return [
        TensorInfo(t.name.replace(old, new), t.shape, t.dtype, t.nbytes, t.storage)
        for t in tensors_of(small())
    ]


EXTRA = TensorInfo("more.w", (2,), "float32", 8, "more.w")


@pytest.mark.parametrize(
    ("infos", "misfit", "sentence"),
    [
        (
            _without("3.weight", "3.bias"),
            "classifier",
            "7 tensors fit; 2 missing: 3.weight, 3.bias",
        ),
        # Half of the classifier, or more than the classifier, is something else.
        (_without("3.bias"), "other", "8 tensors fit; 1 missing: 3.bias"),
        (
            _without("0.bias", "3.weight", "3.bias"),
            "other",
            "6 tensors fit; 3 missing: 0.bias, 3.weight, 3.bias",
        ),
        (_with(EXTRA), "extra", "9 tensors fit; 1 extra: more.w"),
        (
            _renamed("0.", "stem."),
            "names",
            "7 tensors fit; 2 missing: 0.weight, 0.bias; 2 extra: stem.weight, stem.bias",
        ),
        (
            [*_without("0.bias"), EXTRA],
            "other",
            "8 tensors fit; 1 missing: 0.bias; 1 extra: more.w",
        ),
    ],
    ids=["classifier", "half-classifier", "more-missing", "extra", "names", "other-shapes"],
)
def test_a_misfit_is_told_by_its_kind(infos, misfit, sentence):
    result = match(infos, specs_of(small()))
    assert not result.fits
    assert (result.misfit, result.sentence()) == (misfit, sentence)


def test_another_number_of_classes():
    result = match(tensors_of(resnet(num_classes=37)), specs_of(resnet()))
    assert result.other_classes == (1000, 37)
    assert result.misfit == "classes"
    assert "37" in result.sentence()
    assert "1000" in result.sentence()
    # Another width everywhere is another model.
    assert match(tensors_of(resnet("resnet50")), specs_of(resnet())).other_classes is None


def test_auxiliary_heads_are_no_difference(saved):
    def googlenet(aux):
        return torchvision.models.googlenet(weights=None, aux_logits=aux, init_weights=False)

    state = googlenet(True).state_dict()
    contents = saved(state)
    model = on_meta(lambda: googlenet(False))
    result = match(contents.tensors, specs_of(model))
    assert result.fits
    assert set(result.auxiliary) == set(state) - set(model.state_dict())
    reasons = explain_size(contents, result)
    expected = sum(state[name].nbytes for name in result.auxiliary)
    assert any(f"{expected:,} bytes" in r and "auxiliary head" in r for r in reasons)


def test_sizes_are_explained(saved):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 3, 3)).sum().backward()
    optimizer.step()
    ema = {k: v.clone() for k, v in model.state_dict().items()}
    contents = saved(
        {"model": model.half().state_dict(), "optimizer": optimizer.state_dict(), "model_ema": ema}
    )
    result = match(contents.tensors, specs_of(small()))
    reasons = explain_size(contents, result)
    assert len(reasons) == 3
    moments = sum(p.numel() * 4 for p in model.parameters())
    assert f"optimizer: {moments:,} bytes" in reasons[0]
    assert "EMA" in reasons[1]
    assert "float16" in reasons[2]


def test_another_variant_is_recognised():
    known = {n: specs_of(resnet(n)) for n in ("resnet18", "resnet34", "resnet50", "seresnet18")}
    assert recognise(tensors_of(resnet("resnet34")), known) == ("resnet34",)
    wrapped = nn.ModuleDict({"encoder": resnet("resnet50")})
    assert recognise(tensors_of(wrapped), known) == ("resnet50",)
    assert recognise(tensors_of(resnet("resnet26")), known) == ()
    assert recognise(tensors_of(resnet("resnet18", num_classes=5)), known) == ()
    # A twin that differs in nothing but its name.
    known["resnet18_a1"] = known["resnet18"]
    assert recognise(tensors_of(resnet("resnet18")), known) == ("resnet18", "resnet18_a1")


def test_a_variant_is_recognised_without_its_counters_and_at_half():
    known = {n: specs_of(resnet(n)) for n in ("resnet18", "resnet34")}
    halved = copy.deepcopy(resnet("resnet18")).half()
    infos = [t for t in tensors_of(halved) if "num_batches" not in t.name]
    assert recognise(infos, known) == ("resnet18",)


def test_integers_of_a_variants_shapes_are_not_that_variant():
    known = {"resnet18": specs_of(resnet("resnet18"))}
    integers = {n: t.to(torch.int8) for n, t in resnet("resnet18").state_dict().items()}
    infos = [TensorInfo(n, tuple(t.shape), "int8", t.nbytes, n) for n, t in integers.items()]
    assert recognise(infos, known) == ()


def test_a_summary_can_be_read():
    names = [n for n in resnet("resnet101").state_dict() if n.startswith("layer3.")]
    lines = summarise(n for n in names if ".conv2." in n or ".bn2." in n)
    assert "layer3.{0..22}.conv2.weight (23 tensors)" in lines
    assert "layer3.{0..22}.bn2.running_mean (23 tensors)" in lines
    everything = summarise(resnet("resnet101").state_dict())
    assert len(everything) <= 12
    counted = sum(int(line.rpartition("(")[2].split()[0]) for line in everything if "(" in line)
    alone = sum("(" not in line for line in everything)
    assert counted + alone == len(resnet("resnet101").state_dict())


def test_a_summary_of_few_says_them_all():
    assert summarise([]) == []
    assert summarise(["fc.weight", "fc.bias"]) == ["fc.weight", "fc.bias"]
    assert summarise(["a.0.w", "a.1.w", "a.7.w", "a.9.w", "a.11.w"]) == [
        "a.{0..11, not all}.w (5 tensors)"
    ]


def test_a_summary_of_hostile_names():
    names = [f"\x1b[31m{'x' * 500}.{i}.{j}.{i * j}" for i in range(60) for j in range(60)]
    names += [f"n{i}" for i in range(3000)]
    lines = summarise(names)
    assert len(lines) <= 12
    assert all(line.isprintable() and len(line) < 200 for line in lines)
    assert "more tensors" in lines[-1]


def test_specs_are_of_shape_and_type():
    specs = specs_of(small())
    assert specs["0.weight"] == TensorSpec((4, 3, 3, 3), "float32")
    assert specs["1.num_batches_tracked"] == TensorSpec((), "int64")
