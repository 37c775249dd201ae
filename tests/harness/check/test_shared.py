"""Weights URLs and file sizes that several variants document."""

from __future__ import annotations

import pytest

from harness.check.shared import SIZE_CHECK, URL_CHECK
from zoo.index import load_index

HEAD = "Models:\n"


def entry(name, *, url=None, metadata=(), results=()):
    lines = [f"- Name: {name}"]
    if metadata:
        lines += ["  Metadata:", *(f"    {line}" for line in metadata)]
    if url:
        lines.append(f"  Weights: https://example.org/{url}")
    if results:
        lines.append("  Results:")
        for task, dataset, metrics in results:
            lines += [f"  - Task: {task}", f"    Dataset: {dataset}", "    Metrics:"]
            lines += [f"      {line}" for line in metrics]
    return "\n".join(lines) + "\n"


def imagenet(*metrics):
    return [("Image Classification", "ImageNet", metrics)]


def pair(one, other):
    return HEAD + entry("one", url="a.pth", **one) + entry("other", url="a.pth", **other)


def test_of_the_head_of_a_hash_nobody_knows_the_rest(load):
    digits = "8a719046" + "3" * 56
    for one, other, words in (
        (digits, digits[:8], f"the same SHA-256 ({digits[:16]}...) under"),
        (digits[:8], digits[:8], "a SHA-256 that begins alike (8a719046) under"),
        (digits[:20], digits[:9], f"a SHA-256 that begins alike ({digits[:20]}) under"),
    ):
        text = HEAD
        for name, said in (("vgg11", one), ("vgg11_bn", other)):
            text += entry(name, url=f"{name}.pth", metadata=[f"SHA256: '{said}'"])
        index = load(text)
        found = list(URL_CHECK.find(index, index.variants))
        assert [f.cause for f in found] == ["weights.shared-checkpoint"] * 2
        assert all(words in f.message for f in found), found[0].message


CONTRADICTIONS = {
    "parameters": (
        {"metadata": ["Parameters: 48280000"]},
        {"metadata": ["Parameters: 70200000"]},
        "48,280,000 Parameters",
    ),
    "a last digit of the parameters": (
        {"metadata": ["Parameters: 48275016"]},
        {"metadata": ["Parameters: 48275017"]},
        "48,275,017",
    ),
    "file size": (
        {"metadata": ["Parameters: 5", "File Size: 1000"]},
        {"metadata": ["Parameters: 5", "File Size: 1001"]},
        "of 1,001",
    ),
    "a metric": (
        {"results": imagenet("Top 1 Accuracy: 80.1%")},
        {"results": imagenet("Top 1 Accuracy: 80.2%")},
        "80.2%",
    ),
    "the second metric": (
        {"results": imagenet("Top 1 Accuracy: 80.1%", "Top 5 Accuracy: 95.1%")},
        {"results": imagenet("Top 1 Accuracy: 80.1%", "Top 5 Accuracy: 95.3%")},
        "95.3%",
    ),
}
AGREEMENTS = {
    "nothing is documented": ({}, {}),
    "the same parameters": (
        {"metadata": ["Parameters: 48280000"]},
        {"metadata": ["Parameters: 48280000"]},
    ),
    "the same, rounded": (
        {"metadata": ["Parameters: 48275016"]},
        {"metadata": ["Parameters: 48.3M"]},
    ),
    "one says nothing": ({"metadata": ["Parameters: 48280000", "File Size: 1000"]}, {}),
    "the same accuracy, rounded": (
        {"results": imagenet("Top 1 Accuracy: 80.14%")},
        {"results": imagenet("Top 1 Accuracy: 80.1%")},
    ),
    "another data set": (
        {"results": imagenet("Top 1 Accuracy: 80.1%")},
        {"results": [("Image Classification", "CIFAR-10", ["Top 1 Accuracy: 90.1%"])]},
    ),
    "another task": (
        {"results": imagenet("Top 1 Accuracy: 80.1%")},
        {"results": [("Retrieval", "ImageNet", ["Top 1 Accuracy: 90.1%"])]},
    ),
    "another metric": (
        {"results": imagenet("Top 1 Accuracy: 80.1%")},
        {"results": imagenet("Top 5 Accuracy: 90.1%")},
    ),
    "other FLOPs": ({"metadata": ["FLOPs: 5000"]}, {"metadata": ["FLOPs: 7000"]}),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_sharers_that_contradict_each_other(case, load):
    one, other, said = CONTRADICTIONS[case]
    index = load(pair(one, other))
    found = list(URL_CHECK.find(index, index.variants))
    assert [(f.variant, f.severity, f.cause) for f in found] == [
        ("one", "error", "weights.shared-url"),
        ("other", "error", "weights.shared-url"),
    ]
    assert all(said in f.message for f in found)
    assert "other" in found[0].message
    assert found[0].documented == "https://example.org/a.pth"
    assert found[0].location == index.variants[0].claim("Weights").location


@pytest.mark.parametrize("case", AGREEMENTS)
def test_sharers_that_do_not(case, load):
    index = load(pair(*AGREEMENTS[case]))
    found = list(URL_CHECK.find(index, index.variants))
    assert [(f.severity, f.cause) for f in found] == [("note", "weights.shared-checkpoint")] * 2


def test_two_of_three_contradict_each_other_and_all_are_told(load):
    text = HEAD + "".join(
        entry(name, url="a.pth", metadata=[f"Parameters: {n}"] if n else [])
        for name, n in (("a", 10), ("b", 0), ("c", 20))
    )
    index = load(text)
    found = list(URL_CHECK.find(index, index.variants))
    assert {f.variant: f.severity for f in found} == dict.fromkeys("abc", "error")


def test_only_the_variants_asked_about_are_told_of_all_sharers(load):
    one, other, _ = CONTRADICTIONS["parameters"]
    index = load(pair(one, other) + entry("alone", url="b.pth"))
    assert [f.variant for f in URL_CHECK.find(index, index.variants[:1])] == ["one"]
    assert list(URL_CHECK.find(index, index.variants[2:])) == []


SIZE = "File Size: 193782911"
SMALL, LARGE = "Parameters: 48280000", "Parameters: 70200000"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ([SIZE, SMALL], [SIZE, LARGE], True),
        ([SIZE, SMALL], [SIZE, SMALL], False),
        ([SIZE, SMALL], ["File Size: 193782912", LARGE], False),
        (["File Size: 194 MB", SMALL], ["File Size: 194 MB", LARGE], False),
        ([SIZE, SMALL], [SIZE], False),
    ],
    ids=["other parameters", "same parameters", "other size", "rounded by chance", "unknown"],
)
def test_shared_sizes(one, other, told, load):
    index = load(HEAD + entry("one", metadata=one) + entry("other", metadata=other))
    found = [(f.variant, f.status, f.cause) for f in SIZE_CHECK.find(index, index.variants)]
    right, wrong = ("one", "match", None), ("other", "mismatch", "size.shared")
    assert found == ([right, wrong] if told else [])


