"""Reads RelArena's table of published results as a bank: trials without profiles and predictions.

The table's protocol is another (the database frozen at the cutoff, their own learners), so its tasks are of origin "imported"
and never mixed with measured ones. Which family a model belongs to stands in `configs/bank/relarena.yaml`.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from relselect.bank.bank import PerformanceBank
from relselect.bank.rows import BankTask, BankTrial, task_id, trial_id
from relselect.configs import config_path
from relselect.database.yaml_loader import load_yaml
from relselect.errors import BankError
from relselect.tasks.metrics import metric_named

__all__ = ["import_relarena"]

_NEEDED = ("model", "dataset", "task", "task_type", "seed", "metric", "config", "config_tag", "val_score", "test_score")
_KINDS = {"BINARY_CLASSIFICATION": "binary", "REGRESSION": "regression", "MULTICLASS_CLASSIFICATION": "multiclass"}


def import_relarena(path: str | Path, source: str) -> PerformanceBank:
    """Return the bank of a table of results.

    Args:
        path: The CSV file, one line per evaluated configuration.
        source: Whose results these are; stands in the facts of every row.

    Returns:
        Tasks without profiles; their trials, scores higher is better. The trial's family is one of this package where the model
        belongs to one, else the model's own name.

    Raises:
        BankError: The file cannot be read, or a line is not understood.
    """
    known = load_yaml(config_path("bank", "relarena.yaml"))
    tasks: dict[str, BankTask] = {}
    trials: list[BankTrial] = []
    for number, line in enumerate(_lines(Path(path)), start=2):
        try:
            task = _task(line, source, known["metrics"])
            trials.append(_trial(line, task, source, known))
        except (KeyError, ValueError) as error:
            rule = f"line {number} is not understood ({type(error).__name__}: {error})"
            raise BankError("table", str(path), rule, "Give a results.csv as RelArena publishes it") from error
        tasks[task.id] = task
    return PerformanceBank(tasks.values(), trials)


def _lines(path: Path) -> list[dict[str, str]]:
    fix = "Give a results.csv as RelArena publishes it"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise BankError("table", str(path), f"cannot be read ({error})", fix) from error
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if missing:
        raise BankError("table", str(path), f"lacks the columns {', '.join(missing)}", fix)
    return lines


def _task(line: dict[str, str], source: str, metrics: dict[str, str]) -> BankTask:
    metric = metric_named(metrics[line["metric"]])
    identity = task_id(
        database=line["dataset"],
        name=line["task"],
        database_fingerprint=source,
        task_fingerprint="",
        validation="shared",
    )
    return BankTask(
        id=identity,
        database=line["dataset"],
        name=line["task"],
        origin="imported",
        kind=_KINDS[line["task_type"]],
        metric=metric.name,
        regime="frozen",
        label_history=False,
        refitted_over_time=False,
        validation="shared",
        shares_rows=False,
        facts={"source": source},
    )


def _trial(line: dict[str, str], task: BankTask, source: str, known: dict[str, Any]) -> BankTrial:
    model = line["model"]
    family, learner = known["models"].get(model, [model, ""])
    config = {"model": model, **json.loads(line["config"] or "{}")}
    sign = metric_named(task.metric).sign
    error = line.get("error") or ""
    seed = int(line["seed"])
    placeholder = model in known["without_validation"]
    return BankTrial(
        id=trial_id(task=task.id, family=family, config=config, seed=seed, generation=0),
        task=task.id,
        family=family,
        learner=learner,
        config=config,
        number=0 if line["config_tag"] == "default" else int(line["config_tag"].removeprefix("r")),
        role="default" if line["config_tag"] == "default" else "imported",
        seed=seed,
        generation=0,
        select_score=math.nan if placeholder else sign * _number(line["val_score"]),
        test_score=sign * _number(line["test_score"]),
        ended="" if error else "converged",
        refitted=math.isfinite(_number(line.get("fit_time_refit", ""))),
        seconds_training=_number(line.get("fit_time_tuning", "")),
        seconds_refit=_number(line.get("fit_time_refit", "")),
        seconds_prediction=_number(line.get("predict_time_refit", "")),
        device=line.get("device", ""),
        facts={"source": source, "config_id": line.get("config_id", "")},
        error=error,
    )


def _number(text: str) -> float:
    return float(text) if text not in ("", "None", "nan") else math.nan
