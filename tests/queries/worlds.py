"""A shop with what real ones have: text keys, missing values, times at the very bounds of windows, odd names, time zones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import relselect as rs

#: The ends of months, two of which are shorter than the months before or after.
CUTOFFS = [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-29"), pd.Timestamp("2024-05-31 12:30:00")]
_FIRST, _LAST = pd.Timestamp("2023-06-01"), pd.Timestamp("2024-12-31")
_CUSTOMERS, _ORDERS, _ITEMS, _TICKETS = 24, 420, 700, 260


def _moments(draw: np.random.Generator, count: int) -> pd.Series:
    """Times of rows: whole hours, so that some are equal, and every tenth at the bound of a window."""
    hours = int((_LAST - _FIRST) / pd.Timedelta("1h"))
    found = _FIRST + pd.to_timedelta(draw.integers(0, hours, count), "h")
    bounds = [
        bound
        for cutoff in CUTOFFS
        for bound in (
            cutoff,
            cutoff + pd.Timedelta("30D"),
            cutoff - pd.Timedelta("60D"),
            cutoff + pd.DateOffset(months=1),
        )
    ]
    at_bounds = np.arange(count) % 10 == 0
    return pd.Series(
        np.where(at_bounds, draw.choice(np.array(bounds, "datetime64[us]"), count), found.to_numpy("datetime64[us]"))
    )


def shop_frames(seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return the tables as frames."""
    draw = np.random.default_rng(seed)
    keys = np.array([f"C-{number:02}" for number in range(_CUSTOMERS)], dtype=object)
    joined = pd.Series(_FIRST + pd.to_timedelta(draw.integers(0, 300, _CUSTOMERS), "D")).astype("datetime64[us]")
    customers = pd.DataFrame({
        "id": keys, "country": draw.choice(np.array(["AT", "DE", "FR", None], dtype=object), _CUSTOMERS),
        "vip": draw.random(_CUSTOMERS) < 0.4, "score": np.where(draw.random(_CUSTOMERS) < 0.2, np.nan, draw.random(_CUSTOMERS)),
        "joined": joined, "referrer": draw.choice(np.array([*keys[:6], None], dtype=object), _CUSTOMERS),
        "born": pd.Timestamp("1980-01-01") + pd.to_timedelta(draw.integers(0, 9000, _CUSTOMERS), "D"),
        "left": joined + pd.to_timedelta(draw.integers(100, 400, _CUSTOMERS), "D"),
    })  # fmt: skip
    buyers = draw.choice(np.array([*keys, None, "C-99"], dtype=object), _ORDERS)
    orders = pd.DataFrame({
        "nr": np.arange(_ORDERS) + 1000, "customer_id": buyers, "date": _moments(draw, _ORDERS),
        "amount": np.where(draw.random(_ORDERS) < 0.15, np.nan, draw.integers(1, 40, _ORDERS) / 4),
        "status": draw.choice(np.array(["paid", "open", "it's late", None], dtype=object), _ORDERS),
        "gift": draw.random(_ORDERS) < 0.3, "pieces": draw.integers(0, 5, _ORDERS),
        "Ship To": draw.choice(np.array(["home", "shop", "box"], dtype=object), _ORDERS),
        "channel": pd.Categorical(draw.choice(["web", "app", "desk"], _ORDERS), categories=["web", "desk", "app", "unused"]),
        "order": draw.integers(0, 3, _ORDERS),
        "due": _FIRST + pd.to_timedelta(draw.integers(0, 500, _ORDERS), "D"),
    })  # fmt: skip
    items = pd.DataFrame({
        "order_nr": draw.choice(np.arange(_ORDERS) + 1000, _ITEMS), "at": _moments(draw, _ITEMS),
        "qty": draw.integers(1, 9, _ITEMS), "sku": draw.choice(np.array(["a", "b", "c"], dtype=object), _ITEMS),
    })  # fmt: skip
    opened = _moments(draw, _TICKETS)
    tickets = pd.DataFrame({
        "customer": draw.choice(keys, _TICKETS), "opened": opened.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
        "priority": draw.integers(1, 4, _TICKETS), "closed": opened + pd.to_timedelta(draw.integers(1, 60, _TICKETS), "D"),
        "outcome": draw.choice(np.array(["solved", "refused"], dtype=object), _TICKETS),
    })  # fmt: skip
    transfers = pd.DataFrame({"from": draw.choice(keys, 50), "to": draw.choice(keys, 50), "when": _moments(draw, 50)})
    return {
        "customers": customers, "orders": orders, "order items": items, "crm.tickets": tickets, "transfers": transfers,
        "cards": pd.DataFrame({"owner": draw.choice(keys, 30), "limit": draw.integers(1, 9, 30)}),
        "news": pd.DataFrame({"at": _moments(draw, 20), "title": [f"title {number}" for number in range(20)]}),
    }  # fmt: skip


