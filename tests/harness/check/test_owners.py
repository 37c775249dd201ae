"""Whose a file or a size is that several entries document, and what contradicts what."""

from __future__ import annotations

import time

import pytest

from harness.check.contradiction import Documented, conflict_among
from harness.check.shared import SIZE_CHECK, URL_CHECK, find_sizes, find_urls
from harness.check.weights_name import INSECURE
from harness.types import Measurement
from zoo.index import load_index


def model(name, url=None, metrics=None, dataset="COCO", task="Object Detection", **metadata):
    lines = [f"- Name: {name}"]
    if metadata:
        lines += ["  Metadata:"]
        lines += [f"    {key.replace('_', ' ')}: {value}" for key, value in metadata.items()]
    if url:
        lines.append(f"  Weights: {url if '://' in url else f'https://example.org/{url}'}")
    if metrics:
        lines += ["  Results:", f"  - Task: {task}"]
        lines += [f"    Dataset: {dataset}"] if dataset else []
        lines += ["    Metrics:", *(f"      {key}: {value}" for key, value in metrics.items())]
    return "\n".join(lines) + "\n"


def statuses(findings):
    return {f.variant: (f.status, f.cause) for f in findings}


MATCH = ("match", None)
ERROR = ("mismatch", "weights.shared-url")
NOTE = ("mismatch", "weights.shared-checkpoint")

DIFFER = [
    ({"AP": 40.1}, {"AP": 42.3}),
    ({"mIoU": "77.1%"}, {"mIoU": "78.0 %"}),
    ({"PCK@0.2": 0.881}, {"PCK@0.2": 0.891}),
    ({"box AP": 37.2, "mask AP": 34.1}, {"box AP": 37.2, "mask AP": 35.0}),
    ({"EPE": "'3.5 (flip)'"}, {"EPE": "'4.1 ± 0.1'"}),
    ({"AP": "{small: 20.1, large: 50.0}"}, {"AP": "{small: 20.1, large: 52.0}"}),
    ({"AP50": "[60.1, 70.2]"}, {"AP50": "[60.1, 70.9]"}),
]
AGREE = [
    ({"AP": 40.1}, {"AP": 40.14}),
    ({"mIoU": "77.1%"}, {"mIoU": "77.1"}),
    ({"PCK": 0.881}, {"PCK": "88.1%"}),
    ({"AP": 40.1}, {"AR": 50.2}),
    ({"Remark": "good"}, {"Remark": "better"}),
    ({"AP": "{small: 20.1, large: 50.0}"}, {"AP": "{large: 50.0, small: 20.1}"}),
    ({"EPE": 1.02}, {"EPE": 1}),
]


@pytest.mark.parametrize("dataset", ["COCO", None])
def test_every_numeric_metric_is_compared(dataset, load):
    for cases, expected in ((DIFFER, ERROR), (AGREE, NOTE)):
        for one, other in cases:
            index = load(
                "Models:\n"
                + model("first", "w.pth", one, dataset)
                + model("second", "w.pth", other, dataset)
            )
            found = statuses(URL_CHECK.find(index, index.variants))
            assert found == {"first": expected, "second": expected}, (one, other)


def test_what_is_no_metric_contradicts_nothing(load):
    index = load(
        "Models:\n"
        + model("first", "w.pth", {"AP": 1.5}, Epochs=10, **{"Training_Memory_(GB)": 3.1})
        + model("second", "w.pth", {"AP": 1.5}, Epochs=20, **{"Training_Memory_(GB)": 5.1})
    )
    assert statuses(URL_CHECK.find(index, index.variants)) == {"first": NOTE, "second": NOTE}


def test_one_checkpoint_evaluated_in_two_ways(load):
    """At two image sizes, or by two protocols that the names say, it has two accuracies."""
    pairs = [
        (("net", {"Image_Size": 224}), ("net_big", {"Image_Size": 288})),
        (("base_cub_5way-1shot", {}), ("base_cub_5way-5shot", {})),
        (("sort_mot17-public-half", {}), ("sort_mot17-private-half", {})),
    ]
    for (one, said), (other, too) in pairs:
        index = load(
            "Models:\n"
            + model(one, "w.pth", {"Accuracy": 60.1}, **said)
            + model(other, "w.pth", {"Accuracy": 62.5}, **too)
        )
        assert set(statuses(URL_CHECK.find(index, index.variants)).values()) == {NOTE}


