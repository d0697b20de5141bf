"""Temporal neighbour sampling: one computation tree per task row, of rows visible at the task row's `asof`."""

__all__: list[str] = []
