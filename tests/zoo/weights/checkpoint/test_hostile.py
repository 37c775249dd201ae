"""Files built to run code or to exhaust their reader: one answer each, and nothing done.

Each payload that is code is shown to be alive first: Python's own unpickler runs it.
"""

from __future__ import annotations

import os
import pickle
import struct
import time
from pathlib import Path

import pytest
import torch
from cli import run_python
from loops import each

from zoo.weights.checkpoint import (
    CheckpointInfo,
    ReadLimits,
    UnreadableCheckpoint,
    UnsafeCheckpoint,
    read_checkpoint,
)

ROOT = Path(__file__).parents[4]


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


TOUCH = "import pathlib; pathlib.Path('marker').touch()"
SHELL = "touch marker"

# name -> (pickle, the global that the answer names or None where it names something else)
LIVE: dict[str, tuple[bytes, str | None]] = {
    "os.system": (b"\x80\x02cos\nsystem\n" + text(SHELL) + b"\x85R.", "os.system"),
    "posix.system": (b"\x80\x02cposix\nsystem\n" + text(SHELL) + b"\x85R.", "posix.system"),
    "protocol 0": (b"cos\nsystem\n(S'touch marker'\ntR.", "os.system"),
    "popped and hidden": (
        b"\x80\x02cos\nsystem\n" + text(SHELL) + b"\x85R0}" + text("epoch") + b"K\x01s.",
        "os.system",
    ),
    "subprocess": (
        b"\x80\x02csubprocess\ncall\n" + text(SHELL) + b"N\x85\x86"
        b"0csubprocess\ngetoutput\n" + text(SHELL) + b"\x85R.",
        "subprocess.call",
    ),
    "eval": (b"\x80\x02cbuiltins\neval\n" + text(f"exec({TOUCH!r})") + b"\x85R.", "builtins.eval"),
    "exec": (b"\x80\x02cbuiltins\nexec\n" + text(TOUCH) + b"\x85R.", "builtins.exec"),
    "getattr chain": (
        b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\n"
        + text("os")
        + b"\x85R"
        + text("system")
        + b"\x86R"
        + text(SHELL)
        + b"\x85R.",
        "builtins.__import__",
    ),
    "stack global": (
        b"\x80\x04" + short("os") + short("system") + b"\x93" + short(SHELL) + b"\x85R.",
        "os.system",
    ),
    "dotted stack global": (
        b"\x80\x04"
        + short("pathlib")
        + short("Path.touch")
        + b"\x93"
        + short("pathlib")
        + short("PosixPath")
        + b"\x93"
        + short("marker")
        + b"\x85R\x85R.",
        "pathlib.Path.touch",
    ),
    "inst": (b"\x80\x02(" + text(SHELL) + b"ios\nsystem\n.", "os.system"),
    "obj": (
        b"\x80\x02(csubprocess\nPopen\n]("
        + text("touch")
        + text("marker")
        + b"eo0csubprocess\ngetoutput\n"
        + text("sleep 0.3")
        + b"\x85R.",
        "subprocess.Popen",
    ),
    "newobj": (
        b"\x80\x02csubprocess\nPopen\n)\x81}0csubprocess\ngetoutput\n" + text(SHELL) + b"\x85R.",
        "subprocess.Popen",
    ),
    "newobj_ex": (
        b"\x80\x04csubprocess\nPopen\n)}\x920csubprocess\ngetoutput\n" + text(SHELL) + b"\x85R.",
        "subprocess.Popen",
    ),
    "from the memo": (
        b"\x80\x02cos\nsystem\nq\x050]" + b"h\x05" + text(SHELL) + b"\x85Ra.",
        "os.system",
    ),
    "by name from the memo": (
        b"\x80\x04"
        + short("system")
        + b"\x940"
        + short("os")
        + b"h\x00\x93"
        + short(SHELL)
        + b"\x85R.",
        "os.system",
    ),
    "runpy": (b"\x80\x02crunpy\n_run_code\n" + text(TOUCH) + b"}\x86R.", "runpy._run_code"),
    "BUILD through __setstate__": (
        b"\x80\x02cbuiltins\nexec\nq\x00" + text(TOUCH) + b"\x85R}b.",
        "builtins.exec",
    ),
    "python 2's name": (
        b"\x80\x02c__builtin__\neval\n" + text(f"exec({TOUCH!r})") + b"\x85R.",
        "builtins.eval",
    ),
}

