"""What a figure depends on: resolved, kept with it, and never the word that was asked for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.config import configure
from harness.measure import machine
from harness.measure.builders.native import NativeBuilder
from harness.measure.devices import environment, float32_settings, full_float32
from harness.measure.speed import bench
from harness.run import facts as facts_of
from harness.run.eval_dataset import EvalDataset
from harness.run.facts import SPEED, VariantFacts
from harness.run.jobs import AccuracyJob, Job
from harness.run.perform import Performer
from harness.types import Recipe
from zoo.index import load_index

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
UUIDS = [bytes([n] * 16) for n in (0x11, 0xEE)]


class Driver:
    """CUDA's driver as C sees it: every answer goes through a pointer."""

    def __init__(self, *names, version=13000):
        self.names, self.version = names, version

    def cuInit(self, flags):
        return 0

    def cuDriverGetVersion(self, out):
        out._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, out):
        out._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, out, number):
        out._obj.value = number
        return 0 if number < len(self.names) else 101

    def cuDeviceGetName(self, out, length, device):
        out._obj.value = self.names[device.value].encode()
        return 0

    def cuDeviceGetAttribute(self, out, which, device):
        out._obj.value = {75: 9, 76: device.value}[which]
        return 0

    def cuDeviceGetUuid(self, out, device):
        out._obj[:] = [b - 256 if b > 127 else b for b in UUIDS[device.value]]
        return 0


class Nvml:
    """NVML, which knows devices by their UUIDs alone; the second one is a slice of another."""

    def __init__(self, watts=700, driver="570.1", mig=0):
        self.watts, self.driver, self.mig, self.joules = watts, driver, mig, 0.0

    def nvmlInit_v2(self):
        return 0

    def nvmlSystemGetDriverVersion(self, out, length):
        out._obj.value = self.driver.encode()
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid, out):
        out._obj.value = {
            b"GPU-11111111-1111-1111-1111-111111111111": 7,
            b"MIG-eeeeeeee-eeee-eeee-eeee-eeeeeeeeeeee": 8,
        }.get(uuid)
        return 0 if out._obj.value else 6

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle, out):
        assert handle.value == 8
        out._obj.value = 9
        return 0

    def nvmlDeviceGetEnforcedPowerLimit(self, handle, out):
        out._obj.value = {7: self.watts * 1000, 9: 300_000}[handle.value]
        return 0

    def nvmlDeviceGetMigMode(self, handle, out, pending):
        out._obj.value = self.mig or handle.value == 9
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, out):
        self.joules += 50.0
        out._obj.value = int(self.joules * 1000)
        return 0


@pytest.fixture
def installed(monkeypatch):
    """Put a driver and NVML on the machine, None for none, and a torch of that build."""

    def install(driver, nvml=None, build=(("cuda", "13.0"),)):
        libraries = {"libcuda.so.1": driver, "libnvidia-ml.so.1": nvml}
        monkeypatch.setattr(machine, "_library", libraries.get)
        monkeypatch.setattr(machine, "torch_build", lambda: dict(build))
        forget()

    def forget():
        for cached in (machine.gpus, machine._driver, machine._nvml):
            cached.cache_clear()

    monkeypatch.setattr("sys.platform", "linux")
    yield install
    forget()


def test_a_gpu_is_known_by_what_it_is(installed):
    installed(Driver("NVIDIA H200", "NVIDIA A100 MIG 1g.5gb"), Nvml())
    found = machine.speed_conditions("auto", 16)
    assert (found["device_name"], found["capability"], found["cuda"]) == (
        "NVIDIA H200",
        "9.0",
        "13.0",
    )
    assert (found["driver"], found["power_limit"], found["mig"]) == ("570.1", 700.0, False)
    assert found["cores"] == 16
    assert found["cpu"]
    other = machine.speed_conditions("cuda:1", 16)
    assert (other["device_name"], other["capability"]) == ("NVIDIA A100 MIG 1g.5gb", "9.1")
    assert (other["power_limit"], other["mig"]) == (300.0, True)
    assert machine.energy(0) is not None
    assert machine.energy(1) is None


def test_auto_is_the_cpu_where_torch_would_find_no_gpu(installed):
    for driver, build in (
        (None, {"cuda": "13.0"}),
        (Driver(), {"cuda": "13.0"}),
        (Driver("old", version=12040), {"cuda": "13.0"}),
        (Driver("a card"), {}),
        (SimpleNamespace(), {"cuda": "13.0"}),
    ):
        installed(driver, build=tuple(build.items()))
        assert machine.resolve("auto") is None
        assert "device_name" not in machine.speed_conditions("auto", 2)
        assert machine.gpu_limits(0) == {}
    installed(Driver("new", version=13020), build=(("cuda", "13.0"),))
    assert machine.resolve("auto") == 0


def keys(monkeypatch, config, tmp_path):
    """The keys of a variant's speed and of its count on a set of images, and what they are of."""
    index = tmp_path / "index.yml"
    index.write_text("Models:\n- Name: resnest14d\n  Metadata:\n    Image Size: 224\n")
    variant = load_index([index]).variants[0]
    seen = []

    def noting(kind, recipe, which, depends):
        seen.extend(depends)
        return key_of(kind, recipe, which, depends)

    key_of = facts_of.key_of
    with monkeypatch.context() as patch:
        patch.setattr(facts_of, "key_of", noting)
        run = VariantFacts(variant, config, None)
        speed = run._key(SPEED)
    dataset = EvalDataset(configure(data=["sample"], device=config.device, amp=config.amp))
    counted = dataset.identity(Recipe("resnest14d", image_size=(224, 224)))
    return speed, json.dumps(counted), json.dumps([seen, counted])


