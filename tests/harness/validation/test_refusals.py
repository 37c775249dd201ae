"""Images, labels and devices that are not as they should be: one clear line each."""

from __future__ import annotations

import pytest

CLAIM = {"Top 1 Accuracy": "80.00%"}
SOME = 60


@pytest.fixture
def some(made, flat, tmp_path):
    """60 images with the right labels."""
    return flat(made, tmp_path / "set", SOME)


def lines(outcome, word):
    return [line for line in outcome.err.splitlines() if word in line]


def test_a_image_that_cannot_be_read_is_named_and_counts_as_drawn(zoo, some, made):
    name = made.names[5]
    (some / name).unlink()
    (some / name).write_bytes(b"no image")
    outcome = zoo.validate(zoo.index(CLAIM), some)
    top1, _, images = outcome.counts
    assert images == SOME
    assert top1 == round(100 * (SOME - 1) / SOME, 4)
    assert len(lines(outcome, f"1 can't be read: {name}")) == 1
    message = outcome.finding()["message"]
    assert f"{SOME - 1} of {SOME} images are right by top-1 (1 could not be read)" in message


def test_a_labelled_image_that_is_not_there_is_named(zoo, some, made):
    gone = made.names[7]
    (some / gone).unlink()
    outcome = zoo.validate(zoo.index(CLAIM), some)
    assert len(lines(outcome, "labelled and not there")) == 1
    assert gone in outcome.err
    # It is no image of the set: a part of ImageNet may lie beside the labels of all of it.
    assert outcome.counts[2] == SOME - 1


def test_a_image_without_a_label_is_named(zoo, some, made):
    labels = (some / "labels.txt").read_text().splitlines(keepends=True)
    (some / "labels.txt").write_text("".join(labels[:-1]))
    outcome = zoo.validate(zoo.index(CLAIM), some)
    assert made.names[SOME - 1] in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("label", ["1000", "-1"])
def test_a_label_out_of_range_is_one_line(zoo, some, label):
    lines_ = (some / "labels.txt").read_text().splitlines()
    lines_[3] = f"{lines_[3].split()[0]} {label}"
    (some / "labels.txt").write_text("\n".join(lines_))
    outcome = zoo.validate(zoo.index(CLAIM), some)
    assert outcome.status == 2
    (line,) = outcome.err.strip().splitlines()
    assert "labels.txt:4" in line
    assert label in line


def test_a_folder_without_images_is_one_line(zoo, tmp_path):
    (tmp_path / "empty").mkdir()
    outcome = zoo.validate(zoo.index(CLAIM), tmp_path / "empty")
    assert outcome.status == 2
    (line,) = outcome.err.strip().splitlines()
    assert f"--data: {tmp_path / 'empty'}: " in line
    assert "expected" in line


def test_images_that_are_not_there_are_one_line(zoo, tmp_path):
    outcome = zoo.validate(zoo.index(CLAIM), tmp_path / "nowhere")
    assert outcome.status == 2
    (line,) = outcome.err.strip().splitlines()
    assert "there is no such file or folder" in line


def test_no_images_at_all_is_one_line_that_says_how_to_name_them(zoo):
    outcome = zoo.validate(zoo.index(CLAIM), None)
    assert outcome.status == 2
    (line,) = outcome.err.strip().splitlines()
    assert "--data" in line
    assert "ZOO_DATA" in line


def test_the_environment_names_the_images(zoo, some):
    for name in ("ZOO_DATA", "ZOO_IMAGENET"):
        outcome = zoo.validate(zoo.index(CLAIM), None, **{name: str(some)})
        assert outcome.counts == (100, 100, SOME)
    nowhere = zoo.validate(zoo.index(CLAIM), some, ZOO_DATA="/nowhere")
    assert nowhere.counts == outcome.counts


@pytest.mark.parametrize(
    ("options", "why"),
    [((), "there is no CUDA device here"), (("--device", "cpu"), "--device cpu runs models elsew")],
)
def test_decoding_on_a_gpu_takes_one(zoo, some, monkeypatch, options, why):
    monkeypatch.setattr("harness.measure.cuda._count", lambda: 0)
    outcome = zoo.validate(zoo.index(CLAIM), some, "--decode", "gpu", *options)
    assert outcome.status == 2
    (line,) = outcome.err.strip().splitlines()
    assert f"--decode gpu: {why}" in line
    assert "--decode fast" in line


def test_a_device_that_is_not_there_ends_the_run_with_one_line(zoo, some):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    index = zoo.index(CLAIM | {"Top 5 Accuracy": "90%"})
    outcome = zoo.validate(index, some, "--device", "cuda")
    assert outcome.status == 2
    assert len(lines(outcome, "device 'cuda'")) == 1
    assert "there are 0 CUDA devices here" in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.document["findings"] == []
    assert zoo.parts() == []
