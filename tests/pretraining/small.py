"""Small pretrained weights, made in a second with a small language model, and the shop with other later rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relselect.database.clock import DAY
from relselect.language import sentence_encoder
from relselect.pretraining import PretrainingPlan, pretrain
from tests.shop import days, shop, shop_tables

CUT = 200
MANIFEST = """
name: shop
tables:
  users: {primary_key: id}
  products: {primary_key: sku}
  orders:
    primary_key: oid
    time: when
    foreign_keys:
      - {columns: user_id, table: users}
      - {columns: sku, table: products}
"""


def small_weights(model: Path, folder: Path) -> Path:
    """Pretrain on a small shop with the language model in a folder, and return the folder of the weights."""
    plan = PretrainingPlan(name="small", databases=["shop"], channels=16, rows=400, epochs=2, batch_size=32, fan_out=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELSELECT_LANGUAGE_MODEL", str(model))
        patch.setenv("RELSELECT_CACHE", str(folder / "cache"))
        sentence_encoder.cache_clear()
        pretrain(plan, folder / "weights", databases={"shop": shop()})
        sentence_encoder.cache_clear()
    return folder / "weights"


def with_later_rows(seed: int, count: int = 120):
    """The shop with orders after day `CUT` replaced by others, more or fewer, in another order of rows."""
    tables, draw = shop_tables(), np.random.default_rng(seed)
    orders = tables["orders"]
    kept = orders.filter(pa.array(orders["when"].cast(pa.int64()).to_numpy() <= CUT * DAY))
    when = CUT + 1 + draw.random(count) * 90
    later = pa.table(
        {
            "oid": pa.array(np.arange(count) + 10_000),
            "user_id": pa.array(draw.integers(0, 60, count) * 7 + 3),
            "sku": pa.array([f"p{i % 7}" for i in range(count)]),
            "total": pa.array(draw.random(count) * 1e4),
            "when": days(when),
            "closed": days(when + 1),
            "state": pa.array(["strange"] * count),
        }
    ).cast(kept.schema)
    every = pa.concat_tables([later, kept])
    return shop({**tables, "orders": every.take(draw.permutation(every.num_rows))})


def write_shop(folder: Path) -> None:
    """Write the shop as files with a manifest."""
    for name, table in shop().tables.items():
        pq.write_table(table.data, folder / f"{name}.parquet")
    (folder / "database.yaml").write_text(MANIFEST)
