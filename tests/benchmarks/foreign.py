"""What the audit of somebody else's zoo costs per variant, against counting with fvcore.

    python tests/benchmarks/foreign.py [VARIANTS] [ROUNDS]

Both sides take the same timm variants. One side is `zoo verify` on an index of them, cold, whose
FLOPs are what an old counter gives for a photograph that was never cropped, as public pages have
them: each claim differs and has to be explained. The other side builds each on the CPU and counts
it with fvcore at its own input. A third figure is the same verify on FLOPs that nothing explains,
so that every input is tried.

The sides alternate, and medians are compared, of processor time as well, which other work on the
machine slows less. Peak memory is that of all processes of a command together, with what `import
torch` takes by itself beside it.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import tempfile
from pathlib import Path

NAMES = [
    "resnet18",
    "resnet50",
    "resnet101",
    "resnext50_32x4d",
    "seresnet50",
    "ecaresnet50t",
    "skresnet18",
    "res2net50_26w_4s",
    "resnest26d",
    "wide_resnet50_2",
    "densenet121",
    "vgg16",
    "inception_v3",
    "inception_v4",
    "xception41",
    "dpn68",
    "dla34",
    "hrnet_w18_small",
    "ese_vovnet19b_dw",
    "cspdarknet53",
    "regnetx_008",
    "regnety_008",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "efficientnet_b0",
    "efficientnet_b3",
    "tf_efficientnet_lite0",
    "mixnet_s",
    "mnasnet_100",
    "fbnetc_100",
    "ghostnet_100",
    "rexnet_100",
    "selecsls42b",
    "repvgg_a2",
    "nf_regnet_b1",
    "dm_nfnet_f0",
    "resnetv2_50x1_bit",
    "convnext_tiny",
    "convnextv2_nano",
    "convmixer_768_32",
    "vit_tiny_patch16_224",
    "vit_base_patch16_224",
    "deit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
    "mixer_b16_224",
    "poolformer_s12",
    "edgenext_small",
    "mobilevit_s",
    "xcit_nano_12_p16_224",
    "levit_256",
]

FVCORE = """
import logging, sys, warnings
warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
import timm, torch
from fvcore.nn import FlopCountAnalysis
for name in sys.argv[1:]:
    model = timm.create_model(name).eval()
    shape = model.pretrained_cfg["input_size"]
    print(name, FlopCountAnalysis(model, torch.zeros(1, *shape)).total())
"""

# The figures of the first index: not timed, and by the same code, since only its search is.
DOCUMENTED = """
import sys, warnings
warnings.filterwarnings("ignore")
import timm, torch
from harness.explain.flops import geometries
from harness.measure.flops import counts
from harness.measure.trace import trace
for name in sys.argv[1:]:
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    _, height, width = model.pretrained_cfg["input_size"]
    wide = next(g.size for g in geometries((height, width), None) if g.size != (height, width))
    for size in (wide, (height, width)):
        try:
            record = trace(model, [torch.empty(1, 3, *size, device="meta")])
        except (RuntimeError, AssertionError):
            continue
        figure = next(c.value for c in counts(record) if c.convention == "thop-2020")
        print(name, height, figure)
        break
"""


def main() -> None:
    static = _sibling("static")
    number = int(sys.argv[1]) if len(sys.argv) > 1 else len(NAMES)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    names = NAMES[:number]
    static.compile_all()
    zoo = str(Path(sys.executable).with_name("zoo"))
    with tempfile.TemporaryDirectory() as folder:
        explained, hopeless = (Path(folder) / f"{n}.yml" for n in ("explained", "hopeless"))
        listed = _output([sys.executable, "-c", DOCUMENTED, *names])
        rows = [(name, int(size), int(flops)) for name, size, flops in map(str.split, listed)]
        dice = random.Random(1)
        explained.write_text(_index(rows))
        chance = [(name, size, dice.randrange(10**10, 10**11)) for name, size, _ in rows]
        hopeless.write_text(_index(chance))
        sides: dict[str, list[tuple[float, int, float]]] = {}
        for _ in range(rounds):
            for side, index in (("explained", explained), ("hopeless", hopeless)):
                with tempfile.TemporaryDirectory() as empty:
                    command = [zoo, "verify", "--all", "--index", str(index), "--builder", "timm"]
                    command += ["--checks", "flops", "--offline"]
                    static.note(sides, side, static.run(command, {"XDG_CACHE_HOME": empty}))
            static.note(sides, "fvcore", static.run([sys.executable, "-c", FVCORE, *names]))
            static.note(sides, "torch", static.run([sys.executable, "-c", "import torch"]))
    seconds, memory, cpu = static.medians(sides)
    print(f"{len(rows)} variants, medians of {rounds} rounds, {os.cpu_count()} cores, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}")
    for side in sides:
        each = seconds[side] / (1 if side == "torch" else len(rows))
        print(f"  {side:10} {seconds[side]:7.1f} s, {each:6.2f} each", end="")
        print(f", {cpu[side]:7.1f} s of processor time", end="")
        print(f"  {memory[side] / 2**20:7.0f} MiB at most")
    for measure, spent in (("time", seconds), ("processor time", cpu)):
        static.ratio(f"verify over fvcore, {measure}", spent["explained"] / spent["fvcore"], 0.25)
        static.ratio(f"unexplained claims, {measure}", spent["hopeless"] / spent["fvcore"], 0.6)
    static.ratio("verify over fvcore, memory", memory["explained"] / memory["fvcore"], 0.4)


def _index(rows: list[tuple[str, int, int]]) -> str:
    lines = ["Models:"]
    for name, size, flops in rows:
        lines += [
            f"- Name: {name}",
            "  Metadata:",
            f"    FLOPs: {flops}",
            f"    Image Size: {size}",
        ]
    return "\n".join([*lines, ""])


def _output(command: list[str]) -> list[str]:
    import subprocess

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _sibling(name: str):  # type: ignore[no-untyped-def]
    """A benchmark beside this one: they are scripts, in no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