def test_keys_are_of_what_the_device_is_and_not_of_its_word(installed, monkeypatch, tmp_path):
    def made(device, *machine_, **config):
        installed(*machine_)
        return keys(monkeypatch, configure(device=device, **config), tmp_path)

    h200 = (Driver("NVIDIA H200"), Nvml())
    auto, named, numbered = (made(word, *h200) for word in ("auto", "cuda", "cuda:0"))
    assert auto == named == numbered
    assert not {'"auto"', '"cuda"', '"cuda:0"', '\\"auto\\"'} & set(
        auto[2].replace(",", " ").split()
    )
    cpu = made("cpu", *h200)
    assert cpu == made("auto", None)
    others = [
        cpu,
        made("auto", Driver("NVIDIA A100"), Nvml()),
        made("auto", Driver("NVIDIA H200"), Nvml(watts=350)),
        made("auto", Driver("NVIDIA H200"), Nvml(driver="580.2")),
        made("auto", Driver("NVIDIA H200"), Nvml(mig=1)),
        made("auto", *h200, (("cuda", "12.8"),)),
        made("auto", *h200, amp="bf16"),
    ]
    speeds = [each[0] for each in (auto, *others)]
    assert len(set(speeds)) == len(speeds)
    # What it is allowed to draw steers how fast a card counts, and not what.
    counts = [each[1] for each in (auto, *others)]
    assert [counts.count(each) for each in counts] == [4, 1, 1, 4, 4, 4, 1, 1]


def test_float32_is_multiplied_in_full_whatever_was_set_and_through_which_switch():
    backends = torch.backends
    before = [(holder, holder.fp32_precision) for holder in (backends, backends.cudnn)]
    setting = (
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: setattr(backends.cudnn.conv, "fp32_precision", "tf32"),
        lambda: setattr(backends.mkldnn.matmul, "fp32_precision", "bf16"),
        lambda: setattr(backends.cuda.matmul, "fp32_precision", "tf32"),
        lambda: setattr(backends.cudnn, "allow_tf32", True),
        lambda: setattr(backends, "fp32_precision", "tf32"),
    )
    try:
        for change in setting:
            change()
            full_float32()
            for device in (CPU, GPU):
                found = float32_settings(device)
                assert found["tf32"] is False
                assert set(found["float32"].values()) == {"ieee"}
        assert backends.cuda.matmul.allow_tf32 is backends.cudnn.allow_tf32 is False
        full_float32(tf32=True)
        assert float32_settings(GPU)["tf32"] is True
        assert backends.cuda.matmul.allow_tf32 is backends.cudnn.allow_tf32 is True
        assert float32_settings(CPU)["tf32"] is False
        # One that says nothing itself does as the general one says.
        full_float32()
        backends.cudnn.conv.fp32_precision = backends.cudnn.fp32_precision = "none"
        backends.fp32_precision = "tf32"
        assert float32_settings(GPU)["tf32"] is True
    finally:
        full_float32()
        for holder, word in before:
            holder.fp32_precision = word


def test_an_older_torch_has_its_older_switches_set():
    old = SimpleNamespace(
        cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=True)),
        cudnn=SimpleNamespace(allow_tf32=True),
    )
    assert float32_settings(GPU, old)["tf32"] is True
    full_float32(backends=old)
    assert (old.cuda.matmul.allow_tf32, old.cudnn.allow_tf32) == (False, False)
    assert float32_settings(GPU, old)["tf32"] is False
    assert float32_settings(CPU, old) == {"tf32": False, "float32": {}}


class Meddler(NativeBuilder):
    """Its builder has float32 multiplied as bfloat16."""

    def build(self, name):
        torch.set_float32_matmul_precision("medium")
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        return nn.Conv2d(3, 4, 1)


def test_what_a_builder_sets_is_set_back_before_anything_is_timed():
    try:
        options = {"device": "cpu", "batch_sizes": (1,), "seconds": 0.05}
        (found,) = bench(Recipe("m", image_size=(8, 8)), builder=Meddler(), **options)
    finally:
        full_float32()
    assert set(found["environment"]["float32"].values()) == {"ieee"}


def test_the_environment_of_a_cpu():
    found = environment(CPU)
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["threads"] == torch.get_num_threads()
    assert found["device_name"] == found["cpu"]
    if found["cpu_capability"] in ("AVX2", "AVX512"):
        assert "avx2" in found["vector"].split()


def test_a_count_is_kept_with_how_it_was_multiplied(tmp_path, monkeypatch):
    """Read back once the model is there: its builder may have set it otherwise."""
    pytest.importorskip("foolbox", reason="extra sample")

    class Classifying(Meddler):
        def build(self, name):
            super().build(name)
            return nn.Sequential(nn.Conv2d(3, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    builder = Classifying()
    torch.save(builder.build("m").state_dict(), tmp_path / "m.pth")
    monkeypatch.setattr("harness.measure.accuracy.validator.builder_of", lambda recipe: builder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    counting = AccuracyJob("sample", ("0-20",), device="cpu", workers=0)
    recipe = Recipe("m", image_size=(8, 8))
    job = Job(recipe, ("accuracy",), (), str(tmp_path / "m.pth"), counting=counting)
    try:
        (fact,) = Performer().perform(job)
    finally:
        full_float32()
    assert fact.value["images"] == 20, fact
    about = fact.value["environment"]
    assert set(about["float32"].values()) == {"ieee"}
    assert about["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert fact.versions["torch"] == torch.__version__
