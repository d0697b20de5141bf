"""The engines that are compared: each gets frames and features and returns the matrix, columns in the features' order.

An engine is built from a case (its plan is made then, which is not timed), `open` turns frames into the engine's own
database and `compute` returns the features. Both are timed; `matrix`, which brings the results of all into one form for
the comparison of values, is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from _dfs_cases import Case
from numpy.typing import NDArray

from relselect.dfs.plan.feature import Aggregate, Feature

__all__ = ["ENGINES", "Engine"]

Floats = NDArray[np.float64]


class Engine(Protocol):
    """Computes the features of one case."""

    def open(self, tables: dict[str, pd.DataFrame]) -> Any:
        """Return the engine's own database of the frames."""

    def compute(self, opened: Any) -> Any:
        """Return the features as the engine's users get them."""

    def matrix(self, result: Any) -> Floats:
        """Return them as a matrix in the order of the task rows, shape (targets, features), nan for missing."""


class Ours:
    """This package: `Database.from_dataframes`, then `features` with a plan, on two threads."""

    def __init__(self, case: Case) -> None:
        from relselect.dfs.plan.plan import Plan
        from relselect.tasks import Task

        self.case = case
        self.plan = Plan(case.entity, case.features)
        # A task needs labelled rows to be one; nothing here reads them.
        key = case.tables[case.entity][case.primary[case.entity]].iloc[0]
        last = case.targets["cutoff"].max()
        labels = pd.DataFrame({case.primary[case.entity]: key, "cutoff": last, "label": [0.0, 1.0]})
        self.task = Task.from_labels(
            self.open(case.tables),
            {"train": labels, "val": labels.assign(cutoff=last + pd.Timedelta(1, "D"))},
            name=case.name,
            entity=case.entity,
            kind="regression",
            time="cutoff",
            known_after=None,
        )

    def open(self, tables: dict[str, pd.DataFrame]) -> Any:
        from relselect.database import Database

        case = self.case
        foreign = {table: {key.column: key.parent for key in case.keys if key.child == table} for table in tables}
        return Database.from_dataframes(tables, keys=case.primary, times=case.times, foreign_keys=foreign)

    def compute(self, opened: Any) -> Any:
        from relselect.dfs.synthesis import features

        asked = self.case.targets.rename(columns={"key": self.case.primary[self.case.entity]})
        return features(opened, self.task, plan=self.plan, rows=asked).table

    def matrix(self, result: Any) -> Floats:
        return np.column_stack([result[name].to_numpy() for name in self.plan.names])


class FastDFS:
    """fastdfs: `create_rdb`, canonical keys, then its DuckDB engine on two threads."""

    def __init__(self, case: Case) -> None:
        from fastdfs.dfs import DFS2SQLEngine, DFSConfig
        from fastdfs.dfs.base_engine import dfs_feature_column_name

        self.case = case
        tables = dict(case.tables)
        targets = pd.DataFrame({"__target_index__": np.arange(2), "key": case.targets["key"].head(2).astype(str)})
        for key in case.keys:
            tables[key.child] = tables[key.child].assign(**{key.column: tables[key.child][key.column].astype(str)})
        for table, primary in case.primary.items():
            tables[table] = tables[table].assign(**{primary: tables[table][primary].astype(str)})
        entities = entity_set(case, {name: frame.head(100) for name, frame in tables.items()})
        entities.add_dataframe(dataframe_name="__target__", dataframe=targets, index="__target_index__")
        entities.add_relationship(case.entity, case.primary[case.entity], "__target__", "key")
        self.definitions = definitions(case, entities, "__target__")
        self.names = [dfs_feature_column_name(each) for each in self.definitions]

        class Planned(DFS2SQLEngine):
            """The engine with its plan made beforehand."""

            def prepare_features(planned, *_: Any) -> list[Any]:
                return self.definitions

        self.engine = Planned(DFSConfig(dfs2sql_threads=2, max_depth=4))

    def open(self, tables: dict[str, pd.DataFrame]) -> Any:
        from fastdfs import create_rdb

        case = self.case
        keys = [(key.child, key.column, key.parent, case.primary[key.parent]) for key in case.keys]
        return create_rdb(tables, primary_keys=case.primary, foreign_keys=keys, time_columns=case.times)

    def compute(self, opened: Any) -> Any:
        # What `compute_dfs_features` does, in its order. It joins rows before the cutoff, we those up to it.
        case = self.case
        asked = case.targets.assign(cutoff=case.targets["cutoff"] + pd.Timedelta(1, "ns"))
        asked["key"] = asked["key"].astype(str)
        canonical = opened.canonicalize_key_types()
        canonical.validate_key_consistency()
        where = {"key": f"{case.entity}.{case.primary[case.entity]}"}
        return self.engine.compute_features(canonical, asked, where, cutoff_time_column="cutoff")

    def matrix(self, result: Any) -> Floats:
        return result[self.names].to_numpy(dtype=np.float64, na_value=np.nan)


