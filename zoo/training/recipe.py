"""How a variant is trained: the settings that its index claims, and usual ones for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, get_args

from zoo.index.types import Variant
from zoo.training.errors import BadInput

Augmentation = Literal["none", "light", "crop", "auto"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

# An index names techniques; where it gives no strength, these are those of the ResNeSt paper
# (arXiv 2004.08955, section 4.1), which most recipes share.
_LABEL_SMOOTHING = 0.1
_MIXUP_ALPHA = 0.2
_DROP_BLOCK_RATE = 0.1
_WARMUP_EPOCHS = 5.0
_WARMUP_SHARE = 0.1

_FIELDS = {
    "lr": "LR",
    "epochs": "Epochs",
    "batch_size": "Batch Size",
    "momentum": "Momentum",
    "weight_decay": "Weight Decay",
    "dropout": "Dropout",
    "label_smoothing": "Label Smoothing",
}
# What a technique sets, unless a claim of its own says more; an empty one is always done, or is
# said by a number.
_TECHNIQUES: Mapping[str, Mapping[str, Any]] = {
    "autoaugment": {"augment": "auto"},
    "dropblock": {"drop_block": _DROP_BLOCK_RATE},
    "label smoothing": {"label_smoothing": _LABEL_SMOOTHING},
    "mixup": {"mixup": _MIXUP_ALPHA},
    "nesterov accelerated gradient": {"nesterov": True},
    "nesterov momentum": {"nesterov": True},
    "cosine annealing": {},
    "linear warmup with cosine annealing": {},
    "dropout": {},
    "random horizontal flip": {},
    "random resized crop": {},
    "sgd": {},
    "sgd with momentum": {},
    "weight decay": {},
}
# Claims of recipes that this training does not follow.
_NOT_FOLLOWED = (
    "LR Step Size", "LR Gamma", "RMSProp Decay", "Stochastic Depth Survival", "BatchNorm Momentum",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of a training; the defaults are the field's usual ones for ImageNet.

    Attributes:
        epochs: how often each picture is looked at.
        batch_size: pictures per optimisation step, of all processes together.
        lr: the highest learning rate, for that batch size.
        momentum: of SGD.
        weight_decay: of SGD; norms and biases have none.
        dropout: before the classifier.
        label_smoothing: the share of a label that is spread over all classes.
        mixup: alpha of the Beta distribution that Mixup draws from; 0 for no Mixup.
        drop_block: the share of activations that DropBlock drops, where the family has it.
        augment: of the training pictures: ``none`` is the evaluation transform, ``light`` a crop of
            at least half of the picture and a flip, ``crop`` one of at least 8 % and a flip,
            ``auto`` the same and AutoAugment.
        nesterov: Nesterov's momentum.
        stated: the names of the settings that the index claims; the rest are usual ones.
        not_followed: what the index says of its training that is not done here.
    """

    epochs: int = 90
    batch_size: int = 256
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    dropout: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    drop_block: float = 0.0
    augment: Augmentation = "crop"
    nesterov: bool = False
    stated: tuple[str, ...] = ()
    not_followed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"{name} must be {least} or more, not {getattr(self, name)}")
        if not 0 < self.lr < float("inf"):
            raise BadInput(f"lr must be above 0, not {self.lr}")
        if self.augment not in AUGMENTATIONS:
            known = ", ".join(AUGMENTATIONS)
            raise BadInput(f"augment must be one of {known}, not {self.augment!r}")

    @property
    def warmup_epochs(self) -> float:
        """Epochs of rising learning rate: 5, and at most a tenth of a short training."""
        return min(_WARMUP_EPOCHS, _WARMUP_SHARE * self.epochs)

    def at_batch_size(self, batch_size: int) -> Recipe:
        """The same for another batch size, with the learning rate of the linear rule.

        The rule is that of "Accurate, Large Minibatch SGD" (arXiv 1706.02677, section 2.1): where
        the batch size is multiplied by k, multiply the learning rate by k.
        """
        return replace(self, batch_size=batch_size, lr=self.lr * batch_size / self.batch_size)

    def finetuning(self, *, freeze: bool) -> Recipe:
        """For pretrained layers: few epochs, low rate, gentle augmentation.

        Momentum, weight decay and dropout stay the variant's; its epochs, learning rate and
        regularisation are for random weights and a million pictures.

        Args:
            freeze: only the new classifier is trained; it bears a higher rate.
        """
        kept = {"momentum", "weight_decay", "dropout"}
        return replace(
            self,
            epochs=10,
            batch_size=64,
            lr=0.1 if freeze else 0.01,
            label_smoothing=0.0,
            mixup=0.0,
            drop_block=0.0,
            augment="light",
            stated=tuple(name for name in self.stated if name in kept),
            not_followed=(),
        )

    def sentence(self) -> str:
        """What is done, and which of it the index states."""
        parts = [
            f"{self.epochs} epochs, batches of {self.batch_size}, LR {self.lr:g} (cosine, "
            f"{self.warmup_epochs:g} epochs of warm-up), momentum {self.momentum:g}"
            f"{' (Nesterov)' if self.nesterov else ''}, weight decay {self.weight_decay:g}"
        ]
        parts += [
            f"{what} {value:g}"
            for what, value in (
                ("dropout", self.dropout),
                ("label smoothing", self.label_smoothing),
                ("Mixup", self.mixup),
                ("DropBlock", self.drop_block),
            )
            if value
        ]
        parts.append(f"augmentation {self.augment}")
        source = f"of the index: {', '.join(self.stated)}" if self.stated else "no setting stated"
        return f"{', '.join(parts)} ({source})"


def recipe_of(variant: Variant) -> Recipe:
    """The recipe that the claims of a variant, or of its collection, describe."""
    settings: dict[str, Any] = {}
    not_followed = []
    techniques = variant.effective("Training Techniques")
    named = techniques.value if techniques is not None else None
    for technique in named if isinstance(named, tuple) else ():
        known = _TECHNIQUES.get(str(technique).strip().lower())
        if known is None:
            not_followed.append(str(technique))
        else:
            settings.update(known)
    for name, field in _FIELDS.items():
        claim = variant.effective(field)
        if claim is not None and isinstance(claim.value, (int, float, Decimal)):
            whole = name in ("epochs", "batch_size")
            settings[name] = int(claim.value) if whole else float(claim.value)
    not_followed += [field for field in _NOT_FOLLOWED if variant.effective(field) is not None]
    return Recipe(**settings, stated=tuple(settings), not_followed=tuple(not_followed))
