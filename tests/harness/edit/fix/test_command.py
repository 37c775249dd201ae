"""`zoo fix` as people use it: verify, fix, verify, on whole pages."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cli
import pytest
from cli import run_zoo

RIGHT = {
    "resnest101e": 13378889664,
    "resnest14d": 2764157888,
    "resnest200e": 35685392064,
    "resnest269e": 77692931008,
    "resnest26d": 3643413376,
    "resnest50d": 5399965376,
    "resnest50d_1s4x24d": 4427050816,
    "resnest50d_4s2x40d": 4404996192,
}
PARAMETERS = {
    "resnest101e": 48275016,
    "resnest14d": 10611688,
    "resnest200e": 70201544,
    "resnest269e": 110929480,
    "resnest26d": 17069448,
    "resnest50d": 27483240,
    "resnest50d_1s4x24d": 25677000,
    "resnest50d_4s2x40d": 30417592,
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory, repository) -> dict[str, str]:
    """One store for all tests of this module: what is the same is measured once."""
    unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "ZOO_IMAGENET")
    cache = tmp_path_factory.mktemp("cache")
    return {key: value for key, value in os.environ.items() if key not in unset} | {
        "PYTHONPATH": str(repository),
        "XDG_CACHE_HOME": str(cache),
        "TORCH_HOME": str(cache / "torch"),
        "TERM": "xterm-256color",
    }


@pytest.fixture
def zoo(environment, folder) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments):
        return run_zoo([*arguments, "--offline"], cwd=folder, environment=environment)

    return run


@pytest.fixture
def differing(zoo) -> Callable[..., dict[tuple[str, str], dict]]:
    """What verify finds that differs: (variant, field) -> the finding as JSON has it."""

    def run(*arguments):
        done = zoo("verify", "--all", "--format", "json", *arguments)
        findings = json.loads(done.stdout)["findings"]
        return {
            (f["variant"], f["field"]): f
            for f in findings
            if f["status"] == "mismatch" and f["check"] in ("flops", "parameters", "layers")
        }

    return run


@pytest.fixture
def seed(folder, seed_index) -> Path:
    path = folder / "resnest.yml"
    path.write_bytes(seed_index.read_bytes())
    return path


def mended(text: str, convention: str) -> str:
    """The seed as it is to become, made from its own lines."""
    lines = []
    name = ""
    for line in text.splitlines(keepends=True):
        name = line[len("- Name: ") :].strip() if line.startswith("- Name: ") else name
        if line.startswith("    FLOPs: "):
            lines += [f"    FLOPs: {RIGHT[name]}\n", convention]
        else:
            lines.append(line)
    return "".join(lines)


def test_verify_fix_verify(zoo, differing, seed):
    old = seed.read_text()
    assert {field for _, field in differing("--index", seed.name)} == {"FLOPs"}
    shown = zoo("fix", "--index", seed.name)
    assert shown.returncode == 0
    assert seed.read_text() == old
    assert shown.stdout.count("\n+") == 17  # the header, 8 values, 8 keys
    done = zoo("fix", "--write", "--index", seed.name)
    assert (done.returncode, done.stdout) == (0, "")
    assert "resnest.yml: 8 values and 8 keys written" in done.stderr
    assert seed.read_text() == mended(old, "    FLOPs Convention: fvcore\n")
    assert differing("--index", seed.name) == {}
    again = zoo("fix", "--index", seed.name)
    assert (again.returncode, again.stdout) == (0, "")
    patched = seed.read_bytes()
    seed.write_text(old)
    subprocess.run(["patch", "-p1", "--quiet"], input=shown.stdout, text=True, check=True)
    assert seed.read_bytes() == patched


def test_values_can_be_kept(zoo, differing, seed):
    old = seed.read_text()
    assert zoo("fix", "--write", "--keep-values", "--index", seed.name).returncode == 0
    new = seed.read_text()
    added = re.findall(r"    FLOPs (?:Convention: thop-2020|Input: \d+x\d+)\n", new)
    assert len(added) == 16
    assert re.sub(r"    FLOPs (?:Convention|Input): .*\n", "", new) == old
    assert differing("--index", seed.name) == {}
    assert zoo("fix", "--keep-values", "--index", seed.name).stdout == ""
    assert zoo("fix", "--index", seed.name).stdout == ""


def test_names_choose_what_is_fixed(zoo, seed):
    done = zoo("fix", "resnest50d", "--index", seed.name)
    assert done.stdout.count("@@ -") == 1
    assert "+    FLOPs: 5399965376\n" in done.stdout


def test_every_finding_has_its_diff(differing, seed):
    old = seed.read_text()
    for (name, _), finding in differing("--index", seed.name).items():
        seed.write_text(old)
        subprocess.run(["git", "apply", "-"], input=finding["fix"], text=True, check=True)
        claimed = str(finding["documented"])
        assert seed.read_text() == old.replace(
            f"{claimed}\n", f"{RIGHT[name]}\n    FLOPs Convention: fvcore\n"
        )


def test_what_is_left_is_said_and_nothing_is_made_up(zoo, seed):
    done = zoo("fix", "resnest200e", "resnest101e", "--write", "--index", seed.name)
    assert "https:" not in "".join(line for line in done.stdout.splitlines() if line[:1] == "+")
    left = [line for line in done.stderr.splitlines() if ": resnest200e: Weights: " in line]
    assert any("same Weights URL" in line for line in left)
    assert re.search(r"^\d+ findings left to correct by hand", done.stderr, re.M)
    assert "FLOPs" not in done.stderr


def test_a_number_that_nothing_explains_is_kept_when_values_are(zoo, folder):
    text = "Models:\n- Name: resnest50d\n  FLOPs: 5412345678\n  Parameters: 28000001\n"
    (folder / "a.yml").write_text(text)
    done = zoo("fix", "--keep-values", "--write", "--index", "a.yml")
    assert (folder / "a.yml").read_text() == text.replace("28000001", "27483240")
    assert "a.yml:3:10: resnest50d: FLOPs: not fixed, as no convention and input" in done.stderr


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_real_page_keeps_every_other_byte(zoo, differing, folder, shared_corpus, line_break):
    """A sibling zoo's page, its variants renamed to those that are built here."""
    page = (shared_corpus / "timm-docs" / "tf-efficientnet-lite.mdx").read_text()
    page = page.replace("tf_efficientnet_lite", "efficientnet_lite")
    page = "\ufeff" + page.replace("\n", line_break).rstrip()
    path = folder / "lite.mdx"
    path.write_bytes(page.encode())
    before = differing("--index", path.name)
    found = {name: f for (name, field), f in before.items() if field == "FLOPs"}
    assert len(found) >= 3
    shown = zoo("fix", "--index", path.name).stdout
    assert zoo("fix", "--write", "--index", path.name).returncode == 0
    expected = page
    for finding in found.values():
        old, new = f"{finding['documented']}{line_break}", f"{finding['measured']}{line_break}"
        assert expected.count(old) == 1
        expected = expected.replace(old, f"{new}    FLOPs Convention: fvcore{line_break}")
    assert path.read_bytes().decode() == expected
    assert differing("--index", path.name) == {}
    path.write_bytes(page.encode())
    subprocess.run(["git", "apply", "-"], input=shown.encode(), check=True)
    assert path.read_bytes().decode() == expected


