"""`zoo classify` and `zoo features`: one variant on images."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import FETCHING_ONE, command, not_ours, one_variant, variant
from harness.cli.output import FAILED, WARNING, Failure, emit, emit_json, is_terminal, say
from harness.config import RunConfig, UsageError
from zoo._util.text import foreign, plural

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.inference import Answer, Guess
    from zoo.models._base import ImageClassifier

Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE",
        help="Files, folders with their subfolders, http(s) URLs, or - for standard input.",
    ),
]
# Every family gives a feature map for each of the strides 2, 4, 8, 16 and 32.
STAGES = 5
INFERENCE = ("index", "device", *FETCHING_ONE)


@command(*INFERENCE)
def classify(
    config: RunConfig,
    variant: Annotated[str, variant("A name of the index.")],
    images: Images,
    *,
    top: int,
    as_json: bool,
    batch: int,
) -> None:
    """The published weights are fetched where they are not in the cache, and verified. An image is
    turned upright as its EXIF says, which accuracies are measured without, and its transparency is
    dropped. An image that can't be read, or that the model has no finite output for, is reported on
    standard error, and the rest go on.

    Exit status: 0 every image was classified; 2 wrong use; 3 an image could not be read, or the
    weights can't be had; 130 an interrupt.
    """
    run = InferenceRun(config, variant, images, batch)
    from zoo.images.io import as_text  # After the first line, which is there at once.
    from zoo.variants import class_names

    try:
        names = class_names(run.variant)
    except ValueError as error:
        raise UsageError(str(error)) from error
    rows: list[dict[str, Any]] = []
    # Lines on the same screen would run into a bar.
    drawn = as_json or not is_terminal(sys.stdout)
    with closing(run.answers(run.load, drawn=drawn)) as answers:
        for answer in answers:
            from zoo.inference import best  # With torch, which is needed only now.

            guesses = best(answer.output, top)
            if not as_json:
                if not emit(_shown(answer.name, guesses, names)):
                    break  # The reader went away, and a folder may hold hours of work.
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
        emit_json(document)
    run.end()


def _shown(name: str, guesses: Sequence[Guess], names: Sequence[str]) -> str:
    lines = [name, *(f"{g.probability:8.2%}  {names[g.index]}" for g in guesses)]
    return "".join(f"{foreign(line)}\n" for line in lines)


_CHECK = "check how it is written, and the working folder"


def _may_be_there(image: str) -> bool:
    return image == "-" or "://" in image or os.path.lexists(image)


class InferenceRun:
    """One variant on images; what could not be read is reported at once, and kept.

    Raises:
        UsageError: there is no such variant or device, its entry can't be followed, none of the
            images is there, or standard input is named twice.
    """

    def __init__(self, config: RunConfig, variant: str, images: Sequence[str], batch: int) -> None:
        from zoo.preprocessing import variant_preprocessing

        if list(images).count("-") > 1:
            raise UsageError("-: standard input holds one image; name it once")
        self._config = config
        self.variant = one_variant(config, variant)
        try:
            self._transform = variant_preprocessing(self.variant)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._images = images
        self._batch = batch
        self.unreadable: list[dict[str, str]] = []

    def load(self, num_classes: int | None = None) -> ImageClassifier:
        """The model with its weights, on the device and in evaluation mode."""
        from harness.cli.progress import fetch_shown
        from harness.run.plan import device_here
        from zoo.errors import CheckpointError, WeightsError
        from zoo.registry import is_model
        from zoo.variants import base_name, load_variant

        base = base_name(self.variant)
        if not is_model(base):
            what = f"this package does not build {base}"
            raise UsageError(not_ours(f"{self.variant.location}: {what}"))
        try:
            self._device = device_here(self._config.device)
            checkpoint = fetch_shown(self.variant, self._config)
            model = load_variant(self.variant, checkpoint, num_classes=num_classes)
        except (WeightsError, CheckpointError) as error:
            raise Failure(str(error)) from error
        except ValueError as error:
            raise UsageError(str(error)) from error
        import torch

        from harness.measure.devices import full_float32

        full_float32()  # A GPU takes TF32 otherwise, and its vectors are not a CPU's.
        self._report_defaults()
        return model.eval().to(self._device).to(memory_format=torch.channels_last)

    def encoder(self, stage: int | None) -> Callable[[Tensor], Tensor]:
        """A function from inputs to vectors: the pooled features, or a stage's map, averaged."""
        if stage is None:
            return self.load(num_classes=0)
        from zoo.models._base import FeatureExtractor

        extractor = FeatureExtractor(self.load(), [stage]).eval()
        return lambda inputs: extractor(inputs)[0].mean((2, 3))

    def answers(
        self, load: Callable[[], Callable[[Tensor], Tensor]], *, drawn: bool = True
    ) -> Generator[Answer, None, None]:
        """The model's outputs for each image that can be read; ``drawn`` with a bar meanwhile."""
        gone = [name for name in self._images if not _may_be_there(name)]
        if len(gone) == len(self._images):  # No weights are fetched to say so.
            raise UsageError(*(f"{n}: there is no such file or folder; {_CHECK}" for n in gone))
        model = load()
        from harness.cli.progress import StderrProgress
        from zoo.images import UnreadableImage, Web, find
        from zoo.inference import answers

        # Of odd images, one for each; what is wrong with one is reported with its name.
        warnings.simplefilter("ignore")
        config = self._config
        progress = StderrProgress(quiet=not drawn)
        with (
            Web(
                allow_http=config.allow_http,
                offline=config.offline,
                public_hosts_only=config.public_hosts_only,
            ) as web,
            closing(progress),
        ):
            progress.start(None)
            for answer in answers(
                model,
                self._transform,
                find(self._images, web),
                batch_size=self._batch,
                device=self._device,
                upright=True,
            ):
                progress.advance(answer.name.rpartition("/")[2])
                if isinstance(answer, UnreadableImage):
                    self._unreadable(progress.fail, answer.name, answer.why)
                else:
                    yield answer

    def _unreadable(self, fail: Callable[[str], None], name: str, why: str) -> None:
        from zoo.images.io import as_text

        fail(f"{name}: {why}")
        self.unreadable.append({"picture": as_text(name), "why": as_text(why)})

    def _report_defaults(self) -> None:
        """Report what is not stated: a wrong guess makes a model look worse than it is."""
        from zoo.preprocessing import CLAIMS

        taken = [f"{CLAIMS[each]} {self._shown(each)}" for each in self._transform.defaults]
        if taken:
            what = "; ".join(taken)
            variant = self.variant
            say(
                f"{variant.location}: {variant.name}: not stated, and taken as usual: {what}",
                WARNING,
            )

    def _shown(self, setting: str) -> str:
        value = getattr(self._transform, setting)
        if setting == "image_size":
            return "x".join(map(str, value))
        return str(list(value) if isinstance(value, tuple) else value)

    def end(self) -> None:
        """Exit with the status of a failure where an image could not be read."""
        if self.unreadable:
            raise typer.Exit(FAILED)


