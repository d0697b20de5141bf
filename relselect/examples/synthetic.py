"""Generates a small shop with a planted signal, for tests and for experiments with known answers.

Customers place orders, an order has items, an item is of a product. A label is drawn from a score that is computed from rows
up to the cutoff, so that the best possible prediction is known and no later row carries information about the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, Table
from relselect.errors import ConfigError
from relselect.examples.example import Example
from relselect.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.labels import LabelFrame
    from relselect.tasks.splits import Split

__all__ = ["Planted", "Signal", "planted", "synthetic"]

#: The kinds of signal: what the label depends on.
Signal = Literal["linear-aggregate", "interaction", "sign-flip", "noise"]

_SIGNALS = ("linear-aggregate", "interaction", "sign-flip", "noise")
_REGIONS = ("north", "south", "east", "west")
_CATEGORIES = ("food", "books", "tools", "toys")
_START = np.datetime64("2024-01-01", "s")
_DAY = np.timedelta64(86_400, "s")
_WINDOW = 30


@dataclass(frozen=True)
class _Shop:
    """Columns of the generated tables; days are fractions of days since the start."""

    region: NDArray[np.int64]
    category: NDArray[np.int64]
    price: NDArray[np.float64]
    customer: NDArray[np.int64]
    day: NDArray[np.float64]
    order: NDArray[np.int64]
    product: NDArray[np.int64]
    quantity: NDArray[np.int64]
    tone: NDArray[np.float64] | None = None
    grade: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Planted:
    """An example whose best possible prediction is known.

    Attributes:
        example: The database and the task `planted`.
        scores: Split -> scores from which its labels were drawn, in the order of its rows; each of shape (rows,).
    """

    example: Example
    scores: Mapping[Split, NDArray[np.float64]]

    def best(self, split: Split) -> float:
        """Return the metric of the true scores on a split, which no prediction exceeds except by chance (binary tasks)."""
        task = self.example.task("planted")
        label = task.splits[split].label
        return task.metric.score(label, 1.0 / (1.0 + np.exp(-self.scores[split])))


def synthetic(
    signal: Signal = "linear-aggregate",
    *,
    kind: Literal["binary", "regression"] = "binary",
    customers: int = 200,
    cutoffs: int = 10,
    strength: float = 2.0,
    seed: int = 0,
) -> Example:
    """Return a shop with the task `planted`, which has a row per customer every 30 days.

    Signals, each a score that is standardised over all task rows:

    * "linear-aggregate": the customer's spending in the last 30 days, sum of price times quantity;
    * "interaction": the share of the customer's items whose category is the favourite of the customer's region; the region and
      the categories alone carry no information;
    * "sign-flip": sum of grade(item) tone(order of item) over the customer's items, divided by the square root of their number;
      grades and tones are symmetric around 0, so that neither carries information alone;
    * "noise": constant 0.

    Under "sign-flip" every customer has a single row, at one of the cutoffs: no row has past labels, and no customer is in two
    splits.

    A binary label is drawn with the log odds `strength * score`; a regression label is the score plus normal noise of
    standard deviation `1 / strength`.

    Args:
        signal: The signal.
        kind: "binary" or "regression".
        customers: Number of customers; the numbers of orders and products are proportional to it.
        cutoffs: Number of cutoffs; the first is on day 60.
        strength: Slope of the log odds, or inverse standard deviation of the noise.
        seed: Equal arguments and seed give equal examples.

    Raises:
        ConfigError: `signal` is not known.

    >>> example = synthetic(customers=50, seed=1)
    >>> sorted(example.database.tables)
    ['customers', 'items', 'orders', 'products']
    >>> example.task("planted").kind
    'binary'
    """
    chosen = {"customers": customers, "cutoffs": cutoffs, "strength": strength, "seed": seed}
    return planted(signal, kind=kind, **chosen).example  # type: ignore[arg-type]


def planted(
    signal: Signal = "linear-aggregate",
    *,
    kind: Literal["binary", "regression"] = "binary",
    customers: int = 200,
    cutoffs: int = 10,
    strength: float = 2.0,
    seed: int = 0,
) -> Planted:
    """Return the example of `synthetic` with the scores from which its labels were drawn; arguments are the same.

    Raises:
        ConfigError: `signal` is not known.
    """
    if signal not in _SIGNALS:
        raise ConfigError("signal", signal, "is not known", f"Use one of: {', '.join(_SIGNALS)}")
    rng = np.random.default_rng(seed)
    days = 60.0 + _WINDOW * np.arange(cutoffs, dtype=np.float64)
    shop = _generate(rng, customers, float(days[-1]) + _WINDOW + 1)
    database = _database(shop, rng)
    if signal == "sign-flip":
        shop = _with_signs(shop, rng)
        database = _with_columns(database, shop)
    score = _score(shop, days, signal)
    labels = _labels(shop, days, score, kind, strength, rng)
    if signal == "sign-flip":
        labels = labels.filter(pa.array((rng.integers(0, cutoffs, customers) == np.arange(cutoffs)[:, None]).ravel()))
    task = Task.from_labels(
        database,
        labels,
        name="planted",
        entity="customers",
        kind=kind,
        time="cutoff",
        horizon=f"{_WINDOW}d",
        entity_columns="customer_id",
        description=f"A label planted by the generator: {signal}.",
    )
    found = {split: _score_of(frame, days, score) for split, frame in task.splits.items()}
    return Planted(Example(database, {"planted": task}), found)


def _score_of(frame: LabelFrame, days: NDArray[np.float64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score behind each row of a split."""
    when = np.searchsorted(_moments(days).astype("datetime64[us]").astype(np.int64), frame.cutoff)
    found: NDArray[np.float64] = score[when, frame.keys["customer_id"].to_numpy()]
    return found


