"""The SQL engine: a plan as SQL, to print for a warehouse or to run on DuckDB with a memory limit."""

__all__: list[str] = []
