"""Which index a run reads, which variants it chooses, and how each is rebuilt."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import RunConfig, UsageError
from harness.types import USUAL_SIZE, Recipe, Size
from zoo._util.text import few, nearest, plural
from zoo.index import load_index, local_index
from zoo.index.readers import FOLDER, index_in
from zoo.index.types import Claim, Index, Problem, Variant
from zoo.labels import are_of_imagenet
from zoo.preprocessing import CLAIMS
from zoo.variants import class_count

if TYPE_CHECKING:
    import torch

    from harness.run.jobs import DeviceShare

# So many of many indexes are named.
_MOST_NAMED = 3


def index_here(wanted: Iterable[str] = ()) -> Path:
    """The index of the working folder or of its project; a wanted word may be a folder's.

    Raises:
        UsageError: there is none. The index of this package would be another one than the user's.
    """
    found = local_index()
    if found is None:
        for word in filter(os.path.exists, wanted):
            raise UsageError(f"no index here; {_as_path(word)}")
        raise UsageError(
            f"no index here: {os.getcwd()} holds neither {FOLDER}/ nor {FOLDER}.yml, .yaml or .md; "
            "name one with --index PATH (package:zoo is the one that ships with zoo), or let zoo "
            "init write one"
        )
    return found


def read_index(
    paths: Sequence[Path], wanted: Sequence[str], *, lenient: bool = False
) -> tuple[Index, tuple[Variant, ...]]:
    """An index, and the variants that are wanted of it.

    With ``lenient``, one that yields variants is read for these where files of it can't be.

    Raises:
        UsageError: it yields no variant, or none that is wanted.
    """
    index = load_index(paths)
    if not index.variants or (index.unusable and not lenient):
        empty = "no variant; a model-index lists them under Models:"
        why = [*map(_line, index.problems)]
        raise UsageError(*why or (f"{name}: {empty}" for name in index.files))
    try:
        return index, select(index, wanted, lister=f"zoo list{index_options(paths)}")
    except UsageError as error:  # It may be in what could not be read.
        raise UsageError(*unread(index), *error.lines) from error


def unread(index: Index) -> list[str]:
    """A line for each thing that kept a file or a folder of the index from yielding a variant."""
    return [_line(each) for each in index.problems if each.location.file in index.unusable]


def _line(problem: Problem) -> str:
    """The problem in one line; what is not there has no lines and columns."""
    if os.path.exists(problem.location.file):
        return str(problem)
    return str(problem).replace(f"{problem.location}: ", f"{problem.location.file}: ", 1)


def subject(variants: Sequence[Variant], config: RunConfig, builders: Iterable[str] = ()) -> str:
    """What a run is about: how many variants, of which index, and who builds them."""
    names = list(dict.fromkeys(builders))
    by = f", {'builder' if len(names) == 1 else 'builders'} {', '.join(names)}" if names else ""
    index = f"{named(config.index)}{_passed_over(config)}"
    return f"{plural(len(variants), 'variant')} of index {index}{by}"


def _passed_over(config: RunConfig) -> str:
    """What is said beside an index that settings name where a nearer one is not read for it.

    Settings count for all folders below theirs, as those of other tools of a ``pyproject.toml`` do.
    """
    here = index_in(Path.cwd()) if config.named_by else None
    if here is None or any(os.path.realpath(path) == str(here) for path in config.index):
        return ""
    return f" (as {config.named_by} says; {here.name} here is not read)"


def named(index: Sequence[Path]) -> str:
    """The index in a sentence, as it was named."""
    return few([*map(str, index)], _MOST_NAMED)


def covered(
    bound: Sequence[Path] | None, index: Sequence[Path], files: Sequence[str]
) -> frozenset[str] | None:
    """Which of an index's files belong to the index ``bound`` as well; None for all of them.

    A file is the same by whatever path, and through whatever link, it is named.
    """

    def real(paths: Iterable[str | Path]) -> set[str]:
        return {os.path.realpath(path) for path in paths}

    if bound is None or real(bound) == real(index):
        return None
    known = real(load_index(bound).files)
    found = frozenset(file for file in files if os.path.realpath(file) in known)
    return None if len(found) == len(files) else found


def index_options(index: Sequence[Path]) -> str:
    """The options that name this index again; none where it is the one that is found anyway."""
    if len(index) == 1 and index[0] == local_index():
        return ""
    return "".join(f" --index {shlex.quote(str(path))}" for path in index)


def _as_path(word: str) -> str:
    """How a word that is also a path is named as one."""
    if os.path.isabs(word):
        return f"write --index {shlex.quote(word)} for the file or folder of that name"
    return f"write ./{word} for the file or folder of that name"


def select(index: Index, wanted: Sequence[str], lister: str = "zoo list") -> tuple[Variant, ...]:
    """The variants of these names, globs and collections, in the order of the index.

    Raises:
        UsageError: for each word that means no variant, with the nearest names and the ``lister``,
            the command that lists the variants of this index.
    """
    if not wanted:
        return index.variants
    chosen: set[int] = set()
    wrong: list[str] = []
    for word in wanted:
        found = [v for v in index.variants if _means(word, v)]
        chosen.update(map(id, found))
        if not found:
            names = [v.name for v in index.variants] + [c.name for c in index.collections]
            near = nearest(word, names, cutoff=0.5)
            advice = f"did you mean {' or '.join(near)}?" if near else f"{lister} shows all"
            if os.path.exists(word):
                advice = _as_path(word)
            wrong.append(f"{word!r} names no variant, collection or glob of the index; {advice}")
    if wrong:
        raise UsageError(*wrong)
    return tuple(v for v in index.variants if id(v) in chosen)


def _means(word: str, variant: Variant) -> bool:
    if word == variant.name or fnmatchcase(variant.name, word):
        return True
    return variant.collection is not None and word == variant.collection.name


def builder_of(variant: Variant, config: RunConfig) -> str:
    """Who builds a variant: the one that is asked for, else the one that its index names."""
    return config.builder or _text(variant.effective("Builder")) or config.usual_builder


def check_builders(variants: Iterable[Variant], config: RunConfig) -> None:
    """Open the builders of these variants, each once.

    Raises:
        UsageError: one is not there, or can't be used; one line for each, with its place.
    """
    from harness.measure.builders import BuilderError
    from harness.run.builder_proxy import open_builder

    places: dict[str, Claim | None] = {} if config.builder is None else {config.builder: None}
    for variant in variants:
        claim = None if config.builder else variant.effective("Builder")
        # Of one that can't be read nothing is built.
        if claim is None or claim.value is not None:
            places.setdefault(builder_of(variant, config), claim)
    wrong = []
    for name, claim in places.items():
        try:
            open_builder(name)
        except BuilderError as error:
            wrong.append(
                f"{'--builder' if claim is None else f'{claim.location}: Builder'}: {error}"
            )
    if wrong:
        raise UsageError(*wrong)


def device_here(name: str) -> torch.device:
    """The device of that name, on this machine; one that is absent is refused without torch.

    Raises:
        UsageError: there is no such device.
    """
    from harness.measure.cuda import refuse_absent
    from harness.measure.devices import DeviceError, choose_device

    try:
        refuse_absent(name)
        return choose_device(name)
    except DeviceError as error:
        raise UsageError(f"--device: {error}") from error


def shares_here(name: str) -> list[DeviceShare]:
    """The GPUs of this machine for a worker each: of ``cuda`` and ``auto`` all that are visible.

    Raises:
        UsageError: there is no such device.
    """
    from harness.measure.cuda import visible
    from harness.run.jobs import DeviceShare

    seen, of = visible() or (), name.partition(":")[2]
    if not (seen or name.startswith("cuda")):  # Torch need not be asked.
        return []
    # Its word is the last; it counts one MIG slice, where several are named.
    asked = "cuda" if of and int(of) < len(seen) else name
    if device_here(asked).type != "cuda" or not seen:
        return []
    numbers = [int(of)] if of else range(len(seen))
    return [
        DeviceShare(f"cuda:{number}", seen[number], place, len(numbers))
        for place, number in enumerate(numbers)
    ]


def check_decoding(config: RunConfig) -> None:
    """See that there is a GPU to decode on; which of them a cluster has is its own to say.

    Raises:
        UsageError: there is none, or none that models are run on.
    """
    on_cpu = config.device == "cpu"
    if on_cpu or (config.engine == "local" and not shares_here(config.device)):
        why = "--device cpu runs models elsewhere" if on_cpu else "there is no CUDA device here"
        raise UsageError(f"--decode gpu: {why}; leave it out, or write --decode fast")


def on(shares: Sequence[DeviceShare]) -> str:
    """Where models are run, as the end of a phrase; empty where it goes without saying."""
    names = ", ".join(share.name for share in shares)
    return f" on {plural(len(shares), 'GPU')} ({names})" if shares else ""


def recipe_of(variant: Variant, builder: str) -> Recipe:
    """How to rebuild and feed a variant, from what its index says of its preprocessing."""
    return Recipe(
        name=variant.name,
        builder=builder,
        image_size=_size(variant.effective("Image Size")),
        crop_pct=_number(variant.effective("Crop Pct")),
        interpolation=_text(variant.effective("Interpolation")),
        mean=_numbers(variant.effective("Mean")),
        std=_numbers(variant.effective("Std")),
        weights=_weights(variant),
        base=_text(variant.claim("Base")),
        classes=class_count(variant),
        crop_mode=_text(variant.effective("Crop Mode")),
        modules=tuple(
            path
            for field in ("Classifier", "First Conv")
            if (claim := variant.effective(field)) is not None and isinstance(claim.value, tuple)
            for path in map(str, claim.value)
        ),
    )


def overrides_of(claim: Claim) -> dict[str, Any]:
    """The fields of a recipe that a result states for itself."""
    names = {key: name for name, key in CLAIMS.items()}
    return {
        names[field]: float(value)
        if isinstance(value, Decimal)
        else tuple(map(float, value))
        if field in ("Mean", "Std") and isinstance(value, tuple)
        else value
        for field, value in claim.settings
        if value is not None
    }


def _weights(variant: Variant) -> str | None:
    """The one weights file; None where there are several, of which none is known to be it."""
    several = len(list(variant.claims_of("Weights"))) > 1
    return None if several else _text(variant.effective("Weights"))


def own_classes(variant: Variant) -> tuple[str, ...] | None:
    """The names of a variant's classes, in the order of its outputs; None for ImageNet's."""
    claim = variant.effective("Class Names")
    if claim is None or not isinstance(claim.value, tuple):
        return None
    names = tuple(map(str, claim.value))
    return None if are_of_imagenet(names) else names


def flops_size(variant: Variant, recipe: Recipe) -> Size:
    """The geometry that the variant's FLOPs speak of: FLOPs Input, else Image Size."""
    return _size(variant.effective("FLOPs Input")) or recipe.image_size or USUAL_SIZE


def _size(claim: Claim | None) -> Size | None:
    if claim is None or not isinstance(claim.value, tuple) or len(claim.value) != 2:
        return None
    height, width = claim.value
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _number(claim: Claim | None) -> float | None:
    if claim is None or not isinstance(claim.value, int | float | Decimal):
        return None
    return float(claim.value)


def _numbers(claim: Claim | None) -> tuple[float, ...] | None:
    if claim is None or not isinstance(claim.value, tuple):
        return None
    return tuple(float(v) for v in claim.value)


def _text(claim: Claim | None) -> str | None:
    return claim.value if claim is not None and isinstance(claim.value, str) else None
