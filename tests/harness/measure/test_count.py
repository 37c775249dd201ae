"""`count_flops` on modules of all kinds, against fvcore, torch's counter and thop."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchvision
from cli import run_python
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import harness
from harness.measure.flops import CONVENTIONS
from zoo.index import schema


class Tangled(nn.Module):
    """A layer in two places, a weight that a hook computes, and tensors outside of buffers."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.b = nn.Sequential(self.a[0], nn.ReLU())
        self.uncalled = nn.Linear(2, 2)
        self.head = nn.utils.weight_norm(nn.Linear(192, 5))
        self.kept = [self.head.weight, {"mask": torch.ones(8, 8)}]

    def forward(self, x, scale=None):
        x = self.b(self.a(x)) * self.kept[1]["mask"]
        x = self.head(x.flatten(1))
        return x if scale is None else x * scale


def small_vit():
    return torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32)


CASES = [
    (torchvision.models.resnet18, (2, 3, 64, 64)),
    (torchvision.models.mobilenet_v3_small, (1, 3, 48, 80)),
    (small_vit, (1, 3, 32, 32)),
    (Tangled, (1, 3, 8, 8)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "shape"), CASES, ids=lambda v: getattr(v, "__name__", None))
def test_figures_are_those_of_other_counters(make, shape, monkeypatch):
    # The fused path of nn.MultiheadAttention hides its products from torch's counter.
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
    model, x = make().eval(), torch.zeros(shape)
    fvcore = FlopCountAnalysis(model, x).unsupported_ops_warnings(False)
    fvcore.uncalled_modules_warnings(False)
    counted = harness.count_flops(model, shape, convention="fvcore")
    assert counted.total() == fvcore.total()
    assert counted.by_operator() == {k: n for k, n in fvcore.by_operator().items() if n}
    assert counted.by_module() == dict(fvcore.by_module())

    # On the CPU attention is an operator that torch's counter doesn't know.
    twin = make().eval().to("meta") if make is small_vit else model
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(x.to(next(twin.parameters()).device))
    for convention, twice in (("macs", 2), ("flops", 1), ("torchvision", 2)):
        counted = harness.count_flops(model, shape, convention)
        assert twice * counted.total() == counter.get_total_flops()
        assert sum(counted.by_operator().values()) == counted.total()
    root = counter.get_flop_counts()
    ours = harness.count_flops(model, shape, "flops").by_module()
    for path in ("layer1", "layer2.0.conv1", "features.5", "fc", "encoder", "head"):
        if path in ours:
            name = f"{type(model).__name__}.{path}"
            assert ours[path] == sum(root[name].values()), path


def test_modules_of_thop_are_thops_own():
    from thop import profile

    model = torchvision.models.mobilenet_v3_small()
    inputs = (torch.zeros(1, 3, 64, 64),)
    total, _, parts = profile(copy.deepcopy(model), inputs, verbose=False, ret_layer_info=True)
    counted = harness.count_flops(model, inputs, "thop")
    assert counted.total() == total
    for path, (count, _, inner) in {**parts, "features.3": parts["features"][2]["3"]}.items():
        assert counted.by_module()[path] == count, path
        assert isinstance(inner, dict)


