"""`relselect.infer`: proposes keys, references and times of data frames that declare nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from relselect.database.sources.frames import to_arrow
from relselect.errors import SchemaError, SchemaProblem
from relselect.proposal.example_tasks import built_examples
from relselect.proposal.facts import facts_of
from relselect.proposal.proposal import Proposal, propose

__all__ = ["infer"]


def infer(frames: Mapping[str, Any], *overrides: str, name: str = "database") -> Proposal:
    """Propose what data frames do not declare: keys, foreign keys, times, columns that are known later, types, example tasks.

    Every line has its reason; `Proposal.override` overrules some of them, and `Proposal.to_database` makes the database.

    Args:
        frames: Table name -> pandas, Polars or Arrow frame.
        *overrides: Lines that replace proposals, such as "orders.buyer -> customers" or "orders: time=day".
        name: A name for reports.

    Returns:
        The proposal, with two example tasks where some can be built: `rs.recommend(proposal.to_database(), TASK)`.

    Raises:
        SchemaError: With every frame that does not convert, every override that does not parse, or every problem of the tables
            under the proposal.

    >>> import pandas as pd
    >>> proposal = infer({"users": pd.DataFrame({"id": [1, 2, 3]}), "orders": pd.DataFrame({"user_id": [1, 1, 3, 2]})})
    >>> [(each.table, each.column, each.what, each.value) for each in proposal.lines]
    [('users', 'id', 'primary_key', ''), ('orders', 'user_id', 'foreign_key', 'users')]
    """
    tables: dict[str, pa.Table] = {}
    problems: list[SchemaProblem] = []
    for table, frame in frames.items():
        converted = to_arrow(table, frame)
        if isinstance(converted, list):
            problems += converted
        else:
            tables[table] = converted
    if problems:
        raise SchemaError(problems)
    proposal = propose(facts_of(tables, name), overrides)
    examples, _, _ = built_examples(proposal.to_database())
    return proposal.with_tasks(dict(examples))
