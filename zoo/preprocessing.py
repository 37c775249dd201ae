"""The evaluation transform that a variant's claims describe: from an image to the model's input.

It has two stages. Up to the crop an image stays 8-bit pixels, which can be kept and shared between
variants; after it come the scaling to 0..1 and the normalisation, which cost next to nothing. Both
are bit for bit those of torchvision on Pillow (``Resize``, ``CenterCrop``, ``ToTensor``,
``Normalize``) and of timm's ``create_transform(is_training=False)``.

The first stage needs Pillow and NumPy alone, so that a process that only decodes starts at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, get_args

from zoo._util.memory import is_out_of_memory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor, device

    from zoo.index.types import Variant

Decoder = Literal["pillow", "fast", "gpu"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
# A setting, and the key that states it in an index.
CLAIMS = {
    "image_size": "Image Size",
    "crop_pct": "Crop Pct",
    "interpolation": "Interpolation",
    "mean": "Mean",
    "std": "Std",
    "crop_mode": "Crop Mode",
}
CROP_MODES = ("center", "squash", "border")
_MAX_SIDE = 65_536
_END_OF_JPEG, _TRAILER = b"\xff\xd9", 64
# torchvision resizes tensors with these; "nearest-exact" is the rule that Pillow calls nearest.
_TENSOR_INTERPOLATIONS = {
    "nearest": "nearest-exact",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
}


@cache
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: device
) -> tuple[Tensor, ...]:
    """255, mean and std, and the factor and summand that stand for all three, on a device.

    Made once: each is a copy that a GPU waits for.
    """
    import torch

    # A divisor on the device: by a plain number, CUDA multiplies with its reciprocal, whose last
    # bit can differ from the quotient's.
    with torch.inference_mode(False):  # For whom it is made first is not who uses it next.
        double = torch.tensor((mean, std), dtype=torch.float64, device="cpu")[..., None, None]
        scale = 1 / (255 * double[1])
        rows = (torch.full((), 255.0, device="cpu"), *double, scale, -255 * double[0] * scale)
        return tuple(row.to(device, torch.float32) for row in rows)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes the input of a variant. Call it on a Pillow image to do it.

    Attributes:
        image_size: (height, width) of the input in pixels.
        crop_pct: share of the resized image that the central crop keeps: the image is resized
            to ``floor(size / crop_pct)``.
        crop_mode: one of `CROP_MODES`, as timm calls them. ``center`` keeps the image's proportions
            and covers that size, ``squash`` takes each side to it, and ``border`` keeps the
            proportions and fits into it, on a ground of the mean.
        interpolation: one of `INTERPOLATIONS`, as Pillow does it.
        mean, std: of each channel, on values of 0 to 1.
        defaults: the names of the settings that were not stated and are the field's usual ones.
            They count for nothing in comparisons.

    Raises:
        ValueError: a setting is out of range.
    """

    image_size: tuple[int, int] = (224, 224)
    crop_pct: float = 0.875
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    defaults: tuple[str, ...] = field(default=(), compare=False)
    crop_mode: str = "center"

    def __post_init__(self) -> None:
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"image_size must be (height, width), not {self.image_size}")
        if not (math.isfinite(self.crop_pct) and self.crop_pct > 0):
            raise ValueError(f"crop_pct must be above 0, not {self.crop_pct}")
        for name, words in (("interpolation", INTERPOLATIONS), ("crop_mode", CROP_MODES)):
            if (word := getattr(self, name)) not in words:
                raise ValueError(f"{name} must be one of {', '.join(words)}, not {word!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(map(math.isfinite, values)):
                raise ValueError(f"{name} must be three numbers, one per channel, not {values}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, not {self.std}")
        if not 1 <= min(self.scale_size) <= max(self.scale_size) <= _MAX_SIDE:
            raise ValueError(
                f"image_size {self.image_size} at crop_pct {self.crop_pct} means a resize to "
                f"{self.scale_size}; a side must be from 1 to {_MAX_SIDE} pixels"
            )

    @classmethod
    def from_settings(
        cls,
        image_size: int | tuple[int, int] | None = None,
        crop_pct: float | None = None,
        interpolation: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        crop_mode: str | None = None,
    ) -> Preprocessing:
        """Preprocessing from what is known; what is None takes the default and says so.

        Args:
            image_size: (height, width), or the side of a square.
            crop_pct: share that the crop keeps.
            interpolation: one of `INTERPOLATIONS`.
            mean: of each channel; a single number stands for all three.
            std: likewise.
            crop_mode: one of `CROP_MODES`.

        Raises:
            ValueError: a setting is out of range.
        """
        stated: dict[str, Any] = {
            "image_size": (image_size, image_size) if isinstance(image_size, int) else image_size,
            "crop_pct": None if crop_pct is None else float(crop_pct),
            "interpolation": interpolation,
            "mean": _per_channel(mean),
            "std": _per_channel(std),
            "crop_mode": crop_mode,
        }
        # Nearly all are centered, and say nothing of it.
        missing = tuple(n for n, value in stated.items() if value is None and n != "crop_mode")
        return cls(
            **{name: value for name, value in stated.items() if value is not None},
            defaults=missing,
        )

    @property
    def scale_size(self) -> tuple[int, int]:
        """What the image is resized to before the crop, (height, width).

        Where both are equal it is the short side of the image (torchvision's ``Resize`` of one
        number); else the image keeps its proportions and just covers both sides (timm).
        """
        height, width = self.image_size
        return math.floor(height / self.crop_pct), math.floor(width / self.crop_pct)

    def key(self) -> str:
        """The settings as one stable line of text, for keys of what depends on them."""
        mean, std = (",".join(map(repr, values)) for values in (self.mean, self.std))
        height, width = self.image_size
        return (
            f"size={height}x{width} crop_pct={self.crop_pct!r} "
            f"interpolation={self.interpolation} mean={mean} std={std}{self._mode()}"
        )

    def pixels_key(self) -> str:
        """As `key`, of what the 8-bit pixels depend on: equal for equal pixels."""
        (high, wide), (height, width) = self.scale_size, self.image_size
        how = f"interpolation={self.interpolation}{self._mode()}"
        ground = f" ground={','.join(map(str, self._ground()))}" * (self.crop_mode == "border")
        return f"resize={high}x{wide} crop={height}x{width} {how}{ground}"

    def _mode(self) -> str:
        """The mode in a key; the usual one is in none, as there was no other."""
        return "" if self.crop_mode == "center" else f" crop_mode={self.crop_mode}"

    def _ground(self) -> tuple[int, ...]:
        """The colour around an image that is smaller than the input."""
        border = self.crop_mode == "border"
        return tuple(round(255 * value) for value in self.mean) if border else (0, 0, 0)

    def __call__(self, image: Image) -> Tensor:
        """The input for one image: float32, (3, height, width)."""
        return self.to_tensor(self.to_pixels(image))

    def to_pixels(self, image: Image) -> NDArray[np.uint8]:
        """The first stage: RGB, resized, cropped.

        Args:
            image: a Pillow image of any mode; see `zoo.images.io.to_rgb`.

        Returns:
            uint8, (height, width, 3).

        Raises:
            TypeError: it is no Pillow image.
            ValueError: its pixels are 32-bit numbers, or the resized image would exceed Pillow's
                limit for any image: it is thousands of times longer than wide.
            OSError: the image can't be decoded; Pillow raises other errors on some bad files.
        """
        import numpy as np
        from PIL.Image import Resampling

        from zoo.images.io import to_rgb

        image = to_rgb(image)
        height, width = self._resized(image.height, image.width)
        # Without this copy of Pillow's shortcut an image of the right size would be copied anyway.
        if (width, height) != image.size:
            image = image.resize((width, height), Resampling[self.interpolation.upper()])
        top, left = _offset(height, self.image_size[0]), _offset(width, self.image_size[1])
        if self.crop_mode == "border":
            from PIL import Image

            whole = Image.new("RGB", self.image_size[::-1], self._ground())
            whole.paste(image, (-left, -top))
            return np.array(whole)
        box = (left, top, left + self.image_size[1], top + self.image_size[0])
        return np.array(image.crop(box))  # A crop that is larger than the image is black there.

    def decode(
        self, data: bytes, decoder: Decoder = "pillow", *, upright: bool = False
    ) -> NDArray[np.uint8]:
        """The first stage from the bytes of an image file.

        Args:
            data: the whole file, in any format that Pillow reads.
            decoder: ``fast`` has torchvision decode and resize colour and gray JPEGs, on tensors,
                and ``gpu`` has it do so on the current CUDA device (nvJPEG). The pixels are close
                to Pillow's and not equal. What they can't do, another format or interpolation or a
                damaged file, Pillow does.
            upright: turn the image as its EXIF says, which published evaluations don't do. It
                is Pillow that does it.

        Returns:
            uint8, (height, width, 3).

        Raises:
            ValueError: there is no such decoder, or as `to_pixels`.
            MemoryError: the device has none left.
            OSError: the image can't be decoded; Pillow raises other errors on some bad files.
        """
        from PIL import Image

        from zoo.images import io

        if decoder not in get_args(Decoder):
            raise ValueError(f"decoder must be one of {get_args(Decoder)}, not {decoder!r}")
        with Image.open(BytesIO(data)) as image:
            if image.format == "EPS":
                # Pillow would start Ghostscript on it.
                raise ValueError("it is PostScript, a program, which is never run")
            if upright:
                # First to RGB: an image that was turned has forgotten the format that it had.
                return self.to_pixels(io.upright(io.to_rgb(image)))
            if decoder != "pillow" and image.format == "JPEG" and image.mode in ("RGB", "L"):
                pixels = self._decode_jpeg(data, "cuda" if decoder == "gpu" else "cpu")
                if pixels is not None:
                    return pixels
            return self.to_pixels(image)

    def to_tensor(
        self,
        pixels: NDArray[np.uint8] | Tensor,
        *,
        device: str | device = "cpu",
        channels_last: bool = False,
        exact: bool = True,
    ) -> Tensor:
        """The second stage: pixels scaled to 0..1 and normalised, equal bits on every layout.

        Args:
            pixels: uint8, (height, width, 3) or (batch, height, width, 3).
            device: where the result is to be; the pixels travel there as bytes.
            channels_last: keep the channels innermost in memory (``torch.channels_last``).
            exact: to the last bit; else one multiplication and addition, which reads and writes
                the images once instead of three times.

        Returns:
            float32, (3, height, width) or (batch, 3, height, width).
        """
        import torch

        if not isinstance(pixels, torch.Tensor):
            # torch can't mark a tensor read-only, and warns of an array that is.
            pixels = torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy())
        planes = pixels.to(device, non_blocking=True).movedim(-1, -3)
        if not channels_last:
            planes = planes.contiguous()
        values = planes.to(torch.float32)
        limit, mean, std, scale, shift = _constants(self.mean, self.std, values.device)
        if not exact:
            return torch.addcmul(shift, values, scale, out=values)
        return values.div_(limit).sub_(mean).div_(std)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        high, wide = self.scale_size
        if self.crop_mode == "squash":
            size = high, wide
        elif self.crop_mode == "border":
            ratio = max(height / high, width / wide)
            size = round(height / ratio), round(width / ratio)
        elif high == wide:
            short = min(height, width)
            size = (
                high if height == short else int(high * height / short),
                wide if width == short else int(wide * width / short),
            )
        else:
            ratio = min(height / high, width / wide)
            size = round(height / ratio), round(width / ratio)
        from PIL import Image

        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and size[0] * size[1] > 2 * limit:
            raise ValueError(
                f"an image of {width}x{height} pixels would be resized to {size[1]}x{size[0]}, "
                f"more than the limit of {2 * limit} pixels"
            )
        return size

    def _decode_jpeg(self, data: bytes, device: str = "cpu") -> NDArray[np.uint8] | None:
        """The pixels as torchvision decodes and resizes them there, None where it can't."""
        interpolation = _TENSOR_INTERPOLATIONS.get(self.interpolation)
        if interpolation is None or self.crop_mode != "center":
            return None
        if device != "cpu" and _END_OF_JPEG not in data[-_TRAILER:]:
            return None  # It may be cut short, which nvJPEG doesn't say.
        import warnings

        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of its own deprecation, once per image.
            try:
                from torchvision.io import ImageReadMode, decode_jpeg

                raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
                number = torch.cuda.current_device() if device == "cuda" else None
                where = torch.device(device, number) if number is not None else device
                planes = decode_jpeg(raw, mode=ImageReadMode.RGB, device=where)
                size = list(self._resized(*planes.shape[-2:]))
                mode = InterpolationMode(interpolation)
                planes = functional.resize(planes, size, interpolation=mode, antialias=True)
                planes = functional.center_crop(planes, list(self.image_size))
                result: NDArray[np.uint8] = planes.movedim(0, -1).contiguous().cpu().numpy()
            except (ImportError, RuntimeError) as error:
                if is_out_of_memory(error):  # No fault of the image's.
                    raise MemoryError(str(error)) from error
                return None
        return result


