"""One page per collection: what it is, how to use it, what is claimed of it, how to cite it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from harness.docs import claims
from harness.docs.claims import bibtex, paper, text_of
from harness.docs.markdown import Markdown, code, escaped, fenced, link, paragraphs, slug
from harness.edit.markdown_block import Blocks, NoBlock
from harness.report.folder import DOCUMENT
from harness.report.reader import MOST_BYTES, UnusableReport, document_of
from zoo._util.files import open_regular
from zoo._util.text import plural, truncate
from zoo.index.types import Collection, Index, Variant

_FILE_NAME = re.compile(r"\w[\w.-]*")
_PACKAGE = re.compile(r"(?i:package)://([\w.]+)/")

SIGNATURE = "<!-- Written by `zoo docs`"

# Of a folder that `zoo report` writes.
_PLOT = "pareto-macs.svg"
_TABLES = {"comparison.md": "the comparison", "index.html": "the whole report"}


class NameTaken(ValueError):
    """Two collections would be written to the same file; ``lines`` say which."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """The page of a collection: its file's name, its Markdown, and what is missing from it."""

    name: str
    text: str
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class Pages:
    """All pages of an index, and what of the index is on none of them, one line each."""

    pages: list[CollectionPage] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def pages(index: Index, reports: Path, output: Path) -> Pages:
    """The pages of all collections that have a variant, whose links start at the folder ``output``.

    They link to the folder of reports, if there is one.

    Raises:
        NameTaken: the names of two collections make the same file name.
    """
    made = Pages()
    members: dict[tuple[str, object], list[Variant]] = {}
    alone = 0
    for variant in index.variants:
        if variant.collection is None:
            alone += 1
        else:
            members.setdefault(_identity(variant.collection), []).append(variant)
    if alone:
        made.remarks.append(
            f"{plural(alone, 'variant')} in no collection: a page is a collection's; "
            "name one as In Collection"
        )
    chosen = [each for each in index.collections if _identity(each) in members]
    made.remarks += [
        f"{each.location}: collection {each.name!r} has no variant, and so no page"
        for each in index.collections
        if _identity(each) not in members
    ]
    _check_names(chosen)
    blocks, template, links = Blocks(index), _template(), _ReportLinks(reports, output)
    for collection in chosen:
        variants, remarks = members[_identity(collection)], list[str]()
        text = template(_values(collection, variants, links, blocks, remarks))
        made.pages.append(CollectionPage(_file_name(collection), text, tuple(remarks)))
    return made


def _file_name(collection: Collection) -> str:
    return f"{slug(collection.name)}.md"


def _identity(collection: Collection) -> tuple[str, object]:
    return collection.name, collection.location


def _check_names(collections: Sequence[Collection]) -> None:
    first: dict[str, Collection] = {}
    lines = []
    for collection in collections:
        name = _file_name(collection)
        known = first.setdefault(name, collection)
        if known is not collection:
            lines.append(
                f"{collection.location}: collection {collection.name!r} would be written to "
                f"{name}, as {known.name!r} at {known.location} is; rename one of them"
            )
    if lines:
        raise NameTaken(lines)


def _template() -> Callable[..., str]:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # for HTML; `finalize` escapes, as Markdown asks for
        finalize=escaped,
    )
    template: Template = environment.get_template("collection.md.j2")
    return template.render


def _values(
    collection: Collection,
    variants: Sequence[Variant],
    links: _ReportLinks,
    blocks: Blocks,
    remarks: list[str],
) -> dict[str, Any]:
    """What the template is filled with; plain text in it is escaped where it is put."""
    place = collection.location
    try:
        block: Markdown | None = Markdown(blocks.block(collection, variants))
    except NoBlock as error:
        block = None
        remarks.append(f"{place}: collection {collection.name!r}: no model-index block: {error}")
    described = text_of(collection.claim("Description"))
    if described is None:
        remarks.append(f"{place}: collection {collection.name!r}: no Description: add one to it")
    entry = bibtex(collection.claim, collection.name)
    if entry is None:
        remarks.append(f"{place}: collection {collection.name!r}: no Citation: add one to it")
    remarks += [
        f"{claim.location}: {claim.field} is {truncate(claim.raw)}, which can't be right, and the "
        f"page says so; zoo audit --index {shlex.quote(claim.location.file)} says what would be"
        for claim in dict.fromkeys(claims.unusable(variants))
    ]
    title, url = paper(collection.claim)
    return {
        "signature": Markdown(_signature(place.file)),
        "name": truncate(collection.name),
        "description": None if described is None else paragraphs(described),
        "count": plural(len(variants), "variant"),
        "facts": list(_facts(variants)),
        "code": claims.common_code(variants),
        "paper": None if url is None else link(title or url, url),
        "title": title,
        "table": claims.comparison(variants),
        "recipe": claims.recipe(variants),
        "example": _example(variants),
        "adapted": _adapted(variants),
        "others": claims.some([v.name for v in variants if not is_native(v)]),
        "reports": links(collection, variants),
        "citation": None if entry is None else fenced(entry, "bibtex"),
        "made_up": collection.claim("Citation") is None,
        "block": block,
    }


