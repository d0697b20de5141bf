"""Builds a synthetic database with a task from a specification, and stores the score of the true probabilities.

The true probabilities know the hidden types and everything but the noise: no prediction scores higher except by chance.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.counts import check_seed
from relselect.database import Database, ForeignKey, Table
from relselect.examples.example import Example
from relselect.examples.synthetic_score import row_scores
from relselect.examples.synthetic_spec import SyntheticSpec
from relselect.examples.synthetic_world import Columns, SyntheticWorld, cutoff_days, draw_world
from relselect.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.splits import Split

__all__ = ["synthetic_database"]

_START = np.datetime64("2023-01-01", "s")
_TASK, _ENTITY = "planted", "people"


def synthetic_database(spec: SyntheticSpec, seed: int = 0) -> Example:
    """Return a synthetic database with the task `planted`, and the best possible scores in `bayes`.

    Validation and test have the rows of a quarter of the cutoffs each, the last ones. `bayes["planted"]` has for each split the
    task's metric (higher is better) of the true probabilities, for regression of the true medians.

    Args:
        spec: What to generate.
        seed: Equal specifications and seeds give equal examples.

    Raises:
        ConfigError: The seed is no whole number.
        TaskError: So few rows or ones were drawn that nothing can be learnt from them.

    >>> example = synthetic_database(SyntheticSpec(people=100, pattern="xor", noise=0.1), seed=1)
    >>> sorted(example.database.tables)
    ['events', 'items', 'makers', 'people']
    >>> 0.8 < example.bayes["planted"]["test"] <= 1.0
    True
    """
    rng = np.random.default_rng([check_seed(seed), zlib.crc32(repr(spec).encode())])
    world = draw_world(spec, rng)
    days = cutoff_days(spec)
    label, truth = _labels(spec, world, row_scores(world, spec, days), rng)
    asked = np.ones(label.shape, dtype=np.bool_)
    if spec.once:
        asked = rng.integers(0, spec.cutoffs, spec.people) == np.arange(spec.cutoffs)[:, None]
    database = Database(_tables(spec, world), "synthetic")
    held_out = max(1, spec.cutoffs // 4)
    task = Task.from_labels(
        database,
        _label_table(spec, days, label, asked),
        name=_TASK,
        entity=_ENTITY,
        kind=spec.kind,
        time="cutoff",
        horizon="30d",
        entity_columns="person_id",
        val_start=str(_moments(days[-2 * held_out :])[0]),
        test_start=str(_moments(days[-held_out:])[0]),
        description=f"A planted label: {spec.pattern} pattern, {spec.source}, {spec.hops} hops.",
    )
    return Example(database, {_TASK: task}, {_TASK: _bayes(task, days, truth)})


def _labels(
    spec: SyntheticSpec, world: SyntheticWorld, score: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return labels and true probabilities (regression: true medians), both of shape (cutoffs, people)."""
    from scipy.special import ndtr

    explained = np.sqrt(1.0 - spec.noise) * (np.sqrt(1.0 - spec.kinship) * score + np.sqrt(spec.kinship) * world.kin)
    drawn = explained + np.sqrt(spec.noise) * rng.normal(size=score.shape)
    if spec.kind == "regression":
        return drawn, explained
    limit = np.quantile(drawn, 1.0 - spec.base_rate)
    return (drawn > limit).astype(np.float64), ndtr((explained - limit) / np.sqrt(spec.noise))


def _label_table(
    spec: SyntheticSpec, days: NDArray[np.float64], label: NDArray[np.float64], asked: NDArray[np.bool_]
) -> pa.Table:
    when, who = np.nonzero(asked)
    values = label[when, who] if spec.kind == "regression" else label[when, who].astype(np.int64)
    return pa.table({"cutoff": _moments(days[when]), "person_id": who, "label": values})


def _bayes(task: Task, days: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[Split, float]:
    known = _moments(days).astype("datetime64[us]").astype(np.int64)
    return {
        split: task.metric.score(
            frame.label, truth[np.searchsorted(known, frame.cutoff), frame.keys["person_id"].to_numpy()]
        )
        for split, frame in task.splits.items()
    }


def _tables(spec: SyntheticSpec, world: SyntheticWorld) -> list[Table]:
    tables = [_table(_ENTITY, world.people, len(world.kin)), *_path(spec, world)]
    if spec.contacts:
        tables += _meetings(world) if spec.bridge else [_contacts(world)]
    for number, each in enumerate(world.distractors):
        parent = _ENTITY if number % 2 == 0 else f"log_{number - 1}"
        tables.append(_table(f"log_{number}", each.columns, len(each.day), {parent: each.parent}, each.day))
    return tables


def _path(spec: SyntheticSpec, world: SyntheticWorld) -> list[Table]:
    bridge = spec.bridge and spec.depth > 2
    every = ("events", "items", "links", "tags") if bridge else ("events", "items", "makers", "regions")
    names = every[: spec.depth]
    keys: dict[str, dict[str, NDArray[np.int64]]] = {name: {} for name in names}
    keys["events"][_ENTITY] = world.person
    for level, parent in enumerate(world.parents):
        here, above = names[level], names[level + 1]
        one, other = (above, here) if bridge and level == 1 else (here, above)
        keys[one][other] = parent
    return [
        _table(name, columns, len(columns["a"]), keys[name], world.day if name == "events" else None)
        for name, columns in zip(names, world.levels, strict=True)
    ]


def _contacts(world: SyntheticWorld) -> Table:
    table = _table("contacts", world.contacts, len(world.met), {}, world.met)
    data = table.data.append_column("one", pa.array(world.one)).append_column("other", pa.array(world.other))
    keys = tuple(ForeignKey((name,), _ENTITY, ("id",)) for name in ("one", "other"))
    return Table("contacts", data, ("id",), "time", keys)


def _meetings(world: SyntheticWorld) -> list[Table]:
    """Return the contacts as meetings, with an attendance of each of the two people."""
    count = len(world.met)
    keys = {
        _ENTITY: np.stack([world.one, world.other], axis=1).ravel(),
        "meetings": np.repeat(np.arange(count), 2),
    }
    return [
        _table("meetings", world.contacts, count, {}, world.met),
        _table("attendances", {}, 2 * count, keys, np.repeat(world.met, 2)),
    ]


def _table(
    name: str,
    columns: Columns,
    rows: int,
    keys: dict[str, NDArray[np.int64]] | None = None,
    day: NDArray[np.float64] | None = None,
) -> Table:
    """Return a table with the primary key `id`, a foreign key per parent table (-1 is NULL), a time and its columns."""
    keys = keys or {}
    data: dict[str, object] = {"id": np.arange(rows)}
    data |= {f"{parent}_id": pa.array(rows_above, mask=rows_above < 0) for parent, rows_above in keys.items()}
    if day is not None:
        data["time"] = _moments(day)
    references = tuple(ForeignKey((f"{parent}_id",), parent, ("id",)) for parent in keys)
    return Table(name, pa.table({**data, **columns}), ("id",), None if day is None else "time", references)


def _moments(days: NDArray[np.float64]) -> NDArray[np.datetime64]:
    return _START + np.ceil(days * 86_400).astype(np.int64) * np.timedelta64(1, "s")
