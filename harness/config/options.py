"""The options that mean the same in every command, each once: name, rule, default, help.

The command line (`harness.cli.options`), `[tool.zoo]` of a pyproject.toml and the environment
(`harness.config`) are all read by this table. `harness.config.commands` has the options that are
one command's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.config import rules
from harness.config.rules import LEVELS, NEVER, SEVERITIES, SWITCH, TEXT, OptionRule, choice, whole

OWN_GROUP = "Options"
GENERAL_GROUP = "General options"
# Options that every command has, before its name as well as after it.
GENERAL = ("quiet", "verbose", "log-file", "log-level")
# The sections of the help, each with the shared options that stand in it.
GROUPS: Mapping[str, tuple[str, ...]] = {
    OWN_GROUP: ("index", "builder", "checks", "cross-check"),
    "Images": ("data", "dataset", "samples", "budget", "decode", "decode-workers"),
    "Compute": (
        *("device", "amp", "compile", "workers", "timeout", "max-memory"),
        *("engine", "address"),
    ),
    "Store and network": (
        *("no-store", "refresh", "offline", "no-download", "headers", "links", "max-bytes"),
        *("allow-http", "public-hosts-only", "allow-local"),
    ),
    "Report": ("format", "fail-on", "strict", "baseline"),
    GENERAL_GROUP: GENERAL,
}
_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """An option of the command line, which may have a default elsewhere.

    Attributes:
        name: without dashes; also the key in `[tool.zoo]`, or in `[tool.zoo.<command>]` for an
            option that is one command's own.
        rule: what values are right.
        help: what it does, in sentences. The default and the variable are added to it.
        default: where nothing is given; None where the help or the command says.
        metavar: what the help calls its value, if not as the rule does.
        aliases: further names.
        short: one letter.
        opposite: of a switch, the name that turns it off again.
        field: the Python name of its value, if it isn't the name.
        configurable: a file or a variable may set it. What one call does is its caller's to say.
        required: the command can't do without.
        variables: further variables that set it.
        command: whose own it is; empty for one that means the same in every command.
        group: the section of the help that it stands in.
    """

    name: str
    rule: OptionRule
    help: str
    default: object = None
    metavar: str = ""
    aliases: tuple[str, ...] = ()
    short: str = ""
    opposite: str = ""
    field: str = ""
    configurable: bool = True
    required: bool = False
    variables: tuple[str, ...] = ()
    command: str = ""
    group: str = ""

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that set it, the one to name first."""
        if not self.configurable:
            return ()
        own = f"{self.command}_" if self.command else ""
        names = (f"ZOO_{own}{name}" for name in (self.name, *self.aliases))
        return (*(name.upper().replace("-", "_") for name in names), *self.variables)

    @property
    def text(self) -> str:
        """The help: what it does, its default, and its variables."""
        text = self.help
        if self.required:
            text += " Required."
        elif not self.rule.is_switch and self.default not in (None, ()) and "efault" not in text:
            text += f" Default: {self.rule.show(self.default)}."
        if self.environment:
            text += f" [env: {', '.join((self.environment[0], *self.variables))}]"
        return text

    def completed(self, command: str = "") -> Option:
        """The option with what follows from the rest of it."""
        opposite = self.opposite
        if self.rule.is_switch and self.configurable and not opposite:
            opposite = f"no-{self.name}"
        return replace(
            self,
            field=self.field or self.name.replace("-", "_"),
            metavar=self.metavar or self.rule.metavar,
            opposite=opposite,
            command=command,
            group=_GROUP_OF.get("" if command else self.name, OWN_GROUP),
        )


