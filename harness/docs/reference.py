"""The reference of commands, causes and the index, made from the command and from their tables.

``python -m harness.docs.reference`` writes ``docs/commands.md``, ``docs/causes.md``,
``docs/index-format.md``, the JSON Schemas of an index and of a report, and the table of commands in
``README.md`` anew; with ``--check`` it writes nothing, and exits with 1 where one of them differs.
It belongs to this repository, and is no part of `zoo docs`, which other zoos use.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from harness.causes import CAUSES
from harness.config.examples import EXAMPLES
from harness.docs.folder import difference, differs, read
from harness.docs.index_format import index_format_page
from harness.docs.index_schema import index_schema
from harness.docs.markdown import Markdown, table, typed
from harness.report.diff import SCHEMA as DIFF
from harness.report.document import SCHEMA, json_schema
from zoo._util.files import replace_file

COMMANDS = Path("docs/commands.md")
CAUSES_PAGE = Path("docs/causes.md")
INDEX_PAGE = Path("docs/index-format.md")
INDEX_SCHEMA = Path("docs/model-index.schema.json")
REPORT_SCHEMA = Path(f"harness/report/schema-{SCHEMA}.json")
DIFF_SCHEMA = Path(f"harness/report/diff-schema-{DIFF}.json")
README = Path("README.md")
BEGIN = "<!-- commands: written by python -m harness.docs.reference -->"
END = "<!-- end of commands -->"

_INTRODUCTION = """\
# Commands

This page is made from the command's own help by `python -m harness.docs.reference`.

The command line comes first, then the environment variable that a table names, then `[tool.zoo]` of
the nearest `pyproject.toml`, then the default. A key of `[tool.zoo]` is the name of an option, such
as `fail-on = "warning"`; an option whose variable names a command is that command's own, and stands
in its table: `[tool.zoo.train]` with `epochs = 3`. A variable of a switch is `1` or `0`, and an
empty variable is not set. Options without a variable say what one call does, and have no key.
A switch that a file or a variable has turned on is turned off by its opposite: `--no-NAME`, and
`--online`, `--download`, `--eager`, `--store`, `--https-only`, `--any-host`, `--index-folder-only`.

