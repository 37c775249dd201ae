"""FLOPs: the claimed convention and input, and how a difference is explained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.check.base import Need
from harness.check.flops import CHECK
from harness.explain.flops import geometries, usual_geometries

SQUARE = (224, 224)
WIDE = (224, 285)


@pytest.fixture
def index(load):
    def build(claim, *, variant=(), collection=None):
        lines = ["Collections:", "- Name: family"] if collection is not None else []
        if collection:
            lines += ["  Metadata:", *(f"    {line}" for line in collection)]
        lines += ["Models:", "- Name: net"]
        lines += ["  In Collection: family"] if collection is not None else []
        lines += ["  Metadata:", f"    FLOPs: {claim}", *(f"    {line}" for line in variant)]
        return load("\n".join(lines) + "\n")

    return build


@pytest.fixture
def everywhere(flops):
    """Facts at every geometry of a search, with no figure twice."""

    def make(claimed=SQUARE, crop=None, usual=True, **changes):
        facts = []
        near = geometries(claimed, crop)
        for number, geometry in enumerate([*near, *(usual_geometries(near) if usual else ())]):
            base = 1_000_003_001 + 111_111_113 * number
            values = {
                "macs": base,
                "fvcore": base + 10_000_019,
                "flops": 2 * base,
                "thop_2020": base + 20_000_033,
                "torchvision": base,
            }
            facts.append(flops(geometry.size, **values, **changes))
        return facts

    return make


def value(facts, size, convention):
    fact = next(f for f in facts if f.image_size == size)
    return next(c["value"] for c in fact.value["counts"] if c["convention"] == convention)


@pytest.mark.parametrize("convention", ["macs", "fvcore"])
def test_without_a_convention_fvcore_and_macs_hold(convention, index, judge, everywhere):
    facts = everywhere()
    claim = value(facts, SQUARE, convention)
    (finding,) = judge(CHECK, index(claim), facts)
    assert (finding.status, finding.measured) == ("match", claim)
    (finding,) = judge(CHECK, index(claim + 1), facts)
    assert (finding.status, finding.cause) == ("mismatch", "flops.differs")


@pytest.mark.parametrize("convention", ["flops", "thop-2020"])
def test_other_conventions_hold_where_they_are_claimed(convention, index, judge, everywhere):
    facts = everywhere()
    claim = value(facts, SQUARE, convention)
    (finding,) = judge(CHECK, index(claim, variant=[f"FLOPs Convention: {convention}"]), facts)
    assert finding.status == "match"
    (finding,) = judge(CHECK, index(claim), facts)
    assert (finding.cause, finding.severity) == ("flops.convention", "warning")
    assert f"FLOPs Convention: {convention}" in finding.message


def test_a_claimed_convention_rules_out_the_others(index, judge, everywhere):
    facts = everywhere()
    claim = value(facts, SQUARE, "macs")
    (finding,) = judge(CHECK, index(claim, variant=["FLOPs Convention: fvcore"]), facts)
    assert (finding.status, finding.cause) == ("mismatch", "flops.convention")
    assert finding.measured == value(facts, SQUARE, "fvcore")


def test_a_variant_s_convention_wins_over_its_collection_s(index, judge, everywhere):
    facts = everywhere()
    claim = value(facts, SQUARE, "thop-2020")
    collection = ["FLOPs Convention: thop-2020"]
    (finding,) = judge(CHECK, index(claim, collection=collection), facts)
    assert finding.status == "match"
    own = ["FLOPs Convention: macs"]
    (finding,) = judge(CHECK, index(claim, variant=own, collection=collection), facts)
    assert finding.cause == "flops.convention"


@pytest.mark.parametrize("size", ["Image Size: 224", "FLOPs Input: 224x285"])
def test_the_claimed_input_is_the_one_that_counts(size, index, judge, everywhere):
    claimed = WIDE if "285" in size else SQUARE
    facts = everywhere(claimed) + everywhere(SQUARE)[:1]
    claim = value(facts, claimed, "fvcore")
    lines = ["Image Size: 224", size] if claimed == WIDE else [size]
    (finding,) = judge(CHECK, index(claim, variant=lines), facts)
    assert finding.status == "match"


def test_height_comes_first(index, judge, flops):
    facts = [flops((224, 285), macs=1_000_003_000), flops((285, 224), macs=1_000_003_001)]
    (finding,) = judge(CHECK, index(1_000_003_000, variant=["FLOPs Input: 224x285"]), facts)
    assert finding.status == "match"
    (finding,) = judge(CHECK, index(1_000_003_001, variant=["FLOPs Input: 285x224"]), facts)
    assert finding.status == "match"


def test_more_inputs_are_asked_for_before_anything_is_said(index, needs, judge, everywhere):
    facts = everywhere(usual=False)
    claim = value(facts, WIDE, "thop-2020")
    (need,) = needs(CHECK, index(claim), facts[:1])
    assert need.kind == "flops"
    assert set(need.sizes) == {f.image_size for f in facts[1:]}
    (finding,) = judge(CHECK, index(claim), facts)
    assert (finding.cause, finding.severity) == ("flops.input-geometry", "warning")


def test_inputs_of_other_models_are_asked_for_where_the_variant_s_own_explain_nothing(
    index, needs, judge, everywhere
):
    near, all_ = everywhere(usual=False), everywhere()
    claim = value(all_, (384, 384), "fvcore")
    (need,) = needs(CHECK, index(claim), near)
    assert need.kind == "derived"
    assert {f.image_size for f in all_} == set(need.sizes) | {f.image_size for f in near}
    (finding,) = judge(CHECK, index(claim), all_)
    assert (finding.cause, finding.severity) == ("flops.input-geometry", "warning")
    assert "FLOPs Input: 384x384" in finding.message


def test_what_was_derived_finds_an_input_and_what_is_counted_there_decides(
    index, needs, judge, everywhere
):
    near, all_ = everywhere(usual=False), everywhere()
    sizes = {f.image_size for f in near}
    derived = [f if f.image_size in sizes else replace(f, kind="derived") for f in all_]
    claim = value(all_, (384, 384), "fvcore")
    assert needs(CHECK, index(claim), derived) == [Need("flops", ((384, 384),))]
    counted = next(f for f in all_ if f.image_size == (384, 384))
    (finding,) = judge(CHECK, index(claim), [*derived, counted])
    assert finding.cause == "flops.input-geometry"
    other = replace(everywhere(usual=False)[0], image_size=(384, 384))
    (finding,) = judge(CHECK, index(claim), [*derived, other])
    assert finding.cause == "flops.differs"


@pytest.mark.parametrize(
    ("factor", "severity", "words"),
    [
        (2, "warning", "twice what thop-2020 counts"),
        (4, "error", "what thop-2020 counts in 4 passes added up"),
        (1000, "error", "a thousand times what thop-2020 counts"),
    ],
)
def test_slips_are_named_and_are_wrong_unless_the_count_is_only_doubled(
    factor, severity, words, index, judge, everywhere
):
    facts = everywhere()
    claim = factor * value(facts, SQUARE, "thop-2020")
    (finding,) = judge(CHECK, index(claim), facts)
    assert (finding.cause, finding.severity) == ("flops.convention", severity)
    assert words in finding.message
    assert "keep the number" not in finding.message


def test_a_unit_that_was_left_out_is_named(index, judge, everywhere):
    facts = everywhere()
    claim = value(facts, SQUARE, "fvcore") // 1000
    (finding,) = judge(CHECK, index(claim), facts)
    assert (finding.cause, finding.severity) == ("flops.convention", "error")
    assert "a thousandth of what fvcore counts" in finding.message


def test_the_message_names_convention_and_input_where_both_differ(index, judge, everywhere):
    facts = everywhere()
    (finding,) = judge(CHECK, index(value(facts, WIDE, "thop-2020")), facts)
    for part in ("thop-2020", "224x285", "FLOPs Convention: thop-2020", "FLOPs Input: 224x285"):
        assert part in finding.message
    (finding,) = judge(CHECK, index(value(facts, WIDE, "fvcore")), facts)
    assert "FLOPs Input: 224x285" in finding.message
    assert "FLOPs Convention" not in finding.message
    assert finding.measured == value(facts, SQUARE, "fvcore")


def test_an_input_at_which_the_model_can_not_run_is_passed_over(
    index, judge, needs, everywhere, failed
):
    facts = everywhere()
    claim = value(facts, SQUARE, "thop-2020")
    stuck = [facts[0], *(failed("flops", f.image_size) for f in facts[1:])]
    (finding,) = judge(CHECK, index(claim), stuck)
    assert finding.cause == "flops.convention"
    (finding,) = judge(CHECK, index(value(facts, WIDE, "macs")), stuck)
    assert finding.cause == "flops.differs"
    assert "can't run at 224x285" in finding.message


@pytest.mark.parametrize(("left", "severity"), [(0.05, "warning"), (0.3, "error")])
def test_an_explanation_that_leaves_out_much_is_no_excuse(left, severity, index, judge, everywhere):
    macs = value(everywhere(), SQUARE, "macs")
    facts = everywhere(covered={"thop-2020": int(macs * (1 - left))})
    (finding,) = judge(CHECK, index(value(facts, SQUARE, "thop-2020")), facts)
    assert (finding.cause, finding.severity) == ("flops.convention", severity)
    assert ("30%" in finding.message) == (severity == "error")


def test_an_unknown_convention_is_unverified(index, judge, everywhere):
    facts = everywhere()
    (finding,) = judge(
        CHECK, index(value(facts, SQUARE, "macs"), variant=["FLOPs Convention: deepspeed"]), facts
    )
    assert (finding.status, finding.cause) == ("unverified", "flops.convention")
    assert "deepspeed" in finding.message


@pytest.mark.parametrize("written", ["1.000G", "1000003001", "1000000000"])
def test_torchvision_s_billions(written, index, judge, everywhere):
    facts = everywhere()
    (finding,) = judge(CHECK, index(written, variant=["FLOPs Convention: torchvision"]), facts)
    assert (finding.status, finding.measured) == ("match", 1.0)


def test_what_could_not_run_is_unverified(index, judge, failed):
    (finding,) = judge(CHECK, index(5_000_001), [failed("flops", SQUARE, why="needs 256x256")])
    assert (finding.status, finding.cause) == ("unverified", "build.failed")
    assert "needs 256x256" in finding.message


def test_rounding_is_the_writer_s_freedom(index, judge, everywhere):
    facts = everywhere()
    for written in ("1G", "1.0G", "1.00G", "1000000000", "1000003001"):
        (finding,) = judge(CHECK, index(written), facts)
        assert finding.status == "match", written


def test_flops_at_the_library_s_own_input_stay(index, everywhere, measured):
    from harness.check.base import Evidence
    from harness.run.plan import flops_size, recipe_of

    facts = everywhere()
    (variant,) = index(value(facts, (300, 300), "macs"), variant=["Image Size: 224"]).variants
    recipe = recipe_of(variant, "lib")
    for size, words in (((300, 300), "the input that lib states"), ((224, 224), "other models")):
        stated = {"chosen": "name", "settings": [{"image_size": size}], "others": []}
        made = {fact.slot: fact for fact in (*facts, measured("preprocess", stated))}
        evidence = Evidence(variant, recipe, flops_size(variant, recipe), made)
        (finding,) = CHECK.find(evidence)
        assert (finding.cause, finding.severity) == ("flops.input-geometry", "warning")
        assert words in finding.message, finding.message
        assert any(edit.field == "FLOPs" for edit in finding.edits) == (size != (300, 300))
