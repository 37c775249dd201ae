"""The models of mmpretrain, as the installed wheel's own configs build them.

A name is that of an entry of the wheel's metafiles, which names its config. A config is Python and
is executed: it is always the wheel's, below its folder ``.mim``, and never what an index says.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.builders import (
    BuilderError,
    PretrainedConfig,
    StatedPreprocessing,
    version_of,
)
from harness.types import ANOTHER_ARCHITECTURE
from zoo._util.install import install_command, package_folder

if TYPE_CHECKING:
    from torch import nn

    from harness.types import Size

NAME = "mmpretrain"
_CONFIGS = "configs"
# An entry's keys, each at the beginning of a line; only a model has a config.
_ENTRY_KEY = re.compile(r"^[ \t]*(?:- +)?(Name|Config|Weights):[ \t]*(\S+)", re.MULTILINE)
# What fills a model with values, of which some would be fetched, and what only training uses.
_VALUES = ("pretrained", "init_cfg", "train_cfg")
_PIXELS = 255
# The usual ``crop_padding``, and the images that no step resizes.
_PADDING = 32
_WHOLE = {"CIFAR10": (32, 32), "CIFAR100": (32, 32)}


class MmpretrainBuilder:
    """See `harness.measure.builders.Builder`.

    Raises:
        BuilderError: mmpretrain is not installed.
    """

    def __init__(self) -> None:
        advice = install_command(NAME)
        self._version = f"{NAME} {version_of(NAME, advice)}"
        self._version += f", mmengine {version_of('mmengine', advice)}"
        try:  # mmcv itself, with its compiled part, stands in for mmcv-lite.
            self._version += f", mmcv {version('mmcv')}"
        except PackageNotFoundError:
            self._version += f", mmcv-lite {version_of('mmcv-lite', advice)}"

    def knows(self, name: str) -> bool:
        return name in self._entries

    def names(self) -> list[str]:
        return sorted(self._entries)

    def identity(self, name: str) -> str:
        return self._version

    def load(self) -> None:
        """Import the library; with it comes one that patches Python's own search for packages."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mmcv-lite says at length what mmcv would have.
            import mmpretrain.models  # noqa: F401

    def build(self, name: str) -> nn.Module:
        return _built(self._entries[name]["Config"])

    def forms(self, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
        """Of what is only pretrained, its backbone; of an entry that names the config of another
        model, the one that has its name.
        """
        import torch
        from mmpretrain.models import ImageClassifier

        forms: dict[str, nn.Module] = {}
        backbone = getattr(model, "backbone", None)
        if backbone is not None and not isinstance(model, ImageClassifier):
            forms["backbone"] = backbone
        if namesake := self._namesake(name):
            with torch.device("cpu"):  # Many constructors need values.
                what = f"the model of {namesake}, and the entry's own config, which is called alike"
                forms[f"{what}, {ANOTHER_ARCHITECTURE}"] = _built(namesake)
        return forms

    def _namesake(self, name: str) -> str | None:
        """The config beside a variant's own, called as it is, that builds another architecture.

        In release 1.2.0 the configs of ConvNeXt-L and -XL for ImageNet-21k build ConvNeXt-B.
        """
        own = self._entries[name]["Config"]
        folder, _, file = own.rpartition("/")
        start = f"{folder}/{file.partition('_')[0]}_"
        beside = {e["Config"] for e in self._entries.values() if e["Config"].startswith(start)}
        arch = _architecture(own) if len(beside) > 1 else None
        for other in sorted(beside - {own}) if arch else ():
            with suppress(BuilderError):
                found = _architecture(other)
                if found and arch and found[0] == arch[0] and found[1] != arch[1]:
                    return other
        return None

    def preprocessing(self, name: str, weights: str | None) -> StatedPreprocessing | None:
        """How the config's test pipeline prepares an image."""
        entry = self._entries[name]
        chosen = "url" if weights and weights == entry.get("Weights") else "name"
        settings = _settings(name, _config(entry["Config"]), entry.get("Weights"))
        return StatedPreprocessing(chosen, (settings,))  # type: ignore[arg-type]

    @cached_property
    def _entries(self) -> Mapping[str, Mapping[str, str]]:
        return _entries(self._version)


def _folder() -> Path | None:
    """The folder of the installed wheel that holds its metafiles and configs."""
    folder = package_folder(NAME)
    return None if folder is None else folder / ".mim"


@lru_cache(maxsize=1)
def _entries(version: str) -> Mapping[str, Mapping[str, str]]:
    """The models that the wheel's metafiles name, each with its config, and its weights if any."""
    folder, found = _folder(), dict[str, dict[str, str]]()
    for path in sorted(folder.glob(f"{_CONFIGS}/*/metafile.yml")) if folder else ():
        entry: dict[str, str] = {}
        for key, value in _ENTRY_KEY.findall(path.read_text(encoding="utf-8", errors="replace")):
            if key == "Name":
                entry = {}
            entry.setdefault(key, value.strip("'\""))
            if key == "Config" and "Name" in entry:
                found[entry["Name"]] = entry
    if not found:
        raise BuilderError(f"{version} ships its configs in a way that is not known here")
    return found


@lru_cache(maxsize=8)
def _config(named: str) -> Any:
    """A config of the wheel, executed.

    Raises:
        BuilderError: it lies outside, or can't be executed.
    """
    folder = _folder()
    path = None if folder is None else (folder / named).resolve()
    if folder is None or path is None or (folder / _CONFIGS).resolve() not in path.parents:
        raise BuilderError(f"{named} is not among the configs of {NAME}")
    from mmengine.config import Config

    try:
        with _offline():
            # Some test themselves below ``__main__``, and look as if they were of the newer kind.
            return Config.fromfile(str(path), lazy_import=False)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise BuilderError(f"{NAME}'s own {named} can't be executed: {what}") from error


def _architecture(named: str) -> tuple[str, str] | None:
    """The backbone of a config: its class, and which of its architectures; None without a name."""
    backbone = (_config(named).get("model") or {}).get("backbone") or {}
    kind, arch = backbone.get("type"), backbone.get("arch")
    return (str(kind), arch) if isinstance(arch, str) else None


def _built(named: str) -> nn.Module:
    config = _config(named)
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS

    model = config.model.to_dict() if hasattr(config.model, "to_dict") else dict(config.model)
    model.setdefault("data_preprocessor", config.get("data_preprocessor"))
    model = _without_values(model)
    generator = model.get("target_generator")
    fetched = generator is not None and "://" in str(generator)
    if fetched:
        del model["target_generator"]  # It is a file of weights: nothing of it is in the config.
    with _offline(), DefaultScope.overwrite_default_scope(NAME):
        built: nn.Module = MODELS.build(model)
    if fetched:
        vars(built)["left_out"] = "its target generator, which is a file of weights on the network"
    return built


def _without_values(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {k: _without_values(v) for k, v in config.items() if k not in _VALUES}
    if isinstance(config, (list, tuple)):
        return type(config)(map(_without_values, config))
    return config


@contextmanager
def _offline() -> Iterator[None]:
    """Lets nothing be fetched: some constructors would. It is process-wide."""
    import socket

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError("models are built without the network")

    kept = socket.getaddrinfo
    socket.getaddrinfo = refuse
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.getaddrinfo = kept


def _settings(name: str, config: Any, url: str | None) -> PretrainedConfig:
    """The test pipeline in an index's words; what these can't say is left out."""
    steps: dict[str, Any] = {}
    for step in _pipeline(config):
        steps.setdefault(str(step.get("type")).rpartition(".")[2], step)
    edge, plain, crop = (steps.get(kind) for kind in ("ResizeEdge", "Resize", "CenterCrop"))
    share, resize, mode = None, edge or plain, None
    if efficient := steps.get("EfficientNetCenterCrop"):
        # A share of the image that is resized after it is cropped: the same image.
        size, resize, mode = _size(efficient.get("crop_size")), efficient, "center"
        share = size and size[0] / (size[0] + efficient.get("crop_padding", _PADDING))
    elif resize is not None:
        scale = _size(resize.get("scale"), wide_first=edge is None)
        size = scale if crop is None and edge is None else _size((crop or {}).get("crop_size"))
        if size and scale and scale[0] > 0:
            share, mode = size[0] / scale[0], "center" if edge is not None else "squash"
    else:
        size = _size((crop or {}).get("crop_size")) or _whole(config)
    values = config.get("data_preprocessor") or (config.get("model") or {}).get("data_preprocessor")
    # Means in the order of an image whose channels are blue, green and red are none of an index.
    values = values if values and values.get("to_rgb") else {}
    usual = "bicubic" if efficient else "bilinear"
    interpolation = None if resize is None else str(resize.get("interpolation", usual))
    return PretrainedConfig(
        weights=name,
        image_size=size,
        crop_pct=share,
        interpolation=interpolation,
        mean=_from_pixels(values.get("mean")),
        std=_from_pixels(values.get("std")),
        num_classes=((config.get("model") or {}).get("head") or {}).get("num_classes"),
        url=url,
        crop_mode=mode,
    )


def _dataset(config: Any) -> Any:
    return (config.get("test_dataloader") or {}).get("dataset") or {}


def _pipeline(config: Any) -> list[Any]:
    return list(_dataset(config).get("pipeline") or config.get("test_pipeline") or ())


def _whole(config: Any) -> Size | None:
    """The size of the images of a set whose images all have one, or that the backbone is for."""
    backbone = (config.get("model") or {}).get("backbone") or {}
    return _WHOLE.get(str(_dataset(config).get("type"))) or _size(backbone.get("img_size"))


def _size(value: Any, wide_first: bool = False) -> Size | None:
    """The (height, width) of an int or a pair."""
    sides = [value] if isinstance(value, int) else list(value or ())
    if not sides or not all(isinstance(side, int) for side in sides):
        return None
    height, width = int(sides[0]), int(sides[-1])
    return (width, height) if wide_first else (height, width)


def _from_pixels(values: Any) -> tuple[float, ...] | None:
    # In decimals, as they are written: 57.12 / 255 is 0.224, and not 0.22399999999999998.
    return None if not values else tuple(float(Decimal(str(v)) / _PIXELS) for v in values)
