"""Each call of torch's parts for a card is one that there is, with these arguments.

What runs on a card alone has no other test on a machine without one.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import reduce
from pathlib import Path

import torch

PARTS = ("torch.cuda", "torch.backends", "torch.distributed", "torch.amp")


def wrong_calls(source):
    """What is wrong with the calls of a module's text: ``line: words``."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = dotted(node.func if isinstance(node, ast.Call) else node)
        if name is None or not name.startswith(PARTS):
            continue
        try:
            thing = named(name)
        except AttributeError as error:
            found.append(f"{node.lineno}: {error}")
            continue
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: {name}: {why}" for why in misfits(thing, node)]
    return found


def dotted(node):
    """``torch.cuda.Event`` of an expression that is such a name, else None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def named(name):
    """The thing of that name; a property, which may ask the device, is not read."""
    *path, last = name.split(".")[1:]
    place = reduce(getattr, path, torch)
    if last not in dir(type(place)):
        return getattr(place, last)
    return inspect.getattr_static(type(place), last)


def misfits(thing, call):
    """Why a call does not fit the signature; nothing where there is none to read."""
    if any(isinstance(each, ast.Starred) for each in call.args) or not callable(thing):
        return
    try:
        inspect.signature(thing).bind(*call.args, **{k.arg: k for k in call.keywords if k.arg})
    except TypeError as error:
        yield str(error)
    except ValueError:
        return


def test_every_call_is_one_that_there_is(repository):
    for module in ("torch.distributed", "torch.cuda.graphs"):
        importlib.import_module(module)
    files = [
        path for top in ("zoo", "harness", "tests/gpu") for path in (repository / top).rglob("*.py")
    ]
    files += [Path(path) for path in (repository / "tests" / "plugins").glob("card.py")]
    seen = 0
    for path in files:
        source = path.read_text(encoding="utf-8")
        if not any(part in source for part in PARTS):
            continue  # Most files, and parsing takes a while.
        seen += source.count("torch.cuda.")
        assert wrong_calls(source) == [], path
    assert seen > 20


def test_a_wrong_one_is_found():
    assert wrong_calls("torch.cuda.mem_get_info(torch.device('cuda'))") == []
    for wrong in (
        "torch.cuda.synchronise()",
        "torch.cuda.set_sync_debug_mode()",
        "torch.cuda.Event(timing=True)",
        "x = torch.backends.cudnn.allow_tf33",
        "torch.cuda.mem_get_info(0, 1)",
    ):
        assert len(wrong_calls(wrong)) >= 1, wrong
