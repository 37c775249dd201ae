"""`zoo features`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

from harness.cli.classify import INFERENCE, Images, InferenceRun
from harness.cli.errors import Failure
from harness.cli.options import command, variant
from harness.cli.output import say
from harness.config import RunConfig, UsageError


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
    from zoo.embeddings import open_writer
    from zoo.errors import EmbeddingsError

    run = InferenceRun(config, variant, images, batch)
    about = {"variant": run.variant.name, "stage": "pooled" if stage is None else str(stage)}
    try:
        # Before the model is loaded: hours of work should not end at a folder that is not there.
        writer = open_writer(output, about)
    except EmbeddingsError as error:
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
            raise Failure(f"{output}: not written, as no image could be read")
        with _writing(output):
            writer.finish()
    say(f"{output}: {rows:,} vectors")
    run.end()


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    """Turn an error of the file system into a `Failure`."""
    try:
        yield
    except OSError as error:
        raise _unwritten(output, error) from error


def _unwritten(output: Path, error: OSError) -> Failure:
    return Failure(f"{output}: can't be written: {error.strerror or error}")
