"""The command that trains: `zoo train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import options, terminal
from harness.cli.common import one_variant, settings_of
from harness.cli.status import Failure
from harness.run.request import UsageError

_USED_AS_IS = "auto"


def train(
    variant: Annotated[str, typer.Argument(metavar="VARIANT", help="What to train.")],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            help="One folder of pictures per class; or a train and a val folder of that kind.",
        ),
    ],
    val: Annotated[
        Path | None,
        typer.Option("--val", metavar="DIR", help="The pictures to validate on after each epoch."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Where to write. Default: runs/VARIANT."),
    ] = None,
    finetune: Annotated[
        bool,
        typer.Option("--finetune", help="Begin with the published weights and a new classifier."),
    ] = False,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Train the new classifier alone; with --finetune.")
    ] = False,
    freeze_norms: Annotated[
        bool, typer.Option("--freeze-norms", help="Keep the statistics of norms as they are.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, metavar="N", help="Default: the recipe's, or 10."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            metavar="N",
            help="Pictures per step, of all processes together. Default: 64 for each process.",
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="X",
            help="The highest learning rate. Default: the recipe's, by the linear rule.",
        ),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            "--augment",
            metavar="NAME",
            help="none, light, crop or auto. Default: the recipe's; light for fine-tuning.",
        ),
    ] = None,
    amp: options.Amp = None,
    ema: Annotated[
        bool, typer.Option("--ema", help="Validate and keep a moving average of the weights.")
    ] = False,
    compile: options.Compile = None,
    workers: options.Workers = None,
    device: options.Device = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="Of all that is random.")
    ] = 0,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="auto",
            help="Go on with the training in the output folder, if there is one.",
        ),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", min=1, metavar="N", help="Stop after N optimisation steps."),
    ] = None,
    save_steps: Annotated[
        int | None,
        typer.Option(
            "--save-steps",
            min=1,
            metavar="N",
            help="Keep the state every N steps too, not only every epoch and every ten minutes.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write TensorBoard's files as well (extra train)."),
    ] = False,
    index: options.Index = None,
    offline: options.Offline = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a variant by the recipe that its index states, or fine-tune its published weights.

    Writes model.pth (the weights alone) and classes.txt into the output folder, beside last.pth and
    best.pth (the whole state) and log.csv. A training that was killed goes on with --resume auto to
    the same result. For several GPUs or hosts: torchrun --nproc_per_node N -m zoo train ...

    Pictures that can't be read are named, left out and counted. See docs/training.md.
    """
    if resume not in (None, _USED_AS_IS):
        raise UsageError(f"zoo train: --resume {resume!r}: write --resume auto")
    entry = one_variant(variant, index, "zoo train: ")
    shared = settings_of(
        device=device,
        amp=amp,
        compile=compile,
        workers=workers,
        offline=offline,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    from harness.cli.downloads import fetch_shown
    from harness.cli.training_progress import TrainingProgress
    from harness.measure.devices import keep_freed_memory
    from zoo.registry import UnknownModelError, is_model
    from zoo.training import BadInput, Settings, TrainingError, train
    from zoo.training.distributed import is_first
    from zoo.variants import base_name
    from zoo.weights import WeightsError
    from zoo.weights.load import CheckpointError

    keep_freed_memory()  # This process does nothing but train.
    progress = TrainingProgress(first=is_first(), quiet=quiet)
    given: dict[str, Any] = {"augment": augment, "amp": shared.amp}
    try:
        if not is_model(base_name(entry)):
            raise UsageError(f"zoo train: this package has no model {base_name(entry)!r} to train")
        outcome = train(
            Settings(
                entry.name,
                data,
                output or Path("runs") / entry.name,
                val=val,
                variant=entry,
                finetune=finetune,
                freeze=freeze,
                freeze_norms=freeze_norms,
                epochs=epochs,
                batch_size=batch_size,
                lr=lr,
                device=shared.device,
                compile=bool(shared.compile),
                ema=ema,
                workers=shared.workers,
                seed=seed,
                resume=resume is not None,
                max_steps=max_steps,
                save_steps=save_steps,
                tensorboard=tensorboard,
                **given,
            ),
            progress,
            fetch=lambda wanted: fetch_shown(wanted, shared, draw=is_first()),
        )
    except (BadInput, UnknownModelError) as error:
        # Every process meets the same mistake: one line of it is enough.
        raise UsageError(*([f"zoo train: {error}"] if is_first() else [])) from error
    except (TrainingError, WeightsError, CheckpointError) as error:
        raise Failure(str(error)) from error
    finally:
        progress.close()
    if not is_first():
        return
    if outcome.unreadable:
        terminal.say(f"pictures were left out {outcome.unreadable} times, as they can't be read")
    accuracy = "" if outcome.top1 is None else f"  top-1 {outcome.top1:.2f}%"
    terminal.emit(f"{outcome.output / 'model.pth'}  epoch {outcome.best_epoch}{accuracy}\n")
