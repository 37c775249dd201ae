"""The files of a training: written whole or not at all, safe to read, logs that can be read."""

from __future__ import annotations

import csv
import os
import pickle
import resource
import signal
import stat

import pytest
import torch
from factories import Payload

from zoo.training import BadInput, TrainingError
from zoo.training.logs import EpochReport, Log, StepReport
from zoo.training.state import load_training, portable, save, save_training


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.pth"
    save({"model": torch.ones(3)}, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(TrainingError, match=r"last\.pth: can't be written: "):
            save({"model": torch.zeros(1_000_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["last.pth"]


def test_others_may_read_what_is_written(tmp_path):
    before = os.umask(0o022)
    try:
        save({}, tmp_path / "model.pth")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.pth").stat().st_mode) == 0o644


def test_a_state_is_read_and_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.pth"
    for content in (
        pickle.dumps(Payload("was-run")),
        b"",
        b"<html>",
        b"PK\x03\x04 and no more",
    ):
        path.write_bytes(content)
        with pytest.raises(BadInput, match="is no state of a training") as caught:
            load_training(path)
        assert "\n" not in str(caught.value)
    torch.save({"zoo_training": 1, "model": Payload("was-run")}, path)
    with pytest.raises(BadInput):
        load_training(path)
    torch.save({"model": {}}, path)
    with pytest.raises(BadInput, match="this version"):
        load_training(path)
    with pytest.raises(BadInput, match="no such file"):
        load_training(tmp_path / "missing.pth")
    assert not (tmp_path / "was-run").exists()


def test_what_is_saved_comes_back(tmp_path):
    state = {"model": {"a": torch.randn(3).bfloat16()}, "position": [2, 7], "ema": None}
    save_training(state, tmp_path / "last.pth")
    found = load_training(tmp_path / "last.pth")
    assert torch.equal(found["model"]["a"], state["model"]["a"])
    assert (found["position"], found["ema"]) == ([2, 7], None)


def test_a_state_dict_for_others_is_contiguous_and_small():
    whole = torch.randn(10, 4, 3, 3)
    state = portable({"a": whole.to(memory_format=torch.channels_last)[2:4]})
    assert state["a"].is_contiguous()
    assert state["a"].untyped_storage().nbytes() == 2 * 4 * 3 * 3 * 4
    assert torch.equal(state["a"], whole[2:4])


def row(epoch: int, top1: float | None = None) -> EpochReport:
    return EpochReport(epoch, 4 * epoch, 0.1, 2.5 / epoch, None, top1, None, 10.0, 1.0)


def test_the_log_has_a_row_per_epoch_and_forgets_what_will_be_done_again(tmp_path):
    log = Log(tmp_path, epochs_done=0, steps_done=0, tensorboard=False)
    for epoch in (1, 2, 3):
        log.epoch(row(epoch, 50.5))
    log.close()
    log = Log(tmp_path, epochs_done=2, steps_done=8, tensorboard=False)
    log.epoch(row(3, 60.0))
    log.close()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["epoch"], r["top1"]) for r in rows] == [("1", "50.5"), ("2", "50.5"), ("3", "60.0")]
    assert rows[0]["val_loss"] == ""
    Log(tmp_path, epochs_done=0, steps_done=0, tensorboard=False).close()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1


def test_a_foreign_log_is_left_alone(tmp_path):
    (tmp_path / "log.csv").write_text("time,message\n1,hello\n")
    with pytest.raises(BadInput, match="is not the log"):
        Log(tmp_path, epochs_done=1, steps_done=4, tensorboard=False)
    assert "hello" in (tmp_path / "log.csv").read_text()


def test_tensorboard_reads_what_is_written_for_it(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = Log(tmp_path, epochs_done=0, steps_done=0, tensorboard=True)
    log.step(StepReport(1, 2, 3, 8, 1.75, 0.05, 10.0, 5.0))
    log.epoch(row(1, 62.5))
    log.close()
    found = events.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("step/loss")] == [(3, 1.75)]
    assert [(e.step, e.value) for e in found.Scalars("epoch/top1")] == [(4, 62.5)]
    assert "epoch/val_loss" not in found.Tags()["scalars"]
