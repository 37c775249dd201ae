"""What every image classifier of the zoo has in common: a trunk, pooling, a linear classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
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
