"""Findings in the order in which a maintainer reads them, one wrong value once; what is open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.causes import CAUSES, WRITE_IMAGES
from harness.report import Options
from harness.report.sentences import label, of_whom
from harness.report.view import rank
from harness.types import Finding, Report
from zoo._util.text import plural
from zoo.index.types import Claim, Location

Claims = Mapping[Location, Claim]

# Fewer values than this, each with a story of its own, are shown one by one.
_WORTH_JOINING = 3
# What the same number may be written with in one file and without in another.
# So many values of one field and cause are compared with each other.
_COMPARED = 8
_WORD = re.compile(r"[\w./:-]*\w")
_REMEDY = re.compile(r"[\w./:,-]*\w")
_SPELLING = re.compile(r"[\s,_'\"]")


@dataclass(slots=True, eq=False)
class ReportedValue:
    """One wrong value: what is wrong with it, and where else it stands.

    Attributes:
        findings: those of one place, the worst first: several checks may see one claim.
        repeated: the same of other places, such as a README that repeats an index.
    """

    findings: list[Finding]
    repeated: list[Finding] = field(default_factory=list)

    @property
    def first(self) -> Finding:
        """The worst finding of the first place."""
        return self.findings[0]

    @property
    def all(self) -> Iterator[Finding]:
        """Those of this place, then those of the others."""
        yield from self.findings
        yield from self.repeated

    @property
    def causes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.cause for finding in self.findings if finding.cause))


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Values that belong under one heading; no variant means the index itself."""

    collection: str | None
    variant: str | None
    values: tuple[ReportedValue, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for told in self.values for finding in told.all)


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Values of one field, of one collection, that are wrong for one cause.

    Attributes:
        collection: its name; None for variants of no collection.
        values: one for each variant.
        leaders: for each of them, the first of which the same is said but for names and numbers.
        all: these are all the collection's numbers of that field.
    """

    collection: str | None
    values: tuple[ReportedValue, ...]
    leaders: tuple[ReportedValue, ...]
    all: bool

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The worst finding of each."""
        return tuple(told.first for told in self.values)

    @property
    def sentence(self) -> str | None:
        """What holds for all of them, word for word; None where that is nothing."""
        first, number = self.values[0].first, len(self.values)
        if first.rules:
            count = f"all {number}" if self.all else f"{number} of the"
            return f"{count} {first.field} of this collection are {first.rules[0]}"
        return first.message if len({told.first.message for told in self.values}) == 1 else None


@dataclass(frozen=True, slots=True)
class Layout:
    """What is shown in full, and what in a line each.

    Attributes:
        groups: values in full, by variant.
        alike: others by cause: sixteen quoted numbers are one line, and do not drown an error.
        rules: values of a collection that are wrong for one cause, which is then stated once.
        accepted: findings that a baseline accepts, where they are not shown in full.
    """

    groups: tuple[FindingGroup, ...]
    alike: tuple[tuple[Finding, ...], ...]
    rules: tuple[RuleGroup, ...] = ()
    accepted: tuple[Finding, ...] = ()

    @property
    def full(self) -> Iterator[Finding]:
        """The findings of the groups, one after the other."""
        return (finding for group in self.groups for finding in group.findings)

    @property
    def blocks(self) -> tuple[FindingGroup | RuleGroup, ...]:
        """Groups and rules, those with the worst finding first."""
        made: list[FindingGroup | RuleGroup] = [*self.groups, *self.rules]
        return tuple(sorted(made, key=lambda block: min(map(rank, block.findings))))

    def causes(self) -> tuple[str, ...]:
        """The causes of the findings in full that ask for an act, in order of appearance."""
        shown = (f for block in self.blocks for told in block.values for f in told.all)
        return tuple(dict.fromkeys(f.cause for f in shown if f.cause and f.accepted is None))


def arrange(report: Report, options: Options, *, join: bool = False) -> Layout:
    """Sort the report's findings for a reader, those that matter most first.

    With ``join``, what is one wrong value, or one cause of a collection's, is stated once, unless
    all is asked for.
    """
    join = join and not options.verbose
    collections = {variant.name: variant.collection for variant in report.variants}
    full, rest, accepted = [], [], []
    for finding in report.findings:
        if join and finding.accepted is not None:
            accepted.append(finding)
        elif _is_shown_in_full(finding, options):
            full.append(finding)
        elif (finding.severity or finding.status) in ("note", "unverified") and not options.quiet:
            rest.append(finding)
    by_cause: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in rest:
        by_cause.setdefault((label(finding), finding.cause), []).append(finding)
    # In the order of the index, the index itself first; the worst first in each.
    by_variant: dict[str | None, list[Finding]] = {name: [] for name in (None, *collections)}
    for finding in full:
        by_variant.setdefault(finding.variant, []).append(finding)
    claims = {c.location: c for v in report.variants for c in v.claims} if join else {}
    values = {
        name: list(_told_once(found, claims))
        if join
        else [ReportedValue([f]) for f in sorted(found, key=rank)]
        for name, found in by_variant.items()
    }
    rules = tuple(_by_rule(report, values.values(), collections)) if join else ()
    joined = {id(told) for rule in rules for told in rule.values}
    left = {n: tuple(t for t in told if id(t) not in joined) for n, told in values.items()}
    groups = (FindingGroup(collections.get(n or ""), n, told) for n, told in left.items() if told)
    alike = tuple(map(tuple, by_cause.values()))
    return Layout(tuple(groups), alike, rules, () if options.quiet else tuple(accepted))


