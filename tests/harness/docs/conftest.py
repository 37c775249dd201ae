"""The command in a folder of its own, pages rendered by a Markdown parser, and real images."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cli import run_zoo
from markdown_it import MarkdownIt
from shipped import real_images, real_weights

ROOT = Path(__file__).parents[3]
_VOID = {"img", "br", "hr"}


class Rendered(HTMLParser):
    """What a reader of a page sees: its texts, and the elements that hold them."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []  # the element right around, and the text
        self._open: list[str] = []
        parser = MarkdownIt("commonmark").enable("table").enable("strikethrough")
        self.feed(parser.render(markdown))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in _VOID:
            self._open.pop()

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def inside(self, tag: str) -> list[str]:
        """The texts that stand right in an element of that name."""
        return [text for around, text in self.texts if around == tag]

    @property
    def text(self) -> str:
        """Everything that is shown, zero width characters left out."""
        return "".join(text for _, text in self.texts).replace("\u200b", "")


@pytest.fixture
def rendered() -> Callable[[str], Rendered]:
    return Rendered


@pytest.fixture
def zoo(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in the test's own folder."""

    def run(*arguments: str | Path, folder: Path = tmp_path, **changes: str):
        cache = str(tmp_path / "cache")
        own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": cache} | changes
        return run_zoo(arguments, cwd=folder, environment=os.environ | own)

    return run


@pytest.fixture(scope="session")
def real_image() -> tuple[Path, int]:
    """A real image of ImageNet, and its class."""
    first = real_images()[0]
    return first, int(first.stem.rpartition("_")[2])


@pytest.fixture
def reader(tmp_path, real_image) -> Path:
    """The folder of a reader of the pages, with an image and two classes of a few images."""
    real_weights()
    image, _ = real_image
    shutil.copy(image, tmp_path / "image.jpg")
    for part, count in (("train", 2), ("val", 1)):
        for label in range(2):
            inside = tmp_path / "images" / part / f"class{label}"
            inside.mkdir(parents=True)
            for number in range(count):
                shutil.copy(image, inside / f"{number}.jpg")
    return tmp_path
