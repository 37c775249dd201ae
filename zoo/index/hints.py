"""What a misspelt key may have meant: more than nearness is needed to say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zoo._util.text import is_slip
from zoo.index.nodes import Mapping as Pairs
from zoo.index.nodes import Node, Sequence
from zoo.index.schema import FIELDS, NESTED, STRUCTURE, Field, is_of_another_zoo, nearest_keys
from zoo.index.values import Wrong, read_value


@dataclass(frozen=True, slots=True)
class Level:
    """Where a key stands: what can be there, and what is there already."""

    known: Mapping[str, Field | None]
    present: frozenset[str]

    @classmethod
    def of(cls, known: Mapping[str, Field | None], present: Iterable[str]) -> Level:
        """The level with these keys, of which some are present."""
        return cls(known, frozenset(present))

    def meant(self, written: str, value: Node, text: str) -> str | None:
        """The key that a misspelt one stands for, if any can be told.

        It is one letter or two away, missing here, and takes such a value; and no other zoo's key
        is as near.
        """
        for key in nearest_keys(written):
            if is_of_another_zoo(key):
                return None
            if (
                key in self.known
                and key not in self.present
                and is_slip(written, key)
                and _takes(key, self.known[key], value, text)
            ):
                return key
        return None


def _takes(key: str, field: Field | None, value: Node, text: str) -> bool:
    if key in STRUCTURE:
        return isinstance(value, Sequence if STRUCTURE[key] == "list" else Pairs)
    if field is None or (key in NESTED and isinstance(value, Pairs)):
        return isinstance(value, Pairs)
    try:
        read_value(value, field, text)
    except Wrong:
        return False
    return True


ENTRY: Mapping[str, Field | None] = {
    **FIELDS,
    **dict.fromkeys(NESTED.keys() - FIELDS.keys()),
    "Metadata": None,
    "Results": None,
}
RESULT: Mapping[str, Field | None] = {
    **{key: FIELDS[key] for key in ("Task", "Dataset", "Images")},
    "Metrics": None,
}
TOP: Mapping[str, Field | None] = dict.fromkeys(("Collections", "Models", "Import"))