def _is_shown_in_full(finding: Finding, options: Options) -> bool:
    if options.verbose:
        return True
    if finding.severity in ("error", "warning"):
        return finding.accepted is None or not options.quiet
    # What was measured and not decided has a number of its own to show.
    return finding.status == "unverified" and finding.measured is not None and not options.quiet


def _told_once(findings: Iterable[Finding], claims: Claims) -> Iterator[ReportedValue]:
    """The values that a variant's findings are about, the worst first."""
    at_place: dict[object, ReportedValue] = {}
    of_cause: dict[object, list[ReportedValue]] = {}
    made: list[ReportedValue] = []
    for finding in sorted(findings, key=rank):
        open_ = finding.status == "unverified"
        here, cause = (finding.field, finding.location, open_), (finding.field, finding.cause)
        told = None if finding.location is None else at_place.get(here)
        known = of_cause.setdefault(cause, [])
        if told is not None:
            at_first = finding.location == told.first.location
            (told.findings if at_first else told.repeated).append(finding)
        elif told := next((each for each in known if _repeats(finding, each, claims)), None):
            told.repeated.append(finding)
        else:
            told = ReportedValue([finding])
            made.append(told)
        at_place.setdefault(here, told)
        if len(known) < _COMPARED and told not in known:
            known.append(told)
    return iter(made)


def _repeats(finding: Finding, told: ReportedValue, claims: Claims) -> bool:
    """Whether it says the same value in another file, or in the same one word for word."""
    first = told.first
    here, there = finding.location, first.location
    if here is None or there is None or finding.variant is None or finding.documented is None:
        return False
    if here.file == there.file and finding.message != first.message:
        return False
    one, other = claims.get(here), claims.get(there)
    if one is None or other is None or one.step is None or other.step is None:
        return _written(finding) == _written(first)
    if (one.task, one.dataset) != (other.task, other.dataset):
        return False
    # Both are numbers: a table may have the one to fewer digits than the index.
    return bool(abs(one.value - other.value) < max(one.step, other.step))  # type: ignore[operator]


def _written(finding: Finding) -> str:
    return _SPELLING.sub("", (finding.documented or "").lower())


def _by_rule(
    report: Report, values: Iterable[Iterable[ReportedValue]], collections: Mapping[str, str | None]
) -> Iterator[RuleGroup]:
    groups: dict[tuple[object, ...], list[ReportedValue]] = {}
    for told in (each for of_variant in values for each in of_variant):
        first = told.first
        if first.variant is not None:
            labels = tuple(map(label, told.findings))
            rule = first.rules[0] if first.rules else None
            kind = (collections.get(first.variant), first.field, told.causes, labels, rule)
            groups.setdefault(kind, []).append(told)
    total = Counter((collections.get(f.variant or ""), f.field) for f in report.findings)
    for found in groups.values():
        if len(found) > 1:
            stories: dict[object, ReportedValue] = {}
            leaders = [stories.setdefault(_story(told, collections), told) for told in found]
            if len(found) >= _WORTH_JOINING or len(stories) == 1:
                about = (collections.get(found[0].first.variant or ""), found[0].first.field)
                whole = sum(1 + len(told.repeated) for told in found) == total[about]
                yield RuleGroup(about[0], tuple(found), tuple(leaders), whole)


def _story(told: ReportedValue, names: Container[str]) -> object:
    """What is said of a value, but for names and numbers."""
    if told.first.rules:
        return told.first.rules[0]

    def masked(word: re.Match[str]) -> str:
        return "#" if word[0] in names or any(map(str.isdigit, word[0])) else word[0]

    def story(finding: Finding) -> str:
        # What to do is told again where it differs in more than the values beside it.
        what, mark, remedy = finding.message.rpartition("; ")
        shown = {_written(finding), str(finding.measured), finding.variant}

        def known(word: re.Match[str]) -> str:
            return "#" if _SPELLING.sub("", word[0].lower()) in shown else word[0]

        return f"{_WORD.sub(masked, what)}{mark}{_REMEDY.sub(known, remedy)}"

    return tuple(map(story, told.findings))


# -- what could not be checked: for which reasons, and the command that would check it --------

