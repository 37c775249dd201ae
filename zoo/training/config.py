"""Settings of a training, and the recipe that follows from them and the claims of the index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

from zoo._util.text import plural, shown
from zoo.errors import BadInput
from zoo.index.types import Variant

Amp = Literal["off", "bf16", "fp16"]
Augmentation = Literal["none", "light", "crop", "auto"]
AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)

# An index names techniques; where it gives no strength, these are those of the ResNeSt paper
# (arXiv 2004.08955, section 4.1), which most recipes share.
_LABEL_SMOOTHING = 0.1
_MIXUP_ALPHA = 0.2
_DROP_BLOCK_RATE = 0.1
_WEIGHT_DECAY = 1e-4
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
# What a technique sets, unless a claim of its own says more; an empty one is always done.
_TECHNIQUES: Mapping[str, Mapping[str, Any]] = {
    "autoaugment": {"augment": "auto"},
    "dropblock": {"drop_block": _DROP_BLOCK_RATE},
    "label smoothing": {"label_smoothing": _LABEL_SMOOTHING},
    "mixup": {"mixup": _MIXUP_ALPHA},
    "nesterov accelerated gradient": {"nesterov": True},
    "nesterov momentum": {"nesterov": True},
    "cosine annealing": {},
    "linear warmup with cosine annealing": {},
    "random horizontal flip": {},
    "random resized crop": {},
    "sgd": {},
    "sgd with momentum": {},
    "weight decay": {"weight_decay": _WEIGHT_DECAY},
}
# Settings that a technique's name says all of; of the others it leaves the strength to the reader.
_WORDS = {
    **_FIELDS,
    "augment": "AutoAugment",
    "nesterov": "Nesterov Accelerated Gradient",
    "mixup": "Mixup",
    "drop_block": "DropBlock",
}
_WHOLE = ("augment", "nesterov")
# What of a recipe fine-tuning keeps.
_KEPT = frozenset({"momentum", "weight_decay", "dropout"})
# Claims of recipes that this training does not follow.
_NOT_FOLLOWED = (
    "LR Step Size", "LR Gamma", "RMSProp Decay", "Stochastic Depth Survival", "BatchNorm Momentum",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """The settings of a training; the defaults are the field's usual ones for ImageNet.

    Attributes:
        epochs: how often each image is looked at.
        batch_size: images per optimisation step, of all processes together.
        lr: the highest learning rate, for that batch size.
        momentum: of SGD.
        weight_decay: of SGD; norms and biases have none.
        dropout: before the classifier.
        label_smoothing: the share of a label that is spread over all classes.
        mixup: alpha of the Beta distribution that Mixup draws from; 0 for no Mixup.
        drop_block: the share of activations that DropBlock drops, where the family has it.
        augment: of the training images: ``none`` is the evaluation transform, ``light`` a crop of
            at least half of the image and a flip, ``crop`` one of at least 8 % and a flip,
            ``auto`` the same and AutoAugment.
        nesterov: Nesterov's momentum.
        stated: the names of the settings that the index states.
        named: those of which it names the technique alone, so that the usual strength is taken. All
            others are usual ones.
        not_followed: what the index says of its training that is not done here.
    """

    epochs: int = 90
    batch_size: int = 256
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = _WEIGHT_DECAY
    dropout: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    drop_block: float = 0.0
    augment: Augmentation = "crop"
    nesterov: bool = False
    stated: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
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

    def at_batch_size(self, batch_size: int) -> TrainingRecipe:
        """The same for another batch size, with the learning rate of the linear rule.

        The rule is that of "Accurate, Large Minibatch SGD" (arXiv 1706.02677, section 2.1): where
        the batch size is multiplied by k, multiply the learning rate by k.
        """
        return replace(self, batch_size=batch_size, lr=self.lr * batch_size / self.batch_size)

    def finetuning(self, *, freeze: bool) -> TrainingRecipe:
        """For pretrained layers: few epochs, low rate, gentle augmentation.

        Momentum, weight decay and dropout stay the variant's; its epochs, learning rate and
        regularisation are for random weights and a million images. Where the new classifier alone
        is trained (``freeze``), it bears a higher rate.
        """
        return replace(
            self,
            epochs=10,
            batch_size=64,
            lr=0.1 if freeze else 0.01,
            label_smoothing=0.0,
            mixup=0.0,
            drop_block=0.0,
            augment="light",
            stated=tuple(name for name in self.stated if name in _KEPT),
            named=tuple(name for name in self.named if name in _KEPT),
            not_followed=(),
        )

    def sentence(self) -> str:
        """What is done, and which of it the index states."""
        parts = [
            f"{plural(self.epochs, 'epoch')}, batches of {self.batch_size}, "
            f"LR {self.lr:g} (cosine, {self.warmup_epochs:g} epochs of warm-up), "
            f"momentum {self.momentum:g}"
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
        return f"{', '.join(parts)} ({self._sources()})"

    def _sources(self) -> str:
        """What the index states, in its words."""
        stated = ", ".join(_WORDS[name] for name in self.stated)
        named = ", ".join(_WORDS[name] for name in self.named)
        sources = [f"of the index: {stated}"] if stated else []
        sources += [f"named by the index, and of the usual strength: {named}"] if named else []
        return "; ".join(sources) or "no setting stated by the index"


def recipe_of(variant: Variant) -> TrainingRecipe:
    """The recipe that the claims of a variant, or of its collection, describe.

    What can't be used of them is left out.
    """
    settings: dict[str, Any] = {}
    not_followed = []
    techniques = variant.effective("Training Techniques")
    listed = techniques.value if techniques is not None else None
    for technique in listed if isinstance(listed, tuple) else ():
        key = str(technique).strip().lower()
        if key in _TECHNIQUES:
            settings.update(_TECHNIQUES[key])
        elif key != "dropout" or _number(variant, "Dropout") is None:
            not_followed.append(str(technique))
    numbers = {name: _number(variant, field) for name, field in _FIELDS.items()}
    named = settings.keys() - _WHOLE - {name for name, n in numbers.items() if n is not None}
    for name, number in numbers.items():
        if number is not None:
            settings[name] = int(number) if name in ("epochs", "batch_size") else float(number)
    not_followed += [field for field in _NOT_FOLLOWED if variant.effective(field) is not None]
    return TrainingRecipe(
        **settings,
        stated=tuple(name for name in settings if name not in named),
        named=tuple(name for name in settings if name in named),
        not_followed=tuple(not_followed),
    )


def _number(variant: Variant, field: str) -> int | float | Decimal | None:
    claim = variant.effective(field)
    value = None if claim is None else claim.value
    return value if isinstance(value, (int, float, Decimal)) else None


# Of each process, where nothing else is asked for: recipes' batches are those of dozens of GPUs.
_USUAL_BATCH = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is asked to do.

    Attributes:
        name: the variant, one of ``zoo.list_models()``.
        data: a folder with one folder of images per class, or with a ``train`` and a ``val``
            folder of that kind.
        output: the folder to write to.
        val: the folder of the validation images.
        variant: the variant's entry in an index; the one that ships with this package by default.
        recipe: taken as it is; by default it is made from the claims of ``variant``. The settings
            that stand in place of a recipe's contradict it.
        finetune: begin with the published weights and a new classifier.
        freeze: train the classifier alone.
        freeze_norms: leave norms in evaluation mode: their statistics stay as they are.
        epochs, batch_size, lr, augment: in place of those of the recipe that the claims make.
        device: auto, cpu, cuda or cuda:N.
        amp: mixed precision.
        compile: compile the model with torch.compile.
        ema: validate and keep the moving average of the weights.
        ema_decay: how much of itself it keeps at each step.
        workers: processes that decode images, per process of the training; chosen by default.
        seed: of all that is random.
        resume: go on with the training that ``output`` holds, if it holds one.
        max_steps: stop after so many optimisation steps; resuming goes on from there.
        save_steps: keep the state each so many steps too, not only at the end of an epoch.
        tensorboard: write TensorBoard's files as well.

    Raises:
        BadInput: settings are out of range, or contradict each other.
    """

    name: str
    data: Path | str
    output: Path | str
    val: Path | str | None = None
    variant: Variant | None = None
    recipe: TrainingRecipe | None = None
    finetune: bool = False
    freeze: bool = False
    freeze_norms: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    augment: Augmentation | None = None
    device: str = "auto"
    amp: Amp = "off"
    compile: bool = False
    ema: bool = False
    ema_decay: float = 0.9998
    workers: int | None = None
    seed: int = 0
    resume: bool = False
    max_steps: int | None = None
    save_steps: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.amp not in get_args(Amp):
            raise BadInput(f"amp must be off, bf16 or fp16, not {self.amp!r}")
        if self.freeze and not self.finetune:
            raise BadInput("freezing needs pretrained layers: fine-tune (--finetune --freeze)")
        asked = ("epochs", "batch_size", "lr", "augment")
        given = [name for name in asked if getattr(self, name) is not None]
        if self.recipe is not None and given:
            raise BadInput(f"a recipe is taken as it is: put {given[0]} into the recipe itself")
        if not 0 <= self.ema_decay < 1:
            raise BadInput(f"ema_decay must be from 0 to below 1, not {self.ema_decay}")
        for name in ("max_steps", "save_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} must be 1 or more, not {value}")
        if self.workers is not None and self.workers < 0:
            raise BadInput(f"workers must be 0 or more, not {self.workers}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"seed must be from 0 to 2**63 - 1, not {self.seed}")


def resolve_recipe(
    settings: Settings,
    variant: Variant,
    images: int,
    world: int,
    notes: list[str],
    warnings: list[str],
) -> TrainingRecipe:
    """Resolve the recipe of a training from the index and the settings.

    It is one for so many images, and for the batch of all processes of the ``world``. Sentences on
    what follows from it are added to ``notes``, those on what is not followed to ``warnings``.

    Raises:
        BadInput: what was asked for is out of range.
    """
    documented = recipe = recipe_of(variant)
    if recipe.not_followed and not settings.finetune:
        names = ", ".join(recipe.not_followed)
        warnings.append(f"the index also states {names}: not done here")
    source = "of the index" if "lr" in recipe.stated else "(the usual one)"
    if settings.finetune:
        recipe = recipe.finetuning(freeze=settings.freeze)
        source = "of fine-tuning"
    asked = {"epochs": settings.epochs, "augment": settings.augment}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    recipe = replace(recipe, **given)
    batch_size = settings.batch_size
    if batch_size is None:
        batch_size = min(recipe.batch_size, _USUAL_BATCH * world)
        batch_size = max(world, min(batch_size, images // world * world))
    if batch_size < 1:
        raise BadInput(f"batch size must be 1 or more, not {batch_size}")
    if settings.lr is not None:
        recipe = replace(recipe, lr=settings.lr, batch_size=batch_size)
    elif batch_size != recipe.batch_size:
        known, recipe = recipe, recipe.at_batch_size(batch_size)
        notes.append(
            f"LR {known.lr:g} {source} is for batches of {known.batch_size}; by the linear rule "
            f"it is {recipe.lr:g} for batches of {batch_size} (--lr sets another)"
        )
    warnings += _mistakes(settings, variant, recipe)
    same = {
        name
        for name in (*recipe.stated, *recipe.named)
        if getattr(recipe, name) == getattr(documented, name)
    }
    return replace(
        recipe,
        stated=tuple(name for name in recipe.stated if name in same),
        named=tuple(name for name in recipe.named if name in same),
    )


def check_batch(batch_size: int, images: int, world: int) -> None:
    """Whether a batch can be shared and filled.

    Raises:
        BadInput: it can't.
    """
    if batch_size % world:
        raise BadInput(
            f"a batch of {batch_size} can't be shared by {world} processes; "
            f"--batch-size {max(1, batch_size // world) * world} can"
        )
    if images < batch_size:
        raise BadInput(
            f"{images} images fill no batch of {batch_size}; lower --batch-size, or add some"
        )


def _mistakes(settings: Settings, variant: Variant, recipe: TrainingRecipe) -> list[str]:
    """A line for each claim that would have counted here, and can't."""
    claims = {name: variant.effective(field) for name, field in _FIELDS.items()}
    return [
        f"the index states {shown(claim.field)}: {shown(claim.raw)}, which can't be used; "
        f"{getattr(recipe, name):g} is taken instead"
        for name, claim in claims.items()
        if claim is not None
        and _number(variant, claim.field) is None
        and getattr(settings, name, None) is None
        and (name in _KEPT or not settings.finetune)
    ]
