"""From a configuration to what it selects: the index, its variants, and the device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.cli.output import say
from harness.config import RunConfig, UsageError

if TYPE_CHECKING:
    from harness.run.session import Session
    from zoo.index.types import Variant


def look_up(config: RunConfig, *select: str, announce: bool = False) -> Session:
    """The selected variants of an index, to be looked at or used.

    Where there is no index here, that of the package stands in, since none is judged; a line says
    so if ``announce``.
    """
    from harness.run.session import prepare
    from zoo.index import local_index, package_index

    index = config.index
    if not index:
        here = local_index()
        index = (here or package_index(),)
        if here is None and announce:
            say("no index here; this is the one that ships with zoo (package:zoo)")
    return prepare(replace(config, index=index, select=select))


def one_variant(config: RunConfig, name: str, prefix: str = "") -> Variant:
    """The one variant of that name; ``prefix`` begins the line that says otherwise.

    Raises:
        UsageError: there is none, or several.
    """
    found = look_up(config, name).variants
    if len(found) != 1:
        raise UsageError(f"{prefix}{name!r} names {len(found)} variants; name one of them")
    return found[0]


def prepared(config: RunConfig) -> Session:
    """The session of a run that measures, see `harness.run.session.prepare`."""
    from harness.run.session import prepare

    return prepare(config)
