"""Model cards for the Hugging Face Hub: what was measured as its metadata, the rest as its text.

The `model-index` of a card states what was measured, on how many images, and what these leave
possible; a number that is only documented stands in the text, under that name. `--index` reads the
cards back: the model-index, and the list of counts below the heading.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from pathlib import Path
from typing import Any

from harness.check.license import license_claim
from harness.docs.card_text import SIGNATURE, card_text
from harness.docs.claims import text_of
from harness.docs.folder import differs, read
from harness.docs.markdown import slug
from harness.docs.measured import Evaluated, evaluations
from harness.report.folder import FolderError, NotOurs
from harness.report.rows import found_in
from harness.types import Report, VariantReport
from zoo._util.install import install_command
from zoo._util.many_files import replace_files
from zoo._util.text import few, for_terminal, truncate, without_secrets
from zoo.index.nodes import kind_of_plain
from zoo.index.types import Variant
from zoo.known_datasets import ACCURACIES, IMAGENET_1K, known_dataset
from zoo.licenses import read_license

_EVALUATED = ".eval_results"
# A repository's name on the Hub, as far as every file system has it too.
_PLAIN = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_][\w.-]{0,94}[A-Za-z0-9_]|[A-Za-z0-9_]", re.ASCII)
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?|.*\.(?:git|ipynb)")
_MOST = 40
_CLASSIFICATION = "image-classification"
# Where the Hub has the images; of others, no dataset there is known to be the same.
_BENCHMARKS = {IMAGENET_1K: "ILSVRC/imagenet-1k"}
_TITLES = {IMAGENET_1K: "ImageNet-1k"}
_SPLITS = {IMAGENET_1K: "validation"}
_LIBRARIES = {"timm": "timm", "torchvision": "torchvision"}
# The licenses that the Hub has an identifier for; any other is `other`, with its name beside it.
_HUB_NAMES = {"pddl-1.0": "pddl", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by"}
_HUB_LICENSES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigcode-openrail-m "
    "bigscience-bloom-rail-1.0 afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause "
    "bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 "
    "cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 "
    "cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 "
    "cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 "
    "agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by "
    "odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr "
    "deepfloyd-if-license fair-noncommercial-research-license apple-ascl apple-amlr h-research "
    "intel-research llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 gemma grok2-community open-mdw "
    "unknown other"
)


class MissingHub(Exception):
    """huggingface_hub is not installed, whose classes make the cards."""


@dataclass(frozen=True, slots=True)
class ModelPage:
    """The files of one card, by their paths from the folder of all.

    Attributes:
        files: what is to be written.
        gone: what a card of ours may have had, and this one has not.
    """

    files: dict[str, str]
    gone: tuple[str, ...] = ()


@dataclass(slots=True)
class CardSet:
    """The cards of some variants, and what is missing from them, one line each."""

    cards: list[ModelPage] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class CardMaker:
    """Makes the cards of a report.

    Args:
        report: what was measured and found.
        url: where the report can be read, None where nowhere.

    Raises:
        MissingHub: huggingface_hub is not installed.
    """

    def __init__(self, report: Report, url: str | None) -> None:
        try:
            import huggingface_hub
        except ImportError as error:
            install = install_command("hub")
            raise MissingHub(f"cards are made by huggingface_hub; {install}") from error
        self._hub: Any = huggingface_hub
        self._report, self._url = report, url
        self._found = found_in(report)

    def cards(self, variants: Sequence[Variant]) -> CardSet:
        """The cards of these variants, which are the report's, in its order."""
        made, taken = CardSet(), set[str]()
        unlicensed, some = list[str](), list[str]()
        for variant, measured in zip(variants, self._report.variants, strict=True):
            folder = _folder(variant.name)
            if folder.lower() in taken:  # Some file systems take no notice of case.
                folder = _digested(f"{variant.name}\n{len(taken)}", folder)
            taken.add(folder.lower())
            seen = [(each, _title(each, variant)) for each in evaluations(measured)]
            if license_claim(variant) is None:
                unlicensed.append(variant.name)
            if not all(each.is_whole for each, _ in seen):
                some.append(variant.name)
            made.cards.append(self._card(folder, variant, measured, seen))
        if unlicensed:
            what = "no License in the index, and none on the card"
            made.remarks.append(
                f"{_some(unlicensed)}: {what}; add License: with an SPDX identifier"
            )
        if some:
            what = "some images of a dataset were counted, and the card calls it by their number"
            made.remarks.append(f"{_some(some)}: {what}; validate on all of them for the whole set")
        if not hasattr(self._hub, "EvalResultEntry"):
            what = f"huggingface_hub {self._hub.__version__} can't make {_EVALUATED}"
            made.remarks.append(f"{what}, and none is written; update it")
        if self._url is None:
            made.remarks.append("the cards name no source; write --report-url URL of the report")
        return made

    def _card(
        self,
        folder: str,
        variant: Variant,
        measured: VariantReport,
        seen: Sequence[tuple[Evaluated, str]],
    ) -> ModelPage:
        results = [self._result(each, title, k) for each, title in seen for k in (1, 5)]
        library = _LIBRARIES.get(measured.builder, "pytorch")
        classifies = bool(seen) or _classifies(variant)
        tags = [*[_CLASSIFICATION] * classifies, "pytorch", library]
        if variant.collection is not None:
            tags.append(slug(variant.collection.name))
        data = self._hub.ModelCardData(
            **_license(variant),
            library_name=library,
            pipeline_tag=_CLASSIFICATION if classifies else None,
            tags=tags,
            metrics=["accuracy"] if results else None,
            model_name=variant.name,
            eval_results=results,
        )
        body = card_text(self._report, self._url, variant, measured, seen, self._found)
        text = f"---\n{_as_yaml(data.to_dict())}---\n{body}"
        card = self._hub.ModelCard(text)  # As the Hub's own class reads it, or it raises.
        assert card.data.to_dict() == data.to_dict()
        files = {f"{folder}/README.md": text}
        name = f"{folder}/{_EVALUATED}/imagenet-1k.yaml"
        entries = [self._entry(each) for each, _ in seen if _is_benchmark(each)]
        if entries and hasattr(self._hub, "EvalResultEntry"):
            listed = self._hub.eval_result_entries_to_yaml(entries[:1])
            files[name] = f"# {SIGNATURE}\n{_as_yaml(listed)}"
        return ModelPage(files, () if name in files else (name,))

    def _result(self, seen: Evaluated, title: str, k: int) -> Any:
        """One accuracy, as a fraction, which is what the Hub's metric is."""
        low, high = seen.interval(k)
        args: dict[str, Any] = {
            "k": k,
            "images": seen.images,
            "of": seen.population,
            "interval": [floor(low * 1e4 + 1e-6) / 1e6, ceil(high * 1e4 - 1e-6) / 1e6],
            "confidence": 0.99,
        }
        if seen.precision:
            args["precision"] = seen.precision
        kind = seen.known.name if seen.known is not None else slug(title)
        return self._hub.EvalResult(
            task_type=_CLASSIFICATION,
            task_name="Image Classification",
            dataset_type=kind if seen.is_whole else f"{kind}-{seen.images}-images",
            dataset_name=title,
            dataset_config=seen.setting or None,
            dataset_split=_SPLITS.get(kind),
            metric_type="accuracy",
            metric_name=f"Top {k} Accuracy",
            metric_value=_fraction(seen, k),
            metric_args=args,
            source_name="zoo report" if self._url else None,
            source_url=self._url,
        )

    def _entry(self, seen: Evaluated) -> Any:
        assert seen.known is not None
        about = f"all of {seen.images:,} images"
        return self._hub.EvalResultEntry(
            dataset_id=_BENCHMARKS[seen.known.name],
            task_id="default",
            value=_fraction(seen, 1),
            source_url=self._url,
            source_name="zoo report" if self._url else None,
            notes="; ".join(filter(None, ("top-1 accuracy as a fraction", about, seen.precision))),
        )


