"""What is in the folder of a training after each way to end, and what is never written over."""

from __future__ import annotations

import copy
import csv
import math
import os
import signal
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from zoo.training import BadInput, TrainingError
from zoo.training.trainer import Scores, Trainer

STEPS = 4  # of an epoch


class Killed(BaseException):
    """Ends a training where it stands, as a kill does: nothing more is written."""


def state(folder: Path, name: str = "last.pth"):
    return torch.load(folder / name, weights_only=True)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def without_clock(folder: Path) -> list[dict[str, str]]:
    found = rows(folder)
    for row in found:
        del row["images_per_second"], row["seconds"]
    return found


def same_weights(one, other) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def accuracies(monkeypatch):
    """Validations that find these accuracies, one after the other."""
    real = Trainer.evaluate

    def begin(*values: float | type[BaseException]) -> None:
        left = list(values)

        def evaluate(self, batches):
            scores = real(self, batches)
            now = left.pop(0)
            if isinstance(now, type):
                raise now
            return Scores(scores.loss, now, scores.top5)

        monkeypatch.setattr(Trainer, "evaluate", evaluate)

    return begin


def test_an_epoch_that_was_cut_short_is_not_the_best(fit, tmp_path, accuracies):
    accuracies(50.0, 60.0)
    whole = fit("whole")
    accuracies(90.0)
    cut = fit("parts", max_steps=2)
    assert (cut.best_epoch, cut.top1, cut.epochs, cut.step) == (1, 90.0, 0, 2)
    parts = tmp_path / "parts"
    assert not (parts / "best.pth").exists()
    assert same_weights(state(parts, "model.pth"), state(parts)["model"])

    accuracies(50.0, 95.0)
    after_one = fit("parts", resume=True, max_steps=STEPS + 1)
    assert (after_one.best_epoch, after_one.top1) == (1, 50.0)
    assert same_weights(state(parts, "model.pth"), state(parts, "best.pth")["model"])
    assert not same_weights(state(parts, "model.pth"), state(parts)["model"])
    assert [row["top1"] for row in rows(parts)] == ["50.0", "95.0"]

    accuracies(60.0)
    done = fit("parts", resume=True)
    assert (done.best_epoch, done.top1) == (whole.best_epoch, whole.top1) == (2, 60.0)
    assert without_clock(parts) == without_clock(tmp_path / "whole")
    for name in ("model.pth", "best.pth", "last.pth"):
        one, other = state(tmp_path / "whole", name), state(parts, name)
        assert same_weights(one.get("model", one), other.get("model", other))
        assert one.get("best") == other.get("best")


def test_a_validation_that_was_killed_is_done_later(fit, tmp_path, accuracies):
    accuracies(50.0, 60.0)
    fit("whole")
    accuracies(Killed)
    with pytest.raises(Killed):
        fit("out")
    out = tmp_path / "out"
    assert state(out)["position"] == [0, STEPS]
    assert not (out / "model.pth").exists()

    accuracies(50.0)
    outcome = fit("out", resume=True, max_steps=STEPS)
    assert (outcome.best_epoch, outcome.top1, outcome.step) == (1, 50.0, STEPS)
    assert (out / "model.pth").exists()
    assert rows(out)[0]["images_per_second"] == ""
    assert without_clock(out) == without_clock(tmp_path / "whole")[:1]
    # Of the fourth step of eight, one of which was warm-up; not of the step to come.
    assert float(rows(out)[0]["lr"]) == pytest.approx(0.01 * (1 + math.cos(math.pi * 2 / 7)))

    accuracies(Killed)
    with pytest.raises(Killed):
        fit("out", resume=True)
    accuracies(60.0)
    assert fit("out", resume=True).best_epoch == 2
    assert without_clock(out) == without_clock(tmp_path / "whole")
    assert same_weights(state(out, "model.pth"), state(tmp_path / "whole", "model.pth"))


def test_there_are_weights_whatever_was_done(fit, images, tmp_path, monkeypatch):
    data = images / "train"

    def killed(trainer, number, loss):
        if number == 3:
            raise Killed

    with pytest.raises(Killed):
        fit("out", data=data, save_steps=1, after_step=killed)
    out = tmp_path / "out"
    assert not (out / "model.pth").exists()
    # Nothing is left to do, and what is there has no weights of its own yet.
    outcome = fit("out", data=data, resume=True, max_steps=1)
    assert (outcome.best_epoch, outcome.top1, outcome.step) == (1, None, 2)
    assert same_weights(state(out, "model.pth"), state(out)["model"])

    # Without validation each epoch has its weights.
    def later(trainer, number, loss):
        if number == STEPS + 1:
            raise Killed

    with pytest.raises(Killed):
        fit("out", data=data, resume=True, after_step=later)
    assert state(out)["position"] == [1, 0]
    assert same_weights(state(out, "model.pth"), state(out)["model"])


@pytest.mark.parametrize("ema", [False, True])
def test_weights_that_were_removed_come_from_the_best_state(fit, tmp_path, accuracies, ema):
    accuracies(60.0, 50.0)
    fit("out", ema=ema)
    path = tmp_path / "out" / "model.pth"
    before = path.read_bytes()
    path.unlink()
    assert fit("out", ema=ema, resume=True).best_epoch == 1
    assert path.read_bytes() == before
    path.unlink()
    (tmp_path / "out" / "best.pth").unlink()
    with pytest.raises(BadInput, match=r"best\.pth: there is no such file"):
        fit("out", ema=ema, resume=True)


def test_one_training_at_a_time(fit, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.training.run_dir._LOCK_SECONDS", 0.1)
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(BadInput, match="another training writes there"),
    ):
        fit("out")
    assert fit("out", max_steps=1).step == 1