def test_an_index_may_claim_every_convention_that_is_counted():
    assert set(CONVENTIONS) == set(schema.CONVENTIONS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_every_convention_adds_up_to_its_total():
    for make, shape in CASES:
        model = make()
        for convention in CONVENTIONS:
            counted = harness.count_flops(model, (1, *shape[1:]), convention)
            modules = counted.by_module()
            assert counted.convention == convention
            assert modules[""] == counted.total() == sum(counted.by_operator().values())
            assert modules.keys() == {path for path, _ in model.named_modules()}
            assert sum(modules[p] for p, _ in model.named_children()) == counted.total()


def state(model):
    return (
        {name: (t.data_ptr(), t._version) for name, t in model.state_dict(keep_vars=True).items()},
        {path: part.training for path, part in model.named_modules()},
        {path: list(part._forward_hooks) for path, part in model.named_modules()},
        {path: dict(part.__dict__) for path, part in model.named_modules()}.keys(),
        [p.requires_grad for p in model.parameters()],
    )


@pytest.mark.filterwarnings("ignore")
def test_the_callers_module_is_left_alone():
    model = Tangled()
    model.a[1].eval()  # Some parts in another mode than others.
    model.head.bias.requires_grad_(False)
    seen = []
    model.a.register_forward_hook(lambda *args: seen.append(args))
    model.register_forward_pre_hook(lambda *_: pytest.fail("a hook of the caller was run"))
    model.a[0].register_full_backward_hook(lambda *_: None)
    before, values = state(model), copy.deepcopy(model.a.state_dict())
    harness.count_flops(model, (1, 3, 8, 8))
    assert state(model) == before
    assert seen == []
    assert all(torch.equal(values[k], v) for k, v in model.a.state_dict().items())
    assert model.kept[1]["mask"].device.type == "cpu"


@pytest.mark.filterwarnings("ignore")
def test_inputs_may_be_shapes_tensors_or_names():
    model, x, scale = Tangled(), torch.zeros(1, 3, 8, 8), torch.ones(5)
    given = [(1, 3, 8, 8), [1, 3, 8, 8], x.shape, x, (x,), [x, scale], ((1, 3, 8, 8), (5,))]
    given += [{"x": (1, 3, 8, 8)}, {"x": x, "scale": (5,)}]
    assert {harness.count_flops(model, one).total() for one in given} == {2 * 576 + 960}
    nested = Call(lambda m, batch: m(batch["x"]), nn.Linear(4, 3))
    for one in ({"batch": {"x": torch.zeros(2, 4)}}, ({"x": torch.zeros(2, 4)},)):
        assert harness.count_flops(nested, one).total() == 24
    assert (
        harness.count_flops(torch.compile(nn.Linear(4, 3)), tuple(np.array([2, 4]))).total() == 24
    )
    embedding = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3))
    assert harness.count_flops(embedding, torch.zeros(2, 7, dtype=torch.long)).total() == 2 * 7 * 12
    assert harness.count_flops(nn.Linear(4, 3).half(), (2, 4)).total() == 24
    assert harness.count_flops(nn.DataParallel(nn.Linear(4, 3)), (2, 4)).total() == 24
    with torch.device("meta"):
        assert harness.count_flops(nn.Linear(4, 3), (2, 4)).total() == 24


class Call(nn.Module):
    def __init__(self, function, part):
        super().__init__()
        self.function, self.part = function, part

    def forward(self, batch):
        return self.function(self.part, batch)


class ReadsValues(nn.Module):
    def forward(self, x):
        return x * int(x.sum())


@pytest.mark.filterwarnings("ignore")
def test_what_cant_be_counted_says_so_in_one_line():
    conv = nn.Conv2d(3, 4, 1)
    for module, given, convention, words in (
        (conv, (1, 3, 8, 8), "fvcor", "there is no convention 'fvcor'; did you mean fvcore?"),
        (conv, (1, 5, 8, 8), "macs", "Conv2d can't run on 1x5x8x8 without values"),
        (conv, "224", "macs", "'224' is neither a shape nor inputs"),
        (conv, (), "macs", "is neither a shape nor inputs"),
        (conv, 224, "macs", "is neither a shape nor inputs"),
        (conv, [torch.zeros(2, 2).numpy()], "macs", "is neither a shape nor inputs"),
        (conv, (1, 3, 8, 8), None, "there is no convention None; there are macs, flops"),
        (ReadsValues(), (3,), "macs", "ReadsValues can't run on 3 without values"),
        (nn.LazyLinear(3), (1, 4), "macs", "LazyLinear has lazy parameters"),
        (torch.jit.script(conv), (1, 3, 8, 8), "macs", "compiled by torch.jit"),
        (print, (1, 3), "macs", "is not a torch.nn.Module"),
        (nn.MultiheadAttention(8, 2), [torch.zeros(5, 8)] * 3, "ptflops", "ptflops can't count"),
        (conv, (3, 8, 8), "deepspeed", "deepspeed can't count Conv2d: "),
    ):
        with pytest.raises(harness.CountError, match=r"^[^\n]+$") as caught:
            harness.count_flops(module, given, convention)
        assert words in str(caught.value)


def test_memory_is_not_taken_for_values():
    """Sixteen gigabytes of weights on the meta device, copied and counted."""
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(32768, 32768, bias=False) for _ in range(4)))
    assert harness.count_flops(model, (1, 32768)).total() == 4 * 32768**2


def test_naming_the_functions_imports_nothing_heavy():
    code = (
        "import sys, harness; harness.verify, harness.audit, harness.count_flops, dir(harness); "
        "print({'torch', 'numpy', 'pandas', 'httpx', 'fvcore'} & set(sys.modules))"
    )
    done = run_python(["-c", code], check=True)
    assert done.stdout.strip() == "set()"
