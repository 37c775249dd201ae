"""The documented index, corrupted one field at a time: each corruption has to be reported.

A corruption is an edit of one value in the text of the file; every other byte stays. It counts as
reported when a finding stands at its line, on its variant (or its new name) and field, that the
uncorrupted index does not have.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

import pytest
from index_sites import Site, edited, sites_of

from harness.config import RunConfig
from harness.run.progress import Progress
from harness.run.session import prepare
from harness.types import Finding, Report

SEED = 20200419
Key = tuple[str | None, str, int, str | None, str | None]
Corruption = tuple[Site, str]


class Bench:
    """Verifies texts as the command does, in this process; facts are measured once.

    A text has one wrong value for each of several variants, since to verify eight variants takes
    as long whether one of them is wrong or all; what such a text hides is tried again by itself.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.text = text
        self.sites = sites_of(text)
        self.tried = 0
        self.baseline = self.report(text)
        self.known = {key_of(f) for f in self.baseline.findings if f.status == "mismatch"}

    def report(self, text: str) -> Report:
        path = self.folder / "resnest.yml"
        path.write_text(text, encoding="utf-8")
        report = prepare(RunConfig(index=(path,), offline=True)).verify(Progress())
        assert report.cut_short is None
        return report

    def new_findings(self, corruptions: Iterable[Corruption]) -> list[Finding]:
        """What is wrong with the text so corrupted and not with the original."""
        text = self.text
        for site, value in corruptions:
            text = edited(text, site, value)
        found = [f for f in self.report(text).findings if f.status == "mismatch"]
        return [f for f in found if key_of(f) not in self.known]

    def at(self, field: str) -> list[Site]:
        return [s for s in self.sites if s.variant is not None and s.field == field]


def at(finding: Finding) -> tuple[str, int | None]:
    return finding.field, finding.location and finding.location.line


def key_of(finding: Finding) -> Key:
    assert finding.location is not None
    line = finding.location.line
    return (finding.variant, finding.field, line, finding.cause, finding.documented)


