"""Copies of featuretools' definitions that are right for rows whose data end some time before their cutoff.

featuretools knows one moment, its cutoff time; here a row has two: the `asof` up to which it sees data, and the cutoff that
ages count from. featuretools is given the `asof` as its cutoff time, and copies of the definitions whose ages count from
`delay` ticks later. Windows end at the earlier of both, see `relselect.dfs.plan.window_start`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pandas as pd
from featuretools import primitives as p
from featuretools.feature_base import IdentityFeature, TransformFeature
from featuretools.primitives import TransformPrimitive
from woodwork.column_schema import ColumnSchema
from woodwork.logical_types import BooleanNullable

from relselect.database.columns import as_text
from relselect.dfs.featuretools.writing import typed

__all__ = ["DelayedDefinitions", "dependencies", "needs_delay"]

_UNITS = (p.TimeSince, p.TimeSinceLast, p.TimeSinceFirst, p.AvgTimeBetween)
_DAY = 86_400


def dependencies(definition: Any) -> list[Any]:
    """Return a definition and everything it is made from."""
    return [definition, *definition.get_dependencies(deep=True)]


def needs_delay(definition: Any) -> bool:
    """Whether the values depend on the cutoff and not only on what is visible."""
    return any(
        each.primitive.uses_calc_time or getattr(each, "use_previous", None) is not None
        for each in dependencies(definition)
    )


class WithinWindow(TransformPrimitive):  # type: ignore[misc]
    """Whether a time lies in a window, and all conditions hold.

    Args:
        length: The window's length, a `pandas.Timedelta`.
        shift: How long after featuretools' cutoff time the window ends; negative for before.
    """

    name = "within"
    input_types = None
    return_type = ColumnSchema(logical_type=BooleanNullable)
    uses_calc_time = True

    def __init__(self, length: Any, shift: pd.Timedelta) -> None:
        self.length, self.shift = length, shift

    def get_function(self) -> Callable[..., Any]:
        """Return a function of times, any conditions, and the moment up to which rows see (featuretools' cutoff time)."""

        def within(times: pd.Series, *conditions: pd.Series, time: Any) -> pd.Series:
            found = times > time + self.shift - self.length
            for condition in conditions:
                found &= condition.fillna(False).astype(bool)
            return found

        return within


class DelayedDefinitions:
    """Copies definitions for rows of one delay; parts that several definitions share stay shared.

    Args:
        delay: Ticks from `asof` to the cutoff; negative where rows see beyond their cutoff.
        plain: Whether times and trends are returned in days, as in a plan, whatever unit the definition asks for.
        kinds: (dataframe, column) -> logical type, to which the values of conditions are converted.
    """

    def __init__(self, delay: int, *, plain: bool, kinds: dict[tuple[str, str], str]) -> None:
        self.delay, self.plain, self.kinds = delay, plain, kinds
        self._made: dict[int, tuple[Any, Any]] = {}

    def __call__(self, definition: Any) -> Any:
        """Return the copy of a definition; it has the same name."""
        if type(definition) is IdentityFeature:
            return definition
        if id(definition) not in self._made:
            self._made[id(definition)] = definition, self._copy(definition)
        return self._made[id(definition)][1]

    def _copy(self, definition: Any) -> Any:
        definition.get_feature_names()  # names are made from the originals, and kept
        found = copy.copy(definition)
        found.base_features = [self(base) for base in definition.base_features]
        for single in ("base_feature", "groupby", "where"):
            if getattr(definition, single, None) is not None:
                setattr(found, single, self(getattr(definition, single)))
        found.primitive = self._primitive(definition)
        length = getattr(definition, "use_previous", None)
        if length is not None and length.has_no_observations():
            found.use_previous, found.where = None, self._within(definition, found.where)
        return found

    def _within(self, definition: Any, where: Any) -> Any:
        """Return a window, together with a condition, as a condition.

        It leaves out the window's first moment, which `use_previous` includes; and where nobody has a row in the window,
        featuretools fails on `use_previous` but not on a condition.
        """
        frame = definition.entityset[definition.child_dataframe_name]
        time = IdentityFeature(frame.ww[frame.ww.time_index])
        # Data that end before the cutoff end the window; only a row that sees beyond its cutoff has a window that ends there.
        primitive = WithinWindow(definition.use_previous.delta_obj, pd.Timedelta(min(self.delay, 0), "us"))
        name = f"within {definition.use_previous.get_name()}" + (
            f" and {where.get_name()}" if where is not None else ""
        )
        return TransformFeature([time, *([where] if where is not None else [])], primitive, name=name)

    def _primitive(self, definition: Any) -> Any:
        primitive = definition.primitive
        if isinstance(primitive, p.EqualScalar) and type(definition.base_features[0]) is IdentityFeature:
            return self._equal(primitive, definition.base_features[0])
        if self.plain and isinstance(primitive, p.Trend):
            return _with_function(primitive, lambda made: _per_day(made))
        if self.plain and isinstance(primitive, _UNITS):
            primitive = copy.copy(primitive)
            primitive.unit = "days"
        if primitive.uses_calc_time and self.delay:
            return _with_function(primitive, self._later)
        return primitive

    def _equal(self, primitive: Any, column: Any) -> Any:
        kind = self.kinds.get((column.dataframe_name, column.column_name))
        value = None if kind is None else typed(_word(primitive.value), kind)
        if value is None:
            return primitive
        found = copy.copy(primitive)
        found.value = value
        return found

    def _later(self, made: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is given the cutoff in place of the moment up to which rows see."""
        delay = pd.Timedelta(self.delay, "us")

        def from_cutoff(*values: Any, time: Any = None) -> Any:
            return made(*values, time=time + delay)

        return from_cutoff


def _with_function(primitive: Any, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Any:
    """Return a copy of a primitive that computes with a changed function."""
    found, get = copy.copy(primitive), primitive.get_function
    found.get_function = lambda **options: change(get(**options))
    return found


def _per_day(made: Callable[..., Any]) -> Callable[..., Any]:
    """Convert a slope to days: featuretools counts in the largest unit that the first time is a whole number of."""

    def per_day(values: pd.Series, times: pd.Series) -> Any:
        slope = made(values, times)
        first = times[(values.notna() & times.notna()).to_numpy()]
        return slope * _DAY / _unit(first.iloc[:1]) if len(first) else slope

    return per_day


def _unit(first: pd.Series) -> int:
    seconds = int(first.iloc[0].value * 1e-9)
    return next((unit for unit in (_DAY, 3600, 60) if seconds % unit == 0), 1)


def _word(value: Any) -> str:
    return as_text(value.item() if hasattr(value, "item") else value)
