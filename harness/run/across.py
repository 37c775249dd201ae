"""Indexes side by side: each is read by itself, and what two say of one thing is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.check.across import Across, Zoo, find
from harness.check.shared import hashes_of
from harness.check.weights import opened_file
from harness.config import RunConfig, UsageError
from harness.run.files import learn_at_hand
from harness.run.plan import read_index, unread
from harness.run.session import Session
from harness.types import Report
from zoo._util.text import plural
from zoo.index.types import Index
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint, read_safetensors_header
from zoo.weights.checkpoint.safetensors import KEPT, read_header


def read_zoos(config: RunConfig) -> tuple[Session, list[Zoo], list[str]]:
    """A session of all of them, each as a zoo, and a line for whatever of them can't be read.

    Raises:
        UsageError: there are fewer than two, or one yields no variant.
    """
    # One file under two names agrees with itself, and is one index.
    paths = tuple({path.resolve(): path for path in reversed(config.index)}.values())[::-1]
    if len(paths) < 2:
        raise UsageError(
            "--across: there is one index, and nothing to hold it against; name two or more: "
            "zoo audit --across --index A --index B"
        )
    read = [read_index((path,), (), lenient=True)[0] for path in paths]
    whole = Index(
        tuple(variant for index in read for variant in index.variants),
        tuple(collection for index in read for collection in index.collections),
        files=tuple(dict.fromkeys(file for index in read for file in index.files)),
        unusable=tuple(file for index in read for file in index.unusable),
    )
    zoos = [Zoo(str(path), index.variants) for path, index in zip(paths, read, strict=True)]
    lines = [line for index in read for line in unread(index)]
    return Session(replace(config, index=paths), whole, whole.variants), zoos, lines


def compared(session: Session, zoos: Sequence[Zoo]) -> tuple[Report, str]:
    """The report of what they say of the same things, and what these are in a line.

    Weights that are on this machine are known by their bytes and tensors; servers are asked for
    theirs with ``--headers`` alone, and nothing is downloaded.
    """
    report = session.audit(checks=False)
    request = session.request
    asks = request.headers and not request.offline
    runs = learn_at_hand(request, session.runs_seen, asks=asks)
    files = {id(run.variant): run.facts for run in runs}
    tensors = {}
    for run in runs:
        opened = opened_file(run.facts, run.variant)
        value = {} if opened is None else opened[1].value
        path = value.get("path") or value.get("header")
        if path is not None and (digest := tensors_digest(Path(path))):
            tensors[id(run.variant)] = digest
    found = find(zoos, hashes_of(session.index, files), tensors)
    names = [zoo.name for zoo in zoos]
    report = replace(report, findings=found.findings, zoos=tuple(names))
    return report, f"{' beside '.join(names)}: {_in_common(found)}"


def _in_common(found: Across) -> str:
    both = (
        f"{plural(found.checkpoints, 'checkpoint')} and "
        f"{plural(found.architectures, 'other architecture')} in more than one"
    )
    agreed = sum(finding.status == "match" for finding in found.findings)
    of = plural(len(found.findings), "value", ",")
    return f"{both}, on which {agreed:,} of {of} {'agrees' if agreed == 1 else 'agree'}"


def tensors_digest(path: Path) -> str | None:
    """A text that two files have in common whose tensors have the same names, shapes and types.

    None where the file is no checkpoint that can be read.
    """
    kept = read_header(path) if path.suffix == KEPT else None
    info = read_checkpoint(path) if kept is None else read_safetensors_header(kept.data, kept.size)
    if not isinstance(info, CheckpointInfo) or not info.tensors:
        return None
    lines = sorted(f"{t.name}\t{t.dtype}\t{'x'.join(map(str, t.shape))}\n" for t in info.tensors)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
