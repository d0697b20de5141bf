"""What a run hands back: a predictor with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import moment_of
from relselect.database.contents import SourceFacts
from relselect.database.schema import TableSchema
from relselect.drift import (
    DatabaseDrift,
    Needs,
    ScoringData,
    TrainingSnapshot,
    changed_data,
    changed_schemas,
    needs_of,
    read_scoring_data,
)
from relselect.errors import BundleError, ConfigError, TaskError
from relselect.events import Emit, silent
from relselect.explain.predictor import ExplainsItself
from relselect.families.candidate import Candidate
from relselect.families.protocol import Family
from relselect.outcomes.predictor import LooksAhead
from relselect.problem import Problem, Types, bind_frame, check_schema
from relselect.report.reporting import ReportsItself
from relselect.tasks import Rows, Task
from relselect.tasks.row_checks import check_asked
from relselect.tasks.splits import SPLITS
from relselect.threads import limit_threads_after_fork
from relselect.uncertainty.predictor import KnowsItsErrors

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from relselect.database.sources.writing import Written
    from relselect.problem.validation import ValidationWay
    from relselect.report import RunRecord
    from relselect.run import RunResult
    from relselect.selector import Recommendation

__all__ = ["Fitted"]

#: Columns that written predictions begin with.
_RUN = ("run_id", "scored_at")
#: Columns of predictions whose names no key keeps.
_OWN = ("cutoff", "prediction", "probability", "low", "high")


class Fitted(ExplainsItself, KnowsItsErrors, LooksAhead, ReportsItself):
    """A trained predictor with its leaderboard, recommendation and report.

    It keeps two states of the chosen model: the *validated* one, which has seen no validation row, and the *deployed* one, which
    was refitted on training and validation rows where there was time for it.

    Args:
        task: The task it was trained for.
        types: Column types that training resolved.
        schema: Table -> columns that training saw.
        family: The family of the chosen candidate.
        result: What the run found, with its decision.
        database: The database it was trained on, if at hand.
        problem: The problem it was trained on, if at hand.
        source: The known name or folder of the database it was trained on, if it came from one.
        declared: Table -> keys and times as they were declared (`relselect.problem.declarations`).
        snapshot: What training read; taken from `database` if None.
        facts: The schemas that training read, and the tables that it passed over; taken from `database` if None.

    Attributes:
        result: What the run found.
        task: The task.

    Raises:
        ConfigError: The result holds no decision.
    """

    def __init__(
        self,
        *,
        task: Task,
        types: Types,
        schema: dict[str, list[str]],
        family: Family,
        result: RunResult,
        database: Database | None = None,
        problem: Problem | None = None,
        source: str | None = None,
        declared: dict[str, list[str]] | None = None,
        snapshot: TrainingSnapshot | None = None,
        facts: SourceFacts | None = None,
    ) -> None:
        if result.decision is None:
            raise ConfigError("result", task.name, "holds no decision", "Pass the result of a run that trained")
        self.task = task
        self.types = types
        self.schema = schema
        self.family = family
        self.result = result
        self.decision = result.decision
        self._database = database
        self._problem = problem
        self.source = source
        self.declared = declared
        self._snapshot = snapshot
        self.facts = facts or (SourceFacts() if database is None else database.facts)

    def __copy__(self) -> Fitted:
        """Return another predictor with the same contents."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce__(self) -> NoReturn:
        """Refuse to pickle.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "a Fitted does not pickle, because its models hold what only their libraries write."
            " Save it by fitted.save(folder), and read it in the other process by relselect.load(folder)."
        )

    def __repr__(self) -> str:
        metric = self.task.metric
        score = f"{metric.title} {metric.sign * self.candidate.score + 0.0:.4f}"
        return f"Fitted({self.task.name!r}: {self.candidate.id}, validation {score})"

    def _repr_html_(self) -> str:
        from relselect.report.notebook_page import record_html

        return record_html(repr(self), self.record)

    @property
    def candidate(self) -> Candidate:
        """What was validated: its model has seen no validation row."""
        return self.decision.candidate

    @property
    def deployed(self) -> Candidate:
        """What predicts: the candidate after its refit, or the candidate itself."""
        return self.decision.deployed

    @property
    def validation_way(self) -> ValidationWay:
        """How validation rows were divided into stop and select rows."""
        return self.result.validation.way

    @property
    def recommendation(self) -> Recommendation:
        """What was recommended before training."""
        return self.result.recommendation

    @property
    def record(self) -> RunRecord:
        """Everything the report says, JSON-able."""
        from relselect.report import record_of

        return record_of(self.result)

    def leaderboard(self) -> pd.DataFrame:
        """Return all candidates, baselines included, the best first; every score is "higher is better".

        `score`, `low` and `high` are those of the select rows, which trained and stopped nothing, `test_score` is that of the
        model as it was validated; the deployed model's stands in `result.scores`. `ended` says why the fit ended: "budget" means
        that it was cut off.
        """
        from relselect.run.leaderboard import leaderboard_of

        return leaderboard_of(self.result, self.candidate.id)

    @property
    def snapshot(self) -> TrainingSnapshot | None:
        """What training read, table by table; None for a predictor that was saved without it."""
        if self._snapshot is None and self._database is not None:
            self._snapshot = TrainingSnapshot.of(self._database, self.types)
        return self._snapshot

    @property
    def needs(self) -> Needs:
        """The tables and columns that predicting reads.

        Raises:
            BundleError: The predictor was saved without them.
        """
        return needs_of(self.task, self.family, self.deployed, self._kept().tables)

    def _kept(self) -> TrainingSnapshot:
        if self.snapshot is None:
            rule = "was saved without a note of what training read"
            raise BundleError(
                "predictor", self.task.name, rule, "Train it again, or read the database by Database.from_uri"
            )
        return self.snapshot

    def read(
        self,
        uri: str | Path,
        *,
        schema: str | Sequence[str] | None = None,
        where: Mapping[str, str] | None = None,
        cache: str | Path | None = None,
        memory_limit: int | str | None = None,
        statement_timeout: float | str = "10min",
        on_event: Emit | None = None,
    ) -> ScoringData:
        """Read what predicting needs from where the data are, declared as in training, and say what has changed.

        Args:
            uri: As for `Database.from_uri`; a manifest says where to read and which rows.
            schema: The schema to read, or several; those of training if None, unless a manifest names others.
            where: Table -> predicate in the database's dialect, trusted as it stands.
            cache: The folder for tables that do not fit into memory.
            memory_limit: What tables may fill in memory.
            statement_timeout: How long one query may take.
            on_event: Called with what happens.

        Returns:
            The database with the needed tables and columns alone, and the drift.

        Raises:
            SchemaError: With everything that is needed and missing, or of a type that cannot be read.
            SourceError: The database cannot be read.
            BundleError: The predictor was saved without a note of what training read.
        """
        return read_scoring_data(
            self._kept(), self.needs, self.types, uri, where, self.facts, schema=schema, cache=cache, memory_limit=memory_limit,
            statement_timeout=statement_timeout, on_event=on_event or silent,
        )  # fmt: skip

    def drift(self, database: Database) -> DatabaseDrift:
        """Return what has changed between the database trained on and another, the worst first.

        Args:
            database: The other database, read in full; `read` compares as it reads.

        Raises:
            BundleError: The predictor was saved without a note of what training read.
        """
        now = {name: TableSchema.of(table) for name, table in database.tables.items()}
        schemas = changed_schemas(self._kept(), self.needs, now, self.types, self.facts.unread)
        return DatabaseDrift.of([*schemas, *changed_data(self._kept(), database, self.types)])

    def predict(
        self,
        database: Database | None = None,
        *,
        at: object = None,
        rows: Any = None,
        split: str | None = None,
        asof: object = None,
        interval: float | None = None,
        calibrated: bool = False,
    ) -> pd.DataFrame:
        """Predict, for one of: everybody the population query finds at a date, given rows, or a split of the task.

        Args:
            database: The database to read; the one trained on if None.
            at: A date, "now" or "today" (its first moment in UTC): the population query says who is asked about.
            rows: A frame with the entity's key columns, the column `cutoff` (unless the task is static) and the task's
                declared features.
            split: "train", "val" or "test": the task's own rows. Training and validation rows are predicted by the validated
                state, which has not seen the validation rows; all others by the deployed one.
            asof: With `at`: what is visible, if the data are older than the date.
            interval: For a regression: the share of labels, such as 0.9, that the columns `low` and `high` are to hold between
                them (`relselect.uncertainty.ResidualIntervals`).
            calibrated: For a classification: whether probabilities are scaled to the shares of the select rows
                (`relselect.uncertainty.ProbabilityScale`).

        Returns:
            The key columns, `cutoff`, `prediction` and, for classification, `probability` (of the second class) or
            `probability_<class>` columns; one row per asked row, in their order. A key column of one of these names is
            told as `<entity>.<name>`.

        Raises:
            TaskError: Not exactly one of `at`, `rows` and `split`, something they need is missing, or no row names an
                entity of the database. The task has no intervals or no probabilities, or too few rows chose the model for them.
            BundleError: The model is damaged and predicts numbers that are not finite, or no probabilities.
        """
        import pandas as pd

        problem, bound, keys = self._asked(at=at, rows=rows, split=split, database=database, asof=asof)
        values = self._values(split, problem, bound, calibrated)
        taken = {
            "cutoff",
            "prediction",
            "probability",
            "low",
            "high",
            *(f"probability_{name}" for name in self.task.classes or ()),
        }
        names = {name: f"{self.task.entity}.{name}" if name in taken else name for name in keys.column_names}
        frame = pd.DataFrame({names[name]: keys[name].to_pandas() for name in keys.column_names})
        if not self.task.static:
            frame["cutoff"] = _cutoffs(bound, self.task)
        frame = self._with_values(frame, values)
        return frame if interval is None else self._with_interval(frame, values, problem, interval)

    def write(self, predictions: pd.DataFrame, uri: str | Path, table: str, *, replace: bool = False) -> Written:
        """Append predictions to a table of a database, all or none; the one way in which relselect writes to it.

        The rows get the columns `run_id` (the same for all of one call) and `scored_at` (the present moment).

        Args:
            predictions: What `predict` returned.
            uri: The address, or a manifest that names one; PostgreSQL, SQLite or DuckDB.
            table: `table` or `schema.table`; created where it does not exist.
            replace: Whether rows that earlier runs wrote for the same cutoffs are deleted in the same transaction.

        Raises:
            ConfigError: The address is none that is written to, or the name is none.
            SchemaError: The table exists and its columns do not fit.
            SourceError: The database cannot be reached, or does not let us write.
        """
        from relselect.database.sources.writing import append_rows

        run, moment = uuid4().hex, datetime.now(UTC)
        rows = pa.Table.from_pandas(predictions, preserve_index=False)
        names = [f"{self.task.entity}.{name}" if name in _RUN else name for name in rows.column_names]
        rows = rows.rename_columns(names)
        rows = rows.add_column(0, _RUN[1], pa.array([moment] * len(rows), pa.timestamp("us", "UTC")))
        rows = rows.add_column(0, _RUN[0], pa.array([run] * len(rows)))
        period = None if self.task.static else "cutoff"
        return append_rows(uri, table, rows, replaces=(_RUN[0], period) if replace else None)

    def state_for(self, split: str | None) -> Candidate:
        """Return the state that predicts the rows of a split: the validated one for "train" and "val", else the deployed one."""
        return self.candidate if split in ("train", "val") else self.deployed

    def predict_proba(
        self,
        database: Database | None = None,
        *,
        at: object = None,
        rows: Any = None,
        split: str | None = None,
        asof: object = None,
        calibrated: bool = False,
    ) -> NDArray[np.float64]:
        """Return class probabilities of shape (n, classes), in the order of `task.classes`; arguments as in `predict`.

        Raises:
            TaskError: The task is a regression.
        """
        if self.task.kind == "regression":
            raise TaskError("predict_proba", self.task.name, "is a regression, which has no classes", "Use predict")
        problem, bound, _ = self._asked(at=at, rows=rows, split=split, database=database, asof=asof)
        values = self._values(split, problem, bound, calibrated)
        return values if values.ndim == 2 else np.stack([1 - values, values], axis=1)

    def save(self, path: str | Path) -> Path:
        """Write a bundle that loads anywhere and predicts the same; without pickle.

        Args:
            path: A folder; created, or its earlier bundle replaced.
        """
        from relselect.bundle import BundleContents, save_bundle

        contents = BundleContents(
            task=self.task,
            types=self.types,
            schema=self.schema,
            family=self.family,
            result=self.result,
            source=self.source,
            declared=self.declared,
            snapshot=self.snapshot,
            facts=self.facts,
        )
        return save_bundle(contents, Path(path))

    def bound_to(self, database: Database) -> Fitted:
        """Return the predictor with another database as its own, which is bound once for all predictions that follow.

        Raises:
            TaskError: The database lacks something that predicting needs.
        """
        other = copy(self)
        other._problem, other._database = self.problem(database), database
        return other

    def problem(self, database: Database | None = None) -> Problem:
        """Return the task bound to a database: the given one, or the one trained on.

        Raises:
            TaskError: There is no database, or it lacks something that training saw.
        """
        if database is None and self._problem is not None:
            return self._problem
        used = database if database is not None else self._database
        if used is None:
            raise TaskError("database", None, "a loaded predictor needs a database to read", "Pass database=...")
        self._check(used)
        bound = Problem(used, self.task.with_later_labels(used), types=self.types)
        if database is None:
            self._problem = bound
        return bound

    def _check(self, database: Database) -> None:
        """Refuse a database that lacks what predicting needs; what else is missing does not matter."""
        if self.snapshot is None:
            check_schema(self.schema, database, self.declared, self.types)
            return
        needs = self.needs
        columns = {name: list(shape.columns) for name, shape in needs.items()}
        types = {
            name: {column: kind for column, kind in kinds.items() if column in needs[name].columns}
            for name, kinds in self.types.items()
            if name in needs
        }
        check_schema(columns, database, {name: schema.describe() for name, schema in needs.items()}, types)

    def _asked(
        self, *, at: object, rows: Any, split: str | None, database: Database | None, asof: object
    ) -> tuple[Problem, Rows, pa.Table]:
        limit_threads_after_fork()
        given = [name for name, value in (("at", at), ("rows", rows), ("split", split)) if value is not None]
        if len(given) != 1:
            raise TaskError(
                "predict",
                given or None,
                "needs exactly one of at, rows and split",
                "Write e.g. predict(at='2026-01-01')",
            )
        problem = self.problem(database)
        if at is not None:
            bound, keys = problem.at(moment_of(at, problem.database.time_kind), asof=asof)
        elif split is not None:
            if split not in SPLITS:
                raise TaskError("split", split, f"must be one of {SPLITS}", "Use split='test'")
            bound, keys = problem.rows(split), self.task.splits[split].keys
        else:
            bound, keys, _ = bind_frame(problem, rows)
        # the rows of a split were looked at when the task was bound
        check_asked(problem.user_database, self.task.entity, keys, refuse=split is None)
        return problem, bound, keys

    def _values(
        self, split: str | None, problem: Problem, bound: Rows, calibrated: bool = False
    ) -> NDArray[np.float64]:
        """Return predictions, shape (n,) or (n, classes).

        Raises:
            BundleError: They are not finite, or no probabilities: the model is damaged.
        """
        values = self.family.predict(self.state_for(split), problem, bound.unlabelled())
        classes = self.task.classes
        if not np.isfinite(values).all() or (classes and ((values < 0) | (values > 1)).any()):
            rule = "predicts what is no probability" if classes else "predicts what is no finite number"
            raise BundleError("predictor", self.task.name, rule, "Its model is damaged: save it again or train anew")
        return self._scale(problem)(values) if calibrated else values

    def _with_values(self, frame: pd.DataFrame, values: NDArray[np.float64]) -> pd.DataFrame:
        if self.task.kind == "regression":
            return frame.assign(prediction=values)
        classes = _class_values(self.task.classes or ())
        if values.ndim == 1:
            return frame.assign(prediction=classes[(values >= 0.5).astype(int)], probability=values)
        frame = frame.assign(prediction=classes[values.argmax(axis=1)])
        for number, name in enumerate(self.task.classes or ()):
            frame[f"probability_{name}"] = values[:, number]
        return frame


def _class_values(classes: tuple[str, ...]) -> NDArray[Any]:
    """Return class names as what they were: booleans, integers or text (codes such as 01 among them)."""
    if set(classes) == {"false", "true"}:
        return np.array([name == "true" for name in classes])
    try:
        numbers = [int(name) for name in classes]
    except ValueError:
        numbers = []
    whole = [str(number) for number in numbers] == list(classes)
    return np.array(numbers) if whole else np.array(classes, dtype=object)


def _cutoffs(rows: Rows, task: Task) -> NDArray[Any]:
    return rows.cutoff if task.time_kind == "integer" else rows.cutoff.astype("datetime64[us]")
