"""`zoo audit --across`: what two zoos say of one checkpoint, or of one architecture."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest
from cli import run_zoo

URL = "https://example.org/net-0123abcd.pth"
KEYS = ("Image Size: 224", "Crop Pct: 0.875", "Interpolation: bilinear")


@pytest.fixture
def across(tmp_path, repository):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    environment.pop("ZOO_INDEX", None)

    def run(*entries, options=()):
        """Each entry an index with one variant, or an index as it is named."""
        words = ["audit", "--across", *options]
        for number, entry in enumerate(entries):
            path = str(entry)
            if not isinstance(entry, str):
                name, keys, top1 = entry
                path = f"zoo{number}.yml"
                text = f"Models:\n- Name: {name!r}\n" + "".join(f"  {key}\n" for key in keys)
                if top1:
                    text += "  Results:\n  - Dataset: ImageNet\n"
                    text += f"    Metrics: {{Top 1 Accuracy: {top1}}}\n"
                (tmp_path / path).write_text(text)
            words += ["--index", path]
        return run_zoo(words, cwd=tmp_path, environment=environment)

    return run


def told(across, one, other):
    """Field -> severity, None where both agree."""
    result = across(one, other, options=("--format", "json"))
    findings = json.loads(result.stdout)["findings"]
    assert all(f["check"] == "across" and f["beside"]["zoo"] for f in findings)
    assert (result.returncode == 1) == any(f["severity"] == "error" for f in findings)
    return {f["field"]: f["severity"] for f in findings}


def test_one_checkpoint_has_one_of_each_and_may_be_evaluated_in_two_ways(across):
    file = (f"Weights: {URL}",)
    # As written, or with fewer digits, the same is the same.
    one = ("net-50", (*file, *KEYS, "Parameters: 25557032", "File Size: 97.8 MB"), 76.13)
    same = ("other", (*file, *KEYS[:1], "Crop Pct: 224/256", "Parameters: 25.56M",
        "File Size: 102540000"), 76.1)  # fmt: skip
    assert set(told(across, one, same).values()) == {None}
    # One file with other parameters, size, normalisation or SHA-256: one of the two is wrong.
    for key, field in {
        "Parameters: 26.6M": "Parameters",
        "File Size: 99 MB": "File Size",
        "Mean: [0.5, 0.5, 0.5]": "Mean",
        "Outputs: 21841": "Outputs",
    }.items():
        mine = (*file, "Parameters: 25557032", "File Size: 97.8 MB", "Outputs: 1000",
            "Mean: [0.485, 0.456, 0.406]")  # fmt: skip
        found = told(across, ("a", mine, None), ("b", (*file, key), None))
        assert found == {field: "error"}, key
    # Another crop is no error, nor is an accuracy that follows from it.
    crop = (*file, KEYS[0], "Crop Pct: 0.95", KEYS[2])
    assert told(across, one, ("b", crop, 77.4)) == {
        "Image Size": None, "Crop Pct": "note", "Interpolation": None, "Top 1 Accuracy": "note",
    }  # fmt: skip
    # Evaluated alike: a tenth of a point is nothing, and more is a contradiction.
    for top1, severity in ((76.13, None), ("76.20", "note"), (76.9, "error")):
        assert told(across, one, ("b", (*file, *KEYS), top1))["Top 1 Accuracy"] == severity
    assert told(across, one, ("b", file, 76.9)) == {"Top 1 Accuracy": "warning"}


def test_what_is_not_surely_the_same_is_not_compared(across):
    def parameters(name, other, *keys, more=()):
        mine = (name, ("Parameters: 25557032", *keys), None)
        return told(across, mine, (other, ("Parameters: 26123456", *more), None))

    # The same letters and digits name one architecture, and a tag its weights.
    for one, other in (("ResNet-50", "resnet50"), ("resnet50.a1_in1k", "resnet50.IMAGENET1K_V1")):
        assert parameters(one, other) == {"Parameters": "warning"}
    assert parameters("resnet50.a1_in1k", "timm/resnet50.a1_in1k") == {"Parameters": "error"}
    for other in ("resnet50d", "resnet_50_2", "resnet101", "resnet500", "my-resnet50"):
        assert parameters("resnet50", other) == {}
    # For other classes it has other parameters.
    assert parameters("resnet50", "resnet50", more=("Classes: 10",)) == {"Parameters": "note"}
    assert parameters("resnet50", "resnet50.in21k") == {"Parameters": "note"}
    # So it has where it was evaluated on, or trained on, other data alone, or its name says so.
    for data, severity in {
        "Training Data: ImageNet-21k": "note", "Training Data: [CIFAR-10]": "note",
        "Results: [{Dataset: CIFAR-10, Metrics: {Top 1 Accuracy: 95}}]": "note",
        "Results: [{Task: Object Detection, Dataset: COCO, Metrics: {box AP: 41}}]": "note",
        "Results: [{Dataset: ImageNet-21k, Metrics: {Top 1 Accuracy: 41}}]": "note",
        "Results: [{Dataset: ImageNet-1k, Metrics: {Top 1 Accuracy: 76}}]": "warning",
        "Training Data: ImageNet": "warning", "Training Data: [ImageNet-1k, JFT]": "warning",
    }.items():  # fmt: skip
        assert parameters("resnet50", "resnet50", more=(data,)) == {"Parameters": severity}, data
    assert parameters("vit_in21k", "vit-in21k") == {"Parameters": "note"}
    # A version tells networks apart, and is no tag of weights.
    for one, other in (("alexnet.v1", "alexnet.v2"), ("resnet50.v1.5", "resnet50")):
        assert parameters(one, other) == {}
    assert parameters("alexnet.v2", "AlexNet-v2") == {"Parameters": "warning"}
    # A file is known by the digits in its name; one name of two files is not one checkpoint.
    moved = "Weights: https://elsewhere.org/mirror/x-0123abcd.pth"
    assert parameters("a", "b", f"Weights: {URL}", more=(moved,)) == {"Parameters": "error"}
    files = f"SHA256: {'0123abcd' * 8}", f"SHA256: {'0123ABCD' * 8}"
    assert parameters("a", "b", files[0], more=(files[1],)) == {"Parameters": "error"}
    other = "Weights: https://example.org/net-99999999.pth"
    found = parameters("net.v1", "net.v1", f"Weights: {URL}", more=(other,))
    assert found == {"Weights": "note", "Parameters": "warning"}
    # Of two FLOPs of different counters neither is wrong.
    mine = ("net", ("Image Size: 224", "FLOPs: 4.1G", "FLOPs Convention: macs"), None)
    for convention, severity in (("fvcore", "note"), ("macs", "warning")):
        keys = ("Image Size: 224", "FLOPs: 4.2G", f"FLOPs Convention: {convention}")
        assert told(across, mine, ("net", keys, None)) == {"FLOPs": severity}
    keys = ("Image Size: 288", "FLOPs: 6.8G", "FLOPs Convention: macs")
    assert told(across, mine, ("net", keys, None)) == {}
    shown = across(mine, ("net", (KEYS[0], "FLOPs: 8.2G", "FLOPs Convention: fvcore"), None))
    assert "they count as macs and fvcore do" in shown.stdout


def test_one_file_by_two_names_is_one_index(across, tmp_path):
    (tmp_path / "a.yml").write_text("Models:\n- {Name: a, Parameters: 5M}\n")
    (tmp_path / "b.yml").symlink_to("a.yml")
    result = across("a.yml", "b.yml", "./a.yml")
    assert (result.returncode, result.stdout) == (2, "")
    assert "there is one index" in result.stderr


def test_a_checkpoint_that_a_zoo_lists_twice_is_held_against_the_entry_that_fits(across, tmp_path):
    (tmp_path / "b").mkdir()
    head = "model,img_size,top1,top5,param_count,crop_pct,interpolation\n"
    rows = (
        "net.a_in1k,224,80.00,95.00,25.56,0.875,bicubic\n",
        "net.a_in1k,288,81.00,95.50,25.56,1.0,bicubic\n",
    )
    (tmp_path / "results-imagenet.csv").write_text(head + "".join(rows))
    (tmp_path / "b/results-imagenet.csv").write_text(head + "".join(reversed(rows)))
    found = told(across, "results-imagenet.csv", "b/results-imagenet.csv")
    assert set(found.values()) == {None}
    (tmp_path / "b/results-imagenet.csv").write_text(
        head + rows[1].replace("81.00", "82.00") + rows[0]
    )
    result = across("results-imagenet.csv", "b/results-imagenet.csv", options=("--format", "json"))
    (wrong,) = (f for f in json.loads(result.stdout)["findings"] if f["status"] != "match")
    assert (wrong["severity"], wrong["documented"], wrong["beside"]["documented"]) == (
        "error", "81.00", "82.00",
    )  # fmt: skip


def test_files_with_the_same_tensors_are_one_network(across, tmp_path):
    import torch
    from safetensors.torch import save_file

    for name, value in (("a", 0.0), ("b", 1.0)):
        tensors = {"fc.weight": torch.full((10, 4), value), "fc.bias": torch.full((10,), value)}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    save_file({"fc.weight": torch.zeros(11, 4)}, tmp_path / "c.safetensors")
    one = ("tiny", ("Weights: a.safetensors", "Parameters: 51"), 70)
    # Other values: another checkpoint, whose accuracy is its own.
    assert told(across, one, ("mini", ("Weights: b.safetensors", "Parameters: 54"), 60)) == {
        "Parameters": "error"
    }
    assert told(across, one, ("mini", ("Weights: c.safetensors", "Parameters: 54"), 60)) == {}


def test_the_table_names_both_places_in_every_format(across):
    one = ("net", (f"Weights: {URL}", "Parameters: 10000001"), None)
    other = ("|net|", (f"Weights: {URL}", "Parameters: 11000001"), None)
    for options in ((), ("--format", "markdown"), ("--format", "concise")):
        result = across(one, other, options=options)
        assert result.returncode == 1
        (line,) = (line for line in result.stdout.splitlines() if "11000001" in line)
        assert "zoo0.yml:4" in line
        assert "zoo1.yml:4" in line
        assert "10000001" in line
    (row,) = csv.DictReader(io.StringIO(across(one, other, options=("--format", "csv")).stdout))
    assert (row["documented"], row["beside_documented"]) == ("10000001", "11000001")
    assert (row["beside_file"], row["beside_variant"]) == ("zoo1.yml", "|net|")
    alone = across(one)
    assert alone.returncode == 2
    assert "--across" in alone.stderr
