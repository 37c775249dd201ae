"""The project's own variants with real weights on the 20 real images."""

from __future__ import annotations

from pathlib import Path

import pytest

# What the weights answer right of the 20, as an independent implementation has it too
# (`measure_accuracy` compares the logits); none of it is near the published percentage.
LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


@pytest.fixture(scope="module")
def verified(new_zoo, repository, tmp_path_factory):
    zoo = new_zoo(tmp_path_factory.mktemp("sample"))
    index = repository / "model-index" / "efficientnet-lite.yml"
    command = ("verify", "--all", "--index", index, "--format", "json")
    return {
        "with": zoo.call(*command, "--data", "sample"),
        "again": zoo.call(*command, "--data", "sample"),
        "without": zoo.call(*command),
        "table": zoo.call("verify", "--all", "--index", index, "--data", "sample"),
        "validate": zoo.call("validate", "--all", "--index", index, "--data", "sample"),
    }


def test_twenty_images_are_counted_and_decide_nothing(verified):
    outcome = verified["with"]
    for variant in outcome.document["variants"]:
        measured = variant["measurements"]
        assert measured["images"] == 20
        assert 80 <= measured["top1"] <= measured["top5"] <= 100
        assert measured["top1"] % 5 == measured["top5"] % 5 == 0
    found = [f for f in outcome.document["findings"] if "Accuracy" in f["field"]]
    assert [f["variant"] for f in found] == [name for name in LITE for _ in range(2)]
    by_name = {v["name"]: v["measurements"] for v in outcome.document["variants"]}
    for finding in found:
        assert (finding["status"], finding["cause"]) == ("unverified", "accuracy.undecided")
        assert finding["severity"] is None
        key = "top1" if finding["field"] == "Top 1 Accuracy" else "top5"
        assert finding["measured"] == by_name[finding["variant"]][key]
        assert f"{round(finding['measured'] / 5)} of 20 images are right" in finding["message"]
        assert "%; a handful of images can neither confirm nor refute it" in finding["message"]


def test_the_interval_is_wide_and_holds_what_was_published(verified):
    """Exact, for 50,000 images of which 20 were drawn: so wide that it excludes little."""
    found = verified["with"].document["findings"]
    for finding in (f for f in found if f["field"] == "Top 1 Accuracy"):
        words = finding["message"].split("the whole set has ")[1].split(" %")[0]
        low, high = map(float, words.split(" to "))
        assert low < float(finding["documented"].rstrip("%")) < high
        assert high - low > 40


def test_images_that_decide_nothing_leave_the_exit_status_alone(verified):
    assert verified["with"].status == verified["without"].status == 0, verified["with"].err
    causes = {f["cause"] for f in verified["without"].document["findings"] if f["cause"]}
    assert "accuracy.no-data" in causes


def test_what_was_counted_is_not_counted_again(verified):
    again = verified["again"]
    assert "nothing to build" in again.err
    assert again.document["environment"]["seconds"] < 2
    for key in ("variants", "findings", "summary"):
        assert again.document[key] == verified["with"].document[key]


def test_a_reader_sees_counts_and_interval(verified):
    table = " ".join(verified["table"].out.split())
    assert "18 of 20 images are right by top-1: the whole set has 48.28 to 99.92 %" in table


def test_what_would_check_it_is_the_command_that_ran(verified):
    for name, command in (("table", "zoo verify --all"), ("validate", "zoo validate --all")):
        said = " ".join(verified[name].out.split())
        _, _, after = said.partition("to check: ")
        assert after.startswith(command), name
        assert "--data DIR, where DIR holds the whole validation set" in after


def test_the_page_shows_what_the_command_prints_of_the_sample(repository, new_zoo, tmp_path):
    """In full where bf16 and fp16 round as on the page's machine."""
    text = (repository / "docs" / "accuracy.md").read_text("utf-8")
    command = "validate efficientnet_lite0 --data sample --precision off,bf16,fp16"
    assert f"`zoo {command}`" in text
    shown = text.partition(command)[2].partition("```text\n")[2].partition("\n```")[0].splitlines()
    index = repository / "model-index" / "efficientnet-lite.yml"
    out = new_zoo(tmp_path).call(*command.split(), "--index", index).out
    printed = out[out.index("variant  ") :].splitlines()
    assert (len(printed), printed[1].split()) == (len(shown), shown[1].split())
    for one, other in zip(printed, shown, strict=True):
        assert one.split()[:4] == other.split()[:4]
    if "avx512_bf16" in Path("/proc/cpuinfo").read_text():
        assert printed[:4] == shown[:4]
