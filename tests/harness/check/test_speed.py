"""Documented speeds beside a bench: what is the same, what may be, and what is no comparison."""

from __future__ import annotations

import pytest

from harness.check.speed import find_measured, same_device

CARD = "NVIDIA GeForce RTX 3090"
CHIP = "12th Gen Intel(R) Core(TM) i7-12700H"
ON_CARD = f"device: {CARD}, batch size: 32, precision: bf16, layout: channels_last"
ON_CHIP = "device: i7-12700H, batch size: 32, precision: float32, layout: NHWC, threads: 4"


def timing(speed=1000.0, device="cuda:0", **changes):
    """As a bench records it: 32 images a pass, each repeat within 2 % of the median."""
    gpu = device != "cpu"
    environment = {
        **{"device": device, "device_name": CARD if gpu else CHIP, "cpu": CHIP, "cores": 8},
        **{"threads": 4, "torch": "2.4.0", "tf32": False},
    }
    batch = changes.get("batch", 32)
    values = {
        **{"batch": batch, "precision": "bf16" if gpu else "off", "amp": "off"},
        **{"layout": "channels_last", "compile": None, "compiled": False, "image_size": [224, 224]},
        **{"images_per_second": speed, "images_per_second_range": [0.98 * speed, 1.02 * speed]},
        "latency_ms": dict.fromkeys(("p50", "p90", "p99"), 1e3 * batch / speed),
        **{"peak_memory": 400_000_000, "peak_reserved": 500_000_000, "contended": False},
        "environment": environment,
    }
    environment |= changes.pop("environment", {})
    return {**values, **changes}


@pytest.fixture
def held(load, measured):
    """What is found of claims, each a line of YAML: ``held(timing, "Throughput: 5", ...)``."""

    def run(of, *lines, others=(), sized=True):
        lines += ("Image Size: 224",) * sized
        entries = [("net", lines, of), *others]
        text = "Models:\n"
        for name, claims, _ in entries:
            text += f"- Name: {name}\n  Metadata:\n" + "".join(f"    {c}\n" for c in claims)
        index = load(text)
        facts = {
            id(v): {("speed", None): measured("speed", {"timings": list(times)})}
            for v, (_, _, times) in zip(index.variants, entries, strict=True)
        }
        found = list(find_measured(index, index.variants, facts))
        return [(f.status, f.cause, f.message) for f in found if f.variant == "net"]

    return run


def test_a_claim_within_the_repeats_and_a_tenth_holds_and_one_far_off_does_not(held):
    for of, conditions, off in (
        (timing(), ON_CARD, 1.5),
        (timing(device="cpu"), ON_CHIP, 2),
    ):
        for field, right in (
            ("Throughput", 1000),
            ("Latency", 32),
            ("inference time (ms/im)", 1),
        ):
            for factor, status in (
                *((f, "match") for f in (1, 1.09, 1 / 1.09)),
                *((f, "unverified") for f in (1.2, 1 / 1.2, off, 1 / off)),
                *((f, "mismatch") for f in (1.04 * off, 0.96 / off, 100)),
            ):
                claim = f"{field}: {{value: {right * factor:.4f}, {conditions}}}"
                ((found, cause, message),) = held([of], claim)
                assert found == status, (claim, message)
                causes = {"unverified": "speed.undecided", "mismatch": "speed.differs"}
                assert cause == causes.get(status)


