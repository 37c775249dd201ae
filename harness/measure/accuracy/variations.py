"""Other ways to read the same images, to find out which one a published accuracy was made with.

Each changes one thing. A check counts the right answers under each of them, on the same images: the
one that restores the claim says what is documented wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from zoo.images.io import to_rgb
from zoo.preprocessing import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS, Preprocessing
from zoo.variants import IMAGENET_CLASSES

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

Channels = Literal["RGB", "BGR"]
Labels = Literal[
    "as given",
    "one later",
    "one earlier",
    "by name",
    "by text",
    "ranks by name",
    "ranks by folded name",
    "ranks by text",
    "ranks by text from 1",
]

ORDER = "labels="  # begins the name of an alternative that reads the labels in another order
_CROPS = (0.875, 0.9, 0.95, 1.0)
_TENSORFLOW_MARGIN = 32  # pixels around the crop in TensorFlow's evaluation of EfficientNets
_BYTE = 1 / 255
# Mean and std on values of 0 to 1. The first that restores a claim is the one to name, so the
# usual ones come first; 0.5 and TensorFlow's differ by too little to matter to most images.
_NORMALISATIONS: tuple[tuple[str, str, tuple[float, ...], tuple[float, ...]], ...] = (
    ("imagenet", "ImageNet's mean and standard deviation", IMAGENET_MEAN, IMAGENET_STD),
    ("half", "a mean and standard deviation of 0.5", (0.5,) * 3, (0.5,) * 3),
    (
        "tensorflow",
        "a mean of 127/255 and a standard deviation of 128/255",
        (127 / 255,) * 3,
        (128 / 255,) * 3,
    ),
    ("unit", "values of 0 to 1 without normalisation", (0.0,) * 3, (1.0,) * 3),
    ("bytes", "values of 0 to 255 without normalisation", (0.0,) * 3, (_BYTE,) * 3),
    (
        "caffe",
        "values of 0 to 255 less ImageNet's mean, without a division",
        IMAGENET_MEAN,
        (_BYTE,) * 3,
    ),
)


@dataclass(frozen=True, slots=True)
class InputConfig:
    """How an image and its label are read.

    Attributes:
        preprocessing: the evaluation transform.
        channels: the order of the channels that the model is fed.
        labels: what a label of the image set means: the class index it is (``as given``), or that
            index one later or earlier (a background class, or counting from 1), or that class of a
            model whose classes are sorted ``by name``, or ``by text`` as the names of numbered
            folders are; or the label itself is a rank in such an order.
        subset: answers are scored over these classes alone, see
            `zoo.known_datasets.class_subset`; empty for all.
    """

    preprocessing: Preprocessing
    channels: Channels = "RGB"
    labels: Labels = "as given"
    subset: str = ""

    def scored(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (n, classes) and labels (n,) that decide what is right.

        Over a subset of the classes, a label is the rank of its class there, -1 for another one.
        """
        if not self.subset:
            return logits, labels
        columns, ranks = subset_columns(self.subset, logits.shape[1], logits.device)
        return logits.index_select(1, columns), ranks[labels]

    def inputs(self, pixels: Tensor, device: torch.device, *, channels_last: bool = True) -> Tensor:
        """What the model is fed: float32 (n, 3, height, width).

        Args:
            pixels: uint8 (n, height, width, 3).
            device: where the model is.
            channels_last: have the channels innermost in memory.
        """
        pixels = pixels.to(device, non_blocking=True)
        return self.preprocessing.to_tensor(
            pixels if self.channels == "RGB" else pixels.flip(-1),
            device=device,
            channels_last=channels_last,
        )


class Alternative(NamedTuple):
    """An input config with its stable name, and with words that complete "with ..."."""

    name: str
    words: str
    config: InputConfig


class UnsmoothedResize(Preprocessing):
    """Resizes as tensor libraries do by default: pixels between the sampled ones don't count.

    Pillow averages over all pixels when it makes an image smaller (antialiasing).
    """

    def to_pixels(self, image: Image) -> NDArray[np.uint8]:
        """As `Preprocessing.to_pixels`, resized without antialiasing."""
        import numpy as np
        import torch
        from torch.nn import functional

        pixels = torch.from_numpy(np.array(to_rgb(image))).movedim(-1, 0)[None].float()
        size = self._resized(*pixels.shape[-2:])
        resized = functional.interpolate(pixels, size, mode=self.interpolation, align_corners=False)
        rounded = resized[0].round_().clamp_(0, 255).to(torch.uint8).movedim(0, -1)
        return _centre(rounded.contiguous().numpy(), self.image_size)

    def pixels_key(self) -> str:
        """As `Preprocessing.pixels_key`."""
        return Preprocessing.pixels_key(self) + " antialias=no"


class ResizeNoCrop(Preprocessing):
    """Resizes straight to the size of the input, whatever the image's proportions; no crop."""

    def to_pixels(self, image: Image) -> NDArray[np.uint8]:
        """As `Preprocessing.to_pixels`, without a crop."""
        import numpy as np
        from PIL.Image import Resampling

        height, width = self.image_size
        method = Resampling[self.interpolation.upper()]
        return np.array(to_rgb(image).resize((width, height), method))

    def pixels_key(self) -> str:
        """As `Preprocessing.pixels_key`."""
        return Preprocessing.pixels_key(self) + " proportions=no"


