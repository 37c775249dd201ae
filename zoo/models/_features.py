"""Feature maps of a classifier, for detection, segmentation and the like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from zoo.models._base import FeatureInfo, ImageClassifier


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