def test_only_what_is_stated_and_equal_contradicts(held):
    wrong = "Throughput: {value: 9999, %s}"
    assert held([timing()], wrong % ON_CARD)[0][0] == "mismatch"
    for changed, says in (
        (ON_CARD.replace(CARD, "RTX 3090 Ti"), "of device RTX 3090 Ti"),
        (ON_CARD.replace(CARD, "V100"), "of device V100"),
        (ON_CARD.replace(f"device: {CARD}, ", ""), "names no device"),
        (ON_CARD.replace("32", "64", 1), "batch size 64"),
        (ON_CARD.replace("bf16", "fp16"), "precision fp16"),
        (ON_CARD.replace("precision: bf16", "precision: amp"), "precision amp"),
        (ON_CARD.replace("precision", "amp"), "precision amp bf16"),
        (ON_CARD.replace("channels_last", "contiguous"), "layout contiguous"),
        (f"{ON_CARD}, compile: true", "compile default"),
        (f"{ON_CARD}, image size: 288", "image size 288x288"),
        (f"{ON_CARD}, backend: TensorRT", "backend TensorRT"),
    ):
        ((status, cause, message),) = held([timing()], wrong % changed)
        assert (status, cause) == ("unverified", "speed.other-device"), changed
        assert says in message
    for left_open, says in (
        (ON_CARD.replace(", layout: channels_last", ""), "layout"),
        (ON_CARD.replace(", batch size: 32", ""), "batch size"),
        (ON_CARD.replace(", precision: bf16", ""), "precision"),
        (ON_CARD.replace("precision", "mode"), "precision"),
        (f"{ON_CARD}, backend: PyTorch 1.13", "backend"),
    ):
        ((status, cause, message),) = held([timing()], wrong % left_open)
        assert (status, cause) == ("unverified", "speed.undecided"), (left_open, message)
        assert f"says nothing of its {says}, by which speeds differ" in message
        right = wrong.replace("9999", "1001") % left_open
        assert held([timing()], right)[0][0] == "match", left_open
    little = held([timing()], wrong % f"device: {CARD}")[0][2]
    assert "says nothing of its batch size, precision and layout, by which" in little
    # Float32 of a GPU that can calculate in TF32 says which it was, or may have been either.
    plain = timing(precision="off")
    exact = ON_CARD.replace("bf16", "float32")
    assert held([plain], wrong % exact)[0][1] == "speed.undecided"
    assert held([plain], wrong % f"{exact}, tf32: false")[0][1] == "speed.differs"
    assert held([plain], wrong % f"{exact}, tf32: true")[0][1] == "speed.other-device"
    # A cast model and one in mixed precision are two things, and "amp" alone may be of either kind.
    mixed = timing(amp="bf16")
    for precision, cause in (
        *(("amp: bf16", "differs"), ("precision: amp", "undecided"), ("amp: true", "undecided")),
        *(("precision: bf16", "other-device"), ("amp: fp16", "other-device")),
        *(("mode: BF16", "undecided"), ("mode: FP32", "other-device")),
    ):
        claim = wrong % ON_CARD.replace("precision: bf16", precision)
        assert held([mixed], claim)[0][1] == f"speed.{cause}", precision
    # Of a processor its threads, since a machine may have any share of its cores.
    assert held([timing(device="cpu")], wrong % ON_CHIP)[0][1] == "speed.differs"
    fewer = ON_CHIP.replace(", threads: 4", "")
    assert held([timing(device="cpu")], wrong % fewer)[0][1] == "speed.undecided"
    other = ON_CHIP.replace("threads: 4", "threads: 8")
    assert held([timing(device="cpu")], wrong % other)[0][1] == "speed.other-device"


def test_of_several_benches_the_one_that_agrees_counts(held):
    times = [timing(), timing(4000.0, layout="contiguous"), timing(700.0, batch=1)]
    claim = "Throughput: {value: %s, %s}"
    left_open = ON_CARD.replace(", layout: channels_last", "")
    assert held(times, claim % (4000, left_open))[0][0] == "match"
    assert held(times, claim % (4000, ON_CARD))[0][0] == "mismatch"
    assert held(times, claim % (2000, left_open))[0][0] == "unverified"
    assert (
        held([timing(failed="no memory") | {"images_per_second": None}], claim % (1, ON_CARD)) == []
    )


def test_memory_lies_between_what_is_allocated_and_what_is_reserved(held):
    for value, status in (
        *(("400 MB", "match"), ("470 MB", "match"), ("500 MB", "match")),
        # What nvidia-smi shows has CUDA's own in it.
        *(("1.3 GB", "unverified"), ("300 MB", "unverified")),
        *(("2.4 GB", "mismatch"), ("100 MB", "mismatch")),
    ):
        assert held([timing()], f"Memory: {{value: {value}, {ON_CARD}}}")[0][0] == status, value


def test_a_reference_gives_ratios_where_nothing_else_compares(held):
    foreign = ON_CARD.replace(CARD, "V100")
    claim = f"Throughput: {{value: 3000, {foreign}, reference: small}}"
    small = ("small", [f"Throughput: {{value: 1500, {foreign}}}"], [timing(400.0)])
    ((status, cause, message),) = held([timing()], claim, others=[small])
    assert (status, cause) == ("unverified", "speed.other-device")
    assert message.endswith(
        "beside small in this run it is 2.50 times as much, and 2.00 times as claimed"
    )
    ((_, _, message),) = held([timing()], claim)
    assert message.endswith("its reference small was not timed in this run")
    apart = ("small", [f"Throughput: {{value: 9, {ON_CARD}}}"], [timing(400.0)])
    ((_, _, message),) = held([timing()], claim, others=[apart])
    assert message.endswith("small claims no such figure under these conditions")