@pytest.mark.parametrize(
    ("file", "owner", "other"),
    [
        ("vit-base-p16_k400_20230510-3e7f93b2.pth", "vit-base-p16_k400", "vit-small-p16_k400"),
        ("resnet50_a1_0-14fe96d1.pth", "resnet50_a1", "resnet50"),
        ("tsn_r50_8xb32-1x1x3-100e_20220906-65ed814e.pth", "tsn_r50_8xb32-1x1x3-100e",
         "tsn_r50_32xb8-1x1x8-50e"),
        ("net101-22405ba7.pth", "net101e", "net200e"),
    ],
)  # fmt: skip
def test_the_files_name_tells_whose_it_is(file, owner, other, load):
    index = load("Models:\n" + model(other, file, {"AP": 40.1}) + model(owner, file, {"AP": 42.1}))
    found = {f.variant: f for f in URL_CHECK.find(index, index.variants)}
    assert statuses(found.values()) == {owner: MATCH, other: ERROR}
    assert other in found[owner].message
    assert f"the file is {owner}'s" in found[other].message


def test_names_and_numbers_that_tell_of_different_variants_tell_nothing(load):
    index = load(
        "Models:\n"
        + model("net50", "net50-22405ba7.pth", Parameters=9_000_123, File_Size=80_500_000)
        + model("net80", "net50-22405ba7.pth", Parameters=20_000_123, File_Size=80_500_000)
    )
    assert statuses(URL_CHECK.find(index, index.variants)) == {"net50": ERROR, "net80": ERROR}


def test_the_seed_pages_file_is_resnest101es(seed_index):
    index = load_index([seed_index])
    for check, cause in ((URL_CHECK, "weights.shared-url"), (SIZE_CHECK, "size.shared")):
        found = statuses(check.find(index, index.variants))
        assert found == {"resnest101e": MATCH, "resnest200e": ("mismatch", cause)}


def fact(kind, name, value):
    return Measurement(kind, name, "timm", value, None, "", {}, "meta", "")


def test_one_network_at_two_resolutions_may_share_a_size(load, on_meta):
    """By their names in an audit; by the built models in a run, which also tells whose it isn't."""
    timm = pytest.importorskip("timm")
    from harness.measure.structure import structure

    names = ("tresnet_m", "tresnet_m_448", "tresnet_l")
    counts, sides = (41_282_200, 29_278_464, 55_990_000), (224, 448, 224)
    index = load(
        "Models:\n"
        + "".join(
            model(name, Parameters=count, File_Size=125_861_314, Image_Size=side)
            for name, count, side in list(zip(names, counts, sides, strict=True))
        )
    )
    pair = index.variants[:2]
    audited = {f.variant: f for f in SIZE_CHECK.find(index, pair)}
    assert {f.severity for f in audited.values()} == {"note"}
    facts = {}
    for variant in index.variants:
        built = on_meta(timm.create_model, variant.name)
        facts[id(variant)] = {
            ("structure", None): fact("structure", variant.name, structure(built))
        }
    found = statuses(find_sizes(index, index.variants, facts))
    assert found == {
        "tresnet_m": MATCH,
        "tresnet_m_448": MATCH,
        "tresnet_l": ("mismatch", "size.shared"),
    }


