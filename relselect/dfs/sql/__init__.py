"""The SQL engine: a plan as SQL, to print for a warehouse or to run on DuckDB with a memory limit."""

from relselect.dfs.sql.compute import compute_sql
from relselect.dfs.sql.statement import to_sql

__all__ = ["compute_sql", "to_sql"]
