"""An interpreter for pickles that builds plain data and nothing else.

Python's unpickler calls what a pickle names. This one calls nothing: a global is looked up in the
closed list of `zoo.weights.formats.globals`, which knows inert records alone, and anything else
ends the reading. The opcodes are those of pickletools, protocols 0 to 5.

Memory stays proportional to the opcodes read: no opcode here copies what an earlier one made,
without being charged for it. Time does too: the only keys that are hashed are texts, bytes and
small integers, since a tuple that holds itself twice, sixty times over, never ends to hash.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from zoo.weights.formats import globals as known
from zoo.weights.formats.cursor import Cursor, Cut
from zoo.weights.formats.records import Budget, Global, Opaque, Ordered, Record
from zoo.weights.formats.types import Limits, printable, unreadable, unsafe


class Machine(Cursor):
    """Reads one or more pickles out of ``data``, from ``position`` on.

    Args:
        data: the bytes.
        where: the record's name, for messages.
        limits: the opcodes and tensors that all pickles read by this machine may use.
        persistent: turns a persistent id (a tuple) into an inert storage; it raises `Refused`.
    """

    def __init__(
        self, data: bytes, where: str, limits: Limits, persistent: Callable[[object], object]
    ) -> None:
        super().__init__(data, where)
        self.budget = Budget(limits)
        self._persistent = persistent
        self._stack: list[object] = []
        self._marks: list[list[object]] = []
        self._memo: dict[int, object] = {}
        self._opcodes = self._table()

    def load(self) -> object:
        """The next pickle's object.

        Raises:
            Cut: the bytes end first.
            Refused: the pickle asks for something else than plain data, or makes no sense.
        """
        self._stack, self._marks, self._memo = [], [], {}
        data, opcodes, budget = self.data, self._opcodes, self.budget
        start = self.position
        while True:
            start = self.position
            if start >= len(data):
                raise Cut
            code = data[start]
            self.position = start + 1
            budget.spend(1, self.where, start)
            if code == 0x2E:  # STOP
                break
            handler = opcodes.get(code)
            if handler is None:
                raise unreadable(f"{self.place(start)}: {code:#04x} is no pickle opcode")
            try:
                handler()
            except (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error) as e:
                raise unreadable(f"{self.place(start)}: the pickle is damaged") from e
        if len(self._stack) != 1 or self._marks:
            raise unreadable(f"{self.place(start)}: the pickle ends with an unfinished object")
        return self._stack.pop()

    # The stack

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[object]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError(count)
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _put(self, index: int) -> None:
        if not 0 <= index < 1 << 32:
            raise ValueError(index)
        self._memo[index] = self._stack[-1]

    # Filling containers

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
        self._push({})
        self._set(items)

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Record | Ordered):
            target.state = state

    # Globals, and what a pickle asks to do with them

    def _global(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a global's name is not a text")
        self._push(known.resolve(module, name, self.place()))

    def _global_line(self) -> tuple[str, str]:
        return self.line().decode("utf-8"), self.line().decode("utf-8")

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _call(self, function: object, arguments: object) -> None:
        if type(function) is not Global:
            shown = printable(type(function).__name__)
            raise unsafe(f"the pickle calls an object that is no class ({shown})", self.place())
        if not isinstance(arguments, tuple):
            raise TypeError("arguments")
        self._push(known.construct(function, arguments, self.budget, self.place()))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _instance(self) -> None:
        module, name = self._global_line()
        arguments = tuple(self._to_mark())
        self._global(module, name)
        self._call(self._stack.pop(), arguments)

    def _object(self) -> None:
        items = self._to_mark()
        self._call(items[0], tuple(items[1:]))

    def _new_with_keywords(self) -> None:
        keywords = self._stack.pop()
        if keywords:
            raise TypeError("no class here takes keywords")
        self._reduce()

    def _extension(self) -> None:
        raise unsafe("the pickle asks for a class by an extension code", self.place())

    def _buffer(self) -> None:
        raise unreadable(f"{self.place()}: the pickle refers to bytes outside the file")

    def _persist(self, identifier: object) -> None:
        self._push(self._persistent(identifier))

    def _protocol(self) -> None:
        if self.number("B", 1) > 5:
            raise ValueError("protocol")

    def _text(self, code: str, size: int) -> None:
        self._push(self.sized(code, size).decode("utf-8", "surrogatepass"))

    def _old_text(self, raw: bytes) -> None:
        # Python 2's str, which torch reads as UTF-8.
        self._push(raw.decode("utf-8", "replace"))

    def _quoted(self) -> None:
        line = self.line()
        if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b'"', b"'"):
            raise ValueError("quotes")
        self._old_text(line[1:-1])

    def _table(self) -> dict[int, Callable[[], object]]:
        push = self._push

        def stack() -> list[object]:
            return self._stack

        table: dict[str, Callable[[], object]] = {
            "\x80": self._protocol,
            "\x95": lambda: self.number("<Q", 8),  # FRAME: a hint for buffering
            "(": self._mark,
            "0": self._pop,
            "1": self._to_mark,
            "2": lambda: push(stack()[-1]),
            "N": lambda: push(None),
            "\x88": lambda: push(True),
            "\x89": lambda: push(False),
            "I": lambda: push(self.line_integer()),
            "L": lambda: push(self.line_integer()),
            "J": lambda: push(self.number("<i", 4)),
            "K": lambda: push(self.number("B", 1)),
            "M": lambda: push(self.number("<H", 2)),
            "\x8a": lambda: push(self.integer("B", 1)),
            "\x8b": lambda: push(self.integer("<i", 4)),
            "F": lambda: push(float(self.line())),
            "G": lambda: push(struct.unpack(">d", self.take(8))[0]),
            "S": self._quoted,
            "T": lambda: self._old_text(self.sized("<i", 4)),
            "U": lambda: self._old_text(self.sized("B", 1)),
            "B": lambda: push(self.sized("<I", 4)),
            "C": lambda: push(self.sized("B", 1)),
            "\x8e": lambda: push(self.sized("<Q", 8)),
            "\x96": lambda: push(self.sized("<Q", 8)),
            "V": lambda: push(self.line().decode("raw-unicode-escape")),
            "X": lambda: self._text("<I", 4),
            "\x8c": lambda: self._text("B", 1),
            "\x8d": lambda: self._text("<Q", 8),
            ")": lambda: push(()),
            "t": lambda: push(tuple(self._to_mark())),
            "\x85": lambda: self._tuple(1),
            "\x86": lambda: self._tuple(2),
            "\x87": lambda: self._tuple(3),
            "]": lambda: push([]),
            "l": lambda: push(self._to_mark()),
            "a": lambda: self._append([stack().pop()]),
            "e": lambda: self._append(self._to_mark()),
            "}": lambda: push({}),
            "d": lambda: self._dict(self._to_mark()),
            "s": lambda: self._set([*reversed((stack().pop(), stack().pop()))]),
            "u": lambda: self._set(self._to_mark()),
            # A set's members would have to be hashed; as a list they are only kept.
            "\x8f": lambda: push([]),
            "\x90": lambda: self._append(self._to_mark()),
            "\x91": lambda: push(self._to_mark()),
            "p": lambda: self._put(int(self.line()[:12])),
            "q": lambda: self._put(self.number("B", 1)),
            "r": lambda: self._put(self.number("<I", 4)),
            "\x94": lambda: self._put(len(self._memo)),
            "g": lambda: push(self._memo[int(self.line()[:12])]),
            "h": lambda: push(self._memo[self.number("B", 1)]),
            "j": lambda: push(self._memo[self.number("<I", 4)]),
            "c": lambda: self._global(*self._global_line()),
            "\x93": self._stack_global,
            "R": self._reduce,
            "\x81": self._reduce,  # NEWOBJ: cls.__new__(cls, *args)
            "\x92": self._new_with_keywords,
            "i": self._instance,
            "o": self._object,
            "b": self._build,
            "\x82": self._extension,
            "\x83": self._extension,
            "\x84": self._extension,
            "\x97": self._buffer,
            "\x98": self._buffer,
            "P": lambda: self._persist(self.line()),
            "Q": lambda: self._persist(stack().pop()),
        }
        return {ord(code): handler for code, handler in table.items()}


def _key(key: object) -> object:
    """The key itself where hashing it is cheap and its hash can't be aimed, else a stand-in."""
    if type(key) in (str, bytes, bool, type(None)):
        return key
    if type(key) is int and -(1 << 31) <= key < 1 << 32:
        return key
    return Opaque()
