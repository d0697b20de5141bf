"""What the baselines of an afternoon share: counts by window, recency, and means by window, per entity."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def since(events: pd.DataFrame, time: str, cutoff: pd.Timestamp, days: float) -> pd.DataFrame:
    """Return the events of the last days."""
    return events[events[time] > cutoff - pd.Timedelta(days=days)]


def counts(
    events: pd.DataFrame, key: str, time: str, cutoff: pd.Timestamp, windows: Sequence[int], name: str
) -> pd.DataFrame:
    """Return the numbers of events per entity in each window of days, in all, and the share of the shortest in the longest."""
    found = {f"{name}_{days}": since(events, time, cutoff, days).groupby(key).size() for days in windows}
    table = pd.DataFrame({**found, f"{name}_all": events.groupby(key).size()}).fillna(0.0)
    table[f"{name}_trend"] = table[f"{name}_{windows[0]}"] / table[f"{name}_{windows[-1]}"].clip(lower=1)
    return table


def recency(events: pd.DataFrame, key: str, time: str, cutoff: pd.Timestamp, name: str) -> pd.DataFrame:
    """Return days since the last and the first event, the mean gap, and the recency over the gap."""
    times = events.groupby(key)[time].agg(["min", "max", "count"])
    last, first = (
        (cutoff - times["max"]).dt.total_seconds() / 86_400,
        (cutoff - times["min"]).dt.total_seconds() / 86_400,
    )
    gap = (first - last) / (times["count"] - 1).clip(lower=1)
    return pd.DataFrame(
        {f"{name}_last": last, f"{name}_first": first, f"{name}_gap": gap, f"{name}_late": last / gap.clip(lower=0.5)}
    )


def means(
    events: pd.DataFrame,
    key: str,
    time: str,
    cutoff: pd.Timestamp,
    windows: Sequence[int],
    columns: Sequence[str],
    name: str,
) -> pd.DataFrame:
    """Return the means of columns per entity in each window of days and in all."""
    parts = [events.groupby(key)[list(columns)].mean().add_prefix(f"{name}_all_")]
    parts += [
        since(events, time, cutoff, d).groupby(key)[list(columns)].mean().add_prefix(f"{name}_{d}_") for d in windows
    ]
    return pd.concat(parts, axis=1)


def lasts(events: pd.DataFrame, key: str, columns: Sequence[str], rows: int, name: str) -> pd.DataFrame:
    """Return the means of columns over the last rows of each entity; events are in ascending order of time."""
    return events.groupby(key).tail(rows).groupby(key)[list(columns)].mean().add_prefix(f"{name}_last{rows}_")


def codes(values: pd.Series) -> pd.Series:
    """Return categories as their frequencies, which need no fitting."""
    return values.map(values.value_counts())
