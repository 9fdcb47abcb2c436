"""What reaches the terminal: control characters in texts from outside are shown there, never obeyed.

`clean_output` stands around every command. Our own styles go past it: through `eigenwalk.cli.errors.console`, whose
texts are cleaned one by one, or to `raw(stream)`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""C0 but tab and newline, C1, and what turns the direction of text."""
STYLE = r"(\x1b\[\??[\d;]*[A-HJKhlm]|^\r|\r$)"
"""Colours, cursor moves and erasures, as rich and progress bars write them."""
_PATTERNS = {strict: re.compile(CONTROL if strict else f"{STYLE}|{CONTROL}") for strict in (True, False)}


def clean(text: str, strict: bool = True) -> str:
    """Return `text` with a visible sign for each control character; unless `strict`, styles are kept.

    >>> clean("sofa\\x1b]0;owned\\x07")
    'sofa␛]0;owned␇'
    """
    return _PATTERNS[strict].sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    if match.re.groups and match[1]:
        return match[1]
    code = ord(match[0])
    return chr(0x2400 + code) if code < 32 else "\N{SYMBOL FOR DELETE}" if code == 127 else "\N{REPLACEMENT CHARACTER}"


class CleanStream:
    """A text stream that cleans what is written to `stream`."""

    def __init__(self, stream: Any):
        self.stream, self.strict = stream, True

    def write(self, text: str) -> int:
        """Write `text`, cleaned."""
        self.stream.write(clean(text, self.strict))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write every line, cleaned."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def clean_output() -> Iterator[None]:
    """Clean what is printed inside."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (CleanStream(raw(stream)) for stream in before)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def raw(stream: Any) -> Any:
    """Return the stream below `stream` that takes everything."""
    return stream.stream if isinstance(stream, CleanStream) else stream


def allow_styles() -> None:
    """Let what is printed from now on have styles: a plugin's command is about to run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, CleanStream):
            stream.strict = False
