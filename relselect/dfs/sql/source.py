"""Rows that task rows see, and how an aggregation over them is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from relselect.dfs.plan.feature import Feature
from relselect.dfs.sql.catalog import Key, matches
from relselect.dfs.sql.dialects import Dialect
from relselect.dfs.sql.nodes import Node, at_most, both, column, every, integer, later, minus, relation
from relselect.dfs.sql.walk import Part

__all__ = ["Read", "Source"]


@dataclass(frozen=True)
class Read:
    """What a feature reads of the rows, as names of their columns.

    Attributes:
        value: The value, in several columns for the key of a parent; none for counts of rows.
        moment: When the value came to exist.
        condition: Whether the row counts; None for all.
        sequence: The row's place in the order of time; None where no order is asked for.
        previous: When the owner's row before it said the same; None where that is not asked for.
    """

    value: tuple[str, ...]
    moment: str
    condition: str | None = None
    sequence: str | None = None
    previous: str | None = None


@dataclass(frozen=True)
class Source:
    """Rows and who sees them.

    Attributes:
        dialect: The database.
        rows: The relation of the rows.
        asked: The relation of those who see them; the same where each pair is a row of its own.
        ids: The columns that identify who asks.
        time: The rows' own effective time, that of values without masks.
        keys: The columns of both that have to be equal, asked first; none where they are one relation.
        seen: The column of `asked` that says since when its key is visible, None for at once.
    """

    dialect: Dialect
    rows: str
    asked: str
    ids: tuple[str, ...]
    time: str
    keys: tuple[tuple[Part, Part], ...]
    seen: str | None = None

    @property
    def paired(self) -> bool:
        """Whether each pair of who asks and what is seen is one row."""
        return self.rows == self.asked

    def row(self, name: str) -> Node:
        """Return a column of the rows."""
        return column(self.rows, name)

    @property
    def cutoff(self) -> Node:
        """The cutoff of who asks."""
        return column(self.asked, "cutoff")

    @property
    def asof(self) -> Node:
        """What who asks may see."""
        return column(self.asked, "asof")

    @property
    def until(self) -> Node:
        """The end of the windows of who asks."""
        return column(self.asked, "until")

    def since(self, window: int) -> Node:
        """Return the moment after which a window starts."""
        return minus(self.until, integer(window))

    def identified(self) -> list[Node]:
        """Return the columns that identify who asks."""
        return [column(self.asked, name) for name in self.ids]

    def met(self, other: str) -> Node:
        """Whether the key of who asks equals that of a relation with the rows' keys."""
        parts = [(Key(column(self.asked, a.name), a.kind), Key(column(other, b.name), b.kind)) for a, b in self.keys]
        return every(matches(mine, theirs, self.dialect) for mine, theirs in parts)

    def when(self, read: Read, window: int | None, *more: Node) -> Node | None:
        """Whether a row counts, given that it is visible; None for always."""
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
        """Return an aggregation of the visible rows per who asks.

        Args:
            columns: Beside what identifies who asks.
            beside: Further relations, and how they meet who asks.
            window: Leave out rows that are before it.
            by: Columns of the rows to group by as well.
        """
        groups = [*self.identified(), *(self.row(name) for name in by)]
        found = exp.select(*(node.copy() for node in groups), *columns, copy=False)
        found = found.from_(relation(self.asked), copy=False)
        for name, on in beside:
            found = found.join(relation(name), on=on, join_type="left", copy=False)
        if not self.paired:
            found = found.join(relation(self.rows), on=every(self.visible(window)), copy=False)
        return found.group_by(*groups, copy=False)

    def visible(self, window: int | None = None) -> list[Node]:
        """Whether a row is one that who asks sees; those before a window are left out."""
        found = [self.met(self.rows), at_most(self.row(self.time), self.asof)]
        if self.seen is not None:
            found.append(at_most(column(self.asked, self.seen), self.asof))
        if window is not None:
            found.append(later(self.row(self.time), self.since(window)))
        return found

    def widest(self, asked: Sequence[tuple[Feature, Read]]) -> int | None:
        """Return the longest window of some features, None where one reads all history."""
        longest = 0
        for feature, read in asked:
            if feature.window is None or read.moment != self.time:
                return None
            longest = max(longest, feature.window)
        return longest
