"""Entries, positions, and every cause with its exact place."""

from __future__ import annotations

from decimal import Decimal

from loops import each

PAGE = """\
Collections:
- Name: Résnet
  Paper: {Title: 'ééé', URL: https://arxiv.org/abs/1}
  Metadata: {Epochs: 100, Training Data: ImageNet}
Models:
- Name: m1
  In Collection: Résnet
  Metadata:
    Parameters: 25.6M
    Crop Pct: '0.875'
  Results:
  - Dataset: ImageNet
    Metrics: {Top 1 Accuracy: 75.5%, 'é': 1, Top 5 Accuracy: 92.5%}
    Task: Image Classification
"""
PLACES = {
    "Name": (6, 9), "In Collection": (7, 18), "Parameters": (9, 17), "Crop Pct": (10, 15),
    "Dataset": (12, 14), "Top 1 Accuracy": (13, 31), "Top 5 Accuracy": (13, 62), "Task": (14, 11),
}  # fmt: skip


@each("newline", ["\n", "\r\n", "\r"])
@each("mark", [b"", b"\xef\xbb\xbf"])
def test_every_value_knows_its_place(read, newline, mark):
    variant = read(mark + PAGE.replace("\n", newline).encode()).variants[0]
    places = {c.field: (c.location.line, c.location.column) for c in variant.claims}
    assert {field: places[field] for field in PLACES} == PLACES


@each("newline", ["\n", "\r\n"])
def test_places_in_a_page_are_those_of_the_page(read, newline):
    comment = "<!--\nType: model-index\n"
    before = f"# Ünïcode\n\n```html\n{comment}Models: nonsense\n-->\n```\n\n{comment}"
    page = (before + PAGE + "-->\n\n<!-- a remark -->\n").replace("\n", newline)
    index = read(page.encode(), "page.mdx")
    lines = before.count("\n")
    places = {
        c.field: (c.location.line - lines, c.location.column) for c in index.variants[0].claims
    }
    assert {field: places[field] for field in PLACES} == PLACES
    assert not [p for p in index.problems if p.severity == "error"]


@each(
    "comment, place",
    [
        ("<!--Type: model-index\nModels:\n- Name: m\n", (4, 9)),
        ("<!-- Type: model-index\nModels:\n- Name: m\n", (4, 9)),
        ("<!-- \t\n\n  Type: model-index\n  Models:\n  - Name: m\n", (6, 11)),
    ],
)
def test_the_type_may_stand_where_the_comment_opens(read, comment, place):
    index = read(f"# A\n{comment}-->\n", "page.md")
    assert index.problems == ()
    (variant,) = index.variants
    assert (variant.location.line, variant.location.column) == place


def test_lines_are_those_of_editors_not_of_yaml(read):
    index = read("Models:\n# a\u2028# b\u0085# c\n- Name: m\n  Layers: x\n")
    assert str(index.problems[0].location) == "index.yml:4:11"


def test_what_a_variant_says_and_what_its_collection_says_for_it(read):
    index = read(PAGE)
    variant = index.variants[0]
    assert variant.collection is index.collections[0]
    epochs = variant.effective("Epochs")
    assert (epochs.value, epochs.location.line) == (100, 4)
    assert variant.claim("Epochs") is None
    top1 = variant.claim("Top 1 Accuracy")
    assert (top1.task, top1.dataset, top1.raw) == ("Image Classification", "ImageNet", "75.5%")
    assert top1.value == Decimal("75.5")
    crop = variant.claim("Crop Pct")
    assert crop.quoted
    url = index.collections[0].claim("Paper.URL")
    assert url.value == "https://arxiv.org/abs/1"


ERROR, NOTE = "error", "note"
RANGE, COLLECTION = "schema.out-of-range", "schema.unknown-collection"
WORD = "schema.unknown-interpolation"
MODEL = "Collections: [{Name: C}]\nModels:\n- Name: m\n  In Collection: C\n"


