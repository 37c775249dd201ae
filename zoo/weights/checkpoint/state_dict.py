"""Finding the state dict in what a training script saved.

Checkpoints are wrapped in a few ways: ``{"state_dict": ..., "optimizer": ..., "epoch": ...}``, an
EMA copy beside it, ``module.`` before each name. This takes the wrapping off, says what it took
off, and accounts for everything else in the file by bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from zoo.weights.checkpoint.torchfile import TorchFile
from zoo.weights.checkpoint.types import (
    CheckpointInfo,
    Dtype,
    Extra,
    ExtraKind,
    Format,
    Ordered,
    Plain,
    Record,
    Rejection,
    Scalar,
    Storage,
    StorageInfo,
    Tensor,
    TensorInfo,
    printable,
    unreadable,
)

# Where training scripts keep the weights, the plain ones before their moving average.
# fmt: off
CONTAINERS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights",
    "params", "student", "online", "state_dict_ema", "model_ema", "model_ema_state_dict",
    "ema_state_dict", "params_ema", "ema", "ema_model", "teacher", "swa_state_dict",
    "swa_model",
)
# fmt: on
# Wrappers that name their only child so: (Distributed)DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# What torch's AveragedModel and others count beside the network that they wrap.
_COUNTERS = ("n_averaged", "steps", "num_updates")
_MAX_WRAPPING = 4
_MAX_VALUES = 200
# A file made to keep its reader busy may have any number of them.
_MOST_DICTS = 50


def contents_of(
    file: TorchFile, format_name: Format, size: int, entry: str | None = None
) -> CheckpointInfo:
    """Describe a file of torch.save.

    Args:
        file: as it was read.
        format_name: in which format.
        size: in bytes.
        entry: which of its state dicts (see `CheckpointInfo.others`); None for the usual one.

    Raises:
        Rejection: it holds no state dict, or none of that name.
    """
    path, node, beside = _unwrap(file.root, [])
    if entry is not None and entry != ".".join(path):
        chosen = next((value for name, value in beside if name == entry), None)
        path, node, beside = _unwrap(chosen, [entry])
    named, values = _flatten(node)
    if not named:
        what = f"the entry {printable(entry)!r}" if entry is not None else "the file"
        raise unreadable(f"{what} holds no state dict, only {_describe(file.root)}")
    named, counters = _without_counters(named)
    dicts = [(name, value) for name, value in beside if isinstance(value, dict)]
    others = tuple(name for name, value in dicts[:_MOST_DICTS] if _same_network(value, named))
    beside += [(_join(path, name), value) for name, value in (*values, *counters)]

    used: set[str] = set()
    tensors = tuple(_info(name, tensor, used) for name, tensor in named)
    prefixes, stripped = strip_prefixes([t.name for t in tensors])
    tensors = tuple(replace(t, name=n) for t, n in zip(tensors, stripped, strict=True))
    storages = {key: file.storages[key] for key in sorted(used)}
    extras = [_extra(name, value, file.storages, used) for name, value in beside]
    extras += [Extra(printable(n), "records", nbytes) for n, nbytes in file.unused.items()]
    return CheckpointInfo(
        format_name,
        tensors,
        storages,
        ".".join(path),
        prefixes,
        tuple(extras),
        size,
        _versions(node, "".join(prefixes)),
        file.byteorder,
        others,
    )


def _unwrap(node: object, path: list[str]) -> tuple[list[str], object, list[tuple[str, object]]]:
    """Where the state dict under a node is, the dict, and all that stands beside it on the way."""
    beside: list[tuple[str, object]] = []
    begin = len(path)
    while len(path) < begin + _MAX_WRAPPING and isinstance(node, dict):
        key = _wrapped(node)
        if key is None:
            break
        beside += [(_join(path, k), v) for k, v in node.items() if k != key]
        path = [*path, key]
        node = node[key]
    return path, node, beside


def _without_counters(
    named: list[tuple[str, Tensor]],
) -> tuple[list[tuple[str, Tensor]], list[tuple[str, Tensor]]]:
    """(tensors of the network, what a wrapper counts beside it)."""
    counters = [each for each in named if each[0] in _COUNTERS]
    rest = [each for each in named if each[0] not in _COUNTERS]
    wrapped = bool(rest) and all(name.startswith(PREFIXES) for name, _ in rest)
    return (rest, counters) if wrapped else (named, [])


def _same_network(value: object, named: list[tuple[str, Tensor]]) -> bool:
    """Whether a dict holds a state dict most of whose tensors are called, and shaped, as these."""
    try:
        other, _ = _without_counters(_flatten(_unwrap(value, [])[1])[0])
    except Rejection:
        return False
    return 2 * len(_shapes(other) & _shapes(named)) > len(named)


def _shapes(named: list[tuple[str, Tensor]]) -> set[tuple[str, tuple[int, ...]]]:
    _, names = strip_prefixes([name for name, _ in named])
    return {(name, tensor.shape) for name, (_, tensor) in zip(names, named, strict=True)}


def strip_prefixes(names: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """Take off the wrappers' prefixes that every name has: (what was taken off, the names)."""
    taken: list[str] = []
    while len(taken) < _MAX_WRAPPING:
        prefix = next((p for p in PREFIXES if all(n.startswith(p) for n in names)), None)
        if prefix is None or not names:
            break
        taken.append(prefix)
        names = [n[len(prefix) :] for n in names]
    return tuple(taken), names


