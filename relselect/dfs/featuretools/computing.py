"""Computes featuretools' definitions for task rows, by featuretools itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import featuretools as ft
import numpy as np
import pandas as pd
import pyarrow as pa
from featuretools.feature_base import IdentityFeature
from featuretools.feature_base.feature_base import _ES_REF
from numpy.typing import NDArray

from relselect.database.clock import EVERYTHING
from relselect.dfs.featuretools.delayed import DelayedDefinitions, dependencies, needs_delay
from relselect.dfs.featuretools.entityset import filled, identifier
from relselect.dfs.featuretools.frames import EARLIEST, LATEST, moments, places
from relselect.dfs.featuretools.layout import Layout, layout_within
from relselect.dfs.featuretools.reading import DefinitionReader
from relselect.dfs.plan.schema import Schema
from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["compute_featuretools"]

Ints = NDArray[np.int64]
_DAY = 86_400_000_000_000


def compute_featuretools(
    problem: Problem, definitions: Sequence[Any], rows: Rows, check: Callable[[], None] = lambda: None
) -> pa.Table:
    """Return what featuretools computes for task rows. It is slow: some tenths of a second per distinct `asof`.

    Every row sees what is visible at its `asof`. Ages count from its cutoff; windows end at the cutoff, or at the `asof` where
    that is earlier, and leave out their first moment. Definitions that a plan can express are returned as in the plan: times
    and trends in days, dates as their age in days. Other definitions keep their units; dates are ages in days there too.

    Args:
        problem: The problem.
        definitions: Features of the entity's dataframe, as for `from_featuretools`; no two of one name.
        rows: n task rows.
        check: Called often; may raise to stop.

    Returns:
        One column per definition (per output of those with several), n rows: float64, or text for categories.

    Raises:
        ConfigError: A definition reads dataframes, columns or relationships that the database does not have.
    """
    reader = DefinitionReader(problem)
    expressible = [reader.read(definition) is not None for definition in definitions]
    found: dict[str, pa.Array] = {}
    for plain in (True, False):
        mine = [definition for definition, known in zip(definitions, expressible, strict=True) if known is plain]
        if mine:
            found.update(_Computer(problem, mine, plain, check).compute(rows))
    names = [name for definition in definitions for name in definition.get_feature_names()]
    return pa.table({name: found[name] for name in names})


class _Computer:
    """Computes definitions that all keep their units, or that all are converted to the units of plans."""

    def __init__(self, problem: Problem, definitions: list[Any], plain: bool, check: Callable[[], None]) -> None:
        self.problem, self.definitions, self.plain, self.check = problem, definitions, plain, check
        self.dated = problem.database.time_kind != "integer"
        self.target = definitions[0].dataframe_name
        self.entityset = _mirrored(problem, definitions)

    def compute(self, rows: Rows) -> dict[str, pa.Array]:
        """Return the columns by name."""
        asof = np.minimum(rows.asof, LATEST if self.dated else EVERYTHING)
        delay = (
            np.clip(rows.cutoff, EARLIEST, LATEST) - np.maximum(asof, EARLIEST) if self.dated else rows.cutoff - asof
        )
        found: dict[str, NDArray[Any]] = {}
        for late in (False, True):
            definitions = [definition for definition in self.definitions if needs_delay(definition) is late]
            delays = delay if late else np.zeros_like(delay)
            for each in np.unique(delays) if definitions else ():
                mine = np.flatnonzero(delays == each)
                for name, values in self._values(definitions, int(each), rows.entity[mine], asof[mine]).items():
                    found.setdefault(str(name), np.full(len(rows), np.nan, dtype=object))[mine] = values.astype(object)
        return {
            name: self._column(found.get(name, np.empty(0, dtype=object)), definition, rows.cutoff)
            for definition in self.definitions
            for name in definition.get_feature_names()
        }

    def _values(self, definitions: list[Any], delay: int, entity: Ints, asof: Ints) -> pd.DataFrame:
        """Return what featuretools computes for rows of one delay."""
        index = np.append(places(self.problem, self.problem.entity), -1)[entity]
        asked = pd.DataFrame({"instance_id": index, "time": moments(asof) if self.dated else asof})
        distinct = asked.drop_duplicates(ignore_index=True)
        kinds = {
            (frame.ww.name, column): str(kind)
            for frame in self.entityset.dataframes
            for column, kind in frame.ww.logical_types.items()
        }
        delayed = DelayedDefinitions(delay, plain=self.plain, kinds=kinds)
        self.check()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ft.calculate_feature_matrix(
                [delayed(definition) for definition in definitions],
                self.entityset,
                cutoff_time=distinct.copy(),
                include_cutoff_time=True,
                progress_callback=lambda *_: self.check(),
            )
        place = asked.merge(distinct.reset_index(), on=["instance_id", "time"], how="left")["index"]
        return found.reset_index(drop=True).iloc[place.to_numpy()]

    def _column(self, raw: NDArray[Any], definition: Any, cutoff: Ints) -> pa.Array:
        kind, values = definition.column_schema, pd.Series(raw, dtype=object)
        if kind.is_datetime:
            found = values.where(values.notna(), pd.NaT).astype("datetime64[ns]").to_numpy()
            ages = (moments(cutoff) - found).astype("timedelta64[ns]")
            return pa.array(np.where(np.isnat(ages), np.nan, ages.astype(np.int64) / _DAY), from_pandas=True)
        if kind.is_numeric or kind.is_boolean or not kind.is_categorical:
            try:
                return pa.array(values.astype("Float64").astype("float64"), from_pandas=True)
            except (TypeError, ValueError):
                pass
        return pa.array([None if pd.isna(value) else str(value) for value in values], pa.string())


def _mirrored(problem: Problem, definitions: list[Any]) -> Any:
    """Return an EntitySet with the rows, and with no more dataframes and columns than definitions read."""
    schema = Schema.of(problem)
    entityset, target = definitions[0].entityset, definitions[0].dataframe_name
    layout = layout_within(schema, entityset, target)
    columns, links = _read(definitions)
    links_known = {(edge.parent, edge.child, edge.column): edge for edge in layout.edges}
    lost = [*(set(columns) - set(layout.tables)), *(" <- ".join(link[:2]) for link in links - set(links_known))]
    if lost:
        raise ConfigError(
            "definitions", sorted(lost), "read what the database does not have", "Name dataframes as tables"
        )
    small = Layout(
        target,
        tuple(node for node in layout.nodes if node.name in columns),
        tuple(edge for link, edge in links_known.items() if link in links),
    )
    read = {name: frozenset(kept) for name, kept in columns.items()}
    return problem.cached(
        ("featuretools", "entityset", identifier(problem, small, read, True)),
        lambda: _unregistered(filled(problem, small, read)),
    )


def _unregistered(entityset: Any) -> Any:
    """Remove an EntitySet from featuretools' global registry, which would keep its rows in memory for ever."""
    _ES_REF.pop(entityset.id, None)
    return entityset


def _read(definitions: list[Any]) -> tuple[dict[str, set[str]], set[tuple[str, str, str]]]:
    """Return the columns by dataframe, and the relationships, that definitions read."""
    columns: dict[str, set[str]] = {}
    links: set[tuple[str, str, str]] = set()
    for definition in definitions:
        for each in dependencies(definition):
            read = columns.setdefault(each.dataframe_name, set())
            if type(each) is IdentityFeature:
                read.add(each.column_name)
            for _, link in each.relationship_path:
                parent, child = link._parent_dataframe_name, link._child_dataframe_name
                columns.setdefault(parent, set())
                columns.setdefault(child, set())
                links.add((parent, child, link._child_column_name))
    return columns, links