def _fraction(seen: Evaluated, k: int) -> float:
    return round((seen.top1 if k == 1 else seen.top5) / 100, 6)


def _is_benchmark(seen: Evaluated) -> bool:
    known = seen.known is not None and seen.known.name in _BENCHMARKS
    return known and not seen.setting and seen.is_whole


def _title(seen: Evaluated, variant: Variant) -> str:
    """What to call the images; a name that means a whole dataset only where they are all of it."""
    if seen.known is not None:
        name = _TITLES.get(seen.known.name, seen.known.name)
    else:
        # Images of the variant's own classes have the name that its one result gives. One that
        # means a known dataset is not theirs: they would have been recognised as of it.
        named = {claim.dataset for claim in variant.claims_of(*ACCURACIES)}
        name = (len(named) == 1 and named.pop()) or ""
        name = name if name and known_dataset(name) is None else "images of no known dataset"
    about = [f"{seen.images:,} of {seen.population:,} images"] * (not seen.is_whole)
    about += [seen.setting] * bool(seen.setting)
    return f"{truncate(name, _MOST * 2)} ({', '.join(about)})" if about else name


def _classifies(variant: Variant) -> bool:
    tasks = [claim.task for claim in variant.claims] + [text_of(variant.effective("Tasks"))]
    claim = variant.effective("Tasks")
    tasks += claim.value if claim is not None and isinstance(claim.value, tuple) else ()  # type: ignore[arg-type]
    return any(str(task).lower().replace("-", " ") == "image classification" for task in tasks)