def _signature(file: str) -> str:
    """The first line; only the file's own name, as its folder differs between machines."""
    name = PurePath(file).name
    source = name if _FILE_NAME.fullmatch(name) and "--" not in name else "a model-index"
    return f"{SIGNATURE} from {source}: change that file, and run `zoo docs` again. -->"


def _facts(variants: Sequence[Variant]) -> Iterator[str]:
    for key in ("Tasks", "Training Data", "Architecture"):
        raw = claims.shared(variants, key)
        if raw is not None:
            yield f"{key}: {truncate(raw)}"


def is_native(variant: Variant) -> bool:
    """Whether `zoo.create_model` builds this variant and loads the weights that are documented.

    The library builds what its own sources declare and loads what its own index names, so that its
    calls are shown for these variants alone: for those of another zoo they would fail, or give
    another zoo's weights.
    """
    from zoo.errors import UnknownModelError
    from zoo.preprocessing import package_variant
    from zoo.registry import is_model

    weights = variant.effective("Weights")
    if weights is None or weights.value is None or not is_model(variant.name):
        return False
    try:
        own = package_variant(variant.name).effective("Weights")
    except UnknownModelError:
        return False
    return own is not None and own.raw == weights.raw


def _example(variants: Sequence[Variant]) -> Mapping[str, Any] | None:
    """The smallest variant that the library builds, with what the snippets say of it."""
    native = [variant for variant in variants if is_native(variant)]
    if not native:
        return None
    variant = min(native, key=claims.parameters)
    weights = variant.effective("Weights")
    package = _PACKAGE.match(weights.raw) if weights is not None else None
    size, epochs = variant.effective("Image Size"), variant.effective("Epochs")
    pixels = size.value if size is not None else None
    return {
        "name": Markdown(variant.name),
        "span": code(variant.name),
        "package": None if package is None else code(package[1].partition(".")[0]),
        "pixels": Markdown(", ".join(map(str, pixels))) if isinstance(pixels, tuple) else None,
        "epochs": None if epochs is None else epochs.value,
    }


def _adapted(variants: Sequence[Variant]) -> Mapping[str, Any] | None:
    """A variant of another index that the commands build: one with a base of this package.

    Its name and its index's stand in a command as they are, so that only plain ones will do.
    """
    from zoo.registry import is_model
    from zoo.variants import base_name

    for variant in sorted(variants, key=claims.parameters):
        base, index = base_name(variant), PurePath(variant.location.file).name
        plain = _FILE_NAME.fullmatch(variant.name) and _FILE_NAME.fullmatch(index)
        if plain and base != variant.name and is_model(base) and variant.claim("Weights"):
            return {
                "name": Markdown(variant.name),
                "span": code(variant.name),
                "base": code(base),
                "index": Markdown(index),
                "file": code(index),
            }
    return None


class _ReportLinks:
    """Links from pages to the report of a run, where it covers the same variants."""

    def __init__(self, reports: Path, output: Path) -> None:
        self._folder = reports
        self._output = output
        self._reported = _reported(reports / DOCUMENT)

    def __call__(self, collection: Collection, variants: Sequence[Variant]) -> dict[str, object]:
        """Relative links to the measurements of a collection, and to a plot of them.

        A report that lacks any of these variants is another zoo's, or an old one, and is not
        linked.

        Returns:
            ``tables``: links, and ``plot``: an image, or None.
        """
        if not {(variant.name, collection.name) for variant in variants} <= self._reported:
            return {"tables": [], "plot": None}
        targets = {name: self._target(name) for name in (*_TABLES, _PLOT)}
        plot = targets.pop(_PLOT)
        alternative = "Accuracy against multiply-accumulates, measured where it could be"
        return {
            "tables": [link(_TABLES[name], path) for name, path in targets.items() if path],
            "plot": plot and Markdown(f"![{alternative}](<{plot}>)"),
        }

    def _target(self, name: str) -> str | None:
        if not (self._folder / name).is_file():
            return None
        return quote(Path(os.path.relpath(self._folder / name, self._output)).as_posix())


def _reported(path: Path) -> set[tuple[object, object]]:
    """Name and collection of each variant of a report; nothing where it can't be read."""
    try:
        with open_regular(path) as file:
            document = document_of(file.read(MOST_BYTES + 1))
        return {(each["name"], each["collection"]) for each in document["variants"]}
    except (OSError, UnusableReport, TypeError, KeyError):
        return set()
