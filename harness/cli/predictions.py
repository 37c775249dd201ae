"""`zoo predictions`, and the files that `zoo validate --predictions` writes."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from harness.check.evaluated import setting_tag
from harness.cli.options import IMAGES, command, prepared, variant
from harness.cli.output import Failure, emit, emit_json, say, wrapped
from harness.config import RunConfig, UsageError
from harness.measure.accuracy.predictions import MOST_CLASSES
from harness.report.reader import NoReader, answers_name, read_answers
from harness.report.rows import FEW_IMAGES
from harness.run.predictions import SHOWN
from zoo._util.files import replace_file
from zoo._util.text import columns, csv_text, plural
from zoo.images.io import as_text
from zoo.known_datasets import ACCURACIES, KNOWN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.run.predictions import Answered
    from harness.run.session import Session


_LONGEST = 200  # Bytes of a file's name.
_VERDICTS = {
    "different": "certainly different",
    "alike": "certainly within 0.1 points",
    "open": "more images are needed to be certain",
}


@command(*("index", "builder", "device", *IMAGES, "offline"))
def predictions(
    config: RunConfig,
    name: Annotated[str, variant("One variant that zoo validate was run on.")],
    *,
    compare: str | None,
    format: str,
) -> None:
    """No model is run: the predictions are those that zoo validate kept, for the same images and
    with the same --device, --amp, --compile and --decode.
    """
    if not config.data:
        raise UsageError("zoo predictions is given no images; name them with --data")
    file = FileAnswers.read(compare) if compare and _is_file(compare) else None
    both = (name, *filter(None, [compare if file is None else None]))
    session = prepared(replace(config, select=both, checks=("accuracy",)))
    named = [variant.name for variant in session.variants]
    if several := [each for each in both if each not in named]:
        raise UsageError(
            f"{several[0]!r} is no variant's own name; name one, such as {named[0]} (zoo list "
            "shows all)"
        )
    say(session.subject)
    session.known()
    found = {each: [a for a in answers_of(session) if a.variant == each] for each in both}
    for each in both:
        if not found[each]:
            raise Failure(f"{each}: no predictions of these images are kept{_why(session, each)}")
    import numpy as np

    shown = [_summary(answered) for answered in found[name]]
    pairs = [] if file is None else file.compared(found[name])
    for one in found[name]:
        for other in found.get(compare or "", ()):
            if one.tag == other.tag:
                count = min(len(one.predictions), len(other.predictions))
                pairs.append(_paired(one, other.variant, np.arange(count), other.right[:count, 0]))
    if format == "json":
        emit_json({"predictions": shown, "compared": pairs})
        return
    for summary in shown:
        emit("".join(f"{line}\n" for line in _lines(summary)))
    for pair in pairs:
        emit("".join(f"{line}\n" for line in _compared(pair)))


def answers_of(session: Session, *, precisions: bool = False) -> list[Answered]:
    """What the variants answered for the images of a run, by dataset, and in other precisions."""
    return [a for run in session.runs_seen for a in run.answered(precisions=precisions)]


def _why(session: Session, name: str) -> str:
    claimed = any(any(v.claims_of(*ACCURACIES)) for v in session.variants if v.name == name)
    if claimed:
        return f"; run zoo validate {name} first, with the same options"
    return (
        ", as it claims no accuracy and zoo validate evaluates what is claimed; write a Top 1 "
        "Accuracy into its entry"
    )


def _summary(answered: Answered) -> dict[str, Any]:
    """What there is to say of the predictions of one dataset, as a document has it."""
    found = answered.summary()
    shown: dict[str, Any] = {
        "variant": answered.variant,
        "dataset": found.dataset or None,
        "images": found.images,
        "top1": round(100 * found.top1 / found.images, 4),
        "top5": round(100 * found.top5 / found.images, 4),
        "unreadable": found.unreadable,
        "not_finite": found.not_finite,
        "mistakes": [
            {
                "image": each.image,
                "label": list(each.labels),
                "answered": each.answered,
                "probability": each.probability,
            }
            for each in found.mistakes
        ],
    }
    if found.by_class is not None:
        shown["worst"] = [
            {"class": each, "images": images, "right": right}
            for each, (images, right) in islice(found.by_class.items(), SHOWN)
        ]
        shown["confused"] = [
            {"label": label, "answered": answer, "images": images}
            for label, answer, images in found.confused
        ]
    return shown | {"classes": list(answered.classes or ())}


def _score(found: Mapping[str, Any], name: str) -> str:
    """A share in percent; of few images how many they are, as in reports."""
    images = found["images"]
    if images < FEW_IMAGES:
        return f"{round(found[name] * images / 100)}/{images}"
    return f"{found[name]:.2f} %"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    def called(index: int) -> str:
        return _called(index, found["classes"])

    on = f" on {found['dataset']}" if found["dataset"] else ""
    top5 = f", top-5 {_score(found, 'top5')}"
    if 0 < len(found["classes"]) <= 5:
        top5 = ""  # Always 100 %.
    yield wrapped(
        f"{found['variant']}{on}: {plural(found['images'], 'image')}, top-1 {_score(found, 'top1')}"
        f"{top5}; {found['unreadable']} could not be read, "
        f"{found['not_finite']} with logits that are no finite numbers"
    )
    if worst := [w for w in found.get("worst", ()) if w["right"] < w["images"]]:
        yield from ("", "worst classes")
        yield from columns(
            [("class", "images", "right")]
            + [(called(w["class"]), str(w["images"]), str(w["right"])) for w in worst]
        )
    if found.get("confused"):
        yield from ("", "most confused")
        yield from columns(
            [("label", "answered", "images")]
            + [
                (called(c["label"]), called(c["answered"]), str(c["images"]))
                for c in found["confused"]
            ],
            left=2,
        )
    if found["mistakes"]:
        yield from ("", "most confident mistakes")
        yield from columns(
            [("image", "label", "answered", "probability")]
            + [
                (
                    m["image"],
                    ", ".join(map(called, m["label"])),
                    called(m["answered"]),
                    f"{m['probability']:.3f}",
                )
                for m in found["mistakes"]
            ],
            left=3,
        )


def _called(index: int, own: Sequence[str]) -> str:
    from zoo.labels import imagenet_categories

    names = own or imagenet_categories()
    return f"{index} {names[index]}" if index < len(names) else str(index)


def _paired(
    one: Answered, called: str, some: NDArray[np.int64], right: NDArray[np.bool_]
) -> dict[str, Any]:
    """How two answers differ on ``some`` of the first one's images, for which both were given."""
    from harness.check.paired import difference, mcnemar

    count, own = len(some), one.right[some, 0]
    first, second, both = (int(each.sum()) for each in (own & ~right, ~own & right, own & right))
    known = KNOWN.get(one.images.dataset)
    population = max(one.images.count, known.images if known is not None else 0)
    unread = int(one.predictions.unread[some].sum())
    found = difference(population, count, first, second, unread)
    flipped = some[own != right][:SHOWN]
    return {
        "first": one.variant,
        "second": called,
        "dataset": one.images.dataset or None,
        "images": count,
        "of": population,
        "both": both,
        "only_first": first,
        "only_second": second,
        "neither": count - both - first - second,
        "points": round(100 * (first - second) / count, 4),
        "interval": [round(each, 4) for each in found.points],
        "certain": found.is_certain,
        "verdict": found.verdict,
        "mcnemar": mcnemar(first, second),
        "flipped": [one.image_set.names[one.members[n]] for n in flipped],
    }


