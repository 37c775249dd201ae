"""The command that adds an extra names this installation's own source."""

from __future__ import annotations

import json
import shlex

from cli import run_python
from distributions import python_path
from packaging.requirements import Requirement

SCRIPT = "from zoo._util.install import install_command; print(install_command('ray'))"


def command(site, record: str | None, cwd, repository) -> list[str]:
    """What is printed where pip left this record; the words as a shell has them."""
    info = site / "model_zoo_verify-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: model-zoo-verify\nVersion: 1.0\n")
    (info / "direct_url.json").unlink(missing_ok=True)
    if record is not None:
        (info / "direct_url.json").write_text(record)
    done = run_python(
        ["-c", SCRIPT], cwd=cwd, env={"PYTHONPATH": python_path(site, repository)}, check=True
    )
    pip, install, *rest = shlex.split(done.stdout)
    assert (pip, install) == ("pip", "install")
    return rest


def test_each_source_is_named_as_pip_takes_it(tmp_path, repository):
    site, clone = tmp_path / "site", tmp_path / "a clone"
    clone.mkdir()

    def said(record: dict[str, object], cwd=tmp_path) -> list[str]:
        return command(site, json.dumps(record), cwd, repository)

    folder = {"url": clone.as_uri(), "dir_info": {"editable": True}}
    assert said(folder, clone) == ["-e", ".[ray]"]
    assert said(folder) == ["-e", f"{clone}[ray]"]
    assert said({"url": clone.as_uri(), "dir_info": {}}) == [f"{clone}[ray]"]

    wheel = (tmp_path / "model_zoo_verify-1.0-py3-none-any.whl").as_uri()
    vcs = {"vcs": "git", "commit_id": "0123abc", "requested_revision": "main"}
    for record, address in (
        ({"url": wheel, "archive_info": {}}, wheel),
        (
            {"url": "https://example.org/zoo", "vcs_info": vcs},
            "git+https://example.org/zoo@0123abc",
        ),
    ):
        (word,) = said(record)
        wanted = Requirement(word)
        assert (wanted.name, wanted.extras, wanted.url) == ("model-zoo-verify", {"ray"}, address)

    for broken in (None, "", "{", "[]", '{"url": 5, "dir_info": []}', '{"vcs_info": {}}'):
        (word,) = command(site, broken, tmp_path, repository)
        wanted = Requirement(word.partition(" @ ")[0])
        assert (wanted.name, wanted.extras) == ("model-zoo-verify", {"ray"})
