"""torchvision's metadata as read from its source, against torchvision itself, imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zoo.index import load_index, torchvision
from zoo.index.nodes import Mapping, UnreadableIndex
from zoo.index.torchvision import TorchvisionReader

SPEC = "package:torchvision"


@pytest.fixture(scope="module")
def index():
    return load_index([SPEC])


@pytest.fixture(scope="module")
def weights():
    """Every entry of the weights of every classifier, as torchvision's registry has them."""
    from torchvision import models

    return {
        f"{name}.{entry.name}": entry
        for name in models.list_models(module=models)
        for entry in models.get_model_weights(name)
    }


def test_every_entry_of_every_classifier_is_a_variant(index, weights):
    assert sorted(v.name for v in index.variants) == sorted(weights)
    assert len(weights) > 100
    assert not [str(p) for p in index.problems]
    assert not index.unusable


def test_every_number_is_the_one_that_torchvision_has(index, weights):
    for variant in index.variants:
        entry = weights[variant.name]
        value = {c.field: c.value for c in variant.claims}
        assert value["Parameters"] == entry.meta["num_params"], variant.name
        assert value["Weights"] == entry.url
        assert value["FLOPs Convention"] == "torchvision"
        flops, size = value["FLOPs"], value["File Size"]
        assert flops == round(entry.meta["_ops"] * 1e9)
        assert size == round(entry.meta["_file_size"] * 2**20)
        transform = entry.transforms()
        (crop,), (resize,) = transform.crop_size, transform.resize_size
        assert value["Image Size"] == (crop, crop)
        assert float(str(value["Crop Pct"])) == pytest.approx(crop / resize, abs=1e-15)
        assert value["Interpolation"] == transform.interpolation.value
        assert value["Mean"] == tuple(transform.mean)
        assert value["Std"] == tuple(transform.std)
        (metrics,) = entry.meta["_metrics"].values()
        for field, name in (("Top 1 Accuracy", "acc@1"), ("Top 5 Accuracy", "acc@5")):
            if metrics[name] == metrics[name]:
                assert float(str(value[field])) == metrics[name]
            else:
                assert field not in value
        assert {c.dataset for c in variant.claims_of("Top 1 Accuracy")} <= {"ImageNet-1K"}


def test_rounded_numbers_claim_three_decimals(index):
    for variant in index.variants:
        flops, size = variant.claim("FLOPs"), variant.claim("File Size")
        assert flops.step == 10**6
        assert float(size.step or 0) == pytest.approx(2**20 / 1000)


def test_every_number_stands_where_it_is_said_to(index):
    lines: dict[str, list[str]] = {}
    for variant in index.variants:
        for field in ("Parameters", "FLOPs", "File Size", "Top 1 Accuracy"):
            for claim in variant.claims_of(field):
                where = claim.location
                text = lines.setdefault(where.file, Path(where.file).read_text().splitlines())
                assert text[where.line - 1][where.column - 1 :].startswith(claim.raw)
    assert len(lines) > 15


def test_sizes_are_in_units_of_two_to_the_twentieth(index):
    """A float32 file of those parameters would not fit into as many megabytes of a million."""
    from torchvision import models

    variant = next(v for v in index.variants if v.name == "resnet50.IMAGENET1K_V1")
    state = models.resnet50().state_dict()
    bare = sum(t.numel() * t.element_size() for t in state.values())
    claim = variant.claim("File Size")
    assert isinstance(claim.value, int)
    assert bare < claim.value < bare + 400 * len(state)


def test_torchvision_and_torch_are_not_imported():
    code = (
        "import sys; from zoo.index import load_index; "
        f"assert load_index([{SPEC!r}]).variants; "
        "sys.exit(bool({'torch', 'torchvision', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_another_or_a_missing_package_gets_one_line(monkeypatch):
    (other,) = load_index(["package:jax"]).problems
    assert str(other) == (
        "package:jax:1:1: is no package whose metadata is known; "
        "write package:torchvision or package:timm or package:mmpretrain or package:zoo"
    )
    (bare,) = load_index(["torchvision"]).problems
    assert bare.remedy.endswith("or package:torchvision for the installed package")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = load_index([SPEC])
    assert [str(p) for p in missing.problems] == [
        "package:torchvision:1:1: is not installed; install torchvision"
    ]
    assert missing.unusable == (SPEC,)


SOURCE = '''# ünïcode: 日本 before what is read
_MORE: dict = {**_MORE, "num_params": 7}
class Tiny_Weights(WeightsEnum):
    """日本"""; A = Weights(url=BASE + "x", transforms=partial(Other, crop_size=9), meta={"é": 1, **X, "num_params": 1_234, "_ops": f(), "_metrics": {"D": {"acc@1": -1 * 2, "acc@5": 50}}})
    DEFAULT = A
    B = Weights(transforms=partial(ImageClassification, crop_size=SIZE, std=(1, 1.0 / 4, 0.5)), meta={**_MORE, **_NONE})


@register_model(name="tiny_net")
def whatever(*, weights: Optional[Tiny_Weights] = None) -> Tiny: ...
'''  # noqa: E501


def documents(text):
    for document in TorchvisionReader("some/tiny.py", {}).read(text):
        assert isinstance(document, Mapping)
        yield document


def test_what_is_no_literal_is_absent(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.py").write_text(SOURCE)
    (tmp_path / "models/_api.py").write_text(SOURCE)
    monkeypatch.setattr(torchvision, "package_folder", lambda name: tmp_path)
    index = load_index([SPEC])
    assert not [str(p) for p in index.problems]
    said = {v.name: {c.field: (c.raw, c.value) for c in v.claims} for v in index.variants}
    assert said == {
        "tiny_net.A": {
            "Name": ("tiny_net.A", "tiny_net.A"),
            "In Collection": ("tiny", "tiny"),
            "Parameters": ("1_234", 1234),
            "Task": ("Image Classification", "Image Classification"),
            "Dataset": ("D", "D"),
            "Top 5 Accuracy": ("50", 50),
        },
        "tiny_net.B": {
            "Name": ("tiny_net.B", "tiny_net.B"),
            "In Collection": ("tiny", "tiny"),
            "Parameters": ("7", 7),
            "Std": ("1, 0.25, 0.5", (1.0, 0.25, 0.5)),
        },
    }
    parameters = index.variants[0].claim("Parameters")
    line = SOURCE.splitlines()[parameters.location.line - 1]
    assert line[parameters.location.column - 1 :].startswith("1_234")


def test_a_module_without_weights_holds_no_index():
    assert not list(documents("def resnet(): ...\n"))


def test_source_that_is_no_python_is_said_to_be():
    with pytest.raises(UnreadableIndex, match="no Python"):
        list(documents("class :\n"))
