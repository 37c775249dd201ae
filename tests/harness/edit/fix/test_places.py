"""Every way to write a value: its text is replaced, keys stand right below it, all else stays."""

from __future__ import annotations

import difflib
import json
import re

import pytest

HEAD = "Models:\n- Name: net\n  Metadata:\n"
RIGHT = 13378889664
KEYS = {"FLOPs_Convention": "fvcore", "FLOPs_Input": (256, 326)}
WISH = ("net", "FLOPs", RIGHT, KEYS)

FORMS = {
    "block": (
        HEAD + "    FLOPs: 17423183648 # a note\n    Layers: 5\n",
        HEAD + "    FLOPs: 13378889664 # a note\n    FLOPs Convention: fvcore\n"
        "    FLOPs Input: 256x326\n    Layers: 5\n",
    ),
    "no line break at the end": (
        HEAD + "    FLOPs: 17423183648",
        HEAD + "    FLOPs: 13378889664\n    FLOPs Convention: fvcore\n    FLOPs Input: 256x326",
    ),
    "the last line": (
        HEAD + "    FLOPs: 17423183648\n",
        HEAD + "    FLOPs: 13378889664\n    FLOPs Convention: fvcore\n    FLOPs Input: 256x326\n",
    ),
    "tabs before the note, spaces at the end": (
        HEAD + "    FLOPs:   17423183648\t# tab  \n    Layers: 5   \n",
        HEAD + "    FLOPs:   13378889664\t# tab  \n    FLOPs Convention: fvcore\n"
        "    FLOPs Input: 256x326\n    Layers: 5   \n",
    ),
    "first key of a list's item": (
        "Models:\n- FLOPs: 17423183648\n  Name: net\n",
        "Models:\n- FLOPs: 13378889664\n  FLOPs Convention: fvcore\n  FLOPs Input: 256x326\n"
        "  Name: net\n",
    ),
    "on the next line": (
        HEAD + "    FLOPs:\n      17423183648\n    Layers: 5\n",
        HEAD + "    FLOPs:\n      13378889664\n    FLOPs Convention: fvcore\n"
        "    FLOPs Input: 256x326\n    Layers: 5\n",
    ),
    "block scalar": (
        HEAD + "    FLOPs: |-\n      17423183648\n\n    Layers: 5\n",
        HEAD + "    FLOPs: |-\n      13378889664\n    FLOPs Convention: fvcore\n"
        "    FLOPs Input: 256x326\n\n    Layers: 5\n",
    ),
    "quotes with escapes": (
        HEAD + '    FLOPs: "1742318\\x33648"\n    Layers: 5\n',
        HEAD + '    FLOPs: "13378889664"\n    FLOPs Convention: fvcore\n'
        "    FLOPs Input: 256x326\n    Layers: 5\n",
    ),
    "anchor and tag": (
        HEAD + "    FLOPs: &f !!str 17423183648\n    Layers: 5\n",
        HEAD + "    FLOPs: &f !!str 13378889664\n    FLOPs Convention: fvcore\n"
        "    FLOPs Input: 256x326\n    Layers: 5\n",
    ),
    "keys that are there already": (
        HEAD + "    flops: 17423183648\n    FLOPs Convention: 'macs' # why\n"
        "    FLOPs Input: [224, 224]\n",
        HEAD + "    flops: 13378889664\n    FLOPs Convention: 'fvcore' # why\n"
        "    FLOPs Input: [256, 326]\n",
    ),
    "braces": (
        "Models:\n- {Name: net, Metadata: {FLOPs: 17423183648, Layers: 5}}\n",
        "Models:\n- {Name: net, Metadata: {FLOPs: 13378889664, FLOPs Convention: fvcore, "
        "FLOPs Input: 256x326, Layers: 5}}\n",
    ),
    "JSON": (
        json.dumps({"Models": [{"Name": "net", "Metadata": {"FLOPs": 17423183648}}]}, indent=2),
        json.dumps(
            {
                "Models": [
                    {
                        "Name": "net",
                        "Metadata": {
                            "FLOPs": RIGHT,
                            "FLOPs Convention": "fvcore",
                            "FLOPs Input": "256x326",
                        },
                    }
                ]
            },
            indent=2,
        ),
    ),
    "JSON, one line, another key behind it": (
        '{"Models":[{"Name":"net","Metadata":{"FLOPs":17423183648,"Layers":5}}]}',
        '{"Models":[{"Name":"net","Metadata":{"FLOPs":13378889664,"FLOPs Convention":"fvcore",'
        '"FLOPs Input":"256x326","Layers":5}}]}',
    ),
    "JSON, a key on each line": (
        '{"Models": [{\n\t"Name": "net",\n\t"FLOPs": 17423183648,\n\t"Layers": 5\n}]}\n',
        '{"Models": [{\n\t"Name": "net",\n\t"FLOPs": 13378889664,\n'
        '\t"FLOPs Convention": "fvcore",\n\t"FLOPs Input": "256x326",\n\t"Layers": 5\n}]}\n',
    ),
    "braces with a note": (
        "Models:\n- {\n  Name: net,\n  FLOPs: 17423183648 # counted\n  }\n",
        "Models:\n- {\n  Name: net,\n  FLOPs: 13378889664, FLOPs Convention: fvcore, "
        "FLOPs Input: 256x326 # counted\n  }\n",
    ),
    "twice in one entry": (
        "Models:\n- Name: net\n  FLOPs: 17423183648\n  FLOPs: 17423183648\n",
        "Models:\n- Name: net\n  FLOPs: 13378889664\n  FLOPs Convention: fvcore\n"
        "  FLOPs Input: 256x326\n  FLOPs: 17423183648\n",
    ),
}
YAML_FORMS = [name for name in FORMS if not name.startswith("JSON")]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_mended_in_place(mend, patched, form):
    old, new = FORMS[form]
    mended = mend(old, WISH)
    assert mended.refusals == []
    assert mended.data.decode() == new
    assert set(patched(mended).values()) == {new.encode()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("line_break", ["\r\n", "\r"])
def test_line_breaks_and_a_byte_order_mark_stay(mend, patched, form, line_break):
    old, new = (b"\xef\xbb\xbf" + t.replace("\n", line_break).encode() for t in FORMS[form])
    mended = mend(old, WISH)
    assert mended.refusals == []
    assert mended.data == new
    assert set(patched(mended).values()) == {new}


@pytest.mark.parametrize("form", YAML_FORMS)
def test_a_page_keeps_its_prose(mend, patched, form):
    """A page's comment, between prose that looks like an index and is none."""
    before = "# Net\n\n```yaml\nFLOPs: 17423183648\n```\n\n\x0bFLOPs: 17423183648\n\n<!--\n"
    before += "Type: model-index\n"
    after = "-->\n\nü\x0c The FLOPs: 17423183648\n"
    old, new = (before + text.rstrip("\n") + "\n" + after for text in FORMS[form])
    mended = mend(old, WISH, file="page.md")
    assert mended.refusals == []
    assert mended.data.decode() == new
    assert set(patched(mended).values()) == {new.encode()}


@pytest.mark.parametrize("end", [" -->", " # a note -->", "\n-->"])
def test_a_key_stays_inside_the_comment(mend, end):
    head = "<!-- Type: model-index\n" + HEAD
    mended = mend(f"{head}    FLOPs: 17423183648{end}\nprose\n", WISH, file="page.mdx")
    assert mended.refusals == []
    assert mended.data.decode() == (
        f"{head}    FLOPs: 13378889664\n    FLOPs Convention: fvcore\n    FLOPs Input: 256x326{end}"
        "\nprose\n"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + "    ? FLOPs\n    : 17423183648\n", "beginning of a line"),
        (HEAD + '    FLOPs: "17423\\\n      183648"\n', "several lines"),
        (HEAD + "    Layers: 5\n    ? FLOPs\n    : 17423183648\n", "beginning of a line"),
    ],
)
def test_what_can_t_be_placed_is_refused_with_its_reason(mend, text, why):
    mended = mend(text, WISH)
    assert mended.proposal.rewrites == []
    assert len(mended.refusals) == 1
    assert why in mended.refusals[0]
    assert mended.diff == ""