def _license(variant: Variant) -> dict[str, str]:
    """The license as the Hub names it; nothing where the index has none."""
    claim = license_claim(variant)
    if claim is None:
        return {}
    raw = without_secrets(claim.raw)
    known = read_license(raw)
    spdx = known.expression if known is not None and known.expression else raw
    plain = re.sub(r"^licenseref-|-only$|-or-later$", "", spdx.strip().lower())
    plain = _HUB_NAMES.get(plain, plain)
    if plain in _HUB_LICENSES.split():
        return {"license": plain}
    name = re.sub(r"[^a-z0-9.]+", "-", plain)[:_MOST].strip("-.") or "own"
    own = name if read_license(name) is not None else f"{name.removesuffix('-license')}-license"
    return {"license": "other", "license_name": own}


def _as_yaml(data: Any) -> str:
    """The data, with text in quotes that YAML 1.2 takes for a number, as a variant's name may be.

    The Hub's own writer goes by YAML 1.1, to which ``1e3`` and ``0o7`` are words.
    """
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        style = None if kind_of_plain(value or "~") == "text" else "'"
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    made: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return made


def _some(names: Sequence[str]) -> str:
    return for_terminal(few([truncate(name, _MOST) for name in names], 3))


# -- the files ------------------------------------------------------------------------------


def _folder(name: str) -> str:
    """The folder of a variant's card: its name where that is a repository's, else a slug of it."""
    return name if _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name) else _digested(name)


def _digested(name: str, shown: str | None = None) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{slug(name if shown is None else shown)[:_MOST].strip('-') or 'model'}-{digest}"


def write_cards(made: CardSet, folder: Path) -> list[Path]:
    """Write the files that differ from what is there, all of them or none; which these are.

    Raises:
        NotOurs: a file of that name was not written by `zoo cards`, or a link leads elsewhere.
        FolderError: a file can't be read or written.
    """
    files: dict[Path, bytes] = {}
    remove: list[Path] = []
    for card in made.cards:
        for name in (*card.files, *card.gone):
            path = folder / name
            inside = [folder / parent for parent in Path(name).parents if parent.name]
            for each in (path, *inside):
                if each.is_symlink():
                    raise NotOurs(
                        f"{each}: is a link, and cards are written beside it, not through it"
                    )
            old = read(path)
            if old is not None and SIGNATURE not in old:
                if name in card.files:
                    raise NotOurs(
                        f"{path}: was not written by zoo cards, and is left as it is; "
                        "move it away, or choose another --output"
                    )
            elif name in card.files and differs(card.files[name], old):
                files[path] = card.files[name].encode("utf-8")
            elif name not in card.files and old is not None:
                remove.append(path)
    try:
        for path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
        if files or remove:
            replace_files(files, remove)
    except OSError as error:
        raise FolderError(f"{folder}: can't write the cards: {error.strerror or error}") from error
    return [*files]