def shop_database(frames: dict[str, pd.DataFrame] | None = None) -> rs.Database:
    """Return the shop as a database."""
    return rs.Database.from_dataframes(
        shop_frames() if frames is None else frames,
        keys={"customers": "id", "orders": "nr"},
        times={
            "customers": "joined", "orders": "date", "order items": "at", "crm.tickets": "opened", "transfers": "when",
            "news": "at",
        },
        foreign_keys={
            "customers": {"referrer": "customers"},
            "orders": {"customer_id": "customers"},
            "order items": {"order_nr": "orders"},
            "crm.tickets": {"customer": "customers"},
            "transfers": {"from": "customers", "to": "customers"},
            "cards": {"owner": "customers"},
        },
        known_at={"crm.tickets": {"closed": ["outcome"]}},
        name="shop",
    )  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """One customer at one cutoff, and what the frames hold about it: the answers are written with this by hand."""

    customer: pd.Series
    rows: dict[str, pd.DataFrame]
    cutoff: pd.Timestamp

    def moment(self, amount: int, unit: str = "days") -> pd.Timestamp:
        """A moment at a distance from the cutoff."""
        length = pd.DateOffset(months=amount) if unit == "months" else pd.Timedelta(**{unit: amount})
        return self.cutoff + length

    def _within(self, table: pd.DataFrame, time: str, start: int | None, end: int, unit: str) -> pd.DataFrame:
        late = table[time] <= self.moment(end, unit)
        return table[late if start is None else late & (table[time] > self.moment(start, unit))]

    def orders(self, start: int | None, end: int, unit: str = "days") -> pd.DataFrame:
        """The customer's orders within a window."""
        return self._within(self.rows["orders"], "date", start, end, unit)

    def items(self, start: int | None, end: int, unit: str = "days") -> pd.DataFrame:
        """The items of the customer's orders within a window; of orders that are known by then."""
        items = self.rows["order items"]
        return self._within(items[items["date"] <= self.moment(max(end, 0), unit)], "at", start, end, unit)

    def tickets(self, start: int | None, end: int, unit: str = "days") -> pd.DataFrame:
        """The customer's tickets within a window, with the outcomes that are known at its end or the cutoff."""
        tickets = self.rows["crm.tickets"]
        known = tickets["closed"] <= self.moment(max(end, 0), unit)
        return self._within(tickets.assign(outcome=tickets["outcome"].where(known, None)), "opened", start, end, unit)

    def referred(self, start: int | None, end: int, unit: str = "days") -> pd.DataFrame:
        """The customers whom this one referred, who joined within a window."""
        return self._within(self.rows["customers"], "joined", start, end, unit)


def by_customer(frames: dict[str, pd.DataFrame]) -> list[tuple[pd.Series, dict[str, pd.DataFrame]]]:
    """The customers, each with the rows that belong to it; times in UTC."""
    tickets = frames["crm.tickets"]
    tickets = tickets.assign(opened=tickets["opened"].dt.tz_convert("UTC").dt.tz_localize(None))
    items = frames["order items"].merge(frames["orders"], left_on="order_nr", right_on="nr")
    owned = {
        "orders": (frames["orders"], "customer_id"), "order items": (items, "customer_id"),
        "crm.tickets": (tickets, "customer"), "customers": (frames["customers"], "referrer"),
    }  # fmt: skip
    return [
        (customer, {name: table[table[owner] == customer["id"]] for name, (table, owner) in owned.items()})
        for _, customer in frames["customers"].iterrows()
    ]


def expected(
    customers: list[tuple[pd.Series, dict[str, pd.DataFrame]]],
    label: Callable[[Asked], Any],
    population: Callable[[Asked], Any] | None,
    cutoffs: list[pd.Timestamp],
) -> dict[tuple[str, pd.Timestamp], Any]:
    """Return the labels of everybody who had joined by the cutoff, met the condition, and has one."""
    found = {}
    for cutoff in cutoffs:
        for customer, rows in customers:
            asked = Asked(customer, rows, cutoff)
            if customer["joined"] > cutoff or not (population is None or population(asked)):
                continue
            if (answer := label(asked)) is not None:
                found[customer["id"], cutoff] = answer
    return found


def known(value: Any, test: Callable[[Any], Any]) -> Any:
    """A test of a value, None where there is no value."""
    return None if value is None else test(value)


def mean(values: pd.Series) -> float | None:
    """The mean of the values that are there."""
    return None if values.dropna().empty else float(values.mean())


def least(values: pd.Series) -> Any:
    """The least of the values that are there."""
    return None if values.dropna().empty else min(values.dropna())


def greatest(values: pd.Series) -> Any:
    """The greatest of the values that are there."""
    return None if values.dropna().empty else max(values.dropna())


def first(rows: pd.DataFrame, column: str, time: str = "date") -> Any:
    """The first value that is there; the least of those of one time."""
    rows = rows[rows[column].notna()]
    return None if rows.empty else min(rows[rows[time] == rows[time].min()][column])


def last(rows: pd.DataFrame, column: str, time: str = "date") -> Any:
    """The last value that is there; the greatest of those of one time."""
    rows = rows[rows[column].notna()]
    return None if rows.empty else max(rows[rows[time] == rows[time].max()][column])


def commonest(values: pd.Series) -> Any:
    """The most frequent value that is there; the least of equally frequent ones."""
    counts = values.dropna().astype(object).value_counts()
    return None if counts.empty else min(counts[counts == counts.max()].index)
