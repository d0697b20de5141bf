"""What published models are asked holds nothing later, and KumoRFM is asked in the words of its SDK."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import Enum
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from relselect.database.clock import DAY
from relselect.errors import ConfigError
from relselect.foundation.published import KumoRFM, ask_published, published_questions
from tests.shop import shop_problem


class Mean:
    """Answers with the mean label of each entity in the context."""

    name = "mean"

    def answer(self, question):
        means = question.context.groupby("ENTITY")["TARGET"].mean()
        return question.asked["ENTITY"].map(means).fillna(0.5).to_numpy()


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_the_law_questions_hold_nothing_that_is_later(kind):
    problem = shop_problem(kind)
    rows, seen = problem.rows("val"), []
    for places, question in published_questions(problem, rows):
        asof = np.unique(rows.asof[places])
        assert len(asof) == 1
        moment = pd.Timestamp(int(asof[0]), unit="us")
        assert question.tables["orders"]["when"].max() <= moment
        assert question.tables["orders"].loc[~(question.tables["orders"]["closed"] <= moment), "state"].isna().all()
        # labels are known 30 days after their cutoff
        assert question.context["TIME"].max() <= moment - pd.Timedelta(days=30)
        assert question.context["TIME"].is_monotonic_increasing
        assert len(question.asked) == len(places)
        seen.append(places)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(len(rows)))


def test_answers_come_back_in_the_order_of_the_rows():
    problem = shop_problem()
    rows = problem.rows("val")
    found = ask_published(Mean(), problem, rows)
    assert problem.task.metric.score(rows.label, found) > 0.6
    order = np.random.default_rng(0).permutation(len(rows))
    assert np.array_equal(ask_published(Mean(), problem, rows.take(order)), found[order])


def test_the_context_is_bounded_to_the_latest():
    problem = shop_problem()
    for _, question in published_questions(problem, problem.rows("val"), most_context=7):
        assert len(question.context) == 7


def test_tasks_that_cannot_be_asked_are_refused():
    problem = shop_problem("multiclass")
    with pytest.raises(ConfigError, match="must be binary or a regression"):
        ask_published(Mean(), problem, problem.rows("val"))


def test_an_answer_that_does_not_fit_is_refused():
    class Short(Mean):
        def answer(self, question):
            return super().answer(question)[:-1]

    problem = shop_problem()
    with pytest.raises(ConfigError, match="answered"):
        ask_published(Short(), problem, problem.rows("val"))


@pytest.fixture
def sdk(monkeypatch):
    """The published interface of the SDK, with a model that answers with means."""
    calls = []

    class Graph:
        def __init__(self, tables):
            self.tables = {name: SimpleNamespace(frame=frame) for name, frame in tables.items()}
            self.edges = [SimpleNamespace(src_table="orders", fkey="user_id", dst_table="users")]

        @classmethod
        def from_data(cls, df_dict):
            assert all(isinstance(frame, pd.DataFrame) for frame in df_dict.values())
            return cls(df_dict)

        def __getitem__(self, name):
            return self.tables[name]

        def link(self, src_table, fkey, dst_table):
            self.edges.append(SimpleNamespace(src_table=src_table, fkey=fkey, dst_table=dst_table))

    class Model:
        def __init__(self, graph):
            self.graph = graph

        @contextmanager
        def batch_mode(self):
            yield

        def predict_task(self, task, run_mode, num_neighbors):
            calls.append((self.graph, task, run_mode, num_neighbors))
            means = Mean().answer(SimpleNamespace(context=task.context_df, asked=task.pred_df))
            return pd.DataFrame({"True_PROB": means, "False_PROB": 1 - means, "TARGET_PRED": means})

    class TaskType(Enum):
        BINARY_CLASSIFICATION = "binary_classification"
        REGRESSION = "regression"

    rfm = ModuleType("kumoai.experimental.rfm")
    rfm.init = lambda: calls.append("init")
    rfm.Graph, rfm.KumoRFM, rfm.TaskTable = Graph, Model, lambda **asked: SimpleNamespace(**asked)
    task = ModuleType("kumoapi.task")
    task.TaskType = TaskType
    for name in ("kumoai", "kumoai.experimental", "kumoapi"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "kumoai.experimental.rfm", rfm)
    monkeypatch.setitem(sys.modules, "kumoapi.task", task)
    return calls


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_kumorfm_is_asked_in_the_words_of_its_sdk(sdk, kind):
    problem = shop_problem(kind)
    rows = problem.rows("val")
    found = ask_published(KumoRFM(), problem, rows)
    assert np.array_equal(found, ask_published(Mean(), problem, rows))
    assert sdk[0] == "init"
    graph, task, run_mode, neighbours = sdk[1]
    assert (run_mode, neighbours) == ("fast", [16, 16])
    assert task.task_type.value == ("binary_classification" if kind == "binary" else "regression")
    assert (task.entity_table_name, task.entity_column, task.target_column) == ("users", "ENTITY", "TARGET")
    assert graph["orders"].primary_key == "oid"
    assert graph["orders"].time_column == "when"
    assert graph["users"].time_column is None
    links = {(edge.src_table, edge.fkey, edge.dst_table) for edge in graph.edges}
    assert links == {("orders", "user_id", "users"), ("orders", "sku", "products")}
    assert len(graph.edges) == 2
    assert rows.asof.min() % DAY == 0


def test_a_missing_sdk_says_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "kumoai", None)
    monkeypatch.setitem(sys.modules, "kumoai.experimental.rfm", None)
    with pytest.raises(ConfigError, match=r"relselect\[kumo\]"):
        KumoRFM()
