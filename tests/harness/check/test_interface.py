"""What goes in and out of a model, and what makes it, as libraries configure it for weights."""

from __future__ import annotations

import json
import os

import pytest
from cli import run_zoo

INDEX = """
Builder: timm
Models:
- Name: vit_tiny_patch16_224
  Metadata: {Image Size: 224, Sizes: fixed, Outputs: 1000, Channels: 3,
    Classifier: head, First Conv: patch_embed.proj, Test Image Size: 256}
- Name: resnet10t
  Metadata: {Image Size: 176, Sizes: any, Outputs: 1000, Channels: 3, Min Image Size: 32,
    Classifier: fc, First Conv: conv1.0, Test Image Size: 224, Pool Size: 6}
"""
# What is written instead -> the field that is found wrong, and why.
WRONG = {
    ("Sizes: fixed", "Sizes: any"): ("Sizes", "interface.sizes"),
    ("Sizes: any", "Sizes: fixed"): ("Sizes", "interface.sizes"),
    ("Channels: 3,\n    Classifier: head", "Channels: 4,\n    Classifier: head"): (
        "Channels", "interface.outputs",
    ),
    ("Outputs: 1000, Channels: 3, Min", "Outputs: 1001, Channels: 3, Min"): (
        "Outputs", "interface.outputs",
    ),
    ("Classifier: fc", "Classifier: head.fc"): ("Classifier", "interface.missing-module"),
    ("Classifier: fc", "Classifier: maxpool"): ("Classifier", "interface.missing-module"),
    ("Classifier: fc", "Classifier: layer1.0.conv1"): ("Classifier", "interface.outputs"),
    ("conv1.0", "conv1.9"): ("First Conv", "interface.missing-module"),
    ("Pool Size: 6", "Pool Size: 7"): ("Pool Size", "interface.pool-size"),
}  # fmt: skip


@pytest.mark.slow
def test_each_setting_is_held_against_the_built_model(tmp_path, repository):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}

    def findings(text: str):
        (tmp_path / "index.yml").write_text(text)
        words = ["verify", "--all", "--index", "index.yml", "--checks", "layers,metadata"]
        result = run_zoo([*words, "--format", "json"], cwd=tmp_path, environment=environment)
        return json.loads(result.stdout)["findings"]

    right = findings(INDEX)
    assert {(f["field"], f["cause"]) for f in right if f["status"] != "match"} == {
        ("Test Image Size", "interface.unknown")  # of a model that takes one size
    }
    assert len(right) == 14
    for (old, new), (field, cause) in WRONG.items():
        assert INDEX.count(old) == 1, old
        found = findings(INDEX.replace(old, new))
        wrong = {(f["field"], f["cause"]) for f in found if f["status"] == "mismatch"}
        assert (field, cause) in wrong, (new, found)
        assert len(wrong) <= 2  # a classifier of other outputs is wrong as well


def test_one_checkpoint_has_one_normalisation(load):
    from harness import audit

    text = """
    Models:
    - Name: a
      Weights: https://x.org/a-12345678.pth
      Metadata: {Mean: [0.5, 0.5, 0.5], Outputs: 1000}
    - Name: b
      Weights: https://x.org/a-12345678.pth
      Metadata: {Mean: [%s], Outputs: %s}
    """
    for mean, outputs, cause in (
        ("0.5, 0.5, 0.5", 1000, None),
        ("0.5, 0.5, 0.498", 0, None),
        ("0.485, 0.456, 0.406", 1000, "Mean"),
        ("0.5, 0.5, 0.5", 21843, "Outputs"),
    ):
        index = load(text % (mean, outputs))
        found = audit(index=index.files[0]).findings
        wrong = [f.field for f in found if f.cause == "weights.shared-settings"]
        assert wrong == ([cause] if cause else [])


def test_weights_of_one_architecture_have_one_count(load):
    from harness.check.interface import SHARED
    from harness.types import Measurement

    index = load("""
    Models:
    - {Name: net.a, Metadata: {Outputs: 10}}
    - {Name: net.b, Metadata: {Outputs: 10}}
    - {Name: net.c, Metadata: {Outputs: 20}}
    - {Name: other.a, Metadata: {Outputs: 10}}
    """)

    def found(counts):
        facts = {
            id(v): {
                ("interface", None): Measurement(
                    "interface", v.name, "timm", {"parameters": n, "modules": {}},
                    None, "", {}, "meta", "",
                )
            }
            for v, n in zip(index.variants, counts, strict=True)
        }  # fmt: skip
        return [f.variant for f in SHARED.find_measured(index, index.variants, facts)]

    assert found([5, 6, 7, 8]) == ["net.b"]
    assert found([5, 5, 7, 8]) == []
