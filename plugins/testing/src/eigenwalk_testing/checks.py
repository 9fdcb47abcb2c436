"""One check, and how checks are run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from eigenwalk.errors import Undefined
from eigenwalk.names.discovery import CALLED, explain
from eigenwalk.names.near import nearest
from eigenwalk_testing.report import MEANINGLESS, Finding


class Failed(Exception):
    """A check failed: what was `measured`, and the `remedy`."""

    def __init__(self, measured: str, remedy: str):
        self.measured, self.remedy = measured, remedy
        super().__init__(measured)


class Inapplicable(Exception):
    """A check says nothing about this subject; its text says why."""


def fail(measured: str, remedy: str) -> NoReturn:
    """End a check as failed."""
    raise Failed(measured, remedy)


@dataclass(frozen=True)
class Check:
    """A question about a subject.

    Attributes:
        name: as in reports and in a case's `expected`.
        run: returns what it measured, or raises `Failed` or `Inapplicable`.
        needs: checks without which this one would mean nothing: it is skipped where one of them failed, so that one
            fault is one failure.
    """

    name: str
    run: Callable[[Any], str]
    needs: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What it asks: the first line of its docstring."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]


def run_checks(checks: Sequence[Check], subject: Any, expected: Mapping[str, str]) -> Iterator[Finding]:
    """Yield every check's finding on `subject`.

    `expected` maps a check's name to the reason why it is expected to fail: one that passes, or does not apply, fails.

    Raises:
        ValueError: `expected` names no check.
    """
    names = [check.name for check in checks]
    for name in expected:
        if name not in names:
            raise ValueError(f"expected names the check {name!r}; did you mean {(nearest(name, names) or names)[0]}?")
    failed: set[str] = set()  # and those that mean nothing because of one
    for check in checks:
        missing = next((name for name in check.needs if name in failed), None)
        if missing and check.name not in expected:
            found = Finding(check.name, "skipped", f"{MEANINGLESS} {missing}")
        else:
            found = _judge(_run(check, subject), expected.get(check.name))
        if missing or found.outcome in ("failed", "expected"):
            failed.add(check.name)
        yield found


def _run(check: Check, subject: Any) -> Finding:
    try:
        return Finding(check.name, "passed", check.run(subject))
    except Inapplicable as reason:
        return Finding(check.name, "skipped", str(reason))
    except Failed as failure:
        return Finding(check.name, "failed", failure.measured, failure.remedy)
    except Undefined as error:
        remedy = "measure it on images at which it has a value: Case(images=…); --images or --generator in a shell"
        return Finding(check.name, "failed", f"it has no value at the images of this check: {error}", remedy)
    except CALLED as error:
        remedy = f"nothing may be raised here; asked was: {check.about}"
        return Finding(check.name, "failed", f"it raised {explain(error)}", remedy)


def _judge(found: Finding, reason: str | None) -> Finding:
    """Hold `found` against the `reason` why it should fail."""
    if reason is None:
        return found
    if found.outcome == "failed":
        return Finding(found.check, "expected", f"{reason} ({found.measured})")
    told = f"expected to fail ({reason}), but it {'passes' if found.outcome == 'passed' else 'does not apply'}"
    remedy = f"take {found.check!r} out of the case's `expected`"
    return Finding(found.check, "failed", f"{told}: {found.measured}", remedy)
