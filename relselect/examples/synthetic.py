"""A small shop made from a seed, with a label whose origin is known: for tests and for looking at what a method finds.

Customers place orders, an order has items, an item is a product. Labels are drawn from a score computed only on what
had happened by the cutoff, so the best possible prediction is known and no row of the future carries any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, Table
from relselect.errors import ConfigError
from relselect.examples.example import Example
from relselect.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Signal", "synthetic"]

#: What the label depends on.
Signal = Literal["linear-aggregate", "interaction", "noise"]

_SIGNALS = ("linear-aggregate", "interaction", "noise")
_REGIONS = ("north", "south", "east", "west")
_CATEGORIES = ("food", "books", "tools", "toys")
_START = np.datetime64("2024-01-01", "s")
_DAY = np.timedelta64(86_400, "s")
_WINDOW = 30


@dataclass(frozen=True)
class _Shop:
    """Columns of the generated tables; days are floats since the start."""

    region: NDArray[np.int64]
    category: NDArray[np.int64]
    price: NDArray[np.float64]
    customer: NDArray[np.int64]
    day: NDArray[np.float64]
    order: NDArray[np.int64]
    product: NDArray[np.int64]
    quantity: NDArray[np.int64]


def synthetic(
    signal: Signal = "linear-aggregate",
    *,
    kind: Literal["binary", "regression"] = "binary",
    customers: int = 200,
    cutoffs: int = 10,
    strength: float = 2.0,
    seed: int = 0,
) -> Example:
    """Return a shop with the task `planted`, asked about every customer every 30 days.

    The score behind the label, standardised over all task rows:

    * "linear-aggregate": what the customer spent in the last 30 days (one hop further than a count, and linear);
    * "interaction": the share of the customer's items whose category is the favourite of the customer's region; neither
      the region nor the categories alone tell anything;
    * "noise": nothing.

    A binary label is drawn with the log odds `strength * score`; a regression label is the score plus normal noise of
    standard deviation `1 / strength`.

    Args:
        signal: What the label depends on.
        kind: "binary" or "regression".
        customers: Number of customers; orders and products grow with it.
        cutoffs: Number of dates asked at; the first lies 60 days after the first order.
        strength: How strongly the label follows the score.
        seed: Equal seeds give equal examples.

    Raises:
        ConfigError: `signal` is not known.

    >>> example = synthetic(customers=50, seed=1)
    >>> sorted(example.database.tables)
    ['customers', 'items', 'orders', 'products']
    >>> example.task("planted").kind
    'binary'
    """
    if signal not in _SIGNALS:
        raise ConfigError("signal", signal, "is not known", f"Use one of: {', '.join(_SIGNALS)}")
    rng = np.random.default_rng(seed)
    days = 60.0 + _WINDOW * np.arange(cutoffs, dtype=np.float64)
    shop = _generate(rng, customers, float(days[-1]) + _WINDOW + 1)
    database = _database(shop, rng)
    labels = _labels(shop, days, _score(shop, days, signal), kind, strength, rng)
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
    return Example(database, {"planted": task})


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
    """Let every customer prefer some products, so that shares per customer differ."""
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
