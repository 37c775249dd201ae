"""The rule of right and wrong, and answers that hang on the last bits of a logit."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import nn

from harness.measure.accuracy.scoring import Float64Rescorer, answers
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.types import Recipe

CLASSES = 1000


def ranked(row, label):
    """The label's place when classes are sorted by logit, equal ones by index."""
    return sorted(range(len(row)), key=lambda c: (-row[c], c)).index(label)


def test_answers_are_those_of_sorting():
    draw = torch.Generator().manual_seed(0)
    # Few values, so that most rows have ties at the borders.
    logits = torch.randint(0, 6, (500, 12), generator=draw).float()
    labels = torch.randint(0, 12, (500,), generator=draw)
    found = answers(logits, labels)
    places = [ranked(r, n) for r, n in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert found.top1.tolist() == [place < 1 for place in places]
    assert found.top5.tolist() == [place < 5 for place in places]
    assert 0 < found.top1.sum() < found.top5.sum() < 500
    assert not found.invalid.any()


def test_what_is_no_number_is_never_right():
    logits = torch.zeros(5, 10)
    logits[:, 3] = 5.0
    logits[0, 3] = torch.nan
    logits[1, 7] = torch.nan
    logits[2, 3] = torch.inf
    logits[3] = torch.nan
    found = answers(logits, torch.full((5,), 3))
    assert found.top1.tolist() == [False, False, False, False, True]
    assert found.top5.tolist() == found.top1.tolist()
    assert found.invalid.tolist() == [True, True, True, True, False]
    assert found.doubtful.tolist() == [False] * 5


def test_a_label_that_is_no_class_is_wrong():
    logits = torch.zeros(4, 10)
    logits[:, 0] = logits[:, 9] = 1.0
    found = answers(logits, torch.tensor([-1, 10, 0, 9]))
    assert found.top1.tolist() == [False, False, True, False]
    assert found.top5.tolist() == [False, False, True, True]
    assert found.doubtful.tolist() == [False, False, True, True]


def test_doubt_is_what_rounding_could_turn():
    logits = torch.tensor([[10.0, 9.99995, 0, 0, 0, 0], [10.0, 9.9, 0, 0, 0, 0]])
    for label in (0, 1):
        found = answers(logits, torch.full((2,), label))
        assert found.doubtful.tolist() == [True, False]
    # At the border of the first five.
    logits = torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0, 4.99995, 1.0]])
    assert [answers(logits, torch.tensor([n])).doubtful.item() for n in range(7)] == [
        *[False] * 4,
        True,
        True,
        False,
    ]


class Unsteady(nn.Module):
    """In float32 its logits differ with the batch, as those of real models do, but more.

    The two largest logits of each image are a hair's breadth apart, and the noise turns them.
    """

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1))

    def forward(self, x):
        mean = x.mean((1, 2, 3))
        logits = torch.zeros(len(x), CLASSES, dtype=x.dtype)
        first, second = 7.0 + 0 * mean, 7.0 + 1e-6 * torch.sin(1e4 * mean)
        if x.dtype == torch.float32:
            second = second + 1e-5 * (-1.0) ** len(x) * self.weight
        logits[:, 0], logits[:, 1] = first, second
        return logits


class UnsteadyBuilder:
    """A third party's builder."""

    def __init__(self, kind):
        self.kind = kind

    def knows(self, name):
        return True

    def names(self):
        return ["unsteady"]

    def identity(self, name):
        return "1"

    def build(self, name):
        return self.kind()


@pytest.fixture
def two_classes(tmp_path):
    """24 images of class 0."""
    folder = tmp_path / "two"
    folder.mkdir()
    lines = []
    for number in range(24):
        Image.new("RGB", (40, 40), (number * 10, 90, 200 - number)).save(folder / f"{number}.png")
        lines.append(f"{number}.png 0\n")
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def count_with(kind, folder, tmp_path, batch):
    weights = tmp_path / "weights.pth"
    torch.save({"weight": torch.ones(1)}, weights)
    recipe = Recipe("unsteady", image_size=(32, 32), crop_pct=1.0)
    with Validator("cpu", cache_root=tmp_path / "c", batch_size=batch, threads=1) as validator:
        return validator.count(
            recipe,
            weights,
            str(folder),
            preprocessing_of(recipe),
            range(24),
            builder=UnsteadyBuilder(kind),
        )


def test_answers_that_hang_on_rounding_are_decided_in_float64(two_classes, tmp_path):
    found = [count_with(Unsteady, two_classes, tmp_path, batch) for batch in (1, 2, 3, 8)]
    assert {each["top1"] for each in found} == {found[0]["top1"]}
    assert 0 < found[0]["top1"] < 24
    assert [each["decided_exactly"] for each in found] == [24] * 4
    assert [each["not_decided"] for each in found] == [None] * 4


class FloatOnly(Unsteady):
    """A model that can't run in float64."""

    def forward(self, x):
        if x.dtype != torch.float32:
            raise RuntimeError("expected scalar type Float but found Double")
        return super().forward(x)


def test_a_model_without_float64_keeps_its_answers(two_classes, tmp_path):
    found = [count_with(FloatOnly, two_classes, tmp_path, batch) for batch in (1, 2)]
    # What the noise does where nothing settles it: it shows that the test above can fail.
    assert [each["top1"] for each in found] == [24, 0]
    assert [each["decided_exactly"] for each in found] == [0, 0]
    assert all("Double" in each["not_decided"] for each in found)


def test_the_referee_says_why_it_could_not_decide():
    model = FloatOnly()
    nn.init.ones_(model.weight)
    rescorer = Float64Rescorer(model.eval())
    with torch.inference_mode():
        assert rescorer.logits(torch.rand(2, 3, 8, 8)) is None
    assert rescorer.unable is not None
    assert "Double" in rescorer.unable
