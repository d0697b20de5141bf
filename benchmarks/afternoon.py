"""An afternoon's pandas and LightGBM, written by hand per database, beside one call of ours on the same rows and clock.

    RELSELECT_DATA=... python benchmarks/afternoon.py [--only rel-f1 lahman] [--time-budget 3min] [--ours] [--seed 0]

A baseline is a function of about sixty lines that takes the tables as they were at a cutoff and returns features per entity:
recency, counts and means by window, ratios, what related rows did (`_afternoon_known.py`, `_afternoon_examples.py`). LightGBM
is tuned by random search on the validation rows until the time budget is spent, then fitted again on training and
validation rows together. With `--ours`, `select_and_train` gets the same task and the same time budget. Scores are the
task's metric on the test rows, higher is better; the interval of the difference is a bootstrap of entities, paired (both
are scored on the same draws). The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _afternoon_examples import flights, lahman, rental
from _afternoon_known import bitcoin, dpdk, easybuild, formula1, tour, votes

#: Name -> (task, baseline). The last three are examples and a made-up film rental.
BASELINES: dict[str, tuple[str, Callable[[dict[str, pd.DataFrame], pd.Timestamp], pd.DataFrame]]] = {
    "rel-f1": ("driver-dnf", formula1),
    "un-votes": ("country-agrees-us", votes),
    "bitcoin-otc": ("user-gets-negative", bitcoin),
    "dpdk-git": ("person-commits", dpdk),
    "easybuild-software": ("software-new-build", easybuild),
    "tour-de-france": ("entry-top10", tour),
    "lahman": ("player-allstar", lahman),
    "nycflights13": ("plane-longdelay", flights),
    "sakila": ("customer-rentals", rental),
}
DRAWS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(BASELINES), choices=BASELINES)
    parser.add_argument("--time-budget", default="3min")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ours", action="store_true")
    arguments = parser.parse_args()
    results = [compare(name, arguments.time_budget, arguments.seed, arguments.ours) for name in arguments.only]
    worse = [each["database"] for each in results if arguments.ours and each["difference"][2] < 0]
    print(
        json.dumps({"time_budget": arguments.time_budget, "seed": arguments.seed, "results": results, "worse": worse})
    )


def compare(name: str, time_budget: str, seed: int, ours: bool) -> dict[str, Any]:
    from relselect.budget import parse_seconds
    from relselect.problem import Problem

    database, task = opened(name)
    problem = Problem(database, task)
    begun = time.monotonic()
    matrix = by_hand(problem, BASELINES[name][1])
    built = time.monotonic() - begun
    theirs, tries = tuned(matrix, problem, parse_seconds(time_budget) - built, seed)
    test = problem.rows("test")
    result = {
        "database": name,
        "task": task.name,
        "metric": task.metric.name,
        "test_rows": len(test),
        "features": matrix["train"].shape[1],
        "features_s": round(built, 1),
        "tries": tries,
        "by_hand": round(task.metric.score(test.label, theirs), 5),
        "seconds": round(time.monotonic() - begun, 1),
    }
    if ours:
        result |= against(database, task, problem, theirs, time_budget, seed)
    print(json.dumps(result), file=sys.stderr, flush=True)
    return result


def opened(name: str) -> tuple[Any, Any]:
    """Return database and task; the examples come from their packages, not from the known database of that name."""
    from relselect import examples
    from relselect.api import open_task
    from relselect.configs import open_database

    task = BASELINES[name][0]
    if name in ("lahman", "nycflights13"):
        example = getattr(examples, name)()
        return example.database, example.task(task)
    database = open_database(name)
    return database, open_task(database, task)


def by_hand(problem: Any, baseline: Callable[..., pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the features of each split: the baseline is asked once per cutoff, with the rows that are visible then."""
    tables, clocks = {}, {}
    for name, table in problem.user_database.tables.items():
        frame = table.data.to_pandas()
        if table.time is not None:
            frame = frame[frame[table.time].notna()].sort_values(table.time, kind="stable", ignore_index=True)
            clocks[name] = (table.time, frame[table.time].to_numpy().astype("datetime64[us]"))
        tables[name] = frame
    key = problem.user_database[problem.entity].primary_key[0]
    keys = problem.user_database[problem.entity].data[key].to_pandas()
    matrix = {}
    for split in ("train", "val", "test"):
        rows, parts = problem.rows(split), []
        for cutoff in np.unique(rows.cutoff):
            moment = np.datetime64(int(cutoff), "us")
            past = {
                name: frame.iloc[: np.searchsorted(clocks[name][1], moment, "right")] if name in clocks else frame
                for name, frame in tables.items()
            }
            where = np.flatnonzero(rows.cutoff == cutoff)
            found = baseline(past, pd.Timestamp(moment))
            # -1 stands for an entity that is not known yet: it has no features
            found = found[~found.index.isna()].reindex(keys.reindex(rows.entity[where]))
            parts.append(found.assign(_row=where))
        whole = pd.concat(parts).sort_values("_row").drop(columns="_row")
        matrix[split] = whole.astype(np.float32).reset_index(drop=True)
    return matrix


