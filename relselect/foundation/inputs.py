"""The inputs of the head: the pretrained vector of a task row's entity, its context, its known past labels, its own columns.

All of them are read at the row's asof: the vector is that of a tree of visible rows, past labels are those that were known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.families.constants.history import LabelHistory
from relselect.problem import LABELS
from relselect.rdl.graph.features import RESERVED
from relselect.rdl.graph.language_rows import language_alone
from relselect.rdl.graph.of_problem import problem_graph
from relselect.rdl.graph.table_encoding import fit_tables
from relselect.rdl.network.model import Blueprint, RelationalNetwork
from relselect.rdl.network.target import Target
from relselect.rdl.network.time_encoding import elapsed
from relselect.rdl.training.fitted import FittedNetwork, batcher_of, row_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.rdl.graph.table_encoding import TableEncoding
    from relselect.rdl.network.batch import RowTensors
    from relselect.rdl.settings import NetworkSettings
    from relselect.tasks import Rows

__all__ = ["foundation_blueprint", "head_inputs"]

#: Weight of the mean label in an entity's mean of past labels, and categories of a declared column that are told apart.
_PRIOR, _CATEGORIES = 1.0, 30


def foundation_blueprint(problem: Problem, settings: NetworkSettings, task_encoding: TableEncoding) -> Blueprint:
    """Return the network over the tables of the database alone: past labels are no rows of its graph.

    Args:
        problem: The problem.
        settings: Its width, layers, fan-out and pretrained weights.
        task_encoding: The fitted columns of the task rows.
    """
    tables = set(problem.user_database.tables)
    edges = tuple(
        each for each in problem_graph(problem, torch.device("cpu")).edge_types if {each[0], each[2]} <= tables
    )
    encodings = {
        name: language_alone(problem.database[name], each, settings.language)
        for name, each in fit_tables(problem).items()
        if name in tables
    }
    return Blueprint(problem.entity, edges, encodings, task_encoding, Target.of(problem), settings)


def head_inputs(
    fitted: FittedNetwork,
    problem: Problem,
    rows: Rows,
    constant: NDArray[np.float64],
    check: Callable[[], object] = lambda: None,
) -> NDArray[np.float64]:
    """Return the inputs of n task rows, float64 (n, d).

    Args:
        fitted: The pretrained network.
        problem: The problem.
        rows: The task rows.
        constant: The mean label of training, one entry per class where there are several: what an entity without past labels
            gets.
        check: Called before every batch; what it raises ends the work.
    """
    batcher = batcher_of(fitted.blueprint, problem, fitted.device)
    tensors = row_tensors(fitted.blueprint, rows, batcher.device)
    (member,) = (each for each in fitted.network.eval().members if isinstance(each, RelationalNetwork))
    channels, context = fitted.blueprint.settings.channels, member.context.in_features
    size, parts = fitted.blueprint.settings.batch_size, [np.empty((0, channels + context))]
    with torch.no_grad():
        for index in torch.split(torch.arange(len(rows), device=batcher.device), size):
            check()
            batch = batcher.batch(tensors, index)
            root = member.embed(batch)[:, :channels]
            parts.append(torch.cat([root, batch.context], dim=1).double().cpu().numpy())
    declared = _declared(tensors, fitted.blueprint.task_encoding, batcher.unit)
    return np.column_stack([np.concatenate(parts), _past_labels(problem, rows, constant), declared])


def _past_labels(problem: Problem, rows: Rows, constant: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the number of an entity's known labels, as a logarithm, their shrunk mean, and the last of them."""
    width = max(1, constant.size)
    if LABELS not in problem.database.tables:
        return np.zeros((len(rows), 1 + 2 * width))
    history: LabelHistory = problem.cached(("label history",), lambda: LabelHistory(problem))
    begin, count = history.lengths(rows)
    mean = history.constants(rows, constant, prior=_PRIOR, median=False).reshape(len(rows), width)
    last = np.broadcast_to(constant.reshape(1, -1), (len(rows), width)).copy()
    some = count > 0
    last[some] = history.values[begin[some] + count[some] - 1]
    return np.column_stack([np.log1p(count), mean, last])


def _declared(tensors: RowTensors, encoding: TableEncoding, unit: int) -> NDArray[np.float64]:
    """Return the task rows' own columns: numbers with flags for missing, categories one by one, times until the cutoff."""
    features = tensors.features
    numbers = features.numeric.double().cpu().numpy()
    missing = np.isnan(numbers)
    times = elapsed(tensors.cutoff, features.moments, unit).double().cpu().numpy()
    late = np.sign(times) * np.log1p(np.abs(times))
    parts = [np.where(missing, 0.0, numbers), missing, np.where(np.isnan(times), 0.0, late), np.isnan(times)]
    codes = features.codes.cpu().numpy()
    for place, column in enumerate(encoding.categories):
        known = min(len(column.values), _CATEGORIES) + RESERVED
        parts.append(codes[:, [place]] == np.arange(known))
    return np.column_stack([part.astype(np.float64) for part in parts])
