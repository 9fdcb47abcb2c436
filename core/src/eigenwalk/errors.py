"""Every exception that eigenwalk raises on purpose.

    EigenwalkError
    ├── InputError            what the user typed or passed is wrong            exit code 2
    │   ├── ExpressionError   text that does not parse; points at the place
    │   ├── UnknownName       no installed plugin offers the name
    │   ├── AmbiguousName     two distributions offer the name
    │   ├── OptionError       an option that is unknown, missing or of the wrong type
    │   ├── CompositionError  fixed and varied sets that contradict each other
    │   ├── RecipeError       a run description that cannot be read or repeated
    │   └── OutOfMemory       what was asked for does not fit into memory
    ├── PluginError           a plugin's own code failed                        exit code 3
    │   └── ContractError     a plugin's object breaks the contract (shape, dtype, range)
    ├── FileError             a file is missing, truncated or not what it claims exit code 4
    │   ├── WeightsError      weights absent, or their checksum differs
    │   └── OutputError       an output folder in use, a full disk
    └── WalkError             the mathematics cannot go on                      exit code 5
        ├── Undefined         a feature has no value at this image (empty mask, no face)
        └── NumericalError    NaN or infinity, named after the feature that gave it

The walk turns a `WalkError` that concerns one path into that path's status; it reaches the user as an
exception only where no path could start.
"""

from __future__ import annotations

import errno

WIDTH = 300
"""Characters of a long expression that a message shows around the faulty place."""


class EigenwalkError(Exception):
    """Any error that eigenwalk raises on purpose; `exit_code` is the command line's."""

    exit_code = 1


class InputError(EigenwalkError):
    """A mistake in what the user typed or passed; the message says what to write instead."""

    exit_code = 2


class ExpressionError(InputError):
    """An expression that does not parse.

    `text` is the expression, `start` and `end` the faulty characters (0-based, end exclusive).
    `str()` shows the text with the place underlined.
    """

    def __init__(self, message: str, text: str, start: int = 0, end: int | None = None):
        self.message, self.text = message, text
        self.start = max(0, min(start, len(text)))
        self.end = max(self.start + 1, len(text) if end is None else end)
        shown, first, last = self.shown
        super().__init__(f"{message}\n  {shown}\n  {' ' * first}{'^' * (last - first)}")

    @property
    def shown(self) -> tuple[str, int, int]:
        """The part of a long text around the place, on one line, and where the place is in it."""
        first = max(0, self.start - WIDTH // 2) if len(self.text) > WIDTH else 0
        head, tail = "…" * bool(first), "…" * (len(self.text) > first + WIDTH)
        part = " ".join(self.text[first : first + WIDTH].splitlines())
        start = self.start - first + len(head)
        return f"{head}{part}{tail}", start, min(start + self.end - self.start, len(head) + WIDTH + 1)


class UnknownName(InputError):
    """A name that no installed plugin offers; the message says how to get it, or the nearest names."""


class AmbiguousName(InputError):
    """A name that two distributions offer; the message lists both and the option that picks one."""


class OptionError(InputError):
    """An option that is unknown, missing, or of the wrong type."""


class CompositionError(InputError):
    """A fixed and a varied set that contradict each other, or an empty varied set."""


class RecipeError(InputError):
    """A run description that cannot be read, or cannot be repeated on this installation."""


class OutOfMemory(InputError):
    """A walk that does not fit into memory; the message says what needs less."""


class PluginError(EigenwalkError):
    """A plugin's own code failed; the message names the plugin, its distribution and the hook."""

    exit_code = 3


class ContractError(PluginError):
    """A plugin's object breaks the contract: a wrong shape, dtype or device."""


class FileError(EigenwalkError):
    """A file is missing, truncated, or not what it claims to be."""

    exit_code = 4


class WeightsError(FileError):
    """Weights are absent, or their checksum is not the published one."""


class OutputError(FileError):
    """The output folder belongs to another run, or cannot be written."""


class WalkError(EigenwalkError):
    """The mathematics cannot go on.

    Attributes:
        feature: canonical expression of the feature that stopped it, or None (the generator, say).
        rows: the rows of the batch concerned, or None for all of them.
    """

    exit_code = 5

    def __init__(self, message: str, feature: str | None = None, rows: tuple[int, ...] | None = None):
        self.feature, self.rows = feature, rows
        super().__init__(message)


class Undefined(WalkError):
    """A feature has no value at an image: an empty mask, no face found."""


class NumericalError(WalkError):
    """A value, derivative or image is NaN or infinite."""


def reason(error: Exception) -> str:
    """Return what stopped a read or a write, in words: a full disk, no permission, or as the system says it."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in str(error).lower():  # safetensors has no errno
        return "the disk is full"
    if number in (errno.EACCES, errno.EPERM):
        return "permission denied"
    if number == errno.EROFS:
        return "the file system is read-only"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
