"""Deletion test of importance on real databases: does withholding what is said to matter move the score most?

    RELSELECT_DATA=... python benchmarks/explanations.py [--only rel-f1/driver-top3] [--out docs/explanations_benchmark.md]

Both families are fitted once per task under a default with few steps. Importance is measured on select rows; the test is on other
rows, those of the test split, so that a drop which was chance does not confirm itself. A group is a table other than the
entity's (all its rows withheld) or a group of columns (values drawn from other rows). The groups are ranked by their drop on
select rows. Compared are, on test rows, the drop of the first with that of each other group of its kind, and the drop of the
first three groups of columns together with that of three others drawn at random, five times. Rows are capped, fits end after
a number of steps and not by the clock, so that a busy machine measures the same. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

# the standard library's own `profile`, which PyTorch imports, must be found before the benchmark of that name
sys.path.append(sys.path.pop(0))

import numpy as np

TASKS = (
    "berka-without-trans/loan-bad",
    "rel-f1/driver-top3",
    "sakila/customer-rentals",
    "scotus/case-unanimous",
    "tour-de-france/rider-returns",
    "worldcup/squad-scores",
)
#: Options that make a fit short.
SHORT: dict[str, dict[str, Any]] = {
    "dfs": {"rounds": 300, "bags": 1, "learning_rate": 0.06},
    "rdl": {"epochs": 6},
}
#: Rows that importance is measured on and that the test is made on; groups deleted together, draws of other groups.
ROWS, TOGETHER, DRAWS = 400, 3, 5
#: Kinds of groups, and how the page calls them.
KINDS = {"table": "tables", "columns": "groups of columns"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(TASKS))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    begun, rows = time.process_time(), []
    for name in arguments.only:
        for family in SHORT:
            rows.append(deleted(name, family))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    found = {"tasks": len(arguments.only), "summary": summary(rows), "rows": rows}
    found["cpu_seconds"] = round(time.process_time() - begun)
    page = page_of(found)
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    print(page)
    print(json.dumps(found))


def deleted(name: str, family_name: str) -> dict[str, Any]:
    """Fit a family on a task, rank what it rests on by select rows, and delete it on test rows."""
    from relselect.api import open_task
    from relselect.budget import Budget
    from relselect.configs import open_database
    from relselect.events import silent
    from relselect.explain.importance import measure_importance
    from relselect.families.registry import family_of
    from relselect.problem import Problem
    from relselect.problem.rows import fit_rows

    begun = time.process_time()
    of, task = name.split("/")
    database = open_database(of)
    problem = Problem(database, open_task(database, task))
    rows, family = fit_rows(problem, score_test=False), family_of(family_name)
    config = {**family.default(problem), **SHORT[family_name]}
    candidate = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    study = measure_importance(problem, family, candidate, rows.select.drawn(ROWS), budget=Budget(None))
    test = Deletion(problem, family, candidate, problem.rows("test").drawn(ROWS))
    found: dict[str, Any] = {
        "task": name,
        "family": family_name,
        "score": rounded(test.score),
        "select": rounded(study.score),
    }
    for kind in KINDS:  # the entity's own table keeps its rows: of it, only columns are withheld
        of = [
            each
            for each in study.ablations
            if each.kind == kind and (kind == "columns" or each.table != problem.entity)
        ]
        found[kind] = test.of_kind(of)
    return found | {"cpu_seconds": round(time.process_time() - begun, 1)}


class Deletion:
    """The scores of one model on test rows with something withheld."""

    def __init__(self, problem: Any, family: Any, candidate: Any, rows: Any) -> None:
        self.problem, self.family, self.candidate, self.rows = problem, family, candidate, rows
        self.score = self.scored(problem, rows)

    def scored(self, problem: Any, rows: Any) -> float:
        predicted = self.family.predict(self.candidate, problem, rows.unlabelled())
        return float(self.problem.task.metric.score(self.rows.label, predicted))

    def drop(self, groups: list[Any]) -> float:
        """Return the loss of score without some groups together."""
        from relselect.explain.study import TASK_ROW
        from relselect.explain.withholding import with_drawn_columns, with_drawn_features, without_table

        problem, rows = self.problem, self.rows
        columns: dict[str, list[str]] = {}
        for each in groups:
            if each.kind == "table":
                problem = without_table(problem, each.table)
            else:
                columns.setdefault(each.table, []).extend(each.withheld)
        for table, names in columns.items():
            if table == TASK_ROW:
                rows = with_drawn_features(rows, names, seed=1)
            else:
                problem = with_drawn_columns(problem, table, names, seed=1)
        return self.score - self.scored(problem, rows)

    def of_kind(self, groups: list[Any]) -> dict[str, Any] | None:
        """Return what deleting the first of ranked groups does, beside the others; None where there is nothing to compare."""
        ranked = sorted(groups, key=lambda each: -each.drop if np.isfinite(each.drop) else np.inf)
        if len(ranked) < 2:
            return None
        drops = [self.drop([each]) for each in ranked]
        said = [each.drop for each in ranked]
        found: dict[str, Any] = {
            "groups": len(ranked),
            "first": f"{ranked[0].table}{'.' + '+'.join(ranked[0].withheld) if ranked[0].withheld else ''}",
            "matters": bool(ranked[0].matters),
            "said": rounded(said[0]),
            "drop": rounded(drops[0]),
            "others": rounded(float(np.mean(drops[1:]))),
            "largest_other": rounded(max(drops[1:])),
            "beaten": rounded(float(np.mean([abs(drops[0]) > abs(each) for each in drops[1:]]))),
            "rank_correlation": rounded(rank_correlation(said, drops)),
        }
        if len(ranked) >= 2 * TOGETHER and ranked[0].kind == "columns":
            draw = np.random.default_rng(0)
            sets = [draw.choice(np.arange(TOGETHER, len(ranked)), TOGETHER, replace=False) for _ in range(DRAWS)]
            found["together"] = rounded(self.drop(ranked[:TOGETHER]))
            found["random"] = [rounded(self.drop([ranked[place] for place in one])) for one in sets]
        return found


def rank_correlation(one: list[float], other: list[float]) -> float:
    """Return Spearman's rho, nan where a side does not vary."""
    from scipy.stats import rankdata

    ranks = [rankdata(each) for each in (one, other)]
    return float("nan") if min(each.std() for each in ranks) == 0 else float(np.corrcoef(*ranks)[0, 1])


def rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, by family and kind of group, how often the first moves the score more than others do."""
    found: dict[str, Any] = {}
    for family in SHORT:
        for kind in KINDS:
            of = [row[kind] for row in rows if row["family"] == family and row[kind] is not None]
            sure = [each for each in of if each["matters"]]
            together = [each for each in of if "together" in each]
            rhos = [each["rank_correlation"] for each in of if each["rank_correlation"] is not None]
            found[f"{family} {kind}"] = {
                "tasks": len(of),
                "sure": len(sure),
                "first_above_mean": sum(abs(each["drop"]) > abs(each["others"]) for each in sure),
                "beaten": mean([each["beaten"] for each in sure]),
                "drop": mean([each["drop"] for each in sure]),
                "others": mean([each["others"] for each in sure]),
                "rank_correlation": mean(rhos),
                "together_tasks": len(together),
                "together_above_all": sum(each["together"] > max(each["random"]) for each in together),
                "together": mean([each["together"] for each in together]),
                "random": mean([float(np.mean(each["random"])) for each in together]),
            }
    return found


def mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def page_of(found: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Explanations on real databases",
        "",
        f"Written by `benchmarks/explanations.py` in {found['cpu_seconds']} CPU seconds: the deletion test on {found['tasks']}",
        "tasks of real databases, both families, one short fit each. Importance is measured on select rows; its claim is tested",
        "on test rows, by withholding what it says matters most and, beside it, the other groups of the same kind. Drops are in",
        "the score of the task's metric, higher is better, so that a positive drop is a loss. A first group is *sure* where its",
        "interval on select rows lies above zero; only sure ones make a claim, and the means are over them.",
        "",
        *families_table(found["summary"]),
        "",
        f"*Moves more* compares sizes. {gains(found['rows'])}",
        "",
        "The first three groups of columns withheld together, against three others drawn at random (five draws):",
        "",
        *together_table(found["summary"]),
        "",
        *tasks_table(found["rows"]),
        "",
    ]
    return "\n".join(lines)


def gains(rows: list[dict[str, Any]]) -> str:
    """Return which sure claims turned out to be none: withholding the first raised the score of the test rows."""
    sure = [(row, row[kind]) for row in rows for kind in KINDS if row[kind] is not None and row[kind]["matters"]]
    wrong = [f"`{one['first']}` of {row['task']} ({row['family']})" for row, one in sure if one["drop"] <= 0]
    if not wrong:
        return f"Withholding the first lowered the score on test rows in all {len(sure)} sure cases."
    listed = ", ".join(wrong)
    return f"In {len(wrong)} of {len(sure)} sure cases withholding the first did not lower the score on test rows: {listed}."


def row_of(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def families_table(of: dict[str, Any]) -> list[str]:
    moved = "first moves the score more than the mean of the others"
    names = (
        "family",
        "groups",
        "tasks",
        "sure",
        moved,
        "others it beats",
        "drop of the first",
        "mean drop of the others",
    )
    lines = [row_of(*names, "rank correlation"), "|---|---|" + "---:|" * 7]
    for name, each in of.items():
        family, kind = name.split(" ")
        beaten = "–" if each["beaten"] is None else f"{each['beaten']:.0%}"
        above = f"{each['first_above_mean']} of {each['sure']}"
        drops = (shown(each["drop"]), shown(each["others"]), shown(each["rank_correlation"], 2))
        lines.append(row_of(family, KINDS[kind], each["tasks"], each["sure"], above, beaten, *drops))
    return lines


def together_table(of: dict[str, Any]) -> list[str]:
    lines = [
        row_of("family", "tasks", "first three", "random three", "first three above every draw"),
        "|---|" + "---:|" * 4,
    ]
    for family in SHORT:
        each = of[f"{family} columns"]
        above = f"{each['together_above_all']} of {each['together_tasks']}"
        lines.append(row_of(family, each["together_tasks"], shown(each["together"]), shown(each["random"]), above))
    return lines


def tasks_table(rows: list[dict[str, Any]]) -> list[str]:
    names = (
        "task",
        "family",
        "score",
        "groups",
        "first",
        "said",
        "drop on test rows",
        "mean of the others",
        "largest other",
    )
    lines = [row_of(*names), "|---|---|---:|---:|---|" + "---:|" * 4]
    for row in rows:
        for kind, title in KINDS.items():
            one = row[kind]
            if one is None:
                continue
            first = f"`{one['first']}`{'' if one['matters'] else ' (not sure)'}"
            drops = [shown(one[name]) for name in ("said", "drop", "others", "largest_other")]
            lines.append(
                row_of(row["task"], row["family"], shown(row["score"]), f"{one['groups']} {title}", first, *drops)
            )
    return lines


def shown(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
