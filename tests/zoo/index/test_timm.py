"""timm's configurations as read from its source, against timm itself, imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.index import load_index
from zoo.index.entries import read_documents
from zoo.index.timm import TimmReader
from zoo.index.types import SourceText
from zoo.licenses import read_license, states_none


@pytest.fixture(scope="module")
def index():
    return load_index(["package:timm"])


def test_every_setting_is_the_one_that_timm_has(index):
    registry = pytest.importorskip("timm.models._registry")
    configured = registry._model_pretrained_cfgs
    numbers = {"crop_pct": "Crop Pct", "test_crop_pct": "Test Crop Pct", "num_classes": "Outputs"}
    others = {"interpolation": "Interpolation", "crop_mode": "Crop Mode", "hf_hub_id": "Hub"}
    others |= {"url": "Weights", "license": "License", "mean": "Mean", "std": "Std"}
    sizes = {"input_size": "Image Size", "test_input_size": "Test Image Size"}
    sizes |= {"min_input_size": "Min Image Size", "pool_size": "Pool Size"}
    compared = 0
    for variant in index.variants:
        if variant.name not in configured:
            continue  # no function of timm builds it
        cfg, value = configured[variant.name], {c.field: c.value for c in variant.claims}
        for key, field in numbers.items():
            wanted = getattr(cfg, key)
            assert value.get(field) is None if wanted is None else float(value[field]) == wanted
        for key, field in others.items():
            assert value.get(field) == (getattr(cfg, key) or None), (variant.name, field)
        for key, field in sizes.items():
            wanted = getattr(cfg, key)
            assert value.get(field) == (wanted and tuple(wanted[-2:])), (variant.name, field)
        for key, field in {"first_conv": "First Conv", "classifier": "Classifier"}.items():
            wanted = getattr(cfg, key)
            names = (wanted,) if isinstance(wanted, str) else wanted and tuple(wanted)
            assert value.get(field) == (names or None), (variant.name, field)
        assert (value["Sizes"] == "fixed") == cfg.fixed_input_size
        compared += 1
    assert compared > 1900
    # All that is left out is said, and nothing else is wrong.
    assert not index.unusable
    assert {p.cause for p in index.problems} == {"schema.not-literal"}
    said = {Path(p.location.file).stem for p in index.problems}
    tagged = {name for name in configured if "." in name}
    missing = tagged - {v.name for v in index.variants}
    assert {configured[name].architecture.partition("_")[0] for name in missing} <= {
        family.partition("_")[0] for family in said
    } | {"vit"}


SOURCE = '''
from timm.data import IMAGENET_INCEPTION_MEAN
SIDE = 2 * 112
def _base(url='', *, crop=7 / 8, **kwargs):
    """Settings."""
    size = (3, SIDE, SIDE)
    return dict({'url': url, 'input_size': size, 'crop_pct': crop}, **kwargs)
@register_model
def thing(pretrained=False):
    broken = (
default_cfgs = generate_default_cfgs({
    'thing.a*': _base('https://x.org/a.pth', mean=IMAGENET_INCEPTION_MEAN, first_conv=('a', 'b')),
    f'thing.{"b"}': _base(crop=.9, hf_hub_id='timm/', fixed_input_size=True),
    'thing.c': _base(crop=unknown()),
    **{'thing.d': _base(num_classes=0)},
})
'''.replace("    broken = (\n", "    pass\n")


def test_small_functions_are_followed_and_what_is_not_literal_is_said(index):
    models = Path(index.files[0]).parent
    reader = TimmReader(models / "thing.py", {"crop_mode": "center"})
    contents = read_documents(SourceText("thing.py", SOURCE), reader.read(SOURCE))
    found = {v.name: {c.field: c for c in v.claims} for v in contents.variants}
    assert list(found) == ["thing.a", "thing.b", "thing.d"]
    first = found["thing.a"]
    assert first["Image Size"].value == (224, 224)
    assert first["Mean"].value == (0.5, 0.5, 0.5)
    assert first["First Conv"].value == ("a", "b")
    assert float(first["Crop Pct"].value) == 0.875
    lines = SOURCE.splitlines()

    def written(claim):
        return lines[claim.location.line - 1][claim.location.column - 1 :]

    assert written(first["Weights"]).startswith("'https://x.org/a.pth'")
    assert written(first["Mean"]).startswith("IMAGENET_INCEPTION_MEAN")
    assert written(first["Image Size"]).startswith("(3, SIDE, SIDE)")
    assert written(found["thing.b"]["Crop Pct"]).startswith(".9")
    assert found["thing.b"]["Hub"].value == "timm/thing.b"
    assert found["thing.b"]["Sizes"].value == "fixed"
    assert found["thing.d"]["Outputs"].value == 0
    (problem,) = contents.problems
    assert "unknown()" in problem.message
    assert problem.location.line == lines.index("    'thing.c': _base(crop=unknown()),") + 1


def test_every_license_that_timm_states_is_known(index):
    stated = {claim.raw for v in index.variants for claim in v.claims_of("License")}
    assert len(stated) > 10
    assert [t for t in stated if not states_none(t) and read_license(t) is None] == []
