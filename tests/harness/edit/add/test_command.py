"""`zoo add`, and `zoo verify` of what it wrote, in processes of their own."""

from __future__ import annotations

import hashlib
import json
import shutil

import torch
import yaml
from shipped import real_weights

from zoo.registry import create_model

CLASSES = 7


def the_entry(folder, number=-1, file="model-index.yml"):
    return yaml.safe_load((folder / file).read_text())["Models"][number]


def verified(zoo, folder, name, *arguments):
    """The exit status, and the findings on a variant, by field."""
    done = zoo(folder, "verify", name, "--index", "model-index.yml", "--format", "json", *arguments)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, {f["field"]: f for f in json.loads(done.stdout)["findings"]}


def test_a_new_variant_is_measured_and_verifies(zoo, folder):
    added = zoo(folder, "add", "seven.pth", "--from", "efficientnet_lite0", "--name", "mine")
    assert added.returncode == 0, added.stderr
    assert added.stdout == "model-index.yml: mine\n"
    claims = the_entry(folder)["Metadata"]
    # What is claimed, by other roads than those that measured it.
    model = create_model("efficientnet_lite0", num_classes=CLASSES)
    assert claims["Parameters"] == sum(p.numel() for p in model.parameters())
    data = (folder / "seven.pth").read_bytes()
    assert claims["File Size"] == len(data)
    assert claims["SHA256"] == hashlib.sha256(data).hexdigest()
    assert (claims["Base"], claims["Classes"]) == ("efficientnet_lite0", CLASSES)
    assert claims["FLOPs Convention"] == "fvcore"
    assert claims["FLOPs"] == _fvcore(model)
    assert "Results" not in the_entry(folder)
    assert the_entry(folder)["Weights"] == "seven.pth"

    status, findings = verified(zoo, folder, "mine")
    assert status == 0
    fields = {"Parameters", "FLOPs", "File Size", "SHA256", "Weights"}
    assert fields <= findings.keys()
    assert {findings[field]["status"] for field in fields} == {"match"}
    assert "296 tensors fit" in findings["Weights"]["message"]


def _fvcore(model) -> int:
    """As fvcore itself counts, at the size that lite0 documents."""
    import logging

    from fvcore.nn import FlopCountAnalysis

    logging.getLogger("fvcore").setLevel(logging.ERROR)
    analysis = FlopCountAnalysis(model.eval(), torch.zeros(1, 3, 224, 224))
    return int(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def test_a_claim_that_is_changed_no_longer_verifies(zoo, folder):
    assert zoo(folder, "add", "seven.pth", "--from", "efficientnet_lite0").returncode == 0
    assert verified(zoo, folder, "seven")[0] == 0  # and what was measured is kept
    path = folder / "model-index.yml"
    path.write_text(path.read_text().replace("Classes: 7", "Classes: 8"))
    status, findings = verified(zoo, folder, "seven")
    assert status == 1
    assert findings["Parameters"]["status"] == "mismatch"
    assert findings["Parameters"]["measured"] - findings_count(path) == 1281
    assert findings["Weights"]["cause"] == "weights.tensors-differ"
    assert "7 classes" in findings["Weights"]["message"]
    assert findings["SHA256"]["status"] == "match"


def findings_count(path) -> int:
    return int(yaml.safe_load(path.read_text())["Models"][0]["Metadata"]["Parameters"])


def test_the_accuracy_is_that_of_torchvision_s_own_reading(zoo, folder, pictures):
    from PIL import Image
    from torchvision import datasets, transforms

    added = zoo(folder, "add", "seven.pth", "--from", "efficientnet_lite0", "--data", pictures)
    assert added.returncode == 0, added.stderr
    assert "21 images, called 'petals' in the entry" in added.stderr
    assert "1 image without a prediction, which count as wrong" in added.stderr

    model = create_model("efficientnet_lite0", num_classes=CLASSES).eval()
    model.load_state_dict(torch.load(folder / "seven.pth", weights_only=True))
    transform = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([127 / 255] * 3, [128 / 255] * 3),
        ]
    )
    images = datasets.ImageFolder(str(pictures / "val"))
    right = in_five = 0
    for path, label in images.samples:
        if path.endswith("zz.jpg"):
            continue
        with torch.inference_mode():
            logits = model(transform(Image.open(path).convert("RGB"))[None])[0]
        order = logits.argsort(descending=True).tolist()
        right += order[0] == label
        in_five += label in order[:5]
    entry = the_entry(folder)
    assert entry["Metadata"]["Class Names"] == images.classes
    assert entry["Results"] == [
        {
            "Task": "Image Classification",
            "Dataset": "petals",
            "Images": 21,
            "Metrics": {
                "Top 1 Accuracy": f"{100 * right / 21:.2f}%",
                "Top 5 Accuracy": f"{100 * in_five / 21:.2f}%",
            },
        }
    ]
    # The same pictures do not contradict it, whatever is in the one that can't be read.
    status, findings = verified(zoo, folder, "seven", "--data", pictures)
    assert status == 0
    for field in ("Top 1 Accuracy", "Top 5 Accuracy"):
        assert findings[field]["cause"] in (None, "accuracy.undecided"), findings[field]
        assert "1 could not be read" in findings[field]["message"]
    _, findings = verified(zoo, folder, "seven", "--data", "sample")
    assert findings["Top 1 Accuracy"]["cause"] == "accuracy.no-data"
    assert "ImageNet's classes" in findings["Top 1 Accuracy"]["message"]


