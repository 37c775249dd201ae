"""What a person sees: a pseudo-terminal stands in for a screen."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from shipped import real_weights

SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = r'"\e]8;;http://evil\e\\ res\e[2J"'


@pytest.mark.slow
def test_a_bar_while_it_measures_and_none_after(zoo_on_a_terminal):
    status, out, err = zoo_on_a_terminal("verify", "--all", "--no-store")
    assert status == 0
    assert re.search(r"[━╸]", err)
    assert re.search(r"[12]/\d", err)
    assert err.startswith("2 variants")
    assert not re.search(r"[━╸]", out)
    # What is left at the end is the erased line of the bar.
    assert err.rstrip("\n").endswith("\x1b[2K") or err.endswith("\x1b[?25h")


@pytest.mark.slow
def test_no_bar_where_none_is_wanted(zoo_on_a_terminal):
    quiet = zoo_on_a_terminal("verify", "--all", "--no-store", "--quiet")
    dumb = zoo_on_a_terminal("verify", "--all", "--no-store", TERM="dumb")
    for text in (quiet[2], dumb[2]):
        assert not re.search(r"[━╸\x1b]", text)
    assert "\x1b" not in dumb[1]


@pytest.fixture
def wrong(folder):
    """An image size that no image has."""
    index = folder / "model-index" / "net.yml"
    index.write_text(index.read_text().replace("Image Size: 224", "Image Size: 0"))


def test_the_report_fits_the_screen(zoo_on_a_terminal, wrong):
    for columns in (60, 200):
        status, out, _ = zoo_on_a_terminal("audit", columns=columns)
        assert status == 1
        assert "\x1b[1;31merror" in out
        assert max(len(line) for line in SGR.sub("", out).splitlines()) <= columns


def test_colour_is_for_terminals_unless_it_is_asked_for(zoo, zoo_on_a_terminal, wrong):
    _, out, err = zoo_on_a_terminal("audit", NO_COLOR="1")
    assert out
    assert "\x1b" not in out + err
    assert "\x1b[1;31merror" in zoo("audit", FORCE_COLOR="1").stdout
    assert "\x1b" not in zoo("audit", FORCE_COLOR="1", NO_COLOR="1").stdout


@pytest.mark.slow
def test_an_index_can_not_steer_the_screen(zoo_on_a_terminal, folder):
    index = folder / "model-index" / "net.yml"
    index.write_text(
        index.read_text()
        .replace("Name: resnest14d", f"Name: {HOSTILE}")
        .replace("Title: A paper", f"Title: {HOSTILE}")
        .replace("Parameters: 10610000", f"Parameters: {HOSTILE}")
    )
    for command in ("list", "audit -v", "show *", "verify --all"):
        _, out, err = zoo_on_a_terminal(*command.split())
        assert r"\x1b]8;;http://evil\x1b" in out
        assert not re.search(r"\x1b(\]|\[2J)", out + err)


def test_a_list_has_a_heading_on_a_screen(zoo_on_a_terminal):
    _, out, _ = zoo_on_a_terminal("list")
    assert out.split()[:2] == ["variant", "collection"]


@pytest.fixture
def of_pictures(zoo_on_a_terminal, folder, repository):
    """A command about the pictures of a folder, one of which is none."""
    real_weights()
    (folder / "album").mkdir()
    for name in ("a.png", "c.png"):
        Image.new("RGB", (300, 300), "red").save(folder / "album" / name)
    (folder / "album" / "b.png").write_text("no picture")

    def run(command, *arguments):
        index = str(repository / "model-index")
        given = (command, "efficientnet_lite0", "album", "--index", index, "--batch", "1")
        return zoo_on_a_terminal(*given, *arguments)

    return run


@pytest.mark.slow
def test_a_bar_while_vectors_are_made_and_none_after(of_pictures):
    status, out, err = of_pictures("features", "-o", "out.npy")
    assert (status, out) == (3, "")
    assert re.search(r"a\.png .*1/\?", SGR.sub("", err))
    assert "album/b.png: it is no image that Pillow knows\n" in err
    assert err.endswith("out.npy: 2 vectors; out.json: the image of each\n")


@pytest.mark.slow
def test_no_bar_runs_into_the_lines_of_a_screen(of_pictures):
    status, out, err = of_pictures("classify")
    assert status == 3
    assert [line for line in out.splitlines() if line.startswith("album")] == [
        "album/a.png",
        "album/c.png",
    ]
    assert err.splitlines()[1:] == ["error: album/b.png: it is no image that Pillow knows"]


@pytest.mark.slow
def test_a_diff_on_a_screen_is_followed_by_the_command_that_writes_it(
    zoo, zoo_on_a_terminal, folder
):
    index = folder / "model-index" / "net.yml"
    index.write_text(index.read_text().replace("Parameters: 27480000", "Parameters: 27590000"))
    words = ("fix", "resnest50d", "--offline", "--checks", "parameters")
    status, out, err = zoo_on_a_terminal(*words)
    assert status == 0
    assert "+    Parameters: 27480000" in SGR.sub("", out)
    (line,) = (each for each in err.splitlines() if "to write" in each)
    assert line.endswith(f"to write what the diff has: zoo {' '.join(words)} --write")
    assert "to write" not in zoo(*words).stderr