def spelt(rng, value):
    """A number written in one of many ways."""
    cut = 10 ** rng.randrange(0, len(str(value)) - 2)
    return rng.choice(
        [
            f"{value}", f"'{value}'", f'"{value // cut * cut}"', f"{value // cut * cut}",
            f"{value / 1e6:.{rng.randrange(4)}f}M", f"'{value / 1e9:.{rng.randrange(1, 5)}f} G'",
            f"'{value:,}'", f"{value:_}", f"{value:.{rng.randrange(2, 5)}e}",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--keep-values"]])
def test_every_mutation_is_mended_and_stays_so(zoo, differing, seed, options):
    """Wrong values in any spelling: after fix all match, and a second fix has nothing to do."""
    rng = random.Random(len(options))
    name = ""
    lines = []
    for line in seed.read_text().splitlines(keepends=True):
        name = line[len("- Name: ") :].strip() if line.startswith("- Name: ") else name
        value = int(PARAMETERS.get(name, 0) * rng.uniform(0.2, 5))
        flops = int(RIGHT.get(name, 0) * rng.uniform(0.2, 5))
        new = re.sub(r"(    Parameters: ).*", lambda m, v=value: m[1] + spelt(rng, v), line)
        new = re.sub(r"(    FLOPs: ).*", lambda m, v=flops: m[1] + spelt(rng, v), new)
        if rng.random() < 0.5:
            new = re.sub(r"(    Layers: )(\d+)", lambda m: m[1] + str(int(m[2]) + 3), new)
        lines.append(new)
    seed.write_bytes("".join(lines).replace("\n", "\n" if options else "\r\n").encode())
    arguments = [*options, "--index", seed.name]
    before = differing("--index", seed.name)
    assert len(before) > 8
    done = zoo("fix", "--write", *arguments)
    assert done.returncode == 0
    left = {key for key in differing("--index", seed.name) if key[1] != "FLOPs"}
    assert left == set()
    assert zoo("fix", *arguments).stdout == ""
    if not options:
        assert differing("--index", seed.name) == {}


def test_size_and_hash_of_the_variant_s_own_file(zoo, folder):
    """Measured on a file that holds the variant's tensors; on another's nothing is written."""
    import torch

    from zoo import create_model

    torch.save(create_model("efficientnet_lite0").state_dict(), folder / "lite0.pth")
    content = (folder / "lite0.pth").read_bytes()
    text = (
        "Models:\n- Name: {}\n  Weights: lite0.pth\n  Metadata:\n    File Size: 18.1 MB # wrong\n"
        f"    SHA256: '{'0A' * 32}'\n"
    )
    (folder / "a.yml").write_text(text.format("efficientnet_lite0"))
    done = zoo("fix", "--write", "--index", "a.yml")
    assert done.returncode == 0
    assert (folder / "a.yml").read_text() == text.format("efficientnet_lite0").replace(
        "18.1", f"{len(content) / 1e6:.1f}"
    ).replace("0A" * 32, hashlib.sha256(content).hexdigest().upper())
    (folder / "b.yml").write_text(text.format("efficientnet_lite1"))
    done = zoo("fix", "--write", "--index", "b.yml")
    assert (folder / "b.yml").read_text() == text.format("efficientnet_lite1")
    assert done.stderr.count("not fixed, as the file behind Weights may not be this variant's") == 2


def test_a_file_that_changes_during_the_run_is_refused(
    environment, folder, seed, tmp_path, monkeypatch
):
    fresh = environment | {"XDG_CACHE_HOME": str(tmp_path / "fresh")}
    changed = seed.read_text() + "# somebody's note\n"
    real = cli._Here.run

    def measure(engine, jobs, react):
        seed.write_text(changed)
        real(engine, jobs, react)

    monkeypatch.setattr(cli._Here, "run", measure)
    command = ["fix", "resnest14d", "--write", "--offline", "--index", seed.name]
    done = run_zoo(command, cwd=folder, environment=fresh)
    assert done.returncode == 3
    assert "has changed since it was read; nothing was written to it" in done.stderr
    assert seed.read_text() == changed


def test_several_files_and_one_that_is_read_only(zoo, folder):
    text = "Models:\n- Name: resnest50d\n  Parameters: 28000001\n"
    for name in ("a.yml", "b.yml", "c.yml"):
        (folder / name).write_text(text)
    (folder / "b.yml").chmod(0o444)
    done = zoo("fix", "--write", "--index", ".")
    assert done.returncode == 3
    assert "a.yml: 1 value written" in done.stderr
    assert "b.yml is read-only; nothing was written to it" in done.stderr
    assert "c.yml: 1 value written" in done.stderr
    texts = [(folder / name).read_text() for name in ("a.yml", "b.yml", "c.yml")]
    assert texts == [text.replace("28000001", "27483240"), text, texts[0]]


def test_colour_is_for_terminals_alone(environment, zoo, seed):
    outside, inside = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "zoo", "fix", "resnest50d", "--offline", "-q", "--index", seed.name],
        cwd=seed.parent, env=environment, stdout=inside, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    os.close(inside)
    shown = os.read(outside, 65536).decode()
    os.close(outside)
    assert "\x1b[32m+    FLOPs: 5399965376\x1b[0m" in shown
    piped = zoo("fix", "resnest50d", "--index", seed.name).stdout
    assert "\x1b" not in piped
    assert piped.splitlines() == re.sub(r"\x1b\[\d+m", "", shown).splitlines()


def test_wrong_use_is_said_in_a_line(zoo, seed):
    done = zoo("fix", "resnest5d", "--index", seed.name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "names no variant" in done.stderr


def test_what_another_counter_prints_at_the_same_input_stays(
    zoo, differing, folder, torch_macs, on_meta
):
    """Twice the products is named, thop's count too; less the classifier it has no name."""
    import thop
    import torch

    import zoo as library

    macs = torch_macs(on_meta(library.create_model, "resnest14d"), (1, 3, 224, 224))
    with_bias = 2048 * 1000 + 1000  # the classifier, which has a bias that thop counts or not
    network = library.create_model("resnest14d").eval()
    thops, _ = thop.profile(network, (torch.zeros(1, 3, 224, 224),), verbose=False)
    named = {"flops": 2 * macs, "thop": int(thops)}
    for convention, count in named.items():
        page = folder / f"{convention}.yml"
        text = (
            f"Models:\n- Name: resnest14d\n  Metadata:\n    Image Size: 224\n    FLOPs: {count}\n"
        )
        page.write_text(text, encoding="utf-8")
        done = zoo("fix", "--write", "--index", page.name)
        assert done.returncode == 0, done.stderr
        lines = page.read_text(encoding="utf-8").splitlines()
        assert f"    FLOPs: {count}" in lines
        assert f"    FLOPs Convention: {convention}" in lines
        assert differing("--index", page.name) == {}
    page = folder / "headless.yml"
    count = macs - (with_bias - 1000)
    text = f"Models:\n- Name: resnest14d\n  Metadata:\n    Image Size: 224\n    FLOPs: {count}\n"
    page.write_text(text, encoding="utf-8")
    done = zoo("fix", "--write", "--index", page.name)
    assert done.returncode == 0, done.stderr
    assert page.read_text(encoding="utf-8") == text
    found = differing("--index", page.name)[("resnest14d", "FLOPs")]
    assert found["cause"] == "flops.convention"
    assert found["fix"] is None
