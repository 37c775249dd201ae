"""`zoo audit`."""

from __future__ import annotations

from harness.cli.baseline_option import baseline_option
from harness.cli.options import command
from harness.cli.output import documented, finish, say
from harness.cli.selection import prepared
from harness.config import RunConfig


@documented
@command("index", "format", "fail-on", "baseline", "quiet", "verbose")
def audit(config: RunConfig) -> None:
    checks = ("metadata",)
    baseline = baseline_option(config.baseline, checks)
    session = prepared(RunConfig(index=config.index, checks=checks))
    if not config.quiet:
        say(f"{session.source}, read and not built")
    finish(baseline.applied(session.audit()), config)