@each(
    "text, cause, severity, place, field",
    [
        (MODEL + "  Name: n\n", "schema.duplicate-key", ERROR, (5, 3), "Name"),
        (MODEL + "  Metadata: {LR: 1, lr: 2}\n", "schema.duplicate-key", ERROR, (5, 21), "lr"),
        (MODEL + "- Name: m\n", "schema.duplicate-name", ERROR, (5, 9), "Name"),
        (MODEL + "  Metadata: 5\n", "schema.wrong-type", ERROR, (5, 13), "Metadata"),
        (MODEL + "  Results: {}\n", "schema.wrong-type", ERROR, (5, 12), "Results"),
        (MODEL + "  Results: [5]\n", "schema.wrong-type", ERROR, (5, 13), "Results"),
        (MODEL + "  Results: [{Metrics: 5}]\n", "schema.wrong-type", ERROR, (5, 23), "Metrics"),
        (MODEL + "  Code: {a: b}\n", "schema.wrong-type", ERROR, (5, 9), "Code"),
        (MODEL + "  Layers:\n  LR: 1\n", "schema.wrong-type", ERROR, (5, 10), "Layers"),
        (MODEL + "  Tasks: [a, 5]\n", "schema.wrong-type", ERROR, (5, 14), "Tasks"),
        (MODEL + "  ? [a]\n  : b\n", "schema.wrong-type", ERROR, (5, 5), "[a]"),
        (MODEL + "- 5\n", "schema.wrong-type", ERROR, (5, 3), "Models"),
        (MODEL + "- Name: on\n", "schema.wrong-type", ERROR, (5, 9), "Name"),
        (MODEL + "- Name: 1e3\n", "schema.wrong-type", ERROR, (5, 9), "Name"),
        (MODEL + "  Crop Pct: 8.75\n", "schema.out-of-range", ERROR, (5, 13), "Crop Pct"),
        (MODEL + "  Top 1 Accuracy: 103%\n", RANGE, ERROR, (5, 19), "Top 1 Accuracy"),
        (MODEL + "- Weights: a.pth\n", "schema.missing-name", ERROR, (5, 3), "Name"),
        (MODEL + "- Name: ''\n", "schema.missing-name", ERROR, (5, 9), "Name"),
        (MODEL + "- Name:\n", "schema.missing-name", ERROR, (5, 8), "Name"),
        (MODEL + "- Name: null\n", "schema.missing-name", ERROR, (5, 9), "Name"),
        (MODEL + "- Name: ~\n", "schema.missing-name", ERROR, (5, 9), "Name"),
        (MODEL + "- Name: n\n  In Collection: D\n", COLLECTION, ERROR, (6, 18), "In Collection"),
        (MODEL + "  Interpolation: cubic\n", WORD, ERROR, (5, 18), "Interpolation"),
        (MODEL + "  Layers: '50'\n", "schema.quoted-number", NOTE, (5, 11), "Layers"),
        (MODEL + "  Paramters: 5\n", "schema.unknown-key", NOTE, (5, 3), "Paramters"),
        (MODEL + "  '': 5\n", "schema.wrong-type", ERROR, (5, 3), ""),
    ],
)  # fmt: skip
def test_each_cause_at_its_place(read, text, cause, severity, place, field):
    (problem,) = read(text).problems
    where = problem.location
    assert (problem.cause, problem.severity) == (cause, severity)
    assert (where.file, where.line, where.column) == ("index.yml", *place)
    assert problem.field == field
    assert str(problem).startswith(f"index.yml:{place[0]}:{place[1]}: ")
    assert "; " in str(problem)
    assert str(problem).isprintable()


def test_a_tab_that_indents_is_called_one(read):
    for before in ("\t- Name: x\n", "- Name: x\n\tLayers: 5\n", "- A:\n  \tB: 1\n", "-\tName: x\n"):
        (problem,) = read(f"Models:\n{before}").problems
        assert "not YAML: a tab where spaces should be; check" in str(problem), before
    assert not read("Models:\n- Name: x\n  Metadata:\n    Layers:\t5\n").problems
    (problem,) = read("Models: # a\tb\n- {Name: x\n").problems
    assert "a mapping in braces is not closed" in str(problem)


def test_who_and_what_are_said_once(read):
    index = read(
        "Models:\n- Name: m\n  Image Size: 0\n  Epochz: 1\n  In Collection: X\n- 3\n- Name: m\n"
    )
    for problem in index.problems:
        assert "m" not in problem.message.replace(",", "").split()
        assert not problem.message.startswith(str(problem.field))
    lines = [str(problem).partition(";")[0] for problem in index.problems]
    assert lines == [
        "index.yml:3:15: m: Image Size: is 0, which is out of range",
        "index.yml:4:3: m: Epochz: is not a known key",
        "index.yml:5:18: m: In Collection: is 'X', which names none",
        "index.yml:6:3: Models: a model is a number, where a mapping is expected",
        "index.yml:7:9: m: Name: is 'm', the name of another model at index.yml:2:9",
    ]


