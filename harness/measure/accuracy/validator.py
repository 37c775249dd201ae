"""How many images a variant answers right, counted exactly.

The counts of a shard depend on the model, its weights, the images and how they are read, and on
nothing else: not on the batch size, the number of decoding processes, how the images are cut into
shards, or what was decoded before. See `harness.measure.accuracy.scoring` for how rounding is kept
out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.accuracy.lanes import Lane, lane_to
from harness.measure.accuracy.variations import Alternative, InputConfig, alternatives
from harness.measure.builders import builder_of
from harness.measure.cuda import on_device, refuse_decoding
from harness.measure.devices import (
    AMPS,
    Amp,
    choose_device,
    default_threads,
    full_float32,
    keep_freed_memory,
)
from zoo._util.cores import usable_cores
from zoo.preprocessing import Decoder, Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.datasets import DecodedSet, ImageSet
    from harness.measure.accuracy.classifier import Classifier
    from harness.measure.accuracy.counts import AccuracyCounts, Told
    from harness.measure.accuracy.prefetch import Prefetcher
    from harness.measure.builders import Builder
    from harness.types import Recipe

__all__ = ["Alternative", "InputConfig", "Validator", "alternatives", "preprocessing_of"]

_CPU_BATCH = 32
_IMAGE_SETS = 6  # of a run with one for each dataset, whose parts come by turns
_OPEN_SETS = 2  # decoded sets in use are never evicted: an alternative's should be, soon after
# More threads than this would spend their time waiting for the interpreter.
_MAX_LANES = 16


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """The evaluation transform of a recipe; what it doesn't say is the field's default.

    Raises:
        ValueError: a setting is out of range.
    """
    return Preprocessing.from_settings(
        recipe.image_size,
        recipe.crop_pct,
        recipe.interpolation,
        recipe.mean,
        recipe.std,
        recipe.crop_mode,
    )


class Validator:
    """Counts right answers, shard by shard. Keeps the last model, image set and pixels open.

    For a process that only measures: it changes how the process calculates and keeps memory. Close
    it, or use it as a context manager.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        amp: ``off`` for float32; ``bf16`` or ``fp16`` are faster and answer some images
            differently, depending on the device.
        compile: run models through ``torch.compile``.
        decode_workers: processes that decode; 0 decodes in this one; None chooses by the machine.
        decoder: see `Preprocessing.decode`.
        threads: cores that the model may use; None takes ``OMP_NUM_THREADS``, else all that this
            process may use.
        batch_size: images that go through the model at once; None finds it by measuring.
        cache_root: the folder of decoded images; None is the user's cache folder.
        cache_bytes: what all decoded images may take up on disk; None is the cache's default.
        strict: have CUDA raise an error where the loop waits for it, see `CudaLane.steady`.
        lane: the way to the device, where it is not the usual one.

    Raises:
        DeviceError: there is no such device, or it decodes no images.
        ValueError: an option is none of those named above.
    """

    def __init__(
        self,
        device: str = "auto",
        *,
        amp: Amp = "off",
        compile: bool = False,
        decode_workers: int | None = None,
        decoder: Decoder = "pillow",
        threads: int | None = None,
        batch_size: int | None = None,
        cache_root: Path | None = None,
        cache_bytes: int | None = None,
        strict: bool = False,
        lane: Lane | None = None,
    ) -> None:
        if amp not in AMPS:
            raise ValueError(f"amp must be one of {', '.join(AMPS)}, not {amp!r}")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        self.device = choose_device(device)
        self.amp = amp
        self.compile = compile
        self.threads = threads or default_threads()
        self.lane = lane or lane_to(self.device, strict=strict)
        self._on_cpu = not self.lane.overlaps
        # On a CPU the threads that run the model decode as well (`Prefetcher`). Of a GPU that
        # decodes, each process would take memory for a context of its own.
        here = self._on_cpu if decode_workers is None else decode_workers == 0
        self.decode_workers = 0 if here or decoder == "gpu" else decode_workers or usable_cores()
        self._decoder: Decoder = decoder
        self._batch_size = batch_size
        self._cache_root, self._cache_bytes = cache_root, cache_bytes
        self._pool: Executor | None = None
        self._prefetcher: Prefetcher | None = None
        self._images: OrderedDict[tuple[str, tuple[str, ...] | None], ImageSet] = OrderedDict()
        self._decoded: OrderedDict[str, DecodedSet] = OrderedDict()
        self._model: tuple[tuple[object, ...], Classifier] | None = None
        full_float32()
        if self._on_cpu:
            keep_freed_memory()
        if decoder == "gpu":
            refuse_decoding(self.device)

    def count(
        self,
        recipe: Recipe,
        checkpoint: Path,
        images: str,
        config: Preprocessing | InputConfig,
        shard: Sequence[int] | NDArray[np.int64],
        *,
        heard: Callable[[int, int, int, float], None] = lambda *counts: None,
        **how: Any,
    ) -> dict[str, Any]:
        """Counts the images of a shard that a variant answers right; see `count_shards`."""
        (found,) = self.count_shards(
            recipe,
            checkpoint,
            images,
            config,
            [shard],
            heard=lambda number, *counts: heard(*counts),
            **how,
        )
        assert found is not None
        return found

    def count_shards(
        self,
        recipe: Recipe,
        checkpoint: Path,
        images: str,
        config: Preprocessing | InputConfig,
        shards: Sequence[Sequence[int] | NDArray[np.int64]],
        *,
        classes: tuple[str, ...] | None = None,
        builder: Builder | None = None,
        entry: str | None = None,
        heard: Told = lambda *counts: None,
        truth: NDArray[np.int64] | None = None,
        also: NDArray[np.int64] | None = None,
        keep: bool = False,
        amp: Amp | None = None,
        following: Sequence[int] | NDArray[np.int64] = (),
        made: Callable[[int, dict[str, Any]], None] = lambda number, value: None,
        over: Callable[[], bool] = lambda: False,
    ) -> list[dict[str, Any] | None]:
        """Counts the images of each shard that a variant answers right.

        A GPU is given them as one stream of batches, a CPU one shard after the other.

        Args:
            recipe: the variant.
            checkpoint: its weights.
            images: the image set, as `harness.datasets.open_image_set` takes it.
            config: how its images and labels are read.
            shards: of each, indices of images.
            classes: the classes that the set is labelled by, where they are not ImageNet's.
            builder: builds the variant; by default the one that the recipe names.
            entry: which of the checkpoint's state dicts; None for the usual one.
            heard: called a few times a second, from any thread and from one at a time.
            truth: all classes that are right of each image of the set, in place of its label: int64
                (images, most), filled with -1.
            also: further labels that the predictions may be scored by, in the form of ``truth``.
            keep: return the predictions as well.
            amp: in place of the validator's.
            following: images that will probably be asked for next.
            made: called with a shard's number and its counts as soon as they are complete, from
                any thread and from one at a time.
            over: whether the time is over: no shard but those that have begun is counted then.

        Returns:
            Of each shard, None where the time was over: ``images`` (all of the shard, those
            included that can't be read), ``top1`` and ``top5`` (those answered right),
            ``unreadable`` (a list of [name, why]), ``not_finite`` (images with a logit that is no
            finite number; they count as wrong), ``decided_exactly`` (images whose answer hung on
            rounding, and was decided in float64), ``not_decided`` (why the model can't run in
            float64, None where it can or need not), ``seconds``, ``batch`` (the batch size),
            ``not_kept`` (why decoded images were not kept, None if they were), ``entry`` and
            ``others`` (which of the file's state dicts was run, and those of the same network that
            were not), ``predictions`` (see `harness.measure.accuracy.predictions`, as base64; None
            without ``keep``).

        Raises:
            ImageSetError: there is no such image set.
            ValueError: an index is out of range, or there is no such builder.
            CheckpointError: the file does not hold the variant's weights; one line.
            ValidationError: the variant is no classifier of these classes.
            BrokenProcessPool: a decoding process died.
            MemoryError: there is no memory for a single image.
            Exception: what the builder or the model raises.
        """
        import numpy as np

        from harness.measure.accuracy.classifier import GPU_SIZES
        from harness.measure.accuracy.counts import EvalRequest
        from harness.measure.accuracy.pipeline import EvalThread, Telling, run

        begin = time.perf_counter()
        config = InputConfig(config) if isinstance(config, Preprocessing) else config
        image_set = self.open_images(images, classes)
        parts = _indices(shards, images, len(image_set))
        given = np.asarray(image_set.labels, dtype=np.int64) if truth is None else truth
        decoded = self._open_decoded(image_set, config.preprocessing, self._decoder)
        prefetcher = self._prefetcher_of(decoded)
        loaded = None if self._model is None else self._model[0]
        if self.lane.overlaps and loaded != _key_of(recipe, checkpoint, builder, entry):
            # Decoding needs no model, and a model takes a while to load.
            prefetcher.start(np.concatenate(parts), lambda left: GPU_SIZES[0])
        model = self._load(recipe, checkpoint, builder, entry)
        model.amp = amp or self.amp
        tuner = model.tuner(config.preprocessing.image_size)
        eval_threads = self._side_by_side()

        def batch(left: int) -> int:
            if not self._on_cpu:
                return tuner.plan(left)
            # Ever smaller towards the end, so that all threads end together; of whole batches.
            batches = min(_CPU_BATCH, left // (2 * eval_threads)) // tuner.size
            return max(1, batches) * tuner.size

        found: list[dict[str, Any] | None] = [None] * len(parts)

        def ended(first: int, number: int, counts: AccuracyCounts) -> None:
            nonlocal begin
            now = time.perf_counter()
            found[first + number] = value = {
                **counts.facts(),
                "not_decided": model.rescorer.unable,
                "seconds": now - begin,
                "batch": tuner.best,
                "not_kept": decoded.kept_out,
                "entry": model.entry,
                "others": model.others,
                "predictions": counts.predictions(),
            }
            begin = now
            made(first + number, value)

        together = len(parts) if self.lane.overlaps else 1
        for first in range(0, len(parts), together):
            if first and over():
                break
            some = parts[first : first + together]
            request = EvalRequest.of(
                *(config, given, some, self.device), keep=keep, imagenet=classes is None, also=also
            )
            indices = np.concatenate(some)
            decoded.reserve(indices)
            prefetcher.start(indices, batch, np.asarray(following, dtype=np.int64))
            tell = Telling(lambda number, *counts, first=first: heard(first + number, *counts))
            running = [EvalThread(model, self.lane, request) for _ in range(eval_threads)]
            threads = max(1, self.threads // eval_threads)
            try:
                run(running, prefetcher, threads, tell, over, partial(ended, first))
            except BrokenExecutor:
                self._pool = None  # The next shard gets new processes.
                self._leave_prefetcher()
                raise
        return found

    def compare_decoders(
        self,
        recipe: Recipe,
        checkpoint: Path,
        images: str,
        shard: Sequence[int] | NDArray[np.int64],
        classes: tuple[str, ...] | None = None,
        amp: Amp | None = None,
    ) -> dict[str, int]:
        """How often this validator's decoder changes what a variant answers, see `disagreement`.

        Arguments and errors are those of `count`; the config is the recipe's.
        """
        from harness.measure.accuracy.scoring import disagreement

        image_set = self.open_images(images, classes)
        config = InputConfig(preprocessing_of(recipe))
        sets = [
            self._open_decoded(image_set, config.preprocessing, decoder)
            for decoder in (self._decoder, "pillow")
        ]
        model = self._load(recipe, checkpoint, None)
        model.amp = amp or self.amp
        with on_device(self.device):
            return disagreement(model, config, (sets[0], sets[1]), shard)

    def open_images(self, spec: str, classes: tuple[str, ...] | None = None) -> ImageSet:
        """The image set that `count` uses, opened once while the same few are asked for.

        Raises:
            ImageSetError: there is no such image set.
        """
        from harness.datasets import open_image_set

        if (spec, classes) not in self._images:
            while len(self._images) >= _IMAGE_SETS:
                self._images.popitem(last=False)
            self._images[spec, classes] = open_image_set(spec, classes)
        return self._images[spec, classes]

    def close(self) -> None:
        """Ends the decoding processes and lets go of the pixels. Closing twice does nothing."""
        self._leave_prefetcher()
        while self._decoded:
            self._decoded.popitem()[1].close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._images.clear()
        self._pool = self._model = None

    def __enter__(self) -> Validator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _side_by_side(self) -> int:
        """Models run side by side: on a CPU one per core beats one on all cores.

        A layer of a small batch is too little work to share out, and threads that wait for each
        other at the end of every layer waste what other threads could use.
        """
        return min(self.threads, _MAX_LANES) if self._on_cpu and not self.compile else 1

    def _prefetcher_of(self, decoded: DecodedSet) -> Prefetcher:
        """Hands out images of that set; kept as long as no other set is asked for."""
        from harness.measure.accuracy.prefetch import Prefetcher

        if self._prefetcher is None:
            self._prefetcher = Prefetcher(
                decoded,
                self.lane,
                pool=self._decoders(),
                workers=self.decode_workers,
                ahead=self.decode_workers > 0 or self.lane.overlaps,
            )
        return self._prefetcher

    def _leave_prefetcher(self, but_of: DecodedSet | None = None) -> None:
        if self._prefetcher is not None and self._prefetcher.decoded is not but_of:
            self._prefetcher.close()
            self._prefetcher = None

    def _open_decoded(
        self, images: ImageSet, preprocessing: Preprocessing, decoder: Decoder
    ) -> DecodedSet:
        from harness.datasets import DecodedSet

        key = f"{images.fingerprint} {preprocessing.pixels_key()} {decoder}"
        if key not in self._decoded:
            limit = {} if self._cache_bytes is None else {"max_bytes": self._cache_bytes}
            with on_device(self.device):
                self._decoded[key] = DecodedSet.open(
                    images, preprocessing, root=self._cache_root, decoder=decoder, **limit
                )
        self._decoded.move_to_end(key)
        self._leave_prefetcher(but_of=self._decoded[key])
        while len(self._decoded) > _OPEN_SETS:
            self._decoded.popitem(last=False)[1].close()
        return self._decoded[key]

    def _decoders(self) -> Executor | None:
        from harness.datasets import decoding_pool

        if self._pool is None:
            self._pool = decoding_pool(self.decode_workers)
        return self._pool

    def _load(
        self, recipe: Recipe, checkpoint: Path, builder: Builder | None, entry: str | None = None
    ) -> Classifier:
        from harness.measure.accuracy.classifier import Classifier

        key = _key_of(recipe, checkpoint, builder, entry)
        if self._model is None or self._model[0] != key:
            self._model = None  # Freed before the next one takes its memory.
            with on_device(self.device):
                model = Classifier(
                    builder or builder_of(recipe),
                    recipe.name,
                    checkpoint,
                    device=self.device,
                    amp=self.amp,
                    compiled=self.compile,
                    batch_size=self._batch_size,
                    overlaps=self.lane.overlaps,
                    entry=entry,
                )
            self._model = key, model
        return self._model[1]


def _indices(
    shards: Sequence[Sequence[int] | NDArray[np.int64]], images: str, count: int
) -> list[NDArray[np.int64]]:
    import numpy as np

    parts = [np.asarray(shard, dtype=np.int64) for shard in shards]
    for part in parts:
        if len(part) and not 0 <= part.min() <= part.max() < count:
            raise ValueError(f"a shard of {images} has images beyond its {count}")
    return parts


def _key_of(
    recipe: Recipe, checkpoint: Path, builder: Builder | None, entry: str | None
) -> tuple[object, ...]:
    """What a loaded model is that of."""
    status = checkpoint.stat()
    file = (str(checkpoint), status.st_size, status.st_mtime_ns, status.st_ino)
    return (recipe.builder, recipe.name, recipe.base, recipe.classes, builder, entry, *file)
