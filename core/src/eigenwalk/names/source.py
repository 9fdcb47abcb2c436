"""Rewrite the text of an expression for Python's parser, and trace every place back to the user's text.

Where a name may stand, a path does too: ``./my_feature.py:fn`` becomes ``file("./my_feature.py:fn")``, and
for a generator ``ffhq.pkl`` becomes ``open("ffhq.pkl")``. Where a value stands, a path becomes a string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from eigenwalk.errors import ExpressionError

MAX_TEXT = 4000
CHECKPOINTS = (
    *(".pkl", ".pickle", ".pt", ".pt2", ".pth", ".ckpt", ".safetensors"),
    *(".onnx", ".bin", ".npz", ".zip", ".h5", ".tar"),
)
"""Usual endings of files of weights; another file is taken for a path if it has a separator or exists."""

_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_FUNCTION = re.compile(
    r"""(?:[A-Za-z]:(?=[\\/]))?[^\s"'()|<>*~,=:\[\]]*\.py(?::(?P<attribute>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?!\w))"""
)
_PATH = re.compile(r"""(?:\.{0,2}[\\/]|[A-Za-z]:[\\/])[^\s"'()|<>*,=\[\]]*""")
_FILE = re.compile(r"""(?P<path>[^"'()|<>*=]*[^"'()|<>*=\s])\s*(?P<call>\(.*)?""", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """An expression as written (`text`) and as Python's parser reads it (`python`).

    Character i of `python` stands for characters ``starts[i]`` to ``ends[i]`` of `text`.
    """

    text: str
    python: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the user's text of characters `start` to `end` of `python`."""
        if start >= len(self.python):
            return len(self.text), len(self.text) + 1
        return self.starts[start], max(self.starts[start] + 1, self.ends[min(end, len(self.python)) - 1])


def quoted(text: str) -> str:
    r"""Return `text` in double quotes; ``"``, ``\`` and what cannot be printed are escaped."""

    def escaped(char: str) -> str:
        if char in '"\\':
            return f"\\{char}"
        if char.isprintable():
            return char
        code = ord(char)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return f'"{"".join(map(escaped, text))}"'


def read(text: str, opens: bool = False, isfile: Callable[[str], bool] = lambda path: False) -> Source:
    """Return the `Source` of `text`; with `opens`, the whole text may be a path to a generator's file.

    Raises:
        ExpressionError: empty, longer than `MAX_TEXT`, or with a path that names no function.
    """
    if not isinstance(text, str):
        raise ExpressionError(f"an expression is text, got {type(text).__name__}", repr(text)[:80])
    if not text.strip():
        raise ExpressionError("the expression is empty: write the name of a feature or generator", text)
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"longer than {MAX_TEXT} characters ({len(text)})", text[:60] + "…", 60)
    scanner = _Scanner(text)
    if opens:
        scanner.open_path(isfile)
    scanner.scan()
    return scanner.source()


class _Scanner:
    """Goes through the text once, and keeps where every character came from.

    `calls` says of every open parenthesis whether it lies inside a call; `before` is the last character that is no
    space.
    """

    def __init__(self, text: str):
        self.text = text
        self.at = len(text) - len(text.lstrip())
        self.stop = len(text.rstrip())
        self.pieces: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.calls: list[bool] = []
        self.before = ""

    def source(self) -> Source:
        return Source(self.text, "".join(self.pieces), tuple(self.starts), tuple(self.ends))

    def keep(self, python: str, length: int) -> None:
        """Write `python` in place of the next `length` characters of the text."""
        same = len(python) == length
        for i in range(len(python)):
            self.starts.append(self.at + i if same else self.at)
            self.ends.append(self.at + i + 1 if same else self.at + length)
        self.pieces.append(python)
        self.before = python.rstrip()[-1:] or self.before
        self.at += length

    def scan(self) -> None:
        """Copy the text to its end; paths become strings, line breaks spaces."""
        while self.at < self.stop:
            char = self.text[self.at]
            if char in "\"'":
                self.string()
            elif char == "#":
                raise ExpressionError("'#' has no meaning here", self.text, self.at, self.at + 1)
            elif not self.path():
                if char == "(":
                    self.calls.append(any(self.calls) or self.before.isalnum() or self.before in ("_", ")"))
                elif char == ")" and self.calls:
                    self.calls.pop()
                self.word(char)

    def word(self, char: str) -> None:
        match = re.compile(r"\w+").match(self.text, self.at, self.stop)
        if match:
            self.keep(match[0], len(match[0]))
        else:
            self.keep(" " if char.isspace() else char, 1)

    def string(self) -> None:
        match = _STRING.match(self.text, self.at, self.stop)
        if match is None or "\n" in match[0]:
            raise ExpressionError("a string without its closing quote", self.text, self.at, self.stop)
        self.keep(match[0], len(match[0]))

    def path(self) -> bool:
        """Rewrite a path that begins here; False if none does."""
        if any(self.calls):
            return self.before in ("=", ",", "(") and self.path_value()
        if self.before not in ("", "|", "~", "*", "("):
            return False
        match = _FUNCTION.match(self.text, self.at, self.stop)
        if match is None:
            match = _PATH.match(self.text, self.at, self.stop)
            if match is None:
                return False
        if not match.groupdict().get("attribute"):
            hint = 'a function in a file is written ./my_file.py:name; a path with spaces, file("./my file.py:name")'
            raise ExpressionError(hint, self.text, match.start(), match.end())
        if self.before == "~" and match[0][0] in "/\\":
            hint = "'~' is the complement, not the home folder: write the full path, or ~(/…) for the complement"
            raise ExpressionError(hint, self.text, match.start() - 1, match.end())
        self.replace("file", match[0], match.end())
        return True

    def path_value(self) -> bool:
        """Quote a path that stands as an option's value; False if none does."""
        match = _PATH.match(self.text, self.at, self.stop) or _FUNCTION.match(self.text, self.at, self.stop)
        if match is None or not (match.re is _PATH or match["attribute"]):
            return False
        self.keep(quoted(match[0]), len(match[0]))
        return True

    def replace(self, name: str, path: str, end: int) -> None:
        """Write ``name("path")``, left open for options if ``(`` follows."""
        rest = self.text[end : self.stop]
        if rest.lstrip().startswith("("):
            end += len(rest) - len(rest.lstrip()) + 1
            closed = self.text[end : self.stop].lstrip().startswith(")")
            self.keep(f"{name}({quoted(path)}" + ("" if closed else ", "), end - self.at)
            self.calls.append(True)
            self.before = ","
        else:
            self.keep(f"{name}({quoted(path)})", end - self.at)

    def open_path(self, isfile: Callable[[str], bool]) -> None:
        """Rewrite the whole text if it is a path to a generator's file, with or without options."""
        whole = self.text[self.at : self.stop]
        if _FUNCTION.match(whole) or whole.isidentifier():
            return
        if isfile(whole):
            self.replace("open", whole, self.stop)
            return
        match = _FILE.fullmatch(whole)
        if match is None:
            return
        path = match["path"]
        if "/" in path or "\\" in path or path.lower().endswith(CHECKPOINTS) or ("." in path and isfile(path)):
            self.replace("open", path, self.at + match.end("path"))
