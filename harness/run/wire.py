"""Recipes and facts as JSON lines, between the run and its workers.

Workers run other people's model code, so nothing that comes from one is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from harness.types import Fact, Measurement, Recipe, Size, Unmeasured


@dataclass(frozen=True, slots=True)
class Job:
    """Facts to be made of one variant: each kind, at each size where size matters.

    Attributes:
        checkpoint: the file for the kind ``checkpoint``, which is on this machine.
        siblings: other variants that the file may turn out to hold.
    """

    recipe: Recipe
    kinds: tuple[str, ...]
    sizes: tuple[Size, ...]
    checkpoint: str | None = None
    siblings: tuple[str, ...] = ()


def dump_job(job: Job) -> str:
    """The job as one line."""
    return json.dumps(asdict(job))


def load_job(line: str) -> Job:
    """The job of one line."""
    body = json.loads(line)
    recipe = Recipe(**{k: _tupled(v) for k, v in body["recipe"].items()})
    return Job(
        recipe,
        tuple(body["kinds"]),
        tuple(_tupled(s) for s in body["sizes"]),
        body["checkpoint"],
        tuple(body["siblings"]),
    )


def dump_facts(facts: list[Fact]) -> str:
    """The facts as one line."""
    return json.dumps([{"is": type(f).__name__, **asdict(f)} for f in facts])


def load_facts(line: str) -> list[Fact]:
    """The facts of one line."""
    facts: list[Fact] = []
    for body in json.loads(line):
        kind = Measurement if body.pop("is") == "Measurement" else Unmeasured
        body["image_size"] = _tupled(body["image_size"])
        facts.append(kind(**body))
    return facts


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
