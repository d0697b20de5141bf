"""A database as if some of its rows, references or values had never been known: what ablations predict on.

Its tables keep their rows and keys, so row numbers stay what they were, and times, parents and keys come from the whole
database: a copy costs one array per table that changes. It does not choose what is withheld.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pyarrow as pa

from relselect.database.clock import NEVER
from relselect.database.database import Database
from relselect.database.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WithheldDatabase"]


class WithheldDatabase(Database):
    """A database in which some rows are never visible, some references lead nowhere, and some values are others.

    Args:
        whole: The database; not changed.
        rows: Table -> mask of the rows that are never visible, shape (rows,).
        references: (table, place of the foreign key among those of the table): keys whose rows have no parent.
        values: Table -> column -> values in place of its own, n values of the column's type. Keys, times and clocks decide
            which rows belong together and when, and are refused.

    Raises:
        ValueError: A column of `values` is a key, a time or a clock.

    >>> import pandas as pd
    >>> users, orders = pd.DataFrame({"id": [1, 2]}), pd.DataFrame({"user": [1, 2, 2]})
    >>> db = Database.from_dataframes({"users": users, "orders": orders}, keys={"users": "id"},
    ...                               foreign_keys={"orders": {"user": "users"}})
    >>> less = WithheldDatabase(db, rows={"orders": np.array([True, False, False])}, references=[("orders", 0)])
    >>> (less.times("orders") == NEVER).tolist(), less.parents("orders")[0].tolist()
    ([True, False, False], [-1, -1, -1])
    """

    def __init__(
        self,
        whole: Database,
        *,
        rows: Mapping[str, NDArray[np.bool_]] | None = None,
        references: Collection[tuple[str, int]] = (),
        values: Mapping[str, Mapping[str, pa.ChunkedArray]] | None = None,
    ) -> None:
        changed = {name: _with_values(whole[name], columns) for name, columns in (values or {}).items()}
        self._setup({**whole.tables, **changed}, whole.name, whole.source, whole.tasks, None, whole.description)
        self._whole, self._rows, self._references = whole, dict(rows or {}), frozenset(references)

    def times(self, table: str) -> NDArray[np.int64]:
        """Return when each row became known, in ticks, shape (rows,): `NEVER` for withheld rows."""
        known, hidden = self._whole.times(table), self._rows.get(table)
        if hidden is None:
            return known
        return self._cached(("times", table), lambda: np.where(hidden, NEVER, known))

    def parents(self, table: str) -> tuple[NDArray[np.int64], ...]:
        """Return, per foreign key, the parent's row number of shape (rows,); -1 where there is none or it is withheld."""
        found = self._whole.parents(table)
        return tuple(
            np.full(len(parent), -1, dtype=np.int64) if (table, place) in self._references else parent
            for place, parent in enumerate(found)
        )

    def _find(self, table: str, wanted: pa.Array) -> NDArray[np.int64]:
        return self._whole._find(table, wanted)

    def with_table(self, table: Table) -> NoReturn:
        """Refuse: the copy would show again what is withheld.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a database with something withheld is only read: change the whole database first")

    def censored(self, asof: int) -> NoReturn:
        """Refuse: the copy would show again what is withheld.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a database with something withheld is only read: censor the whole database first")


def _with_values(table: Table, columns: Mapping[str, pa.ChunkedArray]) -> Table:
    structural = sorted(table.structural & set(columns))
    if structural:
        raise ValueError(f"{table.name}: {', '.join(structural)} decide which rows belong together and when")
    data = table.data
    for name, column in columns.items():
        data = data.set_column(data.column_names.index(name), data.schema.field(name), column)
    return replace(table, data=data)
