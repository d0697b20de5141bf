"""Importance by ablation: what was planted ranks first in every family, and later rows change nothing."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from relselect.budget import Budget
from relselect.database.clock import DAY
from relselect.explain import AblationStudy, measure_importance
from tests.explain.planted import FAMILIES, changed, fit_of, shop_fit, tables
from tests.shop import days


@cache
def study_of(name: str, integer: bool = False) -> AblationStudy:
    fit = fit_of(name, integer)
    return measure_importance(fit.problem, fit.family, fit.candidate, fit.rows.select, budget=Budget(None))


@pytest.mark.parametrize("name", FAMILIES)
def test_what_was_planted_ranks_first(name):
    study = study_of(name)
    assert study.score > 0.75
    assert study.tables[0].table == "payments"
    assert study.tables[0].matters
    assert study.tables[0].low <= study.tables[0].drop <= study.tables[0].high
    assert study.paths[0].withheld == ("payer",)
    assert "payments.payer" in study.paths[0].path
    assert {"amount", "cents"} & set(study.columns[0].withheld)
    assert study.columns[0].drop > 0.02
    assert "payments" in study.sentences[0]
    assert not study.unmeasured


@pytest.mark.parametrize("name", FAMILIES)
def test_copies_of_a_column_are_one_group(name):
    groups = [each.withheld for each in study_of(name).columns if each.table == "payments"]
    copies = [group for group in groups if {"amount", "cents"} & set(group)]
    assert len(copies) == 1


@pytest.mark.parametrize("name", FAMILIES)
def test_deleting_what_matters_costs_more_than_deleting_anything_else(name):
    fit, data = fit_of(name), tables()
    lost = {
        table: fit.score() - fit.score(changed(fit.problem, {**data, table: data[table].slice(0, 0)}))
        for table in ("payments", "visits")
    }
    found = {each.table: each.drop for each in study_of(name).tables}
    assert found["payments"] == pytest.approx(lost["payments"], abs=1e-6)
    assert found.get("visits", 0.0) == pytest.approx(lost["visits"], abs=1e-6)
    assert lost["payments"] > max(lost["visits"], 0.1)


@pytest.mark.parametrize("name", FAMILIES)
def test_later_rows_change_nothing(name):
    fit, data = fit_of(name), tables()
    late = 40.0 + np.arange(200) + float(fit.rows.select.cutoff.max()) / DAY
    payments = data["payments"].slice(0, 200).to_pydict()
    payments |= {"number": np.arange(200) + 10**6, "when": days(late), "amount": np.full(200, 1e6)}
    more = pa.concat_tables([data["payments"], pa.table(payments).cast(data["payments"].schema)])
    other = changed(fit.problem, {**data, "payments": more})
    again = measure_importance(other, fit.family, fit.candidate, fit.rows.select, budget=Budget(None))
    study = study_of(name)
    assert [each.name for each in again.ablations] == [each.name for each in study.ablations]
    assert [each.drop for each in again.ablations] == pytest.approx([each.drop for each in study.ablations], abs=1e-5)


def test_a_spent_budget_measures_nothing_more_and_says_so():
    fit = fit_of("dfs")
    budget = Budget(1e-9)
    study = measure_importance(fit.problem, fit.family, fit.candidate, fit.rows.select, budget=budget)
    assert not study.ablations
    assert "payments" in study.unmeasured
    assert "longer time_budget" in study.sentences[-1]


def test_integer_times():
    study = study_of("dfs", integer=True)
    assert (study.tables[0].table, study.tables[0].matters) == ("payments", True)


@pytest.mark.parametrize("name", ["dfs", "rdl", "constants"])
@pytest.mark.parametrize("kind", ["regression", "multiclass", "static"])
def test_other_kinds_of_tasks(name, kind):
    fit = shop_fit(name, kind)
    study = measure_importance(fit.problem, fit.family, fit.candidate, fit.rows.select, budget=Budget(None))
    measured = {each.table for each in study.tables} | set(study.unread)
    assert measured == set(fit.problem.database.tables)
    assert all(math.isfinite(each.drop) for each in study.ablations)


def test_a_study_survives_json_and_is_shown():
    study, fit = study_of("dfs"), fit_of("dfs")
    assert measure_importance(fit.problem, fit.family, fit.candidate, fit.rows.select, budget=Budget(None)) == study
    assert AblationStudy.from_json(study.to_json()) == study
    frame = study.to_frame()
    assert list(frame.columns) == ["kind", "what", "path", "drop", "low", "high"]
    assert len(frame) == len(study.ablations)
    assert "Tables:" in str(study)
    assert "<table" in study._repr_html_()


def test_names_are_escaped_in_html():
    from dataclasses import replace

    study = study_of("dfs")
    hostile = replace(study, ablations=(replace(study.tables[0], table="<script>x</script>"),))
    assert "<script>" not in hostile._repr_html_()
