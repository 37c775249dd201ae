"""A file is replaced at once or not at all, and never over somebody else's change."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest
from cli import run_python

from harness.edit.yaml_edit import EditRefused

PAGE = "Models:\n- Name: net\n  Parameters: 5000 # a note\n"


@pytest.fixture
def rewrite(mend):
    mended = mend(PAGE, ("net", "Parameters", 7000))
    return mended.proposal.rewrites[0]


def only(folder):
    return [path.name for path in folder.iterdir()]


def test_what_was_proposed_is_written(rewrite, folder):
    rewrite.write()
    assert (folder / "index.yml").read_text() == PAGE.replace("5000", "7000")
    assert only(folder) == ["index.yml"]


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_permissions_stay(rewrite, folder, mode):
    (folder / "index.yml").chmod(mode)
    rewrite.write()
    assert stat.S_IMODE((folder / "index.yml").stat().st_mode) == mode


def test_a_link_stays_a_link(mend, folder):
    target = folder.parent / "elsewhere.yml"
    target.write_text(PAGE)
    (folder / "index.yml").symlink_to(target)
    (made,) = mend(PAGE, ("net", "Parameters", 7000)).proposal.rewrites
    made.write()
    assert (folder / "index.yml").is_symlink()
    assert target.read_text() == PAGE.replace("5000", "7000")


@pytest.mark.parametrize("change", [PAGE + "# more\n", PAGE.replace("a note", "b note"), "", None])
def test_a_file_that_changed_is_left_alone(rewrite, folder, change):
    path = folder / "index.yml"
    if change is None:
        path.unlink()
    else:
        path.write_text(change)
    with pytest.raises(EditRefused, match=r"index\.yml"):
        rewrite.write()
    assert only(folder) == ([] if change is None else ["index.yml"])
    assert change is None or path.read_text() == change


def test_a_file_that_changed_between_the_run_and_the_proposal_is_refused(mend, folder):
    mended = mend(PAGE, ("net", "Parameters", 7000))
    (folder / "index.yml").write_text("# one line more\n" + PAGE)
    from harness.edit.fix import propose

    again = propose(mended.proposal.rewrites[0].findings, mended.index)
    assert again.rewrites == []
    assert "changed since it was read" in again.skipped[0].why


def test_a_read_only_file_is_left_alone(rewrite, folder):
    path = folder / "index.yml"
    path.chmod(0o444)
    with pytest.raises(EditRefused, match="read-only"):
        rewrite.write()
    assert path.read_text() == PAGE
    assert only(folder) == ["index.yml"]


SCRIPT = textwrap.dedent(
    """
    import sys
    from harness.edit.fix import Rewrite
    from harness.edit.yaml_edit import YamlFile

    path, *texts = sys.argv[1:]
    while True:
        page = YamlFile.read(path)
        other = texts[0] if page.text[0] == texts[1][0] else texts[1]
        Rewrite(page, other[0] * 3_000_000, (), ()).write()
        print("written", flush=True)
    """
)


def test_a_kill_leaves_the_old_text_or_the_new_one(folder, repository):
    path = folder / "index.yml"
    path.write_text("a" * 3_000_000)
    seen = set()
    for delay in (0.001, 0.009, 0.03):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path), "a", "b"],
            env=os.environ | {"PYTHONPATH": str(repository)},
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        text = path.read_text()
        assert text in ("a" * 3_000_000, "b" * 3_000_000)
        seen.add(text[0])
    assert seen


def test_a_full_disk_leaves_the_old_text(folder, repository):
    """The bound on a file's size stands for the disk: the write fails in the middle."""
    path = folder / "index.yml"
    path.write_text("a" * 3_000_000)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    done = run_python(["-c", limit + SCRIPT, str(path), "a", "b"])
    assert "can't be written: File too large" in done.stderr
    assert path.read_text() == "a" * 3_000_000
    assert only(folder) == ["index.yml"]
