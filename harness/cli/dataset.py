"""`zoo dataset`: what a folder, an archive or shards are, and what to pass for them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import command
from harness.cli.output import emit, emit_json, wrapped
from harness.config import RunConfig, UsageError
from zoo._util.text import foreign, plural
from zoo.images.io import is_image
from zoo.known_datasets import KNOWN

if TYPE_CHECKING:
    from harness.datasets import ImageSet
    from harness.datasets.describe import Description

# So many names are shown of each kind of trouble.
_SHOWN = 5


@command()
def dataset(
    config: RunConfig,
    place: Annotated[
        str,
        typer.Argument(metavar="PATH", help="As --data takes it: a folder, an archive, shards."),
    ],
    *,
    format: str,
) -> None:
    """It looks at what every image's file begins with, and reads those whole that may be the same.
    A dataset is recognised by the names of its images and by counts, see docs/accuracy.md.
    """
    from harness.datasets import ImageSetError
    from harness.datasets.describe import describe

    try:
        found = describe(place)
    except ImageSetError as error:
        raise UsageError(str(error)) from error
    if format == "json":
        emit_json(found.document() | {"pass": _pass(found, place)})
        return
    rows = list(_rows(found, place))
    wide = max(len(head) for head, _ in rows)
    for head, text in rows:
        emit(wrapped(f"{head:<{wide}}  {text}", indent=wide + 2) + "\n")


def _rows(found: Description, place: str) -> Iterator[tuple[str, str]]:
    images, known, identity = found.images, found.known, found.identity
    yield "form", f"{images.form}, {foreign(images.where)}"
    if identity is None:
        yield "dataset", "of classes of its own, which are not ImageNet's"
    elif known is not None:
        yield "dataset", f"{known.name}, {known.title}: the images {identity.evidence}"
        yield "label rule", known.labels
        yield "source", known.source
    elif identity.family or identity.other:
        one = f"one of {identity.family}'s, nothing says which" if identity.family else ""
        yield "dataset", f"{one or identity.other}: the images {identity.evidence}"
    else:
        yield "dataset", f"not recognised: the images {identity.evidence}"
    of = "" if known is None or known.images == len(images) else f" of {known.images:,}"
    yield "images", f"{len(images):,}{of}"
    yield "classes", _per_class(found)
    yield "digest", f"{images.digest} (of names and sizes)"
    for head, names in (
        ("unreadable", [f"{name} ({why})" for name, why in found.unreadable]),
        (
            "duplicates",
            [" = ".join([*names[:2], *["..."][: len(names) - 2]]) for names in found.duplicates],
        ),
        ("missing", [f"{name}, which is labelled" for name in images.missing]),
        ("left out", [f"{name}, {_why_left(images, name)}" for name in images.ignored]),
    ):
        yield head, _listed(names)
    for wrong in found.labels:
        yield "labels", wrong
    yield "pass", _pass(found, place)


def _why_left(images: ImageSet, name: str) -> str:
    if Path(images.where).expanduser().joinpath(name).is_dir():
        return "a folder, which is not looked into"
    return "which is in no class folder" if is_image(name) else "which is no image by its name"


def _per_class(found: Description) -> str:
    counts = found.classes
    least, most = min(counts.values()), max(counts.values())
    if least == most:
        return f"{len(counts):,}, {plural(most, 'image')} in each"
    named = {number: name for name, number in counts.items()}
    return (
        f"{len(counts):,}, {least:,} to {most:,} images in each (fewest in {named[least]}, most in "
        f"{named[most]})"
    )


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    more = f"; and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{len(names):,}: {'; '.join(map(foreign, names[:_SHOWN]))}{more}"


def _pass(found: Description, place: str) -> str:
    """The options that give these images to zoo verify."""
    options, identity = f"--data {shlex.quote(place)}", found.identity
    if identity is None:
        return f"{options}, to a variant with these Class Names"
    if found.known is not None or identity.other:
        return options
    names = [
        known.name
        for known in KNOWN.values()
        if not known.images_of and not identity.contradicts(found.images, known)
    ]
    return f"{options} --dataset NAME, if you know which they are: {', '.join(names)}"