def preprocess(name: str) -> Preprocessing:
    """The evaluation transform of a model: call it on a Pillow image.

    It is what the model's entry of the index that ships with this package documents.

        >>> transform = zoo.preprocess("resnest50d")
        >>> transform(Image.open("cat.jpg")).shape
        torch.Size([3, 224, 224])

    Raises:
        UnknownModelError: if the index has no model of that name.
    """
    return variant_preprocessing(package_variant(name))


def variant_preprocessing(variant: Variant) -> Preprocessing:
    """The evaluation transform that the claims of a variant, or of its collection, describe.

    Raises:
        ValueError: a claim can't be understood, or states what can't be done, such as a random
            interpolation; the text begins with its place.
    """
    settings: dict[str, Any] = {name: variant.stated(key) for name, key in CLAIMS.items()}
    try:
        return Preprocessing.from_settings(**settings)
    except ValueError as error:
        raise ValueError(f"{variant.location}: {error}") from error


def package_variant(name: str) -> Variant:
    """The entry of a model in the index that ships with this package.

    Raises:
        UnknownModelError: if it has none.
    """
    variants = _package_variants()
    if name not in variants:
        from zoo._util.text import nearest
        from zoo.errors import UnknownModelError

        raise UnknownModelError(name, nearest(name, variants))
    return variants[name]


@cache
def _package_variants() -> dict[str, Variant]:
    from zoo.index import load_index, package_index

    return {variant.name: variant for variant in load_index([package_index()]).variants}


def _per_channel(values: Sequence[float] | None) -> tuple[float, ...] | None:
    if values is None:
        return None
    numbers = tuple(float(value) for value in values)
    return numbers * 3 if len(numbers) == 1 else numbers


def _offset(side: int, crop: int) -> int:
    """Where the crop begins: torchvision centres it by rounding, and pads by flooring."""
    return round((side - crop) / 2) if side >= crop else -((crop - side) // 2)
