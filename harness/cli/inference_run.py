"""One variant on pictures, for the commands: the weights, the pictures, and what can't be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import typer

from harness.cli import terminal
from harness.cli.common import one_variant, settings_of
from harness.cli.status import FAILED, Failure
from harness.run.request import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.inference import Answer
    from zoo.models._base import ImageClassifier


class InferenceRun:
    """One variant on pictures; what could not be read is said at once, and kept.

    Raises:
        UsageError: there is no such variant or device, its entry can't be followed, or standard
            input is named twice.
    """

    def __init__(self, variant: str, images: Sequence[str], batch: int, **flags: Any) -> None:
        from zoo.preprocessing import variant_preprocessing

        if list(images).count("-") > 1:
            raise UsageError("-: standard input holds one picture; name it once")
        self._settings = settings_of(**flags)
        self.variant = one_variant(variant, flags["index"])
        try:
            self._transform = variant_preprocessing(self.variant)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self._images = images
        self._batch = batch
        self.unreadable: list[dict[str, str]] = []

    def load(self, num_classes: int | None = None) -> ImageClassifier:
        """The model with its weights, on the device and ready to answer."""
        from harness.cli.downloads import fetch_shown
        from harness.measure.devices import DeviceError, choose_device
        from zoo.registry import is_model
        from zoo.variants import base_name, load_variant
        from zoo.weights import WeightsError
        from zoo.weights.load import CheckpointError

        settings, base = self._settings, base_name(self.variant)
        if not is_model(base):
            raise UsageError(f"{self.variant.location}: this package does not build {base}")
        try:
            self._device = choose_device(settings.device)
            checkpoint = fetch_shown(self.variant, settings)
            model = load_variant(self.variant, checkpoint, num_classes=num_classes)
        except DeviceError as error:
            raise UsageError(f"--device: {error}") from error
        except (WeightsError, CheckpointError) as error:
            raise Failure(str(error)) from error
        except ValueError as error:
            raise UsageError(str(error)) from error
        import torch

        self._tell_defaults()
        return model.eval().to(self._device).to(memory_format=torch.channels_last)

    def encoder(self, stage: int | None) -> Callable[[Tensor], Tensor]:
        """What turns inputs into vectors: the pooled features, or a stage's map, averaged."""
        if stage is None:
            return self.load(num_classes=0)
        from zoo.models._features import FeatureExtractor

        model = self.load()
        count = len(model.feature_info)
        if not -count <= stage < count:
            raise UsageError(
                f"--stage {stage}: {self.variant.name} has the stages 0 to {count - 1}, or "
                f"{-count} to -1 from the end"
            )
        extractor = FeatureExtractor(model, [stage]).eval()
        return lambda inputs: extractor(inputs)[0].mean((2, 3))

    def answers(
        self, model: Callable[[Tensor], Tensor], *, drawn: bool = True
    ) -> Generator[Answer, None, None]:
        """What the model says of each picture that can be read; ``drawn`` with a bar meanwhile."""
        from harness.cli.progress import StderrProgress
        from zoo.images import UnreadableImage, Web, find
        from zoo.images.io import as_text
        from zoo.inference import answers

        # Of odd pictures, one for each; what is wrong with one is said with its name.
        warnings.simplefilter("ignore")
        settings = self._settings
        progress = StderrProgress(quiet=not drawn)
        with (
            Web(allow_http=settings.allow_http, offline=settings.offline) as web,
            closing(progress),
        ):
            progress.start(None)
            for answer in answers(
                model,
                self._transform,
                find(self._images, web),
                batch_size=self._batch,
                device=self._device,
                upright=True,
            ):
                progress.advance(answer.name.rpartition("/")[2])
                if isinstance(answer, UnreadableImage):
                    progress.warn(f"{answer.name}: {answer.why}")
                    told = {"picture": as_text(answer.name), "why": as_text(answer.why)}
                    self.unreadable.append(told)
                else:
                    yield answer

    def _tell_defaults(self) -> None:
        """Which settings nobody stated: a wrong guess makes a model look worse than it is."""
        from zoo.preprocessing import CLAIMS

        taken = [f"{CLAIMS[each]} {self._shown(each)}" for each in self._transform.defaults]
        if taken:
            what = "; ".join(taken)
            variant = self.variant
            terminal.say(
                f"{variant.location}: {variant.name}: not stated, and taken as usual: {what}"
            )

    def _shown(self, setting: str) -> str:
        value = getattr(self._transform, setting)
        if setting == "image_size":
            return "x".join(map(str, value))
        return str(list(value) if isinstance(value, tuple) else value)

    def end(self) -> None:
        """Exit as one should who could not read all."""
        if self.unreadable:
            raise typer.Exit(FAILED)
