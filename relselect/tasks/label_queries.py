"""Labels by query: the rows and labels that population and label queries return at a list of cutoffs.

The population query reads the database as of the cutoff, the label query as of the moment its labels are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from relselect.budget import Budget
from relselect.database import Database
from relselect.errors import TaskError
from relselect.tasks.fields import TaskFields
from relselect.tasks.labels import LabelColumns, LabelFrame, encode_known, read_frame
from relselect.tasks.populations import population_at
from relselect.tasks.sessions import Query, cast_like, open_session

__all__ = ["MOST_CUTOFFS", "ask_labels", "later_labels"]

#: No task asks at more cutoffs than this.
MOST_CUTOFFS = 2_000


def ask_labels(
    database: Database,
    population: Query,
    label: Query,
    cutoffs: Sequence[int],
    window: int,
    budget: Budget | None = None,
) -> tuple[pa.Table, int]:
    """Return labelled rows at each cutoff.

    Args:
        database: The population reads it as of the cutoff, the label as of `cutoff + window`.
        population: See `ask_population`.
        label: Returns `cutoff`, the key columns, the target and, where rows are weighted, their weight; may read the relation
            `population`.
        cutoffs: Ticks.
        window: Ticks after the cutoff that the label may read.
        budget: The clock of all queries, which end with it; None for ten minutes a query.

    Returns:
        The labelled rows, and how many of the population had no label.

    Raises:
        BudgetError: The budget ended.
        TaskError: A query fails, or returns two labels for one row.
    """
    keys = list(population.columns)
    parts, asked = [], 0
    with open_session(database, budget) as session:
        for cutoff in cutoffs:
            people = population_at(session, population, cutoff)
            asked += people.num_rows
            found = session.ask(label, cutoff=cutoff, asof=cutoff + window, population=people)
            answers = cast_like(found, people, label)
            _unique(answers, keys, label)
            parts.append(people.join(answers, keys=keys, join_type="inner").select(list(label.columns)))
    labelled = pa.concat_tables(parts)
    labelled = labelled.filter(labelled[label.columns[len(keys)]].is_valid())
    # Neither DuckDB nor the join keeps an order.
    return labelled.sort_by([(key, "ascending") for key in keys]), asked - labelled.num_rows


def _unique(answers: pa.Table, keys: list[str], query: Query) -> None:
    distinct = answers.group_by(keys).aggregate([]).num_rows
    if distinct < answers.num_rows:
        raise TaskError(
            query.argument,
            f"{answers.num_rows - distinct} extra rows",
            "must return one label per cutoff and entity",
            "GROUP BY the cutoff and the key",
        )


def later_labels(database: Database, task: TaskFields) -> LabelFrame | None:
    """Return labelled rows at the cutoffs after the task's last one whose labels this database knows; None if there are none."""
    last = database.last_time
    if (
        task.population is None
        or task.label_query is None
        or task.every is None
        or task.known_after is None
        or last is None
    ):
        return None
    begin = max(int(frame.cutoff.max()) for frame in task.splits.values()) + task.every
    window = max(task.horizon or 0, task.known_after)
    cutoffs = list(range(begin, last - window + 1, task.every))[-MOST_CUTOFFS:]
    if not cutoffs:
        return None
    population = Query("population", task.population, ("cutoff", *task.key_columns))
    label = Query("label", task.label_query, ("cutoff", *task.key_columns, task.target))
    found, _ = ask_labels(database, population, label, cutoffs, window)
    if found.num_rows == 0:
        return None
    frame, raw = read_frame(found, LabelColumns(task.key_columns, task.target, "cutoff"), task.time_kind, "later")
    values = encode_known(raw, task.kind, task.classes)
    frame = replace(frame, label=values, known_at=frame.cutoff + task.known_after)
    return frame.take(~np.isnan(values))
