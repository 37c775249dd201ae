"""The commands that run a model on pictures: `zoo classify` and `zoo features`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import options, terminal
from harness.cli.common import one_variant, settings_of
from harness.cli.status import FAILED, Failure
from harness.report.safe_text import for_terminal
from harness.run.request import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.inference import Answer, Guess

_USUAL_BATCH = 32


Variant = Annotated[str, typer.Argument(metavar="VARIANT", help="A name of the index.")]
Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE",
        help="Files, folders with their subfolders, http(s) URLs, or - for standard input.",
    ),
]
Batch = Annotated[
    int, typer.Option("--batch", min=1, metavar="N", help="Pictures per pass at the most.")
]


def classify(
    variant: Variant,
    images: Images,
    top: Annotated[
        int, typer.Option("--top", min=1, metavar="N", help="Classes to show for each picture.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    index: options.Index = None,
    device: options.Device = None,
    batch: Batch = _USUAL_BATCH,
    offline: options.Offline = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
) -> None:
    """Say what pictures show: the likeliest classes of each, with their probabilities.

    The published weights are fetched where they are not here yet, and verified. A picture that
    can't be read is told of on standard error, and the rest go on.

    Exit status: 0 every picture was classified; 2 wrong use; 3 a picture could not be read, or the
    weights can't be had; 130 an interrupt.
    """
    from zoo.inference import best
    from zoo.variants import class_names

    run = _Run(
        variant,
        images,
        batch,
        index=index,
        device=device,
        offline=offline,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    names = class_names(run.variant)
    rows: list[dict[str, Any]] = []
    for answer in run.answers(run.load()):
        guesses = best(answer.output, top)
        if not as_json:
            terminal.emit(_shown(answer.name, guesses, names))
            continue
        shown = [
            {"index": guess.index, "class": names[guess.index], "probability": guess.probability}
            for guess in guesses
        ]
        rows.append({"picture": answer.name, "top": shown})
    if as_json:
        document = {"variant": variant, "pictures": rows, "unreadable": run.unreadable}
        terminal.emit(json.dumps(document, indent=2, allow_nan=False) + "\n")
    run.end()


def features(
    variant: Variant,
    images: Images,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="A .parquet or an .npy file."),
    ],
    stage: Annotated[
        int | None,
        typer.Option(
            "--stage",
            metavar="N",
            help="The feature map of stage N, averaged over its pixels: 0 is the finest, -1 the "
            "last. Default: what the classifier is fed.",
        ),
    ] = None,
    index: options.Index = None,
    device: options.Device = None,
    batch: Batch = _USUAL_BATCH,
    offline: options.Offline = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
) -> None:
    """Write one feature vector for each picture to a file.

    A .parquet file has the columns picture and features, and needs pyarrow (extra parquet). An
    .npy file is a matrix; the .json file beside it names the picture of each row. A file takes its
    name when it is whole. A picture that can't be read is told of on standard error and has no
    row.

    Exit status: 0 every picture has its row; 2 wrong use; 3 a picture could not be read, the
    weights can't be had, or the file can't be written; 130 an interrupt.
    """
    from zoo.vectors import VectorsError, open_writer

    run = _Run(
        variant,
        images,
        batch,
        index=index,
        device=device,
        offline=offline,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    about = {"variant": variant, "stage": "pooled" if stage is None else str(stage)}
    try:
        # Before the model is loaded: hours of work should not end at a folder that is not there.
        writer = open_writer(output, about)
    except VectorsError as error:
        raise UsageError(f"--output: {error}") from error
    except OSError as error:
        raise Failure(f"{output}: can't be written: {error.strerror or error}") from error
    rows = 0
    with writer:
        encoder = run.encoder(stage)
        try:
            for answer in run.answers(encoder):
                writer.add(answer.name, answer.output.numpy())
                rows += 1
            if not rows:
                raise Failure(f"{output}: not written, as no picture could be read")
            writer.finish()
        except OSError as error:  # What is wrong with a picture is no error here.
            raise Failure(f"{output}: can't be written: {error.strerror or error}") from error
    terminal.say(f"{output}: {rows:,} vectors")
    run.end()


class _Run:
    """One variant on pictures; what could not be read is said at once, and kept.

    Raises:
        UsageError: there is no such variant or device, or standard input is named twice.
    """

    def __init__(self, variant: str, images: Sequence[str], batch: int, **flags: Any) -> None:
        from zoo.preprocessing import variant_preprocessing

        if list(images).count("-") > 1:
            raise UsageError("-: standard input holds one picture; name it once")
        self._settings = settings_of(**flags)
        self.variant = one_variant(variant, flags["index"])
        try:
            self._transform = variant_preprocessing(self.variant)
        except ValueError as error:
            raise UsageError(f"{self.variant.location}: {variant}: {error}") from error
        self._images = images
        self._batch = batch
        self.unreadable: list[dict[str, str]] = []

    def load(self, **options: Any) -> nn.Module:
        """The model with its weights, on the device and ready to answer."""
        from harness.cli.downloads import fetch_shown
        from harness.measure.devices import DeviceError, choose_device
        from zoo.registry import is_model
        from zoo.variants import base_name, load_variant
        from zoo.weights import WeightsError
        from zoo.weights.tensors import CheckpointError

        settings, base = self._settings, base_name(self.variant)
        if not is_model(base):
            raise UsageError(f"{self.variant.location}: this package does not build {base}")
        try:
            self._device = choose_device(settings.device)
            model = load_variant(self.variant, fetch_shown(self.variant, settings), **options)
        except DeviceError as error:
            raise UsageError(f"--device: {error}") from error
        except (WeightsError, CheckpointError) as error:
            raise Failure(str(error)) from error
        import torch

        return model.eval().to(self._device).to(memory_format=torch.channels_last)

    def encoder(self, stage: int | None) -> Callable[[Tensor], Tensor]:
        """What turns inputs into vectors: the pooled features, or a stage's map, averaged."""
        if stage is None:
            return self.load(num_classes=0)
        try:
            extractor = self.load(features_only=True, out_indices=[stage])
        except ValueError as error:
            raise UsageError(f"--stage: {error}") from error
        return lambda inputs: extractor(inputs)[0].mean((2, 3))

    def answers(self, model: Callable[[Tensor], Tensor]) -> Iterator[Answer]:
        """What the model says of each picture that can be read."""
        from zoo.inference import answers
        from zoo.pictures import Unreadable, Web, find

        # Of odd pictures, one for each; what is wrong with one is said with its name.
        warnings.simplefilter("ignore")
        with Web(allow_http=self._settings.allow_http) as web:
            for answer in answers(
                model,
                self._transform,
                find(self._images, web),
                batch_size=self._batch,
                device=self._device,
            ):
                if isinstance(answer, Unreadable):
                    terminal.say(f"{answer.name}: {answer.why}")
                    self.unreadable.append({"picture": answer.name, "why": answer.why})
                else:
                    yield answer

    def end(self) -> None:
        """Exit as one should who could not read all."""
        if self.unreadable:
            raise typer.Exit(FAILED)


def _shown(name: str, guesses: Sequence[Guess], names: Sequence[str]) -> str:
    lines = [name, *(f"{g.probability:8.2%}  {names[g.index]}" for g in guesses)]
    return "".join(f"{for_terminal(line)}\n" for line in lines)