`-q`, `-v`, `--log-file` and `--log-level` may stand before a command's name as well: `zoo -q
audit`. What is wrong is a line `error: ...` on standard error and, where there is something to do
about it, a line `hint: ...`.

`zoo --install-completion` completes commands, options, variants and formats in bash, zsh and fish.

All commands exit with 2 for a wrong command line, with 3 where they could not do what was asked,
and after an interrupt with 130, or with 143 for SIGTERM and 129 for SIGHUP. What a run starts ends
with it, however it ends: workers, builders that hang, and the processes that these start. An
interrupt takes two seconds at most; long runs then say what is stored, and the command that goes
on."""


_CAUSES_INTRODUCTION = """\
# Causes

Every finding that is not a match has a cause. Its id is stable: it can be compared in a script,
and it is the `cause` of a finding in the JSON document. The severity is the one that the cause has
as a rule; a message says so where a finding is graver. This page is made by
`python -m harness.docs.reference`.
"""

# So many commands make an option a shared one.
_SHARED = 3
# An option, or a sign that Markdown would take for its own.
_TYPED = re.compile(r"^-{1,2}[a-z]|[*_\[\]<>|@]")

_SECTIONS = {
    "error": "Errors: what is documented is wrong",
    "warning": "Warnings: what is documented needs a second look",
    "note": "Notes: good to know",
    None: "Not checked: something was missing",
}


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """One command: all words of its name (``zoo cache info``), its usage, and its help.

    ``options`` has each as it is written, what it does, and its variables; arguments come first.
    """

    name: str
    usage: str
    help: tuple[str, ...]
    options: tuple[tuple[str, str, str], ...]

    @property
    def summary(self) -> str:
        """The first sentence of the help, without its full stop."""
        return self.help[0].partition(". ")[0].removesuffix(".") if self.help else ""


def commands() -> tuple[CommandHelp, ...]:
    """Every command that `zoo` has, in the order of its help; a group is named by its commands."""
    from harness.cli.app import app

    root: Any = typer.main.get_command(app)
    return tuple(_commands(root, root.make_context("zoo", [], resilient_parsing=True)))


def _commands(group: Any, context: Any) -> Iterator[CommandHelp]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner)
        elif not command.hidden:
            yield _described(command, inner)


def _described(command: Any, context: Any) -> CommandHelp:
    words = [context.command_path, *command.collect_usage_pieces(context)]
    paragraphs = (command.help or "").replace("\f", "").strip().split("\n\n")
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    shown.sort(key=lambda parameter: parameter.param_type_name != "argument")
    return CommandHelp(
        name=context.command_path,
        usage=" ".join(words),
        help=tuple(" ".join(each.split()) for each in paragraphs if each.strip()),
        options=tuple(map(_option, shown)),
    )


def _option(parameter: Any) -> tuple[str, str, str]:
    """An option or an argument: how it is written, what it does, and its variables."""
    from harness.cli.app import spelt

    text, _, variables = " ".join((parameter.help or "").split()).partition(" [env: ")
    return spelt(parameter), text, variables.removesuffix("]")


def commands_page() -> str:
    """The page of all commands in Markdown; an option of several commands is described once."""
    described = commands()
    count = Counter(option for command in described for option in command.options)
    shared = sorted(option for option, times in count.items() if times >= _SHARED)
    parts = [_INTRODUCTION]
    for command in described:
        parts += [f"## {command.name}", "\n\n".join(map(_prose, command.help))]
        examples = EXAMPLES.get(command.name.partition(" ")[2], ())
        lines = [command.usage, *(f"\n# {why}\nzoo {line}" for line, why in examples)]
        parts += ["```text\n{}\n```".format("\n".join(lines))]
        own = [option for option in command.options if option not in shared]
        others = ", ".join(f"`{option[0]}`" for option in command.options if option in shared)
        parts += [_options(own)] if own else []
        parts += [f"Of the [shared options](#shared-options): {others}."] if others else []
    parts += ["## Shared options", _options(shared)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _options(options: Iterable[tuple[str, str, str]]) -> str:
    rows = [(typed(name), Markdown(_prose(text)), typed(env)) for name, text, env in options]
    return table(("option", "meaning", "variable"), rows)


def _prose(text: str) -> str:
    """A text of this command's own, with what is typed letter by letter as code."""
    return " ".join(map(_word, text.split()))


def _word(word: str) -> str:
    core = word.lstrip("(").rstrip("),.;:")
    if not _TYPED.search(core):
        return word
    return word.replace(core, _in_cell(f"`{core}`"))


def compact() -> str:
    """The table of the README: a row per command, linked to its part of the page."""
    rows = [
        (
            Markdown(f"[`{each.name}`]({COMMANDS.as_posix()}#{each.name.replace(' ', '-')})"),
            each.summary,
        )
        for each in commands()
    ]
    return f"{BEGIN}\n\n{table(('command', 'what it does'), rows)}\n\n{END}"


def causes_page() -> str:
    parts = [_CAUSES_INTRODUCTION]
    for severity, heading in _SECTIONS.items():
        rows = "".join(
            f"| `{cause.id}` | {cause.severity or 'none'} | "
            f"{' | '.join(map(_in_cell, (cause.meaning, cause.example, cause.remedy)))} |\n"
            for cause in CAUSES.values()
            if cause.severity == severity
        )
        head = "| cause | severity | meaning | example | remedy |\n|---|---|---|---|---|\n"
        parts.append(f"## {heading}\n\n{head}{rows}")
    return "\n".join(parts)


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|")


class NoMarkers(ValueError):
    """The README has no place for the table."""


def with_table(readme: str) -> str:
    """The README with the table in its place.

    Raises:
        NoMarkers: nothing in it marks the place.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoMarkers(f"{README}: write {BEGIN} and {END} where the commands are to be")
    return f"{before}{compact()}{after}"


def report_schema() -> str:
    """The schema of the JSON document, with the causes that there are."""
    schema = json_schema()
    schema["$defs"]["finding"]["properties"]["cause"]["enum"] = [*CAUSES, None]
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def diff_schema() -> str:
    """The schema of what `zoo diff` prints, with findings as a report has them."""
    schema, known = json_schema(DIFF_SCHEMA.stem), json.loads(report_schema())["$defs"]
    finding = known["finding"]
    was = dict.fromkeys(("status", "severity", "cause", "documented", "measured", "accepted"))
    about = {name: finding["properties"][name] for name in was}
    about["accepted"] = {"type": ["string", "null"]}
    finding["properties"] |= {
        "causes": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/cause"}},
        "was": {
            "description": "how it stood before, or the finding that was in its place",
            "type": "object",
            "additionalProperties": False,
            "required": list(was),
            "properties": about,
        },
        "in": {"description": "which report an unseen one is of", "enum": ["old", "new"]},
    }
    schema["$defs"] |= {"finding": finding, "location": known["location"]}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with ``--check`` compare them; the exit status."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: python -m harness.docs.reference [--check]\n")
        return 2
    readme = read(README)
    if readme is None:
        sys.stderr.write(f"{README}: is not here; run this in the root of the repository\n")
        return 2
    status = 0
    wanted = {
        COMMANDS: commands_page(),
        CAUSES_PAGE: causes_page(),
        INDEX_PAGE: index_format_page(),
        INDEX_SCHEMA: json.dumps(index_schema(), indent=2) + "\n",
        REPORT_SCHEMA: report_schema(),
        DIFF_SCHEMA: diff_schema(),
        README: with_table(readme),
    }
    for path, new in wanted.items():
        old = read(path)
        if not differs(new, old):
            continue
        if not arguments:
            replace_file(path, new.encode("utf-8"))
            sys.stdout.write(f"{path}\n")
            continue
        status = 1
        lines = [f"{path}: differs from its source; run python -m harness.docs.reference"]
        lines += difference(old or "", new, path.name)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
