"""Numbers are written as the page writes them, and read back as what was measured."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loops import each

from harness.check.compare import agrees, digits
from harness.check.compare import written as written_value
from harness.edit.fix import propose
from zoo.index import load_index

PAGE = "Models:\n- Name: net\n  Metadata:\n    {field}: {text} # kept\n"


@each(
    "field, old, value, new",
    [
        ("Parameters", "48290000", 27483240, "27480000"),
        ("Parameters", "48290001", 27483240, "27483240"),
        ("Parameters", "25.7M", 27483240, "27.5M"),
        ("Parameters", "25.70 M", 27483240, "27.48 M"),
        ("Parameters", "26M", 110929480, "111M"),
        ("Parameters", "'25.7M'", 27483240, "'27.5M'"),
        ("Parameters", '"48290000"', 27483240, '"27480000"'),
        ("Parameters", "' 48290000 '", 27483240, "' 27480000 '"),
        ("Parameters", "'48,290,000'", 27483240, "'27,480,000'"),
        ("Parameters", "48_290_001", 110929480, "110_929_480"),
        ("Parameters", "4.829e7", 27483240, "2.748e7"),
        ("Parameters", "4.829E+07", 110929480, "1.109E+08"),
        ("Parameters", "+48290000", 27483240, "+27480000"),
        ("Parameters", "8199999", 4652008, "4700000"),
        ("Parameters", "90000000", 1234, "1000"),
        ("Parameters", "25.6M", 11689512, "11.7M"),
        ("Parameters", "1.814 G", 11689512, "11.690 M"),
        ("Parameters", "4G", 11689512, "12M"),
        ("Parameters", "1.2B", 11689512, "11.7M"),
        ("Parameters", "0.0256G", 11689512, "0.0117G"),
        ("Parameters", "0.026G", 1689512, "0.0017G"),
        ("Parameters", "48290000", 1234, "1234"),
        ("Parameters", "70000000", 5000001, "5000000"),
        ("Parameters", "70M", 540001, "540K"),
        ("FLOPs", "0.5G", 1814073344, "1.8G"),
        ("FLOPs", "4.1 GFLOPs", 1814073344, "1.8 GFLOPs"),
        ("FLOPs", "4.1 GFLOPs", 58794272, "58.8 MFLOPs"),
        ("FLOPs", "4.11GMac", 58794272, "58.79MMac"),
        ("FLOPs", "300 MMac", 4089184256, "4089 MMac"),
        ("File Size", "1.2 GB", 46830571, "46.8 MB"),
        ("File Size", "1.2 GiB", 46830571, "44.7 MiB"),
        ("FLOPs", "17.4G", 13378889664, "13.4G"),
        ("FLOPs", "17423183648", 13378889664, "13378889664"),
        ("File Size", "193782911", 110273258, "110273258"),
        ("File Size", "193782900", 110273258, "110273258"),
        ("File Size", "97.8 MiB", 110273258, "105.2 MiB"),
        ("File Size", "0.1GB", 42562, "0.00004GB"),
        ("Layers", "50", 101, "101"),
        ("Top 1 Accuracy", "82.88%", Decimal("80.955"), "80.96%"),
        ("Top 1 Accuracy", "'82.9 %'", Decimal("80.955"), "'81.0 %'"),
        ("Top 1 Accuracy", "82.88", Decimal("5.2"), "5.20"),
        ("SHA256", f"'{'A' * 64}'", "b" * 63 + "1", f"'{'B' * 63}1'"),
        ("Crop Pct", "'0.875'", Decimal("0.94"), "'0.940'"),
        ("Crop Pct", ".875", Decimal("0.94"), ".940"),
        ("Crop Pct", ".875", 1, "1.000"),
        ("Interpolation", "bilinear", "bicubic", "bicubic"),
        ("Image Size", "'224'", (320, 320), "'320'"),
        ("Image Size", "224", (320, 288), "320x288"),
        ("Image Size", "224 × 288", (320, 320), "320 × 320"),
        ("Image Size", "3x224x224", (320, 288), "3x320x288"),
        ("Image Size", "'(3, 224, 224)'", (320, 288), "'(3, 320, 288)'"),
        ("Image Size", "256px", (320, 320), "320px"),
        ("Image Size", "256 pixels", (320, 288), "320x288"),
        ("Image Size", "256 x 256 px", (320, 288), "320 x 288 px"),
        ("FLOPs Input", "(224, 285)", (320, 288), "(320, 288)"),
        ("Image Size", "[224, 288]", (320, 256), "[320, 256]"),
        ("Image Size", "[3, 224, 224]", (320, 224), "[3, 320, 224]"),
    ],
)
def test_each_spelling_is_kept(mend, field, old, value, new):
    mended = mend(PAGE.format(field=field, text=old), ("net", field, value))
    assert mended.refusals == []
    assert mended.data.decode() == PAGE.format(field=field, text=new)


def test_an_integer_is_rounded_as_the_page_rounds_them(mend):
    """The zeros of a single number may be there by chance: 28000000 stood for 27480000."""
    page = "Models:\n" + "".join(
        f"- Name: {name}\n  Metadata:\n    Parameters: {text}\n"
        for name, text in [("a", 48280000), ("b", 10610000), ("c", 70200000), ("net", 28000000)]
    )
    mended = mend(page, ("net", "Parameters", 110929480))
    assert mended.data.decode() == page.replace("28000000", "110930000")


def test_an_exact_page_is_mended_exactly(mend):
    page = "Models:\n" + "".join(
        f"- Name: {name}\n  Metadata:\n    Parameters: {text}\n"
        for name, text in [("a", 48275016), ("b", 10611688), ("net", 28000000)]
    )
    mended = mend(page, ("net", "Parameters", 110929480))
    assert mended.data.decode() == page.replace("28000000", "110929480")


@st.composite
def written(draw, value):
    """A number as people write them: with a unit, an exponent, separators, decimals, in quotes."""
    style = draw(st.sampled_from(["plain", "zeros", "unit", "comma", "underscore", "power"]))
    digits = draw(st.integers(0, 4))
    if style == "plain":
        text = str(value)
    elif style == "zeros":
        keep = 10 ** draw(st.integers(0, max(0, len(str(value)) - 1)))
        text = str(value // keep * keep)
    elif style == "unit":
        unit, size = draw(st.sampled_from([("K", 3), ("M", 6), ("G", 9), ("B", 9)]))
        text = f"{Decimal(value).scaleb(-size):.{digits}f}{draw(st.sampled_from(['', ' ']))}{unit}"
    elif style == "power":
        text = f"{Decimal(value):.{digits}{draw(st.sampled_from('eE'))}}"
    else:
        text = f"{value:,}".replace(",", "," if style == "comma" else "_")
    return draw(st.sampled_from(["{}", "'{}'", '"{}"'])).format(text)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), value=st.integers(10**3, 10**12), right=st.integers(10**3, 10**12))
def test_whatever_is_written_is_what_was_measured(data, folder, wishing, value, right):
    """The round trip: read, mend, write, read: equal at the page's precision, and nothing else."""
    text = data.draw(written(value))
    path = folder / "page.yml"
    page = PAGE.format(field="Parameters", text=text)
    path.write_text(page)
    index = load_index(["page.yml"])
    claim = index.variants[0].claim("Parameters")
    if claim is None or claim.value is None:  # 0.00G claims no number that a model could have
        return
    proposal = propose([wishing(index, "net", "Parameters", right)], index)
    assert not proposal.skipped
    new = proposal.rewrites[0].data.decode()
    head, tail = page.split(text)
    assert new.startswith(head)
    assert new.endswith(tail)
    path.write_text(new)
    again = load_index(["page.yml"])
    mended = again.variants[0].claim("Parameters")
    assert not [p for p in again.problems if p.severity == "error"]
    assert agrees(mended, right)
    # As many digits are right as the old number had, whatever their place.
    assert 2 * abs(mended.value - right) * 10 ** (digits(claim) - 1) <= right
    # As precise as the old number; one with an exponent keeps its digits, not their place.
    grown = max(1, right // claim.value) * 10 if "e" in text.lower() else 1
    assert abs(mended.value - right) <= claim.step / 2 * grown
    assert mended.quoted == claim.quoted


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
        assert written_value(claim, value) == new
