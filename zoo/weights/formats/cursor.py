"""Reading a pickle's operands out of bytes, each with its bound."""

from __future__ import annotations

import struct

from zoo.weights.formats.types import unsafe

# Legitimate integers are sizes, seeds and the 80 bits of torch's magic number.
_MAX_INTEGER_BYTES = 64
_MAX_LINE = 4096


class Cut(Exception):
    """The bytes end before the pickle does."""


class Cursor:
    """A place in ``data``; each method takes the bytes that it returns.

    They raise `Cut` where the bytes end, ValueError where they make no sense, and `Refused` where
    a number is absurd.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self.position = 0

    def place(self, position: int | None = None) -> str:
        """``record, byte N``."""
        return f"{self.where}, byte {self.position if position is None else position}"

    def take(self, count: int) -> bytes:
        """So many bytes."""
        end = self.position + count
        if count < 0:
            raise ValueError(count)
        if end > len(self.data):
            raise Cut
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, code: str, size: int) -> int:
        value: int = struct.unpack(code, self.take(size))[0]
        return value

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.position, self.position + _MAX_LINE)
        if end < 0:
            if len(self.data) - self.position < _MAX_LINE:
                raise Cut
            raise ValueError("a line without an end")
        line = self.data[self.position : end]
        self.position = end + 1
        return line

    def sized(self, code: str, size: int) -> bytes:
        return self.take(self.number(code, size))

    def integer(self, code: str, size: int) -> int:
        length = self.number(code, size)
        if length > _MAX_INTEGER_BYTES:
            raise unsafe(f"the pickle holds an integer of {length} bytes", self.place())
        return int.from_bytes(self.take(length), "little", signed=True)

    def line_integer(self) -> int | bool:
        line = self.line().rstrip(b"L")
        if line in (b"00", b"01"):
            return line == b"01"
        if len(line) > 2 * _MAX_INTEGER_BYTES:
            raise unsafe(f"the pickle holds an integer of {len(line)} digits", self.place())
        return int(line)