def _is_file(word: str) -> bool:
    """Whether a word names a file of answers and no variant."""
    return word.endswith((".parquet", ".csv")) or (
        os.sep in word and (os.path.isfile(word) or os.path.isdir(word))
    )


@dataclass(frozen=True, slots=True)
class FileAnswers:
    """What a file of `write_predictions` says of images: of another version, or another machine.

    Attributes:
        path: its name.
        dataset, digest: of which images.
        best: the first class of each by its name; None where there is none.
        labels: by its name, as they are written; empty where the file has none.
    """

    path: str
    dataset: str
    digest: str
    best: Mapping[str, int | None]
    labels: Mapping[str, str]

    @classmethod
    def read(cls, path: str) -> FileAnswers:
        """The answers of a file.

        Raises:
            UsageError: it can't be read, or is no such file; one line.
        """
        why = ""
        try:
            table = read_answers(Path(path).suffix, Path(path).read_bytes())
            missing = [
                each for each in ("image", "class1", "dataset", "digest") if each not in table
            ]
            if missing:
                raise ValueError(f"it has no column {missing[0]}")
            about = {*zip(table["dataset"], table["digest"], strict=True)}
            pairs = zip(map(str, table["image"]), table["class1"], strict=True)
            best = {name: None if each in (None, "") else int(float(each)) for name, each in pairs}
            if any(each is not None and not 0 <= each < MOST_CLASSES for each in best.values()):
                raise ValueError("its classes are not all numbers of classes")
            if len(about) != 1 or len(best) < len(table["image"]):
                raise ValueError("it is not of one dataset, with each image once")
        except OSError as error:
            why = error.strerror or str(error)
        except NoReader as error:
            raise Failure(f"{path}: {error}") from error
        except (ValueError, TypeError, OverflowError, csv.Error) as error:
            why = " ".join(str(error).split())
        if why:
            raise UsageError(
                f"--compare: {path}: {why}; name a variant, or a file that zoo validate "
                "--predictions has written"
            )
        ((dataset, digest),) = about
        labels = dict(zip(best, map(str, table.get("label", ())), strict=False))
        return cls(path, str(dataset or ""), str(digest), best, labels)

    def compared(self, found: Sequence[Answered]) -> list[dict[str, Any]]:
        """How it differs from what a variant answered for the same images.

        Raises:
            Failure: it is of other images.
        """
        import numpy as np

        pairs = []
        for one in found:
            if (one.images.dataset, one.images.digest) != (self.dataset, self.digest):
                continue
            names = [as_text(one.image_set.names[n]) for n in one.members]
            self._refuse_labels(names, one.labels)
            some = np.array(
                [n for n, name in enumerate(names) if name in self.best], dtype=np.int64
            )
            best = [self.best[names[n]] for n in some]
            classes = np.array([-1 if each is None else each for each in best], dtype=np.int64)
            labels = one.labels[some].reshape(len(some), -1)
            right = ((classes[:, None] == labels) & (labels >= 0)).any(1)
            if len(some):
                pairs.append(_paired(one, self.path, some, right))
        if not pairs:
            mine = ", ".join(
                sorted({f"{a.images.dataset or 'unknown'} {a.images.digest}" for a in found})
            )
            raise Failure(
                f"--compare: {self.path}: it is of other images ({self.dataset or 'unknown'} "
                f"{self.digest}) than those given ({mine}), so nothing is compared"
            )
        return pairs

    def _refuse_labels(self, names: Sequence[str], labels: NDArray[np.int64]) -> None:
        """Compare classes by number, which is another where labels are in another order."""
        for name, label in zip(names, _label_words(labels), strict=True):
            given = self.labels.get(name, label)
            if given != label:
                raise Failure(
                    f"--compare: {self.path}: {name} is labelled {given} there and {label} here, "
                    "so nothing is compared; write the file anew with the labels of now"
                )


