"""The numbers in the text of a model card."""

from __future__ import annotations

import pytest

from zoo.index import load_index

CARD = """---
tags:
- image-classification
library_name: timm
{front}---
# Model card for resnet50.a1_in1k

## Model Details
- **Model Type:** Image classification / feature backbone
- **Model Stats:**
  - Params (M): 25.6
  - GMACs: 4.1
  - Activations (M): 11.1
  - Image size: train = 224 x 224, test = 288 x 288
- **Papers:**
  - ResNet strikes back: https://arxiv.org/abs/2110.00476

```python
model = timm.create_model('resnet50.a1_in1k', pretrained=True)
```

## Model Comparison
|model |img_size|top1 |param_count|gmacs|macts|img/s|
|------|--------|-----|-----------|-----|-----|-----|
|[seresnextaa101d_32x8d.sw_in12k_ft_in1k_288](https://huggingface.co/timm/x)|320|86.72|93.6|35.2|69.7|451|
"""
FRONT = """model-index:
- name: resnet50
  results:
  - task: {type: image-classification}
    dataset: {name: ImageNet-1k, type: imagenet-1k}
    metrics: [{type: accuracy, value: 80.2}]
"""


@pytest.fixture
def read(tmp_path):
    def loaded(text: str):
        (tmp_path / "README.md").write_text(text)
        index = load_index([tmp_path / "README.md"])
        assert not index.problems
        return index.variants

    return loaded


def test_the_stats_are_the_claims_of_the_model_that_the_card_is_called_after(read):
    for ending in ("\n", "\r\n"):
        text = CARD.format(front="").replace("\n", ending)
        card, compared = read(text)
        assert card.name == "resnet50.a1_in1k"
        values = {c.field: c.value for c in card.claims}
        assert values["Parameters"] == 25_600_000
        assert values["FLOPs"] == 4_100_000_000
        assert values["Activations"] == 11_100_000
        assert values["Image Size"] == (224, 224)
        assert values["Test Image Size"] == (288, 288)
        for claim in card.claims:
            line = text.splitlines()[claim.location.line - 1]
            said = claim.raw.removesuffix(" M").removesuffix(" G")
            assert line[claim.location.column - 1 :].startswith(said), claim
        assert compared.stated("Parameters") == 93_600_000


def test_beside_a_model_of_the_front_matter_they_are_its_own(read):
    (card,) = read(CARD.format(front=FRONT))
    assert card.name == "resnet50"
    assert card.stated("FLOPs") == 4_100_000_000
    assert float(card.claim("Top 1 Accuracy").value) == 80.2
    two = FRONT + FRONT.replace("resnet50", "other").partition("\n")[2]
    for variant in read(CARD.format(front=two)):
        assert variant.claim("FLOPs") is None


def test_a_page_that_is_no_card_has_none(read, tmp_path):
    text = CARD.format(front="").replace("# Model card for", "# About")
    assert [v.name for v in read(text)] == ["seresnextaa101d_32x8d.sw_in12k_ft_in1k_288"]


SIZES = {
    "Image size: train = 224 x 224, test = 288 x 288": (224, 288),
    "Image size: 224 x 224": (224, None),
    "Image size: train: 224, test: 288": (224, 288),
    "Image size: 224x224 (train), 288x288 (test)": (224, 288),
    "Image size: training 224 px, evaluation 288 px": (224, 288),
    "Image size (train / test): 224 / 288": (224, 288),
    "**Image size:** 3 x 224 x 224": (224, None),
    "Image size: test = 288 x 288": (None, 288),
}


def test_sizes_are_those_of_training_and_test_however_the_list_says_so(read):
    usual = "Image size: train = 224 x 224, test = 288 x 288"
    for line, sides in SIZES.items():
        card = read(CARD.format(front="").replace(usual, line))[0]
        found = [card.claim(field) for field in ("Image Size", "Test Image Size")]
        assert [c and c.value for c in found] == [s and (s, s) for s in sides], line


def test_a_number_may_say_at_which_input_it_was_counted(read, tmp_path):
    for text in ("13.1 (at 384)", "13.1 @ 384 x 384", "13.1 (384x384)", "13.1 at 384 px"):
        card = read(CARD.format(front="").replace("4.1\n", f"{text}\n", 1))[0]
        assert card.stated("FLOPs") == 13_100_000_000
        assert card.stated("FLOPs Input") == (384, 384), text
        assert card.stated("Image Size") == (224, 224)
    # What is more than one number is a note.
    for text in ("4.1 or 4.3", "4.1 (with head)", "4.1 - 4.3"):
        (tmp_path / "README.md").write_text(CARD.format(front="").replace("4.1\n", f"{text}\n", 1))
        index = load_index([tmp_path / "README.md"])
        assert [(p.severity, p.field) for p in index.problems] == [("note", "GMACs")]
        assert index.variants[0].claim("FLOPs").value is None
