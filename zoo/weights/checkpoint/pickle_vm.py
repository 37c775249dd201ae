"""A stack machine for pickles that builds plain data and runs nothing.

Why not ``torch.load(weights_only=True)``: torch before 2.6 could be made to run code by it
(CVE-2025-32434), and torch 2.4 is allowed here; it also reads every tensor's bytes, stops at the
first global that it doesn't know, and can't say where. This machine calls nothing: a global is
looked up in the closed list of `zoo.weights.checkpoint.allowlist`, which makes inert records, and
any other ends the reading. The standard library decodes the opcodes and their arguments (the table
that `pickletools.genops` reads by, which alone is too slow for a file of two million opcodes); only
what they do to the stack is written here.

Memory stays proportional to the opcodes read: no opcode copies what an earlier one made without
being charged for it. Time does too: the only keys that are hashed are texts, bytes and small
integers, since a tuple that holds itself twice, sixty times over, never ends to hash.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from typing import IO, Any

from zoo.weights.checkpoint.allowlist import GETATTR, Budget, ForbiddenGlobal, construct, resolve
from zoo.weights.checkpoint.types import (
    Global,
    Opaque,
    Ordered,
    ReadLimits,
    Record,
    printable,
    unreadable,
    unsafe,
)

# Legitimate integers are sizes, seeds and the 80 bits of torch's magic number.
_MAX_INTEGER_BITS = 512
_MAX_LINE = 4096
_STOP = 0x2E
_INTEGERS = "INT LONG LONG1 LONG4 BININT BININT1 BININT2"
_LITERALS = (
    "FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8"
    " BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
)


class TruncatedPickle(Exception):
    """The bytes end before the pickle does."""


class _Stream(io.BytesIO):
    """The bytes that pickletools reads arguments from: not beyond the end, no line without one."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._size = len(data)

    def read(self, count: int | None = -1, /) -> bytes:
        if count is None or count > self._size - self.tell():
            raise TruncatedPickle
        return super().read(count)

    def readline(self, _size: int | None = -1, /) -> bytes:
        line = super().readline(_MAX_LINE)
        if line.endswith(b"\n"):
            return line
        if len(line) < _MAX_LINE:
            raise TruncatedPickle
        raise ValueError("a line without an end")


def _read_names(stream: IO[bytes]) -> tuple[str, str]:
    module, name = stream.readline()[:-1], stream.readline()[:-1]
    return module.decode("utf-8", "backslashreplace"), name.decode("utf-8", "backslashreplace")


def _read_quoted(stream: IO[bytes]) -> str:
    line = stream.readline()[:-1]
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise ValueError("quotes")
    return line[1:-1].decode("latin-1")


# pickletools unescapes these, and knows ASCII alone; names and texts of any alphabet occur.
_READERS: dict[str, Callable[[IO[bytes]], Any]] = {
    "GLOBAL": _read_names,
    "INST": _read_names,
    "STRING": _read_quoted,
    "PERSID": lambda stream: stream.readline(),
}


