"""What the README shows of the command's output is what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
INDEX = "tests/fixtures/seed/resnest.yml"


def spaced(text: str) -> str:
    """Text whose lines may be broken anywhere."""
    return " ".join(text.split())


def test_the_findings_shown_are_those_of_the_documented_page(zoo_on_a_terminal, folder):
    (shown,) = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    place = folder / INDEX
    place.parent.mkdir(parents=True)
    place.write_bytes((ROOT / INDEX).read_bytes())
    status, printed, _ = zoo_on_a_terminal(
        "verify", "--all", "--offline", "--index", INDEX, columns=104, NO_COLOR="1"
    )
    assert status == 1
    parts = re.split(r"^(?=\S|  (?:error|warning|note)\b)", shown, flags=re.MULTILINE)
    parts = [spaced(part) for part in parts if part.strip()]
    assert len(parts) == 6
    assert [part for part in parts if part not in spaced(printed)] == []
    # The hint's command is the one that the README names, with the options of this run.
    told = f"zoo explain resnest101e FLOPs --index {INDEX} --offline explains one of them"
    assert told in spaced(printed)
    assert told.partition(" --offline")[0] in spaced((ROOT / "README.md").read_text())
