"""What is said of a checkpoint that holds several networks."""

from __future__ import annotations

import torch
from torch import nn

from harness.check.base import Evidence
from harness.check.weights import find
from harness.measure.checkpoint import inspect
from harness.run.plan import flops_size, recipe_of
from harness.types import Measurement

PAGE = "Models:\n- Name: net\n  Weights: https://example.org/w.pth\n"


def test_the_match_on_weights_names_what_was_compared_and_what_was_not(load, tmp_path):
    (variant,) = load(PAGE).variants
    recipe, path = recipe_of(variant, "zoo"), tmp_path / "w.pth"
    one, two = nn.Linear(4, 2).state_dict(), nn.Linear(4, 2).state_dict()
    made = ("by hand", {}, "cpu", "2020-04-19T00:00:00+00:00")
    file = {"path": "w.pth", "sha256": None, "name_hash": None}
    for model, status in ((nn.Linear(4, 2), "match"), (nn.Linear(4, 3), "mismatch")):
        for first, second in (
            ("state_dict", "state_dict_ema"),
            ("model", "model_ema"),
            ("student", "teacher"),
        ):
            torch.save({second: two, first: one}, path)
            facts = [
                Measurement(kind, "net", "zoo", value, None, *made)
                for kind, value in (("file", file), ("checkpoint", inspect(model, path, [])))
            ]
            evidence = Evidence(
                variant, recipe, flops_size(variant, recipe), {f.slot: f for f in facts}
            )
            (finding,) = find(evidence)
            assert finding.status == status
            assert f"the entry {first!r}" in finding.message or f"entry {first!r}" in (
                finding.message
            )
            assert repr(second) in finding.message
            assert "not" in finding.message
