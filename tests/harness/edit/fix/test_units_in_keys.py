"""A value under a key that names its unit is written in that unit."""

from __future__ import annotations

from harness.check.compare import written
from zoo.index import load_index


def test_the_value_stays_in_the_unit_of_its_key(mend):
    for key, old, field, value, new in (
        ("Params (M)", "25.56", "Parameters", 11_689_512, "11.69"),
        ("Params(M)", "'25.6'", "Parameters", 11_689_512, "'11.7'"),
        ("Parameters (G)", "1.25", "Parameters", 11_689_512, "0.0117"),
        ("Params (M)", "25.56 M", "Parameters", 11_689_512, "11.69 M"),
        ("GFLOPs", "4.12", "FLOPs", 1_814_073_344, "1.81"),
        ("Flops(G)", "4.1", "FLOPs", 1_814_073_344, "1.8"),
        ("MACs (M)", "569", "FLOPs", 314_000_000, "314"),
        ("File Size (MB)", "97.8", "File Size", 46_830_571, "46.8"),
    ):
        text = f"Models:\n- Name: net\n  Metadata:\n    {key}: {old}\n"
        mended = mend(text, ("net", field, value))
        assert mended.data.decode() == text.replace(old, new), key
        assert mended.refusals == []


def test_a_convention_is_added_below_such_a_key(mend):
    text = "Models:\n- Name: net\n  Metadata:\n    GFLOPs: 4.12\n    LR: 1\n"
    mended = mend(text, ("net", "FLOPs", 4_120_000_000, {"FLOPs_Convention": "fvcore"}))
    assert mended.data.decode() == text.replace("    LR", "    FLOPs Convention: fvcore\n    LR")


def test_a_message_says_the_value_in_the_unit_of_the_key(tmp_path):
    path = tmp_path / "index.yml"
    for key, old, field, value, new in (
        ("Params (M)", "25.56", "Parameters", 11_689_512, "11.69 M"),
        ("GMACs", "4.1", "FLOPs", 1_814_073_344, "1.8 G"),
        ("File Size (MB)", "97", "File Size", 46_830_571, "47 MB"),
        ("Parameters", "25.56M", "Parameters", 11_689_512, "11689512"),
    ):
        path.write_text(f"Models:\n- Name: net\n  Metadata: {{'{key}': {old}}}\n")
        claim = load_index([str(path)]).variants[0].claim(field)
        assert claim is not None
        assert written(claim, value) == new
