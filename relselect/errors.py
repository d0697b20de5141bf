"""The errors a caller can meet.

Every error meant for a person names the argument, the value, the rule it broke and the way out. Schema checks
collect all their problems and raise one `SchemaError` that carries the list. What is not a `UserError` is a bug.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relselect.dates import with_dates

__all__ = [
    "BankError",
    "BudgetError",
    "BudgetExhausted",
    "BundleError",
    "ConfigError",
    "DataNotFound",
    "FitPruned",
    "LeakWarning",
    "MissingExtra",
    "PlanError",
    "ProcessLost",
    "QueryError",
    "QueryProblem",
    "RelSelectError",
    "SchemaError",
    "SchemaProblem",
    "SourceError",
    "SpaceError",
    "TaskError",
    "UnknownEntityWarning",
    "UnwritableError",
    "UserError",
]

_SHOWN = 120


class RelSelectError(Exception):
    """Root of everything relselect raises on purpose."""


class UserError(RelSelectError, ValueError):
    """Raised when an input cannot be used as given.

    Args:
        argument: What was wrong, in the caller's words (a parameter, a column, a file).
        value: The offending value; shortened in the message.
        rule: What the value should have been.
        fix: The way out, as an instruction.
    """

    def __init__(self, argument: str, value: object, rule: str, fix: str) -> None:
        self.argument, self.value, self.rule, self.fix = argument, value, rule, fix
        super().__init__(f"{argument}={shorten(value)}: {rule.rstrip('.')}. {fix.rstrip('.')}.")


class TaskError(UserError):
    """Raised when a task cannot be asked of its database."""


class ConfigError(UserError):
    """Raised when a manifest, a search space or an option is not understood."""


class UnwritableError(ConfigError):
    """Raised when a file or folder that an argument names cannot be written: read-only, full, or no folder at all."""


class BudgetError(UserError):
    """Raised when the time budget ends before any candidate is finished."""


class BankError(UserError):
    """Raised when a performance bank is missing, damaged, of another format, or too small for what is asked of it."""


class BundleError(UserError):
    """Raised when a saved predictor is incomplete, damaged or of another format version."""


class DataNotFound(UserError):
    """Raised when a database or its files cannot be found."""


class SourceError(UserError):
    """Raised when a database cannot be read: no connection, no permission, a timeout, a connection lost half-way."""


class ProcessLost(RelSelectError):
    """Raised in a process that trains together with others when one of them has ended.

    Args:
        process: The process that noticed it.
        rule: What it noticed.
        fix: The way out, as an instruction.
    """

    def __init__(self, process: str, rule: str, fix: str) -> None:
        super().__init__(f"{process}: {rule.rstrip('.')}. {fix.rstrip('.')}.")
        self.parts = process, rule, fix

    def __reduce__(self) -> tuple[type[ProcessLost], tuple[str, str, str]]:
        return type(self), self.parts


class LeakWarning(UserWarning):
    """Warns of a column, a row or a query that may carry information from after the cutoff, or of checks without time.

    To silence it, mend the finding, or accept it with a reason under `accept` in the manifest's task.
    """


class UnknownEntityWarning(UserWarning):
    """Warns of rows to predict whose entity is not in the database."""


class MissingExtra(UserError):
    """Raised when an optional package is needed and absent.

    Args:
        package: The importable package.
        extra: The relselect extra that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__("package", package, "is not installed", f"Run `pip install 'relselect[{extra}]'`")
        self.package, self.extra = package, extra


@dataclass(frozen=True)
class SchemaProblem:
    """One thing that is wrong with a database, and the way out."""

    table: str
    column: str | None
    value: str
    rule: str
    fix: str

    def __str__(self) -> str:
        where = self.table if self.column is None else f"{self.table}.{self.column}"
        return f"{where} ({shorten(self.value)}): {self.rule.rstrip('.')}. {self.fix.rstrip('.')}."