def test_a_name_in_quotes_may_look_like_none(read):
    assert [v.name for v in read("Models:\n- Name: 'null'\n").variants] == ["null"]


def test_one_page_with_many_faults_is_reported_whole(read):
    text = "Models:\n- Name: a\n  Layers: -1\n  LR: x\n- Name: b\n  Crop Pct: 2\n- {}\n- Name: c\n"
    index = read(text)
    assert [v.name for v in index.variants] == ["a", "b", "c"]
    assert [(p.variant, p.location.line) for p in index.problems] == [
        ("a", 3), ("a", 4), ("b", 6), (None, 7)
    ]  # fmt: skip


def test_top_1_above_top_5_is_shown_at_both(read):
    index = read(
        MODEL + "  Results:\n  - Metrics:\n      Top 1 Accuracy: 90\n      Top 5 Accuracy: 80\n"
    )
    assert [(p.cause, p.location.line) for p in index.problems] == [
        ("schema.out-of-range", 7), ("schema.out-of-range", 8)
    ]  # fmt: skip


def test_class_names_are_as_many_as_the_classes(read):
    """Wherever the two stand: a collection may state either for its variants."""
    collection = "Collections: [{Name: C, Metadata: {Classes: 2}}]\n"
    models = "Models:\n- Name: m\n  In Collection: C\n  Metadata:\n    Class Names: "
    assert read(collection + models + "[cat, dog]\n").problems == ()
    (problem,) = read(collection + models + "[cat, dog, cow]\n").problems
    assert (problem.cause, problem.severity) == (RANGE, ERROR)
    assert str(problem).startswith(
        "index.yml:6:18: m: Class Names: has 3 names, where Classes is 2; "
    )
    assert read(models.replace("  In Collection: C\n", "") + "[cat, dog, cow]\n").problems == ()


def test_results_of_one_variant_are_not_mixed(read):
    index = read(
        MODEL + "  Results:\n"
        "  - {Task: A, Dataset: X, Metrics: {Top 1 Accuracy: 90}}\n"
        "  - {Task: B, Dataset: Y, Metrics: {Top 5 Accuracy: 80}}\n"
    )
    assert not index.problems
    got = [
        (c.field, c.task, c.dataset)
        for c in index.variants[0].claims_of("Top 1 Accuracy", "Top 5 Accuracy")
    ]
    assert got == [("Top 1 Accuracy", "A", "X"), ("Top 5 Accuracy", "B", "Y")]


def test_unknown_keys_are_kept_and_the_nearest_is_named(read):
    index = read(MODEL + "  Paramters: 5M\n")
    claim = index.variants[0].claim("Paramters")
    assert (claim.raw, claim.value, claim.unit) == ("5M", "5M", "text")
    assert "Parameters" in str(index.problems[0])


def test_no_more_misspelt_keys_than_a_person_reads_are_looked_up(read):
    index = read(MODEL + "".join(f"  Paramters{i}: 1\n" for i in range(1000)))
    hints = ["Parameters" in p.remedy for p in index.problems]
    assert (hints[0], hints[-1], len(hints)) == (True, False, 1000)


def test_a_nameless_model_is_called_by_its_id(read):
    index = read("Models:\n- Metadata: {ID: m, Layers: x}\n- Name: n\n")
    assert {p.variant for p in index.problems} == {"m"}
    assert [v.name for v in index.variants] == ["n"]


def test_a_name_in_the_metadata_names_nothing(read):
    index = read("Models:\n- Metadata: {Name: inner}\n  Name: outer\n")
    assert [v.name for v in index.variants] == ["outer"]


def test_a_list_of_models_and_several_documents(read):
    assert [v.name for v in read("- Name: a\n  Weights: a.pth\n- Name: b\n").variants] == ["a", "b"]
    text = "Models: [{Name: a}]\n---\nModels: [{Name: b}]\n---\nother: thing\n"
    assert [v.name for v in read(text).variants] == ["a", "b"]


def test_merge_keys_and_aliases(read):
    index = read(
        "Models:\n- Name: a\n  Metadata: &m {LR: 0.1, Layers: 50}\n"
        "- Name: b\n  Metadata: {<<: *m, Layers: 26}\n"
    )
    b = index.variants[1]
    layers, rate = b.claim("Layers"), b.claim("LR")
    assert (layers.value, rate.location.line) == (26, 3)
    assert len(list(b.claims_of("Layers"))) == 1
