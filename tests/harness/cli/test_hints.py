"""Every hint that names a command can be pasted: it has the options of the run that printed it."""

from __future__ import annotations

import re
import shlex

import pytest

from harness.config.commands import COMMANDS

# The words that follow upon a command in a sentence end it.
_END = r"(?= (?:shows|lists|says|explains|checks)\b|;|$)"
_HINT = re.compile(rf"\bzoo (?:{'|'.join(COMMANDS)})(?![\w:])[^\n]*?{_END}", re.M)
INDEX = """\
Collections:
- Name: Residual nets
Models:
""" + "".join(
    f"- Name: {name}\n  In Collection: Residual nets\n  Metadata:\n"
    f"    Parameters: {parameters}\n    FLOPs: {flops}\n    FLOPs Convention: macs\n"
    for name, parameters, flops in (
        ("resnet18", 11689512, 3_628_146_688),
        ("resnet34", 21797672, 7_327_522_816),
        ("resnet50", 25557032, 8_178_368_512),
    )
)


def hints(text: str) -> list[str]:
    """The commands that a text names, each with its options."""
    return _HINT.findall(text)


def test_a_hint_is_found_with_its_options():
    text = "no; zoo list --index 'a b' shows all\nzoo rule flops.differs says more\n"
    assert hints(text) == ["zoo list --index 'a b'", "zoo rule flops.differs"]


def test_a_name_that_looks_like_an_option_can_be_pasted(zoo, folder):
    (folder / "odd.yml").write_text(INDEX.replace("resnet18", "--x"))
    found = hints(zoo("show", "--index", "odd.yml", "--", "--x").stdout)
    assert found == ["zoo verify --index odd.yml -- --x"]
    done = zoo("-q", *shlex.split(found[0])[1:])
    assert (done.returncode, "--x: Name: the builder zoo" in done.stdout) == (1, True)


@pytest.mark.slow
def test_every_hint_of_a_run_can_be_pasted(zoo, zoo_on_a_terminal, folder):
    """Of runs whose index, builder and other options are none of the usual ones."""
    pytest.importorskip("torchvision")
    (folder / "my index.yml").write_text(INDEX)
    (folder / "broken.yml").write_text("Models:\n- Name: resnest14d\n  Metadata:\n    FLOPs: '?'\n")
    ours = ("--index", "my index.yml", "--builder", "torchvision", "--offline")
    runs = {
        "zoo explain": ("verify", "--all", *ours, "--checks", "flops"),
        "zoo explain ": ("show", "resnet*", *ours),
        "zoo show": ("explain", "resnet18", "Zzzzz", *ours),
        "zoo list": ("verify", "zzzzzz", *ours),
        "zoo list ": ("show", "zzzzzz", *ours),
        "zoo verify": ("audit", *ours[:2], "--baseline", "my known.yml"),
        "zoo verify ": ("verify", "--all", *ours, "--baseline", "known.yml"),
        "zoo docs": ("docs", *ours[:2], "--check", "--output", "my pages"),
        "zoo audit": ("verify", "--all", "--index", "broken.yml", "--offline", "-v"),
    }
    pasted = []
    for named, run in runs.items():
        _, out, err = zoo_on_a_terminal(*run, columns=1000, NO_COLOR="1")
        found = dict.fromkeys(hints(out + err))
        assert any(hint.startswith(named.strip()) for hint in found), (run, err)
        for hint in found:
            words = shlex.split(hint)[1:]
            # What it needs is known: no builder but that one has these names.
            done = zoo(*words)
            assert done.returncode in (0, 1), (hint, done.stderr)
            assert "build.unknown" not in done.stdout, hint
            pasted.append(hint)
    assert sum("--builder torchvision" in hint for hint in pasted) >= 4
    assert all("my index.yml" in hint or "broken" in hint for hint in pasted)