class SchemaError(UserError):
    """Raised once for a database with all its problems.

    Args:
        problems: Every problem found; never empty.
    """

    def __init__(self, problems: Sequence[SchemaProblem]) -> None:
        self.problems = tuple(problems)
        RelSelectError.__init__(self, _listing(self.problems))


class PlanError(UserError):
    """Raised once for a feature plan with all its problems.

    Args:
        problems: Every problem found, each with its way out; never empty.
        place: Where the plan is or what it is applied to, for the message.
    """

    def __init__(self, problems: Sequence[str], place: str = "the feature plan") -> None:
        self.problems = tuple(problems)
        RelSelectError.__init__(self, _counted(self.problems, place))


class SpaceError(ConfigError):
    """Raised once for a search space with all its problems.

    Args:
        problems: Every problem found, each with its way out; never empty.
        place: The file, or what else it was read from, for the message.
    """

    def __init__(self, problems: Sequence[str], place: str = "the search space") -> None:
        super().__init__("space", place, problems[0], "Correct it")
        self.problems = tuple(problems)
        self.args = (_counted(self.problems, place),)


@dataclass(frozen=True)
class QueryProblem:
    """One thing that is wrong with a predictive query.

    Attributes:
        position: The place in the text, from 0.
        value: What stands there.
        rule: What it should have been.
        fix: The way out.
    """

    position: int
    value: str
    rule: str
    fix: str


class QueryError(TaskError):
    """Raised once for a predictive query that cannot be read or asked, with all its problems.

    The message shows the query with a caret under the place of each.

    Args:
        text: The query.
        problems: Every problem found; never empty.
    """

    def __init__(self, text: str, problems: Sequence[QueryProblem]) -> None:
        self.text, self.problems = text, tuple(sorted(problems, key=lambda each: each.position))
        first = self.problems[0]
        super().__init__("query", first.value, first.rule, first.fix)
        self.args = ("\n".join(_pointed(text, problem) for problem in self.problems),)

    @property
    def position(self) -> int:
        """The place of the first problem in the text, from 0."""
        return self.problems[0].position


class BudgetExhausted(RelSelectError):
    """Raised inside a run when its clock has run out; callers of the public functions never see it."""


class FitPruned(RelSelectError):
    """Raised inside a study when a fit is ended on the way; callers of the public functions never see it.

    Args:
        reason: When and why, without a subject: "pruned at 3 of 40 epochs: ...".
        points: The learning curve until then.
    """

    def __init__(self, reason: str, points: Sequence[Any] = ()) -> None:
        super().__init__(reason)
        self.reason, self.points = reason, points


def caller_depth() -> int:
    """Return the stack level of the first frame outside the package, as `warnings.warn` counts it where this is called."""
    package = str(Path(__file__).parent)
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    return level


def shorten(value: object) -> str:
    """Return `value` as text that fits an error message; dates are shown as dates."""
    value = with_dates(value)
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _pointed(text: str, problem: QueryProblem) -> str:
    """Return a problem with the line of the query that it stands in, and a caret under its place."""
    begin = text.rfind("\n", 0, problem.position) + 1
    line = text[begin:].split("\n", 1)[0]
    first = max(0, problem.position - begin - _SHOWN // 2)  # of a long line, the part around the place
    shown = "".join(sign if sign.isprintable() else " " for sign in line[first : first + _SHOWN])
    caret = " " * (problem.position - begin - first) + "^"
    said = f"query: {problem.rule.rstrip('.')}. {problem.fix.rstrip('.')}."
    return f"{said}\n  {shown}\n  {caret}"


def _listing(problems: Sequence[SchemaProblem]) -> str:
    return _counted([str(problem) for problem in problems], "the database")


def _counted(problems: Sequence[str], place: str) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in {place}"
    return "\n".join([f"{count}:", *(f"  - {problem}" for problem in problems)])
