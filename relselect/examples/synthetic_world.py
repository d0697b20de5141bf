"""Draws the tables of a synthetic database as arrays: people, events, the tables above them, contacts, distractors.

No label is drawn here, and no later row depends on an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from relselect.examples.synthetic_spec import SyntheticSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Columns", "Distractor", "SyntheticWorld", "cutoff_days", "draw_world"]

#: Columns of a table by name, each float64 of shape (rows,).
Columns = dict[str, "NDArray[np.float64]"]

#: Days between cutoffs, the first cutoff, and the days after the last.
_PERIOD, _FIRST, _AFTER = 30.0, 60.0, 31.0
#: Rows of a table for each row of the table above it, from events upwards, and links for each item.
_EVENTS_PER_ITEM, _ITEMS_PER_MAKER, _MAKERS_PER_REGION, _LINKS_PER_ITEM = 8, 4, 2, 3
_FEWEST = 12


@dataclass(frozen=True)
class Distractor:
    """A table that no label depends on.

    Attributes:
        parent: Row of the parent of each row, int64 of shape (rows,): a person, or a row of the distractor before it.
        day: Days since the start, float64 of shape (rows,).
        columns: Its columns.
    """

    parent: NDArray[np.int64]
    day: NDArray[np.float64]
    columns: Columns


@dataclass(frozen=True)
class SyntheticWorld:
    """The rows of a synthetic database.

    Attributes:
        people: Columns of the people.
        kin: The hidden type of each person, -1.0 or 1.0, shape (people,).
        person: Person of each event, int64 of shape (events,).
        day: Day of each event in ascending order, float64 of shape (events,).
        levels: Columns of the events and of each table above them.
        parents: For each pair of neighbouring levels, the row above of each row, -1 for none. With a bridge the third level
            (links) refers down to the second (items), and the third entry of `parents` goes from links to tags.
        one: One person of each contact, int64 of shape (contacts,).
        other: The other person.
        met: Day of each contact in ascending order, float64 of shape (contacts,).
        contacts: Columns of the contacts.
        distractors: Tables that no label depends on.
    """

    people: Columns
    kin: NDArray[np.float64]
    person: NDArray[np.int64]
    day: NDArray[np.float64]
    levels: tuple[Columns, ...]
    parents: tuple[NDArray[np.int64], ...]
    one: NDArray[np.int64]
    other: NDArray[np.int64]
    met: NDArray[np.float64]
    contacts: Columns
    distractors: tuple[Distractor, ...] = ()

    def until(self, day: float) -> SyntheticWorld:
        """Return the world without events and contacts after a day; distractors stay."""
        seen, met = self.day <= day, self.met <= day
        events = {name: values[seen] for name, values in self.levels[0].items()}
        parents = (self.parents[0][seen], *self.parents[1:]) if self.parents else ()
        return replace(
            self,
            person=self.person[seen],
            day=self.day[seen],
            levels=(events, *self.levels[1:]),
            parents=parents,
            one=self.one[met],
            other=self.other[met],
            met=self.met[met],
            contacts={name: values[met] for name, values in self.contacts.items()},
        )


def cutoff_days(spec: SyntheticSpec) -> NDArray[np.float64]:
    """Return the cutoffs in days since the start, shape (cutoffs,)."""
    return _FIRST + _PERIOD * np.arange(spec.cutoffs, dtype=np.float64)


def draw_world(spec: SyntheticSpec, rng: np.random.Generator) -> SyntheticWorld:
    """Return a world drawn by a specification."""
    last = float(cutoff_days(spec)[-1]) + _AFTER
    activity = rng.gamma(2.0, 1.0, spec.people)
    count = spec.people * spec.events
    kin = rng.choice([-1.0, 1.0], spec.people)
    person = rng.choice(spec.people, size=count, p=activity / activity.sum())
    day = np.sort(rng.uniform(0.0, last, count))
    sizes = _sizes(spec, count)
    levels = tuple(_columns(rng, size, spec.columns) for size in sizes)
    one, other, met = _meet(rng, spec, kin, last)
    return SyntheticWorld(
        people=_columns(rng, spec.people, spec.columns),
        kin=kin,
        person=person,
        day=day,
        levels=levels,
        parents=_parents(rng, spec, sizes),
        one=one,
        other=other,
        met=met,
        contacts=_columns(rng, len(one), spec.columns),
        distractors=_distractors(rng, spec, last),
    )


def _sizes(spec: SyntheticSpec, events: int) -> list[int]:
    items = max(_FEWEST, events // _EVENTS_PER_ITEM)
    if spec.bridge and spec.depth > 2:
        sizes = [events, items, items * _LINKS_PER_ITEM, max(_FEWEST, items // _ITEMS_PER_MAKER)]
    else:
        makers = max(_FEWEST, items // _ITEMS_PER_MAKER)
        sizes = [events, items, makers, max(_FEWEST, makers // _MAKERS_PER_REGION)]
    return sizes[: spec.depth]


def _parents(rng: np.random.Generator, spec: SyntheticSpec, sizes: list[int]) -> tuple[NDArray[np.int64], ...]:
    found = []
    for level, (here, above) in enumerate(zip(sizes, sizes[1:], strict=False)):
        down = spec.bridge and level == 1
        size, referred = (above, here) if down else (here, above)
        parent = rng.integers(0, referred, size)
        if not down:
            parent[rng.random(size) < spec.missing] = -1
        found.append(parent)
    return tuple(found)


def _meet(
    rng: np.random.Generator, spec: SyntheticSpec, kin: NDArray[np.float64], last: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the contacts: the second person is of the first one's type with probability (1 + homophily) / 2."""
    count = spec.people * spec.contacts // 2
    one = rng.integers(0, spec.people, count)
    wanted = kin[one] * np.where(rng.random(count) < (1.0 + spec.homophily) / 2.0, 1.0, -1.0)
    other = np.zeros(count, dtype=np.int64)
    for side in (-1.0, 1.0):
        members, rows = np.flatnonzero(kin == side), wanted == side
        other[rows] = rng.choice(members if len(members) else np.arange(spec.people), int(rows.sum()))
    day = np.sort(rng.uniform(0.0, last, count))
    apart = one != other
    return one[apart], other[apart], day[apart]


def _distractors(rng: np.random.Generator, spec: SyntheticSpec, last: float) -> tuple[Distractor, ...]:
    """Return chains of two tables each: the first of a chain refers to people, the second to the first."""
    tables: list[Distractor] = []
    for number in range(spec.distractors):
        above = spec.people if number % 2 == 0 else len(tables[-1].day)
        parent = rng.integers(0, above, spec.people * (2 + number % 2))
        day = np.sort(rng.uniform(0.0, last, len(parent)))
        tables.append(Distractor(parent, day, _columns(rng, len(parent), spec.columns)))
    return tuple(tables)


def _columns(rng: np.random.Generator, rows: int, further: int) -> Columns:
    names = ["a", "b", "c", "d", *(f"x{number}" for number in range(further))]
    return {name: np.round(rng.normal(size=rows), 4) for name in names}
