"""A real browser, and reports made by hand for it to show."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harness.report.document import document
from harness.report.html import render
from harness.report.html.changes import Changes, compare
from harness.types import (
    Finding,
    Measurement,
    Mistake,
    PredictionSummary,
    Report,
    Unmeasured,
    VariantReport,
)
from zoo.index.types import Claim, Location
from zoo.labels import imagenet_categories

ENVIRONMENT = {
    "zoo": "0.1",
    "torch": "2.4.0",
    "python": "3.11.7",
    "platform": "Linux-6.1-x86_64",
    "device": "cpu",
    "started": "2025-01-02T03:04:05+00:00",
    "seconds": 4.25,
}
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
FIELDS = (
    *("Parameters", "FLOPs", "File Size", "Weights", "Top 1 Accuracy", "Top 5 Accuracy"),
    *("Crop Pct", "Image Size", "Interpolation", "Layers"),
)


def claim(name: str, raw: str, value: Any, line: int, **changes: Any) -> Claim:
    unit = "percent" if "Accuracy" in name else "count" if isinstance(value, int) else "text"
    place = Location("model-index/net.yml", line, 17)
    return Claim(name, raw, value, unit, None, place, **changes)  # type: ignore[arg-type]


def measurement(kind: str, name: str, value: dict[str, Any], **changes: Any) -> Measurement:
    values = {
        "kind": kind,
        "name": name,
        "builder": "zoo",
        "value": value,
        "image_size": None,
        "method": "built and run on the meta device",
        "versions": {"torch": "2.4.0"},
        "device": "meta",
        "made": "2025-01-02T03:04:06+00:00",
    }
    return Measurement(**{**values, **changes})


def facts(name: str, parameters: int, macs: int) -> tuple[Measurement | Unmeasured, ...]:
    """One of every kind, as the measuring documents them."""
    timing = {
        **{"batch": 8, "precision": "off", "compiled": False, "images_per_second": 1e12 / macs},
        **{"latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.0}, "peak_memory": 123_000_000},
        **{"environment": {"device_name": "a processor"}, "image_size": [224, 224]},
    }
    counts = [
        {"convention": "macs", "variation": "", "value": macs, "covered": macs},
        {"convention": "fvcore", "variation": "", "value": macs + 5, "covered": macs},
        {"convention": "macs", "variation": "without the classifier", "value": 9, "covered": 9},
    ]
    structure = {
        **{"parameters": parameters, "trainable": parameters, "layers": 50},
        "by_stage": {"stem": parameters // 4, "body": parameters - parameters // 4},
        "state": {"tensors": 320, "float_elements": parameters + 11, "other_bytes": 8},
    }
    flops = {"counts": counts, "activations": 7}
    return (
        measurement("structure", name, structure),
        measurement("flops", name, flops, image_size=(224, 224)),
        measurement("speed", name, {"timings": [timing]}, device="a processor"),
        measurement("accuracy", name, {"images": 40, "top1": 30, "top5": 39}, part="0-40"),
        measurement("accuracy", name, {"images": 60, "top1": 50, "top5": 58}, part="40-100"),
        Unmeasured("file", name, "zoo", "weights.unreachable", "no server answered"),
    )


def answers(number: int, classes: int = 12, each: int = 50, **changes: Any) -> PredictionSummary:
    """Of class c, (7 c + number) modulo ``each`` images are right."""
    counts = {c: (each, (7 * c + number) % each) for c in range(classes)}
    worst = sorted(counts, key=lambda c: (counts[c][1], c))
    right = sum(count for _, count in counts.values())
    values = {
        **{"dataset": "imagenet-1k", "setting": "", "images": classes * each, "top1": right},
        **{"top5": right + 9, "unreadable": 1, "not_finite": 0, "names": imagenet_categories()},
        "by_class": {c: counts[c] for c in worst},
        "confused": tuple((c, (c + number) % classes, 9) for c in worst[:10]),
        "mistakes": (Mistake("val/image.jpeg", (1,), 2, 0.987),),
    }
    return PredictionSummary(**{**values, **changes})


def variant(number: int, collection: str | None, name: str = "") -> VariantReport:
    """Larger numbers are larger, slower and, for the most part, more accurate variants."""
    name = name or f"net{number}"
    parameters, macs = 1_000_000 * (number + 1) + number, 10_000_000 * (number + 1) ** 2
    top1, line = Decimal("50") + Decimal(number % 40), 10 * number
    result = {"task": "Image Classification", "dataset": "ImageNet"}
    measured = {
        **{"parameters": parameters, "layers": 50, "image_size": [224, 224]},
        **{"flops": {"macs": macs, "flops": 2 * macs, "fvcore": macs + 5}},
        "file_size": 4 * parameters,
    }
    claims = (
        claim("Parameters", str(parameters), parameters, line),
        claim("FLOPs", str(macs + 77), macs + 77, line + 1),
        claim("Top 1 Accuracy", f"{top1}%", top1, line + 4, **result),
        claim("Architecture", "Convolution, ReLU", ("Convolution", "ReLU"), line + 7),
    )
    place = Location("model-index/net.yml", line, 3)
    made = facts(name, parameters, macs)
    seen = (answers(number),)
    return VariantReport(
        name, collection, "zoo", measured, claims, made, location=place, answers=seen
    )


def findings_on(name: str, number: int, count: int = 10) -> Iterator[Finding]:
    """So many findings: an error, a warning, a note, two that are unverified, matches."""
    kinds: list[tuple[Any, Any, str | None]] = [
        ("mismatch", "error", "parameters.differs"),
        ("mismatch", "warning", "flops.input-geometry"),
        ("mismatch", "note", "size.half-precision"),
        ("unverified", None, "weights.unreachable"),
        ("unverified", None, "accuracy.no-data"),
    ]
    for i in range(count):
        status, severity, cause = kinds[i] if i < len(kinds) else ("match", None, None)
        yield Finding(
            variant=name,
            field=FIELDS[i % len(FIELDS)],
            check=FIELDS[i % len(FIELDS)].lower().replace(" ", "-"),
            status=status,
            severity=severity,
            cause=cause,
            documented=str(1000 * number + i),
            measured=number + i if status != "unverified" else None,
            message=f"the built {name} says {i} of its {FIELDS[i % len(FIELDS)]}, measured anew",
            location=Location("model-index/net.yml", 10 * number + i, 17),
            fix=f"--- a\n+++ b\n@@ -1 +1 @@\n-old {name}\n+new {name}\n" if i == 0 else None,
        )


def make(count: int, collections: int = 2, findings: int = 10) -> Report:
    """A report of so many variants."""
    variants = tuple(variant(i, f"Family {i % collections}") for i in range(count))
    found = tuple(f for i in range(count) for f in findings_on(f"net{i}", i, findings))
    return Report(ENVIRONMENT, variants, found)


@pytest.fixture(scope="session")
def made() -> Callable[..., Report]:
    """Makes a report: ``made(variants, collections=2, findings=10)``."""
    return make


@pytest.fixture(scope="session")
def make_variant() -> Callable[..., VariantReport]:
    """Makes a variant of a report: ``make_variant(number, collection, name)``."""
    return variant


@pytest.fixture(scope="session")
def make_answers() -> Callable[..., PredictionSummary]:
    """Makes what a variant answered: ``make_answers(number, classes=12, each=50, ...)``."""
    return answers


@pytest.fixture(scope="session")
def make_findings() -> Callable[..., Iterator[Finding]]:
    """Makes findings on a variant: ``make_findings(name, number, count=10)``."""
    return findings_on


@pytest.fixture(scope="session")
def as_document() -> Callable[[Report], dict[str, Any]]:
    """A report as what is read from its file."""
    return lambda report: json.loads(json.dumps(document(report)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, started once for a module; a session's would keep its event loop for others."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        yield started
        started.close()


@dataclass
class Opened:
    """A page in the browser, and what it did that a page should not do."""

    page: Any
    address: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, fragment: str) -> None:
        """Shows another state of the page, as following a link does."""
        self.page.evaluate("target => { location.hash = target }", fragment)

    def texts(self, selector: str) -> list[str]:
        """The texts of what is visible of these elements."""
        return [t.strip() for t in self.page.locator(selector).all_inner_texts()]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a report: ``show(report, previous=None, fragment="", width=1280, **context)``.

    The report may be the path of a page that is written already. Afterwards, whatever the test
    did, the page has complained of nothing, and has asked no one.
    """
    opened: list[Opened] = []
    contexts = []

    def open_page(
        report: Report | Path,
        previous: Any = None,
        fragment: str = "",
        width: int = 1280,
        **settings: Any,
    ) -> Opened:
        path = report if isinstance(report, Path) else tmp_path / f"{len(opened)}.html"
        if not isinstance(report, Path):
            path.write_text(render(report, compare(report, previous)), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        here = Opened(page, path.as_uri())
        opened.append(here)
        page.on("console", lambda message: here.said.append(message.text))
        page.on("pageerror", lambda error: here.said.append(str(error)))
        page.on("dialog", lambda dialog: here.said.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: here.asked.append(request.url))
        page.goto(here.address + fragment)
        return here

    yield open_page
    for context in contexts:
        context.close()
    for here in opened:
        assert here.said == []
        beyond = [url for url in here.asked if url.split("#")[0] != here.address]
        own = ("data:image/svg+xml", "data:image/jpeg;base64,")
        assert [url for url in beyond if not url.startswith(own)] == []


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of twelve variants in two collections, made once for a module."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(make(12), Changes()), encoding="utf-8")
    return path
