"""Four hundred tensor names in a dozen lines: ``layer3.{0..22}.conv2.* (92 tensors)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from zoo._util.text import plural
from zoo.weights.checkpoint.types import printable

_NUMBER = re.compile(r"[0-9]{1,9}")
_MAX_DEPTH = 8


def summarise(names: Iterable[str], limit: int = 12) -> list[str]:
    """Group names into at most ``limit`` lines, each as telling as that allows.

    Names are tried as they are, then with ranges in place of numbers, then with ``*`` for the
    last part, then for everything below a depth; the first that fits is taken.
    """
    return list_groups(dict.fromkeys(names, ""), limit)


def list_groups(notes: Mapping[str, str], limit: int = 12) -> list[str]:
    """As `summarise`, for names with a note each: a group shares its note, or shows an example."""
    if not notes:
        return []
    if len(notes) <= min(limit, 4):
        return [_line(printable(n), [n], notes) for n in notes]
    splits = [(name, name.split(".")) for name in notes]
    attempts: list[Callable[[list[str]], tuple[str, ...]]] = [_numbers, _leaf]
    attempts += [_to_depth(depth) for depth in range(_MAX_DEPTH, 0, -1)]
    groups: dict[tuple[str, ...], list[str]] = {}
    for attempt in attempts:
        groups = {}
        for name, parts in splits:
            groups.setdefault(attempt(parts), []).append(name)
        if len(groups) <= limit:
            break
    kept = list(groups.items())
    rest = 0
    if len(kept) > limit:
        # The largest groups say most; they stay in their order.
        largest = sorted(groups, key=lambda key: -len(groups[key]))[: limit - 1]
        chosen = set(largest)
        kept = [(key, groups[key]) for key in groups if key in chosen]
        rest = len(notes) - sum(len(members) for _, members in kept)
    lines = [_line(_pattern(key, members), members, notes) for key, members in kept]
    if rest:
        places = plural(len(groups) - len(kept), "place", ",")
        lines.append(f"and {plural(rest, 'more tensor', ',')} in {places}")
    return lines


def _numbers(parts: list[str]) -> tuple[str, ...]:
    return tuple("#" if _NUMBER.fullmatch(p) else p for p in parts)


def _leaf(parts: list[str]) -> tuple[str, ...]:
    return (*_numbers(parts[:-1]), "*") if len(parts) > 1 else _numbers(parts)


def _to_depth(depth: int) -> Callable[[list[str]], tuple[str, ...]]:
    return lambda parts: (*_numbers(parts[:depth]), "*") if len(parts) > depth else _leaf(parts)


def _pattern(key: tuple[str, ...], members: list[str]) -> str:
    """A key with the numbers that its members have in place of each ``#``."""
    if len(members) == 1:
        return printable(members[0])
    split = [m.split(".") for m in members]
    shown: list[str] = []
    for place, part in enumerate(key):
        if part == "#":
            shown.append(_range({int(s[place]) for s in split}))
        elif part == "*" and len({tuple(s[place:]) for s in split}) == 1:
            shown.append(".".join(split[0][place:]))
        else:
            shown.append(part)
    return printable(".".join(shown))


def _range(values: set[int]) -> str:
    ordered = sorted(values)
    if len(ordered) == 1:
        return str(ordered[0])
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{{{ordered[0]}..{ordered[-1]}}}"
    if len(ordered) <= 4:
        return "{" + ",".join(map(str, ordered)) + "}"
    return f"{{{ordered[0]}..{ordered[-1]}, not all}}"


def _line(pattern: str, members: list[str], notes: Mapping[str, str]) -> str:
    line = pattern if len(members) == 1 else f"{pattern} ({len(members):,} tensors)"
    said = {notes[m] for m in members}
    note = notes[members[0]]
    if not note:
        return line
    return f"{line}: {note}" if len(said) == 1 else f"{line}: e.g. {members[0]} {note}"
