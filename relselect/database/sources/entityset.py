"""Reads a featuretools EntitySet: its frames, indexes, relationships and logical types.

featuretools itself is not imported; the EntitySet brings its own methods.
"""

from __future__ import annotations

from typing import Any

from relselect.database.contents import DatabaseContents
from relselect.database.sources.frames import tables_from_frames
from relselect.errors import ConfigError

__all__ = ["read_entityset"]

#: Logical type -> semantic type, where the stored values do not show it.
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


def read_entityset(entityset: Any) -> DatabaseContents:
    """Read an EntitySet; see `Database.from_entityset`.

    Raises:
        ConfigError: It is no EntitySet, or has no dataframes.
        SchemaError: With every frame that does not convert to Arrow.
    """
    frames = {frame.ww.name: frame for frame in getattr(entityset, "dataframes", ())}
    if not frames:
        rule = "is no EntitySet, or holds no dataframes"
        raise ConfigError("entityset", type(entityset).__name__, rule, "Pass a featuretools EntitySet with dataframes")
    references: dict[str, dict[str | tuple[str, ...], str]] = {}
    for each in entityset.relationships:
        references.setdefault(each.child_name, {})[each._child_column_name] = each.parent_name
    added = {name: frame.ww.metadata.get("last_time_index") for name, frame in frames.items()}
    tables = tables_from_frames(
        {
            name: frame.drop(columns=[added[name]] if added[name] in frame.columns else [])
            for name, frame in frames.items()
        },
        keys={name: frame.ww.index for name, frame in frames.items() if frame.ww.index},
        times={name: frame.ww.time_index for name, frame in frames.items() if frame.ww.time_index},
        foreign_keys=references,
        types={name: _types(frame) for name, frame in frames.items()},
        drop={},
        known_at={name: _clocks(frame) for name, frame in frames.items()},
    )
    return DatabaseContents(tables, str(entityset.id or "entityset"))


def _types(frame: Any) -> dict[str, str]:
    """Return the semantic types that logical types declare, for columns that are no key, time or clock."""
    taken = {frame.ww.index, frame.ww.time_index, *_clocks(frame)}
    taken |= {column for column, tags in frame.ww.semantic_tags.items() if "foreign_key" in tags}
    named = {column: type(kind).__name__ for column, kind in frame.ww.logical_types.items() if column not in taken}
    return {column: _TYPES[kind] for column, kind in named.items() if kind in _TYPES}


def _clocks(frame: Any) -> dict[str, list[str]]:
    """Return secondary time index -> columns it masks; featuretools lists the index among its own columns."""
    clocks = frame.ww.metadata.get("secondary_time_index") or {}
    return {clock: [column for column in columns if column != clock] for clock, columns in clocks.items()}
