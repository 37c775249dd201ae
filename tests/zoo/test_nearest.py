"""What was meant by a word that is none: capitals make no difference, and nearness is not all."""

from __future__ import annotations

import pytest

from zoo.nearest import is_slip, nearest
from zoo.preprocessing import package_variant
from zoo.registry import UnknownModelError


def test_capitals_make_no_difference():
    assert nearest("RESNEST50D", ["resnest50d", "resnest14d"], n=1) == ["resnest50d"]
    assert nearest("jsno", ["JSON", "html"], n=1) == ["JSON"]
    assert nearest("bicubik", ["BICUBIC", "bilinear"], n=1) == ["BICUBIC"]
    assert nearest("xyz", ["JSON", "html"]) == []
    with pytest.raises(UnknownModelError, match="did you mean 'resnest50d'"):
        package_variant("RESNEST50D")


def test_a_slip_is_a_letter_or_two():
    slips = (("Paramters", "Parameters"), ("crop_pct", "Crop Pct"), ("Weigths", "Weights"))
    assert all(is_slip(word, meant) for word, meant in slips)
    others = (("Location", "Citation"), ("NME", "Mean"), ("PKD", "ID"), ("Layouts", "Layers"))
    assert not any(is_slip(word, meant) for word, meant in others)
