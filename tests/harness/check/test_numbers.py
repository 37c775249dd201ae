"""Parameters and Layers at the precision that they were written with; File Size by windows."""

from __future__ import annotations

import pytest

from harness.check.build import find as find_build
from harness.check.numbers import LAYERS, PARAMETERS
from harness.check.size import CHECK as FILE_SIZE


def index_with(load, *lines):
    return load("Models:\n- Name: net\n  Metadata:\n" + "".join(f"    {x}\n" for x in lines))


@pytest.mark.parametrize(
    ("written", "count", "status"),
    [
        ("48275016", 48275016, "match"),
        ("48275016", 48275017, "mismatch"),
        ("48280000", 48275016, "match"),
        ("48270000", 48275016, "match"),
        ("48280000", 48270001, "match"),
        ("48280000", 48270000, "mismatch"),
        ("48280000", 48290000, "mismatch"),
        ("48280000", 48289999, "match"),
        ("50000000", 59999999, "match"),
        ("50000000", 60000000, "mismatch"),
        ("48.28M", 48275016, "match"),
        ("48.2M", 48275016, "match"),
        ("48.3M", 48275016, "match"),
        ("48.1M", 48275016, "mismatch"),
        ("25.60M", 25615016, "mismatch"),
        ("25.60M", 25609999, "match"),
        ("8199999", 8204000, "match"),
        ("8199999", 8399999, "mismatch"),
        ("'48280000'", 48275016, "match"),
        ("1.1e8", 110929480, "match"),
    ],
)
def test_parameters(written, count, status, load, judge, structure):
    index = index_with(load, f"Parameters: {written}")
    (finding,) = judge(PARAMETERS, index, [structure(count)])
    assert (finding.status, finding.measured) == (status, count)
    assert finding.documented == written.strip("'")
    assert finding.location == index.variants[0].claim("Parameters").location
    if status == "match":
        assert (finding.severity, finding.cause) == (None, None)
    else:
        assert (finding.severity, finding.cause) == ("error", "parameters.differs")
        assert str(count) in finding.message


@pytest.mark.parametrize(
    ("documented", "depth", "status", "cause"),
    [
        (50, 50, "match", None),
        (50, 49, "mismatch", "layers.differs"),
        (100, 101, "mismatch", "layers.differs"),
        (200, 269, "mismatch", "layers.differs"),
        (12, None, "unverified", "layers.not-defined"),
    ],
)
def test_layers(documented, depth, status, cause, load, judge, structure):
    index = index_with(load, f"Layers: {documented}")
    (finding,) = judge(LAYERS, index, [structure(layers=depth)])
    assert (finding.status, finding.cause, finding.measured) == (status, cause, depth)


def test_a_depth_that_the_name_says(load, judge, structure):
    """Authors count stems in several ways, and name their networks by what they count."""
    for name, documented, depth, cause in (
        ("senet154", 154, 152, "layers.not-defined"),
        ("resnetrs420", 420, 419, "layers.not-defined"),
        ("resnetrs270", 270, 272, "layers.not-defined"),
        ("seresnextaa201d_32x8d", 201, 203, "layers.not-defined"),
        ("senet154", 153, 152, "layers.differs"),
        ("resnet50d", 52, 50, "layers.differs"),
        ("resnext101_32x8d", 32, 101, "layers.differs"),
        ("resnet101", 101, 50, "layers.differs"),
    ):
        index = load(f"Models:\n- {{Name: {name}, Metadata: {{Layers: {documented}}}}}\n")
        (finding,) = judge(LAYERS, index, [structure(layers=depth)])
        assert finding.cause == cause, name
        assert finding.measured == depth


@pytest.mark.parametrize("check", [PARAMETERS, LAYERS, FILE_SIZE])
def test_what_could_not_be_built_is_unverified(check, load, judge, failed):
    index = index_with(load, "Parameters: 50", "Layers: 50", "File Size: 50")
    (finding,) = judge(check, index, [failed("structure")])
    assert (finding.status, finding.severity, finding.cause) == ("unverified", None, "build.failed")
    assert "the builder is broken" in finding.message


@pytest.mark.parametrize("check", [PARAMETERS, LAYERS, FILE_SIZE])
def test_what_is_not_documented_is_not_judged(check, load, judge, structure):
    assert judge(check, index_with(load, "ID: net"), [structure(layers=50)]) == []


def test_one_finding_where_nothing_could_be_made(load, judge, failed, structure, flops):
    class Check:
        find = staticmethod(find_build)

    index = index_with(load, "Parameters: 50")
    failures = [failed("structure"), failed("flops", (224, 224))]
    (finding,) = judge(Check, index, failures)
    assert (finding.field, finding.cause, finding.severity) == ("Name", "build.failed", "error")
    assert judge(Check, index, [failures[0], flops((224, 224), macs=1)]) == []
    assert judge(Check, index, [structure(), failures[1]]) == []
    assert judge(Check, index, []) == []


