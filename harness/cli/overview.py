"""The list of commands that ``zoo --help`` shows: each with its whole sentence."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class Overview(TyperGroup):
    """A command of commands that cuts no description off at the width of the screen."""

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the commands in their order, with the first paragraph of the help of each."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                first = (command.help or "").strip().partition("\n\n")[0]
                rows.append((name, " ".join(first.split())))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
