"""FLOPs keep the input that they are counted at, where the Image Size is mended beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.edit.fix import propose
from harness.types import Edit
from zoo.index import load_index

PAGE = "Models:\n- Name: net\n  Metadata:\n    FLOPs: {flops}\n    Image Size: {size}\n{more}"


@pytest.fixture
def mended(folder, wishing):
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


def test_the_input_that_flops_were_counted_at_is_kept(mended):
    for size in ("480", "480x480", "[3, 480, 480]", "480px"):
        said, refused = mended(size)
        assert said == {"FLOPs": 4711, "Image Size": (448, 448), "FLOPs Input": (480, 480)}
        assert not refused
    said, _ = mended(new_flops=5123)
    assert (said["FLOPs"], said["Image Size"], said["FLOPs Input"]) == (
        5123,
        (448, 448),
        (480, 480),
    )
    said, _ = mended(new_flops=5123, counted=(224, 224))
    assert (said["FLOPs"], said["FLOPs Input"]) == (5123, (480, 480))


def test_flops_that_are_right_at_the_new_size_stay(mended):
    said, refused = mended(new_flops=5123, counted=(448, 448))
    assert said == {"FLOPs": 4711, "Image Size": (448, 448), "FLOPs Convention": "macs"}
    assert not refused


def test_an_input_of_their_own_is_left_alone(mended):
    said, _ = mended(more="    FLOPs Input: 224\n")
    assert said == {"FLOPs": 4711, "Image Size": (448, 448), "FLOPs Input": (224, 224)}
    said, _ = mended(flops="'?'")
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
