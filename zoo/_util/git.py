"""Asking git about a repository that may be anybody's: nothing in it runs, nothing is fetched."""

from __future__ import annotations

import os
import subprocess

# What a repository's own settings could have git run: hooks, a monitor, a pager.
_PLAIN = (
    "--no-optional-locks",
    *("--no-pager", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"),
)
_QUIET = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "",
    "LC_ALL": "C",
}
_SECONDS = 60


class GitError(OSError):
    """Git is not installed, can't be run or does not answer; the message says which."""


def run_git(*words: str, folder: str = "") -> bytes | None:
    """What git prints in a folder, by default the working folder; None where it fails.

    Raises:
        GitError: it can't be asked.
    """
    unset: list[str] = []
    if "status" in words:  # Which cleans what has changed by a program that the settings name.
        asked = ("config", "--name-only", "-z", "--get-regexp", "^filter[.]")
        for name in os.fsdecode(run_git(*asked, folder=folder) or b"").split("\0"):
            unset += ["-c", f"{name}="] * name.endswith((".clean", ".process"))
            unset += ["-c", f"{name}=false"] * name.endswith(".required")
    try:
        ended = subprocess.run(
            ["git", *_PLAIN, *unset, "-C", folder or os.curdir, *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env=os.environ | _QUIET,
        )
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git can't be run: {error}") from error
    return ended.stdout if ended.returncode == 0 else None


def ask_git(*words: str, folder: str = "") -> bytes | None:
    """The same, and None where git can't be asked either."""
    try:
        return run_git(*words, folder=folder)
    except GitError:
        return None