def alternatives(preprocessing: Preprocessing) -> list[Alternative]:
    """All readings that differ from a preprocessing in one thing.

    Returns:
        Names are ``interpolation=WORD``, ``antialias=no``, ``crop_pct=SHARE``, ``crop=no``,
        ``normalisation=WORD``, ``channels=BGR`` and ``labels=WORDS``.
    """
    found = [
        Alternative(
            f"interpolation={word}",
            f"{word} interpolation",
            InputConfig(replace(preprocessing, interpolation=word)),
        )
        for word in INTERPOLATIONS
        if word != preprocessing.interpolation
    ]
    if (
        preprocessing.interpolation in ("bilinear", "bicubic")
        and preprocessing.crop_mode != "border"
    ):
        found.append(
            Alternative(
                "antialias=no",
                f"{preprocessing.interpolation} interpolation without antialiasing",
                InputConfig(_as(UnsmoothedResize, preprocessing)),
            )
        )
    found += _crops(preprocessing)
    for name, words, mean, std in _NORMALISATIONS:
        if (mean, std) != (preprocessing.mean, preprocessing.std):
            config = InputConfig(replace(preprocessing, mean=mean, std=std))
            found.append(Alternative(f"normalisation={name}", words, config))
    found.append(
        Alternative(
            "channels=BGR",
            "the channels in the order blue, green, red",
            InputConfig(preprocessing, channels="BGR"),
        )
    )
    orders: tuple[tuple[Labels, str], ...] = (
        ("one later", "each label one class later, as after a background class"),
        ("one earlier", "each label one class earlier, as if labels counted from 1"),
        ("by name", "the model's classes in the order of their sorted English names"),
        ("by text", "the model's classes in the order of their indices sorted as text (0, 1, 10)"),
        ("ranks by name", "labels as ranks of the classes' sorted English names"),
        ("ranks by folded name", "labels as ranks of the classes' English names without case"),
        ("ranks by text", "labels as ranks of the indices 0 to 999 sorted as text (0, 1, 10)"),
        ("ranks by text from 1", "labels as ranks of 1 to 1000 sorted as text (1, 10, 100)"),
    )
    found += [
        Alternative(f"{ORDER}{order}", words, InputConfig(preprocessing, labels=order))
        for order, words in orders
    ]
    return found


def order_of(alternative: str) -> Labels:
    """The order of the labels that an alternative of that name reads them in."""
    word = alternative.removeprefix(ORDER)
    return next((order for order in get_args(Labels) if order == word), "as given")


def all_orders(labels: NDArray[np.int64], *, imagenet: bool) -> NDArray[np.int64]:
    """All labels that images may be scored by, (n, m): as given, and in ImageNet's orders."""
    import numpy as np

    if labels.ndim == 2:  # Several for each image are by class, whatever a model's order.
        return labels
    orders = get_args(Labels) if imagenet and max(labels, default=0) < IMAGENET_CLASSES else ()
    return np.stack([translated(labels, each) for each in orders or ("as given",)], axis=1)


def translated(labels: NDArray[np.int64], order: Labels) -> NDArray[np.int64]:
    """Class indices that an image set's labels mean in another order.

    Args:
        labels: class indices, int64 (n,).
        order: see `InputConfig`.

    Returns:
        int64, (n,); -1, or an index past the last class, is no class.
    """
    if order == "one later":
        return labels + 1
    if order == "one earlier":
        return labels - 1
    if order == "as given":
        return labels
    classes = _sorted_classes(order.removeprefix("ranks "))
    if order.startswith("ranks "):
        return classes[labels]
    return classes.argsort()[labels]


def _crops(preprocessing: Preprocessing) -> list[Alternative]:
    size = preprocessing.image_size
    short = min(size)
    shares = {share: f"{share:g}" for share in _CROPS}
    shares.setdefault(short / (short + _TENSORFLOW_MARGIN), f"{short}/{short + _TENSORFLOW_MARGIN}")
    found, seen = [], {preprocessing.scale_size}
    for share, words in shares.items():
        other = replace(preprocessing, crop_pct=share)
        if other.scale_size not in seen:
            seen.add(other.scale_size)
            found.append(
                Alternative(f"crop_pct={words}", f"a Crop Pct of {words}", InputConfig(other))
            )
    if preprocessing.crop_mode == "squash" and preprocessing.crop_pct == 1:
        return found
    whole = InputConfig(_as(ResizeNoCrop, preprocessing))
    words = "the whole image resized to the input's size, without a crop"
    return [*found, Alternative("crop=no", words, whole)]


def _as(kind: type[Preprocessing], preprocessing: Preprocessing) -> Preprocessing:
    return kind(**{f.name: getattr(preprocessing, f.name) for f in fields(preprocessing)})


def _centre(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The central crop, black where it is larger than the image."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(pixels)
    left, top = ((a - b) // 2 for a, b in zip(image.size, (size[1], size[0]), strict=True))
    return np.array(image.crop((left, top, left + size[1], top + size[0])))


@cache
def subset_columns(table: str, classes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The columns of a subset of so many classes, and the rank of each class in it."""
    import torch

    from zoo.known_datasets import class_subset

    columns = torch.tensor(class_subset(table), device=device)
    ranks = torch.full((classes,), -1, device=device)
    ranks[columns] = torch.arange(len(columns), device=device)
    return columns, ranks


@cache
def _sorted_classes(order: str) -> NDArray[np.int64]:
    """The class indices in the order that another sorting gives them."""
    import numpy as np

    from zoo.labels import imagenet_categories

    names = imagenet_categories()
    keys = {
        "by name": list(names),
        "by folded name": [name.casefold() for name in names],
        "by text": [str(index) for index in range(len(names))],
        "by text from 1": [str(index + 1) for index in range(len(names))],
    }[order]
    return np.array(sorted(range(len(names)), key=keys.__getitem__), dtype=np.int64)
