"""torchvision's classification models, each as its published weights need it.

A name is a model's, which means its default weights, or one of its weights' as in
``resnet50.IMAGENET1K_V2``. Weights decide more than values: a ViT's input size, the auxiliary
classifier of a GoogLeNet, the number of classes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, lru_cache
from inspect import signature
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from harness.measure.builders import (
    BuilderError,
    PretrainedConfig,
    StatedPreprocessing,
    module_texts,
    version_of,
)
from harness.measure.compiler import imported

if TYPE_CHECKING:
    from torch import nn

    from harness.types import Size

# A model is a function under this decorator, and its signature names the class of its weights.
_MODEL = re.compile(
    r"^@register_model\([^\n]*\)\n(?:@[^\n]*\n)*def (\w+)\(.*?\bOptional\[(\w+)\]",
    re.MULTILINE | re.DOTALL,
)
_WEIGHTS = re.compile(r"^class (\w+)\(WeightsEnum\):\n((?:[ \t][^\n]*\n|\n)+)", re.MULTILINE)
_MEMBER = re.compile(r"^    (\w+) = Weights\(", re.MULTILINE)


class TorchvisionBuilder:
    """See `harness.measure.builders.Builder`.

    Raises:
        BuilderError: torchvision is not installed.
    """

    def __init__(self) -> None:
        self._version = version_of("torchvision", "pip install torchvision")

    def resolve(self, name: str) -> str:
        """The name by which a model is built: tables name the class of weights instead."""
        kind, _, weights = name.partition(".")
        return f"{self._classes[kind]}.{weights}" if weights and kind in self._classes else name

    def knows(self, name: str) -> bool:
        model, _, weights = (name := self.resolve(name)).partition(".")
        return model in self._models and (weights in self._models[model] or model == name)

    def names(self) -> list[str]:
        return sorted(
            {*self._models, *(f"{m}.{w}" for m, names in self._models.items() for w in names)}
        )

    def identity(self, name: str) -> str:
        return f"torchvision {self._version}"

    def build(self, name: str) -> nn.Module:
        get_model = imported("torchvision.models").get_model
        name = self.resolve(name)
        with _nothing_loaded():
            model: nn.Module = get_model(name.partition(".")[0], weights=_weights(name))
        return model

    def forms(self, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
        from torchvision.models import get_model

        name = self.resolve(name)
        if "aux_logits" not in signature(type(model).__init__).parameters:
            return {}
        classes = model.get_parameter("fc.weight").shape[0]
        options = {"aux_logits": True, "init_weights": False, "num_classes": classes}
        return {"auxiliary": get_model(name.partition(".")[0], weights=None, **options)}

    def preprocessing(self, name: str, weights: str | None) -> StatedPreprocessing | None:
        """The settings of the weights of that URL, else of those that the name means."""
        get_model_weights = imported("torchvision.models").get_model_weights
        model = (name := self.resolve(name)).partition(".")[0]
        wanted = _file_name(weights) if weights else ""
        named = [w for w in get_model_weights(model) if wanted and wanted == _file_name(w.url)]
        if named:
            other = () if name in (model, *(f"{model}.{w.name}" for w in named)) else named
            owners = tuple(f"{model}.{w.name}" for w in other)
            settings = tuple(_settings(model, w) for w in named)
            return StatedPreprocessing("url", settings, owners=owners)
        meant = _weights(name)
        settings, owners = (_settings(model, meant),), _owners(wanted)
        if model != name:
            return StatedPreprocessing("name", settings, owners=owners)
        others = tuple(_settings(model, w) for w in get_model_weights(model) if w is not meant)
        return StatedPreprocessing("default", settings, others, owners)

    @cached_property
    def _models(self) -> Mapping[str, frozenset[str]]:
        return _models(self._version)[0]

    @cached_property
    def _classes(self) -> Mapping[str, str]:
        return _models(self._version)[1]


@lru_cache(maxsize=1)
def _models(version: str) -> tuple[Mapping[str, frozenset[str]], Mapping[str, str]]:
    """The names of each model's weights, and the model of each class of weights."""
    classes: dict[str, str] = {}
    members: dict[str, frozenset[str]] = {}
    for text in module_texts("torchvision", "models"):
        classes.update(_MODEL.findall(text))
        members.update(
            {name: frozenset(_MEMBER.findall(body)) for name, body in _WEIGHTS.findall(text)}
        )
    if not classes or not set(classes.values()) <= members.keys():
        raise BuilderError(
            f"torchvision {version} declares its models in a way that is not known here"
        )
    names = {model: members[kind] for model, kind in classes.items()}
    return names, {kind: model for model, kind in classes.items()}


def _weights(name: str) -> Any:
    """The weights that a name means."""
    from torchvision.models import get_model_weights

    model, _, weights = name.partition(".")
    return get_model_weights(model)[weights or "DEFAULT"]


@contextmanager
def _nothing_loaded() -> Iterator[None]:
    """Lets torchvision build a model for its weights, and neither fetch nor load them.

    Only so are all its own rules followed that turn weights into arguments. It is process-wide:
    only a process that builds models for their shapes should do this.
    """
    from torch import nn
    from torchvision.models import WeightsEnum

    fetch, load = WeightsEnum.get_state_dict, nn.Module.load_state_dict
    WeightsEnum.get_state_dict = lambda self, *args, **kwargs: {}
    nn.Module.load_state_dict = lambda self, *args, **kwargs: None  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        WeightsEnum.get_state_dict = fetch
        nn.Module.load_state_dict = load  # type: ignore[method-assign]


def _owners(wanted: str) -> tuple[str, ...]:
    """The weights of any model that torchvision publishes under that file's name."""
    from torchvision.models import get_model_weights, list_models

    return tuple(
        f"{model}.{w.name}"
        for model in (list_models() if wanted else ())
        for w in get_model_weights(model)
        if wanted == _file_name(w.url)
    )


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


def _settings(model: str, weights: Any) -> PretrainedConfig:
    transforms = weights.transforms()
    image_size = _size(getattr(transforms, "crop_size", None))
    resize = _size(getattr(transforms, "resize_size", None))
    interpolation = getattr(transforms, "interpolation", None)
    categories = weights.meta.get("categories")  # None for weights without a classifier
    return PretrainedConfig(
        weights=f"{model}.{weights.name}",
        image_size=image_size,
        crop_pct=image_size[0] / resize[0] if image_size and resize else None,
        interpolation=getattr(interpolation, "value", None),
        mean=_floats(getattr(transforms, "mean", None)),
        std=_floats(getattr(transforms, "std", None)),
        num_classes=len(categories) if categories else None,
        url=weights.url,
    )


def _size(value: Any) -> Size | None:
    """The (height, width) of an int, or of a list of one or two, as transforms hold it."""
    sides = [value] if isinstance(value, int) else list(value or ())
    return (int(sides[0]), int(sides[-1])) if sides else None


def _floats(value: Any) -> tuple[float, ...] | None:
    return None if value is None else tuple(map(float, value))
