"""A count that differs because another model is built, and one that is only wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.check.base import matched, mismatched, replaced
from harness.check.build import apply_alias_findings, apply_other_entries
from harness.types import ANOTHER_ARCHITECTURE


@pytest.fixture
def causes(load):
    """Variant -> cause, for an index and the counts that were built."""

    def run(entries, built, names=None):
        text = "".join(f"- Name: {n}\n  Metadata: {{{m}}}\n" for n, m in entries.items())
        index = load(f"Models:\n{text}")
        findings = []
        for variant in index.variants:
            claim, count = variant.claim("Parameters"), built[variant.name]
            if claim.value == count:
                findings.append(matched(claim, variant, "parameters", count, "fine"))
            else:
                cause = "parameters.differs"
                findings.append(mismatched(claim, variant, "parameters", cause, count, "wrong"))
        told = apply_alias_findings(findings, index.variants, names or {})
        return {f.variant: (f.cause, f.message) for f in told}

    return run


def test_a_count_that_is_only_wrong_stays_so(causes):
    found = causes({"a": "Parameters: 25557032", "b": "Parameters: 99"}, {"a": 25557032, "b": 12})
    assert found["a"][0] is None
    assert found["b"] == ("parameters.differs", "wrong")


def test_the_count_of_another_variant_is_another_model(causes):
    entries = {"a": "Parameters: 25557032", "b": "Parameters: 44549160"}
    cause, message = causes(entries, {"a": 25557032, "b": 25557032})["b"]
    assert cause == "parameters.alias"
    assert "documented for a" in message


def test_a_long_count_that_is_beside_the_built_one_is_of_no_other_model(causes):
    """Two networks of a family are documented with 196.74 and 196.75 M; both may have the first."""
    for written, cause in (("196.75M", "parameters.differs"), ("196.95M", "parameters.alias")):
        entries = {"a": "Parameters: 196.74M", "b": f"Parameters: {written}"}
        found = causes(entries, {"a": 196_740_000, "b": 196_739_932})
        assert found["b"][0] == cause, written


def test_a_name_that_was_another_network_s_is_shown_with_that_one(causes):
    """Of a count that two share by chance, and one whose every number stands at another name."""
    small = "Parameters: 15406220, FLOPs: 2.7G, Activations: 10.09M, Image Size: 224"
    entries = {"net26": small, "net50": small, "other": "Parameters: 25045686, FLOPs: 4.5G"}
    built = {"net26": 15406220, "net50": 25045686, "other": 25045686}
    cause, message = causes(entries, built)["net50"]
    assert cause == "parameters.alias"
    assert "documented for net26" in message
    # A row that was copied is only wrong.
    del entries["other"]
    assert causes(entries, built)["net50"][0] == "parameters.differs"


@pytest.mark.parametrize("same", ["File Size: 102530333", "FLOPs: 4109464576"])
def test_variants_of_one_architecture_are_no_aliases(causes, same):
    entries = {"a": f"Parameters: 25557032, {same}", "b": f"Parameters: 44549160, {same}"}
    assert causes(entries, {"a": 25557032, "b": 25557032})["b"][0] == "parameters.differs"


def test_a_wrong_count_beside_a_right_one_of_the_same_model(causes):
    """The same network under several names of weights, one of them with a count that is wrong."""
    for one, other in (
        ("resnet50", "ssl_resnet50"),
        ("resnet50.a1_in1k", "resnet50.tv_in1k"),
        ("tresnet_m", "tresnet_m_448"),
        ("swsl_resnext50_32x4d", "resnext50_32x4d"),
    ):
        entries = {one: "Parameters: 25557032", other: "Parameters: 29517432"}
        found = causes(entries, {one: 25557032, other: 25557032})
        assert found[other] == ("parameters.differs", "wrong")
    entries = {"inception_v3": "Parameters: 25557032", "resnet50": "Parameters: 44549160"}
    found = causes(entries, {"inception_v3": 25557032, "resnet50": 25557032})
    assert found["resnet50"][0] == "parameters.alias"


def test_right_flops_say_that_the_model_is_the_documented_one(load):
    size = "FLOPs: 4089184256, File Size: 178728960"
    index = load(
        "Models:\n- Name: a\n  Metadata: {Parameters: 25557032}\n"
        f"- Name: b\n  Metadata: {{Parameters: 44549160, {size}}}\n"
    )
    a, b = index.variants
    cause, claim = "parameters.differs", b.claim("Parameters")
    findings = [
        matched(a.claim("Parameters"), a, "parameters", 25557032, "fine"),
        mismatched(claim, b, "parameters", cause, 25557032, "wrong"),
    ]
    assert apply_alias_findings(findings, index.variants, {})[1].cause == "parameters.alias"
    findings.append(matched(b.claim("FLOPs"), b, "flops", 4089184256, "fine"))
    assert apply_alias_findings(findings, index.variants, {}) == findings


def test_a_wrong_count_is_no_evidence(causes):
    """The two counts were exchanged in the index."""
    entries = {"a": "Parameters: 44549160", "b": "Parameters: 25557032"}
    found = causes(entries, {"a": 25557032, "b": 44549160})
    assert {cause for cause, _ in found.values()} == {"parameters.differs"}


def test_a_file_of_the_documented_count_is_of_another_model(causes):
    entries = {"net": "Parameters: 48750000, File Size: 195031454"}
    cause, message = causes(entries, {"net": 22050664}, {"net": "other_net"})["net"]
    assert cause == "parameters.alias"
    assert "other_net is built under this name" in message
    wrong_count = {"net": "Parameters: 48750000, File Size: 88300000"}
    assert causes(wrong_count, {"net": 22050664})["net"][0] == "parameters.differs"


def test_numbers_copied_from_another_variant_are_a_mistake_of_the_index(causes):
    copied = "Parameters: 48275016, File Size: 193782911"
    found = causes({"a": copied, "b": copied}, {"a": 48275016, "b": 70201544})
    assert found["b"][0] == "parameters.differs"


def test_another_model_says_nothing_of_the_other_numbers(load):
    """Its FLOPs and its size are no reason to rewrite those of the one that is documented."""
    metadata = "Parameters: 44549160, FLOPs: 7800000000, File Size: 178728960, Layers: 101"
    index = load(
        "Models:\n- Name: a\n  Metadata: {Parameters: 25557032}\n"
        f"- Name: b\n  Metadata: {{{metadata}}}\n"
    )
    a, b = index.variants

    def wrong(field, check, cause, measured):
        return mismatched(b.claim(field), b, check, cause, measured, "wrong")

    findings = [
        matched(a.claim("Parameters"), a, "parameters", 25557032, "fine"),
        wrong("Parameters", "parameters", "parameters.differs", 25557032),
        wrong("FLOPs", "flops", "flops.differs", 4109464576),
        wrong("File Size", "file-size", "size.larger", None),
        wrong("File Size", "file-size", "size.half-precision", 178728960),
        matched(b.claim("Layers"), b, "layers", 101, "fine"),
    ]
    told = apply_alias_findings(findings, index.variants, {})
    assert [(f.status, f.cause, f.severity) for f in told[1:]] == [
        ("mismatch", "parameters.alias", "error"),
        ("unverified", "parameters.alias", None),
        ("unverified", "parameters.alias", None),
        ("mismatch", "size.half-precision", "note"),
        ("match", None, None),
    ]
    assert told[2].measured is None
    assert "another model" in told[2].message
    without = apply_alias_findings(findings[2:], index.variants, {})
    assert without == findings[2:]


def test_a_count_whose_rule_is_known_is_of_this_model(load):
    """The parameters without the classifier, beside the size of a file without it."""
    index = load("Models:\n- Name: a\n  Metadata: {Parameters: 11176512, File Size: 44750000}\n")
    (variant,) = index.variants
    claim = variant.claim("Parameters")
    known = ("the parameters without the last part, fc",)
    count, cause = 11689512, "parameters.differs"
    for rules, expected in ((known, cause), ((), "parameters.alias")):
        finding = mismatched(claim, variant, "parameters", cause, count, "wrong", rules=rules)
        assert [f.cause for f in apply_alias_findings([finding], index.variants, {})] == [expected]


def test_a_config_that_builds_another_model_spoils_no_number(load):
    """The builder itself has the documented model: neither count nor FLOPs are to be changed."""
    index = load("Models:\n- Name: a\n  Metadata: {Parameters: 197767336, FLOPs: 34368026112}\n")
    (a,) = index.variants
    words = f"the model of large.py, and the entry's own config {ANOTHER_ARCHITECTURE}"
    count, flops = a.claim("Parameters"), a.claim("FLOPs")
    cause, rules = "parameters.differs", (words,)
    found = apply_alias_findings(
        [
            mismatched(count, a, "parameters", cause, 109953489, "wrong", "warning", rules=rules),
            mismatched(
                flops, a, "flops", "flops.differs", 15, "wrong", edits=(replaced(flops, 15),)
            ),
        ],
        index.variants,
        {},
    )
    assert [(f.cause, f.status) for f in found] == [
        ("parameters.alias", "mismatch"),
        ("parameters.alias", "unverified"),
    ]
    assert found[0].severity == "error"
    assert "correct the entry's config, and not the number" in found[0].message
    assert not any(f.edits for f in found)


def test_a_number_that_nothing_explains_is_named_after_the_entry_whose_model_gives_it(
    load, measured
):
    """Two rows were exchanged; of a third too few digits are written, a fourth is only wrong."""
    entries = (
        ("a", 11689512, "FLOPs: 4133742592", 1824033792),
        ("b", 25557032, "FLOPs: 1824033792, Parameters: 11689512", 4133742592),
        ("c", 25028904, "FLOPs: 4.1G, Parameters: 25.6M", 4317000000),
        ("d", 30000000, "FLOPs: 4133742593", 4400000000),
    )
    text = "".join(f"- Name: {name}\n  Metadata: {{{m}}}\n" for name, _, m, _ in entries)
    index = load(f"Models:\n{text}")
    facts, findings = {}, []
    for variant, (_, parameters, _, flops) in zip(index.variants, entries, strict=True):
        # The plainest is named of two with one figure.
        counts = [
            {"convention": each, "variation": "", "value": flops, "covered": flops}
            for each in ("fvcore", "deepspeed")
        ]
        facts[id(variant)] = {
            ("structure", None): measured("structure", {"parameters": parameters}),
            ("flops", (224, 224)): measured("flops", {"counts": counts}),
        }
        for claim in variant.claims_of("FLOPs", "Parameters"):
            cause, built = f"{claim.field.lower()}.differs", {"FLOPs": flops}.get(claim.field)
            message = f"the model takes {flops}; none gives it: write {flops}"
            findings.append(mismatched(claim, variant, "check", cause, built, message))
    told = apply_other_entries(findings, index.variants, facts)
    assert [bool(f.rules) for f in told] == [True, True, True, False, False, False]
    assert told[0].message == (
        "the model takes 1824033792; 4133742592 is what fvcore counts of b at 224x224; "
        "write 1824033792"
    )
    assert "1824033792 is what fvcore counts of a at 224x224" in told[1].message
    assert "11689512 is the number of parameters of a" in told[2].message
    assert told[3:] == findings[3:]


def test_a_row_that_was_copied_is_told_with_the_entry_whose_numbers_it_has(load):
    """Short as they are, both together are no chance; what one of them alone may be is not said."""
    rows = (
        ("cifar", "FLOPs: 1.31G, Parameters: 23.52M"),
        ("spark", "Parameters: 23.52M, FLOPs: 1.31G"),
    )
    text = "".join(f"- Name: {name}\n  Metadata: {{{row}}}\n" for name, row in rows)
    index = load(f"Models:\n{text}")
    right, wrong = index.variants
    findings = [matched(c, right, "check", 1, "fine") for c in right.claims_of("FLOPs")]
    findings += [matched(c, right, "check", 1, "fine") for c in right.claims_of("Parameters")]
    for claim, measured, message in (
        (wrong.claim("FLOPs"), 4111512576, "the model takes more; none is it: write 4111512576"),
        (wrong.claim("Parameters"), 25557032, "it has more; 10 classes; write 25.56M, or say so"),
    ):
        cause, rules = f"{claim.field.lower()}.differs", ("10 classes",)
        severity = "warning" if claim.field == "Parameters" else None
        found = mismatched(claim, wrong, "check", cause, measured, message, severity)
        findings.append(replace(found, rules=rules if severity else ()))
    told = apply_other_entries(findings, index.variants, {})
    assert told[:2] == findings[:2]
    for finding, end in zip(told[2:], ("write 4111512576", "write 25.56M"), strict=True):
        assert "stand at cifar as well, whose model has them" in finding.message
        assert finding.message.endswith(end)
        assert (finding.severity, len(finding.edits)) == ("error", 1)
    # Where the first entry's own numbers don't hold, it says nothing of the other's.
    assert apply_other_entries(findings[1:], index.variants, {}) == findings[1:]