def test_openmmlabs_form_is_understood(held):
    metafile = """inference time (ms/im):
      - value: 64.1
        hardware: RTX 3090
        backend: PyTorch
        batch size: 32
        mode: FP16
        resolution: (224, 224)
      - {value: 1.02, hardware: RTX 3090, batch size: 32, mode: FP16}"""
    first, second = held([timing(precision="fp16")], metafile)
    assert first[1] == "speed.undecided"
    assert "precision and layout" in first[2]
    assert second[0] == "match"


def test_devices_are_told_apart_by_every_word_that_tells_them_apart():
    for stated, found, same in (
        ("RTX 3090", CARD, True),
        ("GeForce RTX 3090", CARD, True),
        ("RTX 3090 Ti", CARD, False),
        ("RTX 3090", f"{CARD} Ti", False),
        ("RTX 3090", f"{CARD} Laptop GPU", False),
        ("RTX 3080", CARD, False),
        ("A100", "NVIDIA A100-SXM4-80GB", None),
        ("A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB", True),
        ("A100-PCIE-40GB", "NVIDIA A100-SXM4-80GB", False),
        ("A100 80GB PCIe", "NVIDIA A100 80GB PCIe", True),
        ("V100", "Tesla V100-SXM2-32GB", None),
        ("RTX3090", CARD, True),
        ("GTX 1080Ti", "NVIDIA GeForce GTX 1080 Ti", True),
        ("H200", "NVIDIA H200", True),
        ("H100", "NVIDIA H200", False),
        ("i7-12700H", CHIP, True),
        ("Intel Core i7-12700H", CHIP, True),
        ("i7-12700K", CHIP, False),
        ("Intel Xeon Platinum 8488C", "Intel(R) Xeon(R) Platinum 8488C", True),
        ("Xeon Platinum 8488C", "Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz", True),
        ("Xeon", "Intel(R) Xeon(R) Platinum 8488C", False),
        ("GPU", CARD, False),
        ("CPU", CHIP, False),
        ("", CARD, False),
    ):
        assert same_device(stated, found) is same, (stated, found)


def test_a_busy_machine_contradicts_no_claim_of_more_speed(held):
    for contended in (True, None):
        busy = timing(contended=contended)
        for claim, cause in (
            ("Throughput: {value: 9999, %s}", "speed.undecided"),
            ("Latency: {value: 1, %s}", "speed.undecided"),
            ("inference time (ms/im): {value: 0.1, %s}", "speed.undecided"),
            # What is slower than a busy machine is slower than any.
            ("Throughput: {value: 9, %s}", "speed.differs"),
            ("Latency: {value: 999, %s}", "speed.differs"),
            ("Memory: {value: 9 GB, %s}", "speed.differs"),
        ):
            assert held([busy], claim % ON_CARD)[0][1] == cause, (claim, contended)


def test_what_many_machines_are_called_contradicts_nothing(held):
    """A right figure of another machine that is called the same is no error."""
    for name, is_known in (
        ("AMD EPYC", False),
        ("AMD EPYC-Rome Processor", False),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", False),
        ("Intel Xeon Processor (Skylake, IBRS)", False),
        ("QEMU Virtual CPU version 2.5+", False),
        ("Intel64 Family 6 Model 85 Stepping 7, GenuineIntel", False),
        ("aarch64", False),
        ("x86_64", False),
        ("AMD EPYC 7B12", True),
        ("Apple M1", True),
        ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", True),
    ):
        of = timing(device="cpu", environment={"device_name": name})
        claim = "Throughput: {value: %s, " + ON_CHIP.replace("i7-12700H", f'"{name}"') + "}"
        ((_, cause, message),) = held([of], claim % 9999)
        assert cause == ("speed.differs" if is_known else "speed.undecided"), name
        assert is_known or "says nothing of its exact device, by which speeds differ" in message
        assert held([of], claim % 1001)[0][0] == "match", name


def test_threads_that_share_cores_contradict_no_claim_of_more_speed(held):
    of = timing(device="cpu", environment={"cores": 2})
    ((_, cause, message),) = held([of], f"Throughput: {{value: 9999, {ON_CHIP}}}")
    assert cause == "speed.undecided"
    assert message.endswith("its threads had to share cores beside the bench")
    assert held([of], f"Throughput: {{value: 9, {ON_CHIP}}}")[0][1] == "speed.differs"


def test_an_input_size_that_neither_claim_nor_variant_states_is_open(held):
    claim = f"Throughput: {{value: 9999, {ON_CARD}}}"
    for metadata, cause in (
        (claim, "speed.undecided"),
        (f"{claim}\n    Image Size: 224", "speed.differs"),
        (claim.replace("}", ", image size: 224}"), "speed.differs"),
    ):
        assert held([timing()], metadata, sized=False)[0][1] == cause, metadata
