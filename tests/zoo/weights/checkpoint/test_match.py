"""Checkpoints against models: timm and torchvision build the models, torch writes the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from zoo.weights.checkpoint import Contents, TensorInfo, read_checkpoint
from zoo.weights.match import TensorSpec, explain_size, match, recognise, specs_of, summarise


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def resnet(name: str = "resnet18", **options: object) -> nn.Module:
    return on_meta(lambda: timm.create_model(name, **options))


def tensors_of(module: nn.Module) -> list[TensorInfo]:
    return [
        TensorInfo(name, tuple(t.shape), str(t.dtype).removeprefix("torch."), t.nbytes, name)
        for name, t in module.state_dict().items()
    ]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[object], Contents]:
    def save(value: object) -> Contents:
        torch.save(value, tmp_path / "model.pth")
        contents = read_checkpoint(tmp_path / "model.pth")
        assert isinstance(contents, Contents), contents
        return contents

    return save


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 10))


def test_a_models_own_checkpoint_fits(saved: Callable[[object], Contents]) -> None:
    model = timm.create_model("resnest14d")
    contents = saved(model.state_dict())
    result = match(contents.tensors, specs_of(resnet("resnest14d")))
    assert result.fits
    assert result.matched == len(model.state_dict())
    assert result.lines() == []
    assert result.notes() == []


def test_what_torch_calls_missing_and_unexpected() -> None:
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
    assert len(result.lines()) <= 36


def test_a_prefix_is_taken_off_and_noted() -> None:
    infos = [
        TensorInfo(f"backbone.net.{t.name}", t.shape, t.dtype, t.nbytes, t.storage)
        for t in tensors_of(small())
    ]
    result = match(infos, specs_of(small()))
    assert result.fits
    assert result.prefix == "backbone.net."
    assert "backbone.net." in result.notes()[0]


def test_a_prefix_of_the_model_itself_stays() -> None:
    model = nn.ModuleDict({"body": small()})
    assert match(tensors_of(model), specs_of(model)).prefix == ""


def test_old_checkpoints_lack_the_batch_counters() -> None:
    infos = [t for t in tensors_of(small()) if "num_batches" not in t.name]
    result = match(infos, specs_of(small()))
    assert result.fits
    assert result.uncounted == ("1.num_batches_tracked",)
    assert "num_batches_tracked" in result.notes()[0]


def test_types() -> None:
    half = match(tensors_of(small().half()), specs_of(small()))
    assert half.fits
    assert half.half == "float16"
    assert match(tensors_of(small().bfloat16()), specs_of(small())).half == "bfloat16"
    double = match(tensors_of(small().double()), specs_of(small()))
    assert not double.fits
    assert {r.found for r in double.retyped} == {"float64"}
    mixed = tensors_of(small())
    mixed[0] = TensorInfo(mixed[0].name, mixed[0].shape, "float16", 0, "")
    result = match(mixed, specs_of(small()))
    assert result.half is None
    assert [r.name for r in result.retyped] == [mixed[0].name]


def test_another_number_of_classes() -> None:
    result = match(tensors_of(resnet(num_classes=37)), specs_of(resnet()))
    assert result.other_classes == (1000, 37)
    assert "37" in result.sentence()
    assert "1000" in result.sentence()
    # Another width everywhere is another model.
    assert match(tensors_of(resnet("resnet50")), specs_of(resnet())).other_classes is None


def test_auxiliary_heads_are_no_difference(saved: Callable[[object], Contents]) -> None:
    def googlenet(aux: bool) -> nn.Module:
        return torchvision.models.googlenet(weights=None, aux_logits=aux, init_weights=False)

    contents = saved(googlenet(True).state_dict())
    model = on_meta(lambda: googlenet(False))
    result = match(contents.tensors, specs_of(model))
    assert result.fits
    assert set(result.auxiliary) == set(googlenet(True).state_dict()) - set(model.state_dict())
    reasons = explain_size(contents, result)
    state = googlenet(True).state_dict()
    expected = sum(state[name].nbytes for name in result.auxiliary)
    assert any(f"{expected:,} bytes" in r and "auxiliary head" in r for r in reasons)


def test_sizes_are_explained(saved: Callable[[object], Contents]) -> None:
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


def test_another_variant_is_recognised() -> None:
    known = {n: specs_of(resnet(n)) for n in ("resnet18", "resnet34", "resnet50", "seresnet18")}
    assert recognise(tensors_of(resnet("resnet34")), known) == ("resnet34",)
    wrapped = nn.ModuleDict({"encoder": resnet("resnet50")})
    assert recognise(tensors_of(wrapped), known) == ("resnet50",)
    assert recognise(tensors_of(resnet("resnet26")), known) == ()
    assert recognise(tensors_of(resnet("resnet18", num_classes=5)), known) == ()
    # A twin that differs in nothing but its name.
    known["resnet18_a1"] = known["resnet18"]
    assert recognise(tensors_of(resnet("resnet18")), known) == ("resnet18", "resnet18_a1")


def test_a_variant_is_recognised_without_its_counters_and_at_half() -> None:
    known = {n: specs_of(resnet(n)) for n in ("resnet18", "resnet34")}
    infos = [t for t in tensors_of(resnet("resnet18").half()) if "num_batches" not in t.name]
    assert recognise(infos, known) == ("resnet18",)


def test_a_summary_can_be_read() -> None:
    names = [n for n in resnet("resnet101").state_dict() if n.startswith("layer3.")]
    lines = summarise(n for n in names if ".conv2." in n or ".bn2." in n)
    assert "layer3.{0..22}.conv2.weight (23 tensors)" in lines
    assert "layer3.{0..22}.bn2.running_mean (23 tensors)" in lines
    everything = summarise(resnet("resnet101").state_dict())
    assert len(everything) <= 12
    counted = sum(int(line.rpartition("(")[2].split()[0]) for line in everything if "(" in line)
    alone = sum("(" not in line for line in everything)
    assert counted + alone == len(resnet("resnet101").state_dict())


def test_a_summary_of_few_says_them_all() -> None:
    assert summarise([]) == []
    assert summarise(["fc.weight", "fc.bias"]) == ["fc.weight", "fc.bias"]
    assert summarise(["a.0.w", "a.1.w", "a.7.w", "a.9.w", "a.11.w"]) == [
        "a.{0..11, not all}.w (5 tensors)"
    ]


def test_a_summary_of_hostile_names() -> None:
    names = [f"\x1b[31m{'x' * 500}.{i}.{j}.{i * j}" for i in range(60) for j in range(60)]
    names += [f"n{i}" for i in range(3000)]
    lines = summarise(names)
    assert len(lines) <= 12
    assert all(line.isprintable() and len(line) < 200 for line in lines)
    assert "more tensors" in lines[-1]


def test_specs_are_of_shape_and_type() -> None:
    specs = specs_of(small())
    assert specs["0.weight"] == TensorSpec((4, 3, 3, 3), "float32")
    assert specs["1.num_batches_tracked"] == TensorSpec((), "int64")
