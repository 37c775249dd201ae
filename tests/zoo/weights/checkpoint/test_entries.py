"""Which of several networks in a file is read, and that the others are named."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.weights.checkpoint import CheckpointInfo, UnreadableCheckpoint, read_checkpoint
from zoo.weights.load import load_into


def net(value):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    for parameter in model.parameters():
        nn.init.constant_(parameter, value)
    return model


def averaged(value):
    """As torch's own AveragedModel is saved."""
    return torch.optim.swa_utils.AveragedModel(net(value)).state_dict()


PAIRS = [
    ("state_dict", "state_dict_ema"),
    ("model", "model_ema"),
    ("net", "ema"),
    ("params", "params_ema"),
    ("student", "teacher"),
    ("state_dict", "ema_state_dict"),
    ("model", "swa_model"),
    ("model_state_dict", "whatever it is called"),
]


@pytest.mark.parametrize("legacy", [False, True])
def test_both_networks_are_named_and_either_can_be_loaded(tmp_path, legacy):
    path = tmp_path / "two.pth"
    for first, second in PAIRS:
        for other in (net(2).state_dict(), averaged(2), {"state_dict": net(2).state_dict()}):
            file = {"epoch": 3, second: other, first: net(1).state_dict(), "optimizer": {"a": {}}}
            torch.save(file, path, _use_new_zipfile_serialization=not legacy)
            contents = read_checkpoint(path)
            assert isinstance(contents, CheckpointInfo)
            assert (contents.container, contents.others) == (first, (second,))
            for entry, value in ((None, 1), (first, 1), (second, 2)):
                model = net(0)
                load_into(model, path, entry=entry)
                assert {p.unique().item() for p in model.parameters()} == {value}, (second, entry)


def test_what_is_no_second_network_is_not_named(tmp_path):
    path = tmp_path / "one.pth"
    state = net(1).state_dict()
    optimizer = torch.optim.SGD(net(1).parameters(), lr=0.1, momentum=0.9)
    for beside in (
        {"optimizer": optimizer.state_dict(), "epoch": 4},
        {"discriminator": nn.Linear(7, 7).state_dict()},
        {"ema": nn.Sequential(nn.Linear(7, 7)).state_dict()},
        {"ema": None, "args": {"ema": True}},
    ):
        torch.save({"state_dict": state, **beside}, path)
        contents = read_checkpoint(path)
        assert isinstance(contents, CheckpointInfo)
        assert contents.others == (), beside
    missing = read_checkpoint(path, entry="state_dict_ema")
    assert isinstance(missing, UnreadableCheckpoint)
    assert "the entry 'state_dict_ema'" in str(missing)


def test_the_average_alone_is_read_without_what_its_wrapper_counts(tmp_path):
    path = tmp_path / "average.pth"
    for file in (averaged(5), {"model": averaged(5)}):
        torch.save(file, path)
        model = net(0)
        load_into(model, path)
        assert {p.unique().item() for p in model.parameters()} == {5}