def test_one_refusal_keeps_nothing_else_back(mend):
    text = (
        HEAD + "    ? FLOPs\n    : 17423183648\n- Name: other\n  Metadata:\n    Parameters: 5000\n"
    )
    mended = mend(text, WISH, ("other", "Parameters", 7000))
    assert len(mended.refusals) == 1
    assert mended.data.decode() == text.replace("5000", "7000")


def test_many_places_make_one_patch(mend, patched):
    """Near ones share a hunk, far ones have their own; line numbers follow what was added."""
    gaps = [0, 1, 5, 6, 7, 20, 0, 3]
    text = "Models:\n" + "".join(
        f"- Name: n{number}\n  Metadata:\n    FLOPs: 17423183648\n"
        + "".join(f"    # line {i}\n" for i in range(gap))
        for number, gap in enumerate(gaps)
    )
    mended = mend(text, *((f"n{i}", "FLOPs", RIGHT, KEYS) for i in range(len(gaps))))
    new = text.replace(
        "17423183648\n", "13378889664\n    FLOPs Convention: fvcore\n    FLOPs Input: 256x326\n"
    )
    assert mended.data.decode() == new
    assert 1 < mended.diff.count("\n@@ ") < len(gaps)
    assert set(patched(mended).values()) == {new.encode()}
    known = difflib.unified_diff(text.splitlines(), new.splitlines(), lineterm="")
    assert re.findall("^@@.*", mended.diff, re.M) == [h for h in known if h.startswith("@@")]


@pytest.mark.parametrize("name", ["a b.yml", 'qu"ote.yml', "ta\tb.yml", "ü.yml", "-x.yml"])
def test_odd_names_can_be_patched(mend, patched, name):
    old, new = FORMS["block"]
    mended = mend(old, WISH, file=name)
    assert set(patched(mended).values()) == {new.encode()}


def test_each_finding_has_a_diff_of_its_own(mend):
    text = HEAD + "    FLOPs: 17423183648\n    Parameters: 5000\n"
    mended = mend(text, WISH, ("net", "Parameters", 7000))
    flops, parameters = mended.proposal.diffs.values()
    assert "+    FLOPs: 13378889664" in flops
    assert "7000" not in flops
    assert "+    Parameters: 7000" in parameters
    assert "fvcore" not in parameters
