"""Licenses that are missing, unknown, or contradict each other."""

from __future__ import annotations

from harness.check.base import Evidence, Need
from harness.check.license import find, find_of_builder
from harness.run.plan import flops_size, recipe_of
from zoo.index import load_index

INDEX = """
Collections:
- Name: Net
  License: {collection}
Models:
- Name: a
  In Collection: Net
  Weights: https://h.org/a.pth
- Name: b
  License: {own}
  Weights: https://h.org/{file}.pth
"""


def told(index):
    found = find(index, index.variants)
    return [(f.variant, f.cause, f.severity, f.documented) for f in found]


def test_what_is_right_has_no_finding(load):
    for collection, own, file in (
        ("Apache 2.0", "CC-BY-NC 4.0", "b"),
        ("other", "mit", "a"),
        ("[MIT, Apache-2.0]", "apache-2.0", "a"),
        ("{Name: Apache License 2.0, URL: 'https://x.org'}", "apache-2.0", "a"),
    ):
        text = INDEX.format(collection=collection, own=own, file=file)
        assert told(load(text)) == [], text


def test_missing_licenses_are_one_note_of_variants_with_weights(load):
    missing = (None, "license.missing", "note", None)
    text = "Models:\n" + "".join(
        f"- Name: net{n}\n  License: {license}\n  Weights: https://h.org/{n}.pth\n"
        for n, license in enumerate(["mit", "", "unknown", "null", "'-'", "[]", "", ""])
    )
    index = load(text)
    assert told(index) == [missing]
    (note,) = find(index, index.variants)
    assert "7 of 8 variants (net1, net2, net3, net4, net5 and 2 more)" in note.message
    assert note.location == index.variants[1].location
    assert told(load("Models:\n- Name: a\n")) == []
    assert told(load(f"Builder: torchvision\n{text}")) == []


def test_an_unknown_license_is_noted_once_where_it_stands(load):
    text = INDEX.format(collection="Aapche 2.0", own="ours", file="b")
    text += "- Name: c\n  In Collection: Net\n  Weights: https://h.org/c.pth\n"
    unknown = ("license.unknown", "note")
    assert told(load(text)) == [(None, *unknown, "Aapche 2.0"), ("b", *unknown, "ours")]
    found = list(find(load(text), load(text).variants))
    assert "did you mean Apache-2.0" in found[0].message
    assert "did you mean" not in found[1].message


def test_one_file_or_one_name_under_two_licenses_is_a_warning(load, tmp_path):
    text = INDEX.format(collection="mit", own="Apache-2.0", file="a")
    warning = ("license.contradicted", "warning")
    assert told(load(text)) == [("a", *warning, "mit"), ("b", *warning, "Apache-2.0")]
    card = tmp_path / "README.md"
    card.write_text(
        "---\nlicense: {}\nlicense_name: bsd-2-clause\nmodel-index:\n- name: b\n  results: []\n"
        "---\n"
    )
    index = tmp_path / "index.yml"
    index.write_text(INDEX.format(collection="mit", own="Apache-2.0", file="b"))
    for stated, contradicts in (("mit", True), ("apache-2.0", False), ("other", True)):
        card.write_text(card.read_text().replace("{}", stated))
        both = load_index([index, card])
        assert [v[1] for v in told(both)] == ["license.contradicted"] * 2 * contradicts, stated
        card.write_text(card.read_text().replace(f"license: {stated}\n", "license: {}\n"))


def test_the_builder_s_word_is_compared(load, measured):
    index = load("Models:\n- Name: net\n  License: MIT License\n")
    (variant,) = index.variants
    recipe = recipe_of(variant, "lib")

    def found(chosen, *licenses):
        settings = [{"weights": f"net.{n}", "license": text} for n, text in enumerate(licenses)]
        others = settings[1:] if chosen == "default" else []
        value = {"chosen": chosen, "settings": settings[:1] if others else settings}
        fact = measured("preprocess", value | {"others": others})
        facts = {("preprocess", None): fact}
        evidence = Evidence(variant, recipe, flops_size(variant, recipe), facts)
        return [(f.status, f.cause, f.measured) for f in find_of_builder(evidence)]

    assert list(find_of_builder(Evidence(variant, recipe, (1, 1), {}))) == [Need("preprocess")]
    native = recipe_of(variant, "zoo")
    assert list(find_of_builder(Evidence(variant, native, (1, 1), {}))) == []
    differs = [("mismatch", "license.contradicted", "CC-BY-NC-4.0")]
    assert found("url", "CC-BY-NC-4.0") == differs
    assert found("url", "MIT") == [("match", None, "MIT")]
    assert found("url", None) == []
    # Which weights these are is unclear: one of them fits.
    assert found("default", "CC-BY-NC-4.0", "MIT") == []
    assert found("default", "CC-BY-NC-4.0", "CC-BY-NC-4.0") == differs
