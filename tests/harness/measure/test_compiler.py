"""What a worker does without: the import of torch's compiler, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness.measure.profile import Profiler
from harness.types import Recipe

# A stem that is resized, norms of layers on other layouts, weights that are folded.
NAMES = ("convnext_atto", "swin_tiny_patch4_window7_224", "repvgg_a0", "levit_128s")
KINDS = ("structure", "flops")

WORKER = """
import json, sys
import torch
from harness.measure.compiler import call_shape_functions_plainly, imported
call_shape_functions_plainly()
{first}
from harness.measure.profile import Profiler
from harness.types import Recipe
made = []
for name in {names}:
    facts = Profiler().measure(Recipe(name, {builder!r}), {kinds}, ((224, 224),))
    made.append([fact.value for fact in facts])
loaded = "torch._dynamo" in sys.modules
{last}
print(json.dumps([made, loaded]))
"""
# Afterwards the compiler is there for who wants it, and what was put off finds it.
COMPILED = """
from torchvision.ops.roi_align import is_compile_supported
assert is_compile_supported("cpu") in (True, False)
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist() == [2, 2]
assert torch.compiler.disable(len) is not None and "torch._dynamo" in sys.modules
assert type(sys.modules["torch._dynamo.utils"]).__name__ == "module"
"""


def in_a_process(builder: str, names: tuple[str, ...], first: str = "", last: str = "") -> list:
    code = WORKER.format(builder=builder, names=names, kinds=KINDS, first=first, last=last)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_models_are_measured_alike_without_the_compiler():
    pytest.importorskip("timm")
    made, loaded = in_a_process("timm", NAMES, last=COMPILED)
    assert not loaded
    import torch._dynamo  # noqa: F401 - here it is loaded, and asked

    for name, mine in zip(NAMES, made, strict=True):
        facts = Profiler().measure(Recipe(name, "timm"), KINDS, ((224, 224),))
        assert json.loads(json.dumps([fact.value for fact in facts])) == mine


@pytest.mark.slow
def test_a_library_that_asks_more_of_the_compiler_gets_it(tmp_path):
    pytest.importorskip("torchvision")
    (tmp_path / "asking.py").write_text(
        "import torch._dynamo\nfrom torch._dynamo.utils import counters\n"
        "import torchvision\n@torch.compiler.disable\ndef plain(x):\n    return x\n"
        "assert plain(1) == 1 and torch.compile(plain, backend='eager')(2) == 2\n"
    )
    first = f"sys.path.insert(0, {str(tmp_path)!r}); imported('asking')"
    made, loaded = in_a_process("torchvision", ("resnet18",), first, COMPILED)
    assert loaded
    assert made[0][0]["parameters"] == 11_689_512
