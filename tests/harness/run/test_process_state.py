"""A job can't change another job's numbers, whatever its build leaves behind in the worker."""

from __future__ import annotations

import os
import sqlite3
import textwrap

import pytest
from cli import run_python
from distributions import install, python_path

import harness
from harness.run import builder_proxy

BUILDER = """
import builtins, contextlib, copy, decimal, functools, gc, importlib, json, math, os, signal, sys
import threading, time, warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as hooks

_CHANGES = {{}}


def _change(function):
    _CHANGES[function.__name__] = function
    return function


def _model():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 2),
    )


class Changing:
    def knows(self, name):
        return name.partition("-")[0] in {{"good", "compiling", *_CHANGES}}

    def names(self):
        return ["good", *_CHANGES]

    def identity(self, name):
        return "changing 1.0"

    def build(self, name):
        kind, _, when = name.partition("-")
        if kind == "compiling":
            importlib.import_module("torch._dynamo")
        if kind in ("good", "compiling"):
            return _model()
        if when.endswith("last"):
            model = _model()
            _CHANGES[kind]()
            return model
        _CHANGES[kind]()
        return _model()


{changes}
"""

# What each of them leaves behind, after which the same model measures otherwise or can't be built.
CHANGES = {
    "linear_init": """
        old = nn.Linear.__init__
        def wider(self, i, o, bias=True, **more):
            old(self, i, 2 * o, bias, **more)
        nn.Linear.__init__ = wider
    """,
    "code_of_a_function": "nn.Flatten.forward.__code__ = (lambda self, input: input).__code__",
    "linear_defaults": "nn.Linear.__init__.__defaults__ = (False, None, None)",
    "no_convolution": "nn.Conv2d = nn.Identity",
    "no_activation": "nn.ReLU = nn.PReLU",
    "forward_hook": "hooks.register_module_forward_hook(lambda m, i, o: o.sum())",
    "forward_pre_hook": "hooks.register_module_forward_pre_hook(lambda m, i: (i[0][..., :1],))",
    "registration_hook": (
        "hooks.register_module_parameter_registration_hook("
        "lambda m, n, p: nn.Parameter(torch.empty(1)) if n == 'bias' else None)"
    ),
    "numel": "torch.Tensor.numel = lambda self: 7",
    "dtype": "torch.set_default_dtype(torch.float64)",
    "device": "torch.set_default_device('cuda:7')",
    "mode": "torch.device('cpu').__enter__()",
    "no_grad": "torch.set_grad_enabled(False)",
    "inference": "_change.kept = torch.inference_mode(); _change.kept.__enter__()",
    "json_dumps": "json.dumps = lambda *a, **k: '[]'",
    "json_encoder": "json.JSONEncoder.encode = lambda self, o: '[]'",
    "json_loads": "json.loads = lambda *a, **k: {}",
    "builtin_sum": "real = builtins.sum; builtins.sum = lambda *a: real(*a) + 1",
    "builtin_print": "builtins.print = None",
    "length": "real = builtins.len; builtins.len = lambda x: real(x) + 1",
    "import_": "builtins.__import__ = lambda *a, **k: 1 / 0",
    "prod": "math.prod = lambda *a, **k: 0",
    "functional": "F.conv2d = lambda x, *a, **k: x",
    "linear_function": "F.linear = lambda x, *a, **k: x[..., :1]",
    "parameters": "nn.Module.parameters = lambda self, recurse=True: iter(())",
    "named": "nn.Module.named_parameters = lambda self, *a, **k: iter(())",
    "call": "nn.Module.__call__ = lambda self, *a, **k: a[0]",
    "linear_forward": "nn.Linear.forward = lambda self, x: x",
    "added_to_a_class": "nn.ReLU.named_modules = nn.ReLU.modules = lambda self, *a, **k: iter(())",
    "empty": "torch.empty = torch.zeros",
    "sequential": "nn.Sequential.forward = lambda self, x: x",
    "helper": "sys.modules['torch.nn.modules.conv']._pair = lambda n: (1, 1)",
    "types": "sys.modules['harness.types'].Measurement = dict",
    "measuring": "sys.modules['harness.measure.structure'].structure = None",
    "counter": "sys.modules['harness.measure.flops'].macs = lambda *a: 1",
    "constant": "sys.modules['harness.measure.profile']._COLOURS = 5",
    "shadow": "sys.modules['harness.measure.structure'].sum = lambda *a: 3",
    "meta": "sys.modules['harness.measure.meta'].describe_error = lambda e: 'x'",
    "module": "sys.modules['torch.nn.functional'] = sys.modules['json']",
    "dataclass": "sys.modules['dataclasses'].asdict = lambda f: {}",
    "deepcopy": "copy.deepcopy = lambda x, memo=None: x",
    "recursion": "sys.setrecursionlimit(120)",
    "trace": "sys.setprofile(lambda *a: None)",
    "folder": "os.chdir('/')",
    "environment": "os.environ['TORCH_HOME'] = '/nowhere'",
    "warnings_": "warnings.simplefilter('error')",
    "collector": "gc.disable()",
    "decimals": "decimal.getcontext().prec = 2",
    "alarm": "signal.signal(signal.SIGALRM, lambda *a: 1 / 0); signal.setitimer(0, 0.2)",
    "open_files": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))"
    ),
    "kernel": """
        lib = _change.kept = torch.library.Library("aten", "IMPL", "Meta")
        lib.impl("pixel_shuffle", lambda x, factor: x.new_empty(9, 9), "Meta")
    """,
    "rarer_kernel": """
        lib = _change.kept = torch.library.Library("aten", "IMPL", "Meta")
        lib.impl("_prelu_kernel", lambda x, weight: x.new_empty(1), "Meta")
    """,
    "shape_of_a_convolution": """
        import torch._meta_registrations as shapes
        def small(input_tensor, weight, stride, padding, dilation, is_transposed, groups,
                  output_padding=None):
            return [1, 8, 1, 1]
        shapes.calc_conv_nd_return_shape.__code__ = small.__code__
    """,
    "vmapped": "torch._C._functorch._vmap_increment_nesting(3, 'error')",
    "search_path": "sys.path.clear()",
    "thread": """
        def later():
            time.sleep(0.05)
            nn.Conv2d = nn.Identity
        threading.Thread(target=later, daemon=True).start()
    """,
    "cell": "nn.Conv2d.__init__.__kwdefaults__ = {'bias': False}",
    "metaclass": (
        "type(nn.Parameter).__instancecheck__ = lambda cls, instance: False"
    ),
    "compiler_and_numel": (
        "importlib.import_module('torch._dynamo'); torch.Tensor.numel = lambda self: 1"
    ),
    "sized": "torch.Tensor.shape = property(lambda self: torch.Size((1,)))",
    "partial_": "functools.partial = lambda f, *a, **k: f",
}  # fmt: skip


