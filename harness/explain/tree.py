"""A profile as a tree: what each module of a variant costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tree(profile: Mapping[str, Any], depth: int | None) -> list[tuple[str, ...]]:
    """Rows of a table: module, class, output shape, parameters and MACs with their share.

    Args:
        profile: the value of a ``profile`` measurement.
        depth: how many levels to show below the model; None for all.

    Returns:
        One row per module call, indented by its level; parameters and MACs include what is
        inside. A module that is called twice has two rows, and its parameters in both.
    """
    modules = profile["modules"]
    total = modules[0]["macs"] or 1
    inside = _parameters_inside(modules)
    rows: list[tuple[str, ...]] = []
    for module in modules:
        path = module["path"]
        level = path.count(".") + 1 if path else 0
        if depth is not None and level > depth:
            continue
        name = path.rpartition(".")[2] or "(model)"
        output = "x".join(map(str, module["output"] or ())) or "-"
        share = module["macs"] / total
        rows.append(
            (
                "  " * level + name,
                module["class"],
                output,
                f"{inside[path]:,}",
                f"{module['macs']:,}",
                f"{share:.1%}",
            )
        )
    return rows


def _parameters_inside(modules: list[Mapping[str, Any]]) -> dict[str, int]:
    """Path -> parameters of the module and of all modules below it, each counted once."""
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
