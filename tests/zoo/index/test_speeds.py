"""How speeds are read: a number, a mapping with its conditions, or a list of them."""

from __future__ import annotations

from decimal import Decimal

from zoo.index import load_index


def read(tmp_path, lines, head=""):
    path = tmp_path / "index.yml"
    path.write_text(
        f"Models:\n- Name: net\n{head}  Metadata:\n" + "".join(f"    {x}\n" for x in lines)
    )
    index = load_index([path])
    claims = [c for v in index.variants for c in v.claims if c.field not in ("Name", "Config")]
    return claims, [(p.cause, p.severity, str(p)) for p in index.problems]


def test_every_form_of_a_speed_is_a_claim_with_its_conditions(tmp_path):
    for line, field, value, conditions in (
        ("Throughput: 1250", "Throughput", "1250", {}),
        ("throughput (images/s): 1,250.5", "Throughput", "1250.5", {}),
        ("Images/s: 12 fps", "Throughput", "12", {}),
        ("Latency: 8.1 ms", "Latency", "8.1", {}),
        ("Latency: 0.5 s", "Latency", "500", {}),
        ("Memory: 1.5 GiB", "Memory", "1610612736", {}),
        ("Latency: {value: 8 ms, device: 3090}", "Latency", "8", {"device": "3090"}),
        ("Latency: [{value: 8, GPU: A40}]", "Latency", "8", {"device": "A40"}),
        ("Latency: {value: 8, Hardware: V100, Batch: 4, mode: FP16}", "Latency", "8",
         {"device": "V100", "batch size": 4, "mode": "FP16"}),
        ("Latency: {value: 8, batch_size: 4, dtype: torch.bfloat16, memory_format: NHWC}",
         "Latency", "8", {"batch size": 4, "precision": "bf16", "layout": "channels_last"}),
        ("Latency: {value: 8, compile: true, tf32: no, amp: off}", "Latency", "8",
         {"compile": "default", "tf32": "off", "amp": "off"}),
        ("Latency: {value: 8, resolution: [512, 1024], reference: small}", "Latency", "8",
         {"image size": (512, 1024), "reference": "small"}),
        ("inference time (ms/im): [{value: 64.1, resolution: '(512,1024)'}]",
         "inference time (ms/im)", "64.1", {"image size": (512, 1024)}),
    ):  # fmt: skip
        (claim,), problems = read(tmp_path, [line])
        assert problems == [], line
        assert (claim.field, claim.value) == (field, Decimal(value)), line
        assert dict(claim.settings) == conditions, line
    several, _ = read(tmp_path, ["Throughput: [1, {value: 2, device: a}, 3 img/s]"])
    assert [c.value for c in several] == [1, 2, 3]
    assert [c.location.column for c in several] == [18, 29, 44]


def test_what_can_t_be_read_is_said_and_kept_silently_in_metafiles(tmp_path):
    for line, cause, says in (
        ("Throughput: fast", "schema.wrong-type", "'fast'"),
        ("Throughput: 0", "schema.out-of-range", "is 0"),
        ("Throughput: 5 apples", "schema.wrong-type", "apples"),
        ("Throughput: {device: A40}", "schema.wrong-type", "has no value; add value: 1250"),
        ("Throughput: {value: 1, batch size: many}", "schema.wrong-type", "has batch size 'many'"),
        ("Throughput: {value: 1, batch size: 0}", "schema.wrong-type", "has batch size '0'"),
        ("Throughput: {value: 1, batch size: 9999999999}", "schema.wrong-type", "to 999,999,999"),
        ("Throughput: {value: 1, layout: sideways}", "schema.wrong-type", "channels_last, contig"),
        ("Throughput: {value: 1, precision: int4}", "schema.wrong-type", "float32, bf16, fp16"),
        ("Throughput: {value: 1, resolution: large}", "schema.wrong-type", "has resolution"),
        ("Throughput: {value: 1, colour: red}", "schema.unknown-key", "'colour', by which no"),
        ("Memory: 12", "schema.out-of-range", "12"),
        ("Latency: null", "schema.wrong-type", "has no value"),
    ):
        claims, problems = read(tmp_path, [line])
        ((found, severity, message),) = problems
        assert (found, severity) == (cause, "note" if "unknown" in cause else "error"), line
        assert says in message, line
        assert (claims[0].value is None) == (severity == "error"), line
        silent = read(tmp_path, [line], "  Config: net.py\n")[1]
        assert silent == [], line
