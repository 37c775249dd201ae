"""Accuracies and speeds of two reports, compared where images, or machines, are the same."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import PurePosixPath
from typing import Any

from harness.check.decide import ERRORS, TOLERANCE, looks
from harness.check.intervals import Interval, interval
from harness.check.paired import Difference, difference, mcnemar
from harness.check.speed import HELD
from harness.diff.facts import Entry, VariantPair
from harness.report.reader import NoReader, answers_name, read_answers
from zoo.known_datasets import KNOWN

METRICS = ("top1", "top5")
_ANSWERED = ("image", "label", "class1", "correct", "correct5", "dataset", "digest")
_FLIPPED = 10
# The beginning of a file's name, of which a longer one is cut.
_SURE = 40

Answers = Mapping[str, Callable[[], bytes]]


def accuracies(pair: VariantPair, old: Answers, new: Answers) -> Iterator[dict[str, Any]]:
    """Each accuracy that changed, or whose images did, with what is certain of the difference.

    Args:
        pair: the variant.
        old: the files beside the first report that may say what was answered.
        new: those beside the second one.
    """
    before, now = _evaluations(pair.old), _evaluations(pair.new)
    for key in (key for key in now if key in before):
        was, has = before[key], now[key]
        same = bool(was["digest"]) and was["digest"] == has["digest"]
        found = _paired(pair, was, has, old, new) if same else {}
        same = same and was["images"] == has["images"]
        for metric in METRICS:
            answered = found.get(metric)
            flips = answered is not None and (answered["only_old"] or answered["only_new"])
            if was[metric] != has[metric] or flips or not same:
                yield _accuracy(metric, was, has, answered, same=same)


def _evaluations(entry: Entry) -> dict[tuple[Any, ...], Entry]:
    """By dataset, setting and precision; of a report of older days what it says of its one."""
    whole = entry["measurements"]
    listed = whole.get("evaluations")
    if listed is None and None not in (whole.get("top1"), whole.get("top5"), whole.get("images")):
        plain = {key: whole[key] for key in (*METRICS, "images")}
        listed = [{"dataset": None, "digest": "", "of": whole["images"], **plain}]
    keys = ("dataset", "setting", "precision")
    return {tuple(each.get(key) for key in keys): each for each in listed or ()}


def _accuracy(
    metric: str, was: Entry, has: Entry, answered: Mapping[str, Any] | None, *, same: bool
) -> dict[str, Any]:
    dataset = has.get("dataset")
    known = KNOWN.get(dataset or "")
    population = int(max(was["of"], has["of"], was["images"], has["images"]))
    population = max(population, known.images if known is not None else 0)
    either = [_possible(population, each, metric) for each in (was, has)]
    apart: Difference | None = None
    if answered is not None:
        apart = answered["difference"]
    elif same:
        apart = Difference(
            either[1].low - either[0].high, either[1].high - either[0].low, population
        )
    points = answered["points"] if answered else round(has[metric] - was[metric], 4)
    return {
        "dataset": dataset,
        **{key: has[key] for key in ("setting", "precision") if has.get(key)},
        "metric": metric,
        "old": was[metric],
        "new": has[metric],
        "images": {"old": was["images"], "new": has["images"], "same": same},
        "basis": "paired" if answered else "intervals" if same else "none",
        "points": None if apart is None else points,
        "interval": None if apart is None else [round(each, 4) for each in apart.points],
        "intervals": {"old": _percent(either[0]), "new": _percent(either[1])},
        "of": population,
        "verdict": "other images" if apart is None else _verdict(apart),
        **{
            key: answered[key]
            for key in ("compared", "only_old", "only_new", "mcnemar", "flipped")
            if answered is not None
        },
    }


def _possible(population: int, evaluation: Entry, metric: str) -> Interval:
    drawn = int(evaluation["images"])
    right = min(drawn, round(evaluation[metric] * drawn / 100))
    alpha = ERRORS.confirmation / len(looks(population, population)) / 2
    return interval(population, drawn, right, alpha)


def _percent(found: Interval) -> list[float]:
    return [round(100 * each / found.population, 4) for each in (found.low, found.high)]


def _verdict(apart: Difference) -> str:
    if apart.is_certain:
        return "better" if apart.low > 0 else "worse"
    most = float(TOLERANCE)
    return "alike" if -most <= apart.points[0] and apart.points[1] <= most else "open"


# -- what both answered, image by image -----------------------------------------------------


def _paired(
    pair: VariantPair, was: Entry, has: Entry, old: Answers, new: Answers
) -> dict[str, dict[str, Any]]:
    """By metric how they differ on the images that both answered; empty where that isn't known."""
    tables = []
    for entry, answers in ((was, old), (has, new)):
        table = next(_tables(pair.name, entry, answers), None)
        if table is None:
            return {}
        tables.append(table)
    before, now = tables
    shared = [name for name in now if name in before]
    if not shared or any(before[name][0] != now[name][0] for name in shared):
        return {}  # Of labels that changed, which are right is another question.
    known = KNOWN.get(has.get("dataset") or "")
    population = max(int(max(was["of"], has["of"])), known.images if known is not None else 0)
    unread = sum(before[name][3] or now[name][3] for name in shared)
    found = {}
    for place, metric in enumerate(METRICS, 1):
        only_old = [n for n in shared if before[n][place] and not now[n][place]]
        only_new = [n for n in shared if now[n][place] and not before[n][place]]
        first, second = len(only_new), len(only_old)
        found[metric] = {
            "only_old": second,
            "only_new": first,
            "compared": len(shared),
            "points": round(100 * (first - second) / len(shared), 4),
            "difference": difference(population, len(shared), first, second, unread),
            "mcnemar": mcnemar(first, second),
            "flipped": sorted((*only_old, *only_new))[:_FLIPPED],
        }
    return found