def test_the_classes_beside_the_checkpoint_name_the_outputs(zoo, folder, pictures):
    names = [f"class {number}" for number in reversed(range(CLASSES))]
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    added = zoo(folder, "add", "seven.pth", "--from", "efficientnet_lite0")
    assert added.returncode == 0, added.stderr
    assert "classes.txt" in added.stderr
    assert the_entry(folder)["Metadata"]["Class Names"] == names
    picture = pictures / "val" / "class 1" / "01.jpg"
    shown = zoo(folder, "classify", "seven", picture, "--index", "model-index.yml", "--top", 9)
    assert shown.returncode == 0, shown.stderr
    assert {line.split("%  ")[1] for line in shown.stdout.splitlines()[1:]} == set(names)

    (folder / "classes.txt").write_text("a\nb\n")
    command = ("add", "seven.pth", "--from", "efficientnet_lite0", "--name", "again")
    refused = zoo(folder, *command)
    assert refused.returncode == 2
    assert "2 lines" in refused.stderr


def test_the_real_weights_under_another_name_answer_as_before(zoo, tmp_path):
    """A thousand classes are ImageNet's, and the sample pictures are counted as verify counts."""
    weights = real_weights()
    (tmp_path / "sub dir").mkdir()
    shutil.copy(weights, tmp_path / "sub dir")
    checkpoint = f"sub dir/{weights.name}"
    command = ("add", checkpoint, "--from", "efficientnet_lite0", "--index", "model-index.yml")
    added = zoo(tmp_path, *command, "--name", "copy", "--data", "sample")
    assert added.returncode == 0, added.stderr
    entry = the_entry(tmp_path)
    assert entry["Weights"] == f"sub%20dir/{weights.name}"
    assert "Classes" not in entry["Metadata"]
    assert entry["Results"][0]["Dataset"] == "ImageNet sample images"
    assert entry["Results"][0]["Metrics"]["Top 1 Accuracy"] == "90.00%"  # 18 of 20
    status, findings = verified(zoo, tmp_path, "copy")
    assert (status, findings["Weights"]["status"]) == (0, "match")


def test_what_does_not_fit_is_refused(run, folder, states):
    torch.save(states("efficientnet_lite1", 1000), folder / "other.pth")
    torch.save({"model": torch.nn.Linear(2, 2)}, folder / "unsafe.pth")
    (folder / "page.pth").write_text("<!doctype html><html>404</html>")
    (folder / "seven-01234567.pth").write_bytes((folder / "seven.pth").read_bytes())
    assert run("add", "seven.pth", "--from", "efficientnet_lite0").status == 0
    before = (folder / "model-index.yml").read_bytes()
    lite = ("--from", "efficientnet_lite0")
    for arguments, words in (
        (("other.pth", *lite), "no checkpoint of efficientnet_lite0"),
        (("other.pth", *lite), "of efficientnet_lite1: give that as --from"),
        (("unsafe.pth", *lite), "torch.nn"),
        (("page.pth", *lite), "page.pth: "),
        (("gone.pth", *lite), "No such file"),
        (("seven-01234567.pth", *lite), "begins with 01234567"),
        (("seven.pth", *lite), "is there already"),
        (("seven.pth", "--from", "efficientnet_lite"), "did you mean"),
        (("seven.pth", *lite, "--name", "x", "--index", "x.json"), ".yml or .yaml"),
        (("seven.pth", *lite, "--name", "x", "--index", "cache/x.yml"), "cache"),
        (("seven.pth", *lite, "--name", "x", "--data", "nowhere"), "--data"),
        (("seven.pth", *lite, "--name", "x", "--data", "cache"), "--data"),
    ):
        done = run("add", *arguments)
        assert done.status == 2, (arguments, done.err)
        assert words in done.err, (arguments, done.err)
        assert len(done.err.splitlines()) == 1, done.err
    assert (folder / "model-index.yml").read_bytes() == before


def test_a_variant_of_the_same_file_can_be_the_origin(zoo, folder, states):
    """Its base is the architecture, its collection stays its own."""
    (folder / "model-index.yml").write_text("Collections:\n- Name: EfficientNet-Lite\nModels:\n")
    first = zoo(folder, "add", "seven.pth", "--from", "efficientnet_lite0")
    assert first.returncode == 0, first.stderr
    assert the_entry(folder)["In Collection"] == "EfficientNet-Lite"
    torch.save(states("efficientnet_lite0", 3), folder / "three.pth")
    second = zoo(folder, "add", "three.pth", "--from", "seven")
    assert second.returncode == 0, second.stderr
    entry = the_entry(folder)
    assert (entry["Metadata"]["Base"], entry["Metadata"]["Classes"]) == ("efficientnet_lite0", 3)
    status, findings = verified(zoo, folder, "three")
    assert (status, findings["Parameters"]["status"]) == (0, "match")


def test_a_variant_beside_those_of_another_builder_says_who_builds_it(run, folder):
    for text in ("Builder: timm\n", "Collections:\n- {Name: a, Builder: timm}\n"):
        (folder / "model-index.yml").write_text(text)
        words = ["--collection", "a"] if "a," in text else []
        done = run("add", "seven.pth", "--from", "efficientnet_lite0", *words)
        assert done.status == 0, done.err
        assert the_entry(folder)["Metadata"]["Builder"] == "zoo"
        status, findings = run.verified("seven")
        assert status == 0
        assert findings["Parameters"]["status"] == "match"