def _wrapped(node: Mapping[object, object]) -> str | None:
    """The key under which a dict keeps the state dict, None where the dict is one itself."""
    for key in CONTAINERS:
        if key in node and isinstance(node[key], dict) and _holds_tensors(node[key]):
            return key
    if any(isinstance(value, Tensor) for value in node.values()):
        return None
    holders = [
        key
        for key, value in node.items()
        if type(key) is str
        and isinstance(value, dict)
        and _kind(key) != "optimizer"
        and _holds_tensors(value)
    ]
    return holders[0] if len(holders) == 1 else None


def _holds_tensors(value: object) -> bool:
    return next(_tensors_in(value, set()), None) is not None


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, Record):
        yield from value.arguments
        yield value.state
    elif isinstance(value, Tensor):
        yield from value.parts


def _tensors_in(value: object, seen: set[int]) -> Iterator[Tensor | Storage]:
    """Every tensor and bare storage under a value, each once, however the values are shared."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str | bytes | int | float | Dtype) or item is None or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Tensor | Storage):
            yield item
        pending.extend(_children(item))


def _flatten(node: object) -> tuple[list[tuple[str, Tensor]], list[tuple[str, object]]]:
    """(tensors by dotted name, everything else) of a state dict; dicts in it are named through."""
    tensors: list[tuple[str, Tensor]] = []
    values: list[tuple[str, object]] = []
    if not isinstance(node, dict):
        return tensors, values
    # A dict seen before is not entered again: it may hold itself.
    seen = {id(node)}
    pending: list[tuple[str, object]] = [(_text(k), v) for k, v in reversed(node.items())]
    names: set[str] = set()
    while pending:
        name, value = pending.pop()
        if isinstance(value, Tensor):
            if name in names:
                raise unreadable(f"two tensors are named {printable(name)}")
            names.add(name)
            tensors.append((name, value))
        elif isinstance(value, dict) and id(value) not in seen and _kind(name) != "optimizer":
            seen.add(id(value))
            inside = [(k, v) for k, v in value.items() if isinstance(v, Tensor | dict)]
            if inside and len(name) < 1000:
                pending += [(f"{name}.{_text(k)}", v) for k, v in reversed(inside)]
            else:
                values.append((name, value))
        else:
            values.append((name, value))
    return tensors, values


def _info(name: str, tensor: Tensor, used: set[str]) -> TensorInfo:
    used.add(tensor.storage)
    used.update(part.storage for part in tensor.parts)
    return TensorInfo(
        name,
        tensor.shape,
        tensor.dtype,
        tensor.nbytes,
        tensor.storage,
        tensor.offset,
        tensor.stride,
        tensor.layout,
        tensor.flags,
    )


def _extra(name: str, value: object, storages: Mapping[str, StorageInfo], used: set[str]) -> Extra:
    tensors = nbytes = 0
    for item in _tensors_in(value, set()):
        tensors += isinstance(item, Tensor)
        key = item.storage if isinstance(item, Tensor) else item.key
        if key not in used:
            used.add(key)
            nbytes += storages[key].nbytes
    kind = _kind(name)
    if not tensors and not nbytes and kind != "optimizer":
        return Extra(printable(name), "value", value=_plain(value))
    return Extra(printable(name), kind, nbytes, tensors)


def _kind(name: str) -> ExtraKind:
    lowered = name.lower()
    if "optim" in lowered:
        return "optimizer"
    if "ema" in lowered.replace("-", "_").replace(".", "_").split("_"):
        return "ema"
    return "tensors"


def _plain(value: object) -> Plain:
    """A value as plain data, one level deep; anything else in words."""
    if isinstance(value, Record) and value.kind == "argparse.Namespace":
        value = value.state
    if isinstance(value, dict):
        first = list(value.items())[:_MAX_VALUES]
        return {printable(_text(k)): _scalar(v) for k, v in first}
    return _scalar(value)


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and value.bit_length() <= 64:
        return value
    if isinstance(value, str):
        return printable(value, 200)
    return _describe(value)


def _describe(value: object) -> str:
    if isinstance(value, dict):
        keys = ", ".join(printable(_text(k), 30) for k in list(value)[:5])
        more = ", ..." if len(value) > 5 else ""
        return f"a dict of {keys}{more}" if value else "an empty dict"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Record):
        return f"a {value.kind}"
    if isinstance(value, Tensor | Storage):
        return f"a bare {type(value).__name__.lower()}"
    return f"a {type(value).__name__.lower()}"


def _text(key: object) -> str:
    if isinstance(key, str):
        return key
    return str(key) if isinstance(key, int) else f"({type(key).__name__.lower()})"


def _join(path: list[str], key: object) -> str:
    return ".".join([*path, _text(key)])


def _versions(node: object, prefix: str) -> dict[str, int]:
    """The module versions in a state dict's ``_metadata``, by path without the prefix."""
    state = node.state if isinstance(node, Ordered) else None
    metadata = state.get("_metadata") if isinstance(state, dict) else None
    if not isinstance(metadata, dict):
        return {}
    found: dict[str, int] = {}
    for key, value in metadata.items():
        version = value.get("version") if isinstance(value, dict) else None
        if type(version) is int and type(key) is str and (key + ".").startswith(prefix):
            found[key[len(prefix) :]] = version
    return found
