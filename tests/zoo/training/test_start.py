"""What a training begins with: the weights that the given index names, of any variant it has."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cli import said

import zoo as library
from zoo.training import BadInput, Settings, train

INDEX = """\
Models:
- Name: mine
  Metadata:
    Base: efficientnet_lite0
    Classes: 7
    Image Size: 32
  Weights: mine.pth
- Name: efficientnet_lite0
  Metadata:
    Image Size: 32
"""


@pytest.fixture
def mine(tmp_path) -> dict[str, torch.Tensor]:
    """Weights of seven classes that nobody has published, as a file beside an index."""
    torch.manual_seed(5)
    state = library.create_model("efficientnet_lite0", num_classes=7).state_dict()
    torch.save(state, tmp_path / "mine.pth")
    (tmp_path / "index.yml").write_text(INDEX)
    return state


def test_a_variant_of_another_index_is_fine_tuned_from_its_own_weights(mine, images, zoo, tmp_path):
    given = (
        "train", "mine", "--index", "index.yml", "--data", images, "--finetune", "--freeze",
        "--batch-size", "8", "--device", "cpu", "--output", "out", "--resume", "auto",
    )  # fmt: skip
    done = zoo(*given, "--max-steps", "2")
    assert done.returncode == 0, done.stderr
    trained = torch.load(tmp_path / "out" / "model.pth", weights_only=True)
    assert trained["_fc.weight"].shape == (3, 1280)
    for name, tensor in mine.items():
        if not name.startswith("_fc."):
            assert torch.equal(trained[name], tensor), name

    # What goes on has all its weights in its own folder.
    (tmp_path / "mine.pth").unlink()
    done = zoo(*given, "--max-steps", "4")
    assert done.returncode == 0, done.stderr
    assert "going on after 0 epochs and 2 steps" in done.stderr
    again = torch.load(tmp_path / "out" / "last.pth", weights_only=True)["model"]
    assert torch.equal(again["_conv_stem.weight"], mine["_conv_stem.weight"])
    assert not torch.equal(again["_fc.weight"], trained["_fc.weight"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("efficientnet_lite0", "the index lists no weights for efficientnet_lite0"),
        ("mine", "no weights for mine: "),
    ],
)
def test_without_weights_nothing_is_fine_tuned(mine, images, zoo, tmp_path, name, why):
    (tmp_path / "mine.pth").unlink()
    done = zoo(
        "train", name, "--index", "index.yml", "--data", images, "--finetune", "--device", "cpu",
        "--batch-size", "8", "--output", "out", "-q",
    )  # fmt: skip
    assert done.returncode == 3
    assert why in done.stderr
    assert len(said(done.stderr).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_norms_that_see_one_value_say_so(images, tiny, tmp_path):
    variant = tiny("resnest14d")
    settings = Settings(
        variant.name, images, tmp_path / "out", variant=variant, batch_size=1, device="cpu",
        max_steps=1, workers=0,
    )  # fmt: skip
    with pytest.raises(BadInput, match="one image for a process is too few for this variant"):
        train(settings)
    assert not (tmp_path / "out").exists()
    assert train(replace(settings, freeze_norms=True)).step == 1
