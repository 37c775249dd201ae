"""The JSON document against its published schema."""

from __future__ import annotations

import copy
import json
import math
from decimal import Decimal

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loops import each

from harness.causes import CAUSES
from harness.report.document import json_schema
from harness.types import VariantReport
from zoo._util.text import for_terminal, without_secrets
from zoo.index import load_index


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def parsed(shown):
    def parse(report):
        def refuse(name):
            raise AssertionError(f"{name} is not JSON")

        return json.loads(shown("json", report), parse_constant=refuse)

    return parse


@pytest.fixture
def valid_document(make_finding, make_report, parsed):
    return parsed(make_report(make_finding()))


def test_every_kind_of_finding_is_valid(all_findings, make_report, parsed, validator):
    for finding in all_findings:
        validator.validate(parsed(make_report(finding)))


def test_the_document_as_a_whole(make_finding, make_report, parsed, validator):
    measured = {
        **{"parameters": 27483240, "layers": 50, "image_size": (224, 256)},
        **{"flops": {"macs": 5371160576, "fvcore": None}, "top1": Decimal("82.5")},
    }
    report = make_report(
        make_finding(severity="warning", cause="flops.convention"),
        make_finding(status="match", severity=None, cause=None),
        variants=(VariantReport("net50", "Net", "zoo", measured),),
    )
    document = parsed(report)
    validator.validate(document)
    assert list(document) == ["schema", "environment", "variants", "findings", "summary"]
    assert document["schema"] == 1
    assert document["environment"]["seconds"] == 4.25
    (variant,) = document["variants"]
    counts = dict.fromkeys(("macs", "flops", "fvcore", "thop-2020", "torchvision"))
    missing = dict.fromkeys(("file_size", "sha256", "top5", "images"))
    assert variant == {
        **{"name": "net50", "collection": "Net", "builder": "zoo"},
        "measurements": {
            **{"parameters": 27483240, "layers": 50, "image_size": [224, 256], "top1": 82.5},
            "flops": {**counts, "macs": 5371160576},
            **missing,
        },
    }
    assert document["findings"][0] == {
        **{"variant": "net50", "field": "FLOPs", "check": "flops", "status": "mismatch"},
        **{"severity": "warning", "cause": "flops.convention", "documented": "6973972864"},
        **{"measured": 5399965376, "message": "The model has 5399965376 FLOPs; write that."},
        **{"location": {"file": "model-index/net.yml", "line": 12, "column": 7}, "fix": None},
    }
    zero = dict.fromkeys(("unverified", "errors", "notes"), 0)
    assert document["summary"] == {"match": 1, "mismatch": 1, "warnings": 1, **zero}


@each("number", [math.nan, math.inf, -math.inf, Decimal("NaN")])
def test_no_number_that_json_lacks(number, make_finding, make_report, parsed, validator):
    measurements = {"top1": number, "flops": {"macs": number}}
    variants = (VariantReport("net50", None, "zoo", measurements),)
    document = parsed(make_report(make_finding(measured=number), variants=variants))
    validator.validate(document)
    assert document["findings"][0]["measured"] is None


def test_the_text_is_the_same_each_time(all_findings, make_report, shown):
    report = make_report(*all_findings)
    assert shown("json", report) == shown("json", copy.deepcopy(report))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(text=st.text(st.characters(exclude_categories=[])))
@example(text="00:/0@ https://u:p@h/a?token=abc")
def test_any_text_survives_in_ascii(text, make_finding, make_report, shown):
    written = shown("json", make_report(make_finding(message=text, documented=text)))
    assert written.isascii()
    (found,) = json.loads(written)["findings"]
    assert found["documented"] == without_secrets(text)
    assert found["message"] == for_terminal(found["message"])


@each(
    "path, value",
    [
        (("extra",), 1),
        (("schema",), 2),
        (("findings", 0, "extra"), 1),
        (("findings", 0, "status"), "maybe"),
        (("findings", 0, "status"), "match"),
        (("findings", 0, "severity"), "fatal"),
        (("findings", 0, "severity"), None),
        (("findings", 0, "cause"), "flops.odd"),
        (("findings", 0, "cause"), None),
        (("findings", 0, "location", "line"), 0),
        (("findings", 0, "location", "extra"), 0),
        (("variants", 0, "measurements", "extra"), 0),
        (("variants", 0, "measurements", "top1"), 101),
        (("variants", 0, "measurements", "image_size"), [224]),
        (("environment", "extra"), "x"),
        (("summary", "errors"), -1),
    ],
)
def test_the_schema_is_strict(path, value, valid_document, validator):
    validator.validate(valid_document)
    *parents, last = path
    place = document = copy.deepcopy(valid_document)
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)


def test_the_schema_has_the_causes_of_the_table():
    causes = json_schema()["$defs"]["finding"]["properties"]["cause"]["enum"]
    assert causes == [*CAUSES, None]


def test_a_claimed_speed_has_its_conditions(tmp_path, parsed, make_report, validator):
    page = tmp_path / "a.yml"
    under = "device: NVIDIA A40, batch: 32, dtype: bfloat16, memory format: nhwc, resolution: 224"
    page.write_text(
        f"Models:\n- Name: a\n  Throughput: [{{value: 1250, {under}}}, {{value: 9, gpu: T4}}]\n"
    )
    (variant,) = load_index([page]).variants
    made = VariantReport("a", None, "zoo", {}, claims=variant.claims)
    document = parsed(make_report(variants=(made,)))
    validator.validate(document)
    _, first, second = document["variants"][0]["claims"]
    assert first["conditions"] == {
        "batch size": 32,
        "device": "NVIDIA A40",
        "image size": [224, 224],
        "layout": "channels_last",
        "precision": "bf16",
    }
    assert second["conditions"] == {"device": "T4"}
