"""featuretools EntitySets as databases."""

from __future__ import annotations

from typing import Any

from relselect.database.database import Database
from relselect.errors import ConfigError

__all__ = ["read_entityset"]

#: Logical types whose meaning the stored values alone do not show.
_TYPES = {
    "Boolean": "boolean",
    "BooleanNullable": "boolean",
    "Categorical": "categorical",
    "CountryCode": "categorical",
    "Ordinal": "categorical",
    "PostalCode": "categorical",
    "SubRegionCode": "categorical",
    "NaturalLanguage": "text",
}


def read_entityset(entityset: Any) -> Database:
    """Build a database; see `Database.from_entityset`."""
    frames = {frame.ww.name: frame for frame in getattr(entityset, "dataframes", ())}
    if not frames:
        rule = "is no EntitySet, or holds no dataframes"
        raise ConfigError("entityset", type(entityset).__name__, rule, "Pass a featuretools EntitySet with dataframes")
    references: dict[str, dict[str | tuple[str, ...], str]] = {}
    for each in entityset.relationships:
        references.setdefault(each.child_name, {})[each._child_column_name] = each.parent_name
    made = {name: frame.ww.metadata.get("last_time_index") for name, frame in frames.items()}
    return Database.from_dataframes(
        {
            name: frame.drop(columns=[made[name]] if made[name] in frame.columns else [])
            for name, frame in frames.items()
        },
        keys={name: frame.ww.index for name, frame in frames.items() if frame.ww.index},
        times={name: frame.ww.time_index for name, frame in frames.items() if frame.ww.time_index},
        foreign_keys=references,
        types={name: _types(frame) for name, frame in frames.items()},
        # a secondary time that governs nothing but itself would only tell the future
        drop={
            name: [clock for clock, governed in _clocks(frame).items() if not governed]
            for name, frame in frames.items()
        },
        known_at={
            name: {clock: governed for clock, governed in _clocks(frame).items() if governed}
            for name, frame in frames.items()
        },
        name=str(entityset.id or "entityset"),
    )


def _types(frame: Any) -> dict[str, str]:
    """Return the meanings that the logical types add; keys, times and clocks have theirs."""
    taken = {frame.ww.index, frame.ww.time_index, *_clocks(frame)}
    taken |= {column for column, tags in frame.ww.semantic_tags.items() if "foreign_key" in tags}
    named = {column: type(kind).__name__ for column, kind in frame.ww.logical_types.items() if column not in taken}
    return {column: _TYPES[kind] for column, kind in named.items() if kind in _TYPES}


def _clocks(frame: Any) -> dict[str, list[str]]:
    """Return secondary time indexes with what they govern; featuretools lists the index among its own columns."""
    clocks = frame.ww.metadata.get("secondary_time_index") or {}
    return {clock: [column for column in columns if column != clock] for clock, columns in clocks.items()}