# A model of 1,000,000 parameters in 100 tensors, with 1,000 bytes of integers: in float32 a file
# of 4,001,000 bytes and 4,000 to 40,000 for the tensors' names, in half precision 2,001,000.
STATE = {"parameters": 1_000_000, "tensors": 100, "other": 1000}


def test_a_file_may_hold_the_auxiliary_classifiers(load, judge, structure):
    """torchvision's file of a GoogLeNet does, and its model has none of them."""
    state = structure(1_000_000, tensors=100)
    state.value["forms"]["auxiliary"] = {"parameters": 2_000_000}
    for written, cause in (
        ("8.02 MB", None),
        ("7.65 MB", "size.binary-unit"),
        ("4.01 MB", None),
        ("6.00 MB", "size.larger"),
        ("9.00 MB", "size.larger"),
    ):
        (finding,) = judge(FILE_SIZE, index_with(load, f"File Size: {written}"), [state])
        assert finding.cause == cause, finding.message


@pytest.mark.parametrize(
    ("written", "status", "cause", "severity"),
    [
        ("4005000", "match", None, None),
        ("4041000", "match", None, None),
        ("4020000", "match", None, None),
        ("4004999", "mismatch", "size.impossible", "error"),
        ("4041001", "mismatch", "size.larger", "note"),
        ("4121000", "mismatch", "size.larger", "note"),
        ("4121821", "mismatch", "size.larger", "warning"),
        ("16000000", "mismatch", "size.larger", "warning"),
        ("3000000", "mismatch", "size.impossible", "error"),
        ("2041001", "mismatch", "size.impossible", "error"),
        ("2041000", "mismatch", "size.half-precision", "note"),
        ("2005000", "mismatch", "size.half-precision", "note"),
        ("2004999", "mismatch", "size.impossible", "error"),
        ("1", "mismatch", "size.impossible", "error"),
        ("4.0 MB", "match", None, None),
        ("4.1 MB", "match", None, None),
        ("4.00 MB", "match", None, None),
        ("4.06 MB", "mismatch", "size.larger", "note"),
        ("4.13 MB", "mismatch", "size.larger", "warning"),
        # Sizes where kB, MB and GB are powers of 1024, as other pages print them.
        ("3.83 MB", "mismatch", "size.binary-unit", "note"),
        ("3920 KB", "mismatch", "size.binary-unit", "note"),
        ("3920 kB", "mismatch", "size.binary-unit", "note"),
        ("0.00375 GB", "mismatch", "size.binary-unit", "note"),
        ("1.92 MB", "mismatch", "size.half-precision", "note"),
        ("3.70 MB", "mismatch", "size.impossible", "error"),
        ("3830000", "mismatch", "size.impossible", "error"),
        ("3.99 MB", "mismatch", "size.impossible", "error"),
        ("3.83 MiB", "match", None, None),
        ("2.0 MB", "mismatch", "size.half-precision", "note"),
        ("3.0 MB", "mismatch", "size.impossible", "error"),
    ],
)
def test_file_sizes(written, status, cause, severity, load, judge, structure):
    index = index_with(load, f"File Size: {written}")
    (finding,) = judge(FILE_SIZE, index, [structure(**STATE)])
    assert (finding.status, finding.cause, finding.severity) == (status, cause, severity)
    assert finding.documented == written


def test_a_size_in_another_unit_is_said_to_be_one(load, judge, structure):
    fact = structure(**STATE)
    for written, right in (
        ("4.01 MiB", "4.01 MB"),
        ("3.83 GB", "3.83 MiB"),
        ("4010 MB", "4010 kB"),
        ("4.01 KB", "4.01 MB"),
        ("4010", "4010 kB"),
    ):
        (finding,) = judge(FILE_SIZE, index_with(load, f"File Size: {written}"), [fact])
        assert finding.message.endswith(f"; write {right}"), finding.message
    (finding,) = judge(FILE_SIZE, index_with(load, "File Size: 5.1 MB"), [fact])
    assert "another file's" in finding.message


def test_what_may_be_impossible_for_one_model_is_right_for_another(load, judge, structure):
    """193782911 bytes are the file of 48.28 M parameters, not of 70.2 M."""
    index = index_with(load, "File Size: 193782911")
    small = structure(48275016, tensors=935, floats=48380664, other=8 * 170)
    large = structure(70201544, tensors=1800, floats=70400000, other=8 * 330)
    assert judge(FILE_SIZE, index, [small])[0].status == "match"
    (finding,) = judge(FILE_SIZE, index, [large])
    assert finding.cause == "size.impossible"
    assert "2.76" in finding.message


