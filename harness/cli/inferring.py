"""The commands that run a model on pictures: `zoo classify` and `zoo features`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import options, terminal
from harness.cli.inference_run import InferenceRun
from harness.cli.status import Failure
from harness.run.request import UsageError
from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from zoo.inference import Guess

_USUAL_BATCH = 32  # that of zoo.inference, whose import would slow down every command

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

    The published weights are fetched where they are not here yet, and verified. A picture is turned
    upright as its EXIF says, which accuracies are measured without, and its transparency is
    dropped. A picture that can't be read, or that the model has no finite answer to, is told of on
    standard error, and the rest go on.

    Exit status: 0 every picture was classified; 2 wrong use; 3 a picture could not be read, or the
    weights can't be had; 130 an interrupt.
    """
    from zoo.images.io import as_text
    from zoo.inference import best
    from zoo.variants import class_names

    run = InferenceRun(
        variant,
        images,
        batch,
        index=index,
        device=device,
        offline=offline,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    try:
        names = class_names(run.variant)
    except ValueError as error:
        raise UsageError(str(error)) from error
    rows: list[dict[str, Any]] = []
    # Lines on the same screen would run into a bar.
    drawn = as_json or not terminal.is_terminal(terminal.stdout())
    with closing(run.answers(run.load(), drawn=drawn)) as answers:
        for answer in answers:
            guesses = best(answer.output, top)
            if not as_json:
                if not terminal.emit(_shown(answer.name, guesses, names)):
                    break  # Nobody reads on, and a folder may hold hours of work.
                continue
            shown = [
                {
                    "index": guess.index,
                    "class": names[guess.index],
                    "probability": guess.probability,
                }
                for guess in guesses
            ]
            rows.append({"picture": as_text(answer.name), "top": shown})
    if as_json:
        document = {"variant": run.variant.name, "pictures": rows, "unreadable": run.unreadable}
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
    name when it is whole. A picture is turned upright as its EXIF says, which accuracies are
    measured without, and its transparency is dropped. A picture that can't be read, or whose vector
    is not finite, is told of on standard error and has no row.

    Exit status: 0 every picture has its row; 2 wrong use; 3 a picture could not be read, the
    weights can't be had, or the file can't be written; 130 an interrupt.
    """
    from zoo.vectors import VectorsError, open_writer

    run = InferenceRun(
        variant,
        images,
        batch,
        index=index,
        device=device,
        offline=offline,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    about = {"variant": run.variant.name, "stage": "pooled" if stage is None else str(stage)}
    try:
        # Before the model is loaded: hours of work should not end at a folder that is not there.
        writer = open_writer(output, about)
    except VectorsError as error:
        raise UsageError(f"--output: {error}") from error
    except OSError as error:
        raise _unwritten(output, error) from error
    rows = 0
    with writer, closing(run.answers(run.encoder(stage))) as answers:
        for answer in answers:
            with _writing(output):
                writer.add(answer.name, answer.output.numpy())
            rows += 1
        if not rows:
            raise Failure(f"{output}: not written, as no picture could be read")
        with _writing(output):
            writer.finish()
    terminal.say(f"{output}: {rows:,} vectors")
    run.end()


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    """What the system says against writing the file, as a `Failure`."""
    try:
        yield
    except OSError as error:
        raise _unwritten(output, error) from error


def _unwritten(output: Path, error: OSError) -> Failure:
    return Failure(f"{output}: can't be written: {error.strerror or error}")


def _shown(name: str, guesses: Sequence[Guess], names: Sequence[str]) -> str:
    lines = [name, *(f"{g.probability:8.2%}  {names[g.index]}" for g in guesses)]
    return "".join(f"{for_terminal(line)}\n" for line in lines)