# These need torch or a registry to be live, or are only malformed; none may be accepted.
INERT: dict[str, tuple[bytes, str | None]] = {
    "torch.hub.load": (b"\x80\x02ctorch.hub\nload\n" + text("a/b") + b"\x85R.", "torch.hub.load"),
    "torch.load": (b"\x80\x02ctorch\nload\n" + text("/x") + b"\x85R.", "torch.load"),
    "a gadget of torch._utils": (
        b"\x80\x02ctorch._utils\n_import_dotted_name\n" + text("os.system") + b"\x85R.",
        "torch._utils._import_dotted_name",
    ),
    "an attribute of an allowed name": (
        b"\x80\x04" + short("torch._utils") + short("_rebuild_tensor_v2.__globals__") + b"\x93.",
        "torch._utils._rebuild_tensor_v2.__globals__",
    ),
    "an allowed name in another module": (b"\x80\x02cevil\nOrderedDict\n)R.", "evil.OrderedDict"),
    "a module's dunder": (b"\x80\x02ccollections\n__builtins__\n.", "collections.__builtins__"),
    "copyreg": (b"\x80\x02ccopyreg\nadd_extension\n.", "copyreg.add_extension"),
    "a whole model": (b"\x80\x02ctorchvision.models.resnet\nResNet\n)\x81.", "resnet.ResNet"),
    "EXT1": (b"\x80\x02\x82\x01)R.", None),
    "EXT2": (b"\x80\x02\x83\x01\x01)R.", None),
    "EXT4": (b"\x80\x02\x84\x01\x01\x00\x00)R.", None),
    "calling a text": (b"\x80\x02" + text("os.system") + text("x") + b"\x85R.", None),
    "calling a dtype": (b"\x80\x02ctorch\nfloat32\n)R.", None),
    "a name that is not ASCII": (b"\x80\x02cmod\xc3\xa8le\nNet\n.", "mod\\xe8le.Net"),
    "an escape in a name": (b"\x80\x02ctorch\\x2e_utils\n_rebuild_tensor\n.", "torch\\x2e_utils"),
    "no UTF-8 in a name": (b"\x80\x02(io\xff\nx\n.", "o\\xff.x"),
    "a newline in a name": (b"\x80\x04" + short("o\ns") + short("system") + b"\x93.", None),
    "a control sequence in a name": (b"\x80\x04" + short("\x1b[2J") + short("x") + b"\x93.", None),
}


def forms(data, zip_file, legacy_file):
    return {"zip": zip_file(data), "legacy": legacy_file(data), "raw": data}


def test_the_payloads_are_alive(tmp_path):
    script = (
        "import os, pickle, sys, time, pathlib\n"
        "for name, data in eval(sys.stdin.read()).items():\n"
        "    try:\n"
        "        pickle.loads(data)\n"
        "    except Exception:\n"
        "        pass\n"
        "    print(name, pathlib.Path('marker').exists(), sep='=')\n"
        "    pathlib.Path('marker').unlink(missing_ok=True)\n"
    )
    payloads = {name: data for name, (data, _) in LIVE.items()}
    run = run_python(["-c", script], input=repr(payloads), cwd=tmp_path, check=True)
    results = dict(line.split("=") for line in run.stdout.splitlines())
    # An unpickler that stops at the first half of these two has still imported their module.
    dead = {name for name, alive in results.items() if alive != "True"}
    assert dead <= {"newobj", "newobj_ex"}, (dead, run.stderr)
    assert set(results) == set(LIVE)


@each("form", ["zip", "legacy", "raw"])
@each("name", [*LIVE, *INERT])
def test_nothing_is_executed(name, form, tmp_path, monkeypatch, zip_file, legacy_file):
    data, said = {**LIVE, **INERT}[name]
    path = tmp_path / "model.pth"
    path.write_bytes(forms(data, zip_file, legacy_file)[form])
    monkeypatch.chdir(tmp_path)
    answer = read_checkpoint(path)
    assert os.listdir(tmp_path) == ["model.pth"]
    assert isinstance(answer, UnsafeCheckpoint), answer
    assert "byte" in answer.where
    assert str(answer).isprintable()
    if said is not None:
        assert said in answer.what


