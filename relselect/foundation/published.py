"""Foundation models that others publish: the question that relselect puts to them, and KumoRFM by its SDK.

A question holds the tables as they were at one moment, the task rows whose labels were known then, and the rows to predict, so
that a model cannot read what is later. Nothing is trained here, and nothing is sent anywhere unless a model
of this module is asked.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from relselect.database.clock import ticks_of
from relselect.database.columns import as_float
from relselect.errors import ConfigError
from relselect.problem import LABELS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["KumoRFM", "PublishedModel", "PublishedQuestion", "ask_published", "published_questions"]

#: Columns of the frames of a question.
ENTITY, TIME, TARGET = "ENTITY", "TIME", "TARGET"
_KINDS = {"binary": "binary_classification", "regression": "regression"}


@dataclass(frozen=True)
class PublishedQuestion:
    """What a published model is asked, all of it as it was at one moment.

    Attributes:
        tables: Per table its rows that were visible.
        primary_keys: Per table its key column, for tables with a key of one column.
        times: Per table its time column, for tables that have one.
        links: Foreign keys of one column: (table, column, table that it refers to).
        entity: The table asked about.
        kind: "binary" or "regression".
        context: Labelled rows whose labels were known: ENTITY, TIME, TARGET; the latest last.
        asked: The n rows to predict: ENTITY, TIME.
    """

    tables: Mapping[str, pd.DataFrame]
    primary_keys: Mapping[str, str]
    times: Mapping[str, str]
    links: tuple[tuple[str, str, str], ...]
    entity: str
    kind: str
    context: pd.DataFrame
    asked: pd.DataFrame


class PublishedModel(Protocol):
    """A foundation model that answers questions without being trained on the task."""

    name: str

    def answer(self, question: PublishedQuestion) -> NDArray[np.float64]:
        """Return a probability or a value per row asked, shape (n,), in the order of the rows."""
        ...


def ask_published(
    model: PublishedModel, problem: Problem, rows: Rows, *, most_context: int = 5_000
) -> NDArray[np.float64]:
    """Return a published model's predictions of task rows, shape (n,): one question per moment at which rows are seen.

    Args:
        model: The model.
        problem: The problem; its task is binary or a regression, its entity table has a key of one column.
        rows: The rows; rows of unknown entities get the mean label of training.
        most_context: Labelled rows per question at most, the latest ones.

    Raises:
        ConfigError: The task cannot be put as a question, or the answer does not fit it.
    """
    label = problem.rows("train").label
    found = np.full(len(rows), 0.0 if label is None or not len(label) else float(label.mean()))
    for places, question in published_questions(problem, rows, most_context=most_context):
        answer = np.asarray(model.answer(question), dtype=np.float64)
        if answer.shape != (len(places),) or not np.isfinite(answer).all():
            rule = f"answered {len(places)} rows with an array of shape {answer.shape}, or with missing values"
            raise ConfigError("model", model.name, rule, "Ask it again, or use another version")
        found[places] = answer
    return found


def published_questions(
    problem: Problem, rows: Rows, *, most_context: int = 5_000
) -> Iterator[tuple[NDArray[np.int64], PublishedQuestion]]:
    """Yield the question for each moment at which rows are seen, and the places of its rows.

    Raises:
        ConfigError: The task is neither binary nor a regression, has no label history, or its entity table has no key of one
            column.
    """
    task, database = problem.task, problem.database
    keys = database[problem.entity].primary_key
    if task.kind not in _KINDS or len(keys) != 1 or LABELS not in database.tables:
        rule = "must be binary or a regression, with labels that become known, about a table with a key of one column"
        raise ConfigError("task", task.name, rule, "Train a family of relselect instead")
    known = rows.entity >= 0
    for asof in np.unique(rows.asof[known]):
        places = np.flatnonzero(known & (rows.asof == asof))
        yield places, _question(problem, int(asof), rows.take(places), most_context)


def _question(problem: Problem, asof: int, rows: Rows, most_context: int) -> PublishedQuestion:
    past = problem.database.censored(asof)
    tables = {name: table for name, table in past.tables.items() if name != LABELS}
    return PublishedQuestion(
        tables={name: table.data.to_pandas() for name, table in tables.items()},
        primary_keys={name: table.primary_key[0] for name, table in tables.items() if len(table.primary_key) == 1},
        times={name: table.time for name, table in tables.items() if table.time is not None},
        links=tuple(
            (name, key.columns[0], key.table)
            for name, table in tables.items()
            for key in table.foreign_keys
            if len(key.columns) == 1
        ),
        entity=problem.entity,
        kind=problem.task.kind,
        context=_context(problem, asof, most_context),
        asked=_frame(problem, rows.entity, rows.cutoff),
    )


def _context(problem: Problem, asof: int, most: int) -> pd.DataFrame:
    """Return the task rows whose labels were known, the latest last."""
    database = problem.database
    entity, known = database.parents(LABELS)[0], database.times(LABELS)
    cutoff = ticks_of(database[LABELS].data["cutoff"])
    seen = np.flatnonzero((known <= asof) & (entity >= 0))
    seen = seen[np.lexsort((entity[seen], cutoff[seen]))][-most:]
    label = as_float(database[LABELS].data["label"])[seen]
    return _frame(problem, entity[seen], cutoff[seen]).assign(**{TARGET: label})


def _frame(problem: Problem, entity: NDArray[np.int64], cutoff: NDArray[np.int64]) -> pd.DataFrame:
    table = problem.database[problem.entity]
    moments = pa.array(cutoff)
    if problem.database.time_kind != "integer":
        moments = moments.cast(pa.timestamp("us"))
    return pa.table({ENTITY: table.data[table.primary_key[0]].take(pa.array(entity)), TIME: moments}).to_pandas()


class KumoRFM:
    """KumoRFM through its own SDK (`pip install kumoai`), which sends the question to its makers' servers.

    Args:
        run_mode: "fast", "normal" or "best", as the SDK names them.
        neighbours: Most neighbours per hop.

    Raises:
        ConfigError: The SDK is not installed.
    """

    name = "kumorfm"

    def __init__(self, run_mode: str = "fast", neighbours: tuple[int, ...] = (16, 16)) -> None:
        self.run_mode, self.neighbours = run_mode, list(neighbours)
        try:
            self._sdk: Any = importlib.import_module("kumoai.experimental.rfm")
            self._kinds: Any = importlib.import_module("kumoapi.task").TaskType
        except ImportError as error:
            fix = "Install it with pip install 'relselect[kumo]', and set KUMO_API_KEY"
            raise ConfigError("model", self.name, f"needs the package {error.name}", fix) from None
        self._sdk.init()

    def answer(self, question: PublishedQuestion) -> NDArray[np.float64]:
        """Return a probability or a value per row asked, shape (n,)."""
        graph = self._sdk.Graph.from_data(dict(question.tables))
        for name in question.tables:
            graph[name].primary_key = question.primary_keys.get(name)
            graph[name].time_column = question.times.get(name)
        linked = {(edge.src_table, edge.fkey, edge.dst_table) for edge in graph.edges}
        for link in question.links:
            if link not in linked:
                graph.link(*link)
        task = self._sdk.TaskTable(
            task_type=self._kinds(_KINDS[question.kind]),
            context_df=question.context,
            pred_df=question.asked,
            entity_table_name=question.entity,
            entity_column=ENTITY,
            target_column=TARGET,
            time_column=TIME,
        )
        model = self._sdk.KumoRFM(graph)
        with model.batch_mode():
            found = model.predict_task(task=task, run_mode=self.run_mode, num_neighbors=self.neighbours)
        column = "True_PROB" if question.kind == "binary" else "TARGET_PRED"
        return np.asarray(found[column].to_numpy(), dtype=np.float64)
