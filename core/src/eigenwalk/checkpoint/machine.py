"""A reader of pickles that builds data and calls nothing.

A pickle is a program for a small stack machine, and Python's reader calls whatever the program names. This machine
is our own: a name stays a name (`Global`). REDUCE and NEWOBJ look it up among the functions that the machine was given
and run the one of ours that stands there; every other call becomes a `Record` of its name, arguments and state. BUILD
reaches objects of ours alone. No object of the file is ever called, nor does any attribute of it matter. Opcodes that
no supported format uses (old instances, extensions, buffers out of band) are refused.

Memory stays within a small multiple of the file's size: a length is checked against what is left of the file before
anything is made of it; bytes stay views of the file; what a function of ours copies is charged to a budget of the
file's own size; and the number of opcodes is limited. Keys are words and small numbers: those never take long to hash,
as nested tuples or chosen integers would.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from eigenwalk.checkpoint.lazy import LazyTensor
from eigenwalk.errors import FileError

STEPS = 1_000_000
"""Opcodes in one pickle at most. Published networks have below 100,000; each makes at most about 300 bytes."""
LONGEST_NAME = 512
LONGEST_INTEGER = 64
"""Bytes of an integer: PyTorch's magic number has ten."""
PROTOCOL = 5


@dataclass(frozen=True)
class Global:
    """A name that a pickle refers to; nothing is imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Items(dict):
    """A dictionary, whatever known class of dictionaries the file names; attributes that it had are left out."""


@dataclass(eq=False)
class Record:
    """An object of the file as data: the name of its class or function, and what the file gives it. Nothing was called.

    Attributes:
        kind: full name of the class or function, such as ``argparse.Namespace``.
        state: its attributes, a dictionary most often.
        arguments: what the file calls it with.
        items: what stands in it by key, where it is a kind of dictionary.
        values: what stands in it in a row, where it is a kind of list.
    """

    kind: str
    state: Any = None
    arguments: tuple[Any, ...] = ()
    items: dict[Any, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)

    def build(self, state: Any) -> None:
        """Keep the state that the file gives."""
        self.state = state


def shown(value: Any) -> str:
    """`value` for a message: words and numbers as they are, the kind of anything else.

    Whatever else a file may hold can be made so that its text would never end.
    """
    if isinstance(value, str):
        return repr(value[:40])
    return repr(value) if value is None or isinstance(value, (bool, int, float)) else _kind(value)


Make = Callable[["Machine", tuple[Any, ...]], Any]
"""Returns the inert value of a known global that is called with arguments."""


@dataclass
class Machine:
    """Runs one pickle after another from `data`.

    Attributes:
        data: the file's bytes, or those of a file inside it.
        known: what stands for the call of each global, by its full name; None for what is named and never called.
        what: the file's name, for messages.
        budget: bytes that known functions may copy altogether.
        steps: opcodes in one pickle at most.
        persistent: returns what stands for a persistent id; None where there are none.
        foreign: the other globals that the file named, in their order.
    """

    data: memoryview
    known: Mapping[str, Make | None]
    what: str
    budget: int
    steps: int = STEPS
    persistent: Callable[[Any], Any] | None = None
    foreign: dict[str, None] = field(default_factory=dict)
    place: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def load(self) -> Any:
        """Run the next pickle and return its value.

        Raises:
            FileError: it claims what is not there, takes too long, or is no pickle; nothing was called.
        """
        self.stack, self.marks, self.memo = [], [], {}
        for _ in range(self.steps):
            code = self.unsigned(1)
            if code == _STOP:
                if len(self.stack) != 1 or self.marks:
                    self.refuse("the pickle ends with values left over")
                return self.stack.pop()
            step = _STEPS.get(code)
            if step is None:
                known = next((one.name for one in pickletools.opcodes if one.code == chr(code)), None)
                self.refuse(f"opcode {known}, which no supported format uses" if known else "it is no pickle")
            step(self)
        self.refuse(f"the pickle has more than {self.steps} opcodes")

    def refuse(self, reason: str) -> NoReturn:
        """Raise the error that says why the file is not opened."""
        raise FileError(f"{self.what} was not opened and nothing of it was run: {reason}")

    def charge(self, size: int) -> None:
        """Count `size` bytes that are copied out of the file."""
        self.budget -= size
        if self.budget < 0:
            self.refuse("it would expand to more than its own size")

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        if size > len(self.data) - self.place:
            self.refuse(f"it claims {_size(size)} at byte {self.place}, and ends before: truncated, or made to harm")
        self.place += size
        return self.data[self.place - size : self.place]

    def unsigned(self, size: int) -> int:
        """The next number of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def text(self, size: int) -> str:
        """The next `size` bytes as text."""
        try:
            return str(self.take(size), "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self.refuse(f"what should be text before byte {self.place} is none")

    def line(self) -> str:
        """The text up to the end of the line."""
        found = bytes(self.data[self.place : self.place + LONGEST_NAME]).partition(b"\n")
        if not found[1]:
            self.refuse(f"a name without an end at byte {self.place}")
        text = self.text(len(found[0]))
        self.place += 1
        return text

    def pop(self) -> Any:
        """The value on top of the stack."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.refuse("the pickle takes more values than it has")
        return self.stack.pop()

    def top(self, kinds: type | tuple[type, ...]) -> Any:
        """The value on top of the stack, which stays there and is of one of `kinds`."""
        value = self.pop()
        if not isinstance(value, kinds):
            self.refuse(f"the pickle changes a {_kind(value)}")
        self.stack.append(value)
        return value

    def pop_mark(self) -> list[Any]:
        """The values down to the last mark."""
        if not self.marks:
            self.refuse("the pickle has a mark too few")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def name(self, module: Any, name: Any) -> Global:
        """The global of these names, noted as foreign where nothing is known of it."""
        if not (isinstance(module, str) and isinstance(name, str)) or len(module) + len(name) > LONGEST_NAME:
            self.refuse("a global whose name is no text")
        found = Global(module, name)
        if str(found) not in self.known:
            self.foreign[str(found)] = None
        return found

    def call(self, function: Any, arguments: Any) -> Any:
        """What stands for the call of a global."""
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            self.refuse(f"it calls a {_kind(function)}")
        if str(function) not in self.known:
            return Record(str(function), arguments=arguments)
        make = self.known[str(function)]
        if make is None:
            self.refuse(f"it calls {function}, which is only named in a network's weights")
        try:
            return make(self, arguments)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
            reason = str(error).partition("\n")[0][:200]
            self.refuse(f"{function} with arguments that do not fit it ({type(error).__name__}: {reason})")

    def key(self, value: Any) -> Any:
        """`value` as a key of a dictionary or a member of a set."""
        if isinstance(value, Global):  # a class of Lightning's callbacks, for one
            return str(value)
        if isinstance(value, (str, bool)) or value is None or (isinstance(value, int) and abs(value) < 2**60):
            return value
        self.refuse(f"a key of type {_kind(value)}, where words and small numbers are expected")

    def remember(self, place: int) -> None:
        """Keep the value on top of the stack under a number."""
        self.memo[place] = self.top(object)

    def recall(self, place: int) -> None:
        """Put the value that was kept under a number on the stack."""
        if place not in self.memo:
            self.refuse(f"it refers to value {place}, which there is not")
        self.stack.append(self.memo[place])


def _size(size: int) -> str:
    return f"{size} bytes" if size < 10**6 else f"{size / 1e9:.3g} GB"


def _kind(value: Any) -> str:
    if isinstance(value, Global):
        return f"global {value}"
    return f"record of {value.kind}"[:LONGEST_NAME] if isinstance(value, Record) else type(value).__name__


def _push(read: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    def step(machine: Machine) -> None:
        machine.stack.append(read(machine))

    return step


def _proto(machine: Machine) -> None:
    if (version := machine.unsigned(1)) > PROTOCOL:
        machine.refuse(f"pickle protocol {version}: up to {PROTOCOL} is known")


def _frame(machine: Machine) -> None:
    size = machine.unsigned(8)
    machine.take(size)
    machine.place -= size


def _long(machine: Machine, width: int) -> int:
    size = machine.unsigned(width)
    if size > LONGEST_INTEGER:
        machine.refuse(f"an integer of {_size(size)}")
    return int.from_bytes(machine.take(size), "little", signed=True)


def _tuple(machine: Machine, size: int) -> tuple[Any, ...]:
    return tuple([machine.pop() for _ in range(size)][::-1])


def _appends(machine: Machine, values: list[Any]) -> None:
    into = machine.top((list, Record))
    (into.values if isinstance(into, Record) else into).extend(values)


def _set_items(machine: Machine, values: Sequence[Any]) -> None:
    if len(values) % 2:
        machine.refuse("a key without a value")
    into = machine.top((dict, Record))
    into = into.items if isinstance(into, Record) else into
    for key, value in zip(values[::2], values[1::2], strict=True):
        into[machine.key(key)] = value


def _add_items(machine: Machine) -> None:
    values = [machine.key(value) for value in machine.pop_mark()]
    into = machine.top((set, Record))
    into.values.extend(values) if isinstance(into, Record) else into.update(values)


def _new_with_words(machine: Machine) -> Any:
    function, arguments, words = _tuple(machine, 3)
    known = isinstance(function, Global) and str(function) in machine.known
    if words != {} and known:
        machine.refuse(f"it calls a {_kind(function)} with arguments by name")
    return machine.call(function, arguments)


def _build(machine: Machine) -> None:
    state = machine.pop()
    into = machine.pop()
    if not isinstance(into, (Items, LazyTensor)):  # attributes of dictionaries and tensors are left out
        if not isinstance(into, Record):
            machine.refuse(f"it gives state to a {_kind(into)}")
        try:
            into.build(state)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
            machine.refuse(f"the state of a {_kind(into)} does not fit ({str(error)[:200]})")
    machine.stack.append(into)


def _persistent(machine: Machine) -> Any:
    if machine.persistent is None:
        machine.refuse("it refers to another file")
    return machine.persistent(machine.pop())


_STOP = ord(".")
_STEPS: dict[int, Callable[[Machine], Any]] = {
    0x80: _proto,
    0x95: _frame,
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): lambda m: m.pop(),
    ord("1"): lambda m: m.pop_mark(),
    ord("2"): lambda m: m.stack.append(m.top(object)),
    ord("N"): _push(lambda m: None),
    0x88: _push(lambda m: True),
    0x89: _push(lambda m: False),
    ord("J"): _push(lambda m: int.from_bytes(m.take(4), "little", signed=True)),
    ord("K"): _push(lambda m: m.unsigned(1)),
    ord("M"): _push(lambda m: m.unsigned(2)),
    0x8A: _push(lambda m: _long(m, 1)),
    0x8B: _push(lambda m: _long(m, 4)),
    ord("G"): _push(lambda m: struct.unpack(">d", m.take(8))[0]),
    ord("X"): _push(lambda m: m.text(m.unsigned(4))),
    0x8C: _push(lambda m: m.text(m.unsigned(1))),
    0x8D: _push(lambda m: m.text(m.unsigned(8))),
    ord("U"): _push(lambda m: m.text(m.unsigned(1))),  # of Python 2
    ord("T"): _push(lambda m: m.text(m.unsigned(4))),
    ord("B"): _push(lambda m: m.take(m.unsigned(4))),
    ord("C"): _push(lambda m: m.take(m.unsigned(1))),
    0x8E: _push(lambda m: m.take(m.unsigned(8))),
    0x96: _push(lambda m: m.take(m.unsigned(8))),
    ord(")"): _push(lambda m: ()),
    ord("t"): _push(lambda m: tuple(m.pop_mark())),
    0x85: _push(lambda m: _tuple(m, 1)),
    0x86: _push(lambda m: _tuple(m, 2)),
    0x87: _push(lambda m: _tuple(m, 3)),
    ord("]"): _push(lambda m: []),
    ord("a"): lambda m: _appends(m, [m.pop()]),
    ord("e"): lambda m: _appends(m, m.pop_mark()),
    ord("}"): _push(lambda m: {}),
    ord("s"): lambda m: _set_items(m, _tuple(m, 2)),
    ord("u"): lambda m: _set_items(m, m.pop_mark()),
    0x8F: _push(lambda m: set()),
    0x90: _add_items,
    0x91: _push(lambda m: frozenset(map(m.key, m.pop_mark()))),
    ord("h"): lambda m: m.recall(m.unsigned(1)),
    ord("j"): lambda m: m.recall(m.unsigned(4)),
    ord("q"): lambda m: m.remember(m.unsigned(1)),
    ord("r"): lambda m: m.remember(m.unsigned(4)),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("c"): _push(lambda m: m.name(m.line(), m.line())),
    0x93: _push(lambda m: m.name(*_tuple(m, 2))),
    ord("R"): _push(lambda m: m.call(*_tuple(m, 2))),
    0x81: _push(lambda m: m.call(*_tuple(m, 2))),
    0x92: _push(_new_with_words),
    ord("b"): _build,
    ord("Q"): _push(_persistent),
}
