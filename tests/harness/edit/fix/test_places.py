"""Every way to write a value: its text is replaced, keys stand right below it, all else stays."""

from __future__ import annotations

import difflib
import json
import re

from loops import each

HEAD = "Models:\n- Name: net\n  Metadata:\n"
RIGHT = 13378889664
KEYS = {"FLOPs_Convention": "fvcore", "FLOPs_Input": (256, 326)}
WISH = ("net", "FLOPs", RIGHT, KEYS)


def keys_at(indent):
    return f"{indent}FLOPs Convention: fvcore\n{indent}FLOPs Input: 256x326\n"


BLOCK = keys_at("    ")


def form(text, keys=BLOCK):
    """A text before and after: ``@`` is the number, ``^`` where the keys are put."""
    pairs = (("17423183648", ""), (f"{RIGHT}", keys))
    return tuple(text.replace("@", number).replace("^", more) for number, more in pairs)


JSON_LINE = '"Models": [{\n\t"Name": "net",\n\t"FLOPs": @,\n^\t"Layers": 5\n}]'
FORMS = {
    "block": form(HEAD + "    FLOPs: @ # a note\n^    Layers: 5\n"),
    "no line break at the end": form(HEAD + "    FLOPs: @^", "\n" + keys_at("    ").rstrip()),
    "the last line": form(HEAD + "    FLOPs: @\n^"),
    "tabs before the note, spaces at the end": form(
        HEAD + "    FLOPs:   @\t# tab  \n^    Layers: 5   \n"
    ),
    "first key of a list's item": form("Models:\n- FLOPs: @\n^  Name: net\n", keys_at("  ")),
    "on the next line": form(HEAD + "    FLOPs:\n      @\n^    Layers: 5\n"),
    "block scalar": form(HEAD + "    FLOPs: |-\n      @\n^\n    Layers: 5\n"),
    "quotes with escapes": (
        HEAD + '    FLOPs: "1742318\\x33648"\n    Layers: 5\n',
        HEAD + '    FLOPs: "13378889664"\n' + BLOCK + "    Layers: 5\n",
    ),
    "anchor and tag": form(HEAD + "    FLOPs: &f !!str @\n^    Layers: 5\n"),
    "keys that are there already": (
        HEAD + "    flops: 17423183648\n    FLOPs Convention: 'macs' # why\n"
        "    FLOPs Input: [224, 224]\n",
        HEAD + "    flops: 13378889664\n    FLOPs Convention: 'fvcore' # why\n"
        "    FLOPs Input: [256, 326]\n",
    ),
    "braces": form(
        "Models:\n- {Name: net, Metadata: {FLOPs: @^, Layers: 5}}\n",
        ", FLOPs Convention: fvcore, FLOPs Input: 256x326",
    ),
    "JSON": form(
        json.dumps({"Models": [{"Name": "net", "Metadata": {"FLOPs": 0}}]}, indent=2).replace(
            "0", "@^"
        ),
        "".join(
            f',\n{" " * 8}"FLOPs {key}"' for key in ('Convention": "fvcore', 'Input": "256x326')
        ),
    ),
    "JSON, one line, another key behind it": form(
        '{"Models":[{"Name":"net","Metadata":{"FLOPs":@^,"Layers":5}}]}',
        ',"FLOPs Convention":"fvcore","FLOPs Input":"256x326"',
    ),
    "JSON, a key on each line": form(
        f"{{{JSON_LINE}}}\n", '\t"FLOPs Convention": "fvcore",\n\t"FLOPs Input": "256x326",\n'
    ),
    "braces with a note": form(
        "Models:\n- {\n  Name: net,\n  FLOPs: @^ # counted\n  }\n",
        ", FLOPs Convention: fvcore, FLOPs Input: 256x326",
    ),
    "twice in one entry": form(
        "Models:\n- Name: net\n  FLOPs: @\n^  FLOPs: 17423183648\n", keys_at("  ")
    ),
}
YAML_FORMS = [name for name in FORMS if not name.startswith("JSON")]


@each("form", FORMS)
def test_each_form_is_mended_in_place(mend, patched, form):
    old, new = FORMS[form]
    mended = mend(old, WISH)
    assert mended.refusals == []
    assert mended.data.decode() == new
    assert set(patched(mended).values()) == {new.encode()}


@each("form", FORMS)
@each("line_break", ["\r\n", "\r"])
def test_line_breaks_and_a_byte_order_mark_stay(mend, patched, form, line_break):
    old, new = (b"\xef\xbb\xbf" + t.replace("\n", line_break).encode() for t in FORMS[form])
    mended = mend(old, WISH)
    assert mended.refusals == []
    assert mended.data == new
    assert set(patched(mended).values()) == {new}


@each("form", YAML_FORMS)
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


@each("end", [" -->", " # a note -->", "\n-->"])
def test_a_key_stays_inside_the_comment(mend, end):
    head = "<!-- Type: model-index\n" + HEAD
    mended = mend(f"{head}    FLOPs: 17423183648{end}\nprose\n", WISH, file="page.mdx")
    assert mended.refusals == []
    assert mended.data.decode() == (
        f"{head}    FLOPs: 13378889664\n    FLOPs Convention: fvcore\n    FLOPs Input: 256x326{end}"
        "\nprose\n"
    )


@each(
    "text, why",
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


@each("name", ["a b.yml", 'qu"ote.yml', "ta\tb.yml", "ü.yml", "-x.yml"])
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