def test_the_pages_of_other_zoos(shared_corpus):
    """What is wrong there is one entry with the weights and the size of its sibling."""
    index = load_index([shared_corpus / "timm-docs", shared_corpus / "mmpretrain"])
    assert len(index.variants) > 100
    for check in (URL_CHECK, SIZE_CHECK):
        found = {f.variant: f.status for f in check.find(index, index.variants)}
        assert found == {
            "efficientnet_b2a": "mismatch",
            "efficientnet_b3": "match",
            "efficientnet_b3a": "match",
        }


def test_two_results_on_one_data_set_contradict_only_where_none_agrees(tmp_path):
    """One checkpoint at two crops: each sharer states both results."""
    from harness.check.shared import find_urls
    from zoo.index import load_index

    def model(name, *accuracies):
        results = "".join(
            f"  - Task: Image Classification\n    Dataset: ImageNet\n"
            f"    Metrics:\n      Top 1 Accuracy: {value}%\n"
            for value in accuracies
        )
        url = "https://example.org/net-12345678.pth"
        return f"- Name: {name}\n  Weights: {url}\n  Results:\n{results}"

    path = tmp_path / "index.yml"
    path.write_text("Models:\n" + model("a", "80.0", "81.0") + model("b", "80.0", "81.0"))
    index = load_index([path])
    assert [f.cause for f in find_urls(index, index.variants)] == ["weights.shared-checkpoint"] * 2
    path.write_text("Models:\n" + model("a", "80.0", "81.0") + model("b", "80.0", "79.0"))
    index = load_index([path])
    assert [f.cause for f in find_urls(index, index.variants)] == ["weights.shared-url"] * 2


def test_a_file_on_the_hub_is_one_by_all_its_names(load):
    names = ("hf-hub:org/net", "hf-hub:org/net@main", "hf-hub:org/net/model.safetensors")
    names += ("https://huggingface.co/org/net/resolve/main/model.safetensors",)
    for one in names:
        for other, causes in (*((each, ["weights.shared-url"] * 2) for each in names),
                              ("hf-hub:org/net@v1", []), ("hf-hub:org/net2", [])):  # fmt: skip
            text = HEAD
            for name, count, url in (("one", 48280000, one), ("other", 70200000, other)):
                text += entry(name, metadata=[f"Parameters: {count}"]) + f"  Weights: {url}\n"
            index = load(text)
            found = [f.cause for f in URL_CHECK.find(index, index.variants)]
            assert found == causes, (one, other)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        # 40 MB are ten million parameters at four bytes each.
        ((10_000_123, 8_000_123), ("is this variant's own", "size of one, so write")),
        ((9_900_123, 20_000_123), ("is this variant's own", "size of one, so write")),
        ((10_000_123, 9_500_123), ("each variant's own", "each variant's own")),
        ((30_000_123, 20_000_123), ("each variant's own", "each variant's own")),
    ],
)
def test_a_shared_size_is_said_to_be_whose_it_is(parameters, said, load):
    lines = ["Models:"]
    for name, count in zip(("one", "other"), parameters, strict=True):
        lines += [f"- Name: {name}", "  Metadata:", f"    Parameters: {count}"]
        lines += ["    File Size: 40123456"]
    index = load("\n".join([*lines, ""]))
    found = {f.variant: f.message for f in SIZE_CHECK.find(index, index.variants)}
    assert said[0] in found["one"]
    assert said[1] in found["other"]
