"""The code that pages show, made fit to be run without a network."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.preprocessing import package_variant
from zoo.registry import list_models

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OFFLINE = "efficientnet_lite0"  # its real weights come from the package registry


def blocks(page: Path, *languages: str) -> list[str]:
    """The code of a page, from its fences."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    return [text for language, text in found if language in languages]


def without_network(code: str) -> str:
    """The same with one model for all those whose weights would have to be downloaded."""
    for name in sorted(list_models(), key=len, reverse=True):
        weights = package_variant(name).effective("Weights")
        if weights is not None and weights.raw.startswith("http"):
            code = re.sub(rf"\b{name}\b", OFFLINE, code)
    return code


def command_lines(page: Path) -> list[str]:
    """The commands of a page's shell blocks, one by one, comments left out."""
    return [
        part.partition(" #")[0].strip()
        for block in blocks(page, "sh", "console", "bash")
        for line in block.splitlines()
        for part in line.removeprefix("$ ").split("&&")
        if part.strip()
    ]
