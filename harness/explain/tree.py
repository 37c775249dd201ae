"""A profile as a tree: what each module of a variant costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


def tree(profile: Mapping[str, Any], depth: int | None) -> list[tuple[str, ...]]:
    """Rows of a table: module, class, output shape, parameters and MACs with their share.

    Args:
        profile: the value of a ``profile`` measurement.
        depth: how many levels to show below the model; None for all.

    Returns:
        One row per module call, indented by its level; parameters and MACs include what is
        inside. A module that is called twice has two rows, and its parameters in both. One that
        is never called, but holds modules that are, has a row where the first of them stands.
    """
    root = _placed(profile)
    total = root.macs or 1
    inside = _parameters_inside(profile)
    rows: list[tuple[str, ...]] = []
    for node, level in _walk(root, 0, depth):
        name = node.path.rpartition(".")[2] or "(model)"
        output = "x".join(map(str, node.output)) or "-"
        rows.append(
            (
                "  " * level + name,
                node.kind,
                output,
                f"{inside[node.path]:,}",
                f"{node.macs:,}",
                f"{node.macs / total:.1%}",
            )
        )
    return rows


@dataclass(slots=True)
class _Node:
    """A call of a module, or a module that is never called; ``parts`` is in order of the calls."""

    path: str
    kind: str
    macs: int = 0
    output: tuple[int, ...] = ()
    called: bool = True
    parts: list[_Node] = field(default_factory=list)
    latest: dict[str, _Node] = field(default_factory=dict)

    def add(self, name: str, part: _Node) -> None:
        self.parts.append(part)
        self.latest[name] = part


def _placed(profile: Mapping[str, Any]) -> _Node:
    """The calls as a tree of their paths: each in the latest call of what the path names above.

    Who calls a module and whose part it is can differ: nobody calls a list of blocks.
    """
    first, *calls = profile["modules"]
    root = _Node("", first["class"], first["macs"], tuple(first["output"] or ()))
    kinds = {module["path"]: module["class"] for module in profile["uncalled"]}
    for call in calls:
        *above, name = call["path"].split(".")
        node = root
        uncalled: list[_Node] = []  # what stands between the call and the call that it is inside
        for i, part in enumerate(above):
            if part not in node.latest:
                path = ".".join(above[: i + 1])
                node.add(part, _Node(path, kinds.get(path, "-"), called=False))
            node = node.latest[part]
            uncalled = [] if node.called else [*uncalled, node]
        for container in uncalled:
            container.macs += call["macs"]
        output = tuple(call["output"] or ())
        node.add(name, _Node(call["path"], call["class"], call["macs"], output))
    return root


def _walk(node: _Node, level: int, depth: int | None) -> Iterator[tuple[_Node, int]]:
    yield node, level
    if depth is None or level < depth:
        for part in node.parts:
            yield from _walk(part, level + 1, depth)


def _parameters_inside(profile: Mapping[str, Any]) -> dict[str, int]:
    """Path -> parameters of the module and of all modules below it, each counted once."""
    modules = [*profile["modules"], *profile["uncalled"]]
    own = {m["path"]: m["parameters"] for m in modules}
    inside = dict.fromkeys(own, 0)
    for path, count in own.items():
        inside[""] += count
        parts = path.split(".") if path else []
        for i in range(1, len(parts) + 1):
            above = ".".join(parts[:i])
            if above in inside:
                inside[above] += count
    return inside
