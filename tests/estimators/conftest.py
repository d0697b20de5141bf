"""The small shop as X and y, and a family that is fitted in no time."""

from __future__ import annotations

import pytest

from relselect.families import registered
from tests.families.ridge import RIDGE
from tests.shop import labels, shop_tables

#: Options under which a fit takes a second or two.
QUICK = {"families": "ridge", "max_trials": 1, "final": "one", "time_budget": "60s", "horizon": "30d"}


@pytest.fixture(scope="session")
def asked():
    """Keys and cutoffs as a pandas frame with an unnamed index of its own, and labels by kind of task."""
    tables = shop_tables()
    frames = {kind: labels(tables, kind).to_pandas() for kind in ("binary", "multiclass", "regression")}
    X = frames["binary"][["id", "cutoff"]]
    X.index = range(1000, 1000 + len(X))
    return X, {kind: frame["label"].to_numpy() for kind, frame in frames.items()}


@pytest.fixture(scope="module", autouse=True)
def ridge():
    """Ridge regression is a registered family."""
    with registered(RIDGE):
        yield
