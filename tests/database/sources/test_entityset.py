"""featuretools EntitySets as databases."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

from relselect.database import Database, SemanticType
from relselect.errors import ConfigError


@pytest.fixture(scope="module")
def entityset():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import featuretools as ft

        shop = ft.EntitySet("shop")
        customers = pd.DataFrame(
            {
                "id": [1, 2],
                "joined": pd.to_datetime(["2020-01-01", "2020-02-01"]),
                "zip": ["01", "02"],
                "about": ["a b", "c d"],
            }
        )
        orders = pd.DataFrame(
            {
                "number": [1, 2, 3],
                "customer": [1, 1, 2],
                "placed": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01"]),
                "cancelled": pd.to_datetime(["2020-01-05", None, "2020-03-02"]),
                "why": ["late", None, "dear"],
                "checked": pd.to_datetime(["2020-01-05", "2020-02-02", None]),
            }
        )
        shop.add_dataframe(
            customers, "customers", index="id", time_index="joined",
            logical_types={"zip": "PostalCode", "about": "NaturalLanguage"},
        )  # fmt: skip
        shop.add_dataframe(
            orders, "orders", index="number", time_index="placed",
            secondary_time_index={"cancelled": ["why"], "checked": []},
        )  # fmt: skip
        shop.add_dataframe(pd.DataFrame({"x": [1.0, 2.0]}), "loose", index="made", make_index=True)
        shop.add_relationship("customers", "id", "orders", "customer")
        shop.add_last_time_indexes()
    return shop


def test_indexes_times_and_relationships(entityset):
    database = Database.from_entityset(entityset)
    assert database.name == "shop"
    assert database["orders"].primary_key == ("number",)
    assert database["orders"].time == "placed"
    assert database.parents("orders")[0].tolist() == [0, 0, 1]
    assert dict(database["orders"].known_at) == {"cancelled": ("why",), "checked": ()}
    assert database["orders"].columns == ["number", "customer", "placed", "cancelled", "why", "checked"]
    assert dict(database["customers"].types) == {"zip": SemanticType.CATEGORICAL, "about": SemanticType.TEXT}
    assert database["loose"].primary_key == ("made",)


def test_what_is_no_entityset_is_refused():
    with pytest.raises(ConfigError, match="EntitySet"):
        Database.from_entityset({"customers": pd.DataFrame()})
