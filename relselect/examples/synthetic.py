"""A small shop made from a seed, with a label whose origin is known: for tests and for looking at what a method finds.

Customers place orders, an order has items, an item is a product. Labels are drawn from a score computed only on what
had happened by the cutoff, so the best possible prediction is known and no row of the future carries any of it.
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

#: What the label depends on.
Signal = Literal["linear-aggregate", "interaction", "sign-flip", "noise"]

_SIGNALS = ("linear-aggregate", "interaction", "sign-flip", "noise")
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
    tone: NDArray[np.float64] | None = None
    grade: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Planted:
    """An example whose best possible prediction is known.

    Attributes:
        example: The database and the task `planted`.
        scores: Per split, the score that its labels were drawn from, shape (rows,), in the order of the split.
    """

    example: Example
    scores: Mapping[Split, NDArray[np.float64]]

    def best(self, split: Split) -> float:
        """Return the metric of the score itself on a split: what no prediction beats but by luck (binary tasks)."""
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
    """Return a shop with the task `planted`, asked about every customer every 30 days.

    The score behind the label, standardised over all task rows:

    * "linear-aggregate": what the customer spent in the last 30 days (one hop further than a count, and linear);
    * "interaction": the share of the customer's items whose category is the favourite of the customer's region; neither
      the region nor the categories alone tell anything;
    * "sign-flip": over the customer's items, the sum of the item's grade times the tone of its order, both as often
      negative as positive, over the root of their number; what a grade means flips with the order one hop before it, so
      that no sum or share of either alone tells anything;
    * "noise": nothing.

    Under "sign-flip" every customer is asked about once, at one of the dates: nobody has past labels, and no customer stands
    in two splits.

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
    """Return the example of `synthetic` together with the scores behind its labels.

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
    """Give every order a tone and every item a grade, near -1 or near 1."""

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
