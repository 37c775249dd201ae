"""Small indexes as text, and facts made by hand."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import pytest

from harness.check.base import Evidence, Need
from harness.run.plan import flops_size, recipe_of
from harness.types import Fact, Measurement, Recipe, Unmeasured
from zoo.index import Index, load_index

Found = Callable[..., list]

KINDS = (
    *("auxiliary", "classes", "convolutions", "distillation", "distillation_token", "folded"),
    *("last_norm", "linear", "loose", "norms", "patch", "positions", "rows", "scales", "width"),
)


@pytest.fixture
def load(tmp_path) -> Callable[[str], Index]:
    """Reads an index from its text."""

    def read(text: str) -> Index:
        path = tmp_path / "index.yml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        index = load_index([path])
        errors = [p for p in index.problems if p.severity == "error"]
        assert not errors, errors
        return index

    return read


@pytest.fixture
def measured() -> Callable[..., Measurement]:
    """A fact with this value: ``measured("structure", {"parameters": 5})``."""

    def make(kind, value, size=None):
        made = "2020-04-19T00:00:00+00:00"
        return Measurement(kind, "net", "zoo", value, size, "by hand", {}, "meta", made)

    return make


@pytest.fixture
def structure(measured) -> Callable[..., Measurement]:
    def make(
        parameters=1000, layers=None, tensors=10, floats=None, other=0, head=0, kinds=None, **more
    ):
        floats = parameters if floats is None else floats
        small = {"vector_elements": 0, "path_bytes": 0}
        value = {
            "parameters": parameters,
            "trainable": parameters,
            "buffers": floats - parameters,
            "forms": {},
            "no_forms": "",
            "left_out": "",
            "kinds": dict.fromkeys(KINDS, 0) | {"classifier": head} | (kinds or {}),
            "by_stage": {"body": parameters - head, "fc": head},
            "layers": layers,
            "state": {
                "tensors": tensors,
                "float_elements": floats,
                "other_bytes": other,
                **small,
            },
            "head": {
                "name": "fc",
                "tensors": 2 if head else 0,
                "float_elements": head,
                "other_bytes": 0,
                **small,
            },
        }
        return measured("structure", value | more)

    return make


@pytest.fixture
def flops(measured) -> Callable[..., Measurement]:
    """Counts at a size: ``flops((224, 224), macs=5, fvcore=6)``; all of them cover everything."""

    def make(size, *, covered=None, **values):
        names = {name.replace("_", "-"): value for name, value in values.items()}
        counts = [
            {
                "convention": name,
                "variation": "",
                "value": value,
                "covered": (covered or {}).get(name, names["macs"]),
            }
            for name, value in names.items()
        ]
        return measured("flops", {"counts": counts}, size)

    return make


@pytest.fixture(scope="session")
def built() -> Callable[..., list[Fact]]:
    """Facts of a library's model, each made once: ``built("timm", "resnet18", "flops", 224)``."""
    from harness.measure.profile import Profiler

    profiler, known = Profiler(), {}

    def facts(builder, name, *asked):
        """``asked``: kinds, with their side or size behind them where one matters."""
        slots = []
        for word in asked:
            if isinstance(word, str):
                slots.append((word, None))
            else:
                slots[-1] = (slots[-1][0], (word, word) if isinstance(word, int) else word)
        made = []
        for kind, size in slots:
            key = (builder, name, kind, size)
            if key not in known:
                sizes = [size] if size else []
                (known[key],) = profiler.measure(Recipe(name, builder), (kind,), sizes)
            made.append(known[key])
        return made

    return facts


@pytest.fixture
def answered(judge, built) -> Found:
    """What a check finds about a library's model, all facts made that it asks for."""

    def findings(check, index, builder, name, *begin):
        facts = built(builder, name, *begin)
        while True:
            found = judge(check, index, facts)
            slots = {slot for need in found if isinstance(need, Need) for slot in need.slots}
            new = slots - {fact.slot for fact in facts}
            if not new:
                return found
            for kind, size in sorted(new, key=str):
                facts += built(builder, name, kind, *([size] if size else []))

    return findings


@pytest.fixture
def judge() -> Found:
    """What a check finds about an index's only variant, or about the one at a place."""

    def findings(check, index: Index, facts: Sequence[Fact] = (), place: int = 0):
        variant = index.variants[place]
        recipe = recipe_of(variant, "zoo")
        by_slot = {fact.slot: fact for fact in facts}
        evidence = Evidence(variant, recipe, flops_size(variant, recipe), by_slot)
        return list(check.find(evidence))

    return findings


@pytest.fixture
def needs(judge) -> Found:
    """The facts that a check asks for."""

    def asked(check, index, facts=()):
        return [n for n in judge(check, index, facts) if isinstance(n, Need)]

    return asked


@pytest.fixture
def failed() -> Callable[..., Unmeasured]:
    def make(kind, size=None, cause="build.failed", why="the builder is broken"):
        return Unmeasured(kind, "net", "zoo", cause, why, size)

    return make
