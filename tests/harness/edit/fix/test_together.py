"""What edits have to do with each other: shared values, doubtful files, FLOPs and their input."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loops import each

from harness.edit.draft import Drafter
from harness.edit.fix import propose
from harness.types import Edit, Finding
from zoo.index import load_index

ALIASED = """\
Models:
- Name: a
  Metadata: &shared
    Parameters: &n 5000
    Layers: 50
- Name: b
  Metadata:
    Parameters: *n
    Layers: 50
- Name: c
  Metadata:
    <<: *shared
    Layers: 101
- Name: d
  Metadata:
    Parameters: 6000
"""


def test_all_who_share_a_value_may_change_it(mend):
    mended = mend(ALIASED, *((name, "Parameters", 7000) for name in "abc"))
    assert mended.refusals == []
    assert mended.data.decode() == ALIASED.replace("5000", "7000")


@each("wishes", ["a", "ab", "bc"])
def test_not_against_one_who_was_not_asked(mend, wishes):
    mended = mend(ALIASED, *((name, "Parameters", 7000) for name in wishes))
    assert mended.proposal.rewrites == []
    (left_out,) = set("abc") - set(wishes) if len(wishes) == 2 else ("bc",)
    assert len(mended.refusals) == len(wishes)
    assert all(any(name in why for name in left_out) for why in mended.refusals)


def test_not_where_two_want_different_values(mend):
    mended = mend(ALIASED, ("a", "Parameters", 7000), ("b", "Parameters", 7000),
                  ("c", "Parameters", 8000), ("d", "Parameters", 8000))  # fmt: skip
    assert len(mended.refusals) == 3
    assert mended.data.decode() == ALIASED.replace("6000", "8000")


def test_not_where_another_key_has_the_same_value(mend):
    text = "Models:\n- Name: a\n  Metadata:\n    Epochs: &n 50\n    Layers: *n\n"
    mended = mend(text, ("a", "Layers", 101))
    assert mended.refusals == ["its value is also that of Epochs, through an alias"]


def test_a_key_is_not_added_to_what_another_entry_takes_over(mend):
    """c overrides the FLOPs it takes over, and would take over their convention."""
    text = (
        "Models:\n- Name: a\n  Metadata: &shared\n    FLOPs: 5000\n"
        "- Name: c\n  Metadata:\n    <<: *shared\n    FLOPs: 6000\n"
    )
    mended = mend(text, ("a", "FLOPs", 7000, {"FLOPs_Convention": "fvcore"}))
    assert mended.refusals == ["c would say something new of FLOPs Convention"]
    assert mended.proposal.rewrites == []


def test_a_collection_keeps_what_it_says(mend):
    text = (
        "Collections:\n- Name: nets\n  Metadata:\n    Layers: &n 50\n"
        "Models:\n- Name: a\n  In Collection: nets\n  Metadata:\n    Layers: *n\n"
    )
    mended = mend(text, ("a", "Layers", 101))
    assert mended.refusals == ["nets shares it through an alias, and is not to change alike"]


def test_each_figure_of_one_name_is_its_own(mend, wishing):
    """The same variant in two entries: only the one that is wrong changes."""
    text = "Models:\n- Name: a\n  Parameters: 5000\n- Name: a\n  Parameters: 5000 # right\n"
    mended = mend(text, ("a", "Parameters", 7000))
    assert mended.data.decode() == text.replace("5000\n-", "7000\n-")


def test_two_wishes_for_one_key_are_not_both_met(mend):
    text = "Models:\n- Name: a\n  FLOPs: 5000\n  FLOPs: 6000\n"
    first = mend(text, ("a", "FLOPs", 7000, {"FLOPs_Convention": "fvcore"}))
    second_claim = first.index.variants[0].claims[-1]
    (wish,) = first.proposal.rewrites[0].findings
    other = Finding(
        "a", "FLOPs", "by-hand", "mismatch", "error", None, "6000", 8000, "", second_claim.location,
        edits=(
            type(wish.edits[0])("FLOPs", 8000, second_claim.location),
            type(wish.edits[0])("FLOPs Convention", "macs", second_claim.location, added=True),
        ),
    )  # fmt: skip
    both = mend(text, ("a", "FLOPs", 7000, {"FLOPs_Convention": "fvcore"}), others=(other,))
    assert both.refusals == ["two figures ask for different values of one key"]
    assert both.data == first.data


def weights(cause, status="mismatch", check="weights-file", severity="error"):
    return Finding("net", "Weights", check, status, severity, cause, "u", None, "", None)


@each("field", ["File Size", "Top 1 Accuracy"])
def test_what_was_measured_on_a_doubtful_file_is_not_written(mend, field):
    """A wrong URL makes a wrong size of it: only tensors that fit prove whose file it is."""
    text = f"Models:\n- Name: net\n  {field}: 50\n  Parameters: 5000\n"
    wishes = ("net", field, 60), ("net", "Parameters", 7000)
    tensors = weights(None, "match", "weights-tensors", None)
    shared = weights("weights.shared-url")
    for doubt in (shared, weights("weights.tensors-differ"), weights("weights.hash-mismatch")):
        mended = mend(text, *wishes, others=(doubt,))
        assert mended.refusals == ["the file behind Weights may not be this variant's own"]
        assert mended.data.decode() == text.replace("5000", "7000")
    mended = mend(text, *wishes, others=(shared, tensors))
    assert mended.data.decode() == text.replace("5000", "7000").replace(": 50\n", ": 60\n")
    mended = mend(text, *wishes, others=(weights("weights.hash-mismatch"), tensors))
    assert len(mended.refusals) == 1


PAGE = "Models:\n- Name: net\n  Metadata:\n    FLOPs: {flops}\n    Image Size: {size}\n{more}"


@pytest.fixture
def resized(folder, wishing):
    """The page after an Image Size of 448, and after FLOPs of 5,000 counted at ``counted``."""

    def run(size="480", flops="4711", new_flops=None, counted=None, more=""):
        path = folder / "index.yml"
        path.write_text(PAGE.format(flops=flops, size=size, more=more))
        index = load_index(["index.yml"])
        findings = [wishing(index, "net", "Image Size", (448, 448))]
        if new_flops is not None:
            finding = wishing(index, "net", "FLOPs", new_flops, FLOPs_Convention="fvcore")
            keeping = (
                Edit("FLOPs Convention", "macs", finding.edits[0].location, added=True),
                Edit("FLOPs Input", counted, finding.edits[0].location, added=True),
            )
            findings.append(replace(finding, annotate_edits=keeping if counted else ()))
        proposal = propose(findings, index)
        path.write_text(proposal.rewrites[0].text if proposal.rewrites else path.read_text())
        again = load_index(["index.yml"])
        said = {c.field: c.value for c in again.variants[0].claims if c.field != "Name"}
        return said, [refusal.why for refusal in proposal.skipped]

    return run


def test_the_input_that_flops_were_counted_at_is_kept(resized):
    for size in ("480", "480x480", "[3, 480, 480]", "480px"):
        said, refused = resized(size)
        assert said == {"FLOPs": 4711, "Image Size": (448, 448), "FLOPs Input": (480, 480)}
        assert not refused
    said, _ = resized(new_flops=5123)
    assert (said["FLOPs"], said["Image Size"], said["FLOPs Input"]) == (
        5123,
        (448, 448),
        (480, 480),
    )
    said, _ = resized(new_flops=5123, counted=(224, 224))
    assert (said["FLOPs"], said["FLOPs Input"]) == (5123, (480, 480))


def test_flops_that_are_right_at_the_new_size_stay(resized):
    said, refused = resized(new_flops=5123, counted=(448, 448))
    assert said == {"FLOPs": 4711, "Image Size": (448, 448), "FLOPs Convention": "macs"}
    assert not refused


def test_an_input_of_their_own_is_left_alone(resized):
    said, _ = resized(more="    FLOPs Input: 224\n")
    assert said == {"FLOPs": 4711, "Image Size": (448, 448), "FLOPs Input": (224, 224)}
    said, _ = resized(flops="'?'")
    assert said == {"FLOPs": None, "Image Size": (448, 448)}


def test_a_collections_size_stays_where_flops_are_counted_at_it(folder, wishing):
    text = (
        "Collections:\n- Name: C\n  Metadata:\n    Image Size: 480\nModels:\n- Name: net\n"
        "  In Collection: C\n  Metadata:\n    FLOPs: 4711\n"
    )
    (folder / "index.yml").write_text(text)
    index = load_index(["index.yml"])
    claim = index.variants[0].effective("Image Size")
    finding = wishing(index, "net", "FLOPs", 5)
    resize = (Edit("Image Size", (448, 448), claim.location),)
    finding = replace(finding, field="Image Size", location=claim.location, edits=resize)
    proposal = propose([finding], index)
    assert not proposal.rewrites
    assert "FLOPs Input first" in proposal.skipped[0].why


def test_of_many_edits_that_spoil_the_text_each_is_found_without_reading_it_for_each(
    mend, monkeypatch
):
    """In every second entry the top-1 would be above the top-5; all else is written."""
    tries = []
    real = Drafter._tried
    monkeypatch.setattr(
        Drafter, "_tried", lambda self, units: tries.append(len(units)) or real(self, units)
    )
    entry = (
        "- Name: n{}\n  Parameters: 5000\n  Results:\n  - Task: T\n    Dataset: D\n"
        "    Metrics: {{Top 1 Accuracy: {}%, Top 5 Accuracy: 80%}}\n"
    )
    count = 40
    page = "Models:\n" + "".join(entry.format(i, 70) for i in range(count))
    wishes = [(f"n{i}", "Top 1 Accuracy", 90 if i % 2 else 75) for i in range(count)]
    wishes += [(f"n{i}", "Parameters", 7000) for i in range(count)]
    mended = mend(page, *wishes)
    wanted = "".join(entry.format(i, 70 if i % 2 else 75) for i in range(count))
    assert mended.data.decode() == "Models:\n" + wanted.replace("5000", "7000")
    assert len(mended.refusals) == count // 2
    assert all("would be wrong (schema.out-of-range)" in why for why in mended.refusals)
    assert len(tries) <= 5
