"""What an entry says of its classes: taken as it is, or told of with its place."""

from __future__ import annotations

import pytest

from zoo.index import load_index
from zoo.variants import class_names, create_variant

ENTRY = "Models:\n- Name: mine\n  Metadata:\n    Base: efficientnet_lite0\n"


@pytest.fixture
def entry(tmp_path):
    """The one variant of an index with these lines in its Metadata."""

    def read(*lines):
        page = tmp_path / "index.yml"
        page.write_text(ENTRY + "".join(f"    {line}\n" for line in lines))
        (variant,) = load_index([page]).variants
        return variant

    return read


def test_names_are_those_of_the_entry(entry):
    assert class_names(entry("Classes: 2", "Class Names: [cat, dog]")) == ("cat", "dog")
    assert class_names(entry("Classes: 3")) == ("class 0", "class 1", "class 2")
    assert class_names(entry())[243] == "bull mastiff"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["Classes: 2", "Class Names: [a, b, c]"], "6:18: Class Names has 3 names, and the model"),
        (["Class Names: [a, b]"], "5:18: Class Names has 2 names, and the model tells 1,000"),
        (["Classes: 2", "Class Names: [1, 2]"], "6:18: Class Names is '1, 2', which can't be used"),
        (["Classes: 2", "Class Names: a"], "6:18: Class Names is 'a', which can't be used"),
        (["Classes: two"], "5:14: Classes is 'two', which can't be used"),
        (["Classes: 0"], "5:14: Classes is '0', which can't be used"),
    ],
)
def test_what_can_not_be_used_is_not_replaced(entry, lines, words):
    with pytest.raises(ValueError, match=r"names|used") as caught:
        class_names(entry(*lines))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_classifier_is_not_built_for_a_number_that_is_none(entry):
    with pytest.raises(ValueError, match="Classes is 'two'"):
        create_variant(entry("Classes: two"))
    assert create_variant(entry("Classes: two"), 5).num_classes == 5
    assert create_variant(entry("Classes: 7")).num_classes == 7
