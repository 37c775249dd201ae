"""What all image classifiers of the zoo share: trunk, pooling, classifier, and feature maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, TypedDict

from torch import Tensor, nn


class FeatureInfo(TypedDict):
    """One feature map: its channels, its stride in input pixels, and the module that makes it."""

    num_chs: int
    reduction: int
    module: str


class ImageClassifier(nn.Module, ABC):
    """A convolutional trunk, global average pooling, dropout and a linear classifier.

    A family builds its trunk in ``__init__`` and ends with `_add_head`. Its checkpoints decide what
    the classifier is called.

    Attributes:
        feature_info: the feature maps, finest first; each names an entry of `trunk`.
        num_features: channels that `forward_features` returns.
        num_classes: outputs of the classifier, 0 where there is none.
    """

    classifier_name: ClassVar[str] = "fc"

    feature_info: list[FeatureInfo]
    num_features: int
    num_classes: int
    global_pool: nn.Module
    drop: nn.Module

    @abstractmethod
    def trunk(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules that run one after the other before pooling, with their dotted names."""

    def _add_head(self, num_features: int, num_classes: int, drop_rate: float) -> None:
        self.num_features = num_features
        # A module, not a function call: counters that look at modules should see the pooling.
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new, randomly initialised classifier of ``num_classes`` in place; 0 for none."""
        self.num_classes = num_classes
        classifier: nn.Module = nn.Identity()
        if num_classes:
            # The new layer belongs where the model is, which may have moved since it was built.
            here = next(self.parameters())
            classifier = nn.Linear(
                self.num_features, num_classes, device=here.device, dtype=here.dtype
            )
        setattr(self, self.classifier_name, classifier)

    def get_classifier(self) -> nn.Module:
        """The classifier: a linear layer, or an identity where ``num_classes`` is 0."""
        return self.get_submodule(self.classifier_name)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (batch, in_chans, H, W) -> the last feature map (batch, num_features, h, w)."""
        for _, module in self.trunk():
            x = module(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last feature map -> logits (batch, num_classes).

        With ``pre_logits``: -> what the classifier is fed, (batch, num_features).
        """
        x = self.drop(self.global_pool(x).flatten(1))
        return x if pre_logits else self.get_classifier()(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, in_chans, H, W) -> logits (batch, num_classes)."""
        return self.forward_head(self.forward_features(x))


class FeatureExtractor(nn.Module):
    """The trunk of a classifier as far as the last feature map that is asked for.

    The layers keep their names, so a checkpoint of the classifier fits with ``strict=False``: it
    merely holds more.

    Args:
        model: the classifier; its layers are shared, not copied.
        out_indices: entries of ``model.feature_info`` to return, negative ones counted from the
            last; all by default. The maps come finest first, whatever the order here.

    Raises:
        ValueError: if an index is out of range, or none is given.
    """

    feature_info: list[FeatureInfo]

    def __init__(self, model: ImageClassifier, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        self.feature_info = _choose(model.feature_info, out_indices)
        self._outputs = {info["module"] for info in self.feature_info}
        self._steps: list[str] = []
        last = self.feature_info[-1]["module"]
        for name, module in model.trunk():
            _attach(self, name, module)
            self._steps.append(name)
            if name == last:
                break

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images (batch, in_chans, H, W) -> one map per entry of ``feature_info``."""
        return list(self._maps(x))

    def _maps(self, x: Tensor) -> Iterator[Tensor]:
        for name in self._steps:
            x = self.get_submodule(name)(x)
            if name in self._outputs:
                yield x


def _choose(info: list[FeatureInfo], indices: Sequence[int] | None) -> list[FeatureInfo]:
    count = len(info)
    if indices is None:
        return list(info)
    if not indices:
        raise ValueError("out_indices names no feature map")
    for index in indices:
        if not -count <= index < count:
            raise ValueError(
                f"out_indices holds {index}; this model has feature maps 0 to {count - 1}"
            )
    return [info[index] for index in sorted({index % count for index in indices})]


def _attach(root: nn.Module, name: str, module: nn.Module) -> None:
    """Make ``module`` reachable from ``root`` under its dotted name."""
    *path, leaf = name.split(".")
    for part in path:
        if part not in dict(root.named_children()):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(leaf, module)
