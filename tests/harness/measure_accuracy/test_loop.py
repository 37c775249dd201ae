"""The loop as a GPU has it, on a fake one: nothing is waited for, and nothing is read too early."""

from __future__ import annotations

import threading
import zlib
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from fake_card import FakeLane, FakeStream, Watch
from PIL import Image
from torch import nn

from harness.datasets import DecodedSet, cache, decoded, open_image_set
from harness.datasets.decoded import DecodedBatch
from harness.measure.accuracy import classifier
from harness.measure.accuracy.classifier import GPU_SIZES, BatchTuner
from harness.measure.accuracy.predictions import Predictions
from harness.measure.accuracy.prefetch import EvalBatch, Prefetcher
from harness.measure.accuracy.scoring import Float64Rescorer
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.types import Recipe
from zoo._util.memory import is_out_of_memory

IMAGES = 120
RECIPE = Recipe("net", image_size=(16, 16), crop_pct=1.0)


class Net(nn.Module):
    """Answers by colour, and takes some classes for as good as others."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.fc = nn.Linear(8, 1000)
        self.batches = []

    def forward(self, x):
        self.batches.append((len(x), x.dtype))
        return self.fc(self.conv(x).mean((2, 3)))


class Builder:
    def __init__(self, kind=Net):
        self.kind, self.made = kind, []

    def knows(self, name):
        return True

    def names(self):
        return ["net"]

    def identity(self, name):
        return "1"

    def build(self, name):
        self.made.append(self.kind())
        return self.made[-1]

    @property
    def batches(self):
        return [size for size, dtype in self.made[-1].batches if dtype == torch.float32]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    net = Net()
    nn.init.normal_(net.fc.weight)
    with torch.no_grad():
        net.fc.bias[:10] += 20
        net.fc.weight[500:510] = net.fc.weight[:10]
        net.fc.bias[500:510] = net.fc.bias[:10] + 1e-5
    path = tmp_path_factory.mktemp("weights") / "net.pt"
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Coloured squares; one can't be read."""
    folder = tmp_path_factory.mktemp("colours")
    draw = np.random.default_rng(0)
    lines = []
    for number in range(IMAGES):
        pixels = draw.integers(0, 255, (4, 4, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(folder / f"{number:03}.png")
        lines.append(f"{number:03}.png {number % 10}\n")
    (folder / "077.png").write_bytes(b"no image")
    (folder / "labels.txt").write_text("".join(lines))
    return str(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("decoded")


@pytest.fixture(scope="module")
def plain(weights, folder, place):
    """What the CPU says of each shard."""
    with Validator("cpu", cache_root=place, threads=1) as validator:

        def count(shard):
            found = validator.count(
                RECIPE, weights, folder, transform(), shard, builder=Builder(), keep=True
            )
            return said(found)

        yield count


def transform():
    return preprocessing_of(RECIPE)


def said(found):
    kept = {k: found[k] for k in ("images", "top1", "top5", "unreadable", "decided_exactly")}
    best = Predictions(b64decode(found["predictions"])).best()
    return {**kept, "best": best.tolist()}


def on_card(place, **options):
    """A validator on a fake card, and the card."""
    lane = FakeLane()
    how = {"threads": 1, "decode_workers": 0, **options}
    return Validator("cpu", cache_root=place, lane=lane, **how), lane


def test_the_loop_waits_for_no_batch_that_it_has_just_begun(weights, folder, place, plain):
    """In doubt, too: a share of the images is asked again in float64."""
    validator, lane = on_card(place, batch_size=4)
    with validator:
        found = validator.count(
            RECIPE, weights, folder, transform(), range(IMAGES), builder=Builder(), keep=True
        )
        timed = lane.cuda.synchronized
        assert said(found) == plain(range(IMAGES))
        assert 0 < found["decided_exactly"] < IMAGES
        assert len(lane.cuda.waits) > 10
        assert min(lane.cuda.waits) >= 2, "a batch was waited for as soon as it was begun"
        builder = Builder()
        pinned = lane.pinned
        for begin in range(0, IMAGES, 40):
            shard = range(begin, begin + 40)
            found = validator.count(
                RECIPE, weights, folder, transform(), shard, builder=builder, keep=True
            )
            assert said(found) == plain(shard)
    assert timed == 10, "both formats, and no more"
    assert lane.cuda.synchronized - timed == 10  # It is another builder's, and so another model.
    assert lane.pinned - pinned <= 2, "memory is pinned for each batch"


def test_memory_is_used_again_when_its_copy_has_ended(monkeypatch):
    """And what is copied is calculated with no sooner; here the host goes on before either."""
    lane, waits = FakeLane(), []
    monkeypatch.setattr(FakeStream, "wait_stream", lambda *streams: waits.append(streams))
    with Watch(lane.cuda):
        pixels = lane.pixels(2, 4, 4).fill_(7)
        there = lane.upload(lambda: torch.zeros_like(pixels).copy_(pixels, non_blocking=True))
        lane.release(pixels)
    assert waits == [(lane.cuda.compute, lane._copies)]
    assert there.unique().tolist() == [0xA5], "it is there already"
    assert lane.pixels(2, 4, 4).data_ptr() == pixels.data_ptr()
    assert there.unique().tolist() == [7]


@pytest.mark.parametrize("decoder", ["gpu", "pillow"])
def test_a_card_that_decodes_does_so_beside_the_batches(decoder):
    """On a stream for each thread: on the model's, an image would wait for what was begun on it."""
    lane, seen = FakeLane(), []

    class Decoded:
        preprocessing = transform()

        def get(self, images, pool, into):
            seen.append(lane.cuda.now)
            return DecodedBatch(into, np.ones(len(images), dtype=bool), [])

    Decoded.decoder = decoder
    prefetcher = Prefetcher(Decoded(), lane)
    prefetcher.start(np.arange(24), lambda left: 4)
    with ThreadPoolExecutor(1) as other:
        for batch in (*(prefetcher.next() for _ in range(3)), other.submit(prefetcher.next)):
            lane.release((batch if isinstance(batch, EvalBatch) else batch.result()).memory)
    own = 2 if decoder == "gpu" else 0
    assert len({id(stream) for stream in seen} - {id(lane.cuda.compute)}) == own
    assert (lane.cuda.compute in seen) is (decoder == "pillow")
    assert lane.cuda.now is lane.cuda.compute


def test_shards_go_through_as_one_stream_and_come_out_by_themselves(weights, folder, place, plain):
    shards = [range(0, 30), range(30, 70), range(70, 70), range(70, IMAGES)]
    builder, order = Builder(), []
    validator, _ = on_card(place, batch_size=16)
    with validator:

        def count(**how):
            return validator.count_shards(
                RECIPE,
                weights,
                folder,
                transform(),
                shards,
                builder=builder,
                keep=True,
                made=lambda number, value: order.append((number, value["images"])),
                **how,
            )

        found = count()
        assert sorted(order) == [(0, 30), (1, 40), (2, 0), (3, 50)]
        for shard, value in zip(shards, found, strict=True):
            if len(shard):
                assert said(value) == plain(shard)
        # Batches hold images of two shards, and all but the last are full.
        assert len(builder.batches) == -(-IMAGES // 16)
        # When the time is over, the shard that has begun is ended, and no other is begun.
        looks = iter([False] * 3)
        found = count(over=lambda: next(looks, True))
        assert [value is not None for value in found] == [True, True, True, False]
        assert said(found[1]) == plain(shards[1])


def test_what_will_be_asked_next_is_decoded_meanwhile(weights, folder, tmp_path, monkeypatch):
    """Of the next job, and of the first one while its model is loaded."""
    asked, real = [], decoded.decode_one

    def decode(image, *how):
        asked.append(image.index)
        return real(image, *how)

    monkeypatch.setattr(decoded, "decode_one", decode)
    monkeypatch.setattr(classifier, "load_model", waits_for(asked, classifier.load_model))
    validator, _ = on_card(tmp_path, batch_size=16)
    builder = Builder()
    with validator:
        for begin in range(0, IMAGES, 40):
            shard, following = range(begin, begin + 40), range(begin + 40, IMAGES)
            assert not begin or wait_until(lambda so_far=begin: len(set(asked)) > so_far)
            validator.count(
                RECIPE, weights, folder, transform(), shard, builder=builder, following=following
            )
            assert set(shard) <= set(asked)
    # Two at the same time may take the same batch; and the one that can't be read is not kept.
    assert len(asked) <= IMAGES + 2 * 16


def waits_for(asked, real):
    """Loads a model once the first images are being decoded."""

    def load(*given):
        assert wait_until(lambda: len(asked) >= 16), "nothing is decoded while a model is loaded"
        return real(*given)

    return load


def wait_until(holds):
    step = threading.Event()
    return any(holds() or step.wait(0.01) for _ in range(12_000))


def test_the_real_tuner_decides_on_shards_and_then_nothing_is_timed(
    weights, folder, place, monkeypatch
):
    """Shards are smaller than the largest batches, and their last batches are partly filled."""
    monkeypatch.setattr(classifier, "GPU_SIZES", (4, 8, 16, 32, 64, 128))
    builder = Builder()
    validator, lane = on_card(place)
    with validator:
        timed, steady = [], False
        while not steady and len(timed) < 60:  # How soon it is decided depends on the machine.
            for begin in range(0, IMAGES, 40):
                shard = range(begin, begin + 40)
                validator.count(RECIPE, weights, folder, transform(), shard, builder=builder)
                timed.append(lane.cuda.synchronized)
            steady = len(timed) > 7 and timed[-1] == timed[-7]
    assert steady
    assert timed[-1] <= 5 * 7


@pytest.mark.parametrize("pays_until", [64, 256, 512])
def test_few_images_decide_nothing_for_many(pays_until):
    """Of 50,000 images in shards of 500, few batches are waited for, whatever pays."""
    tuner, timed = BatchTuner(GPU_SIZES, ("channels_last", "contiguous_format")), 0
    for shard in [50] * 10 + [500] * 100:
        left = shard
        while left:
            count = min(left, tuner.plan(left))
            if tuner.times(count):
                timed += 1
                slower = 1.2 if tuner.format_of(count) == "contiguous_format" else 1
                tuner.report(count, slower * max(count, pays_until) / 1000)
            left -= count
    assert timed <= 5 * (len(GPU_SIZES) + 1)
    assert tuner.best == pays_until
    assert tuner.format_of(500) == "channels_last"
    # A job of many shards lets it go on where it pays.
    assert tuner.trying == (pays_until == 512)


def test_the_faster_format_is_kept_and_has_all_that_is_needed():
    tuner = BatchTuner((16, 32), ("channels_last", "contiguous_format"))
    while tuner.trying:
        faster = 0.9 if tuner.format_of(32) == "contiguous_format" else 1
        tuner.report(tuner.size, faster)
    assert (tuner.best, tuner.format_of(32)) == (32, "contiguous_format")


SPELLINGS = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB",
    "CUDA error: out of memory",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "MPS backend out of memory (MPS allocated: 8 GB, other allocations: 1 MB)",
    "XPU out of memory. Tried to allocate 20.00 MiB",
    "HIP out of memory. Tried to allocate 20.00 MiB",
    "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
    "std::bad_alloc",
)
TOO_LARGE = (
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a "
    "non-contiguous input.",
    "GET was unable to find an engine to execute this computation",
    "FIND was unable to find an engine to execute this computation after trying 5 plans",
    "Unable to find a valid cuDNN algorithm to run convolution",
)
OTHERS = (
    "shapes cannot be multiplied",
    "CUDA error: device-side assert triggered",
    "CUDA error: an illegal memory access was encountered",
    "expected scalar type Float but found Double",
)


def test_memory_that_is_short_is_known_in_all_spellings():
    assert all(is_out_of_memory(RuntimeError(text)) for text in SPELLINGS)
    assert is_out_of_memory(torch.OutOfMemoryError("Allocation on device"))
    assert all(is_out_of_memory(RuntimeError(text), images=2) for text in TOO_LARGE)
    # Of one image it is no matter of memory: the operation does not exist there.
    assert not any(is_out_of_memory(RuntimeError(text)) for text in (*TOO_LARGE, *OTHERS))
    assert not any(is_out_of_memory(RuntimeError(text), images=9) for text in OTHERS)
    assert not is_out_of_memory(ValueError(SPELLINGS[0]))


def short(limit, fails, text):
    """A kind of `Net` that has no memory for larger batches, nor at first for float64."""
    left = [fails]

    class Short(Net):
        def forward(self, x):
            if len(x) > limit:
                raise RuntimeError(text)
            if x.dtype == torch.float64 and left[0]:
                left[0] -= 1
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(x)

    return Builder(Short)


@pytest.mark.parametrize("card", [False, True])
def test_exactness_does_not_depend_on_memory(weights, folder, place, plain, card):
    for number, text in enumerate((SPELLINGS[2], *TOO_LARGE[:2])):
        lane = FakeLane() if card else None
        with Validator("cpu", cache_root=place, threads=1, batch_size=16, lane=lane) as validator:
            found = validator.count(
                RECIPE,
                weights,
                folder,
                transform(),
                range(IMAGES),
                builder=short(5, number, text),
                keep=True,
            )
        assert said(found) == plain(range(IMAGES))
        assert found["batch"] <= 5


def test_without_memory_for_one_image_in_float64_it_is_an_error_and_no_trait(weights):
    model = Net()
    exact = Float64Rescorer(short(9, 99, "").kind().eval())
    with pytest.raises(MemoryError, match="float64"):
        exact.logits(torch.rand(1, 3, 8, 8))
    assert exact.unable is None
    exact = Float64Rescorer(model.eval())
    assert exact.logits(torch.rand(2, 3, 8, 8)).shape == (2, 1000)


def test_decoded_images_are_checked_and_room_is_made_once(folder, tmp_path, monkeypatch):
    sums, rooms, real, made = [], [], zlib.crc32, cache.make_room

    class Zlib:
        @staticmethod
        def crc32(data, *start):
            sums.append(memoryview(data).nbytes)
            return real(data, *start)

    monkeypatch.setattr(cache, "zlib", Zlib)
    monkeypatch.setattr(cache, "make_room", lambda *given: rooms.append(given) or made(*given))
    image = 16 * 16 * 3
    with DecodedSet.open(open_image_set(folder), transform(), root=tmp_path) as opened:
        opened.reserve(np.arange(60))
        for _ in range(3):
            for begin in range(0, 60, 20):
                found = opened.get(range(begin, begin + 20))
        assert len(rooms) == 1
        assert sums.count(image) == 2 * 60  # Written, and read for the first time.
        assert found.readable.all()
