"""Tables held against timm, and mended cell by cell."""

from __future__ import annotations

import json
import os

import pytest
from cli import run_zoo

HEAD = "model,infer_img_size,infer_samples_per_sec,param_count,infer_gmacs,infer_macts\r\n"
# From timm's own benchmark: one has attention.
RIGHT = 'test_vit,160,103244.27,0.37,0.04,0.48\r\nresnet10t,176,1,"5.44",0.7,1.51\r\n'
WRONG = RIGHT.replace('"5.44",0.7,1.51', '"5.54",0.9,2.51').replace("0.37", "0.33")
OPTIONS = ("--all", "--index", "benchmark-infer-amp.csv", "--builder", "timm")


@pytest.fixture
def zoo(folder, tmp_path, repository):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    return lambda *words: run_zoo(words, cwd=folder, environment=environment)


@pytest.mark.slow
def test_a_right_table_holds_and_a_wrong_one_is_mended_to_it(zoo, folder):
    table = folder / "benchmark-infer-amp.csv"
    table.write_bytes((HEAD + RIGHT).encode())
    report = json.loads(zoo("verify", *OPTIONS, "--format", "json").stdout)
    assert report["summary"]["match"] == 6, report["findings"]
    assert not [f for f in report["findings"] if f["status"] != "match"]
    table.write_bytes(("\ufeff" + HEAD + WRONG).encode())
    report = json.loads(zoo("verify", *OPTIONS, "--format", "json").stdout)
    wrong = {f["field"]: f for f in report["findings"] if f["status"] == "mismatch"}
    place = wrong["FLOPs"]["location"]
    assert (place["line"], place["column"]) == (3, 24)
    # A row has no key but its columns'.
    assert wrong["FLOPs"]["message"].endswith(": write 0.7 G"), wrong["FLOPs"]["message"]
    assert wrong["Activations"]["cause"] == "activations.differs"
    assert zoo("fix", *OPTIONS, "--write").returncode == 0
    assert table.read_bytes().decode() == "\ufeff" + HEAD + RIGHT


PAGE = """
| **Weight** | **Params** | **GFLOPS** |
|---|---|---|
| [`EfficientNet_B1_Weights.IMAGENET1K_V2`](x.html) | 7.8M | 0.69 |
| [`ResNet18_Weights.IMAGENET1K_V1`](x.html) | 11.7M | 1.81 |
| [`ResNet34_Weights.IMAGENET1K_V1`](x.html) | 21.8M | 6.66 |
"""


@pytest.mark.slow
def test_where_a_table_states_no_size_the_librarys_own_is_counted_at(zoo, folder):
    (folder / "models.md").write_text(PAGE)
    words = ["--all", "--index", "models.md", "--builder", "torchvision"]
    checks = ["--checks", "parameters,flops", "--format", "json"]
    found = json.loads(zoo("verify", *words, *checks).stdout)["findings"]
    flops = {f["variant"].partition("_Weights")[0]: f for f in found if f["field"] == "FLOPs"}
    assert len(found) == 6
    # At 240 pixels, and not at the usual 224.
    assert flops["EfficientNet_B1"]["status"] == "match"
    assert flops["ResNet18"]["status"] == "match"
    assert flops["ResNet34"]["status"] == "mismatch"
    assert {f["status"] for f in found if f["field"] == "Parameters"} == {"match"}


FORMS = """Model;Params;GMACs;top1
resnet18;11.689.215;1,81;69,76
resnet34;21 797 672;6,66;73,31
mobilenet_v2;3,5 M;0,30;71,88
"""


@pytest.mark.slow
def test_a_number_is_mended_in_the_form_of_its_page(zoo, folder):
    (folder / "modelle.csv").write_text(FORMS)
    words = ["--all", "--index", "modelle.csv", "--builder", "torchvision", "--write"]
    assert zoo("fix", *words, "--checks", "parameters,flops").returncode == 0
    mended = FORMS.replace("11.689.215", "11.689.512").replace("6,66", "3,67")
    assert (folder / "modelle.csv").read_text() == mended
    page = "| Model | Params | MACs |\n|---|---|---|\n| resnet18 | **$16.11$M** | $1.8$ × 10⁹ |\n"
    (folder / "page.md").write_text(page)
    words[2] = "page.md"
    assert zoo("fix", *words, "--checks", "parameters,flops").returncode == 0
    assert (folder / "page.md").read_text() == page.replace("16.11", "11.69")


def test_what_stands_around_a_number_stays():
    from harness.edit.spelling import in_place_of

    for written, old, new, text in (
        ("$25.6$M", "25.6M", "25.56M", "$25.56$M"),
        ("$\\mathbf{25.6}$", "25.6", "26.1", "$\\mathbf{26.1}$"),
        ("$25{,}557{,}032$", "25557032", "9557033", "$9{,}557{,}033$"),
        ("25 557 032", "25557032", "125557033", "125 557 033"),
        ("25'557'032", "25557032", "557033", "557'033"),
        ("11.689.215", "11689215", "11689512", "11.689.512"),
        ("11.689.215", "11689215", "689512", "689512"),  # 689.512 would be no whole one
        ("1,82 G", "1.82 G", "1.81 G", "1,81 G"),
        ("$1.8$ × 10⁹", "1.8e9", "1.81e9", "$1.81$ × 10⁹"),
        ("0.7613", "76.13", "76.2", "76.2"),  # of fractions: not as it stands there
        ("25.6 M", "25.6 M", "25600 K", "25600 K"),
    ):
        assert in_place_of(written, old, new) == text, written
