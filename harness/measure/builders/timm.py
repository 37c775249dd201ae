"""The models of timm, as the installed version builds them.

timm has renamed many models and still builds most old names; its own table of these says what an
old name means today, and which of its pretrained weights.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
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
from zoo._util.install import install_command
from zoo.licenses import expression_of
from zoo.weights.hub import of_repository, repo_of

if TYPE_CHECKING:
    from torch import nn

# A name with digits of a hash is no other file's.
_HASHED = re.compile(r"[-_][0-9a-f]{8,}\.\w+$")
# A model is a function under this decorator.
_MODEL = re.compile(r"^@register_model\b[^\n]*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)
# Old name -> today's name, with the tag of the weights where there is one.
_RENAMED = re.compile(
    r"^register_model_deprecations\(__name__,\s*(\{.*?^\})", re.MULTILINE | re.DOTALL
)
# Weights are keys "model.tag"; a star marks a default.
_TAGGED = re.compile(r"['\"](\w+\.[\w.-]+)\*?['\"]\s*:")


class TimmBuilder:
    """See `harness.measure.builders.Builder`.

    Names are those of timm, of weights as well (``resnet50.a1_in1k``), and its former names.

    Raises:
        BuilderError: timm is not installed.
    """

    def __init__(self) -> None:
        self._version = version_of("timm", install_command("timm"))

    def knows(self, name: str) -> bool:
        registry = self._registry
        if name in registry.models or registry.renamed.get(name):
            return True
        model, _, tag = name.partition(".")
        if model not in registry.models or not tag:
            return False
        # Some models' tags are made as timm is imported: whether one is among them shows there.
        return name in registry.tagged or not registry.has_tags(model)

    def names(self) -> list[str]:
        registry = self._registry
        return sorted({*registry.models, *(old for old, new in registry.renamed.items() if new)})

    def identity(self, name: str) -> str:
        return f"timm {self._version}"

    def resolve(self, name: str) -> str:
        """Today's name of a model that was renamed, with the tag of its weights if it has one."""
        return self._registry.renamed.get(name) or name

    def build(self, name: str) -> nn.Module:
        timm = imported("timm")
        with warnings.catch_warnings():
            # Among them: that a former name is mapped to another, which `resolve` tells.
            warnings.simplefilter("ignore")
            model: nn.Module = timm.create_model(name, pretrained=False)
        return model

    def forms(self, name: str, model: nn.Module) -> Mapping[str, nn.Module]:
        timm = imported("timm")
        if "aux_logits" not in signature(type(model).__init__).parameters:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {"auxiliary": timm.create_model(name, pretrained=False, aux_logits=True)}

    def preprocessing(self, name: str, weights: str | None) -> StatedPreprocessing | None:
        """The settings of the weights of that URL, else of those that the name means."""
        models = imported("timm.models")
        today = self.resolve(name)
        known: Mapping[str, Any] = models.get_arch_pretrained_cfgs(today)
        named = {tag: cfg for tag, cfg in known.items() if _is_of(cfg, weights)}
        if named:
            owners = tuple(named) if "." in today and today not in named else ()
            return StatedPreprocessing("url", _distinct(named), owners=owners)
        cfg = models.get_pretrained_cfg(today)
        if cfg is None:
            return None
        tag = f"{today.partition('.')[0]}.{cfg.tag}" if cfg.tag else today
        settings, owners = _distinct({tag: cfg}), _owners(weights)
        if "." in today:
            return StatedPreprocessing("name", settings, owners=owners)
        others = {other: cfg for other, cfg in known.items() if other != tag}
        return StatedPreprocessing("default", settings, _distinct(others), owners)

    @cached_property
    def _registry(self) -> _Registry:
        return _registry(self._version)


@dataclass(frozen=True, slots=True)
class _Registry:
    """Names of models, former name -> name of today, and the names of weights."""

    models: frozenset[str]
    renamed: Mapping[str, str | None]
    tagged: frozenset[str]

    def has_tags(self, model: str) -> bool:
        """Whether weights of the model are declared by name."""
        return any(name.startswith(f"{model}.") for name in self.tagged)


@lru_cache(maxsize=1)
def _registry(version: str) -> _Registry:
    models: set[str] = set()
    tagged: set[str] = set()
    renamed: dict[str, str | None] = {}
    for text in module_texts("timm", "models"):
        models.update(_MODEL.findall(text))
        tagged.update(_TAGGED.findall(text))
        for table in _RENAMED.findall(text):
            renamed.update(ast.literal_eval(table))
    if not models:
        raise BuilderError(f"timm {version} declares its models in a way that is not known here")
    return _Registry(frozenset(models), renamed, frozenset(tagged))


def _owners(weights: str | None) -> tuple[str, ...]:
    """The weights of any model that timm publishes as that file, by its whole name or its page."""
    from timm.models import get_pretrained_cfg, list_pretrained

    if not weights or not (repo_of(weights) or _HASHED.search(urlsplit(weights).path)):
        return ()
    return tuple(tag for tag in list_pretrained() if _is_of(get_pretrained_cfg(tag), weights))


def _is_of(cfg: Any, weights: str | None) -> bool:
    """Whether weights are those of a URL: by the file's name, or by the model page they lie on.

    A file's name ends in digits of its hash, so that it is recognised wherever it was copied to.
    """
    if not weights:
        return False
    path = unquote(urlsplit(weights).path).strip("/")
    repo = repo_of(weights) or path
    if cfg.hf_hub_id and f"{repo}/".startswith(f"{cfg.hf_hub_id}/"):
        return True
    if not isinstance(cfg.url, str):
        return False
    return path.rpartition("/")[2] == cfg.url.rpartition("/")[2] != ""


def _address(cfg: Any) -> str | None:
    """Where the weights are: a URL, else a repository on the Hub as ``Weights`` names it."""
    if cfg.url or not cfg.hf_hub_id:
        return cfg.url or None
    file = getattr(cfg, "hf_hub_filename", None)
    return of_repository(f"{cfg.hf_hub_id}/{file}" if file else cfg.hf_hub_id)


def _distinct(cfgs: Mapping[str, Any]) -> tuple[PretrainedConfig, ...]:
    """The settings of each set of weights, at its test size as well where it has one."""
    found: list[PretrainedConfig] = []
    for tag, cfg in cfgs.items():
        sizes = [(cfg.input_size, cfg.crop_pct)]
        if cfg.test_input_size or cfg.test_crop_pct:
            test_size = cfg.test_input_size or cfg.input_size
            sizes.append((test_size, cfg.test_crop_pct or cfg.crop_pct))
        for (_, height, width), crop in sizes:
            found.append(
                PretrainedConfig(
                    weights=tag,
                    image_size=(height, width),
                    crop_pct=float(crop),
                    interpolation=cfg.interpolation,
                    mean=tuple(map(float, cfg.mean)),
                    std=tuple(map(float, cfg.std)),
                    num_classes=cfg.num_classes,
                    url=_address(cfg),
                    crop_mode=cfg.crop_mode or "center",
                    license=expression_of(getattr(cfg, "license", None)),
                )
            )
    return tuple(found)