def source() -> str:
    parts = []
    for name, text in CHANGES.items():
        body = textwrap.indent(textwrap.dedent(text).strip(), "    ")
        parts.append(f"@_change\ndef {name}():\n{body}\n")
    return BUILDER.format(changes="\n\n".join(parts))


@pytest.fixture
def changing(tmp_path, monkeypatch, store_home):
    """The builder ``changing``, each of whose variants but ``good`` leaves something behind."""
    site = tmp_path / "site"
    install(site, "changing = changing_builders:Changing", source())
    monkeypatch.setenv("PYTHONPATH", python_path(site))
    builder_proxy.open_builder.cache_clear()
    yield site
    builder_proxy.open_builder.cache_clear()


# Of Sequential in BUILDER: convolution, norm, linear; 3x3x3x4 at 32x32, 4x2.
METADATA = "Parameters: 130\n    FLOPs: 110600\n    FLOPs Convention: macs\n    Image Size: 32"


def verified(tmp_path, names, **options):
    path = tmp_path / "index.yml"
    entries = [f"- Name: {name}\n  Metadata:\n    {METADATA}\n" for name in names]
    path.write_text("Models:\n" + "".join(entries))
    options = {"builder": "changing", "checks": ["parameters", "flops"], **options}
    return harness.verify(path, **options)