def _tables(
    name: str, evaluation: Entry, answers: Answers
) -> Iterator[dict[str, tuple[str, bool, bool, bool]]]:
    """Of each file with these answers: image -> label, right by top-1 and top-5, not read."""
    stem = answers_name(name)
    for called, read in answers.items():
        path = PurePosixPath(called)
        if not path.stem.startswith(stem[:_SURE]):
            continue
        try:
            table = read_answers(path.suffix, read())
        except (ValueError, csv.Error, NoReader):
            continue
        if all(column in table for column in _ANSWERED) and _is_of(
            table, name, evaluation, path.stem == stem
        ):
            rows = zip(*(table[column] for column in _ANSWERED[:5]), strict=True)
            yield {
                str(image): (str(label), _is_true(one), _is_true(five), best in (None, ""))
                for image, label, best, one, five in rows
            }


def _is_of(table: Mapping[str, Sequence[Any]], name: str, evaluation: Entry, named: bool) -> bool:
    """Whether a file is of that variant, those images, and that way to run them."""
    wanted: dict[str, Any] = {
        "dataset": evaluation.get("dataset") or "",
        "digest": evaluation["digest"],
    }
    if "variant" in table:
        wanted |= {"variant": name, "setting": evaluation.get("setting") or ""}
        wanted |= {"precision": evaluation["precision"]} if evaluation.get("precision") else {}
    elif not named or evaluation.get("setting") or evaluation.get("precision"):
        return False
    return all({str(v or "") for v in table[key]} == {value} for key, value in wanted.items())


def _is_true(value: object) -> bool:
    return str(value) in ("True", "true", "1")


# -- speeds ---------------------------------------------------------------------------------


def speeds(pair: VariantPair) -> Iterator[dict[str, Any]]:
    """Speeds of the same machine and setting that changed by more than repeats of either do."""
    old, new = (each["measurements"].get("speeds") or () for each in (pair.old, pair.new))
    keys = ("batch", "image_size", "setting", "environment")
    for was, has in product(old, new):
        if any(was[key] != has[key] for key in keys):
            continue
        slower = was["range"][0] / HELD > has["range"][1]
        faster = has["range"][0] / HELD > was["range"][1]
        # Beside other programs a machine gives less, which says nothing of the model.
        held_up = (has if slower else was).get("contended")
        if (slower or faster) and not held_up:
            yield {
                **{key: has[key] for key in keys},
                "old": was["images_per_second"],
                "new": has["images_per_second"],
                "ranges": {"old": was["range"], "new": has["range"]},
                "verdict": "slower" if slower else "faster",
            }
