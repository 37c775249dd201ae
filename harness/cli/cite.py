"""`zoo cite`."""

from __future__ import annotations

from typing import Annotated

from harness.cli.options import command, variants
from harness.cli.output import emit
from harness.cli.selection import prepared
from harness.config import RunConfig, UsageError


@command("index")
def cite(config: RunConfig, variant: Annotated[list[str], variants("What to cite.")]) -> None:
    """It is the Citation of the index; where there is none, the title and the URL of the Paper make
    a @misc. Entries that several variants share are printed once.
    """
    from harness.docs.citation import bibtex

    entries: dict[str, None] = {}
    missing = []
    for found in prepared(RunConfig(index=config.index, select=tuple(variant))).variants:
        collection = found.collection
        name = found.name if collection is None else collection.name
        entry = bibtex(found.effective, name)
        if entry is None:
            missing.append(
                f"{found.location}: {found.name}: the index names no Citation and no Paper "
                "with a title, for it or its collection; add one of them"
            )
        else:
            entries[entry] = None
    emit("\n".join(f"{entry}\n" for entry in entries))
    if missing:
        raise UsageError(*missing)