def test_equal_bytes_under_two_urls(load):
    """By the documented SHA-256, by the names of the files, or once they are fetched."""
    whole = "cf984f9c" + "0" * 56
    ways = [
        (("a/x.pth", {"SHA256": f'"{whole}"'}), ("b/y.pth", {"SHA256": f'"{whole}"'})),
        (("a/x-cf984f9c.pth", {}), ("b/y-cf984f9c.pth", {})),
        (("a/x-cf984f9c.pth", {}), ("b/y.pth", {"SHA256": f'"{whole}"'})),
    ]
    for (one, said), (other, too) in ways:
        for counts, expected in (((5_000_001, 6_000_001), ERROR), ((5_000_001, 5_000_001), NOTE)):
            index = load(
                "Models:\n"
                + model("first", one, Parameters=counts[0], **said)
                + model("second", other, Parameters=counts[1], **too)
            )
            found = list(URL_CHECK.find(index, index.variants))
            assert statuses(found) == {"first": expected, "second": expected}
            assert all("cf984f9c" in f.message for f in found)
    index = load(
        "Models:\n"
        + model("first", "a.pth", {"AP": 1.5})
        + model("second", "b.pth", {"AP": 2.5})
        + model("third", "c.pth", {"AP": 3.5})
    )
    assert list(URL_CHECK.find(index, index.variants)) == []
    digests = (whole, whole, "1" * 64)
    facts = {
        id(v): {("file", None): fact("file", v.name, {"size": 9, "sha256": d})}
        for v, d in zip(index.variants, digests, strict=True)
    }
    found = statuses(find_urls(index, index.variants, facts))
    assert found == {"first": ERROR, "second": ERROR}


def test_first_digits_that_are_equal_by_chance(load):
    digests = ("cf984f9c" + "0" * 56, "cf984f9c" + "1" * 56)
    index = load(
        "Models:\n"
        + "".join(
            model(f"net{i}", f"{i}.pth", Parameters=5 + i, SHA256=f'"{digest}"')
            for i, digest in enumerate(digests)
        )
    )
    assert list(URL_CHECK.find(index, index.variants)) == []


def test_a_relative_path_is_one_file_in_one_folder(tmp_path):
    for i, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        text = model(f"net{i}", Parameters=5 + i) + "  Weights: weights/net.pth\n"
        (tmp_path / folder / "index.yml").write_text("Models:\n" + text)
    index = load_index([tmp_path / "one" / "index.yml", tmp_path / "two" / "index.yml"])
    assert len(index.variants) == 2
    assert list(URL_CHECK.find(index, index.variants)) == []


def test_plain_http_is_a_warning_of_its_own(load):
    urls = {
        "plain": "http://example.org/a.pth",
        "capitals": "HTTP://example.org/b.pth",
        "secure": "https://example.org/c.pth",
        "here": "http://127.0.0.1:8000/d.pth",
    }
    index = load("Models:\n" + "".join(model(name, url) for name, url in urls.items()))
    found = {f.variant: (f.severity, f.cause) for f in INSECURE.find(index, index.variants)}
    assert found == dict.fromkeys(("plain", "capitals"), ("warning", "weights.insecure-url"))
    # Of several files it is told which.
    stages = "[https://example.org/e.pth, http://example.org/f.pth]"
    index = load("Models:\n" + model("stages", stages))
    (finding,) = INSECURE.find(index, index.variants)
    assert "(here http://example.org/f.pth)" in finding.message


def test_many_lawful_aliases_take_time_in_proportion(load):
    def seconds(count):
        lines = [
            model(f"net50_v{i}", "net50-12345678.pth", {"AP": 40.1}, Parameters=25_000_000)
            for i in range(count)
        ]
        index = load("Models:\n" + "".join(lines))
        begun = time.process_time()
        found = list(URL_CHECK.find(index, index.variants))
        assert len(found) == count
        assert {f.cause for f in found} == {"weights.shared-checkpoint"}
        return time.process_time() - begun

    seconds(20)
    assert seconds(1600) < 8 * seconds(400) + 0.2


def test_a_contradiction_is_found_among_many(load):
    counts = [25_000_001] * 50 + [25_000_002] + [25_000_001] * 50
    index = load("Models:\n" + "".join(model(f"v{i}", Parameters=n) for i, n in enumerate(counts)))
    conflict = conflict_among(index.variants, Documented())
    assert conflict is not None
    assert "25,000,002" in conflict.words