# How a message begins that says why a fact is missing.
_BEGINNING = re.compile(r"(?:no weights to evaluate|not \w+): ")
# What a message says -> the options that are in the way, and those that would help.
_WEIGHTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("--offline", ("offline",), ()),
    ("was not downloaded", ("no-download", "headers"), ()),
    ("--max-bytes", ("max-bytes",), ("--max-bytes", "N")),
    ("--allow-http", (), ("--allow-http",)),
    ("--any-host", ("public-hosts-only",), ("--any-host",)),
    ("--allow-local", (), ("--allow-local",)),
)
# Of images: the options in the way, those that would help, and with what.
_CLAIMED = "where DIR holds images of the dataset that is claimed"
_IMAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "accuracy.no-data": (("data", "samples", "budget"), ("--data", "DIR"), _CLAIMED),
    "accuracy.other-dataset": ((), ("--data", "DIR"), _CLAIMED),
    "accuracy.undecided": (
        ("data", "samples", "budget"),
        ("--data", "DIR"),
        "where DIR holds the whole validation set",
    ),
    "accuracy.unknown-dataset": (("dataset",), ("--dataset", "NAME"), "if the images are of it"),
}
# The options that a message says to state a dataset by, one for each --data.
_STATED = re.compile(r"\bsay ((?:--dataset [\w.-]+ ?)+)if ")


@dataclass(frozen=True, slots=True)
class Reason:
    """Claims that could not be checked for one reason.

    Attributes:
        findings: theirs.
        why: what was missing, in the words of most of them.
        remedy: the command that would check them, or else what would.
    """

    findings: tuple[Finding, ...]
    why: str
    remedy: str

    @property
    def about(self) -> str:
        """Which claims, of how many variants, and the cause."""
        causes = dict.fromkeys(f.cause for f in self.findings if f.cause)
        return f"{of_whom(self.findings)} ({', '.join(causes)})"


def reasons(report: Report, options: Options) -> list[Reason]:
    """Why claims could not be checked, the reason of most claims first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in report.findings:
        if finding.status == "unverified" and finding.accepted is None and not finding.severity:
            groups.setdefault(_kind(finding), []).append(finding)
    # Where files can't be had either, images alone would not do.
    missing = {way: None for kind in groups for way in _in_the_way(kind)}
    made = [_reason(found, options, tuple(missing)) for found in groups.values()]
    return sorted(made, key=lambda reason: -len(reason.findings))


def in_a_line(report: Report, options: Options) -> str | None:
    """All of them in one line; None where all was checked."""
    found = reasons(report, options)
    if not found:
        return None
    each = (f"{len(r.findings)} {r.about}: {r.why}; {r.remedy}" for r in found)
    return f"{sum(len(r.findings) for r in found)} not checked: {'. '.join(each)}"


def _kind(finding: Finding) -> tuple[str, ...]:
    """What findings of one reason have in common."""
    cause = finding.cause or finding.check
    if WRITE_IMAGES in finding.message:
        return (cause, WRITE_IMAGES)
    if _is_of_files(cause) or _is_weightless(finding):
        return (cause, next((w for w, *_ in _WEIGHTS if w in finding.message), ""))
    return (cause,)


def _is_of_files(cause: str) -> bool:
    """Whether it says why a file could not be had."""
    return cause in ("weights.unreachable", "weights.insecure-url")


def _is_weightless(finding: Finding) -> bool:
    """Whether images would not help."""
    return finding.cause == "accuracy.no-data" and finding.message.startswith("no weights")


def _in_the_way(kind: Sequence[str]) -> tuple[str, ...]:
    """The options that keep files away, for one reason why they could not be had."""
    if not _is_of_files(kind[0]):
        return ()
    return next((without for word, without, _ in _WEIGHTS if word in kind[1:]), ())


def _reason(findings: Sequence[Finding], options: Options, missing: tuple[str, ...]) -> Reason:
    counts = Counter(_BEGINNING.sub("", finding.message, count=1) for finding in findings)
    (common, _), *others = counts.most_common()
    more = f" (and {plural(len(others), 'other reason')})" if others else ""
    return Reason(tuple(findings), common + more, _remedy(findings, options, missing))


def _remedy(findings: Sequence[Finding], options: Options, missing: tuple[str, ...]) -> str:
    finding = findings[0]
    cause = finding.cause or ""
    if WRITE_IMAGES in finding.message:
        return f"to check: write it, then {options.again((), ())}"
    if cause in _IMAGES and not _is_weightless(finding):
        without, more, where = _IMAGES[cause]
        stated = list(dict.fromkeys(each for f in findings for each in _STATED.findall(f.message)))
        if stated:
            more = tuple(stated[0].split())
            where += ", and others with --dataset of theirs" * bool(stated[1:])
        return f"to check: {options.again((*without, *missing), more)}, {where}"
    if _is_of_files(cause) or cause in _IMAGES:
        found = ((without, more) for word, without, more in _WEIGHTS if word in finding.message)
        without, more = next(found, ((), ()))
        when = "Weights names a file that holds them" if cause in _IMAGES else "it can be reached"
        later = "" if without or more else f", once {when}"
        return f"to check: {options.again(without, more)}{later}"
    again = options.again((), ("--checks", "speed") if cause.startswith("speed.") else ())
    if cause == "weights.not-installed":
        return f"to check: install what is named, then {again}"
    if cause == "layers.not-defined":
        return "nothing can check it: the claim stays as it is"
    remedy = CAUSES[cause].remedy.rstrip(".") if cause in CAUSES else "mend what is named"
    return f"to check: {remedy[0].lower()}{remedy[1:]}, then {again}"