def wrong(report, names):
    """The findings of these variants that don't hold."""
    found = [f for f in report.findings if f.variant in names]
    assert {f.variant for f in found} == set(names)
    return [(f.variant, f.field, f.message) for f in found if f.status != "match"]


def stored(home):
    with sqlite3.connect(home / "zoo" / "measurements-1.sqlite") as db:
        return {name for (name,) in db.execute("SELECT name FROM measurements")}


PROBE = """
import os, sys, time
import changing_builders, torch
from harness.measure.meta import build_on_meta
from harness.run.process_state import ProcessState

def child(name):
    try:
        build_on_meta(builder, name)
    except BaseException:
        pass
    time.sleep(0.1 * name.startswith("thread"))
    os.write(1, f"{name}: {state.difference()}\\n".encode())

builder, state = changing_builders.Changing(), ProcessState()
for name in sys.argv[1:]:
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        try:
            child(name)
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status:
        print(name + ": it died", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each change is made in a copy of one process")
def test_each_change_is_seen_and_a_build_is_none(changing, environment):
    names = [f"{kind}-{('first', 'last')[i % 2]}" for i, kind in enumerate(CHANGES)]
    done = run_python(
        ["-c", PROBE, "good", *names, "good-again"],
        env=environment
        | {"PYTHONPATH": os.environ["PYTHONPATH"] + ":" + environment["PYTHONPATH"]},
        check=True,
    )
    seen = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert seen.pop("good") == seen.pop("good-again") == ""
    silent = [name for name in names if not seen.get(name)]
    # A child whose imports are broken may not even end in order, which is seen, too.
    assert [name for name in silent if not name.startswith("import_")] == []
    assert len(seen) > 50


LEGITIMATE = """
import sys
import torch
from harness.measure.builders import get_builder
from harness.measure.compiler import call_shape_functions_plainly
from harness.measure.profile import Profiler
from harness.run.process_state import ProcessState
from harness.types import Recipe

call_shape_functions_plainly()
for builder, *names in (
    ("timm", "resnet18", "convnext_atto", "swin_tiny_patch4_window7_224", "repvgg_a0", "levit_128"),
    ("torchvision", "googlenet", "vit_b_16", "maxvit_t", "shufflenet_v2_x0_5"),
):
    get_builder(builder)
    state = ProcessState()
    for name in names:
        facts = Profiler().measure(Recipe(name, builder), ("structure", "flops"), ((224, 224),))
        print(name, [type(fact).__name__ for fact in facts], state.difference() or "same",
              state.has_more_threads())
"""


@pytest.mark.slow
def test_libraries_of_models_change_nothing(environment):
    done = run_python(["-c", LEGITIMATE], env=environment, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 9
    for line in lines:
        assert line.endswith("['Measurement', 'Measurement'] same False"), line


# What a builder's own package is left like: other variants are made of it, or it says nothing.
OWN = """
import os, sys, types
from torch import nn

WIDTH, TABLE, NESTED, MADE = 4, {"width": 4}, {"small": {"widths": [4]}}, []
CONFIG = types.SimpleNamespace(width=4)
COUNT, CACHE, READY, LAST = 0, {}, False, None

class Block(nn.Module):
    width = 4
    widths = {"small": 4}

class Settings:
    def __init__(self):
        self.width = 4

SETTINGS = Settings()

def change(name):
    global WIDTH, COUNT, READY, LAST, TABLE
    if name == "global": WIDTH = 8
    if name == "table": TABLE["width"] = 8
    if name == "new table": TABLE = {"width": 8}
    if name == "nested": NESTED["small"]["widths"][0] = 8
    if name == "shorter": NESTED["small"]["widths"].pop()
    if name == "namespace": CONFIG.width = 8
    if name == "class": Block.width = 8
    if name == "class table": Block.widths.pop("small")
    if name == "object": SETTINGS.width = 8
    if name == "list": MADE.append(name)
    if name == "counted": COUNT += 53
    if name == "cached": CACHE[name + str(len(CACHE))] = object()
    if name == "first use": READY, LAST = True, name

