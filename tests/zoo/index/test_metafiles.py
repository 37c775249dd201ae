"""OpenMMLab's metafiles: what their zoos write that this one's index would not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from loops import each

from zoo.index import load_index

METAFILE = """Collections:
- Name: Fast
  License: Apache License 2.0
  Metadata:
    Training Data: [COCO, VG]
    Architecture: ResNet50 + ResNet101
  Paper: https://arxiv.org/abs/1812.03982
  README: configs/fast/README.md
  Code:
    URL:
    Version: v0.1
  Converted From:
    Code: https://example.org/zoo
Models:
- Config: configs/fast/fast_r50.py
  In Collection: Fast
  Name: fast_r50
  Alias: [fast, r50]
  Metadata:
    Architecture: ResNet50
    Batch Size: 8 x 2
    Epochs: 12.5
    FLOPs: 102.7G
    Params: 24.33M
    Pretrained: None
    Resolution: short-side 320
    Training Memory (GB): 3.8
    backbone: R-50
    crop size: (512,1024)
    inference time (ms/im):
    - value: 46.7
      resolution: (800, 1333)
    Some Own Key: 5
  Modality: RGB
  Training Log: https://example.org/a.log
  Training Json Log: https://example.org/a.log.json
  Results:
  - Task: Action Recognition
    Dataset: Kinetics-400
    Metrics:
      Top 1 Accuracy: 74.75
      top5 acc: 91.7
      Top 3 Accuracy: 80.1
      Top 1 Accuracy [w. OF]: 81.8
      mean Top 1 Accuracy: 70.2
  - Task: Object Detection
    Dataset: COCO
    Metrics:
    - box AP: 37.2
      AP@0.5: 0.9
  Weights: https://example.org/fast_r50-145f1097.pth
- Name: fast_r101
  Config: configs/fast/fast_r101.py
  Metadata:
    FLOPs: null
    Parameters: 498488636
    File Size:
  Results:
    Task: Image Classification
    Dataset: ImageNet-1k
    Metrics: {Top 1 Accuracy: 82.9}
  Weights:
  Converted From:
    Weights:
    Code:
- Name: fast_none
  Config: configs/fast/fast_none.py
  Results: null
  Downstream:
  - fast_r50
"""


def claims(index, name):
    variant = next(v for v in index.variants if v.name == name)
    return {c.field: c.value for c in variant.claims}


def test_a_metafile_is_read_as_its_zoo_means_it(read):
    index = read(METAFILE, "metafile.yml")
    assert [str(p) for p in index.problems] == []
    said = claims(index, "fast_r50")
    assert said["FLOPs"] == 102_700_000_000
    assert said["Parameters"] == 24_330_000
    assert said["Top 1 Accuracy"] == Decimal("74.75")
    assert said["Top 5 Accuracy"] == Decimal("91.7")
    assert (said["box AP"], said["mean Top 1 Accuracy"]) == ("37.2", "70.2")
    assert said["Batch Size"] == "8 x 2"
    results = [(c.task, c.dataset) for v in index.variants for c in v.claims_of("Top 1 Accuracy")]
    assert results == [
        ("Action Recognition", "Kinetics-400"),
        ("Image Classification", "ImageNet-1k"),
    ]


def test_null_says_nothing(read):
    index = read(METAFILE, "metafile.yml")
    said = claims(index, "fast_r101")
    assert said["Parameters"] == 498488636
    assert not {"FLOPs", "File Size", "Weights", "Converted From.Weights"} & said.keys()
    assert set(claims(index, "fast_none")) == {"Name", "Config", "Downstream"}


@each(
    "right, wrong, cause, severity, field",
    [
        ("FLOPs: 102.7G", "FLOPs: 102.7X", "schema.wrong-type", "error", "FLOPs"),
        ("Params: 24.33M", "Params: many", "schema.wrong-type", "error", "Params"),
        ("1 Accuracy: 74.75", "1 Accuracy: 174", "schema.out-of-range", "error", "Top 1 Accuracy"),
        ("n: Fast\n  Name", "n: Fats\n  Name", "schema.unknown-collection", "error", None),
        ("  In Collection: F", "  In Collections: F", "schema.unknown-key", "note", None),
        ("Name: fast_none", "Name: fast_r50", "schema.duplicate-name", "error", "Name"),
        ("Name: fast_none", "Name:", "schema.missing-name", "error", "Name"),
        ("Weights: https", "Weights: gopher", "schema.wrong-type", "error", "Weights"),
        ("Parameters: 4", "Paramters: 4", "schema.unknown-key", "note", "Paramters"),
    ],
)
def test_what_is_wrong_is_found_all_the_same(read, right, wrong, cause, severity, field):
    text = METAFILE.replace(right, wrong, 1)
    assert text != METAFILE
    problems = read(text, "metafile.yml").problems
    assert [(p.cause, p.severity) for p in problems] == [(cause, severity)]
    assert field is None or problems[0].field == field
    assert wrong.splitlines()[0] in text.splitlines()[problems[0].location.line - 1]


def test_our_own_index_is_held_to_its_own_keys(read):
    """Without a ``Config`` in Python nothing says that the file is another zoo's."""
    text = METAFILE.replace("\n  Config: ", "\n  README: ").replace("- Config: ", "- README: ")
    found = {(p.severity, p.field) for p in read(text).problems}
    assert ("note", "Some Own Key") in found
    assert ("error", "Architecture") in found
    assert ("error", "FLOPs") in found
    assert ("note", "Training Log") not in found  # spelt right, and many zoos have it


def test_models_may_stand_in_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("docs").mkdir()
    Path("docs/one.md").write_text("<!--\nType: model-index\nName: one\nMetadata: {Epochs: 4}\n-->")
    Path("model-index.yml").write_text("Models:\n- docs/one.md\n- Name: two\n- docs/none.yml\n")
    index = load_index(["model-index.yml"])
    assert sorted(v.name for v in index.variants) == ["one", "two"]
    (problem,) = index.problems
    assert str(problem).startswith("model-index.yml:4:3: Import: 'docs/none.yml' names no file")


@each(
    "name",
    [
        "Top 1 Accuracy", "Top-1 Accuracy", "top 1 accuracy", "top-1", "Top1", "Top 1 Acc", "Acc@1",
        "acc1", "acc@top1", "Accuracy Top-1", "top_1_accuracy", "Top-1 Accuracy (%)", "Top-1 acc.",
    ],
)  # fmt: skip
def test_other_names_of_the_top_1_accuracy(read, name):
    text = f'Models:\n- Name: n\n  Results:\n  - Metrics: {{"{name}": 80.1}}\n'
    index = read(text)
    assert not index.problems
    assert claims(index, "n")["Top 1 Accuracy"] == Decimal("80.1")


@each(
    "name", ["Top 10 Accuracy", "Accuracy", "Top 3 Accuracy", "mAcc", "Acc@12", "Error@1", "Top 2"]
)
def test_names_of_other_metrics(read, name):
    text = f'Models:\n- Name: n\n  Results:\n  - Metrics: {{"{name}": 80.1}}\n'
    assert set(claims(read(text), "n")) == {"Name", name}


def test_what_stands_under_metrics_is_told_from_the_rest(read):
    index = read(METAFILE)
    (variant, *_) = index.variants
    under = {c.field for c in variant.claims if c.metric}
    assert "Top 3 Accuracy" in under
    assert not under & {"Task", "Dataset", "Parameters", "FLOPs", "Resolution", "Config"}