class Featuretools:
    """featuretools: an EntitySet, then `calculate_feature_matrix` in one process."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.definitions = definitions(case, entity_set(case, {n: f.head(100) for n, f in case.tables.items()}))
        self.names = [each.get_name() for each in self.definitions]

    def open(self, tables: dict[str, pd.DataFrame]) -> Any:
        return entity_set(self.case, tables)

    def compute(self, opened: Any) -> Any:
        import featuretools as ft

        index = self.case.primary[self.case.entity]
        asked = self.case.targets.rename(columns={"key": index, "cutoff": "time"})
        return ft.calculate_feature_matrix(
            self.definitions, opened, cutoff_time=asked[[index, "time"]], cutoff_time_in_index=True
        )

    def matrix(self, result: Any) -> Floats:
        wanted = pd.MultiIndex.from_frame(self.case.targets[["key", "cutoff"]])
        found = result[~result.index.duplicated()].reindex(wanted)
        return found[self.names].to_numpy(dtype=np.float64, na_value=np.nan)


def entity_set(case: Case, tables: dict[str, pd.DataFrame]) -> Any:
    """Return the frames as an EntitySet: keys and times declared, everything else a number.

    Keys are integers or categories, the fastest of the types that featuretools takes for them.
    """
    import featuretools as ft

    entities = ft.EntitySet(case.name)
    for name, frame in tables.items():
        index, time = case.primary.get(name), case.times.get(name)
        types = dict.fromkeys(frame.columns.drop([time] if time else []), "Double")
        for column in [*([index] if index else []), *(key.column for key in case.keys if key.child == name)]:
            types[column] = {"int64": "Integer", "Int64": "IntegerNullable"}.get(
                str(frame[column].dtype), "Categorical"
            )
        entities.add_dataframe(
            dataframe_name=name,
            dataframe=frame,
            index=index or "__index__",
            make_index=index is None,
            time_index=time,
            logical_types=types,
        )
    for key in case.keys:
        entities.add_relationship(key.parent, case.primary[key.parent], key.child, key.column)
    return entities


def definitions(case: Case, entities: Any, above: str | None = None) -> list[Any]:
    """Return the case's features as featuretools definitions.

    Args:
        case: The case.
        entities: An EntitySet with its tables.
        above: A child of the entity table that asks in its place.
    """
    import featuretools as ft

    found = [_definition(feature, case.entity, entities) for feature in case.features]
    return found if above is None else [ft.Feature(each, above) for each in found]


def _definition(feature: Feature, entity: str, entities: Any) -> Any:
    import featuretools as ft
    from featuretools import primitives

    (hop,) = feature.path
    kinds = {
        Aggregate.COUNT: primitives.Count,
        Aggregate.SUM: primitives.Sum,
        Aggregate.MEAN: primitives.Mean,
        Aggregate.STD: primitives.Std,
        Aggregate.MIN: primitives.Min,
        Aggregate.MAX: primitives.Max,
    }
    table = entities[hop.table]
    if feature.base is not None:
        base = _definition(feature.base, hop.table, entities)
    else:
        base = ft.Feature(table.ww[feature.column or table.ww.index])
    return ft.Feature(base, parent_dataframe_name=entity, primitive=kinds[feature.aggregate])


ENGINES: dict[str, Callable[[Case], Engine]] = {"ours": Ours, "fastdfs": FastDFS, "featuretools": Featuretools}