@pytest.mark.parametrize(
    ("written", "severity", "words"),
    [
        ("25610152", "warning", "the parameters and the buffers together"),
        ("25610205", "warning", "the parameters and the buffers together"),
        ("23508032", "warning", "the parameters without the last part, fc"),
        ("23454912", "warning", "the parameters of the convolutions alone"),
        ("25557", "error", "a thousandth of the parameters"),
        ("102228128", "error", "the bytes that the parameters take"),
        ("25557032000", "error", "a thousand times the parameters"),
        ("51.11M", "error", "twice the parameters"),
        ("12.778M", "error", "half of the parameters"),
        ("25600001", "error", "correct the builder"),
        # Too few digits to tell from chance.
        ("24M", "error", "correct the builder"),
    ],
)
def test_parameters_that_count_something_else(written, severity, words, load, judge, structure):
    index = index_with(load, f"Parameters: {written}")
    fact = structure(
        25_557_032, floats=25_610_152, head=2_049_000, kinds={"convolutions": 23_454_912}
    )
    fact.value["buffers"] += 53  # one number of batches per norm
    (finding,) = judge(PARAMETERS, index, [fact])
    assert (finding.status, finding.cause) == ("mismatch", "parameters.differs")
    assert (finding.severity, finding.measured) == (severity, 25_557_032)
    assert words in finding.message


def test_a_deployed_form_that_could_not_be_made_is_said_to_be_missing(load, judge, structure):
    index = index_with(load, "Parameters: 8309384")
    (finding,) = judge(PARAMETERS, index, [structure(9108968, no_forms="RuntimeError: no kernel")])
    assert (finding.severity, finding.cause) == ("error", "parameters.differs")
    assert "its deployed form could not be made: RuntimeError: no kernel" in finding.message


def test_a_model_that_is_built_in_part_contradicts_no_number_that_it_does_not_explain(
    load, judge, structure
):
    for written, status in (("233000000", "unverified"), ("83702496", "match")):
        built = structure(83_702_496, left_out="its teacher")
        (finding,) = judge(PARAMETERS, index_with(load, f"Parameters: {written}"), [built])
        assert (finding.status, finding.severity) == (status, None)
        assert ("without its teacher" in finding.message) == (status == "unverified")


def test_a_file_without_the_classifier(load, judge, structure):
    """100 tensors of a million values, two of which are the classifier with a tenth of them."""
    fact = structure(1_000_000, tensors=100, head=100_000)
    (finding,) = judge(FILE_SIZE, index_with(load, "File Size: 3620000"), [fact])
    assert (finding.cause, finding.severity) == ("size.impossible", "error")
    assert "without its last part, fc" in finding.message
    (finding,) = judge(FILE_SIZE, index_with(load, "File Size: 3500000"), [fact])
    assert (finding.cause, finding.severity) == ("size.impossible", "error")
    assert "without its last part" not in finding.message


def test_the_sizes_that_torchvision_prints(load, judge, structure, measured):
    """Its pages say MB and mean 2^20 bytes, to one decimal; the oracle is its own metadata."""
    import torch
    from torchvision.models import get_model, get_model_weights

    from harness.measure.structure import state_layout

    for name in ("resnet18", "mobilenet_v3_small", "resnet50", "vit_b_32"):
        with torch.device("meta"):
            model = get_model(name)
        state = state_layout(model)
        facts = [structure(parameters=sum(p.numel() for p in model.parameters()), state=state)]
        for weights in get_model_weights(name):
            if weights.meta["num_params"] != facts[0].value["parameters"]:
                continue
            written = f"{weights.meta['_file_size']:.1f}"
            for unit, cause in (("MB", "size.binary-unit"), ("MiB", None)):
                (finding,) = judge(
                    FILE_SIZE, index_with(load, f"File Size: {written} {unit}"), facts
                )
                assert finding.cause == cause, (name, written, finding.message)
                assert not finding.edits
            size = int(float(weights.meta["_file_size"]) * 2**20)
            file = measured("file", {"size": size})
            (finding,) = judge(FILE_SIZE, index_with(load, f"File Size: {written} MB"), [file])
            assert (finding.cause, finding.severity) == ("size.binary-unit", "note")
            assert f"{written} MiB" in finding.message


def test_sizes_in_either_sense_contradict_nothing(load):
    """One URL whose entries say 97.8 MB, 102.5 MB and the bytes; and one that says another size."""
    from harness.check.shared import find_urls

    entry = (
        "- Name: {}\n  Weights: https://example.org/resnet50.pth\n  Metadata:\n    File Size: {}\n"
    )
    for first, second, cause in (
        ("97.8 MB", "102530333", "weights.shared-checkpoint"),
        ("97.8 MB", "102.5 MB", "weights.shared-checkpoint"),
        ("0.0978 GB", "97.8 MB", "weights.shared-checkpoint"),
        ("97.8 MB", "93.3 MiB", "weights.shared-checkpoint"),
        ("97.8 MB", "97.8 MiB", "weights.shared-checkpoint"),
        ("97.8 MB", "90.1 MB", "weights.shared-url"),
        ("97.8 MB", "97800000", "weights.shared-checkpoint"),
        ("97.8 MiB", "97800000", "weights.shared-url"),
    ):
        index = load("Models:\n" + entry.format("a", first) + entry.format("b", second))
        assert {f.cause for f in find_urls(index, index.variants)} == {cause}, (first, second)