class Own:
    def knows(self, name): return True
    def names(self): return []
    def identity(self, name): return "1"
    def build(self, name):
        change(name)
        width = WIDTH + TABLE["width"] + sum(NESTED["small"]["widths"]) + CONFIG.width
        width += Block.width + Block.widths.get("small", 0) + SETTINGS.width + len(MADE)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, width))
"""
PERFORM = """
import os, sys
import torch
from harness.run.jobs import Job
from harness.run.perform import CheckedPerformer
from harness.types import Recipe

def state(name):
    job = Job(Recipe(name, "own"), ("structure", "flops"), ((32, 32),))
    return performer.perform(job, check=True).state

performer = CheckedPerformer()
performer.load(Job(Recipe("good", "own"), (), ()))
performer.note()
for name in sys.argv[1:]:
    for before in (["good"], []):
        sys.stdout.flush()
        if not os.fork():
            try:
                print(name, "".join(map(state, [*before, name, name])), sep=":", flush=True)
            finally:
                os._exit(0)
        os.wait()
"""
LEAVE = [
    "global",
    "table",
    "new table",
    "nested",
    "shorter",
    "namespace",
    "class",
    "object",
    "list",
]
LEAVE += ["class table"]
STAY = ["good", "counted", "cached", "first use"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="each change is made in a copy of one process")
def test_what_a_builder_keeps_is_no_change_unless_models_are_made_of_it(tmp_path, environment):
    install(tmp_path, "own = own_builders:Own", OWN)
    done = run_python(
        ["-c", PERFORM, *LEAVE, *STAY],
        env=environment | {"PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"},
        check=True,
    )
    seen = [line.split(":") for line in done.stdout.splitlines()]
    assert [name for name, _ in seen] == [name for name in LEAVE + STAY for _ in range(2)]
    for name, states in seen:
        if name in LEAVE:  # The first variant shows it; where it is the first, the worker is left.
            assert states.startswith(("=!", "~")), (name, states)
        else:
            assert "!" not in states, (name, states)


TEN = (
    *("linear_init", "no_convolution", "forward_hook", "numel", "dtype", "device", "json_dumps"),
    *("builtin_sum", "thread", "code_of_a_function"),
)


@pytest.mark.slow
def test_what_a_build_leaves_behind_changes_no_other_number(changing, tmp_path, store_home):
    """200 variants and two workers; ten of the variants change theirs, each in a way of its own."""
    good = [f"good-{i}" for i in range(190)]
    names = list(good)
    for i, kind in enumerate(TEN):
        names.insert(19 * i + 5, f"{kind}-{'last' if i % 2 else 'first'}")
    with pytest.warns(RuntimeWarning, match="what it measured is not kept"):
        report = verified(tmp_path, names, workers=2)
    assert report.cut_short is None
    assert wrong(report, good) == []
    # A thread may change its process after its own variant was found right: the worker is left.
    assert stored(store_home) - {"thread-first"} == {*good}


@pytest.mark.slow
def test_a_build_may_load_the_compiler(changing, tmp_path, store_home):
    """Torch changes itself by that: such a worker has it from the beginning."""
    good = ["good-0", "compiling-0", "good-1", "compiling-1", "good-2"]
    with pytest.warns(RuntimeWarning, match="^compiler_and_numel.*is not kept$") as warned:
        report = verified(tmp_path, [*good[:3], "compiler_and_numel-first", *good[3:]])
    assert len(warned) == 1
    assert wrong(report, good) == []
    assert stored(store_home) == {*good}


@pytest.mark.slow
def test_neither_does_it_under_ray(changing, tmp_path, store_home, environment, monkeypatch):
    pytest.importorskip("ray", reason="ray is not installed (extra: ray)")
    monkeypatch.setenv("PYTHONPATH", f"{changing}:{environment['PYTHONPATH']}")
    names = ["good-0", "forward_hook-last", "good-1"]
    good = [name for name in names if name.startswith("good")]
    with pytest.warns(RuntimeWarning, match="what it measured is not kept"):
        report = verified(tmp_path, names, engine="ray")
    assert report.cut_short is None
    assert wrong(report, good) == []
    assert stored(store_home) == {*good}
