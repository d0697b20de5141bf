"""Populations: who is asked about at a cutoff, from the population query.

The query reads the database as it was at the cutoff. Labels come from `label_queries`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from relselect.budget import Budget
from relselect.database import Database
from relselect.errors import TaskError
from relselect.tasks.sessions import AsofSession, Query, cast_like, open_session

__all__ = ["ask_population", "population_at"]


def ask_population(
    database: Database, population: Query, cutoffs: Sequence[int], budget: Budget | None = None
) -> pa.Table:
    """Return who is asked about at each cutoff.

    Args:
        database: Read only as of each cutoff.
        population: Returns `cutoff` and the entity key columns; duplicates are merged.
        cutoffs: Ticks.
        budget: The clock of all questions; None for ten minutes each.

    Raises:
        BudgetError: The budget ended.
        TaskError: The query fails or returns other columns.
    """
    with open_session(database, budget) as session:
        parts = [population_at(session, population, cutoff) for cutoff in cutoffs]
    return pa.concat_tables(parts) if parts else pa.table({})


def population_at(session: AsofSession, query: Query, cutoff: int) -> pa.Table:
    """Return who is asked about at one cutoff."""
    asked = session.cutoffs(cutoff)
    found = cast_like(session.ask(query, cutoff=cutoff, asof=cutoff), asked, query)
    if found.num_rows and pc.any(pc.fill_null(pc.not_equal(found["cutoff"], asked["cutoff"][0]), True)).as_py():
        raise TaskError(query.argument, query.text.strip(), "returns other cutoffs than it was asked at",
                        "SELECT the column `cutoff` of the relation `cutoffs` unchanged")  # fmt: skip
    return found.group_by(list(query.columns), use_threads=False).aggregate([])
