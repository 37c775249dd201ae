"""The evaluation transform, held bit for bit to torchvision and to timm."""

from __future__ import annotations

import io
import math
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli import run_python
from factories import saved
from PIL import Image
from shipped import real_images
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from zoo.errors import UnknownModelError
from zoo.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    INTERPOLATIONS,
    Preprocessing,
    _constants,
    preprocess,
    variant_preprocessing,
)

Settings = tuple[int | tuple[int, int], float, str]
SETTINGS: list[Settings] = [
    *((48, 0.875, word) for word in INTERPOLATIONS),
    (224, 0.875, "bilinear"),
    (64, 1.0, "bilinear"),
    (97, 0.9, "lanczos"),
    ((40, 64), 0.875, "bicubic"),
    ((80, 32), 0.95, "bilinear"),
    (64, 1.1, "bilinear"),  # The crop is larger than the resized image.
    ((64, 64), 0.875, "bilinear"),
]
PUBLISHED: list[Settings] = [
    (224, 0.875, "bilinear"),
    (240, 0.882, "bicubic"),
    (260, 0.89, "bicubic"),
    ((160, 224), 0.875, "bicubic"),
]


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(height * 7919 + width).integers(0, 256, shape, dtype=np.uint8)


def odd_images() -> dict[str, bytes]:
    """Images of every mode and shape that a validation set can hold."""
    colour = Image.fromarray(noise(90, 130))
    palette = colour.quantize(32)
    sixteen = Image.fromarray(
        np.random.default_rng(1).integers(0, 65536, (70, 60), dtype=np.uint16)
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned by a quarter.
    return {
        "1x1000": saved(Image.fromarray(noise(1000, 1)), "PNG"),
        "1000x1": saved(Image.fromarray(noise(1, 1000)), "PNG"),
        "1x1": saved(Image.fromarray(noise(1, 1)), "PNG"),
        "portrait": saved(Image.fromarray(noise(301, 127)), "JPEG", quality=90),
        "landscape": saved(Image.fromarray(noise(127, 301)), "JPEG", quality=90),
        "right size already": saved(Image.fromarray(noise(256, 256)), "PNG"),
        "grayscale": saved(Image.fromarray(noise(100, 120, 1)), "JPEG"),
        "CMYK": saved(colour.convert("CMYK"), "JPEG"),
        "palette with transparency": saved(palette, "PNG", transparency=3),
        "16-bit": saved(sixteen, "PNG"),
        "alpha": saved(Image.fromarray(noise(80, 80, 4), "RGBA"), "PNG"),
        "gray alpha": saved(Image.fromarray(noise(80, 90, 4), "RGBA").convert("LA"), "PNG"),
        "bilevel": saved(colour.convert("1"), "PNG"),
        "EXIF rotation": saved(colour, "JPEG", exif=exif.tobytes()),
        "animated GIF": saved(
            palette,
            "GIF",
            save_all=True,
            append_images=[Image.fromarray(noise(90, 130)).rotate(90).quantize(8)],
        ),
    }


@pytest.fixture(scope="session")
def photographs() -> list[bytes]:
    """The 20 real images, found without importing the package that ships them."""
    return [path.read_bytes() for path in real_images()]


def torchvision_transform(settings: Settings) -> Callable[[Image.Image], torch.Tensor]:
    """Its four transforms, put together by hand; of a square input only."""
    size, crop_pct, word = settings
    assert isinstance(size, int)
    return transforms.Compose(
        [
            transforms.Resize(math.floor(size / crop_pct), InterpolationMode(word)),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


def check(settings: Settings, images: list[bytes]) -> None:
    size, crop_pct, word = settings
    create_transform = pytest.importorskip("timm.data").create_transform
    ours = Preprocessing.from_settings(size, crop_pct, word)
    references = [create_transform(size, is_training=False, crop_pct=crop_pct, interpolation=word)]
    if isinstance(size, int):
        references.append(torchvision_transform(settings))
    for number, data in enumerate(images):
        tensor = ours(Image.open(io.BytesIO(data)))
        kept = ours.to_tensor(ours.decode(data))
        assert torch.equal(tensor, kept)
        for reference in references:
            expected = reference(Image.open(io.BytesIO(data)).convert("RGB"))
            assert tensor.dtype == expected.dtype
            assert torch.equal(tensor, expected), (settings, number)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_odd_images_are_bit_for_bit_those_of_torchvision_and_timm(settings: Settings) -> None:
    # Of 16 bits they see white alone; tests/zoo/images/test_modes.py has what is right.
    check(settings, [data for name, data in odd_images().items() if name != "16-bit"])


@pytest.mark.parametrize("settings", PUBLISHED, ids=str)
def test_photographs_are_bit_for_bit_those_of_torchvision_and_timm(
    settings: Settings, photographs: list[bytes]
) -> None:
    check(settings, photographs)


def test_rounding_agrees_at_many_sizes() -> None:
    """The sizes after resizing and the place of the crop, where one pixel is easily lost."""
    create_transform = pytest.importorskip("timm.data").create_transform
    chance = random.Random(5)
    for turn in range(225):
        mode = ("center", "squash", "border")[turn % 3]
        size: int | tuple[int, int] = chance.randint(8, 48)
        if chance.random() < 0.4:
            size = (size, chance.randint(8, 48))
        crop_pct = chance.choice([0.7, 0.8, 0.875, 0.882, 0.9, 0.95, 0.965, 1.0, 1.07])
        image = Image.fromarray(noise(chance.randint(3, 90), chance.randint(3, 90)))
        theirs = create_transform(
            size, crop_pct=crop_pct, interpolation="nearest", crop_mode=mode, mean=(0.4, 0.5, 0.6)
        )
        ours = Preprocessing.from_settings(size, crop_pct, "nearest", (0.4, 0.5, 0.6), None, mode)
        assert torch.equal(ours(image), theirs(image)), (size, crop_pct, mode, image.size)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_batch_is_normalised_as_its_images_are(
    channels_last: bool, photographs: list[bytes]
) -> None:
    settings: Settings = (96, 0.875, "bicubic")
    ours, theirs = Preprocessing.from_settings(*settings), torchvision_transform(settings)
    pixels = np.stack([ours.decode(data) for data in photographs])
    pixels.flags.writeable = False
    batch = ours.to_tensor(pixels, channels_last=channels_last)
    expected = torch.stack([theirs(Image.open(io.BytesIO(data))) for data in photographs])
    assert torch.equal(batch, expected)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert batch.is_contiguous(memory_format=layout)


def test_every_byte_normalises_as_torchvision_does() -> None:
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    theirs = transforms.Normalize(mean, std)(transforms.ToTensor()(levels))
    ours = Preprocessing.from_settings(16, 1.0, mean=[127 / 255], std=[128 / 255])
    assert torch.equal(ours.to_tensor(levels), theirs)


class Ops(TorchDispatchMode):
    """The names of torch's operations, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func.overloadpacket).removeprefix("aten."))
        return func(*args, **kwargs or {})


def test_constants_are_made_once_for_a_device_and_settings() -> None:
    """A copy to a GPU from memory that isn't pinned makes the whole queue wait."""
    ours = Preprocessing.from_settings(16, 1.0, mean=[0.31, 0.32, 0.33], std=[0.21, 0.22, 0.23])
    pixels = torch.from_numpy(noise(16, 16))[None]
    for device in ("cpu", "meta"):
        with torch.inference_mode():
            ours.to_tensor(pixels, device=device, channels_last=True)
        moved = device == "meta"  # The pixels themselves.
        for exact, arithmetic in ((True, ["div_", "sub_", "div_"]), (False, ["addcmul"])):
            with Ops() as seen:
                ours.to_tensor(pixels, device=device, channels_last=True, exact=exact)
            names = [name for name in seen.names if name not in ("slice", "permute")]
            assert names == ["_to_copy"] * moved + ["_to_copy", *arithmetic], (device, exact)
    # Made where no gradients are, and used where there may be some.
    parameter = torch.ones(3, 1, 1, requires_grad=True)
    (parameter * ours.to_tensor(pixels)).sum().backward()
    made = _constants.cache_info().misses
    for same in (ours, Preprocessing(ours.image_size, mean=ours.mean, std=ours.std)):
        same.to_tensor(pixels, device=torch.device("cpu"))
    assert _constants.cache_info().misses == made


def test_one_multiplication_and_addition_is_close(photographs: list[bytes]) -> None:
    ours = Preprocessing.from_settings(224, 0.875, "bicubic")
    for data in photographs[:3]:
        pixels = ours.decode(data)
        exact, fused = ours.to_tensor(pixels), ours.to_tensor(pixels, exact=False)
        torch.testing.assert_close(fused, exact, rtol=0, atol=2e-6)


def test_the_fast_decoder_is_close_and_leaves_the_rest_to_pillow(photographs: list[bytes]) -> None:
    ours = Preprocessing.from_settings(224, 0.875, "bicubic")
    for data in photographs[:5]:
        exact, fast = ours.decode(data), ours.decode(data, "fast")
        assert exact.shape == fast.shape == (224, 224, 3)
        assert np.abs(exact.astype(int) - fast).mean() < 1
    others = {k: v for k, v in odd_images().items() if k not in ("portrait", "landscape")}
    for name in ("CMYK", "16-bit", "palette with transparency", "animated GIF"):
        assert np.array_equal(ours.decode(others[name]), ours.decode(others[name], "fast")), name
    lanczos = Preprocessing.from_settings(224, 0.875, "lanczos")
    assert np.array_equal(lanczos.decode(photographs[0]), lanczos.decode(photographs[0], "fast"))


def test_the_fast_decoder_uses_torchvision(
    photographs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the test above would pass on Pillow alone."""
    ours = Preprocessing.from_settings(224, 0.875, "bicubic")

    def refuse(self: Preprocessing, image: Image.Image) -> np.ndarray:
        raise AssertionError("Pillow resized it")

    monkeypatch.setattr(Preprocessing, "to_pixels", refuse)
    assert ours.decode(photographs[0], "fast").shape == (224, 224, 3)
    with pytest.raises(AssertionError):
        ours.decode(photographs[0])


def test_the_gpu_decoder_is_nvjpeg_or_pillow(
    photographs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no whole JPEG, and what nvJPEG refuses, is Pillow's."""
    io = pytest.importorskip("torchvision.io")
    real, asked, fails = io.decode_jpeg, [], ""

    def decode(data: torch.Tensor, *, mode: object, device: object) -> torch.Tensor:
        asked.append(device)
        if fails:
            raise RuntimeError(fails)
        return torch.as_tensor(real(data, mode=mode))

    monkeypatch.setattr(io, "decode_jpeg", decode)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    ours = Preprocessing.from_settings(224, 0.875, "bicubic")
    fast = ours.decode(photographs[0], "fast")
    assert np.array_equal(ours.decode(photographs[0], "gpu"), fast)
    assert asked == ["cpu", torch.device("cuda:1")]
    with pytest.raises(OSError, match="truncated"):
        ours.decode(photographs[0][:-100], "gpu")
    for name in ("CMYK", "16-bit", "animated GIF"):
        data = odd_images()[name]
        assert np.array_equal(ours.decode(data), ours.decode(data, "gpu")), name
    assert len(asked) == 2
    fails = "nvjpegDecode failed: 5"
    assert np.array_equal(ours.decode(photographs[0], "gpu"), ours.decode(photographs[0]))
    fails = "CUDA out of memory. Tried to allocate 2 GiB"
    with pytest.raises(MemoryError, match="Tried to allocate"):
        ours.decode(photographs[0], "gpu")
    fails = ""

    def short(*args: object, **how: object) -> None:
        raise torch.OutOfMemoryError("of the resized image")

    monkeypatch.setattr("torchvision.transforms.v2.functional.resize", short)
    with pytest.raises(MemoryError, match="of the resized"):
        ours.decode(photographs[0], "gpu")


@pytest.mark.parametrize("decoder", ["pillow", "fast"])
def test_a_truncated_image_is_an_error_under_both_decoders(
    decoder: str, photographs: list[bytes]
) -> None:
    for keep in (0.5, 0.99):
        data = photographs[0][: int(len(photographs[0]) * keep)]
        with pytest.raises(OSError, match="truncated"):
            Preprocessing().decode(data, decoder)  # type: ignore[arg-type]


def test_a_program_is_not_run_as_a_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript with an image's name: Pillow would hand it to Ghostscript."""
    ran = tmp_path / "ran"
    interpreter = tmp_path / "gs"
    interpreter.write_text(f"#!/bin/sh\ntouch {ran}\n")
    interpreter.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    program = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(ValueError, match="never run"):
        Preprocessing().decode(program)
    assert not ran.exists()


def test_what_is_no_image_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"a Pillow image is needed, not str; PIL.Image.open"):
        preprocess("resnest50d")("cat.jpg")  # type: ignore[arg-type]


def test_a_image_of_extreme_shape_does_not_fill_the_memory() -> None:
    line = saved(Image.new("L", (60_000, 1)), "PNG")
    with pytest.raises(ValueError, match=r"resized to 15360000x256"):
        Preprocessing().decode(line)
    # Sizes of images are width x height, as their programs show them.
    for width, height, larger in ((60_000, 1, "15360000x256"), (1, 60_000, "256x15360000")):
        image = Image.new("1", (width, height))
        why = f"an image of {width}x{height} pixels would be resized to {larger}, "
        with pytest.raises(ValueError, match=why):
            Preprocessing().to_pixels(image)


def test_settings_out_of_range_are_refused_in_one_line() -> None:
    for wrong in (
        {"image_size": 0},
        {"crop_pct": 0.0},
        {"crop_pct": math.nan},
        {"crop_pct": 1e-9},
        {"interpolation": "random"},
        {"mean": [0.5, 0.5]},
        {"std": [0.0, 1.0, 1.0]},
    ):
        with pytest.raises(ValueError, match="must be") as caught:
            Preprocessing.from_settings(**wrong)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="decoder must be"):
        Preprocessing().decode(b"", "quick")  # type: ignore[arg-type]


def test_what_was_not_stated_takes_the_default_and_says_so() -> None:
    bare = Preprocessing.from_settings()
    assert bare == Preprocessing((224, 224), 0.875, "bilinear", IMAGENET_MEAN, IMAGENET_STD)
    assert set(bare.defaults) == {"image_size", "crop_pct", "interpolation", "mean", "std"}
    assert Preprocessing.from_settings(256, 0.9).defaults == ("interpolation", "mean", "std")


def test_keys_tell_settings_apart_and_pixels_only_what_changes_them() -> None:
    one, other = Preprocessing.from_settings(224), Preprocessing.from_settings(224, std=[0.5])
    assert one.key() != other.key()
    assert one.pixels_key() == other.pixels_key()
    assert one.pixels_key() == Preprocessing.from_settings(224, 0.8749).pixels_key()
    assert one.pixels_key() != Preprocessing.from_settings(224, 0.9).pixels_key()
    assert one.pixels_key() != Preprocessing.from_settings(224, None, "bicubic").pixels_key()
    back = pickle.loads(pickle.dumps(other))
    assert back == other
    assert hash(back) == hash(other)
    assert back.key() == other.key()


def test_the_transform_of_a_model_is_that_of_its_claims() -> None:
    lite = preprocess("efficientnet_lite1")
    assert (lite.image_size, lite.crop_pct, lite.interpolation) == ((240, 240), 0.882, "bicubic")
    assert lite.mean == (127 / 255,) * 3
    assert lite.std == (128 / 255,) * 3
    assert lite.defaults == ()
    largest = preprocess("resnest200e")
    assert (largest.image_size, largest.scale_size) == ((320, 320), (352, 352))
    assert largest.defaults == ()
    with pytest.raises(UnknownModelError, match="did you mean"):
        preprocess("resnest200")


def test_a_model_s_transform_ignores_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model-index").mkdir()
    index = tmp_path / "model-index" / "resnest.yml"
    index.write_text("Models:\n- Name: resnest50d\n  Metadata:\n    Image Size: 999\n")
    program = "from zoo.preprocessing import preprocess as p; print(p('resnest50d').image_size)"
    done = run_python(["-c", program], cwd=tmp_path, check=True)
    assert done.stdout == "(224, 224)\n"


def test_claims_of_the_collection_count_for_its_variants(tmp_path: Path) -> None:
    from zoo.index import load_index

    page = tmp_path / "index.yml"
    page.write_text(
        "Collections:\n- Name: Some\n  Metadata:\n    Mean: [0.5, 0.5, 0.5]\n"
        "Models:\n- Name: some_a\n  In Collection: Some\n  Metadata:\n    Image Size: 64x96\n"
    )
    (variant,) = load_index([page]).variants
    described = variant_preprocessing(variant)
    assert described.image_size == (64, 96)
    assert described.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Interpolation", "bicubicc"),
        ("Std", "[0, 0, 0]"),
        ("Mean", "[127, 127, 127]"),
        ("Crop Pct", "87.5"),
        ("Image Size", "large"),
    ],
)
@pytest.mark.parametrize("entry", ["variant", "collection"])
def test_a_setting_that_can_not_be_used_is_not_replaced(
    key: str, value: str, entry: str, tmp_path: Path
) -> None:
    """The defaults are for what nobody stated; what is stated wrongly is told of with its place."""
    from zoo.index import load_index

    lines = [
        *("Collections:", "- Name: Some", "  Metadata:", "    LR: 0.1"),
        *("Models:", "- Name: a", "  In Collection: Some", "  Metadata:", "    Epochs: 5"),
    ]
    line = {"collection": 4, "variant": 9}[entry]
    lines.insert(line, f"    {key}: {value}")
    page = tmp_path / "index.yml"
    page.write_text("\n".join(lines) + "\n")
    (variant,) = load_index([page]).variants
    with pytest.raises(ValueError, match="which can't be used") as caught:
        variant_preprocessing(variant)
    said = str(caught.value)
    assert said.startswith(f"{page}:{line + 1}:{len(key) + 7}: {key} is '{value.strip('[]')}'")
    assert "\n" not in said


def test_a_setting_that_no_image_can_have_is_told_of_with_its_place(tmp_path: Path) -> None:
    from zoo.index import load_index

    page = tmp_path / "index.yml"
    page.write_text("Models:\n- Name: a\n  Metadata:\n    Interpolation: random\n")
    (variant,) = load_index([page]).variants
    with pytest.raises(ValueError, match=r":2:9: interpolation must be one of .* not 'random'"):
        variant_preprocessing(variant)


def test_decoding_needs_no_torch() -> None:
    program = (
        "import sys; from PIL import Image; from zoo.preprocessing import Preprocessing;"
        "Preprocessing().to_pixels(Image.new('RGB', (300, 300)));"
        "print({'torch', 'torchvision'} & set(sys.modules))"
    )
    done = run_python(["-c", program], check=True)
    assert done.stdout == "set()\n"