def _with_signs(shop: _Shop, rng: np.random.Generator) -> _Shop:
    """Return the shop with a tone per order and a grade per item: -1 or 1 with normal noise of deviation 0.3."""

    def drawn(count: int) -> NDArray[np.float64]:
        return np.round(rng.choice([-1.0, 1.0], count) + rng.normal(0.0, 0.3, count), 3)

    return replace(shop, tone=drawn(len(shop.customer)), grade=drawn(len(shop.order)))


def _with_columns(database: Database, shop: _Shop) -> Database:
    for table, name, values in (("orders", "tone", shop.tone), ("items", "grade", shop.grade)):
        data = database[table].data.append_column(name, pa.array(values))
        database = database.with_table(replace(database[table], data=data))
    return database


def _generate(rng: np.random.Generator, customers: int, days: float) -> _Shop:
    products = max(8, customers // 5)
    rate = rng.gamma(2.0, 1.0, customers)
    customer = rng.choice(customers, size=int(customers * days / 20), p=rate / rate.sum())
    day = np.sort(rng.uniform(0.0, days, len(customer)))
    order = np.repeat(np.arange(len(customer)), rng.integers(1, 5, len(customer)))
    return _Shop(
        region=rng.integers(0, len(_REGIONS), customers),
        category=rng.permutation(products) % len(_CATEGORIES),
        price=np.round(rng.gamma(3.0, 4.0, products) + 1.0, 2),
        customer=customer,
        day=day,
        order=order,
        product=_choose(rng, customer[order], customers, products),
        quantity=rng.integers(1, 4, len(order)),
    )


def _choose(rng: np.random.Generator, buyer: NDArray[np.int64], customers: int, products: int) -> NDArray[np.int64]:
    """Return the product of each item; every customer prefers three products, so that shares differ between customers."""
    favourites = rng.integers(0, products, (customers, 3))
    chosen = favourites[buyer, rng.integers(0, 3, len(buyer))]
    return np.where(rng.random(len(buyer)) < 0.7, chosen, rng.integers(0, products, len(buyer)))


def _score(shop: _Shop, days: NDArray[np.float64], signal: Signal) -> NDArray[np.float64]:
    """Return the standardised score of every customer at every cutoff, shape (cutoffs, customers)."""
    customers = len(shop.region)
    buyer, bought = shop.customer[shop.order], shop.day[shop.order]
    rows: list[NDArray[np.float64]] = []
    for day in days:
        if signal == "linear-aggregate":
            recent = (bought <= day) & (bought > day - _WINDOW)
            spent = shop.price[shop.product] * shop.quantity
            rows.append(np.bincount(buyer[recent], spent[recent], customers).astype(np.float64))
        elif signal == "interaction":
            past = bought <= day
            match = shop.category[shop.product] == shop.region[buyer]
            count = np.bincount(buyer[past], minlength=customers)
            rows.append(np.bincount(buyer[past], match[past], customers) / np.maximum(count, 1))
        elif signal == "sign-flip" and shop.tone is not None and shop.grade is not None:
            past = bought <= day
            product = shop.tone[shop.order] * shop.grade
            count = np.bincount(buyer[past], minlength=customers)
            rows.append(np.bincount(buyer[past], product[past], customers) / np.sqrt(np.maximum(count, 1)))
        else:
            rows.append(np.zeros(customers))
    score = np.stack(rows)
    return (score - score.mean()) / (score.std() or 1.0)


def _labels(
    shop: _Shop,
    days: NDArray[np.float64],
    score: NDArray[np.float64],
    kind: str,
    strength: float,
    rng: np.random.Generator,
) -> pa.Table:
    label: NDArray[Any]
    if kind == "binary":
        label = (rng.random(score.shape) < 1.0 / (1.0 + np.exp(-strength * score))).astype(np.int64)
    else:
        label = score + rng.normal(0.0, 1.0 / strength, score.shape)
    return pa.table(
        {
            "cutoff": pa.array(np.repeat(_moments(days), len(shop.region))),
            "customer_id": np.tile(np.arange(len(shop.region)), len(days)),
            "label": label.ravel(),
        }
    )


def _database(shop: _Shop, rng: np.random.Generator) -> Database:
    customers = pa.table(
        {
            "id": np.arange(len(shop.region)),
            "region": [_REGIONS[code] for code in shop.region],
            "age": rng.integers(18, 80, len(shop.region)),
        }
    )
    products = pa.table(
        {
            "id": np.arange(len(shop.price)),
            "category": [_CATEGORIES[code] for code in shop.category],
            "price": shop.price,
        }
    )
    moment = _moments(shop.day)
    orders = pa.table({"id": np.arange(len(shop.day)), "customer": shop.customer, "placed": pa.array(moment)})
    items = pa.table(
        {
            "order": shop.order,
            "product": shop.product,
            "quantity": shop.quantity,
            "amount": shop.price[shop.product] * shop.quantity,
            "placed": pa.array(moment[shop.order]),
        }
    )
    return Database(
        [
            Table("customers", customers, primary_key=("id",)),
            Table("products", products, primary_key=("id",)),
            Table("orders", orders, ("id",), "placed", (ForeignKey(("customer",), "customers", ("id",)),)),
            Table(
                "items",
                items,
                (),
                "placed",
                (ForeignKey(("order",), "orders", ("id",)), ForeignKey(("product",), "products", ("id",))),
            ),
        ],
        "synthetic",
    )


def _moments(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    return _START + np.floor(days * 86_400).astype(np.int64) * np.timedelta64(1, "s")
