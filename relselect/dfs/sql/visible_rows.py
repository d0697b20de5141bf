"""The rows of a path that subjects (task rows, or pairs of one and a row) see, and the SELECT that aggregates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from relselect.dfs.plan.feature import Feature
from relselect.dfs.sql.catalog import KeyPart, matches
from relselect.dfs.sql.dialects import Dialect
from relselect.dfs.sql.nodes import Node, at_most, both, column, every, integer, later, minus, relation
from relselect.dfs.sql.path_rows import KeyColumn

__all__ = ["ReadColumns", "VisibleRows"]


@dataclass(frozen=True)
class ReadColumns:
    """What a feature reads of the rows, as names of their columns.

    Attributes:
        value: The columns of the value: one, several for the key of a parent, none for counts of rows.
        moment: The time from which the value exists.
        condition: Whether the row meets the feature's condition; None for no condition.
        sequence: The row's number among its owner's rows by time; None for features that need no order.
        previous: The time of the owner's last row before with the same value; None for features that do not need it.
    """

    value: tuple[str, ...]
    moment: str
    condition: str | None = None
    sequence: str | None = None
    previous: str | None = None


@dataclass(frozen=True)
class VisibleRows:
    """Rows, and the subjects that see them.

    Attributes:
        dialect: The database's dialect.
        rows: The relation of the rows.
        asked: The relation of the subjects; the same as `rows` where each row already is a pair of subject and row.
        ids: The columns that identify a subject.
        time: The column of the rows' own effective time, that of values without masks.
        keys: Pairs of columns, of `asked` and of `rows`, that are equal where a subject owns a row; none for pairs.
        seen: The column of `asked` that holds the time from which its key is visible; None for at once.
    """

    dialect: Dialect
    rows: str
    asked: str
    ids: tuple[str, ...]
    time: str
    keys: tuple[tuple[KeyColumn, KeyColumn], ...]
    seen: str | None = None

    @property
    def paired(self) -> bool:
        """Whether each row already is a pair of a subject and a row that it sees."""
        return self.rows == self.asked

    def row(self, name: str) -> Node:
        """Return a column of the rows."""
        return column(self.rows, name)

    @property
    def cutoff(self) -> Node:
        """The subject's cutoff."""
        return column(self.asked, "cutoff")

    @property
    def asof(self) -> Node:
        """The subject's asof."""
        return column(self.asked, "asof")

    @property
    def until(self) -> Node:
        """The end of the subject's windows."""
        return column(self.asked, "until")

    def since(self, window: int) -> Node:
        """Return the moment after which a window's rows lie, see `relselect.dfs.plan.window_start`."""
        return minus(self.until, integer(window))

    def identified(self) -> list[Node]:
        """Return the columns that identify a subject."""
        return [column(self.asked, name) for name in self.ids]

    def met(self, other: str) -> Node:
        """Return the condition that a subject's key equals the key of a relation with the rows' keys."""
        parts = [
            (KeyPart(column(self.asked, a.name), a.kind), KeyPart(column(other, b.name), b.kind)) for a, b in self.keys
        ]
        return every(matches(mine, theirs, self.dialect) for mine, theirs in parts)

    def when(self, read: ReadColumns, window: int | None, *more: Node) -> Node | None:
        """Return the condition under which a visible row counts for a feature; None for always."""
        found = list(more)
        if read.moment != self.time:
            found.append(at_most(self.row(read.moment), self.asof))
        if window is not None:
            found.append(later(self.row(read.moment), self.since(window)))
        if read.condition is not None:
            found.append(self.row(read.condition))
        return both(found)

    def select(
        self,
        columns: Sequence[Node],
        beside: Sequence[tuple[str, Node]] = (),
        window: int | None = None,
        by: Sequence[str] = (),
    ) -> exp.Select:
        """Return an aggregation of the visible rows, one row per subject.

        Args:
            columns: The aggregates; the columns that identify a subject come before them.
            beside: Further relations to join, each with its condition.
            window: Leaves out rows before the longest window; None for all history.
            by: Columns of the rows to group by as well.
        """
        groups = [*self.identified(), *(self.row(name) for name in by)]
        found = exp.select(*(node.copy() for node in groups), *columns, copy=False)
        found = found.from_(relation(self.asked), copy=False)
        for name, on in beside:
            found = found.join(relation(name), on=on, join_type="left", copy=False)
        if not self.paired:
            found = found.join(relation(self.rows), on=every(self.visibility(window)), copy=False)
        return found.group_by(*groups, copy=False)

    def visibility(self, window: int | None = None) -> list[Node]:
        """Return the conditions that a subject sees a row; rows before a window are left out."""
        found = [self.met(self.rows), at_most(self.row(self.time), self.asof)]
        if self.seen is not None:
            found.append(at_most(column(self.asked, self.seen), self.asof))
        if window is not None:
            found.append(later(self.row(self.time), self.since(window)))
        return found

    def longest_window(self, asked: Sequence[tuple[Feature, ReadColumns]]) -> int | None:
        """Return the longest window of some features, None where one reads all history."""
        longest = 0
        for feature, read in asked:
            if feature.window is None or read.moment != self.time:
                return None
            longest = max(longest, feature.window)
        return longest