def _compared(pair: Mapping[str, Any]) -> Iterator[str]:
    on = f" on {pair['dataset']}" if pair["dataset"] else ""
    yield ""
    yield f"{pair['first']} and {pair['second']}{on}, {plural(pair['images'], 'image')}"
    yield from columns(
        [
            ("", f"{pair['second']} right", "wrong"),
            (f"{pair['first']} right", str(pair["both"]), str(pair["only_first"])),
            ("wrong", str(pair["only_second"]), str(pair["neither"])),
        ]
    )
    low, high = pair["interval"]
    yield wrapped(
        f"the first less the second: {pair['points']:+.2f} points; {low:+.2f} to {high:+.2f} of "
        f"all {pair['of']:,} images; McNemar's exact test: p = {pair['mcnemar']:.3g}; "
        f"{_VERDICTS[pair['verdict']]}"
    )
    if pair["flipped"]:
        yield wrapped(f"the first that only one answers right: {', '.join(pair['flipped'])}")


def _file_names(found: Sequence[Answered]) -> list[str]:
    """Of each, without its ending; no two are the same, also where letters' case is none."""
    names: list[str] = []
    for answered in found:
        tag, _, setting = answered.tag.partition(";")
        of = tag and (answered.images.dataset or tag)  # Empty for the one dataset of a run.
        words = answered.variant, of, setting, answered.precision.replace("off", "")
        name = answers_name(" ".join(filter(None, words)))
        # What is replaced, too long or written in another case may be another one's name.
        if len(name.encode()) > _LONGEST or name.lower() in map(str.lower, names):
            name = f"{name[:40]}_{hashlib.sha256(repr(words).encode()).hexdigest()[:8]}"
        names.append(name)
    return names


def write_predictions(found: Sequence[Answered], folder: Path, *, quiet: bool) -> None:
    """Write a file for each variant and dataset: Parquet, or CSV where pyarrow is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for answered, name in zip(found, _file_names(found), strict=True):
            table = _table(answered)
            if find_spec("pyarrow") is not None:
                import pyarrow as pa
                from pyarrow import parquet

                sink = pa.BufferOutputStream()
                parquet.write_table(pa.table(table), sink)
                path, data = folder / f"{name}.parquet", sink.getvalue().to_pybytes()
            else:
                rows = (
                    dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)
                )
                path, data = folder / f"{name}.csv", csv_text(list(table), rows).encode()
            replace_file(path, data)
            if not quiet:
                say(f"{path}: predictions of {plural(len(answered.predictions), 'image')}")
    except OSError as error:
        raise Failure(f"--predictions: {folder}: {error.strerror or error}") from error


def _table(answered: Answered) -> dict[str, list[Any]]:
    kept, labels, right = answered.predictions, answered.labels, answered.right
    best = kept.best(answered.images.subset)
    return {
        "image": [as_text(answered.image_set.names[n]) for n in answered.members],
        "label": _label_words(labels) if labels.ndim > 1 else labels.tolist(),
        **{f"class{rank + 1}": _or_none(best[:, rank]) for rank in range(best.shape[1])},
        "probability": [
            None if isnan(each) else round(each, 5)
            for each in kept.sureness(answered.images.subset).tolist()
        ],
        "correct": right[:, 0].tolist(),
        "correct5": right[:, 1].tolist(),
        "dataset": [answered.images.dataset] * len(kept),
        "digest": [answered.images.digest] * len(kept),
        "variant": [answered.variant] * len(kept),
        "setting": [setting_tag(answered.tag)] * len(kept),
        "precision": [answered.precision] * len(kept),
    }


def _label_words(labels: NDArray[np.int64]) -> list[str]:
    """The labels of each image, as a file has them."""
    rows = labels.reshape(len(labels), -1).tolist()
    return [" ".join(str(c) for c in row if c >= 0) for row in rows]


def _or_none(classes: NDArray[np.int64]) -> list[int | None]:
    return [None if each < 0 else each for each in classes.tolist()]