@pytest.fixture(scope="module")
def bench(seed_index, tmp_path_factory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("mutation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        yield Bench(folder, seed_index.read_text(encoding="utf-8"))


@pytest.fixture
def dice(request) -> random.Random:
    return random.Random(f"{SEED} {request.node.name}")


def together(corruptions: Sequence[Corruption]) -> Iterator[list[Corruption]]:
    """Groups of corruptions, no two of which are of one variant."""
    queues: dict[str | None, list[Corruption]] = {}
    for corruption in corruptions:
        queues.setdefault(corruption[0].variant, []).append(corruption)
    yield from ([c for c in group if c] for group in zip_longest(*queues.values()))


def silent(
    bench: Bench,
    corruptions: Sequence[Corruption],
    stands: Callable[[Finding, Site, str], bool],
    *,
    alone: bool = False,
) -> list[str]:
    """The corruptions that no new finding stands for, one line each."""
    lines, hidden = [], [*corruptions] if alone else []
    for group in () if alone else together(corruptions):
        found = bench.new_findings(group)
        hidden += [(s, v) for s, v in group if not any(stands(f, s, v) for f in found)]
    for site, value in hidden:
        found = bench.new_findings([(site, value)])
        if not any(stands(f, site, value) for f in found):
            said = [(f.variant, f.field, f.cause) for f in found]
            lines.append(f"{site.label}: {site.text} -> {value}: {said}")
    bench.tried += len(corruptions)
    return lines


def missed(
    bench: Bench,
    corruptions: Sequence[Corruption],
    *,
    causes: tuple[str, ...] = (),
    renamed: bool = False,
    alone: bool = False,
) -> list[str]:
    """The corruptions without a finding of these causes on their own line."""

    def stands(found: Finding, site: Site, value: str) -> bool:
        whose = found.variant in ({site.variant, value} if renamed else {site.variant})
        right = not causes or found.cause in causes
        return whose and right and at(found) == (site.field, site.line)

    return silent(bench, corruptions, stands, alone=alone)


def step_of(text: str) -> int:
    """One unit of the last digit that a count claims: its trailing zeros claim nothing."""
    return 10 ** (len(text) - len(text.rstrip("0")))


def other_count(dice: random.Random, text: str, digits: int) -> str:
    """A count that differs by more than both claim, near by or far off, of that many digits."""
    old = int(text)
    while True:
        scale = dice.choice([1e-3, 1e-2, 0.1, 0.5, 2])
        new = max(1, round(old * (1 + scale * dice.uniform(-0.45, 1))))
        if dice.random() < 0.2:
            new = old + dice.choice([-1, 1]) * dice.choice([2, 10, 100]) * step_of(text)
        new = int(round(new, digits - len(str(new))))
        beyond = new > 0 and abs(new - old) >= step_of(text) + step_of(str(new))
        # A row of nines is what int() leaves of a rounded number: another value is meant.
        if beyond and not str(new).endswith("9999"):
            return str(new)


def test_the_documented_index_has_the_known_findings_and_no_other(bench):
    found = Counter(
        (f.severity, f.cause, f.variant if f.severity == "error" else None, f.field)
        for f in bench.baseline.findings
        if f.status == "mismatch"
    )
    assert found == {
        ("error", "weights.shared-url", "resnest200e", "Weights"): 1,
        ("error", "size.shared", "resnest200e", "File Size"): 1,
        ("error", "size.impossible", "resnest200e", "File Size"): 1,
        ("warning", "weights.name-mismatch", None, "Weights"): 1,
        ("warning", "flops.input-geometry", None, "FLOPs"): 8,
        ("note", "schema.quoted-number", None, "Crop Pct"): 8,
        ("note", "schema.quoted-number", None, "Image Size"): 8,
        ("note", "license.missing", None, "License"): 1,
        ("note", "links.site-gone", None, "Paper.URL"): 1,
    }
    matches = Counter(f.field for f in bench.baseline.findings if f.status == "match")
    assert matches["Parameters"] == matches["Layers"] == 8
    # Of the size that two of them document, it is said as well whose it is.
    assert matches["File Size"] == 7 + 1
    assert sorted(matches) == ["File Size", "Layers", "Parameters", "Weights"]


def test_the_sites_are_all_values_of_the_file(bench):
    import yaml

    def scalars(node):
        if isinstance(node, yaml.ScalarNode):
            return 1
        inner = node.value if isinstance(node, yaml.SequenceNode) else [v for _, v in node.value]
        return sum(map(scalars, inner))

    assert len(bench.sites) == scalars(yaml.compose(bench.text))


@pytest.mark.parametrize(
    ("field", "cause"), [("Parameters", "parameters.differs"), ("FLOPs", "flops.differs")]
)
def test_another_count(field, cause, bench, dice):
    sites = bench.at(field)
    # Of few digits another FLOP count would be the coarser claim of some other convention.
    lengths = [7, 8, 9] if field == "FLOPs" else [3, 5, 9]
    corruptions = [
        (site, other_count(dice, site.text, dice.choice(lengths)))
        for site in sites
        for _ in range(6)
    ]
    assert missed(bench, corruptions, causes=(cause,)) == []


def test_another_depth(bench, dice):
    corruptions = [
        (site, str(value))
        for site in bench.at("Layers")
        for value in {1, int(site.text) - 1, int(site.text) + 1, 10 * int(site.text), 152}
    ]
    assert missed(bench, corruptions, causes=("layers.differs",)) == []


def test_a_file_size_that_is_possible_for_no_such_file(bench, dice):
    parameters = {site.variant: int(site.text) for site in bench.at("Parameters")}
    corruptions = []
    for site in bench.at("File Size"):
        for low, high in ((0.01, 0.45), (0.6, 0.95), (1.05, 1.5), (2, 20)):
            size = int(4 * parameters[site.variant] * dice.uniform(low, high))
            corruptions += [(site, str(size)), (site, f"{size / 1e6:.2f} MB")]
    causes = ("size.impossible", "size.larger")
    assert missed(bench, corruptions, causes=causes) == []


def test_a_weights_url_of_another_variant(bench):
    sites = bench.at("Weights")
    corruptions = [
        (site, other.text) for site in sites for other in sites if other.text != site.text
    ]
    assert len(corruptions) > 50
    assert missed(bench, corruptions, causes=("weights.shared-url",), alone=True) == []


def misspelt(dice: random.Random, name: str) -> str:
    i = dice.randrange(len(name))
    kind = dice.randrange(3)
    letter = dice.choice("abcdefghijklmnopqrstuvwxyz0123456789_")
    if kind == 0:
        return name[:i] + name[i + 1 :]
    if kind == 1:
        return name[:i] + letter + name[i:]
    return name[:i] + letter + name[i + 1 :]


def test_a_misspelt_name(bench, dice):
    names = {site.text for site in bench.at("Name")}
    corruptions = [
        (site, new)
        for site in bench.at("Name")
        for new in {misspelt(dice, site.text) for _ in range(8)}
        if new not in names and not new[0].isdigit()
    ]
    assert len(corruptions) > 40
    assert missed(bench, corruptions, causes=("build.unknown",), renamed=True) == []


def test_a_name_that_another_entry_has(bench, dice):
    """Which entry is the copy can't be told: the later one is reported."""
    sites = bench.at("Name")
    # Another input would have to be measured first.
    sizes = {site.variant: site.text for site in bench.at("Image Size")}
    usual = [site for site in sites if sizes[site.variant] == "'224'"]
    unreported = []
    for site in usual:
        other = dice.choice([s for s in usual if s is not site])
        found = bench.new_findings([(site, other.text)])
        later = ("Name", max(site.line, other.line))
        if ("schema.duplicate-name", other.text, later) not in [
            (f.cause, f.variant, at(f)) for f in found
        ]:
            unreported.append(f"{site.text} -> {other.text}: {found}")
    assert unreported == []


def test_a_name_of_another_model(bench, dice):
    """The builder has it, so that the numbers are another model's, which is said of Parameters.

    What else differs then is open: the other numbers may be right for the model that was meant.
    """
    found = bench.new_findings([(dice.choice(bench.at("Name")), "efficientnet_lite0")])
    wrong = {f.field: f.severity for f in found if f.variant == "efficientnet_lite0"}
    assert wrong["Parameters"] == "error"


# What no value of the kind can be. `null` and the empty value come with every kind.
_NO_TEXT = ("12", "-3.5", "true", "[a, b]", "{a: b}", "''", "'   '", "!!python/name:os.system x")
_NO_NUMBER = ("many", "'12 kg'", "12 kg", "true", "[1, 2]", "{a: 1}", "0x1F", "1:30", "0224", "1-2")
_NO_COUNT = (*_NO_NUMBER, "-5", "0", "1.5", ".nan", "nan", "-.inf", ".inf", "1e40", "50%", "--7")
_NO_SHARE = (*_NO_NUMBER, "-0.1", "1.5", "87.5", ".nan", "inf", "12%")
_NO_LINK = (
    "true",
    "12",
    "[a]",
    "{a: b}",
    "''",
    "no link",
    "javascript:alert(1)",
    "http://",
    "ftp:x",
)
WRONG: dict[str, tuple[str, ...]] = {
    "FLOPs": (*_NO_COUNT, "5 GB", "6937106336 px"),
    "Parameters": (*_NO_COUNT, "27 MB", "27.48 Mio"),
    "File Size": (*_NO_COUNT, "12 px", "110 M"),
    "Layers": (*_NO_COUNT, "50K", "100001"),
    "Epochs": (*_NO_COUNT, "270 epochs", "1e7"),
    "Batch Size": (*_NO_COUNT, "1e8"),
    "LR": (*_NO_NUMBER, "-0.1", "0", "1000", ".nan", "0.1%"),
    "Dropout": (*_NO_SHARE, "1"),
    "Momentum": (*_NO_SHARE, "1"),
    # Up to 2: an input may be larger than the resized image, and is padded then.
    "Crop Pct": (*(v for v in _NO_SHARE if v != "1.5"), "2.5", "0", "'8.75'", "'0'", "'big'"),
    "Weight Decay": (*_NO_NUMBER, "-0.0001", "2", ".inf"),
    "Image Size": (*_NO_COUNT, "7", "99999", "224x", "224x0", "'0'", "224 cm", "[224, 1]", "1x2x3"),
    "Interpolation": ("bicubik", "linear", "12", "true", "[bilinear]", "{a: b}", "''"),
    "Top 1 Accuracy": (*_NO_NUMBER, "103%", "-1%", "0%", "nan%", "80 GB", ".nan", "8096"),
    "Top 5 Accuracy": (*_NO_NUMBER, "100.1%", "-1%", "0", "nan", "95.38 px", "95..3%", "10%"),
    "Code": _NO_LINK,
    "URL": _NO_LINK,
    "Weights": (*_NO_LINK, "https://", "git@example.org:a.pth"),
    "In Collection": (*_NO_TEXT, "ResNest", "Other"),
    "Name": _NO_TEXT,
    "ID": _NO_TEXT,
    "Title": _NO_TEXT,
    "Task": _NO_TEXT,
    "Dataset": _NO_TEXT,
    "Training Resources": _NO_TEXT,
}
_ITEM = ("12", "true", "[a]", "{a: b}", "''", "null", "2.5", "!!python/name:os.system x")
_EMPTY = ("null", "~")


def kinds_of_wrong(site: Site) -> tuple[str, ...]:
    if site.field == "Weights":  # Nothing there means that there are none.
        return tuple(value for value in WRONG["Weights"] if value not in ("''", "[a]"))
    return _ITEM if site.item else (*WRONG[site.field], *_EMPTY)


def test_every_field_by_type_and_range(bench, dice):
    """Each kind of wrong value for each field at least once, and each value of the file."""
    by_field: dict[tuple[str, bool], list[Site]] = {}
    for site in bench.sites:
        by_field.setdefault((site.field, site.item), []).append(site)
    corruptions = [
        (dice.choice(sites), value)
        for sites in by_field.values()
        for value in kinds_of_wrong(sites[0])
    ]
    corruptions += [(site, dice.choice(kinds_of_wrong(site))) for site in bench.sites]
    assert len(corruptions) > 600

    def stands(found: Finding, site: Site, value: str) -> bool:
        # Without a name no finding can bear one, and an item's problem is its field's.
        nameless = site.field == "Name" and site.variant is not None
        of_schema = found.severity == "error" and (found.cause or "").startswith("schema.")
        whose = nameless or found.variant == site.variant
        return of_schema and whose and at(found) == (site.field, site.line)

    assert silent(bench, corruptions, stands) == []


def rounded(value: str, digits: int) -> str:
    return str(int(round(int(value), digits - len(value))))


def roundings(bench: Bench) -> Iterator[tuple[Site, str]]:
    for site in bench.at("Parameters"):
        yield from ((site, rounded(site.text, digits)) for digits in (2, 3, 4))
        yield from ((site, f"{int(site.text) / 1e6:.{n}f}M") for n in (0, 1, 2))
        # Up or down is the writer's freedom.
        yield site, str(int(site.text) // 10**6 * 10**6)
        yield site, str((int(site.text) // 10**6 + 1) * 10**6)
        yield site, str(int(float(f"{int(site.text) / 1e6:.1f}") * 1e6))
    for site in bench.at("FLOPs"):
        yield from ((site, rounded(site.text, digits)) for digits in (4, 5, 8))
        yield site, f"{int(site.text) / 1e9:.3f}G"
    for site in bench.at("File Size"):
        yield from ((site, f"{int(site.text) / 1e6:.{n}f} MB") for n in (0, 1, 2))
        yield site, f"{int(site.text) / 2**20:.1f} MiB"
    for field in ("Top 1 Accuracy", "Top 5 Accuracy"):
        for site in bench.at(field):
            yield from ((site, f"{Decimal(site.text[:-1]):.{n}f}%") for n in (0, 1))


def test_rounding_is_no_corruption(bench):
    known = {(f.variant, f.field, f.cause) for f in bench.baseline.findings}
    lines = []
    for group in together([*roundings(bench)]):
        bench.tried += len(group)
        lines += [
            f"{[(s.label, s.text, v) for s, v in group]}: {f.cause} on {f.variant} {f.field}"
            for f in bench.new_findings(group)
            if (f.variant, f.field, f.cause) not in known and not is_too_short(f)
        ]
    assert lines == []


def is_too_short(finding: Finding) -> bool:
    """Whether FLOPs still fit what explained every digit, and could do so by chance."""
    return (
        finding.cause == "flops.differs" and "too few to tell that from chance" in finding.message
    )


def test_the_corruptions_were_many(bench):
    """Runs last: so many values were edited, and the text verified."""
    assert bench.tried > 1000