class PickleMachine:
    """Reads one or more pickles out of ``data``, from the start on.

    Args:
        data: the bytes.
        where: the record's name, for messages.
        limits: the opcodes and tensors that all pickles read by this machine may use.
        persistent: turns a persistent id (a tuple) into an inert storage; it raises `Rejection`.
    """

    def __init__(
        self, data: bytes, where: str, limits: ReadLimits, persistent: Callable[[object], object]
    ) -> None:
        self.where = where
        self.budget = Budget(limits)
        self._data = data
        self._stream = _Stream(data)
        self._start = 0
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, object] = {}
        handlers = self._table()
        self._opcodes = {
            ord(opcode.code): (
                handlers[opcode.name],
                _READERS.get(opcode.name, opcode.arg.reader if opcode.arg else None),
            )
            for opcode in pickletools.opcodes
            if opcode.name in handlers
        }
        self.position = 0
        self._uncalled: dict[int, tuple[Global, str]] = {}

    def place(self) -> str:
        """The opcode that is carried out: ``record, byte N``."""
        return f"{self.where}, byte {self._start}"

    def load(self) -> object:
        """The next pickle's object.

        Raises:
            TruncatedPickle: the bytes end first.
            Rejection: the pickle asks for something else than plain data, or makes no sense.
        """
        self._stack, self._marks, self._memo = [], [], {}
        data, opcodes, stream, spend = self._data, self._opcodes, self._stream, self.budget.spend
        position, code = self.position, None
        try:
            while code != _STOP:
                self._start = position
                if position >= len(data):
                    raise TruncatedPickle
                code = data[position]
                if code not in opcodes:
                    raise unreadable(f"{self.place()}: {code:#04x} is not a pickle opcode")
                spend(1, self.where, position)
                handler, read = opcodes[code]
                position += 1
                if read is None:
                    handler()
                else:
                    stream.seek(position)
                    argument = read(stream)
                    position = stream.tell()
                    handler(argument)
        except (IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise unreadable(f"{self.place()}: the pickle is damaged") from error
        self.position = position
        for _, place in self._uncalled.values():
            raise ForbiddenGlobal(GETATTR, place)
        if len(self._stack) != 1 or self._marks:
            raise unreadable(f"{self.place()}: the pickle ends with an unfinished object")
        return self._stack.pop()

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _integer(self, value: int) -> None:
        if value.bit_length() > _MAX_INTEGER_BITS:
            raise unsafe(f"the pickle holds an integer of {value.bit_length()} bits", self.place())
        self._stack.append(value)

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError(count)
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _put(self, index: int) -> None:
        if not 0 <= index < 1 << 32:
            raise ValueError(index)
        self._memo[index] = self._stack[-1]

    def _append(self, items: list[object]) -> None:
        target = self._stack[-1]
        if type(target) is list:
            target.extend(items)
        elif type(target) is not Record:
            raise TypeError("append")

    def _set(self, items: list[object]) -> None:
        target = self._stack[-1]
        if len(items) % 2:
            raise ValueError("a key without a value")
        if isinstance(target, dict):
            for i in range(0, len(items), 2):
                target[_key(items[i])] = items[i + 1]
        elif type(target) is not Record:
            raise TypeError("setitem")

    def _dict(self, items: list[object]) -> None:
        self._stack.append({})
        self._set(items)

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Record | Ordered):
            target.state = state

    def _global(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a global's name is not a text")
        found = resolve(module, name, self.place())
        # A time zone's own attribute is all that may be asked for, and only by a call.
        if isinstance(found, Global) and found.name == GETATTR:
            self._uncalled[id(found)] = found, self.place()
        self._stack.append(found)

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _call(self, function: object, arguments: object) -> None:
        if type(function) is not Global:
            shown = printable(type(function).__name__)
            raise unsafe(f"the pickle calls an object that is not a class ({shown})", self.place())
        if not isinstance(arguments, tuple):
            raise TypeError("arguments")
        self._stack.append(construct(function, arguments, self.budget, self.place()))
        self._uncalled.pop(id(function), None)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _instance(self, names: tuple[str, str]) -> None:
        arguments = tuple(self._to_mark())
        self._global(*names)
        self._call(self._stack.pop(), arguments)

    def _object(self) -> None:
        function, *arguments = self._to_mark()
        self._call(function, tuple(arguments))

    def _new_with_keywords(self) -> None:
        if self._stack.pop():
            raise TypeError("no class here takes keywords")
        self._reduce()

    def _extension(self, _: object) -> None:
        raise unsafe("the pickle asks for a class by an extension code", self.place())

    def _buffer(self) -> None:
        raise unreadable(f"{self.place()}: the pickle refers to bytes outside the file")

    def _protocol(self, number: int) -> None:
        if number > 5:
            raise ValueError("protocol")

    def _table(self) -> dict[str, Callable[..., object]]:
        """What each opcode does, given its argument where it has one."""

        def push(value: object) -> None:
            self._stack.append(value)

        def pop() -> Any:
            return self._stack.pop()

        def text(argument: str) -> None:
            # Python 2's str, which pickletools reads as Latin-1 and torch as UTF-8.
            push(argument.encode("latin-1").decode("utf-8", "replace"))

        return {
            **dict.fromkeys(_INTEGERS.split(), self._integer),
            **dict.fromkeys(_LITERALS.split(), push),
            **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), text),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda i: push(self._memo[i])),
            **dict.fromkeys(("EXT1", "EXT2", "EXT4"), self._extension),
            **dict.fromkeys(("NEXT_BUFFER", "READONLY_BUFFER"), self._buffer),
            **dict.fromkeys(("REDUCE", "NEWOBJ"), self._reduce),  # cls.__new__(cls, *args)
            "PROTO": self._protocol,
            "FRAME": lambda _: None,  # a hint for buffering
            "STOP": lambda: None,
            "MARK": self._mark,
            "POP": self._pop,
            "POP_MARK": self._to_mark,
            "DUP": lambda: push(self._stack[-1]),
            "NONE": lambda: push(None),
            "NEWTRUE": lambda: push(True),
            "NEWFALSE": lambda: push(False),
            "EMPTY_TUPLE": lambda: push(()),
            "TUPLE": lambda: push(tuple(self._to_mark())),
            "TUPLE1": lambda: self._tuple(1),
            "TUPLE2": lambda: self._tuple(2),
            "TUPLE3": lambda: self._tuple(3),
            "EMPTY_LIST": lambda: push([]),
            "LIST": lambda: push(self._to_mark()),
            "APPEND": lambda: self._append([pop()]),
            "APPENDS": lambda: self._append(self._to_mark()),
            "EMPTY_DICT": lambda: push({}),
            "DICT": lambda: self._dict(self._to_mark()),
            "SETITEM": lambda: self._set([*reversed((pop(), pop()))]),
            "SETITEMS": lambda: self._set(self._to_mark()),
            # A set's members would have to be hashed; as a list they are only kept.
            "EMPTY_SET": lambda: push([]),
            "ADDITEMS": lambda: self._append(self._to_mark()),
            "FROZENSET": lambda: push(self._to_mark()),
            "MEMOIZE": lambda: self._put(len(self._memo)),
            "GLOBAL": lambda names: self._global(*names),
            "STACK_GLOBAL": self._stack_global,
            "INST": self._instance,
            "OBJ": self._object,
            "NEWOBJ_EX": self._new_with_keywords,
            "BUILD": self._build,
            "PERSID": lambda name: push(self._persistent(name)),
            "BINPERSID": lambda: push(self._persistent(pop())),
        }


def _key(key: object) -> object:
    """The key itself where hashing it is cheap and its hash can't be aimed, else a stand-in."""
    if type(key) in (str, bytes, bool, type(None)):
        return key
    if type(key) is int and -(1 << 31) <= key < 1 << 32:
        return key
    return Opaque()
