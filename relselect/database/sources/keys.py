"""Reduces the keys of a catalog to those a database supports: foreign keys to primary keys, one per set of columns.

Rows are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from relselect.database.sources.catalog import CatalogTable
from relselect.database.table import ForeignKey

__all__ = ["groups_of", "usable_keys"]

T = TypeVar("T")


def groups_of(links: Iterable[tuple[T, T]]) -> list[set[T]]:
    """Return the connected components of a graph given by its edges.

    >>> sorted(map(sorted, groups_of([(1, 2), (2, 3), (7, 7)])))
    [[1, 2, 3], [7]]
    """
    group: dict[T, set[T]] = {}
    for one, other in links:
        merged = group.get(one, {one}) | group.get(other, {other})
        group.update(dict.fromkeys(merged, merged))
    return list({id(members): members for members in group.values()}.values())


def usable_keys(tables: Mapping[str, CatalogTable]) -> tuple[dict[str, CatalogTable], list[str]]:
    """Return the tables with foreign keys to primary keys only, and a note on each foreign key that is left out.

    If all foreign keys to a table refer to one unique key that is never NULL, that key becomes its primary key. Of several
    foreign keys over the same columns the first is kept.
    """
    tables = dict(tables)
    for name in tables:
        better = _better_key(name, tables)
        if better is not None:
            former = tables[name].primary_key
            others = tuple(each for each in tables[name].unique_keys if set(each) != set(better))
            tables[name] = replace(
                tables[name], primary_key=better, unique_keys=(*others, former) if former else others
            )
    notes: list[str] = []
    for name, table in tables.items():
        kept: dict[tuple[str, ...], ForeignKey] = {}
        for key in table.foreign_keys:
            parent = tables.get(key.table)
            if parent is None:
                notes.append(f"{name}.{key.name} refers to {key.table}, which is not there")
            elif not parent.primary_key or set(key.ref_columns) != set(parent.primary_key):
                notes.append(
                    f"{name}.{key.name} refers to {key.table} by {'+'.join(key.ref_columns)}, not by its primary key"
                )
            elif tuple(sorted(key.columns)) in kept:
                notes.append(f"{name}.{key.name} refers to {key.table} too, beside another table by the same columns")
            else:
                kept[tuple(sorted(key.columns))] = key
        tables[name] = replace(table, foreign_keys=tuple(kept.values()))
    return tables, notes


def _better_key(name: str, tables: Mapping[str, CatalogTable]) -> tuple[str, ...] | None:
    """Return the unique key to which all foreign keys to a table refer, if it is not the primary key; else None."""
    used = {frozenset(key.ref_columns) for table in tables.values() for key in table.foreign_keys if key.table == name}
    table = tables[name]
    if len(used) != 1 or frozenset(table.primary_key) in used:
        return None
    wanted = next(iter(used))
    found = next((key for key in table.unique_keys if frozenset(key) == wanted), None)
    return found if found is not None and not wanted & table.nullable else None