def test_parts_of_killed_saves_are_removed(fit, tmp_path):
    (tmp_path / "out").mkdir()
    for name in (".zoo-x1", ".zoo-x2", ".other.pth-x4"):
        (tmp_path / "out" / name).write_bytes(b"half")
    fit("out", max_steps=1)
    hidden = {path.name for path in (tmp_path / "out").glob(".*")}
    assert hidden == {".lock", ".other.pth-x4"}


@pytest.mark.parametrize("name", ["model.pth", "classes.txt", "log.csv", "best.pth"])
def test_what_others_made_is_not_written_over(fit, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine\n")
    for resume in (False, True):
        with pytest.raises(BadInput, match=f"holds {name}, and no last.pth"):
            fit("out", resume=resume)
    assert (tmp_path / "out" / name).read_text() == "mine\n"


def test_a_start_that_came_to_nothing_is_begun_again(fit, tmp_path):
    def killed(trainer, number, loss):
        raise Killed

    with pytest.raises(Killed):
        fit("out", after_step=killed)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock", "log.csv"}
    assert fit("out", max_steps=1, seed=4).step == 1


@pytest.fixture(scope="module")
def good(module_fit) -> Path:
    """A folder with the state after three steps."""
    return module_fit("good", max_steps=3, ema=True).output


def changed(*path: str | int, value: object = None):
    """Puts a value into nested containers; None takes out what is there."""

    def change(found):
        *way, last = path
        for key in way:
            found = found[key]
        if value is None:
            del found[last]
        else:
            found[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(changed(k) for k in ("position", "sums", "best", "lr", "model", "optimizer", "ema")),
        *(changed("position", value=v) for v in ("abc", [-1, 0], [0, 99], [9, 0], [0], 7, [0, 0])),
        *(changed("sums", value=v) for v in ([float("nan"), 1.0], [1.0], "ab", [1.0, -2.0])),
        *(changed("best", value=v) for v in (3, [1], [5, 50.0], ["a", "b"])),
        changed("lr", value="high"),
        changed("model", "_fc.weight", value=torch.zeros(5, 5)),
        changed("model", "_fc.bias"),
        changed("ema", value={}),
        changed("optimizer", "state", 0, "momentum_buffer", value=torch.zeros(1)),
        changed("optimizer", "state", 0),
        changed("optimizer", "param_groups", 0, "lr", value="fast"),
        changed("optimizer", value=torch.zeros(2)),
        changed("scheduler", "_schedulers", value=[]),
        changed("scheduler", "last_epoch", value=torch.zeros(2)),
        changed("scaler", value=3),
        changed("identity", value=[]),
    ],
)
def test_an_altered_state_is_one_line(good, module_fit, change):
    whole = state(good)
    altered = copy.deepcopy(whole)
    change(altered)
    torch.save(altered, good / "last.pth")
    try:
        with pytest.raises(BadInput, match=r"last\.pth") as caught:
            module_fit("good", ema=True, resume=True)
    finally:
        torch.save(whole, good / "last.pth")
    assert "\n" not in str(caught.value)


def test_a_state_that_was_not_altered_is_gone_on_from(good, module_fit):
    assert module_fit("good", ema=True, resume=True, max_steps=4).step == 4


def test_weights_that_are_no_numbers_are_never_kept(fit, tmp_path, monkeypatch):
    # No look at the loss from time to time, which would see it as well.
    monkeypatch.setattr("zoo.training.run._REPORT_SECONDS", 1e9)
    with pytest.raises(TrainingError, match="lower --lr, in another --output"):
        fit("out", lr=1e30, save_steps=1)
    model = state(tmp_path / "out")["model"]
    assert all(value.isfinite().all() for value in model.values())
    # What was advised works.
    assert fit("lower", lr=0.01, save_steps=1, max_steps=2).step == 2


def test_other_pictures_are_another_training(fit, images, tmp_path):
    fit("out", max_steps=1)
    (images / "val" / "class1" / "100.png").rename(images / "val" / "class1" / "7.png")
    with pytest.raises(BadInput, match="another list of validation images"):
        fit("out", resume=True)
    (images / "val" / "class1" / "7.png").rename(images / "val" / "class1" / "100.png")
    (images / "train" / "class1" / "1.png").rename(images / "train" / "class2" / "11.png")
    with pytest.raises(BadInput, match="another list of images"):
        fit("out", resume=True)


def test_a_folder_that_an_earlier_version_wrote_is_gone_on_with(fit, images, tmp_path):
    fit("out", max_steps=1)
    whole = state(tmp_path / "out")
    for name in ("list of images", "list of validation images"):
        value = whole["identity"].pop(name)
        former = value.replace("images", "pictures")
        assert former != value
        whole["identity"][name.replace("images", "pictures")] = former
    torch.save(whole, tmp_path / "out" / "last.pth")
    (images / "val" / "class1" / "100.png").rename(images / "val" / "class1" / "7.png")
    with pytest.raises(BadInput, match="another list of validation images"):
        fit("out", resume=True)
    (images / "val" / "class1" / "7.png").rename(images / "val" / "class1" / "100.png")
    assert fit("out", resume=True, max_steps=2).step == 2


def test_a_folder_that_can_t_be_made_is_found_before_weights_are_fetched(fit, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file/out: can't be made: Not a directory"):
        fit("file/out", finetune=True, fetch=lambda _: pytest.fail("fetched"))


def test_a_process_that_dies_while_it_decodes_is_told(fit, monkeypatch):
    monkeypatch.setattr(
        "zoo.training.data.TrainImages.__getitem__",
        lambda self, key: os.kill(os.getpid(), signal.SIGKILL),
    )
    with pytest.raises(TrainingError, match="a process that decodes images died") as caught:
        fit("out", workers=1)
    assert "lower --workers" in str(caught.value)
