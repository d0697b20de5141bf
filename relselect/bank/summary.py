"""A bank as tables: in DuckDB, and as a small page for a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from relselect.bank.rows import BankTask, BankTrial
from relselect.bank.tables import rows_table
from relselect.files import check_writable
from relselect.notebook import NotebookTable, notebook_html

if TYPE_CHECKING:
    import duckdb

    from relselect.bank.contents import BankContents

__all__ = ["coverage", "coverage_html", "measures_table", "title_of", "to_duckdb"]


def title_of(bank: BankContents) -> str:
    """Return the size of a bank in one line."""
    failed = sum(trial.failed for trial in bank.trials)
    tail = f", {failed} failed" if failed else ""
    return f"{len(bank.tasks)} tasks of {len(bank.databases)} databases, {len(bank.trials)} trials{tail}"


def coverage(bank: BankContents) -> list[dict[str, Any]]:
    """Return one row per database: its origin, tasks, trials by family (those that failed apart), and hours of fits."""
    rows = []
    families = sorted({trial.family for trial in bank.trials})
    for name in bank.databases:
        tasks = [task for task in bank.tasks if task.database == name]
        trials = [trial for task in tasks for trial in bank.trials_of[task.id]]
        rows.append(
            {
                "database": name,
                "origin": tasks[0].origin,
                "tasks": len(tasks),
                **{family: sum(t.family == family and not t.failed for t in trials) for family in families},
                "failed": sum(trial.failed for trial in trials),
                "hours": round(sum(t.seconds for t in trials if t.seconds == t.seconds) / 3600, 2),
            }
        )
    return rows


def coverage_html(bank: BankContents) -> str:
    """Return the coverage as an HTML table, for notebooks."""
    rows = coverage(bank)
    columns = tuple(rows[0]) if rows else ()
    cells = [tuple(str(value) for value in row.values()) for row in rows]
    table = NotebookTable(columns, cells, numbers=range(2, len(columns)))
    return notebook_html(f"Performance bank: {title_of(bank)}", (), [table])


def measures_table(bank: BankContents) -> pa.Table:
    """Return the profile numbers of all tasks in long form: task, name, value, stderr."""
    schema = pa.schema(
        [("task", pa.string()), ("name", pa.string()), ("value", pa.float64()), ("stderr", pa.float64())]
    )
    rows = [
        {"task": task.id, **{name: measure[name] for name in ("name", "value", "stderr")}}
        for task in bank.tasks
        for measure in task.profile.get("measures", ())
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def to_duckdb(bank: BankContents, path: Path | None) -> duckdb.DuckDBPyConnection:
    """Return a connection with the bank's tables; see `PerformanceBank.to_duckdb`."""
    import duckdb

    if path is not None:
        check_writable("path", path)
    connection = duckdb.connect(":memory:" if path is None else str(path))
    tables = {
        "tasks": rows_table(BankTask, bank.tasks),
        "trials": rows_table(BankTrial, bank.trials),
        "measures": measures_table(bank),
    }
    for name, table in tables.items():
        connection.register("added", table)
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM added")
        connection.unregister("added")
    return connection
