"""Defaults from a pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import Settings, load
from harness.run.request import GROUPS, UsageError


@pytest.fixture
def written(tmp_path):
    def write(text, folder=""):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "pyproject.toml").write_text(text)
        return place

    return write


def test_every_key(written):
    folder = written(
        """
        [tool.zoo]
        index = ["a.yml", "/b"]
        builder = "timm"
        checks = ["flops", "layers"]
        device = "cuda:1"
        format = "json"
        fail-on = "warning"
        no-store = true
        refresh = true
        cross-check = "fvcore"
        """
    )
    assert load(folder) == Settings(
        index=(Path("a.yml"), Path("/b")),
        builder="timm",
        checks=("flops", "layers"),
        device="cuda:1",
        format="json",
        fail_on="warning",
        no_store=True,
        refresh=True,
        cross_check="fvcore",
    )


def test_nothing_is_set(tmp_path):
    assert load(tmp_path) == Settings()


def test_the_nearest_file_with_the_table_counts(written):
    top = written('[tool.zoo]\nformat = "json"\nindex = "zoo/index"\n')
    written('[tool.zoo]\nformat = "markdown"\n', "a/b")
    written("[project]\nname = 'zoo'\n", "a/c")
    assert load(top / "a" / "b").format == "markdown"
    found = load(top / "a" / "c")
    assert found.format == "json"
    assert found.index == (Path("../../zoo/index"),)


def test_a_package_is_not_beside_the_file(written):
    folder = written('[tool.zoo]\nindex = ["package:torchvision", "mine"]\n')
    below = folder / "deep"
    below.mkdir()
    assert load(below).index == (Path("package:torchvision"), Path("../mine"))


def test_a_broken_file_of_another_project_is_not_reported(written):
    assert load(written("[tool.other\n")) == Settings()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('formt = "json"', "[tool.zoo] formt: there is no such key; did you mean format?"),
        ("no-stor = true", "[tool.zoo] no-stor: there is no such key; did you mean no-store?"),
        ('fail_on = "never"', "[tool.zoo] fail_on: there is no such key; did you mean fail-on?"),
        ("format = 3", "[tool.zoo] format: 3 is no text; write a word in quotes"),
        ('format = "jsno"', "[tool.zoo] format: there is no format 'jsno'; did you mean json?"),
        ('no-store = "yes"', "[tool.zoo] no-store: 'yes' is neither true nor false"),
        ("index = [1]", "[tool.zoo] index: [1] is no path; write a path, or a list of paths"),
        ("checks = 1", "[tool.zoo] checks: 1 is no list; write names such as"),
        ('checks = ["flop"]', "[tool.zoo] checks: there are no checks 'flop'; did you mean flops?"),
        ('checks = ""', "[tool.zoo] checks: names no checks; write some of metadata,"),
        (
            'device = "gpu"',
            "[tool.zoo] device: 'gpu' is no device; write auto, cpu, cuda or cuda:0",
        ),
        ('fail-on = "note"', "[tool.zoo] fail-on: 'note' is no severity to fail on; write error, "),
        ('cross-check = "thop"', "[tool.zoo] cross-check: 'thop' is not one of them; write fvcore"),
        ("builder = []", "[tool.zoo] builder: [] is no text; write a word in quotes"),
    ],
)
def test_one_line_for_each_mistake(line, message, written):
    with pytest.raises(UsageError) as caught:
        load(written(f"[tool.zoo]\n{line}\n"))
    assert len(caught.value.lines) == 1
    assert caught.value.lines[0].startswith(f"pyproject.toml: {message}")


def test_all_mistakes_are_reported(written):
    with pytest.raises(UsageError) as caught:
        load(written('[tool.zoo]\nformat = 1\ndevice = "x"\nbuilder = "zoo"\n'))
    assert [line.split()[2] for line in caught.value.lines] == ["format:", "device:"]


@pytest.mark.parametrize("text", ["[tool.zoo\n", "tool.zoo = 1\n[tool.zoo]\n"])
def test_a_file_that_is_no_toml(text, written):
    with pytest.raises(UsageError, match=r"^pyproject\.toml: is no TOML: "):
        load(written(text))


def test_a_table_that_is_none(written):
    with pytest.raises(UsageError, match=r"^pyproject\.toml: \[tool\.zoo\]: 3 is no table"):
        load(written("[tool]\nzoo = 3\n"))


def test_a_flag_beats_the_file(written):
    settings = load(written('[tool.zoo]\nformat = "json"\nno-store = true\ndevice = "cpu"\n'))
    flags = {"format": "markdown", "no-store": False, "device": None, "checks": "flops, layers,"}
    assert settings.with_flags(flags) == Settings(
        format="markdown", no_store=False, device="cpu", checks=("flops", "layers")
    )
    with pytest.raises(UsageError, match=r"^--device: 'x' is no device"):
        settings.with_flags({"device": "x"})


def test_every_group_can_be_named(tmp_path):
    assert load(tmp_path).with_flags({"checks": ",".join(GROUPS)}).checks == GROUPS
