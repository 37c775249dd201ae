"""`zoo init`: what it writes holds, and what it can't do is one line."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from cli import run_zoo, said
from distributions import install, python_path

BUILDER = """
class Kind:
    def names(self):
        return ["flat", "conv", "broken", "-odd"]

    def knows(self, name):
        return name in self.names()

    def build(self, name):
        from torch import nn

        if name == "broken":
            raise RuntimeError("no such config")
        if name == "flat":
            return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def zoo(tmp_path):
    """The command in an empty folder: its status, standard output, and lines of standard error."""

    def run(*arguments, **changes):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")} | changes
        done = run_zoo(arguments, cwd=tmp_path, environment=environment)
        return done.returncode, done.stdout, said(done.stderr).splitlines()

    return run


def findings(zoo, *arguments, **changes):
    status, out, _ = zoo("verify", "--all", "--offline", "--format", "json", *arguments, **changes)
    return status, json.loads(out)["findings"]


def written(folder, name="model-index.yml"):
    document = yaml.safe_load((folder / name).read_text())
    models = {m["Name"]: m["Metadata"] | {"Weights": m.get("Weights")} for m in document["Models"]}
    return document["Builder"], models


@pytest.mark.slow
def test_what_is_written_of_a_library_s_variants_holds(zoo, tmp_path):
    import timm
    import torchvision

    names = ["resnet50.a1_in1k", "vit_tiny_patch16_224.augreg_in21k", "inception_v3.tv_in1k"]
    names += ["tf_efficientnet_b1.ns_jft_in1k", "resnet18d", "test_resnet.r160_in1k"]
    status, out, err = zoo("init", "--from", "package:timm", *names)
    assert (status, out) == (0, "model-index.yml: 6 variants\n")
    assert err[-1] == "check it: zoo verify --all"
    builder, models = written(tmp_path)
    assert (builder, list(models)) == ("timm", names)
    for name, claims in models.items():
        model = timm.create_model(name)
        config = model.pretrained_cfg
        assert claims["Parameters"] == sum(p.numel() for p in model.parameters())
        assert claims["Image Size"] == config["input_size"][1]
        assert claims["Crop Pct"] == config["crop_pct"]
        assert claims["Interpolation"] == config["interpolation"]
        assert tuple(claims["Mean"]) == config["mean"]
        assert claims["Weights"] == (config["url"] or f"hf-hub:{config['hf_hub_id']}")
        assert not {"Top 1 Accuracy", "File Size", "SHA256", "Results"} & claims.keys()

    names = ["resnet50.IMAGENET1K_V2", "vit_b_16.IMAGENET1K_SWAG_E2E_V1", "efficientnet_b0"]
    words = ["--index", "tv.yml"]
    assert zoo("init", "--from", "package:torchvision", *names, *words)[0] == 0
    builder, models = written(tmp_path, "tv.yml")
    assert builder == "torchvision"
    weights = torchvision.models.ResNet50_Weights.IMAGENET1K_V2
    assert models[names[0]]["Weights"] == weights.url
    assert models[names[0]]["Crop Pct"] == "224/232"
    assert models[names[0]]["Parameters"] == weights.meta["num_params"]
    for words in ([], ["--index", "tv.yml"]):
        status, found = findings(zoo, *words)
        assert status == 0
        others = [f for f in found if f["field"] not in ("Weights", "License")]
        assert {f["status"] for f in others} == {"match"}
        # torchvision says of no weights under which license they are.
        assert {f["severity"] for f in found if f["field"] == "License"} <= {None, "note"}
        assert {f["status"] for f in found if f["field"] == "Weights"} == {"unverified"}


