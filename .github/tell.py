"""Say what changed where people look: one comment on a pull request, or one issue of the nights.

    python tell.py comment PULL changes.md
    python tell.py issue report.json changes.json changes.md

It calls `gh`, which takes the token from GH_TOKEN and the repository from GITHUB_REPOSITORY.
``changes`` are what `zoo diff` prints, as JSON and as Markdown, in which nothing of an index starts
a mention or markup. Where there is no `changes.json`, it is the first night, and all is new.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

MARK = "<!-- zoo diff -->"
TITLE = "The nightly audit finds new errors"
MOST = 65_000  # GitHub takes no body of more than 65,536 characters.
_OURS = f'select(.user.type == "Bot") | select((.body // "") | startswith("{MARK}"))'


def gh(*words: str, body: dict[str, Any] | None = None) -> str:
    """What `gh api` answers to a request in this repository."""
    path = f"repos/{os.environ['GITHUB_REPOSITORY']}/{words[0]}"
    given = ["--input", "-"] if body is not None else []
    text = None if body is None else json.dumps(body)
    command = ["gh", "api", path, *words[1:], *given]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"gh api {path}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def first(listed: str) -> str:
    """The first number of a list, empty where there is none."""
    return next(iter(listed.split()), "")


def marked(text: str, more: str = "") -> str:
    """The body, which is found again by its mark."""
    return f"{MARK}\n{text[:MOST]}{more}"


def comment(pull: str, changes: Path) -> None:
    """Write the comment, or the one that there is anew; none where nothing changed."""
    text = changes.read_text(encoding="utf-8")
    where = f"issues/{int(pull)}/comments"
    known = first(gh(f"{where}?per_page=100", "--paginate", "--jq", f".[] | {_OURS} | .id"))
    if known:
        gh(f"issues/comments/{known}", "--method", "PATCH", body={"body": marked(text)})
    elif "nothing changed" not in text.partition("\n\n")[2].partition("\n")[0]:
        gh(where, "--method", "POST", body={"body": marked(text)})


def issue(report: Path, changes: Path, told: Path) -> None:
    """Open or update the issue where an error is new, and close it where none is left."""
    summary = json.loads(report.read_bytes())["summary"]
    found = json.loads(report.read_bytes())["findings"]
    if changes.is_file():
        found = json.loads(changes.read_bytes())["findings"]["new"]
    new = [f for f in found if f["severity"] == "error" and f.get("accepted") is None]
    query = "issues?state=open&per_page=100&sort=created"
    jq = f".[] | select(.pull_request == null) | {_OURS} | .number"
    known = first(gh(query, "--paginate", "--jq", jq))
    if known and not summary["errors"]:
        gone = {"body": "The last night found no error any more."}
        gh(f"issues/{known}/comments", "--method", "POST", body=gone)
        gh(f"issues/{known}", "--method", "PATCH", body={"state": "closed"})
    elif new:
        errors = f"{len(new)} error{'s' * (len(new) > 1)}"
        text = told.read_text(encoding="utf-8") if told.is_file() else f"{errors}.\n"
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        night = os.environ.get("ZOO_NIGHT", "")
        more = f"\n[The night]({server}/{os.environ['GITHUB_REPOSITORY']}/actions/runs/{night})\n"
        body = {"title": TITLE, "body": marked(text, more if night else "")}
        way = (f"issues/{known}", "PATCH") if known else ("issues", "POST")
        gh(way[0], "--method", way[1], body=body)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "comment":
        comment(rest[0], Path(rest[1]))
    else:
        issue(*map(Path, rest))
