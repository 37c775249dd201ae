"""The code base against its own targets, see `tests.tools.house`."""

from __future__ import annotations

from tests.tools import house


def test_each_dependency_is_imported_and_each_import_declared():
    assert house.unused() == set()
    assert house.undeclared() == set()


def test_no_module_is_long():
    assert house.long_modules() == {}