@pytest.mark.slow
def test_an_index_of_one_s_own_models_says_what_they_measure(zoo, tmp_path, repository):
    install(tmp_path / "site", "mine = my_builder:Kind", BUILDER)
    path = {"PYTHONPATH": python_path(tmp_path / "site", repository)}
    status, out, err = zoo("init", "--builder", "mine", **path)
    assert (status, out) == (3, "model-index.yml: 2 variants\n")
    for name, words in (
        ("-odd", "left out: its name begins with a dash"),
        ("broken", "left out: mine can't build broken: RuntimeError: no such config"),
        ("flat", "no FLOPs: flat can't run at 224x224"),
        ("conv", "no input size is stated, 224x224 was counted; --image-size"),
    ):
        assert [line for line in err if line.startswith(f"{name}: {words}")], name
    builder, models = written(tmp_path)
    assert builder == "mine"
    assert models["flat"] == {"Parameters": 30730, "Weights": None}
    # 222x222 places, eight filters of 27 weights, as fvcore counts with the pooling.
    conv = {"FLOPs": 222 * 222 * 8 * (27 + 1), "FLOPs Convention": "fvcore", "FLOPs Input": 224}
    assert models["conv"] == {**conv, "Parameters": 224, "Weights": None}
    status, found = findings(zoo, **path)
    assert status == 0
    assert {f["status"] for f in found} == {"match"}

    small = ["init", "--builder", "mine", "flat", "--image-size", "32", "--index", "small.yml"]
    assert zoo(*small, **path)[0] == 0
    assert written(tmp_path, "small.yml")[1]["flat"]["FLOPs"] == 3 * 32 * 32 * 10
    assert written(tmp_path, "small.yml")[1]["flat"]["Image Size"] == 32


def test_what_can_not_be_done_is_one_line_and_writes_nothing(zoo, tmp_path):
    timm = ("--from", "package:timm")
    for words, line in (
        ([], "there is nothing to document; name variants, and whose they are: --from package:"),
        (["resnet18"], "the builder zoo has no variant called resnet18; timm has it"),
        ([*timm, "resnet50.a1_in1kk"], "timm has no variant called resnet50.a1_in1kk; the nearest"),
        ([*timm, "nosuch*"], "the builder timm has no variant called nosuch*; name one of its: "),
        ([*timm], "variants; name some of them, or a pattern such as"),
        ([*timm, "--builder", "zoo"], "is built by timm, not by zoo; leave out --from or --builde"),
        (["--builder", "nosuch", "x"], "no builder is called 'nosuch'; there are: mmpretrain, t"),
        (
            ["--from", "timm", "x"],
            "'timm' is not a package here; write package:timm, package:torchvision or package:mm",
        ),
        (["resnest50d", "--index", "no/x.yml"], "--index: no: there is no such folder; make it"),
        (["resnest50d", "--index", "x.txt"], "name a file that ends in .yml or .yaml"),
        (["resnest50d", "--image-size", "4"], "'4' is not a size in pixels; write one such as"),
    ):
        status, out, err = zoo("init", *words)
        assert (status, out, len(err)) == (2, "", 1), (words, err)
        assert line in err[0], words
    assert os.listdir(tmp_path) in ([], ["cache"])


def test_without_the_library_there_is_one_line(zoo, tmp_path, monkeypatch):
    from harness.measure.builders import timm

    def missing(name):
        raise timm.BuilderError(f"{name} is not there")

    monkeypatch.setattr(timm, "version_of", lambda name, advice: missing(name))
    status, out, err = zoo("init", "--from", "package:timm", "resnet18")
    assert (status, out, err) == (2, "", ["timm is not there"])


def test_no_index_is_overwritten_and_the_next_command_finds_the_new_one(zoo, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.zoo]\nindex = "mine.yml"\nbuilder = "timm"\n')
    status, out, err = zoo("init", "resnest14d", "--builder", "zoo")
    assert (status, out) == (0, "mine.yml: 1 variant\n")
    assert err[-1] == "check it: zoo verify --all"
    text = (tmp_path / "mine.yml").read_text()
    status, found = findings(zoo)  # The project's builder is that of indexes that name none.
    assert (status, {f["status"] for f in found}) == (0, {"match"})
    assert zoo("init", "resnest14d", "--builder", "zoo")[0] == 2
    (tmp_path / "pyproject.toml").unlink()
    for name in ("mine.yml", "model-index.md"):
        (tmp_path / name).write_text(text)
        words = ["--index", name] if name == "mine.yml" else []
        status, out, err = zoo("init", "resnest14d", *words)
        assert (status, out) == (2, "")
        assert err[0].startswith(f"{name} is here already, and nothing is overwritten; ")
        assert (tmp_path / name).read_text() == text