def test_a_module_saved_whole_is_refused_by_its_class(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    answer = read_checkpoint(path)
    assert isinstance(answer, UnsafeCheckpoint)
    assert "torch.nn.modules.linear.Linear" in answer.what


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_is_refused_as_code(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(str(path))
    answer = read_checkpoint(path)
    assert isinstance(answer, UnsafeCheckpoint)
    assert "TorchScript" in answer.what


STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"


def tensor(shape, stride=b"K\x01\x85", offset=b"K\x00"):
    """A state dict of one tensor in a storage of four floats."""
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n("
    rest = b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}" + text("w") + rebuild + STORAGE + offset + shape + stride + rest + b"s."


def test_the_tensor_that_the_next_tests_bend(tmp_path, zip_file):
    path = tmp_path / "model.pth"
    path.write_bytes(zip_file(tensor(b"K\x04\x85"), {"archive/data/0": bytes(16)}))
    answer = read_checkpoint(path)
    assert isinstance(answer, CheckpointInfo)
    assert answer.tensors[0].shape == (4,)


BEYOND = {
    "long": tensor(b"K\x05\x85"),
    "offset": tensor(b"K\x04\x85", offset=b"K\x01"),
    "stride": tensor(b"K\x04\x85", stride=b"K\x02\x85"),
    "negative offset": tensor(b"K\x04\x85", offset=b"J\xff\xff\xff\xff"),
    "negative size": tensor(b"J\xff\xff\xff\xff\x85"),
    "negative stride": tensor(b"K\x04\x85", stride=b"J\xff\xff\xff\xff\x85"),
    "endless": tensor(b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85", stride=b"K\x00\x85"),
    "a float": tensor(b"G?\xf0\0\0\0\0\0\0\x85"),
    "65 dimensions": tensor(b"(" + b"K\x01" * 65 + b"t", stride=b"(" + b"K\x01" * 65 + b"t"),
}


@each("name", BEYOND)
def test_tensors_that_reach_beyond_their_storage(name, tmp_path, zip_file):
    path = tmp_path / "model.pth"
    path.write_bytes(zip_file(BEYOND[name], {"archive/data/0": bytes(16)}))
    assert isinstance(read_checkpoint(path), UnsafeCheckpoint)


def test_a_storage_that_claims_more_than_its_record(tmp_path, zip_file):
    path = tmp_path / "model.pth"
    path.write_bytes(zip_file(tensor(b"K\x04\x85"), {"archive/data/0": bytes(15)}))
    assert isinstance(read_checkpoint(path), UnsafeCheckpoint)
    path.write_bytes(zip_file(tensor(b"K\x04\x85")))
    assert isinstance(read_checkpoint(path), UnreadableCheckpoint)


def doubling(levels):
    return b")" + b"q\x00h\x00\x86" * levels


# Opcodes that are more than the limit; the costliest of all is read under the usual one.
LONG = 300_000
BOMBS: dict[str, bytes] = {
    "a tuple of itself, doubled 5000 times": b"\x80\x02" + doubling(5000) + b".",
    "the same as a key": b"\x80\x02}" + doubling(5000) + b"K\x01s.",
    "the same in a state dict": b"\x80\x02}" + text("w") + doubling(5000) + b"s.",
    "100,000 nested lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "100,000 nested tuples": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "100,000 marks": b"\x80\x02" + b"(" * 100_000 + b".",
    "nothing but lists": b"\x80\x02" + b"]" * LONG,
    "nothing but sets": b"\x80\x04" + b"\x8f" * LONG,
    "nothing but dicts": b"\x80\x02" + b"}" * 3_000_000,
    "memo puts": b"\x80\x02N" + b"\x94" * LONG,
    "a memo index of 4 billion": b"\x80\x02Nr\xff\xff\xff\xff.",
    "a text of 4 GB": b"\x80\x02X\xff\xff\xff\xffabc",
    "bytes of 2**63": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"abc",
    "a frame of 2**63": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f" + b"N.",
    "an integer of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7fabc",
    "an integer of 1 MB": b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\x01" * (1 << 20) + b".",
    "a decimal of 4 KB": b"\x80\x02I" + b"9" * 4000 + b"\n.",
    "a line without an end": b"\x80\x02V" + b"a" * 2_000_000,
    "a list copied by every OrderedDict": (
        b"\x80\x02](" + b"K\x01K\x02\x86" * 20_000 + b"e\x85q\x010"
        + b"ccollections\nOrderedDict\nq\x020" + b"h\x02h\x01R0" * 20_000 + b"N."
    ),
    # Multiples of 2**61 - 1, each of which hashes to 0.
    "100,000 keys of one hash": b"\x80\x02}(" + b"".join(
        b"\x8a\x0b" + (i * ((1 << 61) - 1)).to_bytes(11, "little", signed=True) + b"N"
        for i in range(1, 100_000)
    ) + b"u.",
}  # fmt: skip


@pytest.mark.slow
def test_bombs_cost_little(tmp_path, zip_file):
    """All are read in one process that may not take more than 600 MB."""
    for place, data in enumerate(BOMBS.values()):
        (tmp_path / f"{place}-zip").write_bytes(zip_file(data))
        if len(data) < LONG:  # the long ones take the same steps in either form
            (tmp_path / f"{place}-raw").write_bytes(data)
    script = (
        "import resource, sys, time; from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "from zoo.weights.checkpoint import ReadLimits, read_checkpoint\n"
        "for path in map(Path, sys.argv[2:]):\n"
        "    short = ReadLimits(opcodes=int(sys.argv[1]))\n"
        "    limits = {'limits': short} if path.stat().st_size < 3_000_000 else {}\n"
        "    start = time.monotonic(); answer = read_checkpoint(path, **limits)\n"
        "    print(type(answer).__name__, time.monotonic() - start, path.name)\n"
    )
    paths = sorted(tmp_path.iterdir())
    run = run_python(["-c", script, str(LONG // 2), *paths], cwd=ROOT, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    answers = [line.split() for line in run.stdout.splitlines()]
    assert len(answers) == len(paths)
    for kind, seconds, name in answers:
        assert kind in ("UnsafeCheckpoint", "UnreadableCheckpoint"), name
        assert float(seconds) < 10, name


def test_limits_can_be_set(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({str(i): torch.ones(1) for i in range(20)}, path)
    assert isinstance(read_checkpoint(path), CheckpointInfo)
    for limits in (
        ReadLimits(tensors=19),
        ReadLimits(opcodes=100),
        ReadLimits(pickle_bytes=100),
        ReadLimits(members=10),
        ReadLimits(directory_bytes=100),
    ):
        assert isinstance(read_checkpoint(path, limits=limits), UnsafeCheckpoint)
    torch.save({"w": torch.ones(1)}, path, _use_new_zipfile_serialization=False)
    assert isinstance(read_checkpoint(path, limits=ReadLimits(pickle_bytes=100)), UnsafeCheckpoint)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    start = time.monotonic()
    answer = read_checkpoint(tmp_path / "pipe")
    assert time.monotonic() - start < 60
    assert isinstance(answer, UnreadableCheckpoint)
    assert "a pipe" in answer.why
    assert isinstance(read_checkpoint(Path("/dev/zero")), UnreadableCheckpoint)
    assert isinstance(read_checkpoint(tmp_path), UnreadableCheckpoint)
    assert isinstance(read_checkpoint(tmp_path / "absent"), UnreadableCheckpoint)


def test_links_out_of_the_folder_are_refused_when_asked(tmp_path):
    inside, outside = tmp_path / "cache", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    torch.save({"w": torch.ones(1)}, outside / "model.pth")
    torch.save({"w": torch.ones(1)}, inside / "own.pth")
    (inside / "out.pth").symlink_to(outside / "model.pth")
    (inside / "in.pth").symlink_to(inside / "own.pth")
    (inside / "loop.pth").symlink_to(inside / "loop.pth")
    assert isinstance(read_checkpoint(inside / "out.pth"), CheckpointInfo)
    assert isinstance(read_checkpoint(inside / "out.pth", within=inside), UnsafeCheckpoint)
    assert isinstance(read_checkpoint(inside / "in.pth", within=inside), CheckpointInfo)
    assert isinstance(read_checkpoint(outside / "model.pth", within=inside), UnsafeCheckpoint)
    assert isinstance(
        read_checkpoint(inside / "loop.pth", within=inside), UnsafeCheckpoint | UnreadableCheckpoint
    )


def test_a_plain_pickle_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps({"a": 1}))
    answer = read_checkpoint(path)
    assert isinstance(answer, UnreadableCheckpoint)
    assert "plain pickle" in answer.why
