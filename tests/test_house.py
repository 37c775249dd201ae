"""The code base against its own targets, see `tests.tools.house`."""

from __future__ import annotations

import re

from tests.tools import house


def test_each_dependency_is_imported_and_each_import_declared():
    assert house.unused() == set()
    assert house.undeclared() == set()


def test_no_module_is_long():
    assert house.long_modules() == {}


def test_no_two_public_classes_share_a_name():
    assert house.duplicate_classes() == {}


def test_the_map_names_every_folder():
    assert house.unmapped_folders() == []


def test_messages_help_and_pages_use_the_words_of_the_field():
    assert house.banned_words() == {}


def test_the_page_on_architecture_names_what_there_is():
    page = (house.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:zoo|harness|tests)/[\w/.]*\w", page))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (house.ROOT / name).exists()] == []