def tuned(matrix: dict[str, pd.DataFrame], problem: Any, seconds: float, seed: int) -> tuple[np.ndarray, int]:
    """Return predictions of the test rows and the number of configurations tried."""
    import lightgbm

    task, rng, end = problem.task, np.random.default_rng(seed), time.monotonic() + seconds
    label = {split: problem.rows(split).label for split in ("train", "val")}
    binary = task.kind == "binary"
    best, tries = (-np.inf, {}, 0), 0
    while tries == 0 or time.monotonic() < end - (time.monotonic() - end + seconds) / (tries + 1):
        chosen = drawn(rng, first=tries == 0)
        options = {"objective": "binary" if binary else "l1", "verbose": -1, "num_threads": 1, "seed": seed, **chosen}
        data = lightgbm.Dataset(matrix["train"], label["train"])
        held = lightgbm.Dataset(matrix["val"], label["val"], reference=data)
        stop = lightgbm.early_stopping(50, verbose=False)
        metric = "auc" if binary else "l1"
        model = lightgbm.train({**options, "metric": metric}, data, 1500, valid_sets=[held], callbacks=[stop])
        score = task.metric.score(label["val"], model.predict(matrix["val"]))
        if score > best[0]:
            best = (score, options, model.best_iteration)
        tries += 1
    whole = lightgbm.Dataset(
        pd.concat([matrix["train"], matrix["val"]]), np.concatenate([label["train"], label["val"]])
    )
    return lightgbm.train(best[1], whole, best[2]).predict(matrix["test"]), tries


def drawn(rng: np.random.Generator, *, first: bool) -> dict[str, Any]:
    if first:
        return {"learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20}
    return {
        "learning_rate": float(rng.choice([0.02, 0.05, 0.1])),
        "num_leaves": int(rng.choice([7, 15, 31, 63])),
        "min_data_in_leaf": int(rng.choice([10, 20, 50, 100])),
        "feature_fraction": float(rng.choice([0.4, 0.6, 0.8, 1.0])),
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": float(rng.choice([0.0, 1.0, 10.0])),
    }


def against(database: Any, task: Any, problem: Any, theirs: np.ndarray, time_budget: str, seed: int) -> dict[str, Any]:
    """Return our score, and the difference (ours minus by hand) with its paired 95 % interval by entities."""
    from relselect.api import select_and_train
    from relselect.tasks.metrics import bootstrap_scores

    begun = time.monotonic()
    fitted = select_and_train(database, task, time_budget, seed=seed)
    seconds = time.monotonic() - begun
    rows = problem.rows("test")
    column = "probability" if task.kind == "binary" else "prediction"
    mine = np.asarray(fitted.predict(split="test")[column], dtype=np.float64)
    one, other = (
        bootstrap_scores(task.metric, rows.label, values, rows.entity, seed=seed, draws=DRAWS)
        for values in (mine, theirs)
    )
    score = task.metric.score(rows.label, mine)
    ends = np.quantile(one - other, [0.025, 0.975])
    difference = [round(float(each), 5) for each in (score - task.metric.score(rows.label, theirs), *ends)]
    return {"ours": round(score, 5), "difference": difference, "our_seconds": round(seconds, 1)}


if __name__ == "__main__":
    main()
