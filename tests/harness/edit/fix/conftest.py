"""Pages as text, what is to be written into them, and the real tools that take patches."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from harness.edit.fix import Proposal, propose
from harness.types import Edit, Finding
from zoo.index import Index, load_index


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder of the test's own."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@dataclass
class Mended:
    """A page, and what became of it."""

    path: Path
    index: Index
    proposal: Proposal

    @property
    def data(self):
        """The page's bytes as they would be written; the old ones where nothing would."""
        rewrites = self.proposal.rewrites
        return rewrites[0].data if rewrites else self.path.read_bytes()

    @property
    def diff(self):
        return "".join(rewrite.diff for rewrite in self.proposal.rewrites)

    @property
    def refusals(self):
        return [refusal.why for refusal in self.proposal.skipped]


@pytest.fixture
def wishing():
    """The finding that a variant's claim should say something else.

    Further keys are added below it, or changed where the variant has them.
    """

    def make(index, name, field, value, place=0, **keys):
        variant = [v for v in index.variants if v.name == name][place]
        claim = variant.claim(field)
        edits = [Edit(field, value, claim.location)]
        for written, said in keys.items():
            key = written.replace("_", " ")
            own = variant.claim(key)
            where = claim.location if own is None else own.location
            edits.append(Edit(key, said, where, added=own is None))
        return Finding(
            name, field, "by-hand", "mismatch", "error", "parameters.differs", claim.raw,
            float(value) if isinstance(value, Decimal) else value, "is wrong", claim.location,
            edits=tuple(edits),
        )  # fmt: skip

    return make


@pytest.fixture
def mend(folder, wishing):
    """Writes a page and mends it: ``mend(text, ("net", "FLOPs", 5, {"FLOPs_Input": ...}))``."""

    def run(text, *wishes, file="index.yml", others=(), **options):
        path = folder / file
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        index = load_index([file])
        findings = []
        for name, field, value, *keys in wishes:
            findings.append(wishing(index, name, field, value, **(keys[0] if keys else {})))
        return Mended(path, index, propose([*findings, *others], index, **options))

    return run


@pytest.fixture
def patched(folder):
    """What the page becomes when the diff is given to each tool that takes patches."""

    def run(mended):
        old = mended.path.read_bytes()
        results = {}
        for tool in (["git", "apply", "-"], ["patch", "-p1", "--binary", "--quiet"]):
            mended.path.write_bytes(old)
            done = subprocess.run(
                tool, input=mended.diff.encode(), cwd=folder, capture_output=True, check=False
            )
            assert done.returncode == 0, (done.stdout, done.stderr, mended.diff)
            results[tool[0]] = mended.path.read_bytes()
        mended.path.write_bytes(old)
        return results

    return run
