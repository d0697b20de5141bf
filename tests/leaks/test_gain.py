"""A trained model that rests on an undated column of the entity is reported as such, before and after a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.errors import LeakWarning
from relselect.families.candidate import FeatureImportance, Importances
from relselect.leaks import DOMINANT, LeakReport, with_gain
from relselect.problem import Problem
from relselect.report.verdict import headline
from relselect.tasks import Task
from tests.leaks.test_overwritten import day, world
from tests.leaks.test_overwritten import problem as shop_problem


def importances(*shares: tuple[str, float]) -> Importances:
    return Importances("gain", tuple(FeatureImportance(name, share) for name, share in shares))


def test_only_heavy_undated_columns_of_the_entity_are_found() -> None:
    drawn, orders, _ = world(0)
    columns = pd.DataFrame({"tier": range(len(drawn)), "size": range(len(drawn)), "closed": day(drawn["start"])})
    case = shop_problem(columns, drawn, orders, known_at={"customers": {"closed": ["size"]}})
    found = importances(("tier", 0.3), ("size", 0.3), ("COUNT(orders[customer])", 0.25), ("closed", 0.2))
    report = with_gain(LeakReport(), case, [found])
    assert [(each.check, each.severity, each.subject) for each in report.findings] == [
        (DOMINANT, "info", "customers.tier")
    ]
    assert report.ran == (DOMINANT,)
    assert with_gain(LeakReport(), case, [importances(("tier", 0.19))]).findings == ()
    assert with_gain(LeakReport(), case, []) == LeakReport()


def test_a_lifetime_value_left_in_is_the_headline_of_a_run() -> None:
    """The label is a purchase in the next 30 days; the customer's row holds what it spends over all time."""
    drawn, orders, _ = world(1)
    spend = orders.groupby("customer")["total"].sum().reindex(drawn["id"], fill_value=0.0)
    case: Problem = shop_problem(pd.DataFrame({"lifetime_value": spend.to_numpy()}), drawn, orders)
    label = (
        "SELECT p.cutoff, p.id, count(o.customer) > 0 AS label FROM population p LEFT JOIN orders o ON o.customer = p.id "
        'AND o."at" > p.cutoff AND o."at" <= p.cutoff + INTERVAL 30 DAY GROUP BY ALL'
    )
    database = case.user_database
    task = Task.from_sql(
        database, name="buys", entity="customers", kind="binary", horizon="30d", every="60d",
        population='SELECT DISTINCT c.cutoff, o.customer AS id FROM cutoffs c JOIN orders o ON o."at" <= c.cutoff',
        label=label,
    )  # fmt: skip
    with pytest.warns(LeakWarning, match="customers.lifetime_value"):
        fitted = rs.select_and_train(database, task, "10min", families="dfs", max_trials=1)
    found = {each.check: each.subject for each in fitted.result.findings}
    assert found["overwritten_column"] == "customers.lifetime_value"
    assert not fitted.result.profile.leaks.out_of_time
    assert next(stage.stage for stage in fitted.result.stages) == "leaks"
    assert "cannot be trusted yet: 1 possible leak" in headline(fitted.record)
    assert np.isfinite(fitted.result.decision.candidate.score)
