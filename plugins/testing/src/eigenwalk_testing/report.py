"""What the kit found: data, a table, and an assertion."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from eigenwalk.names.registry import Kind

Outcome = Literal["passed", "failed", "expected", "skipped"]
MEANINGLESS = "means nothing without"
WIDTH = 118
MARKS: dict[Outcome, str] = {"passed": "ok", "failed": "FAIL", "expected": "expected", "skipped": "–"}


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        outcome: ``expected`` is a failure that the case foretold; ``skipped`` a check that does not apply.
        measured: what was measured, with the tolerance that it was held against; of a check that was skipped, why.
        remedy: what to do about a failure; empty otherwise.
    """

    check: str
    outcome: Outcome
    measured: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """The findings of every check on one feature, generator or direction, in the order in which they were made.

    >>> report = Report("grey", "feature", (Finding("shape", "passed", "(3, 8)"),))
    >>> print(report)
    feature grey: 1 passed
      ok        shape  (3, 8)
    >>> report.raise_for_failures()
    """

    name: str
    kind: Kind
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed that was not expected to."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that failed."""
        return tuple(finding for finding in self.findings if finding.outcome == "failed")

    def __getitem__(self, check: str) -> Finding:
        """Return the finding of the check called `check`."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join([self.summary(), *(line for one in self.readable() for line in self.lines(one))])

    def readable(self) -> tuple[Finding, ...]:
        """Return the findings that say something: those that mean nothing because of a failure are one at the end."""
        empty = [one.check for one in self if one.outcome == "skipped" and one.measured.startswith(MEANINGLESS)]
        kept = tuple(one for one in self if one.check not in empty)
        if not empty:
            return kept
        return (*kept, Finding("others", "skipped", f"{', '.join(empty)}: they mean nothing before that is mended"))

    def summary(self) -> str:
        """Return one line: what was checked, and how many findings of each outcome there are."""
        counts = {outcome: sum(f.outcome == outcome for f in self.findings) for outcome in MARKS}
        words = ("passed", "failed", "failed as expected", "not applicable")
        told = [f"{count} {word}" for count, word in zip(counts.values(), words, strict=True) if count]
        return f"{self.kind} {self.name}: {', '.join(told)}"

    def lines(self, finding: Finding) -> list[str]:
        """Return the lines of one finding in the table, its remedy below it."""
        wide = max(len(f.check) for f in self.findings)
        head = f"  {MARKS[finding.outcome]:<8}  {finding.check:<{wide}}  "
        rest = " " * len(head)
        lines = textwrap.wrap(finding.measured, WIDTH, initial_indent=head, subsequent_indent=rest) or [head.rstrip()]
        if finding.remedy:
            lines += textwrap.wrap(finding.remedy, WIDTH, initial_indent=f"{rest}→ ", subsequent_indent=f"{rest}  ")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {"name": self.name, "kind": self.kind, "ok": self.ok, "findings": [asdict(f) for f in self.findings]}

    def raise_for_failures(self) -> None:
        """Raise AssertionError with every unexpected failure, what was measured and what to do about it."""
        if not self.ok:
            lines = [line for finding in self.failures for line in self.lines(finding)]
            again = f'  eigenwalk check "{self.name}" shows all checks'
            raise AssertionError("\n".join([self.summary(), *lines, again]))
