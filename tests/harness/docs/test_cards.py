"""Model cards: read by the Hub's own classes, and back as an index; nothing unmeasured."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
import yaml
from hostile import TEXTS
from huggingface_hub import ModelCard, parse_eval_result_entries

from zoo.index import load_index
from zoo.known_datasets import KNOWN, known_dataset

ROOT = Path(__file__).parents[3]
WHOLE = {"dataset": "imagenet-1k", "digest": "d", "of": 50_000, "images": 50_000}


def index_of(folder: Path, names, **metadata: object) -> None:
    """An index of these variants in a folder."""
    models = [
        {
            "Name": name,
            "Metadata": {"Image Size": 224, **metadata},
            "Results": [
                {
                    "Task": "Image Classification",
                    "Dataset": "ImageNet",
                    "Metrics": {"Top 1 Accuracy": "99.99%", "Top 5 Accuracy": "99.99%"},
                }
            ],
        }
        for name in names
    ]
    (folder / "model-index.yml").write_bytes(
        yaml.safe_dump({"Models": models}, allow_unicode=True).encode()
    )


def report_of(folder: Path, names, **measured: object) -> Path:
    """A written report in which all of these variants were measured alike."""
    given = {"parameters": 27_483_240, "image_size": [224, 224], "flops": {"macs": 5_371_160_576}}
    variants = [
        {"name": name, "collection": None, "builder": "zoo", "measurements": given | measured}
        for name in names
    ]
    document = {"schema": 1, "environment": {"zoo": "0.1.0"}, "variants": variants, "findings": []}
    (folder / "reports").mkdir(exist_ok=True)
    (folder / "reports/report.json").write_text(json.dumps(document))
    return folder / "reports"


def front(path: Path) -> dict:
    return yaml.safe_load(path.read_text().split("---\n")[1])


@pytest.mark.slow
def test_cards_of_this_zoo_are_read_by_the_hub_and_back_as_an_index(zoo, tmp_path, caplog):
    index = ("--index", ROOT / "model-index", "--report", ROOT / "reports")
    url = "https://example.org/zoo/report"
    done = zoo("cards", *index, "--output", "cards", "--report-url", url)
    assert (done.returncode, done.stdout.count("README.md")) == (0, 11)
    report = json.loads((ROOT / "reports/report.json").read_text())
    for variant in report["variants"]:
        with caplog.at_level(logging.WARNING):
            card = ModelCard.load(tmp_path / "cards" / variant["name"] / "README.md")
        measured = variant["measurements"]
        assert not caplog.records
        assert card.data.model_name == variant["name"]
        results = card.data.eval_results
        assert [r.metric_value for r in results] == [
            pytest.approx(measured[key] / 100) for key in ("top1", "top5") if measured[key]
        ]
        for result in results:  # Twenty images are not the dataset.
            assert (result.metric_args["images"], result.source_url) == (20, url)
            low, high = result.metric_args["interval"]
            assert low < result.metric_value <= high
            assert high - low > 0.05
            assert "20 of 50,000 images" in result.dataset_name
            assert result.dataset_type != "imagenet-1k"
        assert f"- Parameters: {measured['parameters']:,}\n" in card.text
        assert not (tmp_path / "cards" / variant["name"] / ".eval_results").exists()
    audited = zoo("audit", "cards", "--format", "json")
    assert (audited.returncode, json.loads(audited.stdout)["findings"]) == (0, [])
    verified = json.loads(
        zoo("verify", "resnest14d", "--index", "cards", "--offline", "--format", "json").stdout
    )
    found = {(f["field"], f["status"]) for f in verified["findings"]}
    assert found == {("Parameters", "match"), ("FLOPs", "match")}


def test_what_is_documented_is_in_no_metadata(zoo, tmp_path):
    index_of(tmp_path, ["net"], **{"Parameters": 123_456})
    report_of(tmp_path, ["net"], parameters=None, flops={}, evaluations=[])
    report = json.loads((tmp_path / "reports/report.json").read_text())
    at = next(load_index([tmp_path / "model-index.yml"]).variants[0].claims_of("Top 1 Accuracy"))
    place = {"file": "model-index.yml", "line": at.location.line, "column": at.location.column}
    undecided = {"variant": "net", "field": "Top 1 Accuracy", "check": "accuracy"}
    undecided |= {"status": "unverified", "severity": None, "cause": "accuracy.no-data"}
    undecided |= {"documented": "99.99%", "measured": 99.5, "message": "m", "location": place}
    report["findings"] = [undecided]
    (tmp_path / "reports/report.json").write_text(json.dumps(report))
    assert zoo("cards", "--output", "c", "--report", "reports").returncode == 0
    text = (tmp_path / "c/net/README.md").read_text()
    assert front(tmp_path / "c/net/README.md")["model-index"] == [{"name": "net", "results": []}]
    measured, documented = text.split("## Measured")[1].split("## Documented")
    assert "Nothing has been measured yet." in measured
    assert "Measured with" not in measured
    assert "123456" not in measured
    assert "| Top 1 Accuracy (ImageNet) | 99.99% | - | not checked |" in documented
    assert "| Parameters | 123456 | - | not checked |" in documented
    [variant] = load_index([tmp_path / "c"]).variants
    assert [claim.field for claim in variant.claims] == ["Name"]


def test_a_finding_follows_its_claim_and_says_nothing_of_another(zoo, tmp_path):
    index = tmp_path / "model-index.yml"
    index_of(tmp_path, ["net"], **{"Parameters": 27_480_000})
    report_of(tmp_path, ["net"], evaluations=[])
    path = tmp_path / "reports/report.json"
    report = json.loads(path.read_text())
    [variant] = load_index([index]).variants
    report["findings"] = [
        {
            **{"variant": "net", "field": claim.field, "check": "c", "documented": claim.raw},
            **{"status": status, "severity": severity, "cause": None, "message": "m"},
            "measured": None,
            "location": {"file": "model-index.yml", "line": claim.location.line, "column": 1},
        }
        for claim in variant.claims_of("Parameters", "Top 1 Accuracy", "Top 5 Accuracy")
        for status, severity in [("match", None) if "P" in claim.field else ("mismatch", "error")]
    ]
    path.write_text(json.dumps(report))

    def stands() -> list[str]:
        assert zoo("cards", "--output", "c", "--report", "reports").returncode == 0
        rows = (tmp_path / "c/net/README.md").read_text().split("## Documented")[1].splitlines()
        return [row.split(" | ")[-1].strip(" |") for row in rows if row.startswith(("| P", "| T"))]

    found = stands()
    assert found[0] == "holds"
    assert all(word.startswith("differs") for word in found[1:])
    # Lines above move it; another number in its place was never measured.
    index.write_text("# moved\n\n" + index.read_text())
    assert stands() == found
    index.write_text(index.read_text().replace("27480000", "99990000"))
    assert stands() == ["not checked", *found[1:]]
    index.write_text(index.read_text().replace("Top 1 Accuracy: 99.99%", "Top 1 Accuracy: 80%"))
    table = zoo("table", "--report", "reports", "--columns", "top1-claimed,top5-claimed").stdout
    assert table.splitlines()[-1] == "| 80.00 % | 99.99 % (wrong) |"


def test_a_whole_benchmark_is_in_both_forms_of_the_hub(zoo, tmp_path):
    index_of(tmp_path, ["net"], License="BSD-3-Clause")
    evaluated = {**WHOLE, "top1": 80.966, "top5": 0.5}
    half = {**evaluated, "precision": "bf16", "against": {}}
    report_of(tmp_path, ["net"], evaluations=[evaluated, half])
    run = ("cards", "--output", "c", "--report", "reports", "--report-url", "https://e.org/r")
    assert zoo(*run).returncode == 0
    card = ModelCard.load(tmp_path / "c/net/README.md")
    assert [r.metric_value for r in card.data.eval_results] == [0.80966, 0.005]
    first = card.data.eval_results[0]
    assert (first.dataset_type, first.dataset_name) == ("imagenet-1k", "ImageNet-1k")
    assert first.metric_args["interval"] == [0.80966, 0.80966]
    assert card.data.license == "bsd-3-clause"
    text = (tmp_path / "c/net/.eval_results/imagenet-1k.yaml").read_text()
    [entry] = parse_eval_result_entries(yaml.safe_load(text))
    assert (entry.dataset_id, entry.value) == ("ILSVRC/imagenet-1k", 0.80966)
    assert (entry.source_url, "all of 50,000 images" in entry.notes) == ("https://e.org/r", True)
    [variant] = load_index([tmp_path / "c"]).variants
    assert [float(c.value) for c in variant.claims if c.unit == "percent"] == [80.966, 0.5]
    # More images than it has are another set.
    report_of(tmp_path, ["net"], evaluations=[{**evaluated, "images": 60_000, "of": 60_000}])
    assert zoo(*run).returncode == 0
    assert not (tmp_path / "c/net/.eval_results/imagenet-1k.yaml").exists()
    assert ModelCard.load(tmp_path / "c/net/README.md").data.eval_results[0].dataset_type != (
        "imagenet-1k"
    )
    report_of(tmp_path, ["net"], evaluations=[evaluated])
    assert zoo(*run).returncode == 0
    # What is no longer measured is no longer stated.
    report_of(tmp_path, ["net"], evaluations=[])
    assert zoo(*run).returncode == 0
    assert not (tmp_path / "c/net/.eval_results/imagenet-1k.yaml").exists()
    assert "metrics" not in front(tmp_path / "c/net/README.md")


def test_an_input_size_that_is_wrong_is_no_claim_of_a_card(zoo, tmp_path):
    index_of(tmp_path, ["net"])
    report_of(tmp_path, ["net"])
    claim = load_index([tmp_path / "model-index.yml"]).variants[0].effective("Image Size")
    place = {"file": "model-index.yml", "line": claim.location.line}
    wrong = {"variant": "net", "field": "Image Size", "check": "preprocess", "status": "mismatch"}
    wrong |= {"severity": "warning", "cause": "preprocess.differs", "documented": "224"}
    wrong |= {
        "measured": "288",
        "message": "m",
        "location": {**place, "column": claim.location.column},
    }
    report = json.loads((tmp_path / "reports/report.json").read_text())
    for findings in ([], [wrong]):
        report["findings"] = findings
        (tmp_path / "reports/report.json").write_text(json.dumps(report))
        assert zoo("cards", "--output", "c", "--report", "reports").returncode == 0
        assert "5,371,160,576" in (tmp_path / "c/net/README.md").read_text()
        [variant] = load_index([tmp_path / "c"]).variants
        sized = {"Image Size", "FLOPs"} & {each.field for each in variant.claims}
        assert sized == (set() if findings else {"Image Size", "FLOPs"})


@pytest.mark.slow
def test_images_are_called_what_they_are(zoo, tmp_path):
    """A name that means a whole dataset is for all of its images, evaluated as usual."""
    for changes, title, kind in (
        ({"images": 27_000}, "ImageNet-1k (27,000 of 50,000 images)", "imagenet-1k-27000-images"),
        ({"setting": "288x288"}, "ImageNet-1k (288x288)", "imagenet-1k"),
        ({"dataset": None, "of": 300, "images": 300}, "images of no known dataset", None),
        ({"dataset": "imagenet-r", "of": 30_000, "images": 30_000}, "imagenet-r", "imagenet-r"),
    ):
        index_of(tmp_path, ["net"])
        report_of(tmp_path, ["net"], evaluations=[{**WHOLE, "top1": 80.0, "top5": 95.0, **changes}])
        assert zoo("cards", "--output", "c", "--report", "reports").returncode == 0
        [first, _] = ModelCard.load(tmp_path / "c/net/README.md").data.eval_results
        assert (first.dataset_name, first.dataset_type) == (title, kind or first.dataset_type)
        assert not (tmp_path / "c/net/.eval_results/imagenet-1k.yaml").exists()
        [variant] = load_index([tmp_path / "c"]).variants
        known = {known_dataset(c.dataset) for c in variant.claims if c.unit == "percent"}
        assert known == ({KNOWN["imagenet-r"]} if "-r" in title else {None})


@pytest.mark.slow
def test_licenses_are_the_hubs_or_are_named_as_others(zoo, tmp_path):
    for license, wanted in {
        "Apache-2.0": "apache-2.0",
        "Apache License, Version 2.0": "apache-2.0",
        "https://opensource.org/licenses/MIT": "mit",
        "CC BY-NC 4.0": "cc-by-nc-4.0",
        "GPL-3.0-or-later": "gpl-3.0",
        "ODbL-1.0": "odbl",
        "BSD": "bsd",
        "deepfloyd-if-license": "deepfloyd-if-license",
        "MIT OR Apache-2.0": ("other", "mit-or-apache-2.0-license"),
        "dinov3-license": ("other", "dinov3-license"),
        'Our own: "x"\n---\nevil: 1': ("other", "our-own-x-evil-1-license"),
        "\u7684": ("other", "own-license"),
    }.items():
        index_of(tmp_path, ["net"], License=license)
        report_of(tmp_path, ["net"])
        assert zoo("cards", "--output", "c", "--report", "reports").returncode == 0, license
        data = front(tmp_path / "c/net/README.md")
        found = tuple(v for k, v in data.items() if k.startswith("license"))
        assert found == (wanted if isinstance(wanted, tuple) else (wanted,)), license
        audited = json.loads(zoo("audit", "c", "--format", "json").stdout)
        assert [f for f in audited["findings"] if f["status"] != "match"] == [], license
    index_of(tmp_path, ["net"], License="unknown")
    done = zoo("cards", "--output", "c", "--report", "reports")
    assert "license" not in front(tmp_path / "c/net/README.md")
    assert "net: no License in the index, and none on the card" in done.stderr


@pytest.mark.slow
def test_hostile_names_stay_in_the_folder_and_are_read_back(zoo, tmp_path):
    paths = (
        "../../out",
        "/etc/x",
        "a/b",
        "..",
        ".",
        ".git",
        "CON",
        "net.git",
        "net",
        "Net",
        "n" * 300,
    )
    names = [
        name for name in dict.fromkeys((*TEXTS, *paths)) if name.strip() and "\ud800" not in name
    ]
    index_of(tmp_path, names)
    report_of(tmp_path, names, evaluations=[{**WHOLE, "top1": 80.0, "top5": 95.0}])
    before = set(tmp_path.rglob("*"))
    done = zoo("cards", "--output", "c", "--report", "reports")
    assert done.returncode == 0, done.stderr
    made = set(tmp_path.rglob("*")) - before - {tmp_path / "c"}
    assert all((tmp_path / "c") in path.parents or "cache" in path.parts for path in made)
    folders = [path.name for path in (tmp_path / "c").iterdir()]
    assert len({name.lower() for name in folders}) == len(names)
    read = load_index([tmp_path / "c"])
    wanted = {variant.name for variant in load_index([tmp_path / "model-index.yml"]).variants}
    assert {variant.name for variant in read.variants} == wanted
    assert [p for p in read.problems if p.field != "Name"] == []
    for folder in folders:
        assert ModelCard.load(tmp_path / "c" / folder / "README.md").data.license is None


def test_a_name_that_yaml_takes_for_something_else_is_read_back(zoo, tmp_path):
    odd = "1e3 1E-3 0o7 0x10 null ~ true Off 2024-01-01 1_0 12:30 .5 .inf = <<"
    names = odd.split(" ")
    text = "".join(f"- Name: {name!r}\n  Metadata: {{Parameters: 5}}\n" for name in names)
    (tmp_path / "model-index.yml").write_text(f"Models:\n{text}")
    assert zoo("cards", "--all", "--output", "c").returncode == 0
    read = load_index([tmp_path / "c"])
    assert {variant.name for variant in read.variants} == set(names)
    assert read.problems == ()


def test_a_file_of_others_is_left_as_it_is(zoo, tmp_path):
    index_of(tmp_path, ["net", "other"])
    report_of(tmp_path, ["net", "other"])
    run = ("cards", "--output", "c", "--report", "reports")
    mine = tmp_path / "c/other/README.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = zoo(*run)
    assert (done.returncode, mine.read_text()) == (2, "mine")
    assert "was not written by zoo cards" in done.stderr
    assert not (tmp_path / "c/net").exists()
    mine.unlink()
    mine.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    mine.parent.symlink_to(tmp_path / "elsewhere")
    assert (zoo(*run).returncode, list((tmp_path / "elsewhere").iterdir())) == (2, [])
    mine.parent.unlink()
    assert zoo(*run).stdout.count("README.md") == 2
    again = zoo(*run)
    assert (again.stdout, "2 cards, up to date" in again.stderr) == ("", True)


def test_without_huggingface_hub_it_is_one_line(zoo, tmp_path, monkeypatch):
    index_of(tmp_path, ["net"])
    report_of(tmp_path, ["net"])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    done = zoo("cards", "--output", "c", "--report", "reports")
    assert (done.returncode, "pip install" in done.stderr) == (2, True)
    assert not (tmp_path / "c").exists()