_SHARED = (
    Option(
        "index",
        rules.INDEX,
        "A YAML file, a Markdown page, a CSV table, a folder of these, a quoted pattern such as "
        "'docs/**/*.md', or package:torchvision, package:timm or package:mmpretrain for what "
        "these say of their weights; may be "
        "repeated. Default: what the [tool.zoo] of the nearest pyproject.toml that has one names, "
        "else model-index/ or model-index.yml here, or where the pyproject.toml is; "
        "for list, show, classify, features and train, failing that, the index of the package "
        "(package:zoo).",
        default=(),
    ),
    Option(
        "builder",
        TEXT,
        "Builder of the models: zoo, or what an installed package adds. It overrides the Builder "
        "of an index; in [tool.zoo] it is the one of indexes that name none. Default: zoo.",
    ),
    Option(
        "checks",
        rules.CHECKS,
        f"Groups with commas between them: {', '.join(rules.GROUPS)}. Default: all but speed.",
        rules.DEFAULT_GROUPS,
    ),
    Option(
        "device",
        rules.DEVICE,
        "cpu, cuda or cuda:N; auto is cuda where there is one, else cpu. With cuda, images are "
        "evaluated on all GPUs of the machine.",
        "auto",
    ),
    Option(
        "data",
        rules.DATA,
        "Images to measure accuracies on: a folder, a tar, WebDataset or Parquet shards, or the "
        "word sample; for a variant with Class Names, folders of those names. May be repeated, "
        "once for each dataset. Default: none.",
        default=(),
        variables=("ZOO_IMAGENET",),
    ),
    Option(
        "dataset",
        rules.DATASET,
        "Say which dataset the images are of where their names don't (zoo dataset PATH says what "
        "they do): imagenet-1k, imagenet-a ... Images that are not known to be of a dataset "
        "contradict no accuracy on it. For several --data, once for each in their order, or auto. "
        "Default: what the images tell.",
        default=(),
    ),
    Option(
        "samples",
        whole(1),
        "Evaluate on N images at the most. Default: all.",
        aliases=("max-images",),
    ),
    Option(
        "budget",
        rules.DURATION,
        "Evaluate on no further images after it: 90s, 10m or 2h; a plain number is seconds. "
        "Default: no limit.",
        aliases=("time-limit",),
    ),
    Option("amp", choice("a precision", "off", "bf16", "fp16"), "off, bf16 or fp16.", "off"),
    Option("compile", SWITCH, "Compile the models first.", False, opposite="eager"),
    Option(
        "decode",
        choice("a decoder", "pillow", "fast", "gpu"),
        "pillow; or fast, or gpu (nvJPEG, on the CUDA device), whose pixels differ a little.",
        "pillow",
        aliases=("decoder",),
    ),
    Option(
        "workers",
        whole(0),
        "Processes that build models, and that decode images unless --decode-workers says how "
        "many. Default: by the machine.",
    ),
    Option(
        "decode-workers",
        whole(0),
        "Processes that decode images; 0 decodes in the process itself. Default: by the cores "
        "and the container's quota.",
        aliases=("workers",),
    ),
    Option(
        "timeout",
        rules.DURATION,
        "Time that one variant may take to build and measure: 90s, 5m or 1h; a plain number is "
        "seconds.",
        rules.USUAL_TIMEOUT,
    ),
    Option(
        "max-memory",
        rules.MEMORY,
        "Memory that a process that builds may hold: 4GiB, 512MB; a plain number is bytes. "
        "Default: 8GiB, or half of a smaller machine's memory.",
    ),
    Option(
        "engine",
        choice("an engine", "local", "ray"),
        "local, or ray: tasks of a Ray cluster (extra ray).",
        "local",
    ),
    Option(
        "address",
        TEXT,
        "Of the Ray cluster. Default: this machine.",
        metavar="ADDRESS",
        aliases=("ray-address",),
    ),
    Option(
        "cross-check",
        choice("a counter that can be run", "fvcore"),
        "fvcore: run fvcore itself on the CPU as well, and report each operator that it counts "
        "otherwise. Default: none.",
        metavar="COUNTER",
    ),
    Option(
        "no-store",
        SWITCH,
        "Neither use nor keep measurements.",
        False,
        aliases=("no-cache",),
        opposite="store",
    ),
    Option("refresh", SWITCH, "Measure anew what is stored.", False),
    Option(
        "offline", SWITCH, "Use no network: weights from the cache alone.", False, opposite="online"
    ),
    Option("no-download", SWITCH, "Ask servers for sizes alone.", False, opposite="download"),
    Option(
        "headers",
        SWITCH,
        "Download no weights: ask servers for size and SHA-256, and read the tensors' names, "
        "shapes and types from the head of each safetensors file.",
        False,
        opposite="whole-files",
    ),
    Option(
        "links",
        SWITCH,
        "Ask servers for the pages that Paper, Code, README and Config link to, one request per "
        "host at a time: 404 and 410 are findings, any other trouble is unverified.",
        False,
    ),
    Option(
        "max-bytes",
        rules.SIZE,
        "Cut a download off after so much: 500MB, 2GiB; a plain number is bytes. Default: no "
        "limit.",
    ),
    Option(
        "allow-http",
        SWITCH,
        "Fetch over plain http from any host, not only from this machine.",
        False,
        opposite="https-only",
    ),
    Option(
        "public-hosts-only",
        SWITCH,
        "Reach no host of this machine or of a private network (loopback, private or link-local "
        "addresses) by a URL of the index, a redirect, an image or model code. Default: on where "
        "CI is set.",
        False,
        opposite="any-host",
    ),
    Option(
        "allow-local",
        SWITCH,
        "Read weights from files outside the index's own folder.",
        False,
        opposite="index-folder-only",
    ),
    Option(
        "format",
        rules.FORMAT,
        "table, json, csv, markdown, concise (path:line:column: cause message, a line for each), "
        "or what continuous integration reads: junit, sarif or github.",
        "table",
    ),
    Option(
        "fail-on",
        choice("a severity", *SEVERITIES, NEVER),
        "Exit with 1 for a finding at or above it: error, warning, note, unverified (a claim that "
        "could not be checked) or never.",
        "error",
        metavar="SEVERITY",
    ),
    Option(
        "strict",
        SWITCH,
        "Exit with 1 for a claim that could not be checked, too, such as a weights file on a host "
        "that doesn't answer, an accuracy without images, or a key that is a known one misspelt; "
        "--fail-on never stays 0.",
        False,
    ),
    Option(
        "baseline",
        rules.PATH,
        "Known findings, each with its reason: they are counted, and don't fail the run. One that "
        "settings name goes with the index that they name. Default: none.",
    ),
    Option("quiet", SWITCH, "Errors, warnings and the result alone.", False, short="q"),
    Option("verbose", SWITCH, "More: every finding in full, matches as well.", False, short="v"),
    Option(
        "log-file",
        rules.PATH,
        "Append what the command says, with times and the origin of errors, to this file as well. "
        "Default: no file.",
    ),
    Option(
        "log-level",
        choice("a level", *LEVELS),
        "What goes to --log-file, or without one to standard error: debug, info, warning or error, "
        "each with those after it. Default: info.",
        metavar="LEVEL",
    ),
)

PRECISIONS = Option(
    "precision",
    rules.PRECISIONS,
    "Evaluate the same images in several precisions and compare each with the first, always in "
    "the order off,bf16,fp16, of which off is float32. The claims are held against the first. "
    "Default: what --amp says.",
    configurable=False,
)

SHARED: Mapping[str, Option] = {each.name: each.completed() for each in _SHARED}
