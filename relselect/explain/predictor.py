"""What a predictor says of itself: importance by ablation, explanations of single predictions, staleness.

`relselect.fitted.Fitted` is one; what this module needs of it stands in the class.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from relselect.budget import Budget, budget_of
from relselect.database.clock import moment_of, parse_time
from relselect.errors import TaskError
from relselect.families.predictor import TrainedPredictor
from relselect.problem.rows import fit_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from relselect.database import Database
    from relselect.explain.explanation import Explanations
    from relselect.explain.staleness import Staleness
    from relselect.explain.study import AblationStudy
    from relselect.problem import Problem
    from relselect.tasks import Rows
    from relselect.tasks.splits import Split

__all__ = ["ExplainsItself"]

#: Rows that are explained in one call.
_MOST = 100


class ExplainsItself(TrainedPredictor):
    """A predictor that explains itself; any family, by asking it to predict with parts of the database withheld."""

    @abstractmethod
    def _asked(
        self, *, at: object, rows: Any, split: str | None, database: Database | None, asof: object
    ) -> tuple[Problem, Rows, pa.Table]:
        """Return the problem, the rows that are asked about, and their keys."""

    def importance(
        self,
        database: Database | None = None,
        *,
        time_budget: float | str | timedelta | Budget | None = "1min",
        seed: int = 0,
    ) -> AblationStudy:
        """Measure what the predictor loses when a table, a path or a group of columns is withheld.

        The select rows, which neither trained nor stopped it, are predicted by the validated state with one thing withheld at a
        time. `docs/explanations.md` has the formulas.

        Args:
            database: The database to read; the one trained on if None.
            time_budget: Wall-clock; what was not measured within it is named in the result. None for no limit.
            seed: Seed of the draws.

        Returns:
            The losses in the task's metric with paired 90 % intervals, the greatest first.

        Raises:
            BudgetError: The budget is no positive duration.
            TaskError: There is no database, or it lacks something that training saw.
        """
        from relselect.explain.importance import measure_importance

        budget, problem = budget_of(time_budget), self.problem(database)
        rows = fit_rows(problem, self.validation_way).select
        return measure_importance(problem, self.family, self.candidate, rows, budget=budget, seed=seed)

    def explain(
        self,
        rows: Any = None,
        *,
        entity: Any = None,
        database: Database | None = None,
        at: object = None,
        split: str | None = None,
        asof: object = None,
        windows: Sequence[str | int] | None = None,
        pairs: int = 4,
        time_budget: float | str | timedelta | Budget | None = None,
        seed: int = 0,
    ) -> Explanations:
        """Explain single predictions: what in an entity's past pushes each of them up or down, by table and time window.

        Args:
            rows: A frame as for `predict`, at most 100 rows.
            entity: In place of `rows`: one key value, or a tuple of them for a composite key; it is asked about at the date `at`,
                by default at the last cutoff of the task.
            database: The database to read; the one trained on if None.
            at: A date, or "now": without `entity`, everybody who is asked about then.
            split: In place of `rows`: a split of the task.
            asof: With `at`: what is visible, if the data are older than the date.
            windows: Ages at which time windows end, such as ("30d", "90d"); by default once and three times the horizon.
            pairs: Pairs of orders that are averaged for a row with more than four parts.
            time_budget: Wall-clock after which no further pair of orders is begun.
            seed: Seed of the orders.

        Returns:
            One explanation per row; the shares of its parts add up to the prediction less that without any history.

        Raises:
            TaskError: As for `predict`, or more than 100 rows are asked about.
        """
        from relselect.counts import check_count
        from relselect.explain.explaining import explain_rows
        from relselect.explain.explanation import Explanations

        budget, pairs = budget_of(time_budget), check_count("pairs", pairs)
        if entity is not None:
            if rows is not None or split is not None:
                raise TaskError("entity", entity, "excludes rows and split", "Give one of the three")
            rows, at = _frame_of(self.problem(database), entity, at), None
        problem, bound, keys = self._asked(at=at, rows=rows, split=split, database=database, asof=asof)
        if len(bound) > _MOST:
            rule, fix = f"are too many: at most {_MOST} are explained in one call", "Pass those of interest as rows=..."
            raise TaskError("rows", len(bound), rule, fix)
        state = self.state_for(split)
        found = explain_rows(
            problem, self.family, state, bound, keys, windows=windows, pairs=pairs, seed=seed, budget=budget
        )
        return Explanations(found)

    def staleness(
        self,
        delays: Sequence[str | int] | None = None,
        *,
        split: str = "val",
        database: Database | None = None,
        time_budget: float | str | timedelta | Budget | None = "1min",
        seed: int = 0,
    ) -> Staleness:
        """Score the predictor with older data, and over time: how often to load the database, and when to train again.

        Args:
            delays: Ages of the data; 0, 7, 30 and 90 days by default, in integer-time databases multiples of the distance between
                cutoffs. They are measured on the select rows by the validated state.
            split: "val" or "test": whose rows are scored by period; test rows by the deployed state.
            database: The database to read; the one trained on if None.
            time_budget: Wall-clock; the ages that were not measured within it are named in the result.
            seed: Seed of the bootstraps.

        Raises:
            BudgetError: The budget is no positive duration.
            TaskError: The task has no time, no such split, or a delay is no duration.
        """
        from relselect.explain.decay import measure_decay
        from relselect.explain.staleness import delay_ticks, measure_delays

        if split not in ("val", "test"):
            raise TaskError("split", split, "must be one of val, test", "Use split='val'")
        budget, problem = budget_of(time_budget), self.problem(database)
        ticks = delay_ticks(problem, delays)
        select = fit_rows(problem, self.validation_way).select
        found = measure_delays(problem, self.family, self.candidate, select, ticks, budget=budget, seed=seed)
        asked: Split = "test" if split == "test" else "val"
        rows = problem.rows(asked)
        predicted = self.family.predict(self.state_for(split), problem, rows.unlabelled())
        decay = measure_decay(self.task.metric, rows, predicted, split, self.task.time_kind, seed=seed)
        return replace(found, decay=decay)


def _frame_of(problem: Problem, entity: Any, at: object) -> pa.Table:
    """Return one row to predict: the key of an entity, and the date it is asked about.

    Raises:
        TaskError: The key has another number of parts, or the date is none.
    """
    import pyarrow as pa

    task = problem.task
    parts = entity if isinstance(entity, tuple) else (entity,)
    if len(parts) != len(task.key_columns):
        rule = f"must have one part for each of {', '.join(task.key_columns)}"
        raise TaskError("entity", entity, rule, "Pass a tuple with the parts of the key in this order")
    columns = {name: pa.array([part]) for name, part in zip(task.key_columns, parts, strict=True)}
    if not task.static:
        last = int(max(frame.cutoff.max() for frame in task.splits.values()))
        ticks = pa.array([last if at is None else parse_time(moment_of(at, task.time_kind), task.time_kind, "at")])
        columns["cutoff"] = ticks if task.time_kind == "integer" else ticks.cast(pa.timestamp("us"))
    return pa.table(columns)
