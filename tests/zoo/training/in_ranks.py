"""What each process of a training does, run by torchrun for `test_distributed`, a line for each.

Started once for all cases, as it takes longer to start than to train. Each process works in a
folder of its own, as on hosts that share none.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import torch
from narrow import narrow

from zoo.index import load_index
from zoo.training import Settings, TrainingError, TrainingRecipe, train

RECIPE = TrainingRecipe(epochs=3, batch_size=8, lr=0.05, label_smoothing=0.1, augment="auto")


def steps(data: str, index: str, output: str, **settings: Any) -> dict[str, Any]:
    """Losses and gradients of some steps, and the error that ended them.

    Norms are in evaluation mode, and there is neither dropout nor DropBlock: what depends on how a
    batch is shared.
    """
    entry = next(v for v in load_index([index]).variants if v.name == "resnest14d")
    seen: list[dict[str, Any]] = []

    def after_step(trainer, number, loss):
        grads = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
        seen.append({"loss": loss, "grads": grads, "number": number})

    found: dict[str, Any] = {"steps": seen, "error": None, "top1": None}
    given = {"recipe": RECIPE, "freeze_norms": True, "device": "cpu", "workers": 0} | settings
    try:
        outcome = train(
            Settings("resnest14d", data, output, variant=entry, **given), after_step=after_step
        )
        found["top1"] = outcome.top1
    except TrainingError as error:
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def broken(data: str, index: str, rank: int) -> str | None:
    """The error of a training whose last process ends early."""
    entry = next(v for v in load_index([index]).variants if v.name == "resnest14d")

    def after_step(trainer, number, loss):
        if rank and number == 2:
            raise KeyError

    try:
        train(
            Settings("resnest14d", data, "broken", variant=entry, device="cpu", recipe=RECIPE),
            after_step=after_step,
        )
    except (TrainingError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def command(*arguments: str) -> tuple[int, str]:
    """Status and standard error of the command."""
    from harness.cli import main

    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = main(arguments)
    return status, said.getvalue()


def main(data: str, damaged: str, index: str, results: str, *ports: str) -> None:
    rank = int(os.environ["RANK"])
    Path(f"host{rank}").mkdir()
    os.chdir(f"host{rank}")
    given = (
        "train", "resnest14d", "--data", data, "--index", index, "--device", "cpu",
        "--workers", "0", "--epochs", "1",
    )  # fmt: skip
    stories = {
        "even": lambda: steps(data, index, "even", max_steps=3),
        "uneven": lambda: steps(damaged, index, "uneven", max_steps=2),
        "on": lambda: steps(damaged, index, "uneven", resume=True),
        "refused": lambda: steps(data, index, "even"),
        "alone": lambda: steps(
            data, index, "alone", freeze_norms=False, recipe=TrainingRecipe(2, 2)
        ),
        "command": lambda: command(*given, "--batch-size", "8", "--output", "command"),
        # Its decoders are forked where trainings were before, and another one follows.
        "broken": lambda: broken(data, index, rank),
        "seven": lambda: command(*given, "--batch-size", "7"),
    }
    found = {}
    # torchrun's own meeting point still has the addresses of the story before.
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    for (name, story), port in zip(stories.items(), ports, strict=True):
        os.environ["MASTER_PORT"] = port
        found[name] = story()
    torch.save(found, f"{results}/{rank}.pt")


if __name__ == "__main__":
    with narrow():
        main(*sys.argv[1:])
