"""Options, variables and `[tool.zoo]`: one table of rules, and which of them counts."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import pytest

from harness.config import GROUPS, RunConfig, UsageError, configure, resolve
from harness.config.commands import COMMANDS, OWN
from harness.config.options import SHARED

EVERY = [*SHARED.values(), *chain.from_iterable(own.values() for own in OWN.values())]


@pytest.fixture
def written(tmp_path):
    def write(text, folder=""):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "pyproject.toml").write_text(text)
        return place

    return write


def config(folder, environment=None, command="verify", **options):
    return resolve(command, options, folder, environment or {})[0]


def lines(*arguments, **options):
    with pytest.raises(UsageError) as caught:
        config(*arguments, **options)
    return list(caught.value.lines)


def test_keys_are_read_from_the_nearest_file_with_the_table(written, tmp_path):
    assert config(tmp_path) == RunConfig()
    top = written(
        """
        [tool.zoo]
        index = ["a.yml", "/b", "package:torchvision"]
        checks = ["flops", "layers"]
        device = "cuda:1"
        format = "json"
        fail-on = "warning"
        no-store = true
        time-limit = "5m"
        data = "images"
        [tool.zoo.train]
        data = "classes"
        epochs = 3
        """
    )
    expected = {"checks": ("flops", "layers"), "device": "cuda:1", "format": "json"}
    expected |= {"fail_on": "warning", "no_store": True, "budget": 300.0}
    package = Path("package:torchvision")
    index = (Path("a.yml"), Path("/b"), package)
    assert config(top) == RunConfig(**expected, index=index, data=("images",))
    written("[project]\nname = 'zoo'\n", "a/c")
    # Paths are relative to the file that holds them.
    index = (Path("../../a.yml"), Path("/b"), package)
    assert config(top / "a" / "c") == RunConfig(**expected, index=index, data=("../../images",))
    own = resolve("train", {}, top / "a" / "c", {})[1]
    assert (own["data"], own["epochs"]) == (Path("../../classes"), 3)
    written('[tool.zoo]\nformat = "markdown"\n', "a/b")
    assert config(top / "a" / "b") == RunConfig(format="markdown")
    # A broken file of another project is not ours to report.
    assert config(written("[tool.other\n", "other")) != RunConfig(format="markdown")


def test_the_command_line_beats_the_environment_and_that_the_file(written):
    folder = written('[tool.zoo]\nformat = "json"\ndevice = "cuda"\nno-store = true\nworkers = 2\n')
    variables = {"ZOO_FORMAT": "sarif", "ZOO_DEVICE": "cuda:1", "ZOO_WORKERS": "3"}
    made = config(folder, variables, format="markdown", **{"no-store": False})
    assert (made.format, made.device, made.no_store) == ("markdown", "cuda:1", False)
    assert (made.workers, made.decode_workers) == (3, 3)
    assert config(folder, {"ZOO_DECODE_WORKERS": "0"}, workers="5").decode_workers == 0
    # An empty variable is not set, and the first of an option's names counts.
    assert config(folder, {"ZOO_FORMAT": "", "ZOO_IMAGENET": "a"}).data == ("a",)
    assert config(folder, {"ZOO_DATA": "b", "ZOO_IMAGENET": "a"}).data == ("b",)
    index = ["a b.yml", "package:torchvision", "c"]
    made = config(folder, {"ZOO_INDEX": os.pathsep.join(index)})
    assert [*map(str, made.index)] == index


def test_what_one_call_does_is_set_nowhere_else(written):
    folder = written("[tool.zoo.fix]\nwrite = true\n")
    assert lines(folder)[0].startswith("pyproject.toml: [tool.zoo.fix] write: there is no such key")
    for option in EVERY:
        assert bool(option.environment) == option.configurable
    own = resolve("fix", {}, folder.parent, {"ZOO_WRITE": "1", "ZOO_FIX_WRITE": "1"})[1]
    assert own["write"] is False


# A value of each kind that is wrong as TOML and as text, and what is said of it in either case.
WRONG = {
    "samples": ('"5"', "x", "is not a whole number from 1; write one"),
    "workers": ("-1", "-1", "is not a whole number from 0; write one"),
    "max-bytes": ("0", "5GO", "is not a size; write one such as 500MB, 2GiB or 1000000"),
    "format": ('"jsno"', "jsno", "there is no format 'jsno'; did you mean json?"),
    "fail-on": ('"notes"', "notes", "'notes' is not a severity; did you mean note?"),
    "amp": ('"fp61"', "fp61", "'fp61' is not a precision; did you mean fp16?"),
    "no-store": ('"yes"', "ja", "is neither true nor false; write one of them"),
    "checks": ('["flop"]', "flop", "there are no checks 'flop'; did you mean flops?"),
    "device": ('"gpu"', "gpu", "'gpu' is not a device; write auto, cpu, cuda or cuda:0"),
    "budget": ("0", "5d", "is not a time; write one such as 90s, 10m or 2h"),
    "max-memory": ("5", "8KB", "is not enough memory; write 256MiB or more, such as 8GiB"),
    "dataset": ('"cifar10"', "cifar10", "can't be stated of images; write imagenet-1k"),
}


def test_a_value_is_wrong_in_the_same_words_wherever_it_is_written(written, tmp_path):
    for name, (toml, text, words) in WRONG.items():
        option = SHARED[name]
        (line,) = lines(written(f"[tool.zoo]\n{name} = {toml}\n", "file"))
        assert line.startswith(f"pyproject.toml: [tool.zoo] {name}: ")
        assert words in line
        (line,) = lines(tmp_path, {option.environment[0]: text})
        assert line.startswith(f"{option.environment[0]}: ")
        assert words in line
        if not option.rule.is_switch:
            (line,) = lines(tmp_path, data="x", **{name: text})
            assert line.startswith(f"--{name}: ")
            assert words in line
    for line, words in (
        ("formt = 1", "formt: there is no such key; did you mean format?"),
        ("fail_on = 1", "fail_on: there is no such key; did you mean fail-on?"),
        ("format = 3", "format: 3 is not text; write a word in quotes"),
        ("builder = []", "builder: [] is not text; write a word in quotes"),
        ("index = [1]", "index: [1] is not a path; write a path, or a list of paths"),
        ("checks = 1", "checks: 1 is not a list; write names such as"),
        ('checks = ""', "checks: names no checks; write some of metadata,"),
        ("samples = true", "samples: True is not a whole number from 1"),
        ("budget = inf", "budget: inf is not a time"),
    ):
        (found,) = lines(written(f"[tool.zoo]\n{line}\n"))
        assert found.startswith(f"pyproject.toml: [tool.zoo] {words}")


def test_all_mistakes_are_reported(written):
    found = lines(written('[tool.zoo]\nformat = 1\ndevice = "x"\n[tool.zoo.train]\nepoch = 1\n'))
    assert [line.partition("]")[2].split()[0] for line in found] == ["format:", "device:", "epoch:"]


def test_a_slip_in_the_name_of_a_variable_is_reported_and_no_other_program_s(tmp_path):
    foreign = {"ZOO_LOG_DIR": "/", "ZOO_DATA_DIR": "/", "ZOO_DEBUG": "1", "ZOO_RUN": "audit"}
    foreign |= {"ZOO_SARIF": "zoo.sarif", "ZOO_HOME": "/", "ZOO_DATE": "1", "ZOO_CACHE": "1"}
    assert config(tmp_path, foreign) == RunConfig()
    for slip, meant in {"OFLINE": "OFFLINE", "FROMAT": "FORMAT", "TIMELIMIT": "TIME_LIMIT"}.items():
        expected = f"ZOO_{slip}: there is no such variable; did you mean ZOO_{meant}?"
        assert expected in lines(tmp_path, {**foreign, f"ZOO_{slip}": "1"})


@pytest.mark.parametrize("text", ["[tool.zoo\n", "tool.zoo = 1\n[tool.zoo]\n"])
def test_a_file_that_is_not_toml(text, written):
    assert lines(written(text))[0].startswith("pyproject.toml: can't be read as TOML: ")
    (line,) = lines(written("[tool]\nzoo = 3\n"))
    assert line.startswith("pyproject.toml: [tool.zoo]: 3 is not a table")


def test_values_of_the_command_line(tmp_path):
    made = config(
        tmp_path, checks="flops, layers,", budget="2h", **{"max-memory": "1GiB"}, data="x"
    )
    assert (made.checks, made.budget, made.max_memory) == (("flops", "layers"), 7200.0, 2**30)
    assert config(tmp_path, checks=",".join(GROUPS)).checks == GROUPS
    words = {"1": True, "true": True, "ON": True, "0": False, "no": False, "False": False}
    for word, meant in words.items():
        assert config(tmp_path, {"ZOO_OFFLINE": word}).offline is meant
    # What was given can be given again.
    options = {"index": ["a b", "c"], "no-store": True, "offline": False, "format": "json"}
    assert config(tmp_path, **options).repeated() == "--index 'a b' --index c --no-store --online"


def test_a_program_asks_by_the_same_rules():
    made = configure(["resnest14d"], index="a.yml", checks=["flops"], timeout="90s", data=None)
    assert made == RunConfig(
        index=(Path("a.yml"),), select=("resnest14d",), checks=("flops",), timeout=90.0
    )
    with pytest.raises(UsageError) as caught:
        configure(buildr="timm", samples=0)
    assert [line.partition(";")[0] for line in caught.value.lines] == [
        "buildr: there is no such option",
        "samples: 0 is not a whole number from 1",
    ]


def test_each_option_is_declared_whole():
    variables = [name for option in EVERY for name in option.environment]
    # --workers of a command that builds nothing is --decode-workers.
    assert {name for name in variables if variables.count(name) > 1} == {"ZOO_WORKERS"}
    assert set(OWN) == set(COMMANDS)
    for option in EVERY:
        assert option.help.endswith("."), option.name
        assert option.rule.is_switch or option.metavar
        if option.default not in (None, ()) and not option.rule.is_path:
            option.rule.check(option.default)
    for field in RunConfig.__dataclass_fields__.keys() - {
        "select",
        "part",
        "bound",
        "given",
        "named_by",
        "precisions",
        "run_by",
        "usual_builder",
    }:
        assert field.replace("_", "-") in SHARED
