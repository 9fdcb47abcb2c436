"""One check, and how all of them are run."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from eigenwalk.errors import Undefined
from eigenwalk.names.discovery import explain
from eigenwalk.testing.report import Finding


class Failed(Exception):
    """A check failed: what was `measured`, and the `remedy`."""

    def __init__(self, measured: str, remedy: str):
        self.measured, self.remedy = measured, remedy
        super().__init__(measured)


class Inapplicable(Exception):
    """A check says nothing about this subject; its text says why."""


def fail(measured: str, remedy: str) -> NoReturn:
    """Ends a check as failed."""
    raise Failed(measured, remedy)


@dataclass(frozen=True)
class Check:
    """A question about a subject.

    Attributes:
        name: as in reports and in a case's `expected`.
        run: returns what it measured, or raises `Failed` or `Inapplicable`.
        needs: checks without whose answer this one would mean nothing: it is skipped where one of them failed, so
            that one fault is one failure.
    """

    name: str
    run: Callable[[Any], str]
    needs: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What it asks, in a line: the first of its docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


def findings(checks: Sequence[Check], subject: Any, expected: Mapping[str, str]) -> Iterator[Finding]:
    """Every check's finding on `subject`.

    `expected` maps a check's name to the reason why it is expected to fail: one that passes, or does not apply, fails.

    Raises:
        ValueError: `expected` names no check.
    """
    names = [check.name for check in checks]
    for name in expected:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1) or names
            raise ValueError(f"expected names the check {name!r}; did you mean {' or '.join(near)}?")
    failed: set[str] = set()  # and those that mean nothing because of one
    for check in checks:
        missing = next((name for name in check.needs if name in failed), None)
        if missing and check.name not in expected:
            found = Finding(check.name, "skipped", f"means nothing without {missing}")
            failed.add(check.name)
        else:
            found = _judged(_found(check, subject), expected.get(check.name))
        if found.outcome in ("failed", "expected"):
            failed.add(check.name)
        yield found


def _found(check: Check, subject: Any) -> Finding:
    try:
        return Finding(check.name, "passed", check.run(subject))
    except Inapplicable as reason:
        return Finding(check.name, "skipped", str(reason))
    except Failed as failure:
        return Finding(check.name, "failed", failure.measured, failure.remedy)
    except Undefined as error:
        remedy = "measure it on images at which it has a value: Case(images=…); --images or --generator in a shell"
        return Finding(check.name, "failed", f"it has no value at the images of this check: {error}", remedy)
    except Exception as error:  # a third party's code can raise anything
        text = f"it raised {explain(error)}"
        return Finding(check.name, "failed", text, f"nothing may be raised here; asked was: {check.about}")


def _judged(found: Finding, reason: str | None) -> Finding:
    """`found`, held against the `reason` why it should fail."""
    if reason is None:
        return found
    if found.outcome == "failed":
        return Finding(found.check, "expected", f"{reason} ({found.measured})")
    said = "it passes" if found.outcome == "passed" else "it does not apply"
    return Finding(
        found.check,
        "failed",
        f"expected to fail ({reason}), but {said}: {found.measured}",
        f"take {found.check!r} out of the case's `expected`",
    )