@command(*INFERENCE)
def features(
    config: RunConfig,
    variant: Annotated[str, variant("A name of the index.")],
    images: Images,
    *,
    output: Path,
    stage: int | None,
    batch: int,
) -> None:
    """A .parquet file has the columns picture and features, and needs pyarrow (extra parquet). An
    .npy file is a matrix; the .json file beside it names the image of each row. A file takes its
    name when it is whole. An image is turned upright as its EXIF says, which accuracies are
    measured without, and its transparency is dropped. An image that can't be read, or whose vector
    is not finite, is reported on standard error and has no row.

    Exit status: 0 every image has its row; 2 wrong use; 3 an image could not be read, the
    weights can't be had, or the file can't be written; 130 an interrupt.
    """
    if stage is not None and not -STAGES <= stage < STAGES:
        raise UsageError(
            f"--stage {stage}: there are the stages 0 to {STAGES - 1}; choose one of them, or "
            f"{-STAGES} to -1 from the end"
        )
    run = InferenceRun(config, variant, images, batch)
    from zoo.embeddings import open_writer
    from zoo.errors import EmbeddingsError

    about = {"variant": run.variant.name, "stage": "pooled" if stage is None else str(stage)}
    try:
        # Before the model is loaded: hours of work should not end at a folder that is not there.
        with _writing(output):
            writer = open_writer(output, about)
    except EmbeddingsError as error:
        raise UsageError(f"--output: {error}") from error
    rows = 0
    with writer, closing(run.answers(partial(run.encoder, stage))) as answers:
        for answer in answers:
            with _writing(output):
                writer.add(answer.name, answer.output.numpy())
            rows += 1
        if not rows:
            raise Failure(f"{output}: not written, as no image could be read")
        with _writing(output):
            writer.finish()
    beside = f"; {output.with_suffix('.json')}: the image of each" * (output.suffix == ".npy")
    say(f"{output}: {plural(rows, 'vector')}{beside}")
    run.end()


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    """Turn an error of the file system into a `Failure`."""
    try:
        yield
    except OSError as error:
        raise Failure(f"{output}: can't be written: {error.strerror or error}") from error
